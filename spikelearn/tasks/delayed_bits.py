"""Streams of random bits and answers about the past: what two tasks share."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.tasks.base import Batch, check_count, check_number
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import rate_settings

__all__ = ["DelayedBits"]


@dataclass(frozen=True)
class DelayedBits(GeneratedTask):
    """Answer in every step with a class, 0 or 1, that depends on earlier input bits.

    The input is one channel of bits x_t, each 1 with probability 1/2 (as spikes 0 and
    1). The loss counts from step 2 delay_steps on; before, the target is 0 where the
    answer would need a bit from before the trial.

    Source: Engelken 2023 (doi:10.48550/arXiv.2312.17306) and its published code.

    Parameters
    ----------
    delay_steps
        Delay d, in time steps.
    n_steps
        Number of time steps T of a trial, more than 2 d.
    dt
        Time step, ms; it does not change the trials.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    delay_steps: int = 18
    n_steps: int = 300
    dt: float = 1.0

    name: ClassVar[str]
    kind: ClassVar[str] = "classification"
    n_in: ClassVar[int] = 1
    n_out: ClassVar[int] = 2
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.delay_steps", self.delay_steps)
        check_count(f"{where}.n_steps", self.n_steps)
        rule = f"must be > 2 delay_steps = {2 * self.delay_steps}"
        require(
            self.n_steps > 2 * self.delay_steps, f"{where}.n_steps", rule, self.n_steps
        )

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """The published settings of backpropagation through time: 80 tanh cells."""
        adam = {"name": "adam", "lr": 1e-3, "clip_norm": 0.03}
        return rate_settings(
            activation="tanh",
            n_rec=80,
            gain=1.0,
            gain_in=1.0,
            gain_out=1.0,
            optimizer=adam,
            iterations=3000,
            batch_size=16,
        )

    @abc.abstractmethod
    def _answers(self, bits: np.ndarray) -> np.ndarray:
        """Return the classes for bits, both (T, B); 0 where undefined."""

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        columns = [rng.integers(2, size=self.n_steps, dtype=np.uint8) for rng in rngs]
        bits = np.stack(columns, axis=1)
        mask = np.zeros(self.n_steps, np.float32)
        mask[2 * self.delay_steps :] = 1.0
        return Batch(bits[:, :, None], self._answers(bits).astype(np.int64), mask)
