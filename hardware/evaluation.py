"""Scores of a network description on a task, by the emulator."""

from __future__ import annotations

from hardware import emulator
from hardware.description import NetworkDescription
from hardware.quantization import integer_input
from spikelearn.learning.losses import Loss
from spikelearn.learning.trainer import Evaluation
from spikelearn.tasks import Task

__all__ = ["evaluate_description"]


def evaluate_description(
    description: NetworkDescription,
    task: Task,
    loss: Loss,
    split: str,
    *,
    size: int | None = None,
    batch_size: int = 100,
    threads: int = 1,
) -> Evaluation:
    """Run a split through the integer emulator and score its readout.

    The readout is divided by `metadata["output_scale"]`, so that the loss is that of
    the float network's units.
    """
    scale = float(description.metadata["output_scale"])
    total_loss = spikes = 0.0
    correct = samples = 0
    for batch in task.evaluation(split, size, batch_size):
        x = integer_input(batch.x, description.input_bits)
        record = emulator.run(description, x, record=(), threads=threads)
        result = loss(record.y / scale, batch.target, batch.mask)
        total_loss += result.value * batch.size
        correct += result.n_correct
        samples += batch.size
        spikes += record.n_spikes
    neuron_seconds = samples * description.n_rec * task.n_steps * task.dt / 1000.0
    accuracy = correct / samples if task.kind == "classification" else None
    rate_hz = spikes / neuron_seconds
    return Evaluation(split, samples, total_loss / samples, accuracy, rate_hz)
