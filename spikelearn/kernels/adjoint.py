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

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.paths import (
    DIAGONAL,
    FULL,
    LOCAL,
    ONE_HOP_ONLINE,
    SMOOTHED,
)
from spikelearn.kernels.rate import slope
from spikelearn.kernels.spiking import SPIKING, add_row, arrival
from spikelearn.kernels.surrogate import TRIANGULAR, pseudo_derivative
from spikelearn.kernels.vector import (
    BLOCK,
    bare,
    emit,
    load,
    prefetch,
    select,
    store,
    width,
    zeros_like,
)
from spikelearn.kernels.vector import total as sum_of

# Decaying numbers are cut to 0 here: float32 arithmetic is slow below 1e-38.
TINY = np.float32(1e-30)
CACHE_BYTES = 1 << 19  # of the second-level cache of a core, for gradients
FLUSH_EVERY = 16  # steps
AHEAD = 4  # steps by which a record is asked for before it is needed


class Signal(NamedTuple):
    """What drives learning: the error of the readout and how it reaches neurons.

    `first_step` is the step of these arrays at which the trajectory begins. `credit`
    fills in `ebar` and `lbar`.
    """

    error: Any  # (B, T, n_out): dE/dy
    ebar: Any  # (B, T, n_out): `filter_back` of it, for the readout's own weights
    broadcast: Any  # (B, T, n_out): what the feedback carries to the neurons
    lbar: Any  # (B, T, n_out): `filter_back` of it
    feedback: Any  # (n_out, n_pad): B transposed
    neuron: Any  # (B or 0, n_pad): added to the learning signal at every step
    direct: Any  # (B, T or 0, n_pad): added at its step
    first_step: int
    one_signal: bool  # the broadcast is the error


class Carry(NamedTuple):
    """What a sweep hands to the steps before: dE/dstate; zero after the last step."""

    gv: Any  # (B, n_pad)
    ga: Any  # (B, n_pad)
    later: Any  # (B, longest_delay, n_pad): dE/di, step t in row t % longest
    back: Any  # the same of what comes back to others, or 0 rows: `later` does
    cross: Any  # (B, n_pad): what came back last
    hidden: Any  # (B, 2, n_pad): two states of the smoothed leak, SMOOTHED only
    active: Any  # (B * (n_pad + LANES),) int32: room for a list of neurons; FULL only


class Part(NamedTuple):
    """Samples and columns (neurons, in whole vectors) that one call works on."""

    begin: int
    end: int
    low: int
    high: int


class Accumulators(NamedTuple):
    """Sums of one group of samples, in the layout of `Weights`."""

    w: Any  # (n_in + N, n_pad)
    bias: Any  # (n_pad,)
    w_out: Any  # (N, n_out)
    b_out: Any  # (n_out,)


@kernel
def filter_signals(kappa, signal, begin, end):
    """Filter the signals backwards in time: out[t] = kappa out[t + 1] + x[t].

    Mutates
    -------
    signal : Signal
        `ebar` and `lbar` of samples `begin` to `end`.
    """
    _filter_back(kappa, bare(signal.error), begin, end, bare(signal.ebar))
    if not signal.one_signal:
        _filter_back(kappa, bare(signal.broadcast), begin, end, bare(signal.lbar))


@kernel
def _filter_back(kappa, x, begin, end, out):
    zero = kappa - kappa
    for b in range(begin, end):
        for k in range(x.shape[2]):
            after = zero
            for t in range(x.shape[1] - 1, -1, -1):
                after = kappa * after + x[b, t, k]
                after = zero if abs(after) < TINY else after
                out[b, t, k] = after


@kernel
def credit_readout(weights, trajectory, ebar, first_step, begin, end, out):
    """Accumulate the gradient of the readout's own weights.

        dE/dw_out = out_gain sum_t ebar[t] r[t],   dE/db_out = sum_t ebar[t]

    Mutates
    -------
    out : Accumulators
    """
    _credit_readout(
        weights.out_gain,
        bare(trajectory),
        bare(ebar),
        first_step,
        begin,
        end,
        bare(out),
    )


