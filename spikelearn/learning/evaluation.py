"""Scores on data that nothing is learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis import firing_rates
from spikelearn.learning.losses import Loss
from spikelearn.network import AnyRecord, RecurrentNetwork
from spikelearn.tasks import Task

__all__ = ["Evaluation", "evaluate_network", "evaluate_split", "mean_rate"]


@dataclass(frozen=True)
class Evaluation:
    """Scores on a split; nothing is learned from it."""

    split: str
    samples: int
    loss: float
    accuracy: float | None
    rate_hz: float | None


def evaluate_network(
    network: RecurrentNetwork,
    task: Task,
    loss: Loss,
    split: str,
    *,
    size: int | None = None,
    batch_size: int = 100,
    threads: int = 1,
) -> Evaluation:
    """Run a split through a network and average its scores over samples."""

    def run_batch(x: np.ndarray) -> tuple[np.ndarray, float | None]:
        record = network.run(x, keep_distance=False, threads=threads)
        return record.y, mean_rate(record, network.dt)

    return evaluate_split(
        run_batch, task, loss, split, size=size, batch_size=batch_size
    )


def evaluate_split(
    run_batch: Callable[[np.ndarray], tuple[np.ndarray, float | None]],
    task: Task,
    loss: Loss,
    split: str,
    *,
    size: int | None = None,
    batch_size: int = 100,
) -> Evaluation:
    """Score any machine that turns input (T, B, n_in) into a readout.

    `run_batch` returns the readout (T, B, n_out) and the mean firing rate (Hz), or None
    without spikes.
    """
    total_loss = 0.0
    total_rate: float | None = 0.0
    correct = 0.0
    samples = 0
    for batch in task.evaluation(split, size, batch_size):
        y, rate_hz = run_batch(batch.x)
        result = loss(y, batch.target, batch.mask)
        total_loss += result.value * batch.size
        if total_rate is not None and rate_hz is not None:
            total_rate += rate_hz * batch.size
        else:
            total_rate = None
        correct += result.n_correct
        samples += batch.size
    accuracy = correct / samples if task.kind == "classification" else None
    rate = None if total_rate is None else total_rate / samples
    return Evaluation(split, samples, total_loss / samples, accuracy, rate)


def mean_rate(record: AnyRecord, dt: float) -> float | None:
    """Return the mean firing rate over neurons and samples, Hz; None without spikes."""
    return float(firing_rates(record, dt).mean()) if record.spiking else None
