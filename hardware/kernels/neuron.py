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
    sign = value >> 63  # 0 or -1; `(x ^ sign) - sign` is |x| and its own inverse
    kept = (((value ^ sign) - sign) * (4096 - factor)) >> 12
    return (kept ^ sign) - sign


@kernel
def unbounded_shift(value, exponent):
    """Shift without losing bits to the left, to see what an overflow has changed."""
    if exponent >= 0:
        return value << exponent
    return value >> -exponent


@kernel
def shift(value, exponent):
    """Shift a block sum, held in 32 bits, by the weight exponent (right: floor).

    Bits that leave 32 bits to the left are dropped in `leak_and_add`.
    """
    return unbounded_shift(wrap32(value), exponent)


@kernel
def leak_and_add(current, factor, total, unbounded_total):
    """Return the 24-bit current after one step, and whether an overflow changed it.

    `total` is the sum over blocks before its alignment by 6 bits. A current that has
    left 24 bits is brought back by one turn of 2**24, as Lava does, and no more.
    """
    kept = decay(current, factor)
    wanted = kept + (unbounded_total << 6)
    result = wrap32(kept + (total << 6))
    if result > 8388608:
        result -= 16777216
    elif result <= -8388608:
        result += 16777216
    return result, result != wanted


@kernel
def saturate(wanted):
    """Return a sum clipped to +-(2**23 - 1), and whether that changed it.

    Lava holds the sum in 32 bits, which it cannot leave: a current has at most
    2**31 - 2**24, and all other terms together have less than 2**24.
    """
    result = min(max(wanted, -STATE_MAX), STATE_MAX)
    return result, result != wanted


@kernel
def add_rows(weights, first, events, n_events, total):
    """Set `total` to the sum of the rows `weights[first + events[e]]`.

    Mutates
    -------
    total
        `(n_post,)` int64.
    """
    total[:] = 0
    for e in range(n_events):
        row = weights[first + events[e]]
        for j in range(total.shape[0]):
            total[j] += row[j]


@kernel
def add_graded_rows(weights, x, total):
    """Set `total` to the sum of `x[k] * weights[k]` over the inputs that are not zero.

    Mutates
    -------
    total
        `(n_post,)` int64.
    """
    total[:] = 0
    for k in range(x.shape[0]):
        value = np.int64(x[k])
        if value == 0:
            continue
        row = weights[k]
        if value == 1:
            for j in range(total.shape[0]):
                total[j] += row[j]
        else:
            for j in range(total.shape[0]):
                total[j] += value * row[j]


@kernel
def step_current(from_input, from_recurrent, factor, constants, current):
    """Leak the currents, add what arrives, and return how many of them wrapped.

    Mutates
    -------
    current
        `(n_rec,)` int64.
    """
    wraps = 0
    for j in range(current.shape[0]):
        total = shift(from_input[j], constants.exponent_in)
        total += shift(from_recurrent[j], constants.exponent_rec)
        unbounded = unbounded_shift(from_input[j], constants.exponent_in)
        unbounded += unbounded_shift(from_recurrent[j], constants.exponent_rec)
        current[j], wrapped = leak_and_add(current[j], factor[j], total, unbounded)
        wraps += wrapped
    return wraps


@kernel
def step_membrane(current, fired, neurons, constants, membrane, adaptation):
    """Leak and charge the membranes, adapt, and return how many were clipped.

    Mutates
    -------
    membrane, adaptation
        `(n_rec,)` int64.
    """
    factor, bias, threshold = neurons[V_DECAY], neurons[BIAS], neurons[THRESHOLD]
    clips = 0
    for j in range(membrane.shape[0]):
        wanted = decay(membrane[j], factor[j]) + current[j] + bias[j]
        if constants.subtract:
            wanted -= fired[j] * threshold[j]
        membrane[j], clipped = saturate(wanted)
        clips += clipped
    if constants.adaptive:
        jump, fading = neurons[BETA], neurons[B_DECAY]
        for j in range(membrane.shape[0]):
            grown = decay(adaptation[j], fading[j]) + fired[j] * jump[j]
            adaptation[j] = min(grown, STATE_MAX)
    return clips


@kernel
def fire(adaptation, neurons, constants, membrane, silent, fired, events):
    """Find the spikes, reset and silence those neurons, and return how many there are.

    Mutates
    -------
    membrane, silent, fired
        `(n_rec,)` int64; `fired` is 1 at a spike and else 0.
    events
        `(n_rec,)` int64; the neurons that spiked come first.
    """
    threshold = neurons[THRESHOLD]
    n_spikes = 0
    for j in range(membrane.shape[0]):
        above = membrane[j] > threshold[j] + adaptation[j]
        spike = above and silent[j] == 0
        silent[j] = max(silent[j] - 1, 0)
        fired[j] = spike
        if spike:
            silent[j] = neurons[REFRACTORY, j]
            events[n_spikes] = j
            n_spikes += 1
            if not constants.subtract:
                membrane[j] = 0
    return n_spikes


@kernel
def step_readout(arriving, readout, constants, output):
    """Leak the readout and add what arrives; return the counts of wraps and clips.

    Mutates
    -------
    output
        `(n_out,)` int64.
    """
    wraps, clips = 0, 0
    for k in range(output.shape[0]):
        total = shift(arriving[k], constants.exponent_out)
        unbounded = unbounded_shift(arriving[k], constants.exponent_out)
        added, wrapped = leak_and_add(np.int64(0), np.int64(4096), total, unbounded)
        wanted = decay(output[k], readout[0, k]) + added + readout[1, k]
        result, clipped = saturate(wanted)
        if result > READOUT_THRESHOLD:
            result, clipped = np.int64(0), True
        output[k] = result
        wraps += wrapped
        clips += clipped
    return wraps, clips


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
    fired = np.zeros(n_rec, np.int64)
    events = np.empty(n_rec, np.int64)
    n_spikes = 0
    for t in range(steps):
        add_graded_rows(weights, x[t], from_input)
        add_rows(weights, n_in, events, n_spikes, from_recurrent)
        counters[0] += step_current(
            from_input, from_recurrent, neurons[U_DECAY], constants, current
        )
        counters[1] += step_membrane(
            current, fired, neurons, constants, membrane, adaptation
        )
        n_spikes = fire(adaptation, neurons, constants, membrane, silent, fired, events)
        spikes[t] = fired
        if u.shape[0] > 0:
            u[t] = current
        if v.shape[0] > 0:
            v[t] = membrane
        if b.shape[0] > 0:
            b[t] = adaptation
        add_rows(w_out, 0, events, n_spikes, to_output)
        wraps, clips = step_readout(to_output, readout, constants, output)
        counters[2] += wraps
        counters[3] += clips
        y[t] = output