@kernel
def _credit_readout(gain, trajectory, ebar, first_step, begin, end, out):
    spiking = trajectory.output.shape[1] == 0
    spike, output = trajectory.spike, trajectory.output
    first, w_out, b_out = trajectory.first, out.w_out, out.b_out
    for b in range(begin, end):
        for t in range(trajectory.y.shape[1]):
            now = first_step + t
            for k in range(b_out.size):
                b_out[k] += ebar[b, now, k]
            if spiking:
                for e in range(first[b, t], first[b, t + 1]):
                    for k in range(b_out.size):
                        w_out[spike[e], k] += gain * ebar[b, now, k]
            else:
                for j in range(w_out.shape[0]):
                    for k in range(b_out.size):
                        w_out[j, k] += gain * output[b, t, j] * ebar[b, now, k]


@kernel
def credit(cell, weights, events, trajectory, signal, paths, part, carry, out, credits):
    """Accumulate the gradient of all weights over the kept paths.

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
    gi = p + alpha_s gi. Columns of LOCAL and DIAGONAL paths may be credited one after
    the other: they do not meet.

    Mutates
    -------
    signal : Signal
        `ebar` and `lbar`, when the last steps of the signal are credited.
    carry : Carry
    out : Accumulators
        w and bias, in the columns of `part`; the readout's with the first column.
    credits : (B, T, n_pad) or (B, 0, n_pad) float array
        gi of every step, where it is not empty.
    """
    n_steps = trajectory.y.shape[1]
    if signal.first_step + n_steps == signal.error.shape[1]:
        filter_signals(weights.kappa, signal, part.begin, part.end)
    if part.low == 0:
        first = signal.first_step
        credit_readout(
            weights, trajectory, signal.ebar, first, part.begin, part.end, out
        )
    # Columns that do not meet are done a few at a time, so that their gradients stay in
    # the cache while events come to all rows.
    columns = part.high - part.low
    dense = weights.target.size == 0
    if dense and (paths.kind == LOCAL or paths.kind == DIAGONAL):
        unit = BLOCK * width(bare(out.w))
        fits = CACHE_BYTES // (out.w.shape[0] * out.w.itemsize) // unit * unit
        columns = min(columns, max(fits, unit))
    for low in range(part.low, part.high, columns):
        for b in range(part.begin, part.end):
            _credit_sample(
                bare(cell),
                bare(weights),
                bare(events),
                bare(trajectory),
                bare(signal),
                bare(paths),
                Part(part.begin, part.end, low, min(low + columns, part.high)),
                b,
                bare(carry),
                bare(out),
                bare(credits),
            )


@kernel
def _credit_sample(
    cell, weights, events, trajectory, signal, paths, part, b, carry, out, credits
):
    # What most trainings are gets wide blocks and no questions in between.
    block, full = BLOCK * width(cell.alpha_m), paths.kind == FULL
    plain = (
        cell.activation == SPIKING
        and cell.surrogate == TRIANGULAR
        and not (cell.reset_to_zero or cell.has_synaptic_current)
        and signal.direct.shape[1] == 0
        and weights.target.size == 0
        and events.value.size == 0
        and (paths.kind == LOCAL or (full and not paths.through_reset))
        and credits.shape[1] == 0
        and (part.high - part.low) % block == 0
    )
    span = weights.longest_delay
    slot = (signal.first_step + trajectory.y.shape[1]) % span
    for t in range(trajectory.y.shape[1] - 1, -1, -1):
        slot = span - 1 if slot == 0 else slot - 1
        if plain:
            given = cell, weights, events, trajectory, signal
            if full:
                _bring_back_to_active(
                    cell, weights, events.n_in, trajectory, b, t, slot, carry
                )
            for j in range(part.low, part.high, block):
                _plain_block(given, full, b, t, slot, j, carry, out)
        else:
            _step_back(
                cell,
                weights,
                events,
                trajectory,
                signal,
                paths,
                part,
                b,
                t,
                slot,
                carry,
                out,
                credits,
            )


