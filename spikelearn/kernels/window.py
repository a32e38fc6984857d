"""Credit by eligibility traces that are moved over many steps at once.

Traces of a synapse are linear in what they were before a window of steps and in what
the presynaptic unit sent during it. The factors belong to the postsynaptic neuron, and
reverse sweeps over the window find them: one per quantity wanted after it, which are
the gradient and each trace. So the exact traces of `kernels.eligibility` are known at
the borders of windows, at the cost of a few multiply-adds per synapse and window and a
few row adds per spike. (The gradient alone needs one sweep and no traces:
`kernels.adjoint`.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import flushed
from spikelearn.kernels.paths import ONE_HOP_ONLINE
from spikelearn.kernels.traces import (
    ADAPTATION,
    DIRECT,
    FILTERED,
    HOP,
    MEMBRANE,
    PSI,
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
    LANES,
    aligned_zeros,
    bare,
    emit,
    load,
    prefetch,
    select,
    store,
    width,
)

LONGEST = 128
"""Steps of a window; longer pieces of a trial are several windows."""

AHEAD = 6  # rows that memory is asked for before they are needed

# What is wanted after a window: the gradient, or a trace by its number + 1.
GRADIENT = 0
N_WANTED = 1 + SYNAPSE + 1


class Workspace(NamedTuple):
    """Memory of one call; what is in it before and after means nothing.

    A block is BLOCK vectors of neurons. `effect[x, t]` and `past[x, y]` are what x
    (wanted after the window) gains from a unit that arrives at t and from trace y
    before the window; `of_bias[x]` what it gains from the bias during the window.
    """

    coefficient: Any  # (6, LONGEST, n_pad)
    sent: Any  # (rows, longest_delay + LONGEST, padded): see `list_sent`
    effect: Any  # (N_WANTED, LONGEST, block)
    past: Any  # (N_WANTED, N_WANTED - 1, block)
    of_bias: Any  # (N_WANTED, block)
    late: Any  # (block,): what arrives by the synapses of one row, where delays differ
    first: Any  # (rows + 1,) int64: the events of row q are first[q]:first[q + 1]
    time: Any  # (rows * LONGEST + LANES,) int32: steps at which something arrives


def workspace(n_rows: int, n_pad: int, longest: int, dtype: Any) -> Workspace:
    """Return memory for `accumulate_windows`."""
    block = BLOCK * LANES
    return Workspace(
        coefficient=aligned_zeros((6, LONGEST, n_pad), dtype),
        sent=sent_zeros(n_rows, longest + LONGEST, dtype),
        effect=aligned_zeros((N_WANTED, LONGEST, block), dtype),
        past=aligned_zeros((N_WANTED, N_WANTED - 1, block), dtype),
        of_bias=aligned_zeros((N_WANTED, block), dtype),
        late=aligned_zeros((block,), dtype),
        first=np.zeros(n_rows + 1, np.int64),
        time=np.zeros(n_rows * LONGEST + LANES, np.int32),
    )


@kernel
def accumulate_windows(
    cell, weights, events, trajectory, signal, paths, begin, end, traces, work, out
):
    """Do what `eligibility.accumulate` does, in windows; not for DIAGONAL paths.

    Mutates
    -------
    traces : Traces
        All but the readout's own.
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
    n_steps, n_pad = trajectory.y.shape[1], weights.w.shape[1]
    lanes = width(weights.w)
    whole = n_pad - n_pad % (BLOCK * lanes)
    shared = traces.shared.shape[1] > 0
    for start in range(0, n_steps, LONGEST):
        stop = min(start + LONGEST, n_steps)
        prepare(
            cell, weights, trajectory, signal, paths, b, start, stop, work.coefficient
        )
        list_sent(weights, events, trajectory, b, start, stop, traces.output, work.sent)
        _list_arrivals(weights, events.n_in, stop - start, work)
        for j in range(0, whole, BLOCK * lanes):
            size = load(cell.zeta, j, BLOCK)
            _block(
                cell,
                weights,
                events,
                trajectory,
                paths,
                b,
                start,
                stop,
                j,
                size,
                traces,
                work,
                out,
            )
        for j in range(whole, n_pad, lanes):
            size = load(cell.zeta, j)
            _block(
                cell,
                weights,
                events,
                trajectory,
                paths,
                b,
                start,
                stop,
                j,
                size,
                traces,
                work,
                out,
            )
        if shared:
            size = load(cell.zeta, 0)
            _move_shared(
                cell, weights, trajectory, paths, b, start, stop, size, traces, work
            )
        keep_sent(weights, events.n_in, b, stop - start, work.sent, traces.output)


@inlined
def _list_arrivals(weights, n_in, n_steps, work):
    """List the steps at which rows send something that arrives everywhere at once.

    The columns of `sent` from `n_steps` on arrive later. Where delays differ rows of
    neurons have no such list.

    Mutates
    -------
    work : Workspace
        first and time.
    """
    sent, first, time = work.sent, work.first, work.time
    n_rows = sent.shape[0]
    if weights.delay.shape[0] > 0:
        n_rows = n_in
    end = 0
    for q in range(sent.shape[0]):
        first[q] = end
        if q < n_rows:
            for column in range(0, n_steps, width(sent)):
                end = emit(load(sent, (q, column)) != 0, column, time, end)
            while end > first[q] and time[end - 1] >= n_steps:
                end -= 1
    first[sent.shape[0]] = end


