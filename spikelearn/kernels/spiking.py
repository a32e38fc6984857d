"""Forward pass of a recurrent network of (adaptive) leaky integrate-and-fire cells.

All T steps of all samples run in one call. Spikes are events: a step adds one weight
row per input event and per recurrent spike, so its cost grows with activity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel

SPIKING = 0


class Cell(NamedTuple):
    """Per-neuron constants of one time step; every array has shape (N,).

    `height` and `inverse_width` belong to the pseudo-derivative. A flag switches off
    the work of a mechanism that no neuron of the population has. `activation` is
    SPIKING or a code of `kernels.rate`; `outside` places it there outside of the leak.
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
    activation: int
    outside: bool


class Weights(NamedTuple):
    """Weights as the kernels read them: one contiguous row per presynaptic unit."""

    w: Any  # (n_in + N, n_pad): inputs above recurrent neurons; N <= n_pad
    bias: Any  # (N,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)
    kappa: Any  # scalar of the dtype of w
    out_gain: Any  # scalar of the dtype of w
    delay: Any  # (N, N) int32 as [pre, post], or (0, 0): all synapses take the longest
    longest_delay: int  # steps, >= 1


class State(NamedTuple):
    """What a network carries from one step to the next; zero before the first."""

    v: Any  # (B, N)
    a: Any  # (B, N)
    i: Any  # (B, N)
    reset: Any  # (B, N): what is taken off v at the next step
    refractory: Any  # (B, N) int32: steps left
    y: Any  # (B, n_out)
    pending: Any  # (B, longest_delay, N): what arrives at step t, in row t % longest
    time: Any  # (B,) int64: steps done


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
    T steps and left alone when they are empty. Rate units have no spikes but an
    `output`, and `distance` is the argument of their activation.
    """

    distance: Any  # (B, T, N)
    first: Any  # (B, T + 1) int64
    spike: Any  # (B, T * N) int32
    output: Any  # (B, T, N) of rate units, else (B, 0, N)
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
        _forward_sample(cell, weights, events, b, state, out)


@kernel
def _forward_sample(cell, weights, events, b, state, out):
    n = cell.alpha_m.size
    n_steps = out.distance.shape[1]
    span = weights.longest_delay
    dtype = cell.alpha_m.dtype
    minus_infinity = dtype.type(-np.inf)
    zero = dtype.type(0)
    one = dtype.type(1)
    v = state.v[b].copy()
    a = state.a[b].copy()
    current = state.i[b].copy()
    reset = state.reset[b].copy()
    refractory = state.refractory[b].copy()
    pending = state.pending[b].copy()
    now = state.time[b]
    n_spikes = 0
    out.first[b, 0] = 0
    for t in range(n_steps):
        slot = now % span
        if cell.has_synaptic_current:
            for j in range(n):
                current[j] = cell.alpha_s[j] * current[j] + pending[slot, j]
        else:
            for j in range(n):
                current[j] = pending[slot, j]
        for j in range(n):
            pending[slot, j] = zero
        add_inputs(weights.w, events, b * n_steps + t, current)

        for j in range(n):
            v[j] = cell.alpha_m[j] * v[j] + (
                cell.zeta[j] * current[j] + weights.bias[j]
            )
        for j in range(n):
            v[j] -= reset[j]
            reset[j] = zero
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
        out.first[b, t + 1] = n_spikes
        # What the spikes of this step do at the next one.
        if cell.has_adaptation:
            for j in range(n):
                a[j] *= cell.rho[j]
        for e in range(previous, n_spikes):
            j = out.spike[b, e]
            refractory[j] = cell.n_ref[j]
            a[j] += one
            if cell.reset_to_zero:
                v[j] = zero
            else:
                reset[j] = cell.v_th[j]
            send(weights, events.n_in, j, one, now, pending)
        _read_out(weights, b, t, previous, n_spikes, state.y, out)
        now += 1
    state.v[b, :] = v
    state.a[b, :] = a
    state.i[b, :] = current
    state.reset[b, :] = reset
    state.refractory[b, :] = refractory
    state.pending[b, :, :] = pending
    state.time[b] = now


@kernel
def add_inputs(w, events, row, current):
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
def send(weights, n_in, j, value, now, pending):
    """Send the output of neuron j at step `now` to where it arrives later.

    Mutates
    -------
    pending : (longest_delay, N) float array
    """
    row = n_in + j
    span = weights.longest_delay
    if weights.delay.shape[0] == 0:
        slot = now % span
        for k in range(pending.shape[1]):
            pending[slot, k] += value * weights.w[row, k]
    else:
        for k in range(pending.shape[1]):
            slot = (now + weights.delay[j, k]) % span
            pending[slot, k] += value * weights.w[row, k]


@kernel
def _read_out(weights, b, t, first, last, y, out):
    """Update the leaky readout with the spikes of step t. Mutates `y`, `out.y`."""
    for k in range(weights.b_out.size):
        total = weights.w_out.dtype.type(0)
        for e in range(first, last):
            total += weights.w_out[out.spike[b, e], k]
        new = weights.out_gain * total + weights.b_out[k]
        y[b, k] = new + weights.kappa * y[b, k]
        out.y[b, t, k] = y[b, k]
