"""The training of a unit, whose numbers may run away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from spikelearn.errors import InvalidValue
from spikelearn.learning.trainer import Trainer

__all__ = ["losses_of"]


def losses_of(
    trainer: Trainer, after: Callable[[int], None] | None = None
) -> np.ndarray:
    """Train to the end; return the losses, infinite from where numbers run away.

    `after` is called with the number of iterations done, after each.
    """
    losses = np.full(trainer.iterations, np.inf)
    with contextlib.suppress(InvalidValue):  # of a loss or a gradient
        for iteration in range(trainer.iterations):
            losses[iteration] = trainer.step().loss
            if after is not None:
                after(iteration + 1)
    return losses
