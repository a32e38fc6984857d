"""Naive twin of the sparse network: dense matrices, one list of arrivals per step.

The equations are those of the docstrings of `DeltaLIF` and `CubaLIF`; nothing is taken
from the kernels but the Poisson counts, which are tested by themselves.
"""

from __future__ import annotations

import numpy as np


def synapse_list(network):
    """Return (pre, post, weight, delay in steps) of every synapse, as four arrays."""
    made = network.connectivity
    columns = []
    for p, projection in enumerate(network.projections):
        rows = np.arange(made.first_row[p], made.first_row[p + 1])
        sizes = np.diff(made.pointers.astype(np.int64))[rows]
        start = network.layout.ranges[projection.pre][0]
        begin, end = (int(made.pointers[made.first_row[q]]) for q in (p, p + 1))
        pre = np.repeat(rows - rows[0] + start, sizes)
        post = made.targets[begin:end].astype(np.int64)
        low, high = (round(delay / network.dt) for delay in projection.delays)
        delay = np.full(end - begin, low)
        if high > low:
            place = begin - made.first_extra[p]
            delay += made.extra[place : place + end - begin]
        weight = np.full(end - begin, projection.weight)
        columns.append((pre, post, weight, delay))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def simulate(network, v_init, n_steps, noise=None):
    """Return the spikes of a run as a (n_steps, N) boolean array.

    `noise[t]` is Poisson input (N,) in mV, all of one sign, or None.
    """
    n, dt = network.n_neurons, network.dt
    pre, post, weight, delay = synapse_list(network)
    per_neuron = {
        name: np.concatenate(
            [np.full(p.n, getattr(p.cell, name, np.nan)) for p in _populations(network)]
        )
        for name in (
            "tau_m",
            "v_rest",
            "v_th",
            "v_reset",
            "t_ref",
            "tau_exc",
            "tau_inh",
        )
    }
    tau_m, tau_exc, tau_inh = (per_neuron[k] for k in ("tau_m", "tau_exc", "tau_inh"))
    v_rest = per_neuron["v_rest"]
    silent = np.maximum(np.rint(per_neuron["t_ref"] / dt).astype(int) - 1, 0)
    has_current = not np.isnan(tau_exc).any()
    v = np.array(v_init, float)
    exc, inh = np.zeros(n), np.zeros(n)
    wait = np.zeros(n, int)
    raster = np.zeros((n_steps, n), bool)
    arriving = np.zeros((n_steps + delay.max() + 1, 2, n))
    for t in range(n_steps):
        if noise is not None:
            arriving[t, 0] += np.maximum(noise[t], 0.0)
            arriving[t, 1] += np.minimum(noise[t], 0.0)
        free = wait == 0
        if has_current:
            exc += arriving[t, 0]
            inh += arriving[t, 1]
            new = v_rest + (v - v_rest) * np.exp(-dt / tau_m)
            new += exc * _kernel(tau_m, tau_exc, dt) + inh * _kernel(tau_m, tau_inh, dt)
            exc *= np.exp(-dt / tau_exc)
            inh *= np.exp(-dt / tau_inh)
        else:
            new = v_rest + (v - v_rest) * np.exp(-dt / tau_m) + arriving[t].sum(axis=0)
        v = np.where(free, new, v)
        raster[t] = free & (v > per_neuron["v_th"])
        v = np.where(raster[t], per_neuron["v_reset"], v)
        wait = np.where(raster[t], silent, np.maximum(wait - 1, 0))
        sent = raster[t][pre]
        sign = (weight[sent] < 0).astype(int)
        np.add.at(arriving, (t + delay[sent], sign, post[sent]), weight[sent])
    return raster


def _populations(network):
    return network.populations.values()


def _kernel(tau_m, tau, dt):
    """Voltage after dt that a current of 1 mV at the start leaves, by quadrature.

    tau_m dv/dt = -v + exp(-t/tau): Gauss-Legendre on exp(-(dt - s)/tau_m - s/tau).
    """
    node, weight = np.polynomial.legendre.leggauss(20)
    s = 0.5 * dt * (node + 1.0)[:, None]
    value = np.exp(-(dt - s) / tau_m - s / tau) / tau_m
    return 0.5 * dt * np.sum(weight[:, None] * value, axis=0)
