"""Credit by eligibility traces that run forward in time, one per synapse.

The same numbers as `kernels.adjoint` for rules that need no future, but available while
a trial runs: weights may change between two calls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.paths import DIAGONAL, ONE_HOP_ONLINE
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivative


class Traces(NamedTuple):
    """Traces of one trial; rows are inputs, recurrent neurons and the bias."""

    synapse: Any  # (B, rows, N): di/dw
    membrane: Any  # (B, rows, N): dv/dw or dh/dw
    adaptation: Any  # (B, rows, N): da/dw
    eligibility: Any  # (B, rows, N): dr/dw
    filtered: Any  # (B, rows, N): F_kappa of it, times out_gain
    output: Any  # (B, longest_delay, N): outputs of the last steps
    output_filtered: Any  # (B, N)
    one_filtered: Any  # (B,)
    time: Any  # (B,) int64


@kernel
def accumulate(
    cell, weights, events, trajectory, signal, paths, begin, end, traces, out
):
    """Move traces through the steps of a trajectory and add up the gradient.

    For row q and neuron j, with pre_q the input at t, the output of t - delay, or 1:

        s  = alpha_s s + pre_q  [+ w_jj e[t-1], own paths kept]
        m  = alpha_m m + zeta s [- v_th e[t-1], own paths kept]
        e  = psi_j (m - beta eps),   eps = rho eps + e
        ebar = kappa ebar + out_gain e
        dw_jq += L_j ebar + M_j e   [+ Gamma_j ebar[t-1], online one-hop]

    with L_j = sum_k B_jk broadcast_k, M_j = neuron_j + direct_j and
    Gamma_j = sum_k hop_kj zeta psi_k L_k. For activations outside of the leak
    m = alpha_m m + zeta psi s and e = m. The bias skips zeta. Reset "zero" cuts m.

    Mutates
    -------
    traces : Traces
    out : Accumulators
    """
    for b in range(begin, end):
        for t in range(trajectory.distance.shape[1]):
            _step(cell, weights, events, trajectory, signal, paths, b, t, traces, out)


@kernel
def _step(cell, weights, events, trajectory, signal, paths, b, t, traces, out):
    n = weights.w_out.shape[0]
    span = weights.longest_delay
    now = traces.time[b]
    spiking = cell.activation == SPIKING
    dtype = cell.alpha_m.dtype
    zero = dtype.type(0)
    psi = np.zeros(n, dtype)
    output = np.zeros(n, dtype)
    if spiking:
        distance = trajectory.distance[b, t]
        for j in range(n):
            height, inverse = cell.height[j], cell.inverse_width[j]
            psi[j] = pseudo_derivative(cell.surrogate, distance[j], height, inverse)
        for e in range(trajectory.first[b, t], trajectory.first[b, t + 1]):
            output[trajectory.spike[e]] = 1
    else:
        for j in range(n):
            psi[j] = slope(cell.activation, trajectory.distance[b, t, j])
            output[j] = trajectory.output[b, t, j]

    filtered_signal = np.zeros(n, dtype)
    for k in range(weights.b_out.size):
        for j in range(n):
            filtered_signal[j] += signal.feedback[k, j] * signal.broadcast[b, t, k]
    unfiltered_signal = np.zeros(n, dtype)
    for j in range(n):
        if signal.neuron.shape[0] > 0:
            unfiltered_signal[j] += signal.neuron[b, j]
        if signal.direct.shape[1] > 0:
            unfiltered_signal[j] += signal.direct[b, t, j]
    one_hop = np.zeros(n, dtype)
    if paths.kind == ONE_HOP_ONLINE:
        for k in range(n):
            back = cell.zeta[k] * psi[k] * filtered_signal[k]
            for j in range(n):
                one_hop[j] += paths.hop[k, j] * back

    rows = traces.membrane.shape[1]
    pre = np.zeros(rows, dtype)
    for e in range(events.start[b, t], events.start[b, t + 1]):
        graded = events.value.size > 0
        pre[events.unit[e]] = events.value[e] if graded else dtype.type(1)
    for q in range(rows):
        for j in range(n):
            arriving = pre[q]
            if q >= events.n_in and q < rows - 1:
                i = q - events.n_in
                delay = span if weights.delay.shape[0] == 0 else weights.delay[i, j]
                arriving = traces.output[b, (now - delay) % span, i]
            before = traces.eligibility[b, q, j]
            own = paths.kind == DIAGONAL
            s = cell.alpha_s[j] * traces.synapse[b, q, j]
            if q < rows - 1:
                s += arriving
            if own:
                s += paths.hop[0, j] * before
            traces.synapse[b, q, j] = s
            drive = cell.zeta[j] * s
            if q == rows - 1:
                drive += cell.zeta[j] if cell.outside else dtype.type(1)
            if cell.outside:
                m = cell.alpha_m[j] * traces.membrane[b, q, j] + psi[j] * drive
                eligibility = m
            else:
                m = cell.alpha_m[j] * traces.membrane[b, q, j] + drive
                if own and paths.through_reset and not cell.reset_to_zero:
                    m -= cell.v_th[j] * before
                eps = traces.adaptation[b, q, j]
                eligibility = psi[j] * (m - cell.beta[j] * eps)
                traces.adaptation[b, q, j] = cell.rho[j] * eps + eligibility
            if cell.reset_to_zero:
                if own and paths.through_reset and psi[j] != 0:
                    m = (1 - output[j]) * m - trajectory.v[b, t, j] * eligibility
                elif output[j] != 0:
                    m = zero
            traces.membrane[b, q, j] = m
            traces.eligibility[b, q, j] = eligibility
            earlier = traces.filtered[b, q, j]
            filtered = weights.kappa * earlier + weights.out_gain * eligibility
            traces.filtered[b, q, j] = filtered
            change = (
                filtered_signal[j] * filtered
                + unfiltered_signal[j] * eligibility
                + one_hop[j] * earlier
            )
            if q < rows - 1:
                out.w[q, j] += change
            else:
                out.bias[j] += change

    one = weights.kappa * traces.one_filtered[b] + 1
    traces.one_filtered[b] = one
    for j in range(n):
        mean = weights.kappa * traces.output_filtered[b, j]
        traces.output_filtered[b, j] = mean + weights.out_gain * output[j]
    for k in range(weights.b_out.size):
        error = signal.error[b, t, k]
        out.b_out[k] += error * one
        for j in range(n):
            out.w_out[j, k] += error * traces.output_filtered[b, j]
    for j in range(n):
        traces.output[b, now % span, j] = output[j]
    traces.time[b] = now + 1
