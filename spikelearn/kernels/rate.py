"""Forward pass of a recurrent network of leaky rate units, and their activations.

The activation is chosen by an integer code, and so is its derivative:

    RELU      f(u) = max(0, u)          f'(u) = [u > 0]
    TANH      f(u) = tanh(u)            f'(u) = 1 - tanh(u)^2
    SOFTPLUS  f(u) = log(1 + exp(u))    f'(u) = 1 / (1 + exp(-u))
"""

from __future__ import annotations

import math

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.spiking import SPIKING, collect, send
from spikelearn.kernels.vector import bare, exp, select

RELU, TANH, SOFTPLUS = SPIKING + 1, SPIKING + 2, SPIKING + 3

ACTIVATIONS = {"relu": RELU, "tanh": TANH, "softplus": SOFTPLUS}


@kernel
def activate(code, u, r):
    """Evaluate f(u) for all units. Mutates `r`."""
    zero = u.dtype.type(0)
    if code == RELU:
        for j in range(u.size):
            r[j] = max(u[j], zero)
    elif code == TANH:
        for j in range(u.size):
            r[j] = math.tanh(u[j])
    else:
        for j in range(u.size):
            r[j] = max(u[j], zero) + math.log1p(math.exp(-abs(u[j])))


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


@kernel
def forward_rate(cell, weights, events, begin, end, state, out):
    """Run samples `begin` to `end` for all time steps.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec r[t-delay]
        inside:   h[t] = alpha_m h[t-1] + zeta i[t] + bias,  r[t] = f(h[t])
        outside:  u[t] = i[t] + bias,  h[t] = alpha_m h[t-1] + zeta f(u[t]),  r = h
        y[t] = kappa y[t-1] + out_gain w_out r[t] + b_out

    `out.distance` is the argument of f, `out.v` is h.

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
    n, n_pad = weights.w_out.shape[0], cell.alpha_m.size
    n_steps = out.distance.shape[1]
    span = weights.longest_delay
    h, current, pending = state.v, state.i, state.pending
    u = np.zeros(n_pad, h.dtype)
    r = np.zeros(n_pad, h.dtype)
    for t in range(n_steps):
        slot = (state.time[b] + t) % span
        collect(cell, weights, events, t, out.spike, 0, 0, b, slot, state)
        if cell.outside:
            for j in range(n_pad):
                u[j] = current[b, j] + weights.bias[j]
            activate(cell.activation, u, r)
            for j in range(n_pad):
                h[b, j] = cell.alpha_m[j] * h[b, j] + cell.zeta[j] * r[j]
                r[j] = h[b, j]
        else:
            for j in range(n_pad):
                h[b, j] = cell.alpha_m[j] * h[b, j] + (
                    cell.zeta[j] * current[b, j] + weights.bias[j]
                )
                u[j] = h[b, j]
            activate(cell.activation, u, r)
        for j in range(n_pad):
            out.distance[b, t, j] = u[j]
            out.output[b, t, j] = r[j]
        if out.v.shape[1] > 0:
            for j in range(n_pad):
                out.v[b, t, j] = h[b, j]
                out.a[b, t, j] = 0
                out.i[b, t, j] = current[b, j]
        for j in range(n):
            if r[j] != 0:
                send(weights, events.n_in, j, r[j], slot, b, pending)
        for k in range(weights.b_out.size):
            total = weights.w_out.dtype.type(0)
            for j in range(n):
                total += weights.w_out[j, k] * r[j]
            y = weights.kappa * state.y[b, k]
            state.y[b, k] = y + weights.out_gain * total + weights.b_out[k]
            out.y[b, t, k] = state.y[b, k]
    state.time[b] += n_steps
