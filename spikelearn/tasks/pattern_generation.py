"""Pattern generation: turn frozen input noise into a given smooth signal."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.data.encoders import poisson_spikes
from spikelearn.errors import require
from spikelearn.tasks.base import (
    Batch,
    check_batch_request,
    check_count,
    check_number,
    check_split,
    n_steps_of,
)

__all__ = ["PatternGeneration"]


@dataclass(frozen=True)
class PatternGeneration:
    """Produce a sum of sines from frozen Poisson input; a measure of fitting.

        y*[t] = sum_k A_k sin(phi_k + 2 pi c_k t / (T - 1)),  c_k = floor(duration/P_k)

    with A_k ~ U(0.5, 2), phi_k ~ U(0, 2 pi), shifted to y*[0] = 0 and divided by
    max |y*|. The input of the first step is silent. The one trial is a function of
    `pattern_seed` alone: training, validation and test show the same trial.

    Source: Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), pattern generation,
    with the constants of its published code.

    Parameters
    ----------
    n_in
        Number of Poisson inputs.
    f_in_hz
        Their rate, Hz.
    duration_ms
        Length of the trial, ms; a multiple of dt of at least 2 dt.
    periods_ms
        Periods P_k of the sines, ms, each at most the duration.
    pattern_seed
        Seed of the frozen input and of the target.
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
    periods_ms: tuple[float, ...] = (1000.0, 500.0, 333.0, 200.0)
    pattern_seed: int = 1
    dt: float = 1.0

    name: ClassVar[str] = "pattern-generation"
    kind: ClassVar[str] = "regression"
    n_out: ClassVar[int] = 1
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.n_in", self.n_in)
        check_count(f"{where}.pattern_seed", self.pattern_seed, least=0)
        largest = 1000.0 / self.dt
        check_number(f"{where}.f_in_hz", self.f_in_hz, above=0, most=largest, unit="Hz")
        n_steps_of(f"{where}.duration_ms", self.duration_ms, self.dt, least=2)
        periods = self.periods_ms
        listed = isinstance(periods, Sequence) and not isinstance(periods, str)
        rule = "must be a list of at least one period in ms"
        require(listed and len(periods) > 0, f"{where}.periods_ms", rule, periods)
        longest = self.duration_ms
        for period in periods:
            check_number(
                f"{where}.periods_ms", period, above=0, most=longest, unit="ms"
            )
        object.__setattr__(self, "periods_ms", tuple(periods))

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

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """The published settings of e-prop with random feedback; no biases."""
        return {
            "network": {
                "cell": "LIF",
                "n_rec": 100,
                "tau_m": 30.0,
                "v_th": 0.03,
                "t_ref": 0.0,
                "tau_out": 30.0,
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
                "rate_strength": 300.0,
            },
            "optimizer": {"name": "sgd", "lr": 1e-4},
            "training": {"iterations": 2000, "batch_size": 1},
        }

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


@functools.lru_cache(maxsize=8)
def _trial(task: PatternGeneration) -> tuple[np.ndarray, np.ndarray]:
    """Return the input (T, 1, n_in) and the target (T, 1, 1) of a task."""
    rng = np.random.default_rng(task.pattern_seed)
    rates = np.full((task.n_steps, 1, task.n_in), task.f_in_hz)
    x = poisson_spikes(rates, task.dt, rng)
    x[0] = 0
    periods = np.array(task.periods_ms)
    amplitude = rng.uniform(0.5, 2.0, len(periods))
    phase = rng.uniform(0.0, 2.0 * np.pi, len(periods))
    cycles = task.duration_ms // periods
    angle = np.linspace(phase, phase + 2.0 * np.pi * cycles, task.n_steps)
    y = np.sin(angle) @ amplitude
    y -= y[0]
    y /= np.abs(y).max()
    return x, y.astype(np.float32)[:, None, None]
