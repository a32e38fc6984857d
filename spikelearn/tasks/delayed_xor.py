"""Delayed exclusive or of a stream of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.tasks.delayed_bits import DelayedBits

__all__ = ["DelayedXor"]


@dataclass(frozen=True)
class DelayedXor(DelayedBits):
    """Combine two earlier bits in every step: y_t = x_{t-d/2} XOR x_{t-d}.

    Input, loss, parameters and source as in `DelayedBits`; d is even. For two cues with
    one delay between them see `DelayedXorCues`.
    """

    name: ClassVar[str] = "delayed-xor"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{type(self).__name__}.delay_steps"
        require(self.delay_steps % 2 == 0, where, "must be even", self.delay_steps)

    def _answers(self, bits: np.ndarray) -> np.ndarray:
        d = self.delay_steps
        answers = np.zeros_like(bits)
        answers[d:] = bits[d // 2 : -(d // 2)] ^ bits[:-d]
        return answers
