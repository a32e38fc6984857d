"""Learning from few trials, so that there is a gap to trials that were not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.tasks import Batch, Task

__all__ = ["FewTrials"]


@dataclass(frozen=True, eq=False)
class FewTrials:
    """A task of which only some trials are learned from, again and again.

    Every epoch shows each of them once, in an order drawn from the seed of training;
    what is left over after the last whole batch is not shown. Members that are not here
    are those of the task.
    """

    task: Task
    trials: Batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return the training batch of an iteration (from 0) of a run with `seed`."""
        all_of_them = self.trials
        epoch, place = divmod(iteration, max(all_of_them.size // size, 1))
        order = np.random.default_rng([seed, epoch]).permutation(all_of_them.size)
        chosen = order[place * size : (place + 1) * size]
        x = np.ascontiguousarray(all_of_them.x[:, chosen])
        return Batch(x, all_of_them.target[..., chosen], all_of_them.mask)
