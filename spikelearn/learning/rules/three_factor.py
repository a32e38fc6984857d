"""What the rules of spike timing share: they differ in signal and coefficients."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.adjoint import Accumulators
from spikelearn.kernels.threads import run_groups, sample_groups
from spikelearn.kernels.three_factor import Drive, Pairing, three_factor
from spikelearn.learning.gradients import Gradients
from spikelearn.network import LIF, Record, RecurrentNetwork

__all__ = ["check_shapes", "check_spiking", "pairing", "spike_timing_gradients"]

DELAY = 1  # steps of the recurrent synapses


def check_spiking(rule: str, network: RecurrentNetwork) -> None:
    """Raise `InvalidValue` unless the cells of a network spike."""
    kind = type(network.cell).__name__
    where, need = f"rule {rule!r}", "must be used with cells LIF or ALIF"
    require(isinstance(network.cell, LIF), where, need, kind)


def check_shapes(**expected: tuple[np.ndarray, tuple[int, ...]]) -> None:
    """Raise `InvalidValue` unless parts of a learning signal have their shapes."""
    for name, (array, shape) in expected.items():
        where = f"LearningSignal.{name}"
        require(array.shape == shape, where, f"must have shape {shape}", array.shape)


def pairing(dtype: str, *, spikes: bool, **coefficients: Any) -> Pairing:
    """Return the coefficients of a rule as the kernels read them."""
    scalar = np.dtype(dtype).type
    numbers = {name: scalar(value) for name, value in coefficients.items()}
    return Pairing(spikes=spikes, **numbers)


def spike_timing_gradients(
    network: RecurrentNetwork,
    record: Record,
    signal: np.ndarray,
    error: np.ndarray,
    pairing: Pairing,
    threads: int,
) -> Gradients:
    """Return the gradients of `kernels.three_factor` for a recorded batch.

    Parameters
    ----------
    signal : (T, B, n_rec) array
        What multiplies the eligibility.
    error : (T, B, n_out) array
        dE/dy, of which the readout learns.
    """
    n_steps, n_samples = record.n_steps, record.n_samples
    check_shapes(error=(error, (n_steps, n_samples, network.n_out)))
    dtype, weights = network.dtype, network.kernel_weights()
    drive = Drive(
        signal=np.ascontiguousarray(signal.transpose(1, 0, 2), dtype),
        error=np.ascontiguousarray(error.transpose(1, 0, 2), dtype),
    )
    groups = [
        Accumulators(
            w=np.zeros_like(weights.w),
            bias=np.zeros_like(weights.bias),
            w_out=np.zeros_like(weights.w_out),
            b_out=np.zeros_like(weights.b_out),
        )
        for _ in sample_groups(n_samples)
    ]

    def work(group: int, start: int, stop: int) -> None:
        three_factor(
            network.cell_constants,
            weights,
            record.events,
            record.trajectory,
            drive,
            pairing,
            DELAY,
            start,
            stop,
            groups[group],
        )

    run_groups(work, n_samples, threads)
    total = groups[0]
    for other in groups[1:]:
        for sum_, part in zip(total, other, strict=True):
            sum_ += part
    n_in, n_rec = network.n_in, network.n_rec
    w_rec = total.w[n_in:, :n_rec].T
    w_rec *= cast(np.ndarray, network.mask).astype(dtype)
    return Gradients(
        w_in=total.w[:n_in, :n_rec].T,
        w_rec=w_rec,
        w_out=total.w_out.T,
        b_out=total.b_out,
        bias=total.bias,
    )
