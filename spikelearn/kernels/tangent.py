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

k vectors of each sample are orthonormalised after every step, D Q = Q' R, so that the
mean of log R_bb is the b-th Lyapunov exponent. Beside R, a step leaves what its
derivative with respect to a weight consists of:

    d log R_bb / dW_ij = post_bi pre_bj,   post_b = (dq/d(W g))^T q'_b,  pre = g R^-1

with the vectors before and the trajectory held fixed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from spikelearn.kernels import inlined, kernel, team
from spikelearn.kernels._tiles import TILE_ROWS
from spikelearn.kernels.matmul import add_transposed, list_terms, multiply, pack
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivative
from spikelearn.kernels.team import APART, take_place, wait_for
from spikelearn.kernels.vector import (
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

SHARE = TILE_ROWS
"""Vectors that are moved and made orthonormal together; members share them out."""
RING = 8
"""Steps that members of a team can be apart."""
PATIENCE = 10 * team.PATIENCE  # a pass takes much longer than one of the network


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


class Path(NamedTuple):
    """The linear step, and the trajectory along which it is taken."""

    linear: Linear
    panels: Any  # Panels: W by rows of presynaptic neurons
    gate: Any  # (B, T, n_pad): psi or f'
    distance: Any  # (B, T, n_pad): v - A, which is above 0 where there is a spike


class Tangents(NamedTuple):
    """The vectors, and what their steps leave behind; nobody asked for 0 steps."""

    q: Any  # (B, k, size)
    lengths: Any  # (B, T, k): R_bb
    r: Any  # (B, T or 0, k, k): R, upper triangular
    kept: Any  # (B, T or 0, k, size): the vectors after every step
    post: Any  # (B, T or 0, k, n_pad)
    pre: Any  # (B, T or 0, k, n_pad)


class TangentRoom(NamedTuple):
    """What a group of samples, or a member of a team, computes with."""

    g: Any  # (samples * k, 1, n_pad)
    arriving: Any  # (samples * k, 1, n_pad)
    active: Any  # (n_pad + LANES,) int32: the neurons whose gate is not closed
    r: Any  # (k, k)
    smallest: float  # part of a squared length that may be left by earlier vectors


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
def propagate(path, begin, end, room, out):
    """Take the vectors of samples `begin` to `end` through all steps of their gates.

    Each step is divided by its R.

    Mutates
    -------
    room : TangentRoom
    out : Tangents
    """
    path, room, out = bare(path), bare(room), bare(out)
    q, k = out.q, out.q.shape[1]
    for t in range(path.gate.shape[1]):
        _move(path, begin, end, t, 0, k, q, begin, begin, room)
        for b in range(begin, end):
            _divide(path, b, t, 0, k, (b - begin) * k, q, b, room, out)


@kernel
def propagate_in_team(path, counters, members, ring, room, out):
    """Do one member's part of `propagate` for a single sample.

    A vector depends on those before it and on none behind it. So each member has
    vectors of its own, and those with the first ones run ahead.

    Mutates
    -------
    counters : (APART * (2 + members),) int64 array, zero before
    ring : (RING, k, size) array
        The vectors of the last steps. The last row has those before the first step.
    room : TangentRoom
        Of this member.
    out : Tangents
        All but `q`.
    """
    path, counters, ring = bare(path), bare(counters), bare(ring)
    room, out = bare(room), bare(out)
    me, k, last = take_place(counters, members, PATIENCE), ring.shape[1], RING - 1
    if me >= 0:
        here, blocks = acquire(counters, APART), -(-k // SHARE)
        low = me * blocks // here * SHARE
        high = min((me + 1) * blocks // here * SHARE, k)
        before, now = last, 0
        for t in range(path.gate.shape[1]):
            for other in range(me + 1, here):  # they may still read what is written
                wait_for(counters, APART * (2 + other), t - last)
            _move(path, 0, 1, t, low, high, ring, before, now, room)
            for other in range(me):
                wait_for(counters, APART * (2 + other), t + 1)
            _divide(path, 0, t, low, high, 0, ring, now, room, out)
            release(counters, APART * (2 + me), t + 1)
            before, now = now, now + 1 if now < last else 0


@inlined
def _move(path, begin, end, t, low, high, q, before, now, room):
    """Do the linear step of vectors `low` to `high`, of all for several samples.

    Those of sample `begin` are in row `before` of q, and come to row `now`; the others
    follow. Mutates `q`, `room`.
    """
    n, k, some = path.panels.n_rows, q.shape[1], high - low
    g, arriving, active = room.g, room.arriving, room.active
    for b in range(begin, end):
        for a in range(low, high):
            row = (b - begin) * k + a
            _send(path, b, t, q, (before + b - begin, a), g, row)
    # Where the vectors of a sample fill a block of rows, its closed gates are left out.
    alone = not path.linear.outside and (some >= 4 or end - begin == 1)
    if not alone:
        multiply(g, low, 0, n, path.panels, 0, (end - begin) * some, arriving)
    for b in range(begin, end):
        first, at = (b - begin) * k + low, (b - begin) * some
        if alone:
            terms, at = (active, 0, list_terms(path.gate, (b, t), n, active)), 0
            multiply(g, first, 0, terms, path.panels, 0, some, arriving)
        for a in range(some):
            rows = (before + b - begin, now + b - begin, low + a, first + a, at + a)
            _step(path, b, t, q, rows, room)


@inlined
def _send(path, b, t, q, row, g, to):
    """Write what the neurons send to each other. Mutates `g`."""
    linear = path.linear
    for j in range(0, linear.alpha_m.size, width(g)):
        sent = load(q, (*row, j))
        if not linear.outside:
            if linear.at_a > 0:
                sent = sent - load(linear.beta, j) * load(q, (*row, linear.at_a + j))
            sent = sent * load(path.gate, (b, t, j))
        store(g, (to, 0, j), sent)


@inlined
def _step(path, b, t, q, rows, room):
    """Do the linear step with what arrives. Mutates `q`."""
    linear, (before, now, a, row, arrived) = path.linear, rows
    for j in range(0, linear.alpha_m.size, width(q)):
        c = load(room.arriving, (arrived, 0, j))
        i = load(linear.into_i, j) * c
        if linear.at_i > 0:
            i += load(linear.alpha_s, j) * load(q, (before, a, linear.at_i + j))
            store(q, (now, a, linear.at_i + j), i)
        g, leak = load(room.g, (row, 0, j)), load(linear.alpha_m, j)
        v, zeta = load(q, (before, a, j)), load(linear.zeta, j)
        if linear.outside:
            v = leak * v + zeta * load(path.gate, (b, t, j)) * i
        else:
            if linear.reset_to_zero:
                leak = select(load(path.distance, (b, t, j)) > 0, 0, leak)
            i += load(linear.into_v, j) * c
            v = leak * v + zeta * i - load(linear.off_v, j) * g
        if linear.at_a > 0:
            into = load(linear.into_a, j) * g
            into += load(linear.rho, j) * load(q, (before, a, linear.at_a + j))
            store(q, (now, a, linear.at_a + j), into)
        store(q, (now, a, j), v)


@inlined
def _divide(path, b, t, low, high, first, q, at, room, out):
    """Make vectors `low` to `high` orthonormal, also to all before them.

    They are in row `at` of q; g begins with row `first`. Mutates `q`, `room`, `out`.
    """
    for begin in range(low, high, SHARE):
        end = min(begin + SHARE, high)
        if _factorise(begin, end, q, at, room):
            _solve(begin, end, q, at, room.r)
        else:
            _orthonormalise(begin, end, q, at, room.r)
    for c in range(low, high):
        out.lengths[b, t, c] = room.r[c, c]
        if out.r.shape[1] > 0:
            for a in range(c + 1):
                out.r[b, t, a, c] = room.r[a, c]
        if out.kept.shape[1] > 0:
            for j in range(0, q.shape[2], width(q)):
                store(out.kept, (b, t, c, j), load(q, (at, c, j)))
        if out.post.shape[1] > 0:
            _keep_factors(path, b, t, c, first, q, at, room, out)


@inlined
def _factorise(low, high, q, at, room):
    """Find the R of vectors `low` to `high`; all before them are orthonormal.

    The scalar products are R^T R, which costs half of Gram-Schmidt. The rounding error
    of R grows with 1 / (the part of a squared length that earlier vectors leave): where
    it is below `room.smallest` the result is False. Mutates `room.r`.
    """
    r = room.r
    for c in range(low, high):
        for a in range(0, low, 4):
            _multiply(q, at, a, low, c, r)
        for a in range(low, c + 1, 4):
            _multiply(q, at, a, c + 1, c, r)
        whole = r[c, c]
        for a in range(low, c + 1):
            for m in range(a):
                r[a, c] -= r[m, a] * r[m, c]
            if a < c:
                r[a, c] /= r[a, a]
        if not r[c, c] > room.smallest * whole:
            return False
        r[c, c] = math.sqrt(r[c, c])
    return True


@inlined
def _multiply(q, at, a, end, c, r):
    """Set r[a:end, c], or four of them, to scalar products. Mutates `r`."""
    a1, a2, a3 = min(a + 1, end - 1), min(a + 2, end - 1), min(a + 3, end - 1)
    s0, s1, s2, s3 = zero_rows(q, 4, 1)  # they do not wait for each other
    for j in range(0, q.shape[2], width(q)):
        one = load(q, (at, c, j))
        s0 += one * load(q, (at, a, j))
        s1 += one * load(q, (at, a1, j))
        s2 += one * load(q, (at, a2, j))
        s3 += one * load(q, (at, a3, j))
    r[a, c], r[a1, c], r[a2, c], r[a3, c] = total(s0), total(s1), total(s2), total(s3)


@inlined
def _solve(low, high, q, at, r):
    """Divide vectors by R. Mutates `q`."""
    for c in range(low, high):
        inverse = 1 / r[c, c]
        for j in range(0, q.shape[2], width(q)):
            rest = load(q, (at, c, j))
            for a in range(c):
                rest = rest - r[a, c] * load(q, (at, a, j))
            store(q, (at, c, j), inverse * rest)


@inlined
def _orthonormalise(low, high, q, at, r):
    """Find R and divide by it: modified Gram-Schmidt. Mutates `q`, `r`."""
    for c in range(low, high):
        for a in range(c):
            r[a, c] = _dot(q, (at, a), (at, c))
            for j in range(0, q.shape[2], width(q)):
                rest = load(q, (at, c, j)) - r[a, c] * load(q, (at, a, j))
                store(q, (at, c, j), rest)
        r[c, c] = math.sqrt(_dot(q, (at, c), (at, c)))
        inverse = 1 / r[c, c]
        for j in range(0, q.shape[2], width(q)):
            store(q, (at, c, j), inverse * load(q, (at, c, j)))


@inlined
def _dot(x, one, other):
    """Return the product of two rows of an array."""
    (result,) = zero_rows(x, 1, 1)
    for j in range(0, x.shape[2], width(x)):
        result += load(x, (*one, j)) * load(x, (*other, j))
    return total(result)


@inlined
def _keep_factors(path, b, t, c, first, q, at, room, out):
    """Keep the factors of the derivative of log R of a vector. Mutates `out`."""
    linear, r = path.linear, room.r
    inverse = 1 / r[c, c]
    for j in range(0, linear.alpha_m.size, width(q)):
        post = load(linear.zeta, j) * load(q, (at, c, j))
        if linear.outside:
            post = post * load(path.gate, (b, t, j))
        if linear.at_i > 0:
            post += load(q, (at, c, linear.at_i + j))
        post = load(linear.into_i, j) * post
        direct = load(linear.into_v, j) * load(linear.zeta, j)
        post += direct * load(q, (at, c, j))
        store(out.post, (b, t, c, j), post)
        pre = load(room.g, (first + c, 0, j))
        for a in range(c):
            pre = pre - r[a, c] * load(out.pre, (b, t, a, j))
        store(out.pre, (b, t, c, j), inverse * pre)


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
