"""What a task is: batches that are pure functions of (iteration, size, seed)."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from spikelearn.errors import require, unknown_name

__all__ = [
    "EVALUATION_SPLITS",
    "Batch",
    "Task",
    "adaptation_strength",
    "check_batch_request",
    "check_count",
    "check_flag",
    "check_number",
    "check_split",
    "evaluation_rng",
    "n_steps_of",
    "number_list",
    "train_rng",
]

EVALUATION_SPLITS = ("validation", "test")

# First word of the spawn key of every random stream of a task: streams never overlap,
# whatever the seed of a training run.
_STREAMS = {
    "train": 0,
    "validation": 1,
    "test": 2,
    "order": 3,
    "augmentation": 4,
    "reward": 5,
}
_EVALUATION_SEED = 2020


@dataclass(frozen=True, eq=False)
class Batch:
    """Trials of equal length; the arrays are read-only.

    Attributes
    ----------
    x
        Input (T, B, n_in): uint8 spikes (0 or 1), or float32 values.
    target
        Classification: int64, one class per trial (B,) or per step (T, B). Regression:
        float (T, B, n_out). Reward: float (B, n_actions), what each action would bring
        in that trial.
    mask
        Float32, (T,) for all trials or (T, B); 1 in the learning window, where the loss
        counts, else 0.

    Raises
    ------
    InvalidValue
        If shapes or dtypes do not fit together, or an array holds NaN or inf.
    """

    x: np.ndarray
    target: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        self._check()
        for name in ("x", "target", "mask"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def size(self) -> int:
        """Number of trials B."""
        return self.x.shape[1]

    def _check(self) -> None:
        x, target, mask = self.x, self.target, self.mask
        require(x.ndim == 3, "Batch.x", "must have shape (T, B, n_in)", x.shape)
        rule = "must be uint8 (spikes) or float32 (graded)"
        require(x.dtype in (np.uint8, np.float32), "Batch.x", rule, x.dtype)
        steps, size, _ = x.shape
        if target.dtype == np.int64:
            rule = f"must have shape ({size},) or ({steps}, {size}), classes"
            fits = target.shape in ((size,), (steps, size))
            require(fits, "Batch.target", rule, target.shape)
        else:
            rule = "must be int64 (classes) or float32 / float64 (values)"
            allowed = target.dtype in (np.float32, np.float64)
            require(allowed, "Batch.target", rule, target.dtype)
            rule = f"must have shape ({steps}, {size}, n_out) or ({size}, n_actions)"
            fits = target.shape[:-1] in ((steps, size), (size,))
            require(fits, "Batch.target", rule, target.shape)
        shapes = ((steps,), (steps, size))
        fits = mask.shape in shapes and mask.dtype == np.float32
        rule = f"must be float32 of shape ({steps},) or ({steps}, {size})"
        require(fits, "Batch.mask", rule, f"{mask.dtype} {mask.shape}")
        for name in ("x", "target", "mask"):
            finite = bool(np.isfinite(getattr(self, name)).all())
            require(finite, f"Batch.{name}", "must be finite", "NaN or inf")


@runtime_checkable
class Task(Protocol):
    """A frozen description of trials to learn from and to be judged by.

    `train_batch` is a pure function of its arguments, so that a resumed run needs only
    the number of the iteration. `evaluation` never depends on the seed of training.
    """

    @property
    def name(self) -> str:
        """Name in the `TASKS` table."""
        ...

    @property
    def kind(self) -> str:
        """One of "classification", "regression" and "reward"."""
        ...

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        ...

    @property
    def n_out(self) -> int:
        """Number of outputs: classes, values per step, or actions and a critic."""
        ...

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        ...

    @property
    def dt(self) -> float:
        """Time step, ms."""
        ...

    @property
    def input_bits(self) -> int | None:
        """0 for spikes, k for graded input whose x * (2^k - 1) is an integer.

        None for real-valued input, which has no integer form.
        """
        ...

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        ...

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Sections of a run configuration that suit the task; a new dict each time."""
        ...

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return the training batch of an iteration (from 0) of a run with `seed`."""
        ...

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Yield "validation" or "test" trials in batches of at most `batch_size`.

        `size` limits the number of trials; None stands for all of a data set, or the
        usual number of a generated task. The trials do not depend on `batch_size`.
        """
        ...


def train_rng(stream: str, seed: int, *key: int) -> np.random.Generator:
    """Return the generator of a training stream: a function of (stream, seed, key)."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_STREAMS[stream], *key))
    return np.random.default_rng(sequence)


def evaluation_rng(split: str, trial: int) -> np.random.Generator:
    """Return the generator of one validation or test trial, the same for all runs."""
    return train_rng(split, _EVALUATION_SEED, trial)


def check_split(split: str) -> None:
    """Raise `UnknownName` unless `split` is "validation" or "test"."""
    if split not in EVALUATION_SPLITS:
        raise unknown_name("evaluation split", split, EVALUATION_SPLITS)


def check_batch_request(iteration: int, size: int, seed: int) -> None:
    """Raise `InvalidValue` unless iteration, seed >= 0 and size >= 1 are integers."""
    check_count("train_batch.iteration", iteration, least=0)
    check_count("train_batch.size", size)
    check_count("train_batch.seed", seed, least=0)


def check_count(where: str, value: Any, least: int = 1) -> None:
    """Raise `InvalidValue` unless `value` is an integer of at least `least`."""
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require(integer and value >= least, where, f"must be an integer >= {least}", value)


def check_number(
    where: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    unit: str = "",
) -> None:
    """Raise `InvalidValue` unless `value` is a finite number within its bounds.

    The bounds are above < value, least <= value, value <= most; `unit` is for the
    message.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    finite = number and math.isfinite(value)
    require(finite, where, "must be a finite number", repr(value))
    tail = f" {unit}" if unit else ""
    require(value > above, where, f"must be > {above:g}{tail}", value)
    require(value >= least, where, f"must be >= {least:g}{tail}", value)
    require(value <= most, where, f"must be <= {most:g}{tail}", value)


def check_flag(where: str, value: Any) -> None:
    """Raise `InvalidValue` unless `value` is true or false."""
    flag = isinstance(value, bool | np.bool_)
    require(flag, where, "must be true or false", repr(value))


def number_list(where: str, values: Any, rule: str) -> tuple[Any, ...]:
    """Return a non-empty list as a tuple, or raise `InvalidValue` with the rule."""
    listed = isinstance(values, Sequence) and not isinstance(values, str)
    require(listed and len(values) > 0, where, rule, values)
    return tuple(values)


def n_steps_of(where: str, duration: Any, dt: float, least: int = 1) -> int:
    """Return a duration (ms) as a number of time steps.

    Raises
    ------
    InvalidValue
        If it is not a number, is no multiple of dt, or has fewer than `least` steps.
    """
    check_number(where, duration, least=least * dt, unit="ms")
    steps = round(duration / dt)
    multiple = math.isclose(steps * dt, duration, rel_tol=1e-9)
    require(multiple, where, f"must be a multiple of dt = {dt:g} ms", duration)
    return steps


def adaptation_strength(scale: float, tau_a: float, tau_m: float, dt: float) -> float:
    """Return beta = scale (1 - exp(-dt/tau_a)) / (1 - exp(-dt/tau_m)).

    Parameters
    ----------
    scale
        Adaptation relative to the leak, without unit.
    tau_a, tau_m
        Adaptation and membrane time constants, ms.
    dt
        Time step, ms.
    """
    return scale * math.expm1(-dt / tau_a) / math.expm1(-dt / tau_m)
