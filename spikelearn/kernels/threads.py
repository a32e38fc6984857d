"""Threads over samples: a pool of serial kernels that release the GIL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["N_GROUPS", "run_groups", "sample_groups"]

N_GROUPS = 8
"""Upper bound of the groups that a batch is cut into, for any number of threads."""


def sample_groups(n_samples: int, most: int = N_GROUPS) -> list[tuple[int, int]]:
    """Cut `n_samples` into at most `most` ranges that depend on nothing else.

    Sums over a batch are taken inside a group and then over the groups in order, so
    that their bits do not depend on the number of threads.
    """
    n_groups = max(min(most, n_samples), 1)
    edges = [n_samples * k // n_groups for k in range(n_groups + 1)]
    return list(itertools.pairwise(edges))


def run_groups(
    work: Callable[[int, int, int], None],
    n_samples: int,
    threads: int,
    most: int = N_GROUPS,
) -> None:
    """Call `work(group, start, stop)` for every group, on `threads` threads."""
    groups = list(enumerate(sample_groups(n_samples, most)))
    if threads <= 1 or len(groups) <= 1:
        for group, (start, stop) in groups:
            work(group, start, stop)
        return
    with ThreadPoolExecutor(max_workers=threads) as pool:
        jobs = [pool.submit(work, group, *span) for group, span in groups]
        for job in jobs:
            job.result()
