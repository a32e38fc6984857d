"""Threads over samples: serial kernels that release the GIL, on helpers that stay.

The caller works too, and helpers (one less than `threads`) take groups off the same
list. Starting threads costs more than a small kernel does, so helpers wait for the next
call. A call never depends on them: groups that no helper takes are run by the caller,
which is why nested calls, busy helpers and forked processes (where helpers do not
exist) cannot block it.

Kernels call no BLAS (a test looks for it), so there is no second pool of threads that
would compete with this one and nothing to limit while it runs. `threads` is 1 unless
told otherwise, in worker processes too.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["N_GROUPS", "run_groups", "sample_groups", "usable_cores"]

N_GROUPS = 8
"""Upper bound of the groups that a batch is cut into, for any number of threads."""

Work = Callable[[int, int, int], None]


def usable_cores() -> int:
    """Return how many threads this process may keep busy.

    It is the number of cores that the process is bound to (a batch system or `taskset`
    may leave it few), and 1 in a worker process of `multiprocessing`, whose siblings
    have the other cores.
    """
    if multiprocessing.parent_process() is not None:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.lru_cache(maxsize=64)
def sample_groups(n_samples: int, most: int = N_GROUPS) -> tuple[tuple[int, int], ...]:
    """Cut `n_samples` into at most `most` ranges that depend on nothing else.

    Sums over a batch are taken inside a group and then over the groups in order, so
    that their bits do not depend on the number of threads.
    """
    n_groups = max(min(most, n_samples), 1)
    edges = [n_samples * k // n_groups for k in range(n_groups + 1)]
    return tuple(itertools.pairwise(edges))


def run_groups(work: Work, n_samples: int, threads: int, most: int = N_GROUPS) -> None:
    """Call `work(group, start, stop)` for every group, on `threads` threads.

    If calls raise, the error of the lowest group comes out when no call is running any
    more.
    """
    groups = sample_groups(n_samples, most)
    if threads <= 1 or len(groups) <= 1:
        for group, (start, stop) in enumerate(groups):
            work(group, start, stop)
        return
    share = _Share(work, groups)
    _helpers.offer(share, min(threads, len(groups)) - 1)
    share.finish()


class _Share:
    """The groups of one call, which whoever is free takes one by one."""

    def __init__(self, work: Work, groups: tuple[tuple[int, int], ...]) -> None:
        self.work = work
        self.n_groups = len(groups)
        self.waiting = deque(enumerate(groups))
        self.done: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()

    def take(self) -> None:
        """Run groups until none is left.

        Ctrl-C and signals reach only the main thread: there they come out at once, and
        nobody is waited for. A helper may be in want of a lock that the interrupted
        code has not given back.
        """
        while True:
            try:
                group, (start, stop) = self.waiting.popleft()
            except IndexError:
                return
            error = None
            try:
                self.work(group, start, stop)
            except BaseException as raised:
                interrupts = not isinstance(raised, Exception)
                if interrupts and threading.current_thread() is threading.main_thread():
                    raise
                error = raised
            self.done.put((group, error))

    def finish(self) -> None:
        """Take part, wait for the groups of others, and raise what went wrong."""
        errors = {}
        try:
            self.take()
            for _ in range(self.n_groups):
                group, error = self.done.get()
                if error is not None:
                    errors[group] = error
        finally:
            self.waiting.clear()  # interrupted: helpers begin nothing more
        if errors:
            raise errors[min(errors)]


class _Helpers:
    """Threads that wait for shares; their number grows to what calls ask for."""

    def __init__(self) -> None:
        self.offers: SimpleQueue[_Share | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.growing = threading.Lock()

    def offer(self, share: _Share, n_helpers: int) -> None:
        if len(self.threads) < n_helpers:
            self._grow(n_helpers)
        for _ in range(n_helpers):
            self.offers.put(share)

    def _grow(self, n_helpers: int) -> None:
        with self.growing:
            while len(self.threads) < n_helpers:
                # Daemons: they hold nothing that would have to be put in order at exit.
                name = f"spikelearn-{len(self.threads) + 1}"
                helper = threading.Thread(target=self._serve, name=name, daemon=True)
                helper.start()
                self.threads.append(helper)

    def _serve(self) -> None:
        while (share := self.offers.get()) is not None:
            share.take()
            del share  # do not keep its arrays until the next one comes

    def dismiss(self, seconds: float) -> None:
        """Let the helpers go; those that are in a kernel end after it."""
        for _ in self.threads:
            self.offers.put(None)
        for helper in self.threads:
            if helper is not threading.current_thread():
                helper.join(seconds)


_helpers = _Helpers()


def _before_fork() -> None:
    """Start afresh: the child has no helpers, and forking with threads is unsafe."""
    global _helpers
    old, _helpers = _helpers, _Helpers()
    old.dismiss(seconds=0.1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
