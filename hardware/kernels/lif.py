"""LIF neurons: the current that all families share, and the membranes of Lava's LIF.

The equations are in the documentation of `hardware.emulator`.
"""

from __future__ import annotations

import numpy as np

from hardware.kernels import inlined
from hardware.kernels.arithmetic import (
    STATE_MAX,
    decay,
    saturate,
    turn_once,
    wrap32,
)

__all__ = ["step_adaptive", "step_current", "step_plain", "step_ternary"]


@inlined
def step_current(arriving, factor, u):
    """Leak the currents, add what arrives, and return how many of them wrapped.

    A current that has left 24 bits is brought back by one turn of 2**24, as Lava does,
    and no more.

    Mutates
    -------
    u
        `(n,)` int32.
    """
    wraps = 0
    for j in range(u.shape[0]):
        wanted = decay(u[j], factor[j]) + (arriving[j] << 6)
        held = turn_once(wrap32(wanted))
        u[j] = held
        wraps += held != wanted
    return wraps


@inlined
def step_plain(u, factor, bias, threshold, v, fired):
    """Charge, test and reset the membranes of plain LIF neurons; return the clips.

    Mutates
    -------
    v
        `(n,)` int32.
    fired
        `(n,)` int8: 1 at a spike, else 0.
    """
    clips = 0
    for j in range(u.shape[0]):
        wanted = decay(v[j], factor[j]) + u[j] + bias[j]
        held = saturate(wanted)
        clips += held != wanted
        spike = held > threshold[j]
        fired[j] = spike
        v[j] = 0 if spike else held
    return clips


@inlined
def step_adaptive(u, neurons, subtract, v, b, silent, fired):
    """Charge, adapt, test and reset; return the clips of the membranes.

    Parameters
    ----------
    u
        `(n,)` int32 currents.
    neurons
        The rows factor and bias of the membrane, threshold, jump and factor of the
        adaptation, refractory steps, each `(n,)` int32.
    subtract
        Whether the threshold leaves v one step after the spike; else v is 0 after it.

    Mutates
    -------
    v, b, silent
        `(n,)` int32: membrane, adaptation, silent steps that are left.
    fired
        `(n,)` int8; before the call the spikes of the step before.
    """
    factor, bias, threshold, jump, fading, refractory = neurons
    clips = 0
    for j in range(u.shape[0]):
        before = np.int64(fired[j])
        wanted = decay(v[j], factor[j]) + u[j] + bias[j]
        wanted -= before * threshold[j] * subtract
        held = saturate(wanted)
        clips += held != wanted
        grown = min(decay(b[j], fading[j]) + before * jump[j], STATE_MAX)
        spike = (held > threshold[j] + grown) and silent[j] == 0
        b[j] = grown
        fired[j] = spike
        silent[j] = refractory[j] if spike else max(silent[j] - 1, 0)
        v[j] = 0 if spike and not subtract else held
    return clips


@inlined
def step_ternary(u, factor, bias, high, low, v, fired):
    """Charge, test and reset the membranes of ternary neurons; return the clips.

    Mutates
    -------
    v
        `(n,)` int32.
    fired
        `(n,)` int8: 1 above `high`, -1 below `low`, else 0.
    """
    clips = 0
    for j in range(u.shape[0]):
        wanted = decay(v[j], factor[j]) + u[j] + bias[j]
        held = saturate(wanted)
        clips += held != wanted
        spike = np.int64(held > high[j]) - np.int64(held < low[j])
        fired[j] = spike
        v[j] = 0 if spike != 0 else held
    return clips