@inlined
def _plain_block(given, full, b, t, slot, j, carry, out):
    """Do one step of the sweep for a block of neurons that only spike and adapt.

    `full` paths bring `carry.cross` along; else it is 0.

    Mutates
    -------
    carry : Carry
    out : Accumulators
    """
    cell, weights, events, trajectory, signal = given
    now, w, first, begin = signal.first_step + t, out.w, trajectory.first, events.start
    g = load(carry.later, (b, slot, j), BLOCK)
    n_in = events.n_in
    spread(w, g, n_in, trajectory.spike, first[b, t], first[b, t + 1], j)
    d = load(trajectory.distance, (b, t, j), g)
    for k in range(BLOCK):
        prefetch(trajectory.distance, (b, t - AHEAD, j + k * width(cell.alpha_m)))
    height, inverse = load(cell.height, j, g), load(cell.inverse_width, j, g)
    psi = pseudo_derivative(TRIANGULAR, d, height, inverse)
    total = direct_effect(signal, signal.lbar, weights.out_gain, b, now, j, g)
    if signal.neuron.shape[0] > 0:
        total += load(signal.neuron, (b, j), g)
    if full:
        total += load(carry.cross, (b, j), g)
    p = psi * total
    flush = now % FLUSH_EVERY == 0
    if cell.has_adaptation:
        ga = load(carry.ga, (b, j), g)
        p += psi * ga
        ga = load(cell.rho, j, g) * ga - load(cell.beta, j, g) * p
        if flush:
            ga = flushed(ga)
        store(carry.ga, (b, j), ga)
    gv = p + load(cell.alpha_m, j, g) * load(carry.gv, (b, j), g)
    if flush:
        gv = flushed(gv)
    store(carry.gv, (b, j), gv)
    store(out.bias, j, load(out.bias, j, g) + gv)
    g = load(cell.zeta, j, g) * gv
    store(carry.later, (b, slot, j), g)
    spread(w, g, 0, events.unit, begin[b, t], begin[b, t + 1], j)


