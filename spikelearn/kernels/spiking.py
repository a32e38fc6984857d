"""Forward pass of a recurrent network of (adaptive) leaky integrate-and-fire cells.

All T steps of all samples run in one call. Spikes are events: a step adds one weight
row per input event and per recurrent spike, so its cost grows with activity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel


class Cell(NamedTuple):
    """Per-neuron constants of one time step; every array has shape (N,).

    `height` and `inverse_width` belong to the pseudo-derivative. A flag switches off
    the work of a mechanism that no neuron of the population has.
    """

    alpha_m: Any
    alpha_s: Any
    zeta: Any
    rho: Any
    beta: Any
    v_th: Any
    n_ref: Any  # int32
    height: Any
    inverse_width: Any
    surrogate: int
    reset_to_zero: bool
    has_synaptic_current: bool
    has_adaptation: bool
    has_refractory: bool


class Weights(NamedTuple):
    """Weights as the kernels read them: one contiguous row per presynaptic unit."""

    w: Any  # (n_in + N, n_pad): inputs above recurrent neurons; N <= n_pad
    bias: Any  # (N,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)
    kappa: Any  # scalar of the dtype of w
    out_gain: Any  # scalar of the dtype of w


class InputEvents(NamedTuple):
    """Non-zero inputs of all samples in compressed rows, row = sample * T + step."""

    start: Any  # (B * T + 1,) int64
    unit: Any  # (n_events,) int32
    value: Any  # (n_events,) or (0,) when all values are 1
    n_in: int


class Trajectory(NamedTuple):
    """What a forward pass leaves behind for the credit kernels and for people.

    `distance` is v - A, or -inf while refractory. The spikes of sample b at step t are
    `spike[b, first[b, t]:first[b, t + 1]]`. `v`, `a` and `i` are written when they have
    T steps and left alone when they are empty.
    """

    distance: Any  # (B, T, N)
    first: Any  # (B, T + 1) int64
    spike: Any  # (B, T * N) int32
    y: Any  # (B, T, n_out)
    v: Any  # (B, T, N) or (B, 0, N)
    a: Any
    i: Any


@kernel
def count_events(x):
    """Count the non-zero entries of each row of x (R, n_in)."""
    counts = np.zeros(x.shape[0], np.int64)
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            if x[row, k] != 0:
                counts[row] += 1
    return counts


@kernel
def list_events(x, start, unit, value):
    """List the non-zero entries of x (R, n_in) row by row.

    Mutates
    -------
    unit : (n_events,) int32
    value : (n_events,) float, or empty when only the units are wanted
    """
    for row in range(x.shape[0]):
        e = start[row]
        for k in range(x.shape[1]):
            if x[row, k] != 0:
                unit[e] = k
                if value.size > 0:
                    value[e] = x[row, k]
                e += 1


@kernel
def forward(cell, weights, events, begin, end, out):
    """Run samples `begin` to `end` for all time steps.

    With z[-1] = 0 and every state 0 before the first step:

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec z[t-1]
        v[t] = alpha_m v[t-1] + zeta i[t] + bias  [- v_th z[t-1], reset "subtract"]
        a[t] = rho a[t-1] + z[t-1],   A[t] = v_th + beta a[t]
        z[t] = (v[t] > A[t]) and not refractory    [then v[t] := 0, reset "zero"]
        y[t] = kappa y[t-1] + out_gain w_out z[t] + b_out

    The refractory counter is set to n_ref by a spike and decremented before the test of
    the next step; the neuron is refractory while it is > 0.

    Mutates
    -------
    out : Trajectory
    """
    for b in range(begin, end):
        _forward_sample(cell, weights, events, b, out)


@kernel
def _forward_sample(cell, weights, events, b, out):
    n = cell.alpha_m.size
    n_steps = out.distance.shape[1]
    n_in = events.n_in
    dtype = cell.alpha_m.dtype
    v = np.zeros(n, dtype)
    current = np.zeros(n, dtype)
    a = np.zeros(n, dtype)
    refractory = np.zeros(n, np.int32)
    minus_infinity = dtype.type(-np.inf)
    zero = dtype.type(0)
    one = dtype.type(1)
    n_spikes = 0
    previous = 0
    out.first[b, 0] = 0
    for t in range(n_steps):
        if cell.has_synaptic_current:
            for j in range(n):
                current[j] *= cell.alpha_s[j]
        else:
            for j in range(n):
                current[j] = zero
        _add_inputs(weights.w, events, b * n_steps + t, current)
        for e in range(previous, n_spikes):
            row = n_in + out.spike[b, e]
            for j in range(n):
                current[j] += weights.w[row, j]

        for j in range(n):
            v[j] = cell.alpha_m[j] * v[j] + (
                cell.zeta[j] * current[j] + weights.bias[j]
            )
        if not cell.reset_to_zero:
            for e in range(previous, n_spikes):
                v[out.spike[b, e]] -= cell.v_th[out.spike[b, e]]
        if cell.has_adaptation:
            for j in range(n):
                a[j] *= cell.rho[j]
            for e in range(previous, n_spikes):
                a[out.spike[b, e]] += one
        for j in range(n):
            out.distance[b, t, j] = v[j] - (cell.v_th[j] + cell.beta[j] * a[j])
        if cell.has_refractory:
            for j in range(n):
                refractory[j] = max(refractory[j] - 1, 0)
                if refractory[j] > 0:
                    out.distance[b, t, j] = minus_infinity
        if out.v.shape[1] > 0:
            for j in range(n):
                out.v[b, t, j] = v[j]
                out.a[b, t, j] = a[j]
                out.i[b, t, j] = current[j]

        previous = n_spikes
        for j in range(n):
            if out.distance[b, t, j] > zero:
                out.spike[b, n_spikes] = j
                n_spikes += 1
        for e in range(previous, n_spikes):
            j = out.spike[b, e]
            refractory[j] = cell.n_ref[j]
            if cell.reset_to_zero:
                v[j] = zero
        out.first[b, t + 1] = n_spikes
        _read_out(weights, b, t, previous, n_spikes, out)


@kernel
def _add_inputs(w, events, row, current):
    """Add the weight rows of the inputs of one step. Mutates `current`."""
    n = current.size
    if events.value.size > 0:
        for e in range(events.start[row], events.start[row + 1]):
            k = events.unit[e]
            value = events.value[e]
            for j in range(n):
                current[j] += value * w[k, j]
    else:
        for e in range(events.start[row], events.start[row + 1]):
            k = events.unit[e]
            for j in range(n):
                current[j] += w[k, j]


@kernel
def _read_out(weights, b, t, first, last, out):
    """Update the leaky readout with the spikes of step t. Mutates `out.y`."""
    for k in range(weights.b_out.size):
        total = weights.w_out.dtype.type(0)
        for e in range(first, last):
            total += weights.w_out[out.spike[b, e], k]
        y = weights.out_gain * total + weights.b_out[k]
        if t > 0:
            y += weights.kappa * out.y[b, t - 1, k]
        out.y[b, t, k] = y
