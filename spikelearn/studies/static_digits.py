"""The UCI digits of scikit-learn, shown whole: a task for stacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.tasks import Batch, DigitsRows

__all__ = ["StaticDigits"]


@dataclass(frozen=True)
class StaticDigits:
    """Classify an image of 8 x 8 pixels, all of it shown in every step.

    The images, their grey values and the split are those of `DigitsRows`: 1197 train,
    300 validation, 300 test. The loss counts in the last steps.

    Parameters
    ----------
    n_steps
        Time steps for which an image is shown.
    judged
        How many of them, at the end, the loss counts in.

    Raises
    ------
    InvalidValue
        If more steps are judged than there are, or none.
    """

    n_steps: int = 10
    judged: int = 3
    rows: DigitsRows = field(default_factory=DigitsRows)

    name: ClassVar[str] = "static-digits"
    kind: ClassVar[str] = "classification"
    n_in: ClassVar[int] = 64
    n_out: ClassVar[int] = 10
    dt: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        where, rule = "StaticDigits.judged", f"must be in 1 to {self.n_steps}"
        require(1 <= self.judged <= self.n_steps, where, rule, self.judged)

    @property
    def input_bits(self) -> int | None:
        """As the rows: k = 4 bits for graded input."""
        return self.rows.input_bits

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        return self.rows.splits

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Nothing: the study that uses the task has its own settings."""
        return {}

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return images as `DigitsRows.train_batch` does, whole."""
        return self._whole(self.rows.train_batch(iteration, size, seed))

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Iterate over images as `DigitsRows.evaluation` does, whole."""
        return map(self._whole, self.rows.evaluation(split, size, batch_size))

    def _whole(self, batch: Batch) -> Batch:
        image = batch.x.transpose(1, 0, 2).reshape(1, batch.size, self.n_in)
        mask = np.zeros(self.n_steps, np.float32)
        mask[-self.judged :] = 1.0
        return Batch(np.repeat(image, self.n_steps, axis=0), batch.target, mask)
