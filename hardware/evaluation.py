"""Scores of a network description on a task, by the emulator."""

from __future__ import annotations

import numpy as np

from hardware import emulator
from hardware.description import NetworkDescription
from hardware.quantization import integer_input, output_scale
from spikelearn.learning.evaluation import Evaluation, evaluate_split
from spikelearn.learning.losses import Loss
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
    scale = output_scale(description)

    def run_batch(x: np.ndarray) -> tuple[np.ndarray, float]:
        integers = integer_input(x, description.input_bits)
        record = emulator.run(description, integers, record=(), threads=threads)
        steps, samples, _ = record.y.shape
        neuron_ms = steps * samples * description.n_rec * description.dt
        return record.y / scale, 1000.0 * record.n_spikes / neuron_ms

    return evaluate_split(
        run_batch, task, loss, split, size=size, batch_size=batch_size
    )
