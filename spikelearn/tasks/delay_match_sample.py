"""Delayed match to sample: compare two stimuli across a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.tasks.ring import RingTask

__all__ = ["DelayMatchSample"]


@dataclass(frozen=True)
class DelayMatchSample(RingTask):
    """Say whether the test has the direction of the sample: 1 match, 2 non-match.

    The direction of the sample and whether the test matches are drawn evenly; a test
    that does not match has the opposite direction. The contrast is 1. Equations as in
    `RingTask`; after Miller, Erickson & Desimone 1996
    (doi:10.1523/JNEUROSCI.16-16-05154.1996).

    Parameters
    ----------
    sample_ms, delay_ms, test_ms, decision_ms
        Durations of the periods, ms; multiples of dt.

    The others are those of `RingTask`.
    """

    hold_fixation: bool = True
    sample_ms: float = 100.0
    delay_ms: float = 500.0
    test_ms: float = 100.0
    decision_ms: float = 100.0

    name: ClassVar[str] = "dms"
    periods: ClassVar[tuple[str, ...]] = (
        "fixation",
        "sample",
        "delay",
        "test",
        "decision",
    )

    @property
    def n_out(self) -> int:
        """Three classes: fixate, match, non-match."""
        return 3

    def _trial(
        self, x: np.ndarray, windows: dict[str, slice], rng: np.random.Generator
    ) -> int:
        answer = 1 + int(rng.integers(2))
        sample = float(rng.integers(self.dim_ring))
        test = sample if answer == 1 else sample + self.dim_ring / 2
        for period, direction in (("sample", sample), ("test", test)):
            shown = x[windows[period], 1:]
            shown[:] = self._ring(direction, 1.0, len(shown), rng)
        return answer
