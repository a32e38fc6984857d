"""Naive twins of the spike-timing rules: every synapse has its own tag, in loops."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.spiking import constants, pseudo_derivative


def _arrivals(network, x, run):
    """What reaches every synapse, (T, B, n_rec, n_in + n_rec).

    Inputs come at once, spikes after the delay of their synapse.
    """
    n, n_in = network.n_rec, network.n_in
    n_steps, n_samples = x.shape[:2]
    delays = np.broadcast_to(network.delay, (n, n))
    arrivals = np.zeros((n_steps, n_samples, n, n_in + n))
    for t in range(n_steps):
        arrivals[t, :, :, :n_in] = x[t][:, None, :]
        for i in range(n):
            for j in range(n):
                if t >= delays[i, j]:
                    arrivals[t, :, i, n_in + j] = run.z[t - delays[i, j], :, j]
    return arrivals


def _readout(network, run, error):
    """Exact gradient of the leaky readout, by forward traces."""
    c = constants(network)
    n_steps, n_samples, n = run.z.shape
    w_out, b_out = np.zeros((network.n_out, n)), np.zeros(network.n_out)
    for b in range(n_samples):
        trace, ones = np.zeros(n), 0.0
        for t in range(n_steps):
            trace = c.kappa * trace + c.out_gain * run.z[t, b]
            ones = c.kappa * ones + 1.0
            w_out += np.outer(error[t, b], trace)
            b_out += error[t, b] * ones
    return {"w_out": w_out, "b_out": b_out}


def _by_name(network, total, bias, readout):
    n_in = network.n_in
    return readout | {
        "w_in": total[:, :n_in],
        "w_rec": total[:, n_in:] * network.mask,
        "bias": bias,
    }


def stllr(rule, network, x, run, signal):
    """Return S-TLLR gradients by name."""
    c, n = constants(network), network.n_rec
    arrivals = _arrivals(network, x, run)
    n_steps, n_samples, _, n_pre = arrivals.shape
    total, bias = np.zeros((n, n_pre)), np.zeros(n)
    broadcast = signal.error if signal.broadcast is None else signal.broadcast
    for b in range(n_samples):
        pre, post = np.zeros((n, n_pre)), [0.0] * n
        for t in range(n_steps):
            for i in range(n):
                now = arrivals[t, b, i]
                pre[i] = [rule.lambda_pre * pre[i, j] + now[j] for j in range(n_pre)]
                psi = pseudo_derivative(
                    network.cell.surrogate,
                    c.v_th[i],
                    run.distance[t, b, i],
                    run.refractory[t, b, i],
                )
                learning = sum(
                    signal.feedback[i, k] * broadcast[t, b, k]
                    for k in range(network.n_out)
                )
                if signal.neuron is not None:
                    learning += signal.neuron[b, i]
                if signal.direct is not None:
                    learning += signal.direct[t, b, i]
                for j in range(n_pre):
                    pair = rule.alpha_pre * psi * pre[i, j]
                    pair += rule.alpha_post * post[i] * now[j]
                    total[i, j] += learning * pair
                bias[i] += learning * psi
                post[i] = rule.lambda_post * post[i] + psi
    return _by_name(network, total, bias, _readout(network, run, signal.error))


def rstdp(rule, network, x, run, signal):
    """Return R-STDP gradients by name, from every pair of events."""
    n, dt = network.n_rec, network.dt
    arrivals = _arrivals(network, x, run)
    n_steps, n_samples, _, n_pre = arrivals.shape
    total = np.zeros((n, n_pre))
    fade = math.exp(-dt / rule.tau_e)
    for b in range(n_samples):
        for i in range(n):
            for j in range(n_pre):
                tag = 0.0
                for t in range(n_steps):
                    tag *= fade
                    for s in range(t + 1):
                        lag = (t - s) * dt
                        tag += (
                            rule.a_plus
                            * run.z[t, b, i]
                            * arrivals[s, b, i, j]
                            * math.exp(-lag / rule.tau_plus)
                        )
                        if s < t:
                            tag -= (
                                rule.a_minus
                                * run.z[s, b, i]
                                * arrivals[t, b, i, j]
                                * math.exp(-lag / rule.tau_minus)
                            )
                    total[i, j] -= signal.reward[t, b] * tag
    readout = _readout(network, run, signal.error)
    return _by_name(network, total, np.zeros(n), readout)
