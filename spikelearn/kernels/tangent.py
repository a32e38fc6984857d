"""Tangent vectors along a recorded trajectory: what Lyapunov exponents are made of.

The state of a neuron is its voltage v, and where it has them a synaptic current i and
an adaptation a. A small change q of it goes on, with the gate psi = dz/d(v - A) of a
spiking cell or f'(h) of a rate unit (f inside of the leak), as

    g   = psi (q_v - beta q_a)
    q_i = alpha_s q_i + into_i W g
    q_v = leak q_v + zeta (q_i + into_v W g) - off_v g
    q_a = rho q_a + into_a g

or with f outside of the leak, where W reads the state itself, as

    q_i = alpha_s q_i + W q_v,   q_v = alpha_m q_v + zeta f'(u) q_i.

k vectors of each sample are orthonormalised after every step (modified Gram-Schmidt:
D Q = Q' R), so that the mean of log R_bb is the b-th Lyapunov exponent. Beside R, a
step leaves what its derivative with respect to a weight consists of:

    d log R_bb / dW_ij = post_bi pre_bj,   post_b = (dq/d(W g))^T q'_b,  pre = g R^-1

with the vectors before and the trajectory held fixed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.matmul import (
    add_transposed,
    list_terms,
    multiply_columns,
    pack,
    share_columns,
)
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivative
from spikelearn.kernels.team import APART, take_place, wait_for
from spikelearn.kernels.vector import (
    BLOCK,
    acquire,
    bare,
    load,
    release,
    select,
    store,
    total,
    width,
    zero_rows,
)


class Linear(NamedTuple):
    """Constants of the linearised step; arrays have shape (n_pad,).

    A vector is q_v, then q_a and q_i where they are followed, each n_pad numbers.
    """

    alpha_m: Any
    alpha_s: Any
    zeta: Any
    rho: Any
    beta: Any
    into_i: Any
    into_v: Any  # of W g, beside what comes by way of i: shifted spikes only
    off_v: Any
    into_a: Any
    at_a: int  # where q_a begins in a vector, 0: it is not followed
    at_i: int  # the same of q_i
    outside: bool
    reset_to_zero: bool  # a spike ends the leak: alpha_m (1 - z) in place of alpha_m


class Tangents(NamedTuple):
    """The vectors, and what their steps leave behind; nobody asked for 0 steps."""

    q: Any  # (B, k, size)
    log_r: Any  # (B, T, k): log R_bb
    r: Any  # (B, T or 0, k, k): R, upper triangular
    kept: Any  # (B, T or 0, k, size): the vectors after every step
    post: Any  # (B, T or 0, k, n_pad)
    pre: Any  # (B, T or 0, k, n_pad)


class TangentRoom(NamedTuple):
    """What a group of samples computes with."""

    g: Any  # (samples * k, 1, n_pad)
    arriving: Any  # (samples * k, 1, n_pad)
    active: Any  # (n_pad + LANES,) int32: the neurons whose gate is not closed
    r: Any  # (k, k)


@kernel
def gates(cell, distance, begin, end, out):
    """Evaluate psi(v - A) or f'(u) at all steps. Mutates `out` (B, T, n_pad)."""
    cell, distance, out = bare(cell), bare(distance), bare(out)
    for b in range(begin, end):
        for t in range(distance.shape[1]):
            for j in range(0, distance.shape[2], width(distance)):
                d = load(distance, (b, t, j))
                if cell.activation == SPIKING:
                    height, inverse = load(cell.height, j), load(cell.inverse_width, j)
                    value = pseudo_derivative(cell.surrogate, d, height, inverse)
                else:
                    value = slope(cell.activation, d)
                store(out, (b, t, j), value)


@kernel
def propagate(linear, panels, gate, distance, begin, end, room, out):
    """Take the vectors of samples `begin` to `end` through all steps of their gates.

    `panels` is W by rows of presynaptic neurons. Each step is divided by its R.

    Mutates
    -------
    room : TangentRoom
    out : Tangents
    """
    linear, panels, gate, distance = (
        bare(linear),
        bare(panels),
        bare(gate),
        bare(distance),
    )
    room, out = bare(room), bare(out)
    k, high = out.q.shape[1], linear.alpha_m.size
    for t in range(gate.shape[1]):
        _send_all(linear, gate, begin, end, t, room, out)
        _move(linear, panels, gate, distance, begin, end, t, 0, high, room, out)
        for b in range(begin, end):
            _divide(linear, gate, b, t, (b - begin) * k, room, out)


