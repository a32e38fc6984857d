"""Cognitive tasks with directions on a ring, as neurogym defines them."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.tasks.base import (
    Batch,
    check_count,
    check_flag,
    check_number,
    n_steps_of,
    number_list,
)
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import rate_settings

__all__ = ["RingTask", "check_coherences"]


@dataclass(frozen=True)
class RingTask(GeneratedTask):
    """Fixate, see directions on a ring, and name an answer in the decision period.

    Channel k of a ring has the preferred angle theta_k = 2 pi k / dim_ring. A direction
    theta* of contrast c is shown in every step as

        x_k = 1/2 + c/2 cos(theta_k - theta*) + noise,  noise ~ N(0, sigma^2 / dt)

    Input 0 is the fixation signal. The class of every step counts: 0 (fixate) until the
    decision period, the answer (1, 2, ...) in it.

    Source: the public definitions of neurogym 2.3 (doi:10.5281/zenodo.14508986), in the
    timing of Liu et al. 2024 (doi:10.48550/arXiv.2310.08513): 8 steps of 100 ms.

    Parameters
    ----------
    dim_ring
        Number of directions, at least 2.
    sigma
        Noise, in units of sqrt(ms): its standard deviation per step is sigma/sqrt(dt).
    hold_fixation
        False: the fixation signal is 1 in the fixation period only. True: until the
        decision.
    decision_only
        Whether the loss counts in the decision period only, and not in all steps.
    fixation_ms, ...
        Durations of the periods, ms; multiples of dt.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    dim_ring: int = 2
    sigma: float = 1.0
    hold_fixation: bool = False
    decision_only: bool = False
    fixation_ms: float = 0.0
    dt: float = 100.0

    name: ClassVar[str]
    kind: ClassVar[str] = "classification"
    input_bits: ClassVar[None] = None
    # Names of the periods in turn; what may be left out (0 ms).
    periods: ClassVar[tuple[str, ...]]
    optional_periods: ClassVar[tuple[str, ...]] = ("fixation", "delay")

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.dim_ring", self.dim_ring, least=2)
        check_number(f"{where}.sigma", self.sigma, least=0)
        for name in ("hold_fixation", "decision_only"):
            check_flag(f"{where}.{name}", getattr(self, name))
        for period in self.periods:
            duration = getattr(self, f"{period}_ms")
            least = 0 if period in self.optional_periods else 1
            n_steps_of(f"{where}.{period}_ms", duration, self.dt, least=least)

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return 1 + self.dim_ring

    @property
    def n_out(self) -> int:
        """Number of classes."""
        return 1 + self.dim_ring

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return self.windows()[self.periods[-1]].stop

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """The published settings of backpropagation through time; no biases."""
        return rate_settings()

    def windows(self) -> dict[str, slice]:
        """Return the steps of each period."""
        steps = [round(getattr(self, f"{p}_ms") / self.dt) for p in self.periods]
        stops = [sum(steps[: i + 1]) for i in range(len(steps))]
        windows = zip(self.periods, steps, stops, strict=True)
        return {period: slice(stop - n, stop) for period, n, stop in windows}

    @abc.abstractmethod
    def _trial(
        self, x: np.ndarray, windows: dict[str, slice], rng: np.random.Generator
    ) -> int:
        """Write the stimuli of a trial into x (T, n_in) and return the answer."""

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        windows = self.windows()
        x = np.zeros((self.n_steps, len(rngs), self.n_in), np.float32)
        target = np.zeros((self.n_steps, len(rngs)), np.int64)
        fixation, decision = windows["fixation"], windows["decision"]
        x[: decision.start if self.hold_fixation else fixation.stop, :, 0] = 1.0
        for b, rng in enumerate(rngs):
            target[decision, b] = self._trial(x[:, b], windows, rng)
        mask = np.ones(self.n_steps, np.float32)
        mask[: decision.start if self.decision_only else 0] = 0.0
        return Batch(x, target, mask)

    def _ring(
        self, direction: float, contrast: float, steps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return a noisy direction (in channels, 0 to dim_ring): (steps, dim_ring)."""
        angle = 2.0 * math.pi / self.dim_ring * (np.arange(self.dim_ring) - direction)
        noise = rng.standard_normal((steps, self.dim_ring))
        bump = 0.5 + 0.5 * contrast * np.cos(angle)
        return bump + self.sigma / math.sqrt(self.dt) * noise


def check_coherences(where: str, values: Any) -> tuple[float, ...]:
    """Return coherences (percent) as a tuple.

    Raises
    ------
    InvalidValue
        If it is no list of at least one number in 0 to 100.
    """
    rule = "must be a list of at least one coherence in percent"
    coherences = number_list(where, values, rule)
    for value in coherences:
        check_number(where, value, least=0, most=100)
    return coherences
