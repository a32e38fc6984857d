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


@kernel
def forward_rate(cell, weights, events, begin, end, state, out):
    """Run samples `begin` to `end` for all time steps.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec r[t-delay]
        inside:   h[t] = alpha_m h[t-1] + zeta i[t] + bias,  r[t] = f(h[t])
        outside:  u[t] = i[t] + bias,  h[t] = alpha_m h[t-1] + zeta f(u[t]),  r = h
        y[t] = kappa y[t-1] + out_gain w_out r[t] + b_out

    `out.distance` is the argument of f, `out.v` is h. The samples step together: where
    all delays are the same, w_rec r of all of them is one matrix product.

    Mutates
    -------
    state : State
    out : Trajectory
    """
    n_pad, n_steps = cell.alpha_m.size, out.y.shape[1]
    panels = Panels(aligned_empty(weights.w.size, weights.w), weights.w.shape[0])
    rows = weights.w.reshape(1, -1, n_pad)
    pack(bare(rows), 0, 0, 0, n_pad, bare(panels))
    drive_all(bare(weights), bare(panels), bare(events), begin, end, out)
    arriving = aligned_empty((end - begin) * n_pad, weights.w).reshape(-1, 1, n_pad)
    readout = np.zeros((weights.b_out.size, n_pad), weights.w.dtype)
    readout[:, : weights.w_out.shape[0]] = weights.w_out.T
    parts = bare(cell), bare(weights), bare(panels), bare(readout)
    for t in range(n_steps):
        _step(*parts, begin, end, t, bare(arriving), bare(state), bare(out))
    if weights.delay.shape[0] == 0:
        for t in range(max(n_steps - weights.longest_delay, 0), n_steps):
            _send_all(*parts[1:3], begin, end, t, bare(arriving), bare(state), bare(out))
    for b in range(begin, end):
        state.time[b] += n_steps


@inlined
def _step(cell, weights, panels, readout, begin, end, t, arriving, state, out):
    """Run one step of all samples. Mutates `arriving`, `state`, `out`."""
    n, span, n_in = weights.w_out.shape[0], weights.longest_delay, ...


