"""Credit by eligibility traces that run forward in time, one per synapse.

The same numbers as `kernels.adjoint` for rules that need no future, but available while
a trial runs: weights may change between two calls. Steps are done in chunks: the traces
of a few synapses stay in registers for a chunk and are in memory at its end.
`kernels.window` moves the same traces over many steps at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import flushed
from spikelearn.kernels.paths import DIAGONAL, ONE_HOP_ONLINE
from spikelearn.kernels.traces import (
    ADAPTATION,
    DIRECT,
    ELIGIBILITY,
    FILTERED,
    HOP,
    KEPT,
    MEMBRANE,
    PSI,
    PSI_BETA,
    SIGNAL,
    SYNAPSE,
    keep_sent,
    list_sent,
    load_gradient,
    prepare,
    sent_zeros,
    store_gradient,
)
from spikelearn.kernels.vector import (
    BLOCK,
    aligned_zeros,
    bare,
    load,
    select,
    store,
    width,
)

CHUNK = 16
"""Steps between two times at which the traces are in memory."""


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
                cell,
                weights,
                events,
                trajectory,
                paths,
                b,
                start,
                stop,
                traces,
                work,
                out,
            )
        keep_sent(weights, events.n_in, b, stop - start, work.sent, traces.output)


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
    """Do a chunk where rows have one membrane trace: 5 multiply-adds a synapse.

    Two rows at a time share what is loaded of a neuron. Mutates `traces`, `out`.
    """
    n, lanes, last = weights.w_out.shape[0], width(weights.w), work.sent.shape[0] - 1
    hops = paths.kind == ONE_HOP_ONLINE
    directs = signal.neuron.shape[0] > 0 or signal.direct.shape[1] > 0
    flags = (traces.synapses.shape[1] > ADAPTATION, directs, hops)
    # Columns in blocks: what is loaded of their neurons stays in the nearest cache.
    for low in range(0, n, BLOCK * lanes):
        for q in range(0, last + 1, 2):
            r = min(q + 1, last)  # the last row may be its own neighbour
            for j in range(low, min(low + BLOCK * lanes, n), lanes):
                size = load(weights.bias, j)
                g, h = load_gradient(out, q, j, size), load_gradient(out, r, j, size)
                g, h = _two_rows(
                    flags, weights.kappa, work, n_steps, b, q, r, j, g, h, traces
                )
                store_gradient(out, q, j, g)
                store_gradient(out, r, j, h)


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
            g = load_gradient(out, q, j, load(weights.bias, j))
            g = _row(
                cell,
                weights,
                trajectory,
                paths,
                b,
                start,
                stop,
                q,
                j,
                late,
                g,
                traces,
                work,
            )
            store_gradient(out, q, j, g)


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
