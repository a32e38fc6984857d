"""LIF neurons with adaptive threshold and refractory state (Lava's ATRLIF)."""

from __future__ import annotations

import numpy as np

from hardware.kernels import inlined
from hardware.kernels.arithmetic import decay, saturate

__all__ = ["step_atrlif"]


@inlined
def step_atrlif(u, neurons, v, theta, r, fired):
    """Charge, decay threshold and refractory state, test; return the clips.

    Parameters
    ----------
    u
        `(n,)` int32 currents.
    neurons
        The rows factor and bias of the membrane, threshold at rest, its step and
        factor, factor of the refractory state, each `(n,)` int32.

    Mutates
    -------
    v, theta, r
        `(n,)` int32.
    fired
        `(n,)` int8: 1 at a spike, else 0.
    """
    factor, bias, rest, jump, fading, recovery = neurons
    clips = 0
    for j in range(u.shape[0]):
        wanted = decay(v[j], factor[j]) + u[j] + bias[j]
        held = saturate(wanted)
        clips += held != wanted
        threshold = decay(theta[j] - np.int64(rest[j]), fading[j]) + rest[j]
        barrier = decay(r[j], recovery[j])
        spike = np.int64(held - barrier >= threshold)
        v[j] = held
        r[j] = barrier + 2 * threshold * spike
        theta[j] = threshold + jump[j] * spike
        fired[j] = spike
    return clips
