"""Integers of a run on disk: the ones it was trained with, or those that round it."""

from __future__ import annotations

import numpy as np

from hardware.description import NetworkDescription
from hardware.quantization import quantise
from hardware.quantization_report import QuantizationReport
from hardware.rounding import Rounding, Scales
from hardware.training import IntegerBackend
from spikelearn.errors import require
from spikelearn.learning.evaluation import Evaluation, evaluate_network
from spikelearn.runs import Run
from spikelearn.runs.run import BEST_BACKEND

__all__ = [
    "BITS",
    "calibration_input",
    "evaluate_run",
    "quantise_run",
    "samples_within",
    "trained_backend",
]

CALIBRATION_SAMPLES = 64
MEMORY = 32 * 2**20  # bytes of recorded states
BITS = 8


def trained_backend(run: Run) -> IntegerBackend | None:
    """Return the backend that a run was trained with, with its scales; else None.

    Raises
    ------
    FileFormatError
        If the checkpoint of the run does not hold them.
    """
    section = run.config.hardware
    if section is None or section.weight_bits is None:
        return None
    scales = Scales((1.0,) * len(run.network.layers), 1.0)
    rounding = Rounding(section.weight_bits)
    backend = IntegerBackend(rounding, run.task.input_bits or 0, scales)
    names = {name: f"{BEST_BACKEND}/{name}" for name in backend.state()}
    like = {names[name]: array for name, array in backend.state().items()}
    stored = run.folder.read_checkpoint(like)
    backend.load_state({name: stored[key] for name, key in names.items()})
    return backend


def evaluate_run(
    run: Run, split: str, *, size: int | None = None, threads: int = 1
) -> Evaluation:
    """Score the best weights of a run by what it was trained as: floats or integers."""
    given = (run.network, run.task, run.loss, split)
    backend = trained_backend(run)
    if backend is None:
        return evaluate_network(*given, size=size, threads=threads)
    return backend.evaluate(*given, size=size, threads=threads)


def samples_within(bytes_per_sample: int) -> int:
    """Return how many samples of a run may be recorded at a time, at least 1."""
    return max(MEMORY // bytes_per_sample, 1)


def calibration_input(run: Run) -> np.ndarray:
    """Return training data on which the scales of a run are searched."""
    task = run.task
    fitting = samples_within(task.n_steps * run.network.n_rec * 16)
    size = min(CALIBRATION_SAMPLES, fitting)
    x: np.ndarray = task.train_batch(0, size, run.config.training.seed).x
    return x


def quantise_run(
    run: Run,
    *,
    bits: int | None = None,
    rounding: str = "nearest",
    strict: bool = True,
    metadata: dict[str, str | int | float | bool] | None = None,
    threads: int = 1,
) -> tuple[NetworkDescription, QuantizationReport]:
    """Turn the best weights of a run into integers.

    A run that was trained as integers keeps their scales, unless other bits are wanted.

    Parameters
    ----------
    run
        The run; scales are searched on its training data.
    bits
        Bits of a weight with its sign; default: those it was trained with, or 8.
    rounding, strict, metadata, threads
        As in `hardware.quantization.quantise`.

    Raises
    ------
    HardwareError
        As `hardware.quantization.quantise`.
    InvalidValue
        If another rounding is wanted for a run that was trained as integers.
    """
    backend, scales = trained_backend(run), None
    if backend is not None and bits in (None, backend.rounding.bits):
        bits, scales = backend.rounding.bits, backend.scales
        rule = f"must be 'nearest' for a run that was trained with {bits} bits"
        hint = "Its weights are whole already."
        require(rounding == "nearest", "rounding", rule, repr(rounding), hint)
    return quantise(
        run.network,
        calibration_input(run),
        input_bits=run.task.input_bits,
        bits=bits or BITS,
        rounding=rounding,
        seed=run.config.training.seed,
        scales=scales,
        strict=strict,
        metadata=metadata,
        threads=threads,
    )
