"""Naive twins of the kernels: plain loops, one trace per synapse, float64.

They read the specifications (time constants in ms) and nothing that the package
derives from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Constants:
    """Decay factors and flags of one network, worked out one neuron at a time."""

    alpha_m: list[float]
    alpha_s: list[float]
    zeta: list[float]
    rho: list[float]
    beta: list[float]
    v_th: list[float]
    n_ref: list[int]
    kappa: float
    out_gain: float


@dataclass(frozen=True)
class Run:
    """Sequences (T, B, n) of one forward pass."""

    i: np.ndarray
    v: np.ndarray
    a: np.ndarray
    distance: np.ndarray
    refractory: np.ndarray
    z: np.ndarray
    y: np.ndarray


def _decay(tau, dt):
    return math.exp(-dt / tau) if tau > 0 else 0.0


def constants(network):
    """Return the constants of a network from its specification."""
    cell, dt, n = network.cell, network.dt, network.n_rec

    def values(name):
        value = getattr(cell, name, 0.0)
        return [float(v) for v in np.broadcast_to(value, (n,))]

    alpha_m = [_decay(tau, dt) for tau in values("tau_m")]
    leak = cell.input_scaling == "leak"
    kappa = _decay(network.readout.tau_out, dt)
    return Constants(
        alpha_m=alpha_m,
        alpha_s=[_decay(tau, dt) for tau in values("tau_syn")],
        zeta=[1.0 - alpha if leak else 1.0 for alpha in alpha_m],
        rho=[_decay(tau, dt) for tau in values("tau_a")],
        beta=values("beta"),
        v_th=values("v_th"),
        n_ref=[round(t / dt) for t in values("t_ref")],
        kappa=kappa,
        out_gain=1.0 - kappa if network.readout.scaling == "leak" else 1.0,
    )


def arriving(outputs, t, delay):
    """Return what arrives at step t of each neuron at each other, (post, pre).

    `outputs` are the outputs of one sample, (T, n), and `delay` one number of steps or
    one for each synapse.
    """
    n = outputs.shape[1]
    delays = np.broadcast_to(delay, (n, n))
    out = np.zeros((n, n))
    for post in range(n):
        for pre in range(n):
            sent = t - delays[post, pre]
            if sent >= 0:
                out[post, pre] = outputs[sent, pre]
    return out


def forward(network, x):
    """Run the six lines of the time step for every neuron of every sample."""
    c = constants(network)
    w_in, w_rec, w_out, b_out, bias = (
        np.asarray(array, np.float64) for array in network.params.arrays().values()
    )
    n_steps, n_samples, _ = x.shape
    n, n_out = network.n_rec, network.n_out
    zero_reset = network.cell.reset == "zero"
    shape = (n_steps, n_samples, n)
    i, v, a, z = (np.zeros(shape) for _ in range(4))
    distance, refractory = np.zeros(shape), np.zeros(shape, bool)
    y = np.zeros((n_steps, n_samples, n_out))
    for b in range(n_samples):
        current, voltage, adaptation, counter = [0.0] * n, [0.0] * n, [0.0] * n, [0] * n
        z_before = np.zeros(n)
        y_before = np.zeros(n_out)
        for t in range(n_steps):
            z_now = np.zeros(n)
            arrived = arriving(z[:, b], t, network.delay)
            for j in range(n):
                drive = w_in[j] @ x[t, b] + w_rec[j] @ arrived[j]
                current[j] = c.alpha_s[j] * current[j] + drive
                voltage[j] *= c.alpha_m[j]
                voltage[j] += c.zeta[j] * current[j] + bias[j]
                if not zero_reset:
                    voltage[j] -= c.v_th[j] * z_before[j]
                adaptation[j] = c.rho[j] * adaptation[j] + z_before[j]
                counter[j] = max(counter[j] - 1, 0)
                threshold = c.v_th[j] + c.beta[j] * adaptation[j]
                i[t, b, j], v[t, b, j], a[t, b, j] = (
                    current[j],
                    voltage[j],
                    adaptation[j],
                )
                distance[t, b, j] = voltage[j] - threshold
                refractory[t, b, j] = counter[j] > 0
                if voltage[j] > threshold and counter[j] == 0:
                    z_now[j] = 1.0
                    counter[j] = c.n_ref[j]
                    if zero_reset:
                        voltage[j] = 0.0
            y_before = c.kappa * y_before + c.out_gain * (w_out @ z_now) + b_out
            z[t, b], y[t, b] = z_now, y_before
            z_before = z_now
    return Run(i, v, a, distance, refractory, z, y)


def pseudo_derivative(surrogate, v_th, distance, refractory):
    """Evaluate a surrogate for one neuron at one step from its stated formula."""
    if refractory:
        return 0.0
    height = surrogate.gamma / v_th
    r = abs(distance) / (surrogate.width * v_th)
    return (
        height
        * {
            "triangular": max(0.0, 1.0 - r),
            "fast-sigmoid": (1.0 + r) ** -2,
            "exponential": math.exp(-r),
            "arctan": 1.0 / (1.0 + r * r),
        }[surrogate.name]
    )


def eprop(network, x, run, error, feedback, neuron):
    """Return e-prop gradients from explicit forward traces of every synapse.

    The columns of a trace are the inputs, the recurrent neurons and the bias (a
    presynaptic unit that is always on and skips synapse and scaling).
    """
    c = constants(network)
    alpha_m, alpha_s, zeta, rho, beta = (
        np.array(values)[:, None]
        for values in (c.alpha_m, c.alpha_s, c.zeta, c.rho, c.beta)
    )
    n_steps, n_samples, n_in = x.shape
    n, n_out = network.n_rec, network.n_out
    total = np.zeros((n, n_in + n + 1))
    w_out, b_out = np.zeros((n_out, n)), np.zeros(n_out)
    for b in range(n_samples):
        synapse = np.zeros((n, n_in + n))
        trace, epsilon, e_bar = (np.zeros_like(total) for _ in range(3))
        z_bar, one_bar = np.zeros(n), 0.0
        for t in range(n_steps):
            arrived = arriving(run.z[:, b], t, network.delay)
            pre = np.hstack([np.tile(x[t, b], (n, 1)), arrived])
            synapse = alpha_s * synapse + pre
            drive = np.hstack([zeta * synapse, np.ones((n, 1))])
            trace = alpha_m * trace + drive
            psi = np.array(
                [
                    pseudo_derivative(
                        network.cell.surrogate,
                        c.v_th[j],
                        run.distance[t, b, j],
                        run.refractory[t, b, j],
                    )
                    for j in range(n)
                ]
            )[:, None]
            e = psi * (trace - beta * epsilon)
            epsilon = rho * epsilon + e
            e_bar = c.kappa * e_bar + c.out_gain * e
            signal = (feedback @ error[t, b])[:, None]
            total += signal * e_bar + neuron[b][:, None] * e
            z_now = run.z[t, b]
            if network.cell.reset == "zero":
                trace[z_now == 1.0] = 0.0
            z_bar = c.kappa * z_bar + c.out_gain * z_now
            one_bar = c.kappa * one_bar + 1.0
            w_out += np.outer(error[t, b], z_bar)
            b_out += error[t, b] * one_bar
    return {
        "w_in": total[:, :n_in],
        "w_rec": total[:, n_in : n_in + n] * network.mask,
        "w_out": w_out,
        "b_out": b_out,
        "bias": total[:, -1],
    }
