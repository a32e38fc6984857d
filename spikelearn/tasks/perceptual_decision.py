"""Perceptual decision making: name the direction that a noisy stimulus favours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.tasks.ring import RingTask, check_coherences

__all__ = ["PerceptualDecision"]


@dataclass(frozen=True)
class PerceptualDecision(RingTask):
    """Name the direction of a noisy stimulus (two-alternative forced choice).

    A direction and a coherence are drawn evenly; the contrast is coherence / 100. The
    answer is the number of the direction, from 1. At coherence 0 it can only be
    guessed. Equations as in `RingTask`; after Britten et al. 1992
    (doi:10.1523/JNEUROSCI.12-12-04745.1992). neurogym holds the fixation signal until
    the decision before its version 2.1 (`hold_fixation`).

    Parameters
    ----------
    coherences
        Percent, 0 to 100.
    stimulus_ms, delay_ms, decision_ms
        Durations of the periods, ms; multiples of dt.

    The others are those of `RingTask`.
    """

    coherences: tuple[float, ...] = (0.0, 6.4, 12.8, 25.6, 51.2)
    stimulus_ms: float = 700.0
    delay_ms: float = 0.0
    decision_ms: float = 100.0

    name: ClassVar[str] = "2af"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "decision")

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{type(self).__name__}.coherences"
        coherences = check_coherences(where, self.coherences)
        object.__setattr__(self, "coherences", coherences)

    def _trial(
        self, x: np.ndarray, windows: dict[str, slice], rng: np.random.Generator
    ) -> int:
        choice = int(rng.integers(self.dim_ring))
        contrast = self.coherences[rng.integers(len(self.coherences))] / 100.0
        shown = x[windows["stimulus"], 1:]
        shown[:] = self._ring(choice, contrast, len(shown), rng)
        return 1 + choice
