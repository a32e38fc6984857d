"""Medians of repeated runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from spikelearn.errors import require

__all__ = ["Timing", "measure"]

WARM_UP = 2
FEWEST, MOST = 5, 200
SECONDS = 2.0  # what the repeats of one workload may take, beyond the fewest


@dataclass(frozen=True)
class Timing:
    """Wall-clock times of repeated runs, ms."""

    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """Median."""
        return statistics.median(self.times_ms)

    @property
    def best_ms(self) -> float:
        """Shortest time."""
        return min(self.times_ms)


def measure(
    step: Callable[[], object], repeats: int | None = None, warm_up: int = WARM_UP
) -> Timing:
    """Time `step()` again and again, after runs that do not count.

    Parameters
    ----------
    step
        What is timed. It has to work on other data at every call: processors learn the
        branches of data that they see again.
    repeats
        Number of runs; None: what fits into two seconds, from 5 to 200.
    warm_up
        Runs before, for compilation and caches.

    Raises
    ------
    InvalidValue
        If `repeats` is below 1.
    """
    require(repeats is None or repeats >= 1, "repeats", "must be >= 1", repeats)
    for _ in range(warm_up):
        step()
    times: list[float] = []
    while len(times) < (repeats or MOST):
        enough = len(times) >= FEWEST and sum(times) > 1000.0 * SECONDS
        if repeats is None and enough:
            break
        start = time.perf_counter()
        step()
        times.append(1000.0 * (time.perf_counter() - start))
    return Timing(tuple(times))
