"""Eligibility traces, and what has to be known of a piece of a trial to move them on.

`kernels.eligibility` moves them step by step, `kernels.window` over many steps at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import direct_effect, flushed
from spikelearn.kernels.paths import ONE_HOP_ONLINE
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivative
from spikelearn.kernels.vector import LANES, aligned_zeros, load, store, width

# The traces of a synapse, by their place in `Traces.synapses`.
FILTERED, ADAPTATION, MEMBRANE, SYNAPSE, ELIGIBILITY = range(5)

# What a step needs to know of each neuron, by its place in `Workspace.coefficient`.
PSI, PSI_BETA, KEPT, SIGNAL, DIRECT, HOP = range(6)


class Traces(NamedTuple):
    """Traces of one trial; rows are inputs, recurrent neurons and the bias.

    With i, v, a and r = z the states of the postsynaptic neuron of `kernels.spiking`,
    and e = dr/dw the eligibility through that neuron alone, a synapse has the traces

        FILTERED     ebar = F_kappa(e), without `out_gain`
        ADAPTATION   da/dw after the step
        MEMBRANE     dv/dw (dh/dw of rate units) after the reset
        SYNAPSE      di/dw
        ELIGIBILITY  e of the last step

    as far as the second axis of `synapses` goes: ELIGIBILITY is for DIAGONAL paths,
    SYNAPSE for cells with a synaptic current. When all neurons have the same time
    constants, MEMBRANE and SYNAPSE are those of the presynaptic unit; they stand in
    `shared`, and ADAPTATION, where there is any, comes last. Numbers below 1e-30 are 0.
    """

    synapses: Any  # (B, 1 to 5, rows, n_pad or more)
    shared: Any  # (B, 2, rows): MEMBRANE and SYNAPSE of all neurons, or (B, 0, rows)
    output: Any  # (B, N, longest_delay): outputs of the last steps, the oldest first
    output_filtered: Any  # (B, N): F_kappa of the output, times out_gain
    one_filtered: Any  # (B,): F_kappa of 1

    @property
    def filtered(self) -> Any:
        """The filtered eligibility ebar of every synapse, (B, rows, N)."""
        return self.synapses[:, FILTERED, :, : self.output.shape[1]]


def n_traces(shared: bool, own: bool, adapts: bool, synaptic: bool) -> int:
    """Return how many traces a synapse has of its own.

    Parameters
    ----------
    shared
        All neurons have the same membrane traces.
    own
        The paths are DIAGONAL.
    adapts, synaptic
        The cells have an adaptation, a synaptic current.
    """
    if own:
        return ELIGIBILITY + 1
    return ADAPTATION + adapts if shared else SYNAPSE + synaptic


def sent_zeros(n_rows: int, n_columns: int, dtype: Any) -> np.ndarray:
    """Return memory for `list_sent`, with columns in whole vectors."""
    return aligned_zeros((n_rows, -(-n_columns // LANES) * LANES), dtype)


@kernel
def prepare(cell, weights, trajectory, signal, paths, b, start, stop, coefficient):
    """Evaluate what steps `start` to `stop` need to know of each neuron.

    PSI is the (pseudo-)derivative psi, PSI_BETA = psi beta, KEPT = rho - psi beta,
    SIGNAL = L, DIRECT = M, HOP = Gamma (`accumulate`). Mutates `coefficient`.
    """
    n, n_pad, lanes = weights.w_out.shape[0], weights.w.shape[1], width(weights.w)
    gain = weights.out_gain
    for t in range(start, stop):
        k, now = t - start, signal.first_step + t
        for j in range(0, n_pad, lanes):
            d = load(trajectory.distance, (b, t, j))
            if cell.activation == SPIKING:
                height, inverse = load(cell.height, j), load(cell.inverse_width, j)
                psi = pseudo_derivative(cell.surrogate, d, height, inverse)
            else:
                psi = slope(cell.activation, d)
            psi_beta = psi * load(cell.beta, j)
            store(coefficient, (PSI, k, j), psi)
            store(coefficient, (PSI_BETA, k, j), psi_beta)
            store(coefficient, (KEPT, k, j), load(cell.rho, j) - psi_beta)
            filtered = direct_effect(signal, signal.broadcast, gain, b, now, j, psi)
            store(coefficient, (SIGNAL, k, j), filtered)
            direct = 0 * psi
            if signal.neuron.shape[0] > 0:
                direct += load(signal.neuron, (b, j))
            if signal.direct.shape[1] > 0:
                direct += load(signal.direct, (b, now, j))
            store(coefficient, (DIRECT, k, j), direct)
        if paths.kind == ONE_HOP_ONLINE:
            for j in range(0, n_pad, lanes):
                hop = 0 * load(coefficient, (PSI, k, j))
                for i in range(n):
                    back = cell.zeta[i] * coefficient[PSI, k, i]
                    back *= coefficient[SIGNAL, k, i]
                    hop += back * load(paths.hop, (i, j))
                store(coefficient, (HOP, k, j), hop)


@kernel
def list_sent(weights, events, trajectory, b, start, stop, output, sent):
    """List what presynaptic units send in steps `start` to `stop`.

    Inputs stand in the column of their step, less `start`; outputs of neurons in the
    column of their step, less `start`, plus the longest delay. So the column is that of
    the step at which they arrive, where all synapses have the longest delay. The row of
    the bias stays 0.

    Mutates
    -------
    sent : (rows, longest_delay + steps or more) float array
    """
    n, span, n_in = weights.w_out.shape[0], weights.longest_delay, events.n_in
    spiking = trajectory.output.shape[1] == 0
    for q in range(sent.shape[0]):
        for column in range(0, sent.shape[1], width(sent)):
            store(sent, (q, column), 0)
    for i in range(n):
        for column in range(span):
            sent[n_in + i, column] = output[b, i, column]
    for t in range(start, stop):
        for e in range(events.start[b, t], events.start[b, t + 1]):
            graded = events.value.size > 0
            value = events.value[e] if graded else sent.dtype.type(1)
            sent[events.unit[e], t - start] = value
        column = span + t - start
        if spiking:
            for e in range(trajectory.first[b, t], trajectory.first[b, t + 1]):
                sent[n_in + trajectory.spike[e], column] = 1
        else:
            for i in range(n):
                sent[n_in + i, column] = trajectory.output[b, t, i]


@inlined
def keep_sent(weights, n_in, b, n_steps, sent, output):
    """Keep what may not have arrived after n_steps. Mutates `output`."""
    for i in range(weights.w_out.shape[0]):
        for column in range(weights.longest_delay):
            output[b, i, column] = sent[n_in + i, n_steps + column]


@inlined
def load_gradient(out, q, j, size):
    """Return the gradient of row q of `Traces`, for the neurons from j on."""
    g = load(out.bias, j, size)
    if q < out.w.shape[0]:
        g = load(out.w, (q, j), size)
    return g


@inlined
def store_gradient(out, q, j, g):
    """Write what `load_gradient` returns. Mutates `out`."""
    if q < out.w.shape[0]:
        store(out.w, (q, j), g)
    else:
        store(out.bias, j, g)


@kernel
def credit_readout_online(weights, trajectory, ebar, begin, end, traces, out):
    """Credit the readout's weights for the past of a piece, and move its traces on.

        rbar = kappa rbar + out_gain r,   one = kappa one + 1

    What the piece itself does is `adjoint.credit_readout`; the past adds
    kappa ebar[0] rbar and kappa ebar[0] one, before they move.

    Mutates
    -------
    traces : Traces
        `output_filtered` and `one_filtered`.
    out : Accumulators
        w_out and b_out.
    """
    n, n_out = out.w_out.shape
    kappa, gain, n_steps = weights.kappa, weights.out_gain, trajectory.y.shape[1]
    first, spike, output = trajectory.first, trajectory.spike, trajectory.output
    one, mean = traces.one_filtered, traces.output_filtered
    for b in range(begin, end):
        for k in range(n_out):
            past = kappa * ebar[b, 0, k]
            out.b_out[k] += past * one[b]
            for i in range(n):
                out.w_out[i, k] += past * mean[b, i]
        decay = mean.dtype.type(1)
        for _ in range(n_steps):
            one[b] = kappa * one[b] + 1
            decay = flushed(decay * kappa)
        for i in range(n):
            mean[b, i] = flushed(decay * mean[b, i])
        # From the last step on back, so that only outputs cost anything.
        weight = gain
        for t in range(n_steps - 1, -1, -1):
            if output.shape[1] == 0:
                for e in range(first[b, t], first[b, t + 1]):
                    mean[b, spike[e]] += weight
            else:
                for i in range(n):
                    mean[b, i] += weight * output[b, t, i]
            weight = flushed(weight * kappa)
