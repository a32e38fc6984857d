"""Spike-timing rules: pairs of events, weighed by a signal, in one reverse sweep.

The eligibility of a synapse from j to i pairs the events of both sides and fades; a
signal at the postsynaptic neuron turns it into a change:

    dE/dw_ij = sum_t signal_i[t] E_ij[t]
    E_ij[t] = lambda_e E_ij[t-1] + causal post_i[t] X_j[t] + acausal Y_i[t] x_j[t]

    X_j[t] = lambda_pre X_j[t-1] + x_j[t]            (with the present event)
    Y_i[t] = lambda_post Y_i[t-1] + post_i[t-1]      (without the present step)

x_j are the values that arrive at step t: inputs, and recurrent spikes after their
delay. post is the pseudo-derivative or the spike of the postsynaptic neuron. The
filters E and X are transposed, so that no trace per synapse is needed and every
arriving event adds one row:

    S_i[t] = lambda_e S_i[t+1] + signal_i[t]
    g_i[t] = lambda_pre g_i[t+1] + causal S_i[t] post_i[t]
    dw[j, :] += x_j[t] (g[t] + acausal S[t] Y[t])
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.adjoint import add_input_rows, credit_outputs, flushed
from spikelearn.kernels.surrogate import pseudo_derivatives


class Pairing(NamedTuple):
    """Coefficients of a spike-timing rule, scalars of the dtype of the weights."""

    causal: Any
    acausal: Any
    lambda_pre: Any  # decay factors of one step
    lambda_post: Any
    lambda_e: Any
    bias: Any  # dE/dbias_i = bias sum_t S_i[t] post_i[t]
    spikes: bool  # post is the spike, else the pseudo-derivative


class Drive(NamedTuple):
    """What turns eligibility into gradients."""

    signal: Any  # (B, T, N)
    error: Any  # (B, T, n_out): dE/dy, for the readout's own weights


@kernel
def three_factor(cell, weights, events, trajectory, drive, pairing, begin, end, out):
    """Accumulate the gradient of samples `begin` to `end`.

    The readout gets its exact gradient, as in `kernels.adjoint`.

    Mutates
    -------
    out : Accumulators
    """
    for b in range(begin, end):
        _sample(cell, weights, events, trajectory, drive, pairing, b, out)


@kernel
def _sample(cell, weights, events, trajectory, drive, pairing, b, out):
    n = cell.alpha_m.size
    n_out = weights.b_out.size
    n_steps = trajectory.distance.shape[1]
    span = weights.longest_delay
    dtype = cell.alpha_m.dtype
    post = np.zeros(n, dtype)
    trace = np.zeros((n_steps, n), dtype)  # Y
    for t in range(n_steps - 1):
        _post_factor(cell, trajectory, pairing, b, t, post)
        for i in range(n):
            trace[t + 1, i] = flushed(pairing.lambda_post * trace[t, i] + post[i])

    ebar = np.zeros(n_out, dtype)
    g = np.zeros(n, dtype)
    signal = np.zeros(n, dtype)  # S
    later = np.zeros((span, n), dtype)  # rows of the steps t + 1 to t + span
    for t in range(n_steps - 1, -1, -1):
        for k in range(n_out):
            ebar[k] = flushed(weights.kappa * ebar[k] + drive.error[b, t, k])
            out.b_out[k] += ebar[k]
        credit_outputs(weights, events.n_in, trajectory, ebar, later, b, t, out)
        _post_factor(cell, trajectory, pairing, b, t, post)
        for i in range(n):
            signal[i] = flushed(pairing.lambda_e * signal[i] + drive.signal[b, t, i])
        for i in range(n):
            post[i] *= signal[i]
        for i in range(n):
            out.bias[i] += pairing.bias * post[i]
        for i in range(n):
            g[i] = flushed(pairing.lambda_pre * g[i] + pairing.causal * post[i])
        for i in range(n):
            post[i] = pairing.acausal * signal[i]
        for i in range(n):
            later[t % span, i] = g[i] + post[i] * trace[t, i]
        add_input_rows(events, b * n_steps + t, later[t % span], out.w)


@kernel
def _post_factor(cell, trajectory, pairing, b, t, post):
    """Set the postsynaptic factor of all neurons at step t. Mutates `post`."""
    if pairing.spikes:
        for i in range(post.size):
            post[i] = 0
        for e in range(trajectory.first[b, t], trajectory.first[b, t + 1]):
            post[trajectory.spike[b, e]] = 1
    else:
        pseudo_derivatives(
            cell.surrogate,
            trajectory.distance[b, t],
            cell.height,
            cell.inverse_width,
            post,
        )
