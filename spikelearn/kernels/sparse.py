"""Forward simulation of large sparse networks: events, delays, exact integration.

Voltages are relative to the resting potential. One step t of `advance` is

    1. neurons that spiked at t - n_ref leave refractoriness
    2. spikes of step t - d reach their targets, d >= 1 the delay in steps
    3. Poisson input is added
    4. the voltage moves, is tested and reset

Three things make it fast. A projection with one delay needs no buffer of future input:
its delay says which recorded spikes to deliver now. A refractory neuron has v = -inf,
on which input and leak have no effect, so that the update has no mask. Synaptic
currents are not decayed at every step: what is stored is i[t] / decay^k, k the steps
since the last rescaling, and the factor decay^k is one number per step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import kernel
from spikelearn.kernels.delivery import NO_EXTRA, deliver, deliver_later, take
from spikelearn.kernels.poisson import add_poisson

__all__ = ["Drive", "Events", "Groups", "State", "Synapses", "advance"]

TESTED = np.uint64(128)  # neurons between two looks for spikes
ONE = np.uint64(1)
EXC, INH = 0, 1


class Groups(NamedTuple):
    """Ranges of neurons with the same constants; arrays have one value per group."""

    start: Any  # (n_groups + 1,) uint64, first neuron
    alpha: Any  # decay of the voltage per step
    threshold: Any
    reset: Any  # the voltage after a spike; -inf if it leaves silent steps
    release: Any  # the stored voltage when the silent steps are over
    n_ref: Any  # int64; a spike leaves n_ref - 1 silent steps
    gain: Any  # (n_groups, 2, period): voltage per stored current at k = t mod period
    growth: Any  # (n_groups, 2, period): decay^-k, from a current to what is stored
    rescale: Any  # (n_groups, 2): decay^period
    period: int
    has_current: bool  # False: input is added to the voltage


class Drive(NamedTuple):
    """Poisson input; group g has thresholds[first[g]:first[g + 1]], empty for none."""

    thresholds: Any  # uint32
    first: Any  # (n_groups + 1,) int64
    weight: Any  # (n_groups,)
    key: Any  # uint64 below 2^32
    words: Any  # (BLOCK,) uint32, scratch; so are the next two
    counts: Any  # (BLOCK,) uint32
    amounts: Any  # (BLOCK,)


class Synapses(NamedTuple):
    """Synapses in rows by presynaptic neuron, projection after projection.

    Row r of a part of the neurons is targets[begin[r]:end[r]]; the other arrays have
    one value per projection.
    """

    targets: Any  # (n_synapses,) uint16 or uint32, ascending within a row
    begin: Any  # (n_rows,) uint32
    end: Any  # (n_rows,) uint32
    extra: Any  # delays beyond `delay` of the synapses that have their own, steps
    pre_lo: Any  # uint64, first presynaptic neuron
    pre_hi: Any  # uint64
    row: Any  # uint64, row of neuron pre_lo
    group: Any  # int64, a group of the targets
    weight: Any
    delay: Any  # int64, steps; the shortest of the projection
    first_extra: Any  # int64: extra[k - first_extra] belongs to targets[k]; NO_EXTRA


class State(NamedTuple):
    """What a network carries from one step to the next."""

    flat: Any  # v, exc and inh one after the other: what synapses write to
    v: Any  # (N,) of flat; of cells without currents: decayed for the next step
    exc: Any  # (N,) of flat, or (0,) without currents
    inh: Any  # (N,) of flat, or (0,) without currents
    later: Any  # (slots, 2, N) flat: input that synapses with own delays left; or (0,)
    slots: int


class Events(NamedTuple):
    """Spikes by step: senders[first[t - base] : first[t + 1 - base]], ascending."""

    senders: Any  # uint32
    first: Any  # int64
    base: int


@kernel
def _scale(current, factor, lo, hi):
    """Multiply a range. Mutates `current`."""
    for i in range(lo, hi):
        current[i] *= factor


@kernel
def _find_spikes(v, threshold, reset, start, above, senders, n):
    """Reset and list the next `above` neurons above threshold, from `start` on.

    Mutates
    -------
    v, senders (from place n on; the new n is returned)
    """
    i, stop = start, n + above
    while n < stop:
        if v[i] > threshold:
            v[i] = reset
            senders[n] = i
            n += ONE
        i += ONE
    return n


@kernel
def _move_current_based(state, alpha, gains, threshold, reset, lo, hi, senders, n):
    """Move voltages: v := alpha v + gain_exc i_exc + gain_inh i_inh; test and reset.

    Mutates
    -------
    state.v, senders (from place n on; the new n is returned)
    """
    v, exc, inh = state.v, state.exc, state.inh
    gain_exc, gain_inh = gains
    start = lo
    while start < hi:
        stop = min(start + TESTED, hi)
        above = np.uint64(0)
        for i in range(start, stop):
            new = alpha * v[i] + gain_exc * exc[i] + gain_inh * inh[i]
            v[i] = new
            above += np.uint64(new > threshold)
        if above:
            n = _find_spikes(v, threshold, reset, start, above, senders, n)
        start = stop
    return n


@kernel
def _move_delta(state, alpha, threshold, reset, lo, hi, senders, n):
    """Test and reset, then v := alpha v for the next step.

    Mutates
    -------
    state.v, senders (from place n on; the new n is returned)
    """
    v = state.v
    start = lo
    while start < hi:
        stop = min(start + TESTED, hi)
        above = np.uint64(0)
        for i in range(start, stop):
            above += np.uint64(v[i] > threshold)
        if above:
            n = _find_spikes(v, threshold, reset, start, above, senders, n)
        for i in range(start, stop):
            v[i] *= alpha
        start = stop
    return n


@kernel
def _release(v, value, history, earlier, lo, hi):
    """Set the neurons lo..hi that spiked at a step to a value. Mutates `v`."""
    for e in range(history.first[earlier], history.first[earlier + 1]):
        i = np.uint64(history.senders[e])
        if i >= lo and i < hi:
            v[i] = value


@kernel
def _receive(groups, g, drive, state, step, lo, hi):
    """Add to a group what is due and its Poisson input. Mutates `state`."""
    k = step % groups.period
    exc, inh = state.v, state.v
    if groups.has_current:
        exc, inh = state.exc, state.inh
    if state.slots > 0:
        n = np.uint64(state.v.size)
        offset = np.uint64(step % state.slots) * np.uint64(2) * n
        take(exc, state.later, groups.growth[g, EXC, k], offset, lo, hi)
        take(inh, state.later, groups.growth[g, INH, k], offset + n, lo, hi)
    if drive.first[g + 1] > drive.first[g]:
        sign = INH if drive.weight[g] < 0 else EXC
        add_poisson(
            inh if sign == INH else exc,
            drive.weight[g] * groups.growth[g, sign, k],
            drive.thresholds[drive.first[g] : drive.first[g + 1]],
            drive.key,
            np.uint64(step),
            lo,
            hi,
            (drive.words, drive.counts, drive.amounts),
        )


@kernel
def advance(groups, drive, synapses, state, history, out, lo, hi, first_step, stop):
    """Simulate neurons lo..hi from `first_step` until `stop`, or until `out` is full.

    Parameters
    ----------
    history, out
        Spikes of all neurons, and where those of lo..hi go. They may be the same: then
        lo..hi is everything and any number of steps is right. Otherwise stop -
        first_step is at most the shortest delay and the shortest n_ref above 1.

    Returns
    -------
    int
        The first step that was not simulated.

    Mutates
    -------
    state, out, the scratch of drive
    """
    n_all, n_groups = np.uint64(state.v.size), groups.alpha.size
    receives = state.slots > 0 or drive.thresholds.size > 0
    n = np.uint64(out.first[first_step - out.base])
    for step in range(first_step, stop):
        if out.senders.size - np.int64(n) < np.int64(hi - lo):
            return step
        k = step % groups.period
        for g in range(n_groups):
            start, end = max(lo, groups.start[g]), min(hi, groups.start[g + 1])
            if start >= end:
                continue
            earlier = step - groups.n_ref[g] - history.base
            if groups.n_ref[g] > 1 and earlier >= 0:
                _release(state.v, groups.release[g], history, earlier, start, end)
            if groups.has_current and k == 0:
                _scale(state.exc, groups.rescale[g, EXC], start, end)
                _scale(state.inh, groups.rescale[g, INH], start, end)
        for p in range(synapses.delay.size):
            earlier = step - synapses.delay[p] - history.base
            if earlier < 0 or history.first[earlier] == history.first[earlier + 1]:
                continue
            e, last = history.first[earlier], history.first[earlier + 1]
            sign = INH if synapses.weight[p] < 0 else EXC
            if synapses.first_extra[p] != NO_EXTRA:
                deliver_later(synapses, p, history.senders, e, last, state, sign, step)
                continue
            weight = synapses.weight[p] * groups.growth[synapses.group[p], sign, k]
            offset = n_all * np.uint64(1 + sign if groups.has_current else 0)
            deliver(state.flat, offset, weight, synapses, p, history.senders, e, last)
        for g in range(n_groups):
            start, end = max(lo, groups.start[g]), min(hi, groups.start[g + 1])
            if start >= end:
                continue
            if receives:
                _receive(groups, g, drive, state, step, start, end)
            alpha, threshold = groups.alpha[g], groups.threshold[g]
            reset = groups.reset[g]
            if groups.has_current:
                gains = (groups.gain[g, EXC, k], groups.gain[g, INH, k])
                n = _move_current_based(
                    state, alpha, gains, threshold, reset, start, end, out.senders, n
                )
            else:
                n = _move_delta(
                    state, alpha, threshold, reset, start, end, out.senders, n
                )
        out.first[step + 1 - out.base] = n
    return stop
