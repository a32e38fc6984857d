"""What the thresholds of an integer run met, in the units of the float network."""

from __future__ import annotations

import numpy as np

from hardware.kernels import kernel
from hardware.kernels.arithmetic import STATE_MAX, decay

__all__ = ["tested_states"]


@kernel
def tested_states(u, v, b, spikes, registers, scale, cleared, out_v, out_distance):
    """Find the voltage of every spike test, and its distance to the threshold.

    A spike of a neuron with reset "zero" clears v, so that it is computed once more
    from the step before. While a neuron is refractory the distance is -inf.

    Parameters
    ----------
    u, v, b, spikes : (T, n) arrays
        Of one sample, as the emulator records them.
    registers : (4, n) int64 array
        dv, bias, threshold in full, and refractory steps.
    scale : (n,) float64 array
        Integers per unit of voltage.
    cleared
        Whether the reset is "zero".

    Mutates
    -------
    out_v : (T or 0, n) float array; with no rows it is left out
    out_distance : (T, n) float array
    """
    n_steps, n = spikes.shape
    silent = np.zeros(n, np.int64)
    for t in range(n_steps):
        for j in range(n):
            met = np.int64(v[t, j])
            if cleared and spikes[t, j] != 0:
                before = np.int64(v[t - 1, j]) if t > 0 else np.int64(0)
                met = decay(before, registers[0, j]) + u[t, j] + registers[1, j]
                met = min(max(met, -STATE_MAX), STATE_MAX)
            distance = (met - registers[2, j] - b[t, j]) / scale[j]
            out_distance[t, j] = distance if silent[j] == 0 else -np.inf
            if out_v.shape[0] > 0:
                out_v[t, j] = met / scale[j]
            silent[j] = registers[3, j] if spikes[t, j] != 0 else max(silent[j] - 1, 0)
