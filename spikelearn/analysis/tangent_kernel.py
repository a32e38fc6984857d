"""Tangent kernels of the recurrent weights, exact and in bounded memory.

A row of the Jacobian J is dy_k[t, b] / dw_rec, without connections that do not exist.
With delta = dE/di of E = y_k[t, b], which the reverse sweep of a rule gives
(`PathRule.credit`), and the outputs r that arrive d steps late, it is

    J[(b, t, k), (j, i)] = sum_(s <= t) delta_j[s] r_i[s - d_ji]

J is never formed as a whole. Where all delays are the same and (nearly) all connections
exist, its rows need not be formed either: the kernel K = J J^T is

    K[(b, t, k), (b', t', k')] = sum_(s, s') (delta[s] . delta'[s']) (r[s-d] . r'[s'-d])

minus the same for the few connections that do not exist. Otherwise rows are formed for
a few postsynaptic neurons at a time. The way that takes fewer operations is taken, for
tiles of trials. Both are exact up to the rounding of the network's dtype.

The credit of a local rule makes its local Jacobian, which need not be the Jacobian of
anything: its rows are the updates that the rule makes for an error of 1 at (b, t, k).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from spikelearn.analysis.jacobians import (
    Factors,
    Tile,
    check_steps,
    factor_bytes,
    factored,
    jacobian_factors,
    kernel_rule,
)
from spikelearn.learning.rules import BPTT, Rule
from spikelearn.memory import require_fits
from spikelearn.network import RecurrentNetwork

__all__ = ["inner_products", "kernel_tile", "tangent_kernel"]

BLOCK_ELEMENTS = 1 << 22  # of rows that are formed at a time


def kernel_tile(
    left: Factors, i: int, right: Factors, j: int, *, form: bool | None = None
) -> np.ndarray:
    """Return a tile of J_left J_right^T, (rows, trials, rows, trials).

    Parameters
    ----------
    i, j
        Numbers of the tiles of trials.
    form
        Whether rows are formed; None: what takes fewer operations.
    """
    a, b = left.tiles[i], right.tiles[j]
    if form is None:
        n_present, n = int(np.count_nonzero(left.mask)), len(left.mask)
        dear = a.n_terms * b.n_terms * n > a.n_rows * b.n_rows * n_present
        form = dear or not factored(left.mask, left.delay)
    if form:
        return _from_rows(a, b, left.mask, left.delay)
    return _from_factors(a, b, int(np.max(left.delay)))


def _from_factors(a: Tile, b: Tile, delay: int) -> np.ndarray:
    shape = (a.n_rows, a.n_trials, b.n_rows, b.n_trials)
    kernel = np.zeros(shape, a.output.dtype)
    n = a.output.shape[2]
    for s, (first_a, credit_a) in a.credit.items():
        pre_a = a.output[max(s - delay, -1)]
        last_a = first_a + len(credit_a)
        flat = credit_a.reshape(-1, n)
        for u, (first_b, credit_b) in b.credit.items():
            pre = pre_a @ b.output[max(u - delay, -1)].T
            post = (flat @ credit_b.reshape(-1, n).T).reshape(
                len(credit_a), a.n_trials, len(credit_b), b.n_trials
            )
            post *= pre[:, None]
            kernel[first_a:last_a, :, first_b : first_b + len(credit_b)] += post
    if a.absent.shape[2]:
        flat_a, flat_b = (x.absent.reshape(-1, x.absent.shape[2]) for x in (a, b))
        kernel -= (flat_a @ flat_b.T).reshape(shape)
    return kernel


def _from_rows(
    a: Tile, b: Tile, mask: np.ndarray, delay: int | np.ndarray
) -> np.ndarray:
    n = len(mask)
    most = max(a.n_rows * a.n_trials, b.n_rows * b.n_trials)
    n_posts = max(BLOCK_ELEMENTS // (most * n), 1)
    n_a, n_b = a.n_trials * a.n_rows, b.n_trials * b.n_rows
    kernel = np.zeros((n_a, n_b), a.output.dtype)
    delays = np.broadcast_to(delay, (n, n))
    for first in range(0, n, n_posts):
        posts = slice(first, first + n_posts)
        wiring = mask[posts], delays[posts]
        rows_a = _rows(a, posts, *wiring)
        rows_b = rows_a if b is a else _rows(b, posts, *wiring)
        kernel += rows_a @ rows_b.T
    shape = (a.n_trials, a.n_rows, b.n_trials, b.n_rows)
    return np.ascontiguousarray(kernel.reshape(shape).transpose(1, 0, 3, 2))


def _rows(tile: Tile, posts: slice, mask: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """Return J for some postsynaptic neurons, (trials * rows, connections)."""
    n_posts, n = mask.shape
    steps = np.array(list(tile.credit), np.int64)
    shape = (tile.n_trials, tile.n_rows, n_posts, steps.size)
    credit = np.zeros(shape, tile.output.dtype)
    for at, (first, piece) in enumerate(tile.credit.values()):
        rows = slice(first, first + len(piece))
        credit[:, rows, :, at] = piece[..., posts].swapaxes(0, 1)
    credit = credit.reshape(tile.n_trials, -1, steps.size)
    total: np.ndarray | None = None
    for d in np.unique(delays[mask]):
        arriving = tile.output[np.maximum(steps - d, -1)].swapaxes(0, 1)
        product = (credit @ arriving).reshape(-1, n_posts * n)
        product *= (mask & (delays == d)).ravel()
        total = product if total is None else total + product
    if total is None:
        return np.zeros((tile.n_trials * tile.n_rows, 0), tile.output.dtype)
    present = np.flatnonzero(mask)
    return total if 2 * present.size > mask.size else total[:, present]


def inner_products(
    kernels: Sequence[tuple[Factors, Factors]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return <K_x, K_y> of kernels of the same trials, and their traces.

    A kernel is J_left J_right^T. No kernel exists as a whole; sums over tiles are in
    float64. Kernels with left is right are symmetric, and half of their tiles suffice
    if all are.

    Returns
    -------
    (n, n) array, (n,) array
    """
    symmetric = all(left is right for left, right in kernels)
    n_tiles = len(kernels[0][0].tiles)
    products = np.zeros((len(kernels), len(kernels)))
    traces = np.zeros(len(kernels))
    for i in range(n_tiles):
        for j in range(i if symmetric else 0, n_tiles):
            n_rows = kernels[0][0].tiles[i].n_rows * kernels[0][0].tiles[i].n_trials
            width = kernels[0][1].tiles[j].n_rows * kernels[0][1].tiles[j].n_trials
            tiles = np.empty((len(kernels), n_rows * width))
            for row, (left, right) in zip(tiles, kernels, strict=True):
                row[:] = kernel_tile(left, i, right, j).reshape(-1)
            products += (2 if symmetric and j > i else 1) * (tiles @ tiles.T)
            if i == j:
                traces += tiles[:, :: n_rows + 1].sum(axis=1)
    return products, traces


