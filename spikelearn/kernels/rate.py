"""Forward pass of a recurrent network of leaky rate units, and their activations.

The activation is chosen by an integer code, and so is its derivative:

    RELU      f(u) = max(0, u)          f'(u) = [u > 0]
    TANH      f(u) = tanh(u)            f'(u) = 1 - tanh(u)^2
    SOFTPLUS  f(u) = log(1 + exp(u))    f'(u) = 1 / (1 + exp(-u))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.matmul import Panels, list_terms, multiply, pack
from spikelearn.kernels.spiking import (
    SPIKING,
    Cell,
    InputEvents,
    State,
    Trajectory,
    Weights,
    send,
    sum_block,
)
from spikelearn.kernels.vector import (
    BLOCK,
    LANES,
    aligned_empty,
    aligned_zeros,
    bare,
    exp,
    load,
    log1p,
    select,
    store,
    tanh,
    total,
    width,
    zero_rows,
)

RELU, TANH, SOFTPLUS = SPIKING + 1, SPIKING + 2, SPIKING + 3

DENSE = 0.25
"""Share of inputs that are not 0 from which on they are multiplied, not listed."""

ACTIVATIONS = {"relu": RELU, "tanh": TANH, "softplus": SOFTPLUS}


@inlined
def activate(code, u):
    """Return f(u) of units: numbers, or vectors of them."""
    positive = select(u < 0, 0, u)  # NaN stays
    if code == RELU:
        r = positive
    elif code == TANH:
        r = tanh(u)
    else:
        r = positive + log1p(exp(-1 * abs(u)))
    return r


@inlined
def slope(code, u):
    """Return f'(u) of units: numbers, or vectors of them."""
    zero = 0 * u
    if code == RELU:
        f = select(u > 0, zero + 1, zero)
    elif code == TANH:
        e = exp(-2 * abs(u))
        f = 4 * e / ((1 + e) * (1 + e))
    else:
        e = exp(-1 * abs(u))
        f = select(u > 0, zero + 1, e) / (1 + e)
    return f


@kernel
def slopes(code, u, out):
    """Evaluate f'(u) for all units. Mutates `out`."""
    for j in range(u.size):
        out[j] = slope(code, u[j])


def forward_rate(
    cell: Cell,
    weights: Weights,
    events: InputEvents,
    begin: int,
    end: int,
    state: State,
    out: Trajectory,
) -> None:
    """Run samples `begin` to `end` for all time steps.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec r[t-delay]
        inside:   h[t] = alpha_m h[t-1] + zeta i[t] + bias,  r[t] = f(h[t])
        outside:  u[t] = i[t] + bias,  h[t] = alpha_m h[t-1] + zeta f(u[t]),  r = h
        y[t] = kappa y[t-1] + out_gain w_out r[t] + b_out

    `out.distance` is the argument of f, `out.v` is h. The samples step together: where
    all delays are the same, w_rec r is one matrix product for all of them. Dense inputs
    are a product over all steps of a sample.

    Mutates
    -------
    state : State
    out : Trajectory
    """
    n_steps, (n_rows, n_pad) = out.y.shape[1], weights.w.shape
    dtype = weights.w.dtype
    panels = Panels(aligned_empty((n_rows * n_pad,), dtype), n_rows)
    pack(weights.w, 0, 0, n_pad, panels)
    inputs = dense_inputs(events, begin, end, n_steps, n_steps, dtype)
    drive(weights, panels, events, begin, end, inputs, out.output)
    w_out = aligned_zeros((weights.b_out.size, n_pad), dtype)
    w_out[:, : weights.w_out.shape[0]] = weights.w_out.T
    arriving = aligned_empty((end - begin, 1, n_pad), dtype)
    active = np.empty(n_pad + LANES, np.int32)
    run(cell, weights, panels, w_out, begin, end, active, arriving, state, out)
    state.time[begin:end] += n_steps


def dense_inputs(
    events: InputEvents, begin: int, end: int, n_steps: int, n_rows: int, dtype: Any
) -> np.ndarray:
    """Return room for the inputs of `n_rows` steps, (n_rows, n_in).

    It has no rows where no sample has so many inputs that products are faster.
    """
    counts = events.start[begin:end, -1] - events.start[begin:end, 0]
    dense = counts.max() > DENSE * n_steps * events.n_in
    return np.zeros((n_rows if dense else 0, events.n_in), dtype)


@kernel
def drive(weights, panels, events, begin, end, inputs, out):
    """Set out[b, t] = w_in x[b, t] for all steps of samples `begin` to `end`.

    Mutates
    -------
    inputs : (T, n_in) array, to compute with; or (0, n_in): inputs are few
    out : (B, T, n_pad) array
    """
    w, panels, events, x = bare(weights.w), bare(panels), bare(events), bare(inputs)
    n_steps, none = out.shape[1], begin - begin  # none: an int64, as others pass
    rows_of_x = bare(inputs.reshape(inputs.shape[0], 1, events.n_in))
    for b in range(begin, end):
        if x.shape[0] > 0:
            write_inputs(events, b, none, n_steps, x)
            rows = bare(out[b].reshape(n_steps, 1, out.shape[2]))
            n_in = events.n_in
            multiply(rows_of_x, none, none, n_in, panels, none, n_steps, rows)
        else:
            _drive_by_events(w, events, b, bare(out[b]))


