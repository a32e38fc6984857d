"""What arrives at a population: sums over spikes, graded input and delayed spikes."""

from __future__ import annotations

import numpy as np

from hardware.kernels import inlined
from hardware.kernels.arithmetic import shift, wrap32

__all__ = ["receive_input", "receive_spikes"]


@inlined
def add_rows(weights, first, events, n_events, total):
    """Set `total` to the sum of the rows of the neurons that spiked.

    Four rows are taken at a time: the sum of four mantissas fits in 16 bits.

    Mutates
    -------
    total
        `(n_post,)` int32, which holds any sum of 2**17 mantissas.
    """
    total[:] = 0
    whole = n_events - n_events % 4
    for e in range(0, whole, 4):
        one, two = weights[first + events[e]], weights[first + events[e + 1]]
        three, four = weights[first + events[e + 2]], weights[first + events[e + 3]]
        for j in range(total.shape[0]):
            total[j] += np.int16(one[j] + two[j] + three[j] + four[j])
    for e in range(whole, n_events):
        row = weights[first + events[e]]
        for j in range(total.shape[0]):
            total[j] += row[j]


@inlined
def add_signed_rows(weights, first, events, n_events, fired, total):
    """Set `total` to the sum of the rows of the neurons that spiked, with their sign.

    The rows may have values of 16 bits, as the weights of a chip do.

    Mutates
    -------
    total
        `(n_post,)` int32, as in `add_rows`.
    """
    total[:] = 0
    for e in range(n_events):
        row, sign = weights[first + events[e]], np.int32(fired[events[e]])
        for j in range(total.shape[0]):
            total[j] += sign * row[j]


@inlined
def add_graded_rows(weights, x, total):
    """Set `total` to the sum of `x[k] * weights[k]`; return whether there is any input.

    Mutates
    -------
    total
        `(n_post,)` int64.
    """
    silent = True
    for k in range(x.shape[0]):
        value = np.int64(x[k])
        if value == 0:
            continue
        if silent:
            total[:] = 0
            silent = False
        row = weights[k]
        if value == 1:
            for j in range(total.shape[0]):
                total[j] += row[j]
        else:
            for j in range(total.shape[0]):
                total[j] += value * row[j]
    return not silent


@inlined
def add_delayed_row(row, delays, value, exponent, slot, ring):
    """Put the effect of one spike where it arrives; return the products that wrapped.

    `ring[(slot + d) % length]` is what arrives d steps from now. The products of
    Lava's `DelayDense` have 32 bits. It shifts the sum of each delay; the mantissas
    have the trailing zeros for it, so that shifting each product gives the same.

    Mutates
    -------
    ring
        `(length, n_post)` int64, length above the longest delay.
    """
    wraps = 0
    for j in range(row.shape[0]):
        if row[j] != 0:
            product = np.int64(value) * row[j]
            kept = wrap32(product)
            wraps += kept != product
            place = slot + delays[j]
            if place >= ring.shape[0]:
                place -= ring.shape[0]
            ring[place, j] += shift(kept, exponent)
    return wraps


@inlined
def collect(sums, exponent, arriving):
    """Shift the sums of a block, held in 32 bits, and return how many did not fit.

    Mutates
    -------
    arriving
        `(n_post,)` int64; what the block sends is added.
    """
    wraps = 0
    for j in range(arriving.shape[0]):
        held = wrap32(np.int64(sums[j]))
        wraps += held != sums[j]
        arriving[j] += shift(held, exponent)
    return wraps


@inlined
def receive_input(x, weights, delays, delayed, exponent, slot, ring, sums):
    """Let the input of a step act on a population; return how many sums wrapped.

    Parameters
    ----------
    x : (n_in,) int32
    weights, delays : (n_in or more, n_post)
        Mantissas and delays `[pre, post]`; delays are read if `delayed`.
    exponent
        Weight exponent of the block.
    slot
        Row of `ring` that is now.

    Mutates
    -------
    ring : (length, n_post) int64
        What arrives now and later.
    sums : (n_post,) int64
        Working memory.
    """
    if not delayed:
        if add_graded_rows(weights, x, sums):
            return collect(sums, exponent, ring[slot])
        return 0
    wraps = 0
    for k in range(x.shape[0]):
        if x[k] != 0:
            wraps += add_delayed_row(weights[k], delays[k], x[k], exponent, slot, ring)
    return wraps


@inlined
def receive_spikes(spikes, block, rule, slot, ring, sums):
    """Let spikes act on a population; return how many sums wrapped.

    Parameters
    ----------
    spikes
        Events, their number, and `fired`, the values of all neurons.
    block
        Mantissas and delays `[pre, post]`, and the row of the first neuron.
    rule
        Whether there are delays, whether spikes have a sign or weights 16 bits, and the
        weight exponent.
    slot
        Row of `ring` that is now.

    Mutates
    -------
    ring : (length, n_post) int64
        What arrives now and later.
    sums : (n_post,) int32
        Working memory.
    """
    events, n_events, fired = spikes
    weights, delays, first = block
    delayed, wide, exponent = rule
    if n_events == 0:
        return 0
    if not delayed:
        if wide:
            add_signed_rows(weights, first, events, n_events, fired, sums)
        else:
            add_rows(weights, first, events, n_events, sums)
        return collect(sums, exponent, ring[slot])
    wraps = 0
    for e in range(n_events):
        k = first + events[e]
        value = fired[events[e]]
        wraps += add_delayed_row(weights[k], delays[k], value, exponent, slot, ring)
    return wraps
