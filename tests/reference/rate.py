"""Naive twins of the rate units: plain loops, one trace per synapse, float64.

They read the specifications (time constants in ms) and nothing that the package
derives from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.reference.spiking import arriving


@dataclass(frozen=True)
class Constants:
    """Decay factors of one network, one list entry per neuron."""

    alpha_m: list[float]
    alpha_s: list[float]
    zeta: list[float]
    kappa: float
    out_gain: float


@dataclass(frozen=True)
class Run:
    """Sequences (T, B, n) of one forward pass; `argument` is what f was applied to."""

    i: np.ndarray
    h: np.ndarray
    argument: np.ndarray
    r: np.ndarray
    y: np.ndarray


def _decay(tau, dt):
    return math.exp(-dt / tau) if tau > 0 else 0.0


def constants(network):
    """Return the constants of a network from its specification."""
    cell, dt, n = network.cell, network.dt, network.n_rec
    alpha_m = [_decay(tau, dt) for tau in np.broadcast_to(cell.tau_m, (n,))]
    alpha_s = [_decay(tau, dt) for tau in np.broadcast_to(cell.tau_syn, (n,))]
    leak = cell.input_scaling == "leak"
    kappa = _decay(network.readout.tau_out, dt)
    return Constants(
        alpha_m=alpha_m,
        alpha_s=alpha_s,
        zeta=[1.0 - alpha if leak else 1.0 for alpha in alpha_m],
        kappa=kappa,
        out_gain=1.0 - kappa if network.readout.scaling == "leak" else 1.0,
    )


def f(name, u):
    """Evaluate an activation at a number."""
    if name == "relu":
        return max(u, 0.0)
    return math.tanh(u) if name == "tanh" else math.log(1.0 + math.exp(u))


def slope(name, u):
    """Evaluate the derivative of an activation at a number."""
    if name == "relu":
        return float(u > 0)
    return 1.0 / math.cosh(u) ** 2 if name == "tanh" else 1.0 / (1.0 + math.exp(-u))


def forward(network, x):
    """Run the equations of `LeakyRate` for every unit of every sample."""
    c, name = constants(network), network.cell.activation
    outside = network.cell.placement == "outside"
    w_in, w_rec, w_out, b_out, bias = (
        np.asarray(array, np.float64) for array in network.params.arrays().values()
    )
    n_steps, n_samples, _ = x.shape
    n = network.n_rec
    i, h, u, r = (np.zeros((n_steps, n_samples, n)) for _ in range(4))
    y = np.zeros((n_steps, n_samples, network.n_out))
    for b in range(n_samples):
        current, state, readout = [0.0] * n, [0.0] * n, np.zeros(network.n_out)
        for t in range(n_steps):
            arrived = arriving(r[:, b], t, network.delay)
            for j in range(n):
                current[j] *= c.alpha_s[j]
                current[j] += w_in[j] @ x[t, b] + w_rec[j] @ arrived[j]
                if outside:
                    u[t, b, j] = current[j] + bias[j]
                    sent = c.zeta[j] * f(name, u[t, b, j])
                    state[j] = r[t, b, j] = c.alpha_m[j] * state[j] + sent
                else:
                    state[j] = c.alpha_m[j] * state[j] + c.zeta[j] * current[j]
                    state[j] += bias[j]
                    u[t, b, j] = state[j]
                    r[t, b, j] = f(name, state[j])
                i[t, b, j], h[t, b, j] = current[j], state[j]
            readout = c.kappa * readout + c.out_gain * (w_out @ r[t, b]) + b_out
            y[t, b] = readout
    return Run(i, h, u, r, y)


def eprop(network, x, run, signal):
    """Return e-prop gradients from forward traces of every synapse.

    The columns of a trace are the inputs, the recurrent units and the bias, which skips
    the synapse and, inside, the scaling. All parts of the learning signal must be
    there.
    """
    c, name = constants(network), network.cell.activation
    outside = network.cell.placement == "outside"
    n_steps, n_samples, n_in = x.shape
    n = network.n_rec
    total = np.zeros((n, n_in + n + 1))
    w_out, b_out = np.zeros((network.n_out, n)), np.zeros(network.n_out)
    for b in range(n_samples):
        synapse, trace, filtered = (np.zeros_like(total) for _ in range(3))
        r_bar, one_bar = np.zeros(n), 0.0
        for t in range(n_steps):
            arrived = arriving(run.r[:, b], t, network.delay)
            for j in range(n):
                pre = np.concatenate([x[t, b], arrived[j], [0.0]])
                synapse[j] = c.alpha_s[j] * synapse[j] + pre
                drive = synapse[j].copy()
                here = slope(name, run.argument[t, b, j])
                if outside:
                    drive[-1] = 1.0
                    trace[j] = c.alpha_m[j] * trace[j] + c.zeta[j] * here * drive
                    e = trace[j]
                else:
                    drive *= c.zeta[j]
                    drive[-1] = 1.0
                    trace[j] = c.alpha_m[j] * trace[j] + drive
                    e = here * trace[j]
                filtered[j] = c.kappa * filtered[j] + c.out_gain * e
                total[j] += (signal.feedback[j] @ signal.broadcast[t, b]) * filtered[j]
                total[j] += (signal.neuron[b, j] + signal.direct[t, b, j]) * e
            r_bar = c.kappa * r_bar + c.out_gain * run.r[t, b]
            one_bar = c.kappa * one_bar + 1.0
            w_out += np.outer(signal.error[t, b], r_bar)
            b_out += signal.error[t, b] * one_bar
    return {
        "w_in": total[:, :n_in] * network.mask_in,
        "w_rec": total[:, n_in : n_in + n] * network.mask,
        "w_out": w_out * network.mask_out,
        "b_out": b_out,
        "bias": total[:, -1],
    }