@kernel
def _sweep(wanted, cell, weights, trajectory, paths, b, start, stop, j, size, work):
    """Sweep back over a window for the neurons from j on.

    With g_x the derivative of what is wanted by trace x after a step, 1 for itself
    after the window, and L, M and Gamma (see `eligibility.accumulate`) 0 but for the
    gradient:

        g_ebar = g_ebar + L,   p = psi (M + g_ebar + g_eps)
        g_m  = p + g_m         [g_m := 0 first where a spike cut m, reset "zero"]
        g_s  = zeta g_m + g_s               = effect of what arrives at the step
        g_ebar = kappa g_ebar + Gamma,  g_eps = rho g_eps - beta p
        g_m  = alpha_m g_m,    g_s = alpha_s g_s

    and for activations outside of the leak g_m = M + g_ebar + g_m and
    g_s = zeta psi g_m + g_s.

    Mutates
    -------
    work : Workspace
        effect, past and of_bias of `wanted`.
    """
    coefficient, effect, past = work.coefficient, work.effect, work.past
    alpha_m, alpha_s = load(cell.alpha_m, j, size), load(cell.alpha_s, j, size)
    beta, rho = load(cell.beta, j, size), load(cell.rho, j, size)
    zeta, bias = load(cell.zeta, j, size), 0 * size
    g_ebar = 0 * size + (1 if wanted == FILTERED + 1 else 0)
    g_eps = 0 * size + (1 if wanted == ADAPTATION + 1 else 0)
    g_m = 0 * size + (1 if wanted == MEMBRANE + 1 else 0)
    g_s = 0 * size + (1 if wanted == SYNAPSE + 1 else 0)
    for t in range(stop - 1, start - 1, -1):
        k = t - start
        psi = load(coefficient, (PSI, k, j), size)
        total = g_ebar
        if wanted == GRADIENT:
            g_ebar += load(coefficient, (SIGNAL, k, j), size)
            total = g_ebar + load(coefficient, (DIRECT, k, j), size)
        if cell.outside:
            g_m += total
            arriving = zeta * (psi * g_m)
            bias += arriving
        else:
            if cell.reset_to_zero:
                g_m = select(load(trajectory.distance, (b, t, j), size) > 0, 0, g_m)
            p = psi * (total + g_eps)
            g_m += p
            g_eps = flushed(rho * g_eps - beta * p)
            arriving = zeta * g_m
            bias += g_m
        g_s += arriving
        store(effect, (wanted, k, 0), g_s)
        g_ebar = flushed(weights.kappa * g_ebar)
        if wanted == GRADIENT and paths.kind == ONE_HOP_ONLINE:
            g_ebar += load(coefficient, (HOP, k, j), size)
        g_m, g_s = flushed(alpha_m * g_m), flushed(alpha_s * g_s)
    store(past, (wanted, FILTERED, 0), g_ebar)
    store(past, (wanted, ADAPTATION, 0), g_eps)
    store(past, (wanted, MEMBRANE, 0), g_m)
    store(past, (wanted, SYNAPSE, 0), g_s)
    store(work.of_bias, (wanted, 0), bias)


@kernel
def _block(
    cell, weights, events, trajectory, paths, b, start, stop, j, size, traces, work, out
):
    """Move the traces onto a block of neurons through a window; credit the weights."""
    n_traces, last = traces.synapses.shape[1], traces.synapses.shape[2] - 1
    for wanted in range(n_traces + 1):
        _sweep(wanted, cell, weights, trajectory, paths, b, start, stop, j, size, work)
    n_in, n_steps = events.n_in, stop - start
    for q in range(last + 1):
        # Rows are too far apart for the hardware to guess the next one.
        for k in range(j, j + BLOCK * width(out.w), width(out.w)):
            prefetch(out.w, (q + AHEAD, k))
            for x in range(n_traces):
                prefetch(traces.synapses, (b, x, q + AHEAD, k))
        g = 0 * size
        if traces.shared.shape[1] > 0:
            g = _credit_row(b, q, j, size, traces, work)
        else:
            late = weights.delay.shape[0] > 0 and n_in <= q < last
            for wanted in range(n_traces + 1):
                gain = _gain(
                    wanted, weights, n_in, b, n_steps, q, j, late, size, traces, work
                )
                if wanted == GRADIENT:
                    g = gain
                else:
                    store(traces.synapses, (b, wanted - 1, q, j), flushed(gain))
        store_gradient(out, q, j, load_gradient(out, q, j, size) + g)
    # The bias is active at all steps and needs no list of them.
    for wanted in range(n_traces + 1):
        gain = load(work.of_bias, (wanted, 0), size)
        if wanted == GRADIENT:
            store_gradient(out, last, j, load_gradient(out, last, j, size) + gain)
        else:
            gain += load(traces.synapses, (b, wanted - 1, last, j), size)
            store(traces.synapses, (b, wanted - 1, last, j), gain)


