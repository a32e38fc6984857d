"""What rules hand to the kernels of reverse sweeps, and what they get back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.adjoint import Accumulators, Carry, Signal
from spikelearn.kernels.paths import DIAGONAL, FULL, LOCAL, SMOOTHED, Paths
from spikelearn.kernels.threads import N_GROUPS, run_groups, sample_groups
from spikelearn.kernels.vector import BLOCK, LANES, aligned_zeros, padded
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import AnyRecord, RecurrentNetwork, buffers
from spikelearn.network.checking import kernel_array, transposed

__all__ = [
    "NO_HOP",
    "Work",
    "columns_of",
    "kernel_signal",
    "make_paths",
    "no_carry",
    "padded_rows",
    "sum_over_samples",
]

NO_HOP = np.zeros((0, 0))
SMALLEST_CUT = 1 << 19  # neuron-steps below which starting a thread costs more

Work = Callable[[int, int, Accumulators], None]
"""Accumulates what samples `start` to `stop` give."""


def make_paths(
    network: RecurrentNetwork,
    kind: int,
    hop: np.ndarray,
    *,
    through_reset: bool = False,
    mu: float = 0.0,
) -> Paths:
    """Return the paths of a rule in the dtype of the network; hop is (post, pre)."""
    if kind == LOCAL:
        return _local_paths(padded(network.n_rec), network.dtype)
    scalar = np.dtype(network.dtype).type
    if kind == DIAGONAL:
        hop = np.diagonal(hop)[None]
    return Paths(kind, padded_rows(network, hop), through_reset, scalar(mu))


@cache
def _local_paths(width: int, dtype: str) -> Paths:
    scalar = np.dtype(dtype).type
    return Paths(LOCAL, np.empty((0, width), dtype), False, scalar(0))


def padded_rows(network: RecurrentNetwork, rows: np.ndarray) -> np.ndarray:
    """Return a copy (..., n_pad) of rows of neurons, in the dtype of the network."""
    shape = (*rows.shape[:-1], padded(network.n_rec))
    copy = aligned_zeros(shape, network.dtype)
    copy[..., : rows.shape[-1]] = rows
    return copy


def no_carry(
    network: RecurrentNetwork, n_samples: int, kind: int
) -> tuple[Carry, np.ndarray]:
    """Return what a sweep carries before the last step of a trial, and its memory.

    The memory may be given back (`buffers.give_back`) after the sweep.
    """
    longest, width = network.kernel_constants.longest_delay, padded(network.n_rec)
    n_back = 0 if kind in (LOCAL, FULL, DIAGONAL) else longest
    n_hidden = 2 if kind == SMOOTHED else 0
    n_rows = 3 + longest + n_back + n_hidden
    rows = buffers.take((n_rows, n_samples, width), network.dtype)

    def several(first: int, n: int) -> np.ndarray:
        return rows[first : first + n].reshape(n_samples, n, width)

    room = n_samples * (width + LANES)
    carry = Carry(
        gv=rows[0],
        ga=rows[1],
        later=several(3, longest),
        back=several(3 + longest, n_back),
        cross=rows[2],
        hidden=several(3 + longest + n_back, n_hidden),
        active=np.empty(room if kind == FULL else 0, np.int32),
    )
    return carry, rows


def columns_of(
    network: RecurrentNetwork, record: AnyRecord, kind: int, threads: int
) -> list[int]:
    """Return the edges between which a sweep credits neurons on threads of their own.

    A batch has samples for the threads. A single long sample is cut by neurons, where
    those do not meet; the gradient is the same to the last bit.
    """
    width = padded(network.n_rec)
    separate = record.n_samples == 1 and kind in (LOCAL, DIAGONAL)
    worth_it = width * record.n_steps >= SMALLEST_CUT
    n_parts = threads if separate and worth_it else 1
    unit = BLOCK * LANES
    n_parts = max(min(n_parts, width // unit, N_GROUPS), 1)
    return [width * k // n_parts // unit * unit for k in range(n_parts)] + [width]


def sum_over_samples(
    network: RecurrentNetwork,
    n_samples: int,
    threads: int,
    works: Iterable[Work],
) -> Gradients:
    """Add up what each `work(start, stop, out)` accumulates, in groups of samples.

    The groups are added in order, whatever the number of threads, and connections that
    do not exist get 0.
    """
    params = network.params
    dtype = network.dtype
    groups = [
        Accumulators(
            w=new(params.rows.shape, dtype),
            bias=new(params.bias_row.shape, dtype),
            w_out=np.zeros(params.out_rows.shape, dtype),
            b_out=np.zeros(params.b_out.shape, dtype),
        )
        for new in _allocators(len(sample_groups(n_samples)))
    ]
    for work in works:
        job = partial(_in_group, work, groups)
        run_groups(job, n_samples, threads)
    summed = groups[0]
    for other in groups[1:]:
        for sum_, part in zip(summed, other, strict=True):
            sum_ += part
        buffers.give_back(other.w)
        buffers.give_back(other.bias)
    network.clear_absent(summed.w, summed.w_out)
    n_in, n_rec = network.n_in, network.n_rec
    return Gradients(
        w_in=summed.w[:n_in, :n_rec].T,
        w_rec=summed.w[n_in:, :n_rec].T,
        w_out=summed.w_out.T,
        b_out=summed.b_out,
        bias=summed.bias[:n_rec],
    )


def _allocators(n_groups: int) -> list[Callable[..., np.ndarray]]:
    """Return who makes zeros for each group: the first becomes the gradient."""
    return [buffers.zeros] + [buffers.take] * (n_groups - 1)


def _in_group(
    work: Work,
    groups: list[Accumulators],
    group: int,
    start: int,
    stop: int,
) -> None:
    work(start, stop, groups[group])


def kernel_signal(
    network: RecurrentNetwork, record: AnyRecord, signal: LearningSignal
) -> Signal:
    """Return a checked learning signal as kernels read it.

    Raises
    ------
    InvalidValue
        If an array has the wrong shape, or the record is that of another network.
    """
    n_steps, n_samples = record.n_steps, record.n_samples
    n_rec, n_out = network.n_rec, network.n_out
    mine = (network.n_in, n_rec, network.spiking, network.dtype)
    theirs = (record.n_in, record.n_rec, record.spiking, record.y.dtype.name)
    if mine != theirs:
        rule = f"must be that of this network (n_in, n_rec, spiking, dtype = {mine})"
        require(False, "record", rule, theirs)
    _check_shape("error", signal.error, (n_steps, n_samples, n_out))
    _check_shape("broadcast", signal.broadcast, (n_steps, n_samples, n_out))
    _check_shape("feedback", signal.feedback, (n_rec, n_out))
    _check_shape("neuron", signal.neuron, (n_samples, n_rec))
    _check_shape("direct", signal.direct, (n_steps, n_samples, n_rec))
    neuron, direct, broadcast = signal.neuron, signal.direct, signal.broadcast

    def by_sample(sequence: np.ndarray) -> np.ndarray:
        by_sample = np.asarray(sequence.transpose(1, 0, 2), network.dtype)
        return kernel_array(by_sample)

    error = spread = by_sample(signal.error)
    ebar = lbar = np.empty_like(error)
    if broadcast is not None and broadcast is not signal.error:
        spread, lbar = by_sample(broadcast), np.empty_like(error)
    none = np.empty((n_samples, 0, padded(n_rec)), network.dtype)
    return Signal(
        error=error,
        ebar=ebar,
        broadcast=spread,
        lbar=lbar,
        feedback=padded_rows(network, signal.feedback.T),
        neuron=none[0] if neuron is None else padded_rows(network, neuron),
        direct=none if direct is None else padded_rows(network, by_sample(direct)),
        first_step=0,
        one_signal=lbar is ebar,
    )


def _check_shape(name: str, array: np.ndarray | None, shape: tuple[int, ...]) -> None:
    if array is not None and array.shape != shape:
        where, rule = f"LearningSignal.{name}", f"must have shape {shape}"
        hint = transposed(array.shape, shape, name)
        require(False, where, rule, array.shape, hint)
