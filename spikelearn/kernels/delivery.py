"""Spikes to the targets of sparse rows: at once, or into slots of later steps.

The arguments are those of `kernels.sparse`; `first` and `stop` say which senders.
"""

from __future__ import annotations

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.vector import prefetch

__all__ = ["NO_EXTRA", "deliver", "deliver_later", "take"]

NO_EXTRA = np.int64(1) << 62
LINE = np.uint64(64)  # bytes of a cache line
AHEAD = np.uint64(8)  # lines of the next row that are fetched while adding a row


@kernel
def deliver(flat, offset, weight, synapses, p, senders, first, stop):
    """Add `weight` to the targets of some senders. Mutates `flat`."""
    targets, begin, end = synapses.targets, synapses.begin, synapses.end
    lo, hi, row = synapses.pre_lo[p], synapses.pre_hi[p], synapses.row[p]
    line = LINE // np.uint64(targets.itemsize)
    for e in range(first, stop):
        pre = np.uint64(senders[e])
        if pre >= lo and pre < hi:
            following = np.uint64(senders[min(e + 1, stop - 1)])
            if following >= lo and following < hi:
                start = np.uint64(begin[row + (following - lo)])
                for k in range(start, start + AHEAD * line, line):
                    prefetch(targets, k)
            r = row + (pre - lo)
            for k in range(np.uint64(begin[r]), np.uint64(end[r])):
                flat[offset + np.uint64(targets[k])] += weight


@kernel
def deliver_later(synapses, p, senders, first, stop, state, sign, step):
    """Put the weight into the slot of each synapse's own delay. Mutates `later`."""
    weight, later = synapses.weight[p], state.later
    targets, extra = synapses.targets, synapses.extra
    lo, hi, row = synapses.pre_lo[p], synapses.pre_hi[p], synapses.row[p]
    shift, slots = np.uint64(synapses.first_extra[p]), np.uint64(state.slots)
    n = np.uint64(state.v.size)
    plane, now = np.uint64(sign), np.uint64(step)
    for e in range(first, stop):
        pre = np.uint64(senders[e])
        if pre >= lo and pre < hi:
            r = row + (pre - lo)
            for k in range(np.uint64(synapses.begin[r]), np.uint64(synapses.end[r])):
                slot = (now + np.uint64(extra[k - shift])) % slots
                later[(slot * np.uint64(2) + plane) * n + np.uint64(targets[k])] += (
                    weight
                )


@kernel
def take(current, later, factor, offset, lo, hi):
    """Move what has become due into the current. Mutates `current` and `later`."""
    for i in range(lo, hi):
        current[i] += factor * later[offset + i]
        later[offset + i] = 0
