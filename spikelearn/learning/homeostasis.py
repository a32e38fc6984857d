"""Homeostasis: firing-rate regularisation as a local term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require
from spikelearn.network import AnyRecord

__all__ = ["FiringRate"]


@dataclass(frozen=True)
class FiringRate:
    """Pull every neuron towards a target rate, trial by trial.

    The energy of one trial is E = strength / 2 sum_j (f_j - f*)^2 with f_j in spikes
    per ms of that trial (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, methods).
    Its local gradient, strength (f_j - f*) / T sum_t e_ji[t], uses the unfiltered
    eligibility and is averaged over samples: neuron-specific modulator times e-prop's
    own eligibility.
    (NEST's bsshslm models divide the whole gradient by the length of the learning
    window: their c_reg is `strength` times that length.)

    Parameters
    ----------
    target_hz
        Target rate f*, Hz.
    strength
        Coefficient; 0 switches the term off.

    Raises
    ------
    InvalidValue
        If a parameter is negative.
    """

    target_hz: float = 10.0
    strength: float = 0.0

    def __post_init__(self) -> None:
        for name, unit in (("target_hz", " Hz"), ("strength", "")):
            value = getattr(self, name)
            require(value >= 0, f"FiringRate.{name}", f"must be >= 0{unit}", value)

    def modulator(self, record: AnyRecord, dt: float) -> np.ndarray:
        """Return the neuron-specific signal of a trial, (B, n_rec) float64."""
        return self.running(record.spike_counts, record.n_steps, record.n_steps, dt)

    def running(
        self, counts: np.ndarray, elapsed: int, n_steps: int, dt: float
    ) -> np.ndarray:
        """Return the signal in the middle of a trial, from the rates so far.

        Parameters
        ----------
        counts : (B, n_rec) array
            Spikes in the first `elapsed` steps.
        n_steps
            Steps of the whole trial.
        dt
            Time step, ms.
        """
        excess = counts / (elapsed * dt) - self.target_hz / 1000.0
        return self.strength * excess / (n_steps * len(counts))
