"""The integer run: all steps of a recurrent network with its readout."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hardware.kernels import inlined, kernel
from hardware.kernels.arithmetic import (
    HALF_TURN,
    decay,
    saturate,
    turn_once,
    wrap,
    wrap32,
)
from hardware.kernels.atrlif import step_atrlif
from hardware.kernels.chip import HALF_ACCUMULATOR, step_chip, step_chip_current
from hardware.kernels.lif import (
    step_adaptive,
    step_current,
    step_plain,
    step_ternary,
)
from hardware.kernels.synapses import receive_input, receive_spikes

__all__ = [
    "ADAPTING",
    "ADAPTIVE",
    "ATRLIF",
    "BIAS",
    "B_DECAY",
    "CHIP",
    "COUNTERS",
    "JUMP",
    "N_ROWS",
    "PLAIN",
    "RECOVERY",
    "REFRACTORY",
    "TERNARY",
    "THRESHOLD",
    "THRESHOLD_LOW",
    "U_DECAY",
    "V_DECAY",
    "Constants",
    "States",
    "Synapses",
    "run_samples",
]

READOUT_THRESHOLD = np.int64(131_071 << 6)
COUNTERS = ("u_wraps", "v_saturations", "y_wraps", "y_saturations", "n_spikes")
# Codes of the families of neurons.
PLAIN, ADAPTIVE, TERNARY, ATRLIF, CHIP = range(5)
ADAPTING = (ADAPTIVE, ATRLIF)  # those that write b
# Rows of the neuron table, (N_ROWS, n_rec) int32; thresholds, jumps and biases are
# already shifted. A family uses the rows that it needs.
N_ROWS = 9
U_DECAY, V_DECAY, BIAS, THRESHOLD, JUMP, B_DECAY, REFRACTORY = range(7)
THRESHOLD_LOW, RECOVERY = 7, 8


class Synapses(NamedTuple):
    """Blocks of weights `[pre, post]`; inputs stand above recurrent neurons."""

    weights: Any  # (n_in + n_rec, n_rec) int16 mantissas
    delays: Any  # the same shape, uint8; (0, 0) if no block has delays
    w_out: Any  # (n_rec, n_out) int16
    delays_out: Any  # (n_rec, n_out) uint8, or (0, 0)


class Constants(NamedTuple):
    """What does not change in a run."""

    family: Any  # PLAIN to CHIP
    exponent_in: Any
    exponent_rec: Any
    exponent_out: Any
    delayed_in: Any  # bool, as the next two: the block has delays
    delayed_rec: Any
    delayed_out: Any
    ring: Any  # steps that the ring of delayed sums holds, longest delay + 1
    ring_out: Any
    subtract: Any  # bool: the threshold leaves v one step after the spike
    reset_interval: Any  # 0: never
    reset_offset: Any


class States(NamedTuple):
    """What a run leaves behind; `(0, n)` where it is not wanted."""

    u: Any  # (T, n_rec) int32, as v, b and r
    v: Any
    b: Any  # adaptation, or the threshold of ATRLIF neurons
    r: Any  # refractory state
    spikes: Any  # (T, n_rec) int8
    y: Any  # (T, n_out) int32


@inlined
def find_events(words, fired, events):
    """List the neurons whose `fired` is not 0 and return how many there are.

    `words` is the memory of `fired`, eight neurons in each.

    Mutates
    -------
    events
        `(n,)` int64; the neurons that spiked come first.
    """
    n_events = 0
    for w in range(words.shape[0]):
        if words[w] != 0:
            for j in range(8 * w, min(8 * w + 8, fired.shape[0])):
                if fired[j] != 0:
                    events[n_events] = j
                    n_events += 1
    return n_events


@inlined
def step_neurons(t, arriving, noise, neurons, constants, state, fired):
    """Take one step of the neurons; return the wraps of u and the clips of v.

    Mutates
    -------
    state
        u, v, b and r, each `(n_rec,)` int32.
    fired
        `(n_rec,)` int8.
    """
    u, v, b, r = state
    interval = constants.reset_interval
    if interval > 0 and t % interval == constants.reset_offset:
        u[:] = 0
        v[:] = 0
    factor, bias, threshold = neurons[V_DECAY], neurons[BIAS], neurons[THRESHOLD]
    jump, fading, silence = neurons[JUMP], neurons[B_DECAY], neurons[REFRACTORY]
    if constants.family == CHIP:
        current_noise, membrane_noise = noise
        wraps = step_chip_current(
            arriving, current_noise[t % current_noise.shape[0]], neurons[U_DECAY], u
        )
        more, clips = step_chip(
            u,
            membrane_noise[t % membrane_noise.shape[0]],
            (factor, bias, threshold, silence),
            v,
            r,
            fired,
        )
        return wraps + more, clips
    wraps = step_current(arriving, neurons[U_DECAY], u)
    if constants.family == PLAIN:
        clips = step_plain(u, factor, bias, threshold, v, fired)
    elif constants.family == ADAPTIVE:
        six = (factor, bias, threshold, jump, fading, silence)
        clips = step_adaptive(u, six, constants.subtract, v, b, r, fired)
    elif constants.family == TERNARY:
        low = neurons[THRESHOLD_LOW]
        clips = step_ternary(u, factor, bias, threshold, low, v, fired)
    else:
        six = (factor, bias, threshold, jump, fading, neurons[RECOVERY])
        clips = step_atrlif(u, six, v, b, r, fired)
    return wraps, clips


@inlined
def step_readout(arriving, readout, chip, output):
    """Leak the readout and add what arrives; return the counts of wraps and clips.

    Mutates
    -------
    output
        `(n_out,)` int64.
    """
    wraps, clips = 0, 0
    for k in range(output.shape[0]):
        wanted = arriving[k] << 6
        if chip:
            wanted = wrap(wanted, HALF_ACCUMULATOR) + readout[1, k]
            driving = wrap(wanted, HALF_TURN)
            wraps += driving != (arriving[k] << 6) + readout[1, k]
        else:
            driving = turn_once(wrap32(wanted))
            wraps += driving != wanted
            driving += readout[1, k]
        wanted = decay(output[k], readout[0, k]) + driving
        held = saturate(wanted)
        clipped = held != wanted
        if held > READOUT_THRESHOLD:
            held, clipped = np.int64(0), True
        output[k] = held
        clips += clipped
    return wraps, clips


@inlined
def keep(t, states, u, v, b, r, fired):
    """Write the states of a step where they are wanted.

    Mutates
    -------
    states : States
    """
    if states.u.shape[0] > 0:
        states.u[t] = u
    if states.v.shape[0] > 0:
        states.v[t] = v
    if states.b.shape[0] > 0:
        states.b[t] = b
    if states.r.shape[0] > 0:
        states.r[t] = r
    if states.spikes.shape[0] > 0:
        states.spikes[t] = fired


@inlined
def run_sample(x, synapses, neurons, readout, noise, constants, states, counters):
    """Run one sample through all steps, state zero before the first.

    Parameters
    ----------
    x : (T, n_in) int32
        Input values; zero is no event.
    synapses : Synapses
    neurons : (N_ROWS, n_rec) int32
        Rows `U_DECAY` to `RECOVERY`.
    readout : (2, n_out) int64
        Decay and bias.
    noise : tuple of two (T, n_rec) int32
        Noise on the current and on the membrane, which chip neurons read; one row of
        zeros stands for none.
    constants : Constants

    Mutates
    -------
    states : States
    counters : (5,) int64
        See `COUNTERS`.
    """
    steps, n_in = x.shape
    n_rec, n_out = synapses.w_out.shape
    u, v = np.zeros(n_rec, np.int32), np.zeros(n_rec, np.int32)
    b, r = np.zeros(n_rec, np.int32), np.zeros(n_rec, np.int32)
    if constants.family == ATRLIF:
        b[:] = neurons[THRESHOLD]
    y = np.zeros(n_out, np.int64)
    ring = np.zeros((constants.ring, n_rec), np.int64)
    ring_out = np.zeros((constants.ring_out, n_out), np.int64)
    from_input = np.zeros(n_rec, np.int64)
    from_recurrent, to_output = np.zeros(n_rec, np.int32), np.zeros(n_out, np.int32)
    words = np.zeros((n_rec + 7) // 8, np.int64)
    fired = words.view(np.int8)[:n_rec]
    events = np.empty(n_rec, np.int64)
    n_events = 0
    chip = constants.family == CHIP
    wide = chip or constants.family == TERNARY
    slot, slot_out = 0, 0
    for t in range(steps):
        counters[0] += receive_input(
            x[t],
            synapses.weights,
            synapses.delays,
            constants.delayed_in,
            constants.exponent_in,
            slot,
            ring,
            from_input,
        )
        spikes = (events, n_events, fired)
        block = (synapses.weights, synapses.delays, n_in)
        rule = (constants.delayed_rec, wide, constants.exponent_rec)
        counters[0] += receive_spikes(spikes, block, rule, slot, ring, from_recurrent)
        wraps, clips = step_neurons(
            t, ring[slot], noise, neurons, constants, (u, v, b, r), fired
        )
        counters[0] += wraps
        counters[1] += clips
        ring[slot] = 0
        n_events = find_events(words, fired, events)
        counters[4] += n_events
        keep(t, states, u, v, b, r, fired)

        spikes = (events, n_events, fired)
        block = (synapses.w_out, synapses.delays_out, 0)
        rule = (constants.delayed_out, wide, constants.exponent_out)
        counters[2] += receive_spikes(
            spikes, block, rule, slot_out, ring_out, to_output
        )
        wraps, clips = step_readout(ring_out[slot_out], readout, chip, y)
        counters[2] += wraps
        counters[3] += clips
        ring_out[slot_out] = 0
        slot = slot + 1 if slot + 1 < constants.ring else 0
        slot_out = slot_out + 1 if slot_out + 1 < constants.ring_out else 0
        states.y[t] = y


@kernel
def run_samples(
    start, stop, x, synapses, neurons, readout, noise, constants, states, counters
):
    """Run the samples `start` to `stop - 1`, one after the other.

    The arguments are those of `run_sample` with an axis for samples in front of `x`,
    `noise` (which may have one sample for all), `states` and `counters`.

    Mutates
    -------
    states : States
    counters : (S, 5) int64
    """
    on_current, on_membrane = noise
    for k in range(start, stop):
        here = States(
            states.u[k],
            states.v[k],
            states.b[k],
            states.r[k],
            states.spikes[k],
            states.y[k],
        )
        drawn = (
            on_current[k % on_current.shape[0]],
            on_membrane[k % on_membrane.shape[0]],
        )
        run_sample(
            x[k], synapses, neurons, readout, drawn, constants, here, counters[k]
        )