@inlined
def _credit_row(b, q, j, size, traces, work):
    """Return the gradient of row q, whose membrane trace is shared. Mutates `traces`.

    This is `_gain` of everything in one go.
    """
    synapses, past, effect = traces.synapses, work.past, work.effect
    sent, time, first = work.sent, work.time, work.first
    adapts = synapses.shape[1] > ADAPTATION
    f, eps = load(synapses, (b, FILTERED, q, j), size), 0 * size
    m, s = traces.shared[b, 0, q], traces.shared[b, 1, q]
    g = m * load(past, (GRADIENT, MEMBRANE, 0), size)
    g += s * load(past, (GRADIENT, SYNAPSE, 0), size)
    g += load(past, (GRADIENT, FILTERED, 0), size) * f
    f = load(past, (1 + FILTERED, FILTERED, 0), size) * f
    f += m * load(past, (1 + FILTERED, MEMBRANE, 0), size)
    f += s * load(past, (1 + FILTERED, SYNAPSE, 0), size)
    if adapts:
        eps = load(synapses, (b, ADAPTATION, q, j), size)
        g += load(past, (GRADIENT, ADAPTATION, 0), size) * eps
        f += load(past, (1 + FILTERED, ADAPTATION, 0), size) * eps
        eps *= load(past, (1 + ADAPTATION, ADAPTATION, 0), size)
        eps += m * load(past, (1 + ADAPTATION, MEMBRANE, 0), size)
        eps += s * load(past, (1 + ADAPTATION, SYNAPSE, 0), size)
    for e in range(first[q], first[q + 1]):
        t, value = time[e], sent[q, time[e]]
        g += value * load(effect, (GRADIENT, t, 0), size)
        f += value * load(effect, (1 + FILTERED, t, 0), size)
        if adapts:
            eps += value * load(effect, (1 + ADAPTATION, t, 0), size)
    store(synapses, (b, FILTERED, q, j), flushed(f))
    if adapts:
        store(synapses, (b, ADAPTATION, q, j), flushed(eps))
    return g


@inlined
def _gain(wanted, weights, n_in, b, n_steps, q, j, late, size, traces, work):
    """Return what is `wanted` of row q, from its traces and from what arrives.

    Nothing depends on traces that stand before it in `Traces.synapses`.
    """
    synapses, past = traces.synapses, work.past
    total = 0 * size
    for y in range(max(wanted - 1, 0), synapses.shape[1]):
        total += load(past, (wanted, y, 0), size) * load(synapses, (b, y, q, j), size)
    sent, time, first, effect = work.sent, work.time, work.first, work.effect
    for e in range(first[q], first[q + 1]):
        total += sent[q, time[e]] * load(effect, (wanted, time[e], 0), size)
    if late:
        _gain_late(wanted, weights, n_in, n_steps, q, j, size, work)
        total += load(work.late, 0, size)
    return total


@inlined
def _gain_late(wanted, weights, n_in, n_steps, q, j, size, work):
    """Set what arrives by the synapses of row q, after their delays. Mutates `work`."""
    delay, span, sent = weights.delay, weights.longest_delay, work.sent
    late, effect = work.late, work.effect
    store(late, 0, 0 * size)
    high = min(BLOCK * LANES, delay.shape[1] - j)
    for column in range(span + n_steps):
        value = sent[q, column]
        if value != 0:
            for i in range(high):
                t = column - span + delay[q - n_in, j + i]
                if t >= 0 and t < n_steps:
                    late[i] += value * effect[wanted, t, i]


@inlined
def _move_shared(cell, weights, trajectory, paths, b, start, stop, size, traces, work):
    """Move the membrane traces that all neurons share. Mutates `traces`.

    All neurons have the same factors, so those of the first are taken.
    """
    shared, effect, past = traces.shared, work.effect, work.past
    sent, time, first = work.sent, work.time, work.first
    m_wanted, s_wanted = MEMBRANE + 1, SYNAPSE + 1
    _sweep(m_wanted, cell, weights, trajectory, paths, b, start, stop, 0, size, work)
    _sweep(s_wanted, cell, weights, trajectory, paths, b, start, stop, 0, size, work)
    last = sent.shape[0] - 1
    for q in range(last + 1):
        m, s = shared[b, 0, q], shared[b, 1, q]
        m = past[m_wanted, MEMBRANE, 0] * m + past[m_wanted, SYNAPSE, 0] * s
        s = past[s_wanted, SYNAPSE, 0] * s
        for e in range(first[q], first[q + 1]):
            m += sent[q, time[e]] * effect[m_wanted, time[e], 0]
            s += sent[q, time[e]] * effect[s_wanted, time[e], 0]
        if q == last:
            m += work.of_bias[m_wanted, 0]
        shared[b, 0, q], shared[b, 1, q] = flushed(m), flushed(s)
