"""Homeostasis: firing rates held by the weights, or by the bias of each neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.terms import TermInfo
from spikelearn.network import AnyRecord, RecurrentNetwork

__all__ = ["FiringRate", "IntrinsicPlasticity"]


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


@dataclass(frozen=True)
class IntrinsicPlasticity:
    """Move the excitability of every neuron towards a target rate, trial by trial.

        db_j = strength (1 - alpha_m) v_th (f* - f_j) / (f* + f_j)

    with f_j the mean rate of the trial: the resting voltage moves by at most `strength`
    thresholds, up for silent neurons and down for epileptic ones, for which the
    pseudo-derivative of a weight is 0 (after Desai, Rutherford & Turrigiano 1999,
    doi:10.1038/9165). A neuron needs its own rate, and nothing else.

    Parameters
    ----------
    target_hz
        Target rate f*, Hz, > 0.
    strength
        Largest move of the resting voltage, in thresholds, > 0.

    Raises
    ------
    InvalidValue
        If a parameter is not positive.
    """

    target_hz: float = 10.0
    strength: float = 0.2

    info: ClassVar[TermInfo] = TermInfo(
        name="intrinsic",
        synapse="nothing",
        neuron="its own mean rate",
        network="nothing",
        reference="Desai, Rutherford & Turrigiano 1999, doi:10.1038/9165",
    )

    def __post_init__(self) -> None:
        for name, unit in (("target_hz", " Hz"), ("strength", "")):
            value = getattr(self, name)
            where = f"IntrinsicPlasticity.{name}"
            require(0 < value < np.inf, where, f"must be > 0{unit}", value)

    def displacement(
        self, network: RecurrentNetwork, record: AnyRecord
    ) -> dict[str, np.ndarray]:
        """Return {"bias": (n_rec,)}, what is to be added."""
        constants = network.cell_constants
        duration = record.n_steps * network.dt
        rate = 1000.0 * record.spike_counts.mean(axis=0) / duration
        part = (self.target_hz - rate) / (self.target_hz + rate)
        rest = (1.0 - constants.alpha_m) * constants.v_th
        return {"bias": (self.strength * rest * part).astype(network.dtype)}
