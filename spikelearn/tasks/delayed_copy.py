"""Delayed copy: repeat a stream of bits after a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.tasks.delayed_bits import DelayedBits

__all__ = ["DelayedCopy"]


@dataclass(frozen=True)
class DelayedCopy(DelayedBits):
    """Repeat random bits after a delay of d steps: y_t = x_{t-d}.

    Input, loss, parameters and source as in `DelayedBits`.
    """

    name: ClassVar[str] = "delayed-copy"

    def _answers(self, bits: np.ndarray) -> np.ndarray:
        answers = np.zeros_like(bits)
        answers[self.delay_steps :] = bits[: -self.delay_steps]
        return answers
