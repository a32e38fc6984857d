"""Forward pass of a recurrent network of (adaptive) leaky integrate-and-fire cells.

All T steps of all samples run in one call. Spikes are events: a step adds one weight
row per input event and per recurrent spike, so its cost grows with activity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.vector import (
    BLOCK,
    aligned_zeros,
    bare,
    emit,
    load,
    padded,
    select,
    store,
    stream,
    width,
    zeros_like,
)

SPIKING = 0
SHORT = 72  # vectors of a row up to which sums of rows stay in registers
STREAMED = 1 << 22  # numbers of a record that goes past the caches, which it overflows
OUT_OF_REACH = 1e30  # a threshold whose square is infinite in float32


class Cell(NamedTuple):
    """Per-neuron constants of one time step; every array has shape (n_pad,).

    Rows of neurons are padded to whole vectors (`kernels.vector`) with cells that stay
    silent (`pad_cell`). `height` and `inverse_width` belong to the pseudo-derivative. A
    flag switches off the work of a mechanism that no neuron of the population has.
    `activation` is SPIKING or a code of `kernels.rate`; `outside` places it there
    outside of the leak.
    """

    alpha_m: Any
    alpha_s: Any
    zeta: Any
    rho: Any
    beta: Any
    v_th: Any
    n_ref: Any  # of the dtype of the others
    height: Any
    inverse_width: Any
    surrogate: int
    reset_to_zero: bool
    has_synaptic_current: bool
    has_adaptation: bool
    has_refractory: bool
    activation: int
    outside: bool


class Weights(NamedTuple):
    """Weights as the kernels read them: one contiguous row per presynaptic unit.

    With few connections, or with delays of their own, connections are listed
    (compressed rows), and only the weights of the list are read.
    """

    w: Any  # (n_in + N, n_pad): inputs above recurrent neurons; N <= n_pad
    bias: Any  # (n_pad,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)
    kappa: Any  # scalar of the dtype of w
    out_gain: Any  # scalar of the dtype of w
    delay: Any  # (N, N) int32 as [pre, post], or (0, 0): all synapses take the longest
    longest_delay: int  # steps, >= 1
    start: Any  # (n_in + N + 1,) int64: connections of row k are start[k] to start[k+1]
    target: Any  # (n_connections,) int32, or (0,): rows are dense and read as a whole


class State(NamedTuple):
    """What a network carries from one step to the next; zero before the first."""

    v: Any  # (B, n_pad)
    a: Any  # (B, n_pad)
    i: Any  # (B, n_pad)
    reset: Any  # (B, n_pad): what is taken off v at the next step
    refractory: Any  # (B, n_pad) of the same dtype: steps left
    y: Any  # (B, n_out)
    pending: Any  # (B, longest_delay, n_pad): arrives at step t, in row t % longest
    time: Any  # (B,) int64: steps done


class InputEvents(NamedTuple):
    """Non-zero inputs: those of sample b at step t are start[b, t] to start[b, t+1]."""

    start: Any  # (B, T + 1) int64
    unit: Any  # (B * (T * n_in + LANES),) int32
    value: Any  # as long as `unit`, or (0,) when all values are 1
    n_in: int


class Trajectory(NamedTuple):
    """What a forward pass leaves behind for the credit kernels and for people.

    `distance` is v - A, or -inf while refractory. The spikes of sample b at step t are
    `spike[first[b, t]:first[b, t + 1]]`. What nobody asked for has 0 steps and is left
    alone. Rate units have no spikes but an `output`, and `distance` is the argument of
    their activation.
    """

    distance: Any  # (B, T or 0, n_pad), from a whole vector of memory on
    first: Any  # (B, T + 1) int64
    spike: Any  # (B * (T * N + LANES),) int32
    output: Any  # (B, T, n_pad) of rate units, else (B, 0, n_pad)
    y: Any  # (B, T, n_out)
    v: Any  # (B, T, n_pad) or (B, 0, n_pad)
    a: Any
    i: Any


def pad_cell(cell: Cell) -> Cell:
    """Return the constants of a population, filled up to whole vectors.

    The neurons that fill up have a threshold out of reach and no pseudo-derivative, and
    of the rest 0: nothing of them reaches a neuron or a gradient.
    """
    dtype = cell.v_th.dtype
    arrays: dict[str, Any] = {}
    for name, value in cell._asdict().items():
        if isinstance(value, np.ndarray):
            arrays[name] = aligned_zeros((padded(value.size),), dtype)
            if name == "v_th" and cell.activation == SPIKING:
                arrays[name][value.size :] = OUT_OF_REACH
            arrays[name][: value.size] = value
    return cell._replace(**arrays)


@kernel
def list_events(x, begin, end, events):
    """List the non-zero entries of x (T, B, n_in) for samples `begin` to `end`.

    Mutates
    -------
    events : InputEvents
    """
    for b in range(begin, end):
        _list_sample(bare(x), b, bare(events))


@kernel
def _list_sample(x, b, events):
    start, unit, value = events.start, events.unit, events.value
    n_steps, n_samples, n_in = x.shape
    e = b * (unit.size // n_samples)
    start[b, 0] = e
    lanes, graded = width(x), value.size > 0
    whole = 0 if graded else n_in - n_in % lanes
    for t in range(n_steps):
        for k in range(0, whole, lanes):
            e = emit(load(x, (t, b, k)) != 0, k, unit, e)
        for k in range(whole, n_in):
            # Every entry is written, and overwritten unless it counts: no branch.
            unit[e] = k
            if graded:
                value[e] = x[t, b, k]
            e += x[t, b, k] != 0
        start[b, t + 1] = e


@kernel
def forward(cell, weights, events, begin, end, state, out):
    """Run samples `begin` to `end` for all time steps.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec z[t-delay]
        v[t] = alpha_m v[t-1] + zeta i[t] + bias  [- v_th z[t-1], reset "subtract"]
        a[t] = rho a[t-1] + z[t-1],   A[t] = v_th + beta a[t]
        z[t] = (v[t] > A[t]) and not refractory    [then v[t] := 0, reset "zero"]
        y[t] = kappa y[t-1] + out_gain w_out z[t] + b_out

    The refractory counter is set to n_ref by a spike and decremented before the test of
    the next step; the neuron is refractory while it is > 0.

    Mutates
    -------
    state : State
    out : Trajectory
    """
    for b in range(begin, end):
        _forward_sample(
            bare(cell), bare(weights), bare(events), b, bare(state), bare(out)
        )


@kernel
def _forward_sample(cell, weights, events, b, state, out):
    spike, first = out.spike, out.first
    n_pad, lanes = cell.alpha_m.size, width(cell.alpha_m)
    n_steps, span = first.shape[1] - 1, weights.longest_delay
    dense, long = weights.target.size == 0, n_pad > SHORT * lanes
    # What most networks are gets wide blocks and no questions in between.
    plain = not (cell.has_refractory or cell.reset_to_zero or out.v.shape[1] > 0)
    plain = plain and n_pad % (BLOCK * lanes) == 0
    in_memory = long or not dense or events.value.size > 0

    slot = state.time[b] % span
    n_spikes = b * (spike.size // first.shape[0])
    first[b, 0] = n_spikes
    for t in range(n_steps):
        # Spikes of earlier calls, and of connections in lists, come by `pending`.
        begin, end = 0, 0
        if dense and t >= span:
            begin, end = first[b, t - span], first[b, t - span + 1]
        by_pending = not dense or t < span
        last = t == n_steps - 1
        if in_memory:
            collect(cell, weights, events, t, spike, begin, end, b, slot, state)
            by_pending = False
        previous = n_spikes
        at = b, t, begin, end, slot, in_memory, by_pending, last
        given = cell, weights, events
        if plain:
            for j in range(0, n_pad, BLOCK * lanes):
                i = load(state.i, (b, j), BLOCK)
                n_spikes = _step(i, given, at, j, n_spikes, True, state, out)
        else:
            for j in range(0, n_pad, lanes):
                i = load(state.i, (b, j))
                n_spikes = _step(i, given, at, j, n_spikes, False, state, out)
        first[b, t + 1] = n_spikes

        if not dense:
            for e in range(previous, n_spikes):
                send(weights, events.n_in, spike[e], 1, slot, b, state.pending)
        read_out(weights, b, t, previous, n_spikes, state.y, out)
        slot += 1
        if slot == span:
            slot = 0
    if dense:
        for t in range(max(n_steps - span, 0), n_steps):
            late = (state.time[b] + t) % span
            for e in range(first[b, t], first[b, t + 1]):
                send(weights, events.n_in, spike[e], 1, late, b, state.pending)
    state.time[b] += n_steps


@inlined
def _step(i, given, at, j, n_spikes, plain, state, out):
    """Do a step of neurons from j on, whose current was i; return the end of spikes."""
    cell, weights, _ = given
    b, t, begin, end, slot, in_memory, by_pending, last = at
    if not in_memory:
        i = _arriving(i, given, b, t, begin, end, slot, j, by_pending, state, out)
        if cell.has_synaptic_current or last:
            store(state.i, (b, j), i)
    return update(i, cell, weights, b, t, j, n_spikes, plain, state, out)


@inlined
def update(i, cell, weights, b, t, j, n_spikes, plain, state, out):
    """Move neurons from j on by a step and list their spikes; return the list's end.

    `i` is their current, as many as there are; a constant `plain` takes questions out.

    Mutates
    -------
    state : State
    out : Trajectory
    """
    has_refractory = not plain and cell.has_refractory
    to_zero = not plain and cell.reset_to_zero
    keeps_states = not plain and out.v.shape[1] > 0
    minus_infinity = state.v.dtype.type(-np.inf)
    v = load(cell.alpha_m, j, i) * load(state.v, (b, j), i) + (
        load(cell.zeta, j, i) * i + load(weights.bias, j, i)
    )
    v -= load(state.reset, (b, j), i)
    v_th = load(cell.v_th, j, i)
    d = v - v_th
    if cell.has_adaptation:
        a = load(state.a, (b, j), i)
        d = v - (v_th + load(cell.beta, j, i) * a)
    if has_refractory:
        left = load(state.refractory, (b, j), i) - 1
        d = select(left > 0, minus_infinity, d)
        left = select(d > 0, load(cell.n_ref, j, i), left)
        store(state.refractory, (b, j), left)
    fired = d > 0
    if out.distance.size > STREAMED:
        stream(out.distance, (b, t, j), d)
    elif out.distance.shape[1] > 0:
        store(out.distance, (b, t, j), d)
    if keeps_states:
        store(out.v, (b, t, j), v)
        store(out.a, (b, t, j), load(state.a, (b, j), i))
        store(out.i, (b, t, j), i)
    # What the spikes of this step do at the next one.
    if to_zero:
        v = select(fired, 0, v)
    else:
        store(state.reset, (b, j), select(fired, v_th, 0))
    store(state.v, (b, j), v)
    if cell.has_adaptation:
        a = load(cell.rho, j, i) * load(state.a, (b, j), i)
        store(state.a, (b, j), select(fired, a + 1, a))
    return emit(fired, j, out.spike, n_spikes)


@inlined
def _arriving(i, given, b, t, begin, end, slot, j, by_pending, state, out):
    """Return the current of neurons from j on: alpha_s i + pending + spikes + inputs.

    Sums of weight rows stay in registers. Their order does not depend on whether a
    spike came by `pending`, which is emptied, or directly.
    """
    cell, weights, events = given
    w, pending = weights.w, state.pending
    arriving = zeros_like(i)
    if by_pending:
        arriving = load(pending, (b, slot, j), i)
        store(pending, (b, slot, j), zeros_like(i))
    arriving = sum_block(arriving, w, events.n_in, out.spike, begin, end, j)
    if cell.has_synaptic_current:
        arriving += load(cell.alpha_s, j, i) * i
    first, last = events.start[b, t], events.start[b, t + 1]
    return sum_block(arriving, w, 0, events.unit, first, last, j)


@inlined
def collect(cell, weights, events, t, spike, begin, end, b, slot, state):
    """Set the current of one step: i = alpha_s i + pending + spikes + inputs.

    The same in memory: long rows are read from end to end, and connections in lists
    and inputs that are no spikes are added one by one.

    Mutates
    -------
    state : State
        `i`, and `pending`, whose slot is emptied, of sample b.
    """
    w, current, pending = weights.w, state.i, state.pending
    first, last = events.start[b, t], events.start[b, t + 1]
    graded, dense = events.value.size > 0, weights.target.size == 0
    n_pad = w.shape[1]
    add_rows(pending, (b, slot), w, events.n_in, spike, begin, end, 0, n_pad)
    for j in range(0, w.shape[1], width(w)):
        i = load(pending, (b, slot, j))
        if cell.has_synaptic_current:
            i += load(cell.alpha_s, j) * load(current, (b, j))
        store(current, (b, j), i)
        store(pending, (b, slot, j), 0)
    if dense and not graded:
        add_rows(current, (b,), w, 0, events.unit, first, last, 0, n_pad)
    else:
        for e in range(first, last):
            x = events.value[e] if graded else w.dtype.type(1)
            if dense:
                add_row(current, (b,), w, events.unit[e], x)
            else:
                _add_listed(weights, events.unit[e], x, b, current)


@inlined
def sum_block(total, w, offset, unit, first, last, j):
    """Return total + sum_e w[offset + unit[e], j:] for first <= e < last."""
    for e in range(first, last):
        total += load(w, (offset + unit[e], j), total)
    return total


@inlined
def add_rows(target, at, w, offset, unit, first, last, low, high):
    """Add the rows offset + unit[first:last] of w, four at a time, in some columns.

    Mutates
    -------
    target : float array, in the row `at`
    """
    lanes = width(w)
    fours = first + (last - first) // 4 * 4
    for e in range(first, fours, 4):
        k_0, k_1 = offset + unit[e], offset + unit[e + 1]
        k_2, k_3 = offset + unit[e + 2], offset + unit[e + 3]
        for j in range(low, high, lanes):
            total = load(target, (*at, j)) + load(w, (k_0, j))
            total += load(w, (k_1, j))
            total += load(w, (k_2, j))
            total += load(w, (k_3, j))
            store(target, (*at, j), total)
    for e in range(fours, last):
        row = offset + unit[e]
        for j in range(low, high, lanes):
            store(target, (*at, j), load(target, (*at, j)) + load(w, (row, j)))


@inlined
def add_row(target, at, w, row, factor):
    """Add a row of w times a number. Mutates `target`."""
    for j in range(0, w.shape[1], width(w)):
        total = load(target, (*at, j)) + factor * load(w, (row, j))
        store(target, (*at, j), total)


@inlined
def _add_listed(weights, row, factor, b, current):
    """Add the listed weights of a row times a number. Mutates `current`."""
    for c in range(weights.start[row], weights.start[row + 1]):
        k = weights.target[c]
        current[b, k] += factor * weights.w[row, k]


@inlined
def send(weights, n_in, j, value, slot, b, pending):
    """Send the output of neuron j at a step of this slot to where it arrives later.

    Mutates
    -------
    pending : (B, longest_delay, n_pad) float array
    """
    w, row = weights.w, n_in + j
    if weights.target.size == 0:
        add_row(pending, (b, slot), w, row, value)
    else:
        for c in range(weights.start[row], weights.start[row + 1]):
            k = weights.target[c]
            pending[b, arrival(weights, j, k, slot), k] += value * w[row, k]


@inlined
def arrival(weights, j, k, slot):
    """Return the slot in which what j sends now arrives at k."""
    late = slot
    if weights.delay.shape[0] > 0:
        late += weights.delay[j, k]
        late = late - weights.longest_delay if late >= weights.longest_delay else late
    return late


@inlined
def read_out(weights, b, t, first, last, y, out):
    """Update the leaky readout with the spikes of step t. Mutates `y`, `out.y`."""
    w_out, spike, out_y = weights.w_out, out.spike, out.y
    for k in range(weights.b_out.size):
        total = w_out.dtype.type(0)
        for e in range(first, last):
            total += w_out[spike[e], k]
        new = weights.out_gain * total + weights.b_out[k]
        y[b, k] = new + weights.kappa * y[b, k]
        out_y[b, t, k] = y[b, k]
