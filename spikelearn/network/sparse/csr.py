"""Synapses of all projections as one array of targets, in rows by presynaptic neuron.

A synapse is 2 bytes, or 4 from 65 537 neurons on, and one or two more if it has its own
delay; its weight is that of the projection.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from spikelearn.kernels.csr import count_rows, fill_rows, split_rows
from spikelearn.kernels.delivery import NO_EXTRA
from spikelearn.kernels.sparse import Synapses
from spikelearn.network.sparse.memory import steps, width
from spikelearn.network.sparse.specs import Projection

__all__ = ["Connectivity", "connect"]

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32}


@dataclass(frozen=True, eq=False)
class Connectivity:
    """All synapses: row r of projection p is targets[pointers[r]:pointers[r + 1]]."""

    targets: np.ndarray  # (n_synapses,) neurons of the whole network
    pointers: np.ndarray  # (n_rows + 1,) uint32
    extra: np.ndarray  # delays beyond the shortest, of projections that have them
    first_row: np.ndarray  # (n_projections + 1,)
    first_extra: np.ndarray  # (n_projections,): see Synapses

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return self.targets.size

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.targets.nbytes + self.pointers.nbytes + self.extra.nbytes

    def part(self, edges: Sequence[int], **projections: Any) -> list[Synapses]:
        """Return the synapses onto each of the ranges between `edges`."""
        borders = [self.pointers[:-1]]
        for edge in edges[1:-1]:
            borders.append(np.empty(self.pointers.size - 1, np.uint32))
            split_rows(self.targets, self.pointers, edge, borders[-1])
        borders.append(self.pointers[1:])
        return [
            Synapses(
                targets=self.targets,
                begin=begin,
                end=end,
                extra=self.extra,
                row=self.first_row[:-1].astype(np.uint64),
                first_extra=self.first_extra,
                **projections,
            )
            for begin, end in itertools.pairwise(borders)
        ]


def connect(
    ranges: Mapping[str, tuple[int, int]],
    projections: Sequence[Projection],
    dt: float,
    rng: np.random.Generator,
) -> Connectivity:
    """Draw the synapses of all projections.

    Pairs are drawn twice from the same numbers, first to count the synapses of every
    row and then to place them, so that nothing is held but the result.

    Parameters
    ----------
    ranges
        First neuron and the one after the last of every population.
    rng
        Each projection has its own streams, of pairs and of delays.
    """
    n = max(stop for _, stop in ranges.values())
    sequence = cast(np.random.SeedSequence, rng.bit_generator.seed_seq)
    seeds = sequence.spawn(2 * len(projections))
    sizes = [ranges[p.pre][1] - ranges[p.pre][0] for p in projections]
    first_row = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    counts = np.zeros(first_row[-1], np.int64)
    for p, projection in enumerate(projections):
        for pre, _ in _pairs(ranges, projection, seeds[2 * p]):
            count_rows(pre, np.uint64(first_row[p]), counts)
    pointers = np.zeros(counts.size + 1, np.uint32)
    pointers[1:] = np.cumsum(counts)
    del counts

    targets = np.empty(pointers[-1], UNSIGNED[max(width(n - 1), 2)])
    cursor = pointers[:-1].copy()
    for p, projection in enumerate(projections):
        first = np.uint64(ranges[projection.targets[0]][0])
        for pre, post in _pairs(ranges, projection, seeds[2 * p]):
            fill_rows(pre, post, np.uint64(first_row[p]), first, cursor, targets)

    spans = [steps(projection, dt) for projection in projections]
    widest = max((high - low for low, high in spans), default=0)
    extra, first_extra, held = [], np.full(len(projections), NO_EXTRA), 0
    for p, (low, high) in enumerate(spans):
        if high == low:
            continue
        begin, end = (int(pointers[first_row[q]]) for q in (p, p + 1))
        dtype, delays = UNSIGNED[width(widest)], np.random.default_rng(seeds[2 * p + 1])
        extra.append(delays.integers(0, high - low, end - begin, dtype, endpoint=True))
        first_extra[p] = begin - held
        held += end - begin
    joined = np.concatenate(extra) if extra else np.empty(0, np.uint8)
    return Connectivity(targets, pointers, joined, first_row, first_extra)


def _pairs(
    ranges: Mapping[str, tuple[int, int]],
    projection: Projection,
    seed: np.random.SeedSequence,
) -> Any:
    """Yield the pairs of a projection, numbered from its first neurons on."""
    start, stop = ranges[projection.pre]
    first, last = ranges[projection.targets[0]][0], ranges[projection.targets[-1]][1]
    own = start - first if first <= start < last else None
    rng = np.random.default_rng(seed)
    return projection.rule.pairs(stop - start, last - first, own, rng)
