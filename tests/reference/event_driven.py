"""An exact simulation of LIF neurons with synaptic currents in continuous time.

    tau_m dv/dt = -v + drive + i,   tau_syn di/dt = -i

A neuron whose v reaches v_th (plus beta a, where there is adaptation) sends a spike:
the currents of the others jump by w_rec, its own voltage falls by v_th, and its a, with
tau_a da/dt = -a, rises by 1. Between spikes the solution is known, and the time of the
next spike is found by bisection.
"""

from __future__ import annotations

import numpy as np


class EventDriven:
    """Neurons with one tau_m, tau_syn and v_th; w_rec (n, n) as (post, pre)."""

    def __init__(self, w_rec, drive, tau_m, tau_syn, v_th, beta=0.0, tau_a=1.0):
        self.w_rec, self.drive = w_rec, drive
        self.tau_m, self.tau_syn, self.v_th = tau_m, tau_syn, v_th
        self.beta, self.tau_a = beta, tau_a

    def later(self, state, time):
        """Return v, a and i a time later if nobody spikes."""
        v, a, i = state
        slow = self.tau_syn / (self.tau_syn - self.tau_m) * i
        decay, fast = np.exp(-time / self.tau_m), np.exp(-time / self.tau_syn)
        later = self.drive + (v - self.drive - slow) * decay + slow * fast
        return later, a * np.exp(-time / self.tau_a), i * fast

    def _distance(self, state, time):
        v, a, _ = self.later(state, time)
        return v - self.v_th - self.beta * a

    def run(self, v, a, i, duration, look=0.02):
        """Return (v, a, i) after `duration`, and the spikes as (time, neuron)."""
        state, now, spikes = (v.copy(), a.copy(), i.copy()), 0.0, []
        while now < duration:
            ahead = min(look, duration - now)
            crossed = np.flatnonzero(self._distance(state, ahead) > 0)
            if not crossed.size:
                state, now = self.later(state, ahead), now + ahead
                continue
            low, high = 0.0, ahead
            for _ in range(60):
                middle = 0.5 * (low + high)
                above = (self._distance(state, middle) > 0).any()
                low, high = (low, middle) if above else (middle, high)
            state, now = self.later(state, high), now + high
            j = int(np.argmax(self._distance(state, 0.0)))
            spikes.append((now, j))
            state[0][j] -= self.v_th
            state[1][j] += 1.0
            state[2][:] += self.w_rec[:, j]
        return *state, spikes