@inlined
def _step_back(
    cell,
    weights,
    events,
    trajectory,
    signal,
    paths,
    part,
    b,
    t,
    slot,
    carry,
    out,
    credits,
):
    """Do one step of the sweep for any cell and any paths.

    Mutates
    -------
    carry : Carry
    out : Accumulators
    credits : (B, T, n_pad) or (B, 0, n_pad) float array
    """
    low, high, lanes = part.low, part.high, width(cell.alpha_m)
    now = signal.first_step + t
    after = slot + 1 if slot + 1 < weights.longest_delay else 0
    spiking = cell.activation == SPIKING
    keeps_reset = paths.through_reset and spiking
    has_neuron, has_direct = signal.neuron.shape[0] > 0, signal.direct.shape[1] > 0
    back = carry.later if carry.back.shape[1] == 0 else carry.back
    credit_sent(weights, events.n_in, trajectory, carry.later, b, t, slot, part, out)
    same_delay, dense = weights.delay.shape[0] == 0, weights.target.size == 0
    if paths.kind == FULL and spiking and same_delay and dense:
        _bring_back_to_active(cell, weights, events.n_in, trajectory, b, t, slot, carry)
    elif paths.kind != LOCAL:
        _bring_back(paths, weights, back, b, slot, part, carry.cross)
    for j in range(low, high, lanes):
        d = load(trajectory.distance, (b, t, j))
        prefetch(trajectory.distance, (b, t - AHEAD, j))
        direct = direct_effect(signal, signal.lbar, weights.out_gain, b, now, j, d)
        total = direct
        if has_neuron:
            total += load(signal.neuron, (b, j))
        if has_direct:
            total += load(signal.direct, (b, now, j))
        if paths.kind != LOCAL:
            total += load(carry.cross, (b, j))
        if spiking:
            height, inverse = load(cell.height, j), load(cell.inverse_width, j)
            psi = pseudo_derivative(cell.surrogate, d, height, inverse)
        else:
            psi = slope(cell.activation, d)
        gv, alpha_m = load(carry.gv, (b, j)), load(cell.alpha_m, j)
        zeta = load(cell.zeta, j)
        if keeps_reset:
            if cell.reset_to_zero:
                lost = load(trajectory.v, (b, t, j)) * alpha_m * gv
                total -= select(psi != 0, lost, 0)
            else:
                total -= load(cell.v_th, j) * gv
        if cell.reset_to_zero:
            gv = select(d > 0, 0, gv)
        if cell.outside:
            gv = total + alpha_m * gv
            gi = zeta * psi * gv
            bias = gi
        else:
            ga = load(carry.ga, (b, j))
            p = psi * (total + ga)
            gv = p + alpha_m * gv
            ga = load(cell.rho, j) * ga - load(cell.beta, j) * p
            store(carry.ga, (b, j), flushed(ga))
            gi = zeta * gv
            bias = gv
        gi += load(cell.alpha_s, j) * load(carry.later, (b, after, j))
        gi = flushed(gi)
        store(carry.gv, (b, j), flushed(gv))
        store(carry.later, (b, slot, j), gi)
        store(out.bias, j, load(out.bias, j) + bias)
        if credits.shape[1] > 0:
            store(credits, (b, t, j), gi)
        if paths.kind > DIAGONAL:
            if paths.kind == ONE_HOP_ONLINE:
                gain = weights.out_gain
                direct = direct_effect(signal, signal.broadcast, gain, b, now, j, d)
            if paths.kind == SMOOTHED:
                g = _smoothed(cell, paths, psi, direct, after, b, j, carry)
                store(back, (b, slot, j), g)
            elif paths.kind != FULL:
                store(back, (b, slot, j), zeta * psi * direct)
    credit_inputs(weights, events, b, t, carry.later, slot, part, out)


@inlined
def flushed(g):
    """Return g, or 0 where it is too small to matter (NaN stays)."""
    return select(abs(g) < TINY, 0, g)


@inlined
def direct_effect(signal, channels, gain, b, now, j, like):
    """Return D_j = gain sum_k B_jk channels_k of neurons from j on."""
    feedback = signal.feedback
    direct = (gain * channels[b, now, 0]) * load(feedback, (0, j), like)
    for k in range(1, feedback.shape[0]):
        direct += (gain * channels[b, now, k]) * load(feedback, (k, j), like)
    return direct


@inlined
def _bring_back(paths, weights, back, b, slot, part, cross):
    """Set cross_j[t] = sum_k hop_kj back_k[t + delay_kj]. Mutates `cross`.

    ONE_HOP_ONLINE adds to kappa cross[t + 1] in place of starting at 0.
    """
    n, lanes = weights.w_out.shape[0], width(cross)
    same_delay, dense = weights.delay.shape[0] == 0, weights.target.size == 0
    kept = cross.dtype.type(0)
    if paths.kind == ONE_HOP_ONLINE:
        kept = weights.kappa
    if same_delay and paths.kind == DIAGONAL:
        for j in range(part.low, part.high, lanes):
            own = load(paths.hop, (0, j)) * load(back, (b, slot, j))
            store(cross, (b, j), own)
    elif paths.kind == DIAGONAL:
        for j in range(part.low, min(part.high, n)):
            late = arrival(weights, j, j, slot)
            cross[b, j] = paths.hop[0, j] * back[b, late, j]
    elif paths.kind == FULL and not dense:
        # These hops are the weights themselves, and listed.
        first = weights.w.shape[0] - n
        for j in range(n):
            total = cross.dtype.type(0)
            for c in range(weights.start[first + j], weights.start[first + j + 1]):
                k = weights.target[c]
                late = arrival(weights, j, k, slot)
                total += weights.w[first + j, k] * back[b, late, k]
            cross[b, j] = total
    elif same_delay:
        for j in range(0, part.high, lanes):
            store(cross, (b, j), flushed(kept * load(cross, (b, j))))
        _add_scaled_rows(paths.hop, back, b, slot, cross)
    else:
        for j in range(n):
            total = kept * cross[b, j]
            for k in range(n):
                late = arrival(weights, j, k, slot)
                total += paths.hop[k, j] * back[b, late, k]
            cross[b, j] = total


