"""Delayed exclusive or of two cues, as graded input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.tasks.base import Batch, check_number, n_steps_of
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import rate_settings

__all__ = ["DelayedXorCues"]


@dataclass(frozen=True)
class DelayedXorCues(GeneratedTask):
    """Say whether two cues, one before and one after a delay, were the same.

    Cue 0 may come on channel 0 at the start, cue 1 on channel 1 at the end; each is
    present with probability 1/2. A cue is a bump, and its channel shows, in the step
    centred s ms away from the middle of the cue,

        x = floor + amplitude exp(-s^2 / (2 w^2)) + noise,  w = cue_ms / 4,

    with noise ~ N(0, sigma^2 / dt); without a cue the bump is missing. The class is 1
    if both cues or none are present, else 0. The loss counts in the last `loss_ms`.

    Source: Liu et al. 2022 (doi:10.48550/arXiv.2206.01338) and its published code.

    Parameters
    ----------
    cue_ms, delay_ms, loss_ms
        Durations, ms; multiples of dt. The trial lasts 2 cue_ms + delay_ms.
    amplitude, floor
        Height of the bump and input without it.
    sigma
        Noise, in units of sqrt(ms): its standard deviation per step is sigma/sqrt(dt).
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    cue_ms: float = 100.0
    delay_ms: float = 700.0
    loss_ms: float = 1.0
    amplitude: float = 2.0
    floor: float = 0.02
    sigma: float = 0.01
    dt: float = 1.0

    name: ClassVar[str] = "delayed-xor-cues"
    kind: ClassVar[str] = "classification"
    n_in: ClassVar[int] = 2
    n_out: ClassVar[int] = 2
    input_bits: ClassVar[None] = None

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        n_steps_of(f"{where}.cue_ms", self.cue_ms, self.dt)
        n_steps_of(f"{where}.delay_ms", self.delay_ms, self.dt, least=0)
        n_steps_of(f"{where}.loss_ms", self.loss_ms, self.dt)
        longest = 2 * self.cue_ms + self.delay_ms
        check_number(f"{where}.loss_ms", self.loss_ms, most=longest, unit="ms")
        check_number(f"{where}.amplitude", self.amplitude)
        check_number(f"{where}.floor", self.floor)
        check_number(f"{where}.sigma", self.sigma, least=0)

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return round((2 * self.cue_ms + self.delay_ms) / self.dt)

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Close to the published settings: 120 leaky ReLU cells, tau_m = 100 ms.

        Published are also Dale's law and a step size that falls by a fifth every 300
        iterations.
        """
        adam = {"name": "adam", "lr": 5e-4, "weight_decay": 5e-4, "schedule": "cosine"}
        return rate_settings(
            n_rec=120,
            tau_m=100.0,
            gain=1.0,
            gain_in=1.0,
            gain_out=1.0,
            optimizer=adam,
            iterations=3000,
        )

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        n_cue = round(self.cue_ms / self.dt)
        distance = (np.arange(n_cue) + 0.5) * self.dt - self.cue_ms / 2
        bump = self.amplitude * np.exp(-0.5 * (distance / (self.cue_ms / 4)) ** 2)
        x = np.full((self.n_steps, len(rngs), 2), self.floor)
        target = np.empty(len(rngs), np.int64)
        for b, rng in enumerate(rngs):
            first, second = rng.integers(2, size=2)
            x[:n_cue, b, 0] += first * bump
            x[-n_cue:, b, 1] += second * bump
            target[b] = first == second
            noise = rng.standard_normal((self.n_steps, 2))
            x[:, b] += self.sigma / math.sqrt(self.dt) * noise
        mask = np.zeros(self.n_steps, np.float32)
        mask[-round(self.loss_ms / self.dt) :] = 1.0
        return Batch(x.astype(np.float32), target, mask)
