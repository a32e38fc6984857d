"""Building sparse connectivity: pairs (pre, post) to rows of targets by pre."""

from __future__ import annotations

import numpy as np

from spikelearn.kernels import kernel

__all__ = ["count_rows", "fill_rows", "split_rows"]


@kernel
def count_rows(pre, row, counts):
    """Count the synapses of each row; pair i is in row `row` + pre[i].

    Mutates
    -------
    counts : (n_rows,) int64
    """
    for i in range(pre.size):
        counts[row + np.uint64(pre[i])] += 1


@kernel
def fill_rows(pre, post, row, first_target, cursor, targets):
    """Append first_target + post[i] to row `row` + pre[i], in the order of the pairs.

    Mutates
    -------
    cursor : (n_rows,) uint32
        Where the next synapse of a row goes.
    targets : (n_synapses,) uint16 or uint32
    """
    one = np.uint32(1)
    for i in range(pre.size):
        r = row + np.uint64(pre[i])
        targets[np.uint64(cursor[r])] = first_target + np.uint64(post[i])
        cursor[r] += one


@kernel
def split_rows(targets, pointers, boundary, edge):
    """Find in each row the first target >= boundary, by bisection.

    Parameters
    ----------
    pointers
        (n_rows + 1,) uint32; rows are ascending.

    Mutates
    -------
    edge : (n_rows,) uint32
    """
    for r in range(edge.size):
        lo, hi = np.uint64(pointers[r]), np.uint64(pointers[r + 1])
        while lo < hi:
            middle = (lo + hi) >> np.uint64(1)
            if targets[middle] < boundary:
                lo = middle + np.uint64(1)
            else:
                hi = middle
        edge[r] = np.uint32(lo)
