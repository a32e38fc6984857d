"""What a trainer lets other machines do: run the network, and limit its weights."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np

from spikelearn.learning.evaluation import Evaluation
from spikelearn.learning.losses import Loss
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.tasks import Task

__all__ = ["Backend", "Constraint"]

Constraint = Callable[[RecurrentNetwork], None]
"""Projects the weights of a network, in place, after every update."""


class Backend(Protocol):
    """Runs a network with other weights than those that learn.

    The gradient is that at the weights that ran; the trainer applies it to those that
    learn (a straight-through estimator: Bengio et al. 2013, arXiv:1308.3432).
    `hardware.training.IntegerBackend` is one.
    """

    def running(self, network: RecurrentNetwork) -> RecurrentNetwork:
        """Return a network with the weights that run in place of those that learn."""
        ...

    def run(
        self,
        network: RecurrentNetwork,
        x: np.ndarray,
        record: Collection[str],
        *,
        threads: int,
    ) -> tuple[RecurrentNetwork, Record]:
        """Run a batch; return what `running` returns, and the record of the run."""
        ...

    def evaluate(
        self,
        network: RecurrentNetwork,
        task: Task,
        loss: Loss,
        split: str,
        *,
        size: int | None,
        threads: int,
    ) -> Evaluation:
        """Score the weights that run on a split of a task."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Return what a resumed run needs, as names and arrays."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` returned."""
        ...
