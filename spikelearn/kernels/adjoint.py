"""Credit by one reverse sweep over a recorded trajectory.

The eligibility traces of e-prop are linear and local to the postsynaptic neuron. Summed
against a learning signal they need not exist per synapse: the transposed recursion, run
backwards, gives the same gradient with O(N) state and touches the weight gradients only
where a presynaptic event happened.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.surrogate import pseudo_derivatives

# Decaying numbers are cut to 0 here: float32 arithmetic is slow below 1e-38.
TINY = np.float32(1e-30)


class Signal(NamedTuple):
    """What drives learning: the error of the readout and how it reaches neurons."""

    error: Any  # (B, T, n_out): dE/dy
    feedback: Any  # (N, n_out): B
    neuron: Any  # (B, N): added to the learning signal at every step


class Accumulators(NamedTuple):
    """Sums of one group of samples, in the layout of `Weights`."""

    w: Any  # (n_in + N, n_pad)
    bias: Any  # (N,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)


@kernel
def eprop(cell, weights, events, trajectory, signal, begin, end, out):
    """Accumulate the e-prop gradient of samples `begin` to `end`.

    e-prop (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, eqs. 22-28) is

        dE/dw_ji = sum_t  L_j[t] F_kappa(e_ji)[t] + M_j sum_t e_ji[t]
        e_ji[t]  = psi_j[t] (xbar_ji[t] - beta_j eps_ji[t])
        eps_ji[t+1] = rho_j eps_ji[t] + e_ji[t]

    with the pre trace xbar (the spikes of i through the membrane filter and, if there
    is one, the synaptic filter), cut at the spikes of j for reset "zero". Transposed:

        ebar[t] = kappa ebar[t+1] + error[t]
        p   = psi[t] (M + B out_gain ebar[t] + ga)
        gv  = p + alpha_m gv            (gv of spiking neurons := 0 first, reset "zero")
        ga  = rho ga - beta p
        gi  = zeta gv + alpha_s gi
        dw[i, :] += x_i gi              for every presynaptic event i acting at t

    Mutates
    -------
    out : Accumulators
    """
    for b in range(begin, end):
        _eprop_sample(cell, weights, events, trajectory, signal, b, out)


@kernel
def _eprop_sample(cell, weights, events, trajectory, signal, b, out):
    n = cell.alpha_m.size
    n_out = weights.b_out.size
    n_steps = trajectory.distance.shape[1]
    dtype = cell.alpha_m.dtype
    zero = dtype.type(0)
    ebar = np.zeros(n_out, dtype)
    p = np.zeros(n, dtype)
    learning_signal = np.zeros(n, dtype)
    gv = np.zeros(n, dtype)
    ga = np.zeros(n, dtype)
    gi = np.zeros(n, dtype)
    for t in range(n_steps - 1, -1, -1):
        for k in range(n_out):
            ebar[k] = weights.kappa * ebar[k] + signal.error[b, t, k]
            if abs(ebar[k]) < TINY:
                ebar[k] = zero
            out.b_out[k] += ebar[k]
        for e in range(trajectory.first[b, t], trajectory.first[b, t + 1]):
            j = trajectory.spike[b, e]
            for k in range(n_out):
                out.w_out[j, k] += weights.out_gain * ebar[k]
            if cell.reset_to_zero:
                gv[j] = zero

        for j in range(n):
            learning_signal[j] = signal.neuron[b, j]
        for k in range(n_out):
            scaled = weights.out_gain * ebar[k]
            for j in range(n):
                learning_signal[j] += signal.feedback[j, k] * scaled
        pseudo_derivatives(
            cell.surrogate,
            trajectory.distance[b, t],
            cell.height,
            cell.inverse_width,
            p,
        )
        # One short loop per line of the recursion: loops over many arrays are not
        # vectorised, because the compiler cannot rule out that they overlap.
        for j in range(n):
            p[j] *= learning_signal[j] + ga[j]
        for j in range(n):
            g = p[j] + cell.alpha_m[j] * gv[j]
            gv[j] = zero if abs(g) < TINY else g
        for j in range(n):
            g = cell.rho[j] * ga[j] - cell.beta[j] * p[j]
            ga[j] = zero if abs(g) < TINY else g
        for j in range(n):
            g = cell.zeta[j] * gv[j] + cell.alpha_s[j] * gi[j]
            gi[j] = zero if abs(g) < TINY else g
        for j in range(n):
            out.bias[j] += gv[j]
        _add_input_rows(events, b * n_steps + t, gi, out.w)
        if t > 0:
            for e in range(trajectory.first[b, t - 1], trajectory.first[b, t]):
                row = events.n_in + trajectory.spike[b, e]
                for j in range(n):
                    out.w[row, j] += gi[j]


@kernel
def _add_input_rows(events, row, gi, w):
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
