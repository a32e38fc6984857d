"""Context-dependent decision making: one modality counts, the other distracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.tasks.base import check_flag
from spikelearn.tasks.ring import RingTask, check_coherences

__all__ = ["ContextDecision"]


@dataclass(frozen=True)
class ContextDecision(RingTask):
    """Name the direction in the modality that counts, whatever the other shows.

    Two rings, the modalities, show a direction and a coherence each, all drawn evenly;
    the contrast is coherence / 100. The answer is the number of the direction in the
    modality that counts, from 1. Inputs: fixation, ring 0, ring 1 and, if the context
    is explicit, two channels of which that of the context is 1 throughout. Equations
    as in `RingTask`; after Mante et al. 2013 (doi:10.1038/nature12742).

    Parameters
    ----------
    explicit_context
        False: `modality` always counts, and no input says so. True: the modality that
        counts is drawn in every trial and shown.
    modality
        0 or 1; without effect if the context is explicit.
    coherences
        Percent, 0 to 100.
    stimulus_ms, delay_ms, decision_ms
        Durations of the periods, ms; multiples of dt.

    The others are those of `RingTask`.
    """

    explicit_context: bool = False
    modality: int = 0
    coherences: tuple[float, ...] = (5.0, 15.0, 50.0)
    stimulus_ms: float = 200.0
    delay_ms: float = 500.0
    decision_ms: float = 100.0

    name: ClassVar[str] = "cxt"
    periods: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "decision")

    def __post_init__(self) -> None:
        super().__post_init__()
        where = type(self).__name__
        check_flag(f"{where}.explicit_context", self.explicit_context)
        known = self.modality in (0, 1) and not isinstance(self.modality, bool)
        require(known, f"{where}.modality", "must be 0 or 1", self.modality)
        coherences = check_coherences(f"{where}.coherences", self.coherences)
        object.__setattr__(self, "coherences", coherences)

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return 1 + 2 * self.dim_ring + (2 if self.explicit_context else 0)

    def _trial(
        self, x: np.ndarray, windows: dict[str, slice], rng: np.random.Generator
    ) -> int:
        context = self.modality
        if self.explicit_context:
            context = int(rng.integers(2))
            x[:, 1 + 2 * self.dim_ring + context] = 1.0
        choices = rng.integers(self.dim_ring, size=2)
        contrasts = rng.choice(self.coherences, size=2) / 100.0
        for modality in (0, 1):
            start = 1 + modality * self.dim_ring
            shown = x[windows["stimulus"], start : start + self.dim_ring]
            choice, contrast = choices[modality], contrasts[modality]
            shown[:] = self._ring(choice, contrast, len(shown), rng)
        return 1 + int(choices[context])
