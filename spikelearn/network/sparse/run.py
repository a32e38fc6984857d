"""The loop over time of a sparse network: chunks, threads and recorded spikes."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spikelearn.kernels.poisson import BLOCK
from spikelearn.kernels.sparse import Drive, Events, Groups, State, Synapses, advance
from spikelearn.network.sparse.csr import Connectivity

__all__ = ["simulate"]

STEPS_AT_ONCE = 1000
SPIKES_AT_ONCE = 1 << 16
LONGEST_WINDOW = 64  # steps between two meetings of the threads


class History:
    """Spikes of the latest steps of all neurons; older ones go to the record."""

    def __init__(self, n: int, memory: int, keep: list[tuple[int, int]]) -> None:
        self.n, self.memory, self.keep = n, memory, keep
        self.base = self.step = 0  # first step that is held, first not simulated
        self.senders = np.empty(max(4 * n, SPIKES_AT_ONCE), np.uint32)
        self.first = np.zeros(memory + STEPS_AT_ONCE + 1, np.int64)
        self.steps: list[np.ndarray] = []
        self.recorded: list[np.ndarray] = []

    @property
    def events(self) -> Events:
        """What the kernel reads, and what it appends to."""
        return Events(self.senders, self.first, self.base)

    def append(self, outs: list[Events], n_steps: int) -> None:
        """Add steps, given the spikes of each part of the neurons in order."""
        end = int(self.first[self.step - self.base])
        self._reserve(end + sum(int(out.first[n_steps]) for out in outs))
        for k in range(n_steps):
            for out in outs:
                spikes = out.senders[out.first[k] : out.first[k + 1]]
                self.senders[end : end + spikes.size] = spikes
                end += spikes.size
            self.step += 1
            self.first[self.step - self.base] = end

    def _reserve(self, size: int) -> None:
        if size > self.senders.size:
            larger = np.empty(2 * size, np.uint32)
            larger[: self.senders.size] = self.senders
            self.senders = larger

    def forget(self, record_from: int) -> None:
        """Record the steps from `record_from` on; drop what no delay reaches."""
        first = self.first[record_from - self.base : self.step + 1 - self.base]
        senders = self.senders[first[0] : first[-1]].copy()
        steps = np.repeat(np.arange(record_from, self.step), np.diff(first))
        inside = np.zeros(senders.size, bool)
        for start, stop in self.keep:
            inside |= (senders >= start) & (senders < stop)
        everything = inside.all()
        self.steps.append(steps if everything else steps[inside])
        self.recorded.append(senders if everything else senders[inside])

        base = max(self.step - self.memory, self.base)
        held = self.first[base - self.base : self.step + 1 - self.base]
        spikes = self.senders[held[0] : held[-1]].copy()
        self.senders[: spikes.size] = spikes
        self.first[: held.size] = held - held[0]
        self.base = base
        self._reserve(spikes.size + self.n)  # the kernel stops without room for all


def simulate(
    groups: Groups,
    drives: list[Drive],
    connectivity: Connectivity,
    projections: dict[str, np.ndarray],
    state: State,
    n_steps: int,
    keep: list[tuple[int, int]],
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Run all steps; return the steps and the senders of the spikes that are kept.

    Mutates
    -------
    state
    """
    n = state.v.size
    edges = _edges(n, threads)
    parts = connectivity.part(edges, **projections)
    longest = max([1, *projections["delay"], *groups.n_ref])
    history = History(n, int(longest), keep)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        while history.step < n_steps:
            start = history.step
            room = history.first.size - 1 - (start - history.base)
            stop = min(start + room, n_steps)
            if len(parts) == 1:
                history.step = advance(
                    groups, drives[0], parts[0], state, history.events, history.events,
                    np.uint64(0), np.uint64(n), start, stop,
                )  # fmt: skip
            else:
                _advance_parts(pool, groups, drives, parts, state, history, edges, stop)
            history.forget(start)
    return np.concatenate(history.steps), np.concatenate(history.recorded)


def _edges(n: int, threads: int) -> list[int]:
    """Cut n neurons into parts for the threads, at whole blocks."""
    n_blocks = -(-n // int(BLOCK))
    blocks = [n_blocks * k // threads for k in range(threads + 1)]
    return sorted({min(int(BLOCK) * block, n) for block in blocks})


def _advance_parts(
    pool: ThreadPoolExecutor,
    groups: Groups,
    drives: list[Drive],
    parts: list[Synapses],
    state: State,
    history: History,
    edges: list[int],
    stop: int,
) -> None:
    """Advance until `stop` in windows within which no part needs another's spikes."""
    spans = list(itertools.pairwise(edges))

    def work(k: int, first: int, last: int) -> Events:
        lo, hi = spans[k]
        room = np.empty((hi - lo) * (last - first), np.uint32)
        out = Events(room, np.zeros(last - first + 1, np.int64), first)
        advance(
            groups, drives[k], parts[k], state, history.events, out,
            np.uint64(lo), np.uint64(hi), first, last,
        )  # fmt: skip
        return out

    window = min([LONGEST_WINDOW, *parts[0].delay, *groups.n_ref[groups.n_ref > 1]])
    while history.step < stop:
        first, last = history.step, min(history.step + int(window), stop)
        jobs = [pool.submit(work, k, first, last) for k in range(len(spans))]
        history.append([job.result() for job in jobs], last - first)
