"""The integer time step of a recurrent network with adaptive LIF neurons.

Registers are emulated in int64; where the definition wraps to 32 or 24 bits or
saturates, the kernel does so explicitly and counts it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hardware.kernels import kernel

__all__ = [
    "BETA",
    "BIAS",
    "B_DECAY",
    "COUNTERS",
    "REFRACTORY",
    "THRESHOLD",
    "U_DECAY",
    "V_DECAY",
    "Constants",
    "run_sample",
]

STATE_MAX = np.int64(2**23 - 1)
READOUT_THRESHOLD = np.int64(131_071 << 6)
COUNTERS = ("u_wraps", "v_saturations", "y_wraps", "y_saturations")
# Rows of the neuron table: (7, n_rec) int64, thresholds already shifted by 6 bits.
U_DECAY, V_DECAY, BIAS, THRESHOLD, BETA, B_DECAY, REFRACTORY = range(7)


class Constants(NamedTuple):
    """What does not change in a run."""

    exponent_in: Any
    exponent_rec: Any
    exponent_out: Any
    subtract: Any  # bool: the threshold leaves v one step after the spike
    adaptive: Any  # bool: some beta is not 0


@kernel
def wrap32(value):
    """Return the low 32 bits of an int64 as a signed number."""
    return ((value + 2147483648) & 4294967295) - 2147483648


@kernel
def decay(value, factor):
    """Return `sign(x) * ((|x| * (4096 - d)) >> 12)`: rounds towards zero."""
    if value < 0:
        return -((-value * (4096 - factor)) >> 12)
    return (value * (4096 - factor)) >> 12


@kernel
def shift(value, exponent):
    """Shift a 32-bit block sum by the weight exponent (floor to the right)."""
    low = wrap32(value)
    if exponent >= 0:
        return wrap32(low << exponent)
    return low >> -exponent


@kernel
def unbounded_shift(value, exponent):
    """Shift without losing bits to the left, to see what an overflow has changed."""
    if exponent >= 0:
        return value << exponent
    return value >> -exponent


@kernel
def leak_and_add(current, factor, total, unbounded_total):
    """Return the 24-bit current after one step, and whether an overflow changed it.

    `total` is the sum over blocks before its alignment by 6 bits. A current that has
    left 24 bits is brought back by one turn of 2**24, as Lava does, and no more.
    """
    kept = decay(current, factor)
    wanted = kept + (unbounded_total << 6)
    result = wrap32(kept + wrap32(wrap32(total) << 6))
    if result > 8388608:
        result -= 16777216
    elif result <= -8388608:
        result += 16777216
    return result, result != wanted


@kernel
def saturate(wanted):
    """Return a sum held in 32 bits and then clipped to +-(2**23 - 1)."""
    result = min(max(wrap32(wanted), -STATE_MAX), STATE_MAX)
    return result, result != wanted


@kernel
def add_rows(weights, first, events, values, n_events, total):
    """Add `values[e] * weights[first + events[e]]` to `total` for every event.

    Mutates
    -------
    total
        `(n_post,)` int64, overwritten.
    """
    total[:] = 0
    for e in range(n_events):
        row = weights[first + events[e]]
        value = values[e]
        for j in range(total.shape[0]):
            total[j] += value * row[j]


@kernel
def run_sample(
    x, weights, w_out, neurons, readout, constants, u, v, b, spikes, y, counters
):
    """Run one sample through all steps, state zero before the first.

    Parameters
    ----------
    x : (T, n_in) int32
        Input values; zero is no event.
    weights : (n_in + n_rec, n_rec) int16
        Mantissas `[pre, post]`, inputs above recurrent neurons.
    w_out : (n_rec, n_out) int16
        Mantissas of the readout `[pre, post]`.
    neurons : (7, n_rec) int64
        Rows `U_DECAY` to `REFRACTORY`.
    readout : (2, n_out) int64
        Decay and bias.
    constants : Constants

    Mutates
    -------
    u, v, b : (T, n_rec) int32, or (0, n_rec) when not wanted
    spikes : (T, n_rec) uint8
    y : (T, n_out) int32
    counters : (4,) int64
        See `COUNTERS`.
    """
    steps, n_in = x.shape
    n_rec, n_out = w_out.shape
    current = np.zeros(n_rec, np.int64)
    membrane = np.zeros(n_rec, np.int64)
    adaptation = np.zeros(n_rec, np.int64)
    silent = np.zeros(n_rec, np.int64)
    output = np.zeros(n_out, np.int64)
    from_input = np.zeros(n_rec, np.int64)
    from_recurrent = np.zeros(n_rec, np.int64)
    to_output = np.zeros(n_out, np.int64)
    fired = np.zeros(n_rec, np.int64)  # 1 where the neuron fired in the step before
    channels = np.empty(n_in, np.int64)
    values = np.empty(n_in, np.int64)
    events = np.empty(n_rec, np.int64)
    ones = np.ones(n_rec, np.int64)
    n_spikes = 0
    for t in range(steps):
        n_events = 0
        for k in range(n_in):
            if x[t, k] != 0:
                channels[n_events] = k
                values[n_events] = x[t, k]
                n_events += 1
        add_rows(weights, 0, channels, values, n_events, from_input)
        add_rows(weights, n_in, events, ones, n_spikes, from_recurrent)
        n_spikes = 0
        for j in range(n_rec):
            total = shift(from_input[j], constants.exponent_in)
            total += shift(from_recurrent[j], constants.exponent_rec)
            unbounded = unbounded_shift(from_input[j], constants.exponent_in)
            unbounded += unbounded_shift(from_recurrent[j], constants.exponent_rec)
            current[j], wrapped = leak_and_add(
                current[j], neurons[U_DECAY, j], total, unbounded
            )
            counters[0] += wrapped
            wanted = decay(membrane[j], neurons[V_DECAY, j]) + current[j]
            wanted += neurons[BIAS, j]
            if constants.subtract:
                wanted -= fired[j] * neurons[THRESHOLD, j]
            membrane[j], clipped = saturate(wanted)
            counters[1] += clipped
            if constants.adaptive:
                grown = decay(adaptation[j], neurons[B_DECAY, j])
                grown += fired[j] * neurons[BETA, j]
                adaptation[j] = min(grown, STATE_MAX)
            spike = membrane[j] > neurons[THRESHOLD, j] + adaptation[j]
            fired[j] = spike and silent[j] == 0
            silent[j] = max(silent[j] - 1, 0)
            if fired[j]:
                silent[j] = neurons[REFRACTORY, j]
                events[n_spikes] = j
                n_spikes += 1
                if not constants.subtract:
                    membrane[j] = 0
            spikes[t, j] = fired[j]
        if u.shape[0] > 0:
            u[t] = current
        if v.shape[0] > 0:
            v[t] = membrane
        if b.shape[0] > 0:
            b[t] = adaptation
        add_rows(w_out, 0, events, ones, n_spikes, to_output)
        for k in range(n_out):
            total = shift(to_output[k], constants.exponent_out)
            unbounded = unbounded_shift(to_output[k], constants.exponent_out)
            arriving, wrapped = leak_and_add(
                np.int64(0), np.int64(4096), total, unbounded
            )
            counters[2] += wrapped
            wanted = decay(output[k], readout[0, k]) + arriving + readout[1, k]
            output[k], clipped = saturate(wanted)
            counters[3] += clipped or output[k] > READOUT_THRESHOLD
            if output[k] > READOUT_THRESHOLD:
                output[k] = 0
        y[t] = output
