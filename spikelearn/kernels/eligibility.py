"""Credit by eligibility traces that run forward in time, one per synapse.

The same numbers as `kernels.adjoint` for rules that need no future, but available while
a trial runs: weights may change between two calls. Steps are done in chunks: the traces
of a few synapses stay in registers for a chunk and are in memory at its end.
`kernels.window` moves the same traces over many steps at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import _direct, flushed
from spikelearn.kernels.paths import DIAGONAL, ONE_HOP_ONLINE
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING
from spikelearn.kernels.surrogate import pseudo_derivative
from spikelearn.kernels.vector import (
    BLOCK,
    LANES,
    aligned_zeros,
    bare,
    load,
    select,
    store,
    width,
)

CHUNK = 16
"""Steps between two times at which the traces are in memory."""

# The traces of a synapse, by their place in `Traces.synapses`, as far as they are needed.
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

    synapses: Any  # (B, 1 to 5, rows, n_pad)
    shared: Any  # (B, 2, rows): MEMBRANE and SYNAPSE of all neurons, or (B, 0, rows)
    output: Any  # (B, N, longest_delay): outputs of the last steps, the oldest first
    output_filtered: Any  # (B, N): F_kappa of the output, times out_gain
    one_filtered: Any  # (B,): F_kappa of 1

    @property
    def filtered(self) -> Any:
        """The filtered eligibility ebar of every synapse, (B, rows, n_pad)."""
        return self.synapses[:, FILTERED]


class Workspace(NamedTuple):
    """Memory of one call; what is in it before and after means nothing."""

    coefficient: Any  # (6, steps, n_pad)
    sent: Any  # (rows, longest_delay + steps, padded): see `list_sent`
    membrane: Any  # (rows, steps): dv/dw of a row, where neurons share it
    arriving: Any  # (steps, n_pad): of one row, where delays differ


def workspace(n_rows: int, n_pad: int, longest: int, dtype: Any) -> Workspace:
    """Return memory for `accumulate`."""
    return Workspace(
        coefficient=aligned_zeros((6, CHUNK, n_pad), dtype),
        sent=sent_zeros(n_rows, longest + CHUNK, dtype),
        membrane=aligned_zeros((n_rows, CHUNK), dtype),
        arriving=aligned_zeros((CHUNK, n_pad), dtype),
    )


def sent_zeros(n_rows: int, n_columns: int, dtype: Any) -> np.ndarray:
    """Return memory for `list_sent`, with columns in whole vectors."""
    return aligned_zeros((n_rows, -(-n_columns // LANES) * LANES), dtype)


@kernel
def accumulate(
    cell, weights, events, trajectory, signal, paths, begin, end, traces, work, out
):
    """Move traces through the steps of a trajectory and add up the gradient.

    For row q and neuron j, with pre_q the input at t, the output of t - delay, or 1:

        s  = alpha_s s + pre_q  [+ w_jj e[t-1], own paths kept]
        m  = alpha_m m + zeta s [- v_th e[t-1], own paths kept]
        e  = psi_j (m - beta eps),   eps = rho eps + e
        ebar = kappa ebar + e
        dw_jq += L_j ebar + M_j e   [+ Gamma_j ebar[t-1], online one-hop]

    with L_j = out_gain sum_k B_jk broadcast_k, M_j = neuron_j + direct_j and
    Gamma_j = sum_k hop_kj zeta psi_k L_k. For activations outside of the leak
    m = alpha_m m + zeta psi s and e = m. The bias skips zeta. Reset "zero" cuts m.

    Mutates
    -------
    traces : Traces
        All but the readout's own (`credit_readout_online`).
    work : Workspace
    out : Accumulators
        w and bias.
    """
    for b in range(begin, end):
        _accumulate_sample(
            bare(cell),
            bare(weights),
            bare(events),
            bare(trajectory),
            bare(signal),
            bare(paths),
            b,
            bare(traces),
            bare(work),
            bare(out),
        )


@kernel
def _accumulate_sample(
    cell, weights, events, trajectory, signal, paths, b, traces, work, out
):
    n_steps = trajectory.y.shape[1]
    for start in range(0, n_steps, CHUNK):
        stop = min(start + CHUNK, n_steps)
        prepare(
            cell, weights, trajectory, signal, paths, b, start, stop, work.coefficient
        )
        list_sent(weights, events, trajectory, b, start, stop, traces.output, work.sent)
        if traces.shared.shape[1] > 0:
            _filter_rows(cell, work.sent, stop - start, b, traces.shared, work.membrane)
            _advance_shared(
                cell, weights, signal, paths, b, stop - start, traces, work, out
            )
        else:
            _advance(
                cell, weights, events, trajectory, paths, b, start, stop, traces, work, out
            )
        keep_sent(weights, events.n_in, b, stop - start, work.sent, traces.output)


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
            filtered = _direct(signal, signal.broadcast, gain, b, now, j)
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
    n_steps, spiking = trajectory.y.shape[1], trajectory.output.shape[1] == 0
    for q in range(sent.shape[0]):
        for column in range(0, sent.shape[1], width(sent)):
            store(sent, (q, column), 0)
    for i in range(n):
        for column in range(span):
            sent[n_in + i, column] = output[b, i, column]
    for t in range(start, stop):
        row = b * n_steps + t
        for e in range(events.start[row], events.start[row + 1]):
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
    """Keep what has been sent after n_steps and may not have arrived. Mutates `output`."""
    for i in range(weights.w_out.shape[0]):
        for column in range(weights.longest_delay):
            output[b, i, column] = sent[n_in + i, n_steps + column]


@kernel
def _filter_rows(cell, sent, n_steps, b, shared, membrane):
    """Do the steps of the membrane traces that all neurons share.

    Mutates
    -------
    shared : (B, 2, rows) float array
    membrane : (rows, CHUNK) float array
    """
    last = sent.shape[0] - 1
    alpha_m, alpha_s, zeta = cell.alpha_m[0], cell.alpha_s[0], cell.zeta[0]
    for q in range(last + 1):
        m, s = shared[b, 0, q], shared[b, 1, q]
        constant = sent.dtype.type(1 if q == last else 0)
        for t in range(n_steps):
            s = alpha_s * s + sent[q, t]
            m = alpha_m * m + (zeta * s + constant)
            membrane[q, t] = m
        shared[b, 0, q], shared[b, 1, q] = flushed(m), flushed(s)


@kernel
def _advance_shared(cell, weights, signal, paths, b, n_steps, traces, work, out):
    """Do a chunk where rows have one membrane trace: 5 multiply-adds a synapse and step.

    Two rows at a time share what is loaded of a neuron. Mutates `traces`, `out`.
    """
    synapses, w, bias = traces.synapses, out.w, out.bias
    adapts, last = synapses.shape[1] > ADAPTATION, synapses.shape[2] - 1
    hops = paths.kind == ONE_HOP_ONLINE
    directs = signal.neuron.shape[0] > 0 or signal.direct.shape[1] > 0
    flags = (adapts, directs, hops)
    n, lanes = weights.w_out.shape[0], width(w)
    # Columns in blocks: what is loaded of their neurons stays in the nearest cache.
    for low in range(0, n, BLOCK * lanes):
        high = min(low + BLOCK * lanes, n)
        for q in range(0, last, 2):
            r = min(q + 1, last - 1)  # the last row may be its own neighbour
            for j in range(low, high, lanes):
                g, h = load(w, (q, j)), load(w, (r, j))
                g, h = _two_rows(
                    flags, weights.kappa, work, n_steps, b, q, r, j, g, h, traces
                )
                store(w, (q, j), g)
                store(w, (r, j), h)
        for j in range(low, high, lanes):
            g = load(bias, j)
            g, _ = _two_rows(
                flags, weights.kappa, work, n_steps, b, last, last, j, g, g, traces
            )
            store(bias, j, g)


@inlined
def _two_rows(flags, kappa, work, n_steps, b, q, r, j, g, h, traces):
    """Return the gradients g and h of rows q and r after a chunk. Mutates `traces`."""
    adapts, synapses, membrane = flags[0], traces.synapses, work.membrane
    f_q, f_r = load(synapses, (b, FILTERED, q, j)), load(synapses, (b, FILTERED, r, j))
    a_q, a_r = 0 * f_q, 0 * f_r
    if adapts:
        a_q = load(synapses, (b, ADAPTATION, q, j))
        a_r = load(synapses, (b, ADAPTATION, r, j))
    for t in range(n_steps):
        f_q, a_q, g = _one_step(
            flags, work.coefficient, kappa, t, j, membrane[q, t], f_q, a_q, g
        )
        f_r, a_r, h = _one_step(
            flags, work.coefficient, kappa, t, j, membrane[r, t], f_r, a_r, h
        )
    store(synapses, (b, FILTERED, q, j), flushed(f_q))
    store(synapses, (b, FILTERED, r, j), flushed(f_r))
    if adapts:
        store(synapses, (b, ADAPTATION, q, j), flushed(a_q))
        store(synapses, (b, ADAPTATION, r, j), flushed(a_r))
    return g, h


@inlined
def _one_step(flags, coefficient, kappa, t, j, m, f, a, g):
    """Return ebar, eps and the gradient after a step with membrane trace m."""
    adapts, directs, hops = flags
    e = load(coefficient, (PSI, t, j)) * m
    if adapts:
        # eps' = rho eps + e, in a form that does not wait for e.
        kept = load(coefficient, (KEPT, t, j)) * a + e
        e -= load(coefficient, (PSI_BETA, t, j)) * a
        a = kept
    if hops:
        g += load(coefficient, (HOP, t, j)) * f
    f = kappa * f + e
    g += load(coefficient, (SIGNAL, t, j)) * f
    if directs:
        g += load(coefficient, (DIRECT, t, j)) * e
    return f, a, g


@kernel
def _advance(
    cell, weights, events, trajectory, paths, b, start, stop, traces, work, out
):
    """Do a chunk where every synapse has all traces. Mutates `traces`, `out`."""
    n, n_in, lanes = weights.w_out.shape[0], events.n_in, width(weights.w)
    last = traces.synapses.shape[2] - 1
    for q in range(last + 1):
        late = weights.delay.shape[0] > 0 and n_in <= q < last
        if late:
            _arrive_late(weights, n_in, q, stop - start, work.sent, work.arriving)
        for j in range(0, n, lanes):
            g = load(out.bias, j)
            if q < last:
                g = load(out.w, (q, j))
            g = _row(
                cell, weights, trajectory, paths, b, start, stop, q, j, late, g, traces, work
            )
            if q < last:
                store(out.w, (q, j), g)
            else:
                store(out.bias, j, g)


@inlined
def _arrive_late(weights, n_in, q, n_steps, sent, arriving):
    """Set arriving[t, j] of row q, whose synapses have delays. Mutates `arriving`."""
    delay, span = weights.delay, weights.longest_delay
    for t in range(n_steps):
        for j in range(delay.shape[1]):
            arriving[t, j] = sent[q, span + t - delay[q - n_in, j]]


@inlined
def _row(cell, weights, trajectory, paths, b, start, stop, q, j, late, g, traces, work):
    """Return the gradient g of row q after a chunk. Mutates `traces`."""
    synapses, coefficient, sent = traces.synapses, work.coefficient, work.sent
    own, bias = paths.kind == DIAGONAL, q == synapses.shape[2] - 1
    f, eps = load(synapses, (b, FILTERED, q, j)), load(synapses, (b, ADAPTATION, q, j))
    m, s = load(synapses, (b, MEMBRANE, q, j)), 0 * f
    if synapses.shape[1] > SYNAPSE:
        s = load(synapses, (b, SYNAPSE, q, j))
    alpha_m, alpha_s = load(cell.alpha_m, j), load(cell.alpha_s, j)
    beta, rho, zeta = load(cell.beta, j), load(cell.rho, j), load(cell.zeta, j)
    constant = 0 * zeta
    if bias:
        constant = zeta if cell.outside else 0 * zeta + 1
    e, hop = 0 * f, 0 * f
    if own:
        e, hop = load(synapses, (b, ELIGIBILITY, q, j)), load(paths.hop, (0, j))
    for t in range(start, stop):
        k = t - start
        pre = 0 * s + sent[q, k]
        if late:
            pre = load(work.arriving, (k, j))
        s = alpha_s * s + pre
        if own:
            s += hop * e
        drive, psi = zeta * s + constant, load(coefficient, (PSI, k, j))
        if cell.outside:
            m = alpha_m * m + psi * drive
            e = m
        else:
            m = alpha_m * m + drive
            if own and paths.through_reset and not cell.reset_to_zero:
                m -= load(cell.v_th, j) * e
            e = psi * (m - beta * eps)
            eps = rho * eps + e
        if cell.reset_to_zero:
            m = select(load(trajectory.distance, (b, t, j)) > 0, 0, m)
            if own and paths.through_reset:
                m -= select(psi != 0, load(trajectory.v, (b, t, j)) * e, 0)
        if paths.kind == ONE_HOP_ONLINE:
            g += load(coefficient, (HOP, k, j)) * f
        f = weights.kappa * f + e
        g += load(coefficient, (SIGNAL, k, j)) * f
        g += load(coefficient, (DIRECT, k, j)) * e
    store(synapses, (b, FILTERED, q, j), flushed(f))
    store(synapses, (b, ADAPTATION, q, j), flushed(eps))
    store(synapses, (b, MEMBRANE, q, j), flushed(m))
    if synapses.shape[1] > SYNAPSE:
        store(synapses, (b, SYNAPSE, q, j), flushed(s))
    if own:
        store(synapses, (b, ELIGIBILITY, q, j), flushed(e))
    return g


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
