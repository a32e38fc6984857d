"""LIF neurons as emulators of Loihi 1 have them, with what Lava leaves out.

The sources are in the documentation of `hardware.emulator`.
"""

from __future__ import annotations

import numpy as np

from hardware.kernels import inlined
from hardware.kernels.arithmetic import HALF_TURN, decay, saturate, wrap

__all__ = ["step_chip", "step_chip_current"]

HALF_ACCUMULATOR = np.int64(2**21)


@inlined
def step_chip_current(arriving, noise, factor, u):
    """Accumulate 21 bits and sign, leak, wrap at 23 bits and sign; return the wraps.

    Mutates
    -------
    u
        `(n,)` int32.
    """
    wraps = 0
    for j in range(u.shape[0]):
        gathered = (arriving[j] << 6) + noise[j]
        accumulated = wrap(gathered, HALF_ACCUMULATOR)
        wanted = decay(u[j], factor[j]) + accumulated
        held = wrap(wanted, HALF_TURN)
        u[j] = held
        wraps += (held != wanted) or (accumulated != gathered)
    return wraps


@inlined
def step_chip(u, noise, neurons, v, silent, fired):
    """Charge by current and bias, hold refractory neurons at 0, test and reset.

    Parameters
    ----------
    u, noise
        `(n,)` currents and noise of the membrane.
    neurons
        The rows factor and bias of the membrane, threshold, refractory steps.

    Returns
    -------
    tuple
        How often current plus bias wrapped, and how often the membrane was clipped.

    Mutates
    -------
    v, silent
        `(n,)` int32: membrane, silent steps that are left.
    fired
        `(n,)` int8: 1 at a spike, else 0.
    """
    factor, bias, threshold, refractory = neurons
    wraps, clips = 0, 0
    for j in range(u.shape[0]):
        driving = np.int64(u[j]) + bias[j] + noise[j]
        drive = wrap(driving, HALF_TURN)
        wraps += drive != driving
        wanted = decay(v[j], factor[j]) + drive
        held = saturate(wanted)
        clips += held != wanted
        if silent[j] > 0:
            held = np.int64(0)
        spike = held > threshold[j]
        fired[j] = spike
        silent[j] = refractory[j] if spike else max(silent[j] - 1, 0)
        v[j] = 0 if spike else held
    return wraps, clips