@inlined
def _bring_back_to_active(cell, weights, n_in, trajectory, b, t, slot, carry):
    """Set cross_j[t] of FULL paths where psi_j is not 0; elsewhere it does not count.

    Mutates
    -------
    carry : Carry
        `cross` and `active`.
    """
    cross, lanes = carry.cross, width(carry.cross)
    given = cell, weights.w, n_in, trajectory.distance, b, t, slot, carry
    if cross.shape[1] % (BLOCK * lanes) == 0:
        _find_active(load(cross, (b, 0), BLOCK), BLOCK * lanes, given)
    else:
        _find_active(load(cross, (b, 0)), lanes, given)


@inlined
def _find_active(like, size, given):
    """List them by vectors as long as `like`, of `size` neurons, and set their cross.

    Mutates
    -------
    carry : Carry
    """
    cell, w, n_in, distance, b, t, slot, carry = given
    active, cross, g = carry.active, carry.cross, carry.later
    begin = b * (active.size // cross.shape[0])
    end = begin
    for j in range(0, cross.shape[1], size):
        d = load(distance, (b, t, j), like)
        height, inverse = load(cell.height, j, d), load(cell.inverse_width, j, d)
        psi = pseudo_derivative(cell.surrogate, d, height, inverse)
        store(cross, (b, j), zeros_like(like))
        end = emit(psi != 0, j, active, end)
    # Sums of four rows at a time share what is read of g; the last ones come twice.
    if end > begin:
        for e in range(end, end + 3):
            active[e] = active[end - 1]
    for e in range(begin, end, 4):
        j_0, j_1, j_2, j_3 = active[e], active[e + 1], active[e + 2], active[e + 3]
        zero = zeros_like(like)
        s_0, s_1, s_2, s_3 = zero, zero, zero, zero
        for k in range(0, w.shape[1], size):
            g_k = load(g, (b, slot, k), like)
            s_0 += load(w, (n_in + j_0, k), like) * g_k
            s_1 += load(w, (n_in + j_1, k), like) * g_k
            s_2 += load(w, (n_in + j_2, k), like) * g_k
            s_3 += load(w, (n_in + j_3, k), like) * g_k
        cross[b, j_0] = sum_of(s_0)
        cross[b, j_1] = sum_of(s_1)
        cross[b, j_2] = sum_of(s_2)
        cross[b, j_3] = sum_of(s_3)


@inlined
def _add_scaled_rows(hop, back, b, slot, cross):
    """Add sum_k back[b, slot, k] hop[k], four rows at a time. Mutates `cross`."""
    n, n_pad = hop.shape
    lanes, fours = width(hop), n - n % 4
    for k in range(0, fours, 4):
        g_0, g_1 = back[b, slot, k], back[b, slot, k + 1]
        g_2, g_3 = back[b, slot, k + 2], back[b, slot, k + 3]
        for j in range(0, n_pad, lanes):
            total = load(cross, (b, j)) + g_0 * load(hop, (k, j))
            total += g_1 * load(hop, (k + 1, j))
            total += g_2 * load(hop, (k + 2, j))
            total += g_3 * load(hop, (k + 3, j))
            store(cross, (b, j), total)
    for k in range(fours, n):
        add_row(cross, (b,), hop, k, back[b, slot, k])


@inlined
def credit_sent(weights, n_in, trajectory, later, b, t, slot, part, out):
    """Credit the recurrent weights that read an output of step t. Mutates `out`."""
    output = trajectory.output
    spiking, dense = output.shape[1] == 0, weights.target.size == 0
    first, last = 0, weights.w_out.shape[0]
    if spiking:
        first, last = trajectory.first[b, t], trajectory.first[b, t + 1]
    if spiking and dense:
        _spread_row(trajectory.spike, first, last, n_in, later, b, slot, part, out.w)
    else:
        for e in range(first, last):
            j = trajectory.spike[e] if spiking else e
            value = later.dtype.type(1) if spiking else output[b, t, j]
            row = n_in + j
            if dense:
                _spread_scaled(value, row, later, b, slot, part, out.w)
            else:
                for c in range(weights.start[row], weights.start[row + 1]):
                    k = weights.target[c]
                    if part.low <= k < part.high:
                        late = arrival(weights, j, k, slot)
                        out.w[row, k] += value * later[b, late, k]


@inlined
def credit_inputs(weights, events, b, t, g, slot, part, out):
    """Credit the weights of the inputs of step t by row `slot` of g. Mutates `out`."""
    first, last = events.start[b, t], events.start[b, t + 1]
    graded, dense = events.value.size > 0, weights.target.size == 0
    if dense and not graded:
        _spread_row(events.unit, first, last, 0, g, b, slot, part, out.w)
    else:
        for e in range(first, last):
            row = events.unit[e]
            x = events.value[e] if graded else g.dtype.type(1)
            if dense:
                _spread_scaled(x, row, g, b, slot, part, out.w)
            else:
                for c in range(weights.start[row], weights.start[row + 1]):
                    k = weights.target[c]
                    if part.low <= k < part.high:
                        out.w[row, k] += x * g[b, slot, k]


@inlined
def _spread_row(unit, first, last, offset, g, b, slot, part, w):
    """Add g[b, slot] to the rows offset + unit[first:last]. Mutates `w`."""
    lanes = width(w)
    whole = part.high - (part.high - part.low) % (BLOCK * lanes)
    for j in range(part.low, whole, BLOCK * lanes):
        spread(w, load(g, (b, slot, j), BLOCK), offset, unit, first, last, j)
    for j in range(whole, part.high, lanes):
        spread(w, load(g, (b, slot, j)), offset, unit, first, last, j)


@inlined
def spread(w, g, offset, unit, first, last, j):
    """Add g to the rows offset + unit[first:last] from column j on. Mutates `w`."""
    for e in range(first, last):
        row = offset + unit[e]
        store(w, (row, j), load(w, (row, j), g) + g)


@inlined
def _spread_scaled(value, row, g, b, slot, part, w):
    """Add value times g[b, slot] to a row. Mutates `w`."""
    for j in range(part.low, part.high, width(w)):
        store(w, (row, j), load(w, (row, j)) + value * load(g, (b, slot, j)))


@inlined
def _smoothed(cell, paths, psi, direct, after, b, j, carry):
    """Do one step of the adjoint of the smoothed network of ModProp; return dE/di.

    Mutates
    -------
    carry : Carry
        `hidden`: the adjoints of the leak.
    """
    hidden, alpha_m = carry.hidden, load(cell.alpha_m, j)
    cross, zeta = load(carry.cross, (b, j)), load(cell.zeta, j)
    first = load(hidden, (b, 0, j))
    if cell.outside:
        first = flushed(direct + alpha_m * first)
        rest = flushed(cross + alpha_m * load(hidden, (b, 1, j)))
        store(hidden, (b, 1, j), rest)
        g = zeta * (psi * first + paths.mu * rest)
    else:
        first = flushed(psi * direct + paths.mu * cross + alpha_m * first)
        g = zeta * first
    store(hidden, (b, 0, j), first)
    return flushed(g + load(cell.alpha_s, j) * load(carry.back, (b, after, j)))