def tangent_kernel(
    network: RecurrentNetwork,
    x: np.ndarray,
    *,
    rule: Rule | None = None,
    other: Rule | None = None,
    steps: Sequence[int] | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Return the tangent kernel K = J_rule J_other^T of the recurrent weights.

    Parameters
    ----------
    x : (T, B, n_in) array
        Input.
    rule
        Whose (local) Jacobian; None: BPTT, the true one.
    other
        The other factor of a mixed kernel; None: the same rule.
    steps
        Steps whose outputs are rows; None: all.
    threads
        For sweeps; matrix products use those of NumPy.

    Returns
    -------
    (R, R) array
        Rows are ordered as (b, t, k): R = B times len(steps) times n_out.

    Raises
    ------
    InvalidValue
        If a rule has no Jacobian, a step or the input is wrong, or the kernel would not
        fit into memory.
    """
    first = kernel_rule(BPTT() if rule is None else rule)
    second = first if other is None else kernel_rule(other)
    chosen = check_steps(steps, len(x))
    n_rows, n_trials = len(chosen) * network.n_out, x.shape[1]
    per_trial = 2 * factor_bytes(network, len(x), chosen)
    per_trial += 2 * n_trials * n_rows**2 * network.params.rows.itemsize
    where = "tangent kernel"
    require_fits(per_trial * n_trials, where, per_trial, n_trials, "trials")
    needs = {*first.needs(network), *second.needs(network)}
    record = network.run(x, record=needs, threads=threads)
    left = jacobian_factors(network, record, first, chosen, threads)
    right = left
    if second != first:
        right = jacobian_factors(network, record, second, chosen, threads)
    kernel = np.empty((n_trials, n_rows, n_trials, n_rows), network.dtype)
    edges = np.cumsum([0, *(tile.n_trials for tile in left.tiles)])
    trials = [slice(*pair) for pair in itertools.pairwise(edges)]
    for i, at_i in enumerate(trials):
        for j in range(i if right is left else 0, len(trials)):
            tile = kernel_tile(left, i, right, j).transpose(1, 0, 3, 2)
            kernel[at_i, :, trials[j]] = tile
            if right is left:
                kernel[trials[j], :, at_i] = tile.transpose(2, 3, 0, 1)
    return kernel.reshape(n_trials * n_rows, n_trials * n_rows)
