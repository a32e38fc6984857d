"""Signals to produce from frozen input noise: what two tasks share."""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.data.encoders import poisson_spikes
from spikelearn.tasks.base import (
    Batch,
    check_batch_request,
    check_count,
    check_number,
    check_split,
    n_steps_of,
)

__all__ = ["FrozenNoise", "frozen_noise_settings"]


@dataclass(frozen=True)
class FrozenNoise(abc.ABC):
    """Produce a signal from frozen Poisson input; a measure of fitting.

    The input of the first step is silent. The one trial is a function of the parameters
    alone: training, validation and test show the same trial.

    Parameters
    ----------
    n_in
        Number of Poisson inputs.
    f_in_hz
        Their rate, Hz.
    duration_ms
        Length of the trial, ms; a multiple of dt of at least 2 dt.
    pattern_seed
        Seed of the frozen input and of what is random in the target.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    n_in: int = 100
    f_in_hz: float = 50.0
    duration_ms: float = 1000.0
    pattern_seed: int = 1
    dt: float = 1.0

    name: ClassVar[str]
    kind: ClassVar[str] = "regression"
    n_out: ClassVar[int]
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.n_in", self.n_in)
        check_count(f"{where}.pattern_seed", self.pattern_seed, least=0)
        largest = 1000.0 / self.dt
        check_number(f"{where}.f_in_hz", self.f_in_hz, above=0, most=largest, unit="Hz")
        n_steps_of(f"{where}.duration_ms", self.duration_ms, self.dt, least=2)

    @abc.abstractmethod
    def _target(self, rng: np.random.Generator) -> np.ndarray:
        """Return the signal (T, n_out)."""

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return round(self.duration_ms / self.dt)

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        same = "the training trial again: this task measures fitting"
        trial = f"one trial, fixed by pattern_seed = {self.pattern_seed}"
        return {"train": trial, "validation": same, "test": same}

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return `size` copies of the trial, whatever the iteration and the seed."""
        check_batch_request(iteration, size, seed)
        x, target = _trial(self)
        mask = np.ones(self.n_steps, np.float32)
        return Batch(np.repeat(x, size, axis=1), np.repeat(target, size, axis=1), mask)

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Iterate over the one trial, once.

        Raises
        ------
        UnknownName, InvalidValue
            If the split is unknown or a size is not a positive integer.
        """
        check_split(split)
        check_count("evaluation.size", 1 if size is None else size)
        check_count("evaluation.batch_size", batch_size)
        return iter([self.train_batch(0, 1, 0)])


def frozen_noise_settings(
    *, n_rec: int, tau_out: float, rate_strength: float, optimizer: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return settings of e-prop with random feedback for LIF cells without biases.

    Parameters
    ----------
    n_rec, tau_out, rate_strength
        As in `[network]` and `[learning]`; tau_out in ms.
    optimizer
        The section `[optimizer]`.
    """
    return {
        "network": {
            "cell": "LIF",
            "n_rec": n_rec,
            "tau_m": 30.0,
            "v_th": 0.03,
            "t_ref": 0.0,
            "tau_out": tau_out,
            "gain": 1.0,
            "reset": "subtract",
            "input_scaling": "leak",
            "readout_scaling": "leak",
        },
        "learning": {
            "rule": "e-prop",
            "feedback": "random",
            "trainable": ["w_in", "w_rec", "w_out"],
            "rate_target_hz": 10.0,
            "rate_strength": rate_strength,
        },
        "optimizer": optimizer,
        "training": {"iterations": 2000, "batch_size": 1},
    }


@functools.lru_cache(maxsize=8)
def _trial(task: FrozenNoise) -> tuple[np.ndarray, np.ndarray]:
    """Return the input (T, 1, n_in) and the target (T, 1, n_out) of a task."""
    rng = np.random.default_rng(task.pattern_seed)
    rates = np.full((task.n_steps, 1, task.n_in), task.f_in_hz)
    x = poisson_spikes(rates, task.dt, rng)
    x[0] = 0
    return x, task._target(rng).astype(np.float32)[:, None, :]
