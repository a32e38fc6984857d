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

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import Part, credit_inputs, credit_sent, flushed
from spikelearn.kernels.surrogate import pseudo_derivative
from spikelearn.kernels.vector import bare, load, select, store, width


class Pairing(NamedTuple):
    """Coefficients of a spike-timing rule, scalars of the dtype of the weights."""

    causal: Any
    acausal: Any
    lambda_pre: Any  # decay factors of one step
    lambda_post: Any
    lambda_e: Any
    bias: Any  # dE/dbias_i = bias sum_t S_i[t] post_i[t]
    spikes: bool  # post is the spike, else the pseudo-derivative


@kernel
def three_factor(
    cell, weights, events, trajectory, signal, pairing, begin, end, later, out
):
    """Accumulate the gradient of weights into neurons for samples `begin` to `end`.

    Parameters
    ----------
    signal : (B, T, n_pad) array
        What turns eligibility into gradients.

    Mutates
    -------
    later : (B, longest_delay, n_pad) float array
        Rows of the next steps; zero before.
    out : Accumulators
        w and bias.
    """
    n_steps, n_pad = signal.shape[1], signal.shape[2]
    trace = np.zeros((n_steps + 1, n_pad), signal.dtype)  # Y
    sums = np.zeros((2, n_pad), signal.dtype)  # g and S
    part = Part(begin, end, 0, n_pad)
    for b in range(begin, end):
        trace[0] = 0
        sums[:] = 0
        _sample(
            bare(cell),
            bare(weights),
            bare(events),
            bare(trajectory),
            bare(signal),
            pairing,
            part,
            b,
            bare(trace),
            bare(sums),
            bare(later),
            bare(out),
        )


@kernel
def _sample(
    cell, weights, events, trajectory, signal, pairing, part, b, y, sums, later, out
):
    n_steps, span = signal.shape[1], weights.longest_delay
    lanes, n_pad = width(sums), sums.shape[1]
    for t in range(n_steps):
        for j in range(0, n_pad, lanes):
            post = _post_factor(cell, trajectory, pairing, b, t, j)
            decayed = pairing.lambda_post * load(y, (t, j))
            store(y, (t + 1, j), flushed(decayed + post))
    for t in range(n_steps - 1, -1, -1):
        slot = t % span
        credit_sent(weights, events.n_in, trajectory, later, b, t, slot, part, out)
        for j in range(0, n_pad, lanes):
            post = _post_factor(cell, trajectory, pairing, b, t, j)
            s = flushed(pairing.lambda_e * load(sums, (1, j)) + load(signal, (b, t, j)))
            post *= s
            g = pairing.lambda_pre * load(sums, (0, j)) + pairing.causal * post
            store(sums, (0, j), flushed(g))
            store(sums, (1, j), s)
            store(out.bias, j, load(out.bias, j) + pairing.bias * post)
            acausal = pairing.acausal * s * load(y, (t, j))
            store(later, (b, slot, j), flushed(g) + acausal)
        credit_inputs(weights, events, b, t, later, slot, part, out)


@inlined
def _post_factor(cell, trajectory, pairing, b, t, j):
    """Return the postsynaptic factor of a vector of neurons at step t."""
    d = load(trajectory.distance, (b, t, j))
    if pairing.spikes:
        height = load(cell.height, j)
        post = select(d > 0, 0 * height + 1, 0)
    else:
        height, inverse = load(cell.height, j), load(cell.inverse_width, j)
        post = pseudo_derivative(cell.surrogate, d, height, inverse)
    return post