@kernel
def propagate_in_team(linear, panels, gate, distance, counters, members, room, out):
    """Do one member's part of `propagate` for a single sample.

    Every member calls it, with room of its own. A member moves the neurons of its
    columns; the first one orthonormalises.

    Mutates
    -------
    counters : (APART * (3 + members),) int64 array, zero before
    room : TangentRoom
    out : Tangents
    """
    linear, panels, gate, distance = (
        bare(linear),
        bare(panels),
        bare(gate),
        bare(distance),
    )
    counters, room, out = bare(counters), bare(room), bare(out)
    me = take_place(counters, members)
    if me >= 0:
        here, done = acquire(counters, APART), APART * (2 + members)
        low, high = share_columns(me, here, room.g)
        for t in range(gate.shape[1]):
            _send_all(linear, gate, 0, 1, t, room, out)
            _meet(counters, me, here, 2 * t + 1)  # nobody reads q any more
            _move(linear, panels, gate, distance, 0, 1, t, low, high, room, out)
            _meet(counters, me, here if me == 0 else 0, 2 * t + 2)
            if me == 0:
                _divide(linear, gate, 0, t, 0, room, out)
                release(counters, done, t + 1)
            else:
                wait_for(counters, done, t + 1)


@inlined
def _meet(counters, me, members, value):
    """Say how far a member is, and wait until so many are there, too."""
    release(counters, APART * (2 + me), value)
    for other in range(members):
        wait_for(counters, APART * (2 + other), value)


@inlined
def _send_all(linear, gate, begin, end, t, room, out):
    k = out.q.shape[1]
    for b in range(begin, end):
        for a in range(k):
            _send(linear, gate, b, t, a, (b - begin) * k + a, out.q, room.g)


@inlined
def _move(linear, panels, gate, distance, begin, end, t, low, high, room, out):
    """Do the linear step of columns `low` to `high`. Mutates `room`, `out`."""
    n, k = panels.n_rows, out.q.shape[1]
    n_rows = (end - begin) * k
    # Where the vectors of a sample fill a block of rows, its closed gates are left out.
    alone = not linear.outside and (k >= 4 or n_rows == k)
    g, arriving = room.g, room.arriving
    if not alone:
        multiply_columns(g, 0, 0, n, panels, 0, n_rows, low, high, arriving)
    for b in range(begin, end):
        first = (b - begin) * k
        at = first
        if alone:
            some, at = (room.active, 0, list_terms(gate, (b, t), n, room.active)), 0
            multiply_columns(g, first, 0, some, panels, 0, k, low, high, arriving)
        for a in range(k):
            rows = (first + a, at + a)
            _step(linear, gate, distance, b, t, a, rows, low, high, room, out.q)


@inlined
def _divide(linear, gate, b, t, first, room, out):
    """Orthonormalise, and keep what was asked for. Mutates `room`, `out`."""
    _orthonormalise(b, t, first, room, out)
    if out.post.shape[1] > 0:
        _keep_factors(linear, gate, b, t, first, room, out)
    if out.kept.shape[1] > 0:
        for a in range(out.q.shape[1]):
            for j in range(0, out.q.shape[2], width(out.q)):
                store(out.kept, (b, t, a, j), load(out.q, (b, a, j)))


@inlined
def _send(linear, gate, b, t, a, row, q, g):
    """Write what the neurons send to each other. Mutates `g`."""
    for j in range(0, linear.alpha_m.size, width(g)):
        sent = load(q, (b, a, j))
        if not linear.outside:
            if linear.at_a > 0:
                sent = sent - load(linear.beta, j) * load(q, (b, a, linear.at_a + j))
            sent = sent * load(gate, (b, t, j))
        store(g, (row, 0, j), sent)


