"""Credit by one reverse sweep over a recorded trajectory.

The eligibility of a synapse is linear and local to the postsynaptic neuron. Summed
against a learning signal it need not exist per synapse: the transposed recursion, run
backwards, gives the same gradient with O(N) state and touches the weight gradients only
where a presynaptic output is not 0. Rules differ in what comes back from other neurons
(`kernels.paths`), and in nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.paths import (
    DIAGONAL,
    LOCAL,
    ONE_HOP_ONLINE,
    SMOOTHED,
)
from spikelearn.kernels.rate import slopes
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivatives

# Decaying numbers are cut to 0 here: float32 arithmetic is slow below 1e-38.
TINY = np.float32(1e-30)


class Signal(NamedTuple):
    """What drives learning: the error of the readout and how it reaches neurons."""

    error: Any  # (B, T, n_out): dE/dy, for the readout's own weights
    broadcast: Any  # (B, T, n_out): what the feedback carries to the neurons
    feedback: Any  # (n_out, N): B transposed
    neuron: Any  # (B, N): added to the learning signal at every step
    direct: Any  # (B, T, N): added at its step, or (B, 0, N)


class Accumulators(NamedTuple):
    """Sums of one group of samples, in the layout of `Weights`."""

    w: Any  # (n_in + N, n_pad)
    bias: Any  # (N,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)


@kernel
def credit(cell, weights, events, trajectory, signal, paths, begin, end, out, credits):
    """Accumulate the gradient of samples `begin` to `end` over the kept paths.

    With the eligibility e_ji = dr_j/dw_ji through neuron j alone (for e-prop: Bellec et
    al. 2020, doi:10.1038/s41467-020-17236-y, eqs. 22-28) it is

        dE/dw_ji = sum_t  S_j[t] e_ji[t],   S_j = D_j + M_j + cross_j
        D_j[t] = out_gain sum_k B_jk lbar_k[t],
        lbar[t] = kappa lbar[t+1] + broadcast[t]

    where M is `neuron` + `direct` and cross is what comes back from other neurons.
    Transposed, with psi the (pseudo-)derivative of the output:

        p   = psi[t] (S + ga)       [S also - v_th gv[t+1] or - v alpha_m gv[t+1]
                                     where the reset is kept]
        gv  = p + alpha_m gv            (gv of spiking neurons := 0 first, reset "zero")
        ga  = rho ga - beta p
        gi  = zeta gv + alpha_s gi      (dE/di of the step)
        dw[i, :] += r_i gi              for every presynaptic output that arrives at t

    and for activations outside of the leak: gv = S + alpha_m gv, p = zeta psi gv,
    gi = p + alpha_s gi.

    Mutates
    -------
    out : Accumulators
    credits : (B, T, N) or (B, 0, N) float array
        gi of every step, where it is not empty.
    """
    for b in range(begin, end):
        _credit_sample(
            cell, weights, events, trajectory, signal, paths, b, out, credits
        )


@kernel
def _credit_sample(cell, weights, events, trajectory, signal, paths, b, out, credits):
    n = cell.alpha_m.size
    n_out = weights.b_out.size
    n_steps = trajectory.distance.shape[1]
    span = weights.longest_delay
    spiking = cell.activation == SPIKING
    dtype = cell.alpha_m.dtype
    zero = dtype.type(0)
    ebar = np.zeros(n_out, dtype)
    lbar = np.zeros(n_out, dtype)
    psi = np.zeros(n, dtype)
    total = np.zeros(n, dtype)
    readout = np.zeros(n, dtype)
    cross = np.zeros(n, dtype)
    gv = np.zeros(n, dtype)
    ga = np.zeros(n, dtype)
    gi = np.zeros(n, dtype)
    hidden = np.zeros((3, n), dtype)
    later = np.zeros((span, n), dtype)  # gi of the steps t + 1 to t + span
    back = later
    if paths.kind > DIAGONAL:
        back = np.zeros((span, n), dtype)
    for t in range(n_steps - 1, -1, -1):
        slot = t % span
        for k in range(n_out):
            ebar[k] = flushed(weights.kappa * ebar[k] + signal.error[b, t, k])
            lbar[k] = flushed(weights.kappa * lbar[k] + signal.broadcast[b, t, k])
            out.b_out[k] += ebar[k]
        _project(signal.feedback, lbar, weights.out_gain, readout)
        for j in range(n):
            total[j] = signal.neuron[b, j] + readout[j]
        if signal.direct.shape[1] > 0:
            for j in range(n):
                total[j] += signal.direct[b, t, j]
        if paths.kind != LOCAL:
            _bring_back(paths, weights, back, t, slot, cross)
            for j in range(n):
                total[j] += cross[j]
        if spiking:
            pseudo_derivatives(
                cell.surrogate,
                trajectory.distance[b, t],
                cell.height,
                cell.inverse_width,
                psi,
            )
        else:
            slopes(cell.activation, trajectory.distance[b, t], psi)
        credit_outputs(weights, events.n_in, trajectory, ebar, later, b, t, out)
        if paths.through_reset and spiking:
            if cell.reset_to_zero:
                for j in range(n):
                    if psi[j] != 0:
                        total[j] -= trajectory.v[b, t, j] * cell.alpha_m[j] * gv[j]
            else:
                for j in range(n):
                    total[j] -= cell.v_th[j] * gv[j]
        if cell.reset_to_zero:
            for e in range(trajectory.first[b, t], trajectory.first[b, t + 1]):
                gv[trajectory.spike[b, e]] = zero

        # One short loop per line of the recursion: loops over many arrays are not
        # vectorised, because the compiler cannot rule out that they overlap.
        if cell.outside:
            for j in range(n):
                gv[j] = flushed(total[j] + cell.alpha_m[j] * gv[j])
            for j in range(n):
                total[j] = cell.zeta[j] * psi[j] * gv[j]
            for j in range(n):
                gi[j] = flushed(total[j] + cell.alpha_s[j] * gi[j])
            for j in range(n):
                out.bias[j] += total[j]
        else:
            for j in range(n):
                total[j] = psi[j] * (total[j] + ga[j])
            for j in range(n):
                gv[j] = flushed(total[j] + cell.alpha_m[j] * gv[j])
            for j in range(n):
                ga[j] = flushed(cell.rho[j] * ga[j] - cell.beta[j] * total[j])
            for j in range(n):
                gi[j] = flushed(cell.zeta[j] * gv[j] + cell.alpha_s[j] * gi[j])
            for j in range(n):
                out.bias[j] += gv[j]
        add_input_rows(events, b * n_steps + t, gi, out.w)
        for j in range(n):
            later[slot, j] = gi[j]
        if credits.shape[1] > 0:
            credits[b, t, :] = gi

        if paths.kind == ONE_HOP_ONLINE:
            _project(signal.feedback, signal.broadcast[b, t], weights.out_gain, readout)
        if paths.kind == SMOOTHED:
            _smooth(cell, psi, readout, cross, paths.mu, hidden)
            back[slot, :] = hidden[2]
        elif paths.kind > DIAGONAL:
            for j in range(n):
                back[slot, j] = cell.zeta[j] * psi[j] * readout[j]


@kernel
def flushed(g):
    """Return g, or 0 where it is too small to matter (NaN stays)."""
    return type(g)(0) if abs(g) < TINY else g


@kernel
def _project(feedback, channels, gain, out):
    """Set out_j = gain sum_k B_jk channels_k. Mutates `out`."""
    for j in range(out.size):
        out[j] = 0
    for k in range(channels.size):
        scaled = gain * channels[k]
        for j in range(out.size):
            out[j] += feedback[k, j] * scaled


@kernel
def _bring_back(paths, weights, back, t, slot, cross):
    """Set cross_j[t] = sum_k hop_kj back_k[t + delay_kj]. Mutates `cross`.

    ONE_HOP_ONLINE adds to kappa cross[t + 1] in place of starting at 0.
    """
    n = cross.size
    span = weights.longest_delay
    if paths.kind == ONE_HOP_ONLINE:
        for j in range(n):
            cross[j] = flushed(weights.kappa * cross[j])
    else:
        for j in range(n):
            cross[j] = 0
    if paths.kind == DIAGONAL:
        for j in range(n):
            delay = span if weights.delay.shape[0] == 0 else weights.delay[j, j]
            cross[j] = paths.hop[j, j] * back[(t + delay) % span, j]
    elif weights.delay.shape[0] == 0:
        for k in range(n):
            g = back[slot, k]
            if g != 0:
                for j in range(n):
                    cross[j] += g * paths.hop[k, j]
    else:
        for j in range(n):
            for k in range(n):
                late = (t + weights.delay[j, k]) % span
                cross[j] += paths.hop[k, j] * back[late, k]


@kernel
def credit_outputs(weights, n_in, trajectory, ebar, later, b, t, out):
    """Credit the weights that read an output of step t. Mutates `out`."""
    span = weights.longest_delay
    slot = t % span
    n = later.shape[1]
    first, last = 0, n
    spiking = trajectory.output.shape[1] == 0
    if spiking:
        first, last = trajectory.first[b, t], trajectory.first[b, t + 1]
    for e in range(first, last):
        j = e
        value = ebar.dtype.type(1)
        if spiking:
            j = trajectory.spike[b, e]
        else:
            value = trajectory.output[b, t, e]
            if value == 0:
                continue
        for k in range(ebar.size):
            out.w_out[j, k] += value * weights.out_gain * ebar[k]
        row = n_in + j
        if weights.delay.shape[0] == 0:
            for k in range(n):
                out.w[row, k] += value * later[slot, k]
        else:
            for k in range(n):
                late = (t + weights.delay[j, k]) % span
                out.w[row, k] += value * later[late, k]


@kernel
def _smooth(cell, psi, readout, cross, mu, hidden):
    """Do one step of the adjoint of the smoothed network of ModProp.

    Mutates
    -------
    hidden : (3, N) float array
        Two states of the leak, and dE/di of the step.
    """
    for j in range(psi.size):
        if cell.outside:
            first = flushed(readout[j] + cell.alpha_m[j] * hidden[0, j])
            rest = flushed(cross[j] + cell.alpha_m[j] * hidden[1, j])
            hidden[0, j] = first
            hidden[1, j] = rest
            g = cell.zeta[j] * (psi[j] * first + mu * rest)
        else:
            p = psi[j] * readout[j] + mu * cross[j]
            hidden[0, j] = flushed(p + cell.alpha_m[j] * hidden[0, j])
            g = cell.zeta[j] * hidden[0, j]
        hidden[2, j] = flushed(g + cell.alpha_s[j] * hidden[2, j])


@kernel
def add_input_rows(events, row, gi, w):
    """Add `gi` to the gradient rows of the inputs of one step. Mutates `w`."""
    for e in range(events.start[row], events.start[row + 1]):
        k = events.unit[e]
        if events.value.size > 0:
            value = events.value[e]
            for j in range(gi.size):
                w[k, j] += value * gi[j]
        else:
            for j in range(gi.size):
                w[k, j] += gi[j]
