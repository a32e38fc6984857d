"""How much worse a network does on what it did not learn from.

    gap = L_test - L_train,   accuracy gap = A_train - A_test

over training trials and held-out ones, and over held-out ones that are shifted: x :=
clip(x + N(0, sigma^2)), to the range of the input, for graded input (Liu et al. 2022,
arXiv:2206.00823, sigma = 0.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch, Task

__all__ = ["Generalisation", "Scores", "generalisation", "held_out_batch", "shifted"]


@dataclass(frozen=True)
class Scores:
    """Means over the trials of one set; the accuracy is None without classes."""

    samples: int
    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Generalisation:
    """Scores on training trials, held-out ones and shifted ones.

    Attributes
    ----------
    split
        What was held out: "validation" or "test".
    train, held_out
        Scores.
    shifted
        Scores of held-out trials with noise; None for spikes, which have no such noise.
    sigma
        Standard deviation of the noise.
    """

    split: str
    train: Scores
    held_out: Scores
    shifted: Scores | None
    sigma: float

    @property
    def gap(self) -> float:
        """Loss on held-out trials minus that on training trials."""
        return self.held_out.loss - self.train.loss

    @property
    def accuracy_gap(self) -> float | None:
        """Accuracy on training trials minus that on held-out ones."""
        return _difference(self.train.accuracy, self.held_out.accuracy)

    @property
    def shifted_gap(self) -> float | None:
        """Loss on shifted trials minus that on training trials."""
        return None if self.shifted is None else self.shifted.loss - self.train.loss

    @property
    def shifted_accuracy_gap(self) -> float | None:
        """Accuracy on training trials minus that on shifted ones."""
        found = None if self.shifted is None else self.shifted.accuracy
        return _difference(self.train.accuracy, found)


def generalisation(
    network: RecurrentNetwork,
    task: Task,
    loss: Loss,
    *,
    seed: int,
    split: str = "test",
    samples: int = 256,
    sigma: float = 0.2,
    rng: int | np.random.Generator = 0,
    batch_size: int = 256,
    iterations: int | None = None,
    threads: int = 1,
) -> Generalisation:
    """Score a network on training trials, held-out ones, and shifted ones.

    Parameters
    ----------
    task
        Its training trials are those of the first iterations of the run, whole batches
        until there are `samples` of them.
    seed
        Seed of the training run.
    split
        "validation" or "test", which no task trains on.
    samples
        Trials of each set; fewer held-out ones if a data set has no more, and fewer
        training ones if the run learned from fewer.
    sigma
        Standard deviation of the shift, in units of the input.
    rng
        Source of the shift.
    batch_size
        Trials of an iteration of the run; that many are run together.
    iterations
        Iterations that the weights have learned from, at least 1; what comes later in
        the run was never shown to them. None: enough for `samples`.
    threads
        Threads over samples.

    Raises
    ------
    InvalidValue
        If a number is out of range, or the task has rewards or no such trials.
    UnknownName
        If the split is neither "validation" nor "test".
    """
    rule = "must have targets"
    require(task.kind != "reward", "generalisation.task", rule, "a reward task")
    require(samples >= 1, "samples", "must be >= 1", samples)
    require(batch_size >= 1, "batch_size", "must be >= 1", batch_size)
    batches = -(-samples // batch_size)
    learned = batches if iterations is None else iterations
    require(learned >= 1, "iterations", "must be >= 1", learned)
    require(0 <= sigma < np.inf, "sigma", "must be >= 0 and finite", sigma)
    rng = np.random.default_rng(rng)
    classes = task.kind == "classification"

    def score(batches: Iterable[Batch]) -> Scores:
        return _score(network, batches, loss, classes, threads)

    held_out = list(task.evaluation(split, samples, batch_size))
    shown = range(min(batches, learned))
    train = [task.train_batch(k, batch_size, seed) for k in shown]
    graded = all(batch.x.dtype != np.uint8 for batch in held_out)
    return Generalisation(
        split=split,
        train=score(train),
        held_out=score(held_out),
        shifted=score(shifted(held_out, sigma, rng)) if graded else None,
        sigma=sigma,
    )


def shifted(
    batches: list[Batch], sigma: float, rng: np.random.Generator
) -> Iterable[Batch]:
    """Yield graded batches with N(0, sigma^2) added, within the range of all of them.

    Raises
    ------
    InvalidValue
        If the input is spikes.
    """
    spikes = any(batch.x.dtype == np.uint8 for batch in batches)
    require(not spikes, "shifted input", "must be graded", "spikes")
    low = min(float(batch.x.min()) for batch in batches)
    high = max(float(batch.x.max()) for batch in batches)
    for batch in batches:
        x = batch.x + sigma * rng.standard_normal(batch.x.shape)
        moved = np.clip(x, low, high).astype(np.float32)
        yield Batch(moved, batch.target, batch.mask)


def held_out_batch(task: Task, split: str, samples: int, seed: int) -> Batch:
    """Return one batch of training trials ("train") or of held-out ones.

    Those of training are the first of the stream of a seed, as one batch; a run that
    was shorter than that has not learned from all of them.

    Raises
    ------
    InvalidValue
        If there are fewer trials than `samples`.
    UnknownName
        If there is no such split.
    """
    if split == "train":
        return task.train_batch(0, samples, seed)
    batch = next(iter(task.evaluation(split, samples, samples)))
    where, rule = f"{split} trials of {task.name}", f"must be {samples}, as asked for"
    require(batch.size == samples, where, rule, batch.size, "Ask for fewer samples.")
    return batch


def _score(
    network: RecurrentNetwork,
    batches: Iterable[Batch],
    loss: Loss,
    classes: bool,
    threads: int,
) -> Scores:
    total, correct, n = 0.0, 0.0, 0
    for batch in batches:
        record = network.run(batch.x, keep_distance=False, threads=threads)
        result = loss(record.y, batch.target, batch.mask)
        total += result.value * batch.size
        correct += result.n_correct
        n += batch.size
    return Scores(n, total / n, correct / n if classes else None)


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
