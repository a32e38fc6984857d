"""Generated trials: what the tasks that need no data set share."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from spikelearn.tasks.base import (
    Batch,
    check_batch_request,
    check_count,
    check_split,
    evaluation_rng,
    train_rng,
)

__all__ = ["GeneratedTask"]


class GeneratedTask(abc.ABC):
    """Trials that are generated one by one, each from a random stream of its own.

    A trial therefore does not depend on the batch it is in. A task adds the members of
    `spikelearn.tasks.Task` that are missing here, and `_batch`.
    """

    evaluation_sizes: ClassVar[dict[str, int]] = {"validation": 256, "test": 512}

    @abc.abstractmethod
    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        """Return one trial per generator."""

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        fixed = "{} fixed generated trials, the same for every run"
        return {
            "train": "new trials in every iteration, generated from the run's seed",
            **{k: fixed.format(n) for k, n in self.evaluation_sizes.items()},
        }

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return trials iteration * size, ... of the stream of `seed`."""
        check_batch_request(iteration, size, seed)
        first = iteration * size
        trials = range(first, first + size)
        return self._batch([train_rng("train", seed, trial) for trial in trials])

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Iterate over the first `size` trials (None: the usual number) of a split.

        Raises
        ------
        UnknownName, InvalidValue
            If the split is unknown or a size is not a positive integer.
        """
        check_split(split)
        n = self.evaluation_sizes[split] if size is None else size
        check_count("evaluation.size", n)
        check_count("evaluation.batch_size", batch_size)
        trials = range(n)
        return (
            self._batch([evaluation_rng(split, k) for k in trials[i : i + batch_size]])
            for i in range(0, n, batch_size)
        )