@inlined
def _step(linear, gate, distance, b, t, a, rows, low, high, room, q):
    """Do the linear step with what arrives. Mutates `q`."""
    row, arrived = rows
    for j in range(low, high, width(q)):
        c = load(room.arriving, (arrived, 0, j))
        i = load(linear.into_i, j) * c
        if linear.at_i > 0:
            i += load(linear.alpha_s, j) * load(q, (b, a, linear.at_i + j))
            store(q, (b, a, linear.at_i + j), i)
        g, leak = load(room.g, (row, 0, j)), load(linear.alpha_m, j)
        v, zeta = load(q, (b, a, j)), load(linear.zeta, j)
        if linear.outside:
            v = leak * v + zeta * load(gate, (b, t, j)) * i
        else:
            if linear.reset_to_zero:
                leak = select(load(distance, (b, t, j)) > 0, 0, leak)
            i += load(linear.into_v, j) * c
            v = leak * v + zeta * i - load(linear.off_v, j) * g
        store(q, (b, a, j), v)
        if linear.at_a > 0:
            into = load(linear.into_a, j) * g
            into += load(linear.rho, j) * load(q, (b, a, linear.at_a + j))
            store(q, (b, a, linear.at_a + j), into)


@inlined
def _orthonormalise(b, t, first, room, out):
    """Set D Q = Q' R by modified Gram-Schmidt; `room.g` becomes g R^-1.

    Mutates `room`, `out`.
    """
    k, q, g, r = out.q.shape[1], out.q, room.g, room.r
    for a in range(k):
        r[a, a] = math.sqrt(_dot(q, (b, a), (b, a)))
        out.log_r[b, t, a] = math.log(r[a, a])
        _scale(q, (b, a), 1 / r[a, a])
        if out.pre.shape[1] > 0:
            _scale(g, (first + a, 0), 1 / r[a, a])
        for c in range(a + 1, k):  # they do not wait for each other
            r[a, c] = _dot(q, (b, a), (b, c))
            _subtract(q, (b, a), (b, c), r[a, c])
            if out.pre.shape[1] > 0:
                _subtract(g, (first + a, 0), (first + c, 0), r[a, c])
    if out.r.shape[1] > 0:
        for a in range(k):
            for c in range(a + 1):
                out.r[b, t, c, a] = r[c, a]


@inlined
def _dot(x, one, other):
    """Return the product of two rows of an array."""
    n, lanes = x.shape[2], width(x)
    whole = n - n % (BLOCK * lanes)
    (wide,), (narrow,) = zero_rows(x, 1, BLOCK), zero_rows(x, 1, 1)
    for j in range(0, whole, BLOCK * lanes):
        wide += load(x, (*one, j), BLOCK) * load(x, (*other, j), BLOCK)
    for j in range(whole, n, lanes):
        narrow += load(x, (*one, j)) * load(x, (*other, j))
    return total(wide) + total(narrow)


@inlined
def _subtract(x, one, other, factor):
    """Take a multiple of one row off another. Mutates `x`."""
    for j in range(0, x.shape[2], width(x)):
        rest = load(x, (*other, j)) - factor * load(x, (*one, j))
        store(x, (*other, j), rest)


@inlined
def _scale(x, row, factor):
    for j in range(0, x.shape[2], width(x)):
        store(x, (*row, j), factor * load(x, (*row, j)))


@inlined
def _keep_factors(linear, gate, b, t, first, room, out):
    """Keep the factors of the derivative of log R. Mutates `out`."""
    q = out.q
    for a in range(q.shape[1]):
        for j in range(0, linear.alpha_m.size, width(q)):
            post = load(linear.zeta, j) * load(q, (b, a, j))
            if linear.outside:
                post = post * load(gate, (b, t, j))
            if linear.at_i > 0:
                post += load(q, (b, a, linear.at_i + j))
            post = load(linear.into_i, j) * post
            direct = load(linear.into_v, j) * load(linear.zeta, j)
            post += direct * load(q, (b, a, j))
            store(out.post, (b, t, a, j), post)
            store(out.pre, (b, t, a, j), load(room.g, (first + a, 0, j)))


@kernel
def add_outer(pre, post, n, part, panels, out):
    """Add sum_{b,s} pre[b, s] post[b, s]^T to out (n, n_pad) for the samples of a part.

    Mutates
    -------
    panels : Panels, to compute with
        Of one sample: as many rows as it has, n_pad numbers each.
    out : (n, n_pad) array, [pre, post]
    """
    pre, post, panels, out = bare(pre), bare(post), bare(panels), bare(out)
    none = part.begin - part.begin
    for b in range(part.begin, part.end):
        pack(post, b * panels.n_rows, part.low, part.high, panels)
        add_transposed(pre, b, none, n, panels, none, part, out, none)