@inlined
def write_inputs(events, b, first, n_rows, x):
    """Write the inputs of steps `first` on to x (n_rows, n_in). Mutates `x`."""
    for row in range(n_rows):
        for k in range(events.n_in):
            x[row, k] = 0
        t = first + row
        for e in range(events.start[b, t], events.start[b, t + 1]):
            graded = events.value.size > 0
            x[row, events.unit[e]] = events.value[e] if graded else 1


@inlined
def _drive_by_events(w, events, b, drive):
    n_steps, n_pad = drive.shape
    whole = n_pad - n_pad % (BLOCK * width(w))
    (wide,), (narrow,) = zero_rows(w, 1, BLOCK), zero_rows(w, 1, 1)
    for t in range(n_steps):
        for j in range(0, whole, BLOCK * width(w)):
            store(drive, (t, j), _add_events(wide, w, events, b, t, j))
        for j in range(whole, n_pad, width(w)):
            store(drive, (t, j), _add_events(narrow, w, events, b, t, j))


@inlined
def _add_events(i, w, events, b, t, j):
    first, last = events.start[b, t], events.start[b, t + 1]
    if events.value.size == 0:
        i = sum_block(i, w, 0, events.unit, first, last, j)
    else:
        for e in range(first, last):
            i += events.value[e] * load(w, (events.unit[e], j), i)
    return i


@kernel
def run(cell, weights, panels, w_out, begin, end, active, arriving, state, out):
    """Run all steps, with w_in x[t] in out.output[t]. Mutates the last four."""
    cell, weights, panels, w_out = bare(cell), bare(weights), bare(panels), bare(w_out)
    arriving, state, out = bare(arriving), bare(state), bare(out)
    active, none = bare(active), begin - begin
    n, n_pad, span = weights.w_out.shape[0], cell.alpha_m.size, weights.longest_delay
    n_steps, same_delay = out.y.shape[1], weights.delay.shape[0] == 0
    n_in, rows = panels.n_rows - n, end - begin
    # The weights of a single sample's silent units are not read.
    some = rows == 1 and cell.activation == RELU and not cell.outside
    for t in range(n_steps):
        if same_delay and t >= span:
            sent, r = t - span, out.output
            if some:
                terms = (active, none, list_terms(r, (begin, sent), n, active))
                multiply(r, begin, sent, terms, panels, n_in, rows, arriving)
            else:
                multiply(r, begin, sent, n, panels, n_in, rows, arriving)
        for b in range(begin, end):
            slot = (state.time[b] + t) % span
            if not same_delay or t < span:
                _take(state.pending, b, slot, arriving, b - begin)
            _step(cell, weights, b, t, arriving, b - begin, state, out)
            _read_out(weights, w_out, b, t, state.y, out)
            if not same_delay:
                for j in range(n):
                    r_j = out.output[b, t, j]
                    send(weights, n_in, j, r_j, slot, b, state.pending)
    if same_delay:
        for t in range(max(n_steps - span, 0), n_steps):
            r = out.output
            multiply(r, begin, t, n, panels, n_in, rows, arriving)
            for b in range(begin, end):
                slot = (state.time[b] + t) % span
                for j in range(0, n_pad, width(arriving)):
                    late = load(arriving, (b - begin, 0, j))
                    store(state.pending, (b, slot, j), late)


@inlined
def _take(pending, b, slot, arriving, row):
    """Move what arrives at a step. Mutates `pending`, `arriving`."""
    for j in range(0, pending.shape[2], width(pending)):
        store(arriving, (row, 0, j), load(pending, (b, slot, j)))
        store(pending, (b, slot, j), 0)


@inlined
def _step(cell, weights, b, t, arriving, row, state, out):
    """Update the units of one sample. Mutates `state`, `out`."""
    for j in range(0, cell.alpha_m.size, width(cell.alpha_m)):
        i = load(arriving, (row, 0, j))
        if cell.has_synaptic_current:
            i += load(cell.alpha_s, j) * load(state.i, (b, j))
        i += load(out.output, (b, t, j))
        alpha_m, zeta = load(cell.alpha_m, j), load(cell.zeta, j)
        h, bias = load(state.v, (b, j)), load(weights.bias, j)
        if cell.outside:
            u = i + bias
            h = alpha_m * h + zeta * activate(cell.activation, u)
            r = h
        else:
            h = alpha_m * h + (zeta * i + bias)
            u = h
            r = activate(cell.activation, u)
        store(state.i, (b, j), i)
        store(state.v, (b, j), h)
        store(out.output, (b, t, j), r)
        if out.distance.shape[1] > 0:
            store(out.distance, (b, t, j), u)
        if out.v.shape[1] > 0:
            store(out.v, (b, t, j), h)
            store(out.a, (b, t, j), 0)
            store(out.i, (b, t, j), i)


@inlined
def _read_out(weights, w_out, b, t, y, out):
    """Update the leaky readout of one sample. Mutates `y`, `out.y`."""
    n_pad, lanes, r = w_out.shape[1], width(w_out), out.output
    whole = n_pad - n_pad % (BLOCK * lanes)
    for k in range(w_out.shape[0]):
        (wide,), (narrow,) = zero_rows(w_out, 1, BLOCK), zero_rows(w_out, 1, 1)
        for j in range(0, whole, BLOCK * lanes):
            wide += load(w_out, (k, j), BLOCK) * load(r, (b, t, j), BLOCK)
        for j in range(whole, n_pad, lanes):
            narrow += load(w_out, (k, j)) * load(r, (b, t, j))
        new = weights.out_gain * (total(wide) + total(narrow)) + weights.b_out[k]
        y[b, k] = new + weights.kappa * y[b, k]
        out.y[b, t, k] = y[b, k]
