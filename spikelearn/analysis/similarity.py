"""Similarities of weights, activity and targets, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelearn.errors import require
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "centred_cka",
    "centred_targets",
    "hidden_states",
    "learning_steps",
    "ratio_of",
    "representation_alignment",
    "sign_similarity",
    "weight_change",
]


def weight_change(before: np.ndarray, after: np.ndarray) -> tuple[float, float | None]:
    """Return |W - W_0|_F, and divided by |W_0|_F (None where that is 0)."""
    start = np.asarray(before, np.float64)
    moved = float(np.linalg.norm(after - start))
    return moved, ratio_of(moved, np.linalg.norm(start))


def sign_similarity(before: np.ndarray, after: np.ndarray) -> float:
    """Return the share of entries of two arrays that have the same sign."""
    return float(np.mean(np.sign(before) == np.sign(after)))


def representation_alignment(before: np.ndarray, after: np.ndarray) -> float | None:
    """Return <K, K_0> / (|K| |K_0|) with K = H H^T of hidden states (trials, n)."""
    a, b = (np.asarray(h, np.float64) for h in (before, after))
    across, own_a, own_b = (np.sum((p.T @ q) ** 2) for p, q in ((a, b), (a, a), (b, b)))
    return ratio_of(across, np.sqrt(own_a), np.sqrt(own_b))


def centred_cka(before: np.ndarray, after: np.ndarray) -> float | None:
    """Return the representation alignment of states less their mean over trials.

    This is linear CKA (Kornblith et al. 2019, arXiv:1905.00414, eq. 3).
    """
    centred = (np.asarray(h, np.float64) for h in (before, after))
    return representation_alignment(*(h - h.mean(axis=0) for h in centred))


def hidden_states(network: RecurrentNetwork, record: Record, step: int) -> np.ndarray:
    """Return the hidden states at a step, (trials, n_rec) float64.

    Of rate units their outputs; of spiking neurons their spikes through the filter of
    the readout, which is what the readout weights see:

        h[t] = kappa h[t-1] + c z[t]
    """
    output = record.output[: step + 1]
    if not network.spiking:
        return output[step].astype(np.float64)
    kappa, gain = network.readout.factors(network.dt)
    weights = gain * kappa ** np.arange(step, -1.0, -1.0)
    return np.einsum("t,tbn->bn", weights, output)


def learning_steps(batch: Batch) -> tuple[int, ...]:
    """Return the steps at which the loss counts in some trial."""
    counted = batch.mask if batch.mask.ndim == 1 else batch.mask.any(axis=1)
    return tuple(np.flatnonzero(counted).tolist())


def centred_targets(batch: Batch, n_out: int, steps: Sequence[int]) -> np.ndarray:
    """Return targets as values of the outputs at steps, less the mean of each output.

    Classes are one-hot. The mean is over trials and steps.

    Returns
    -------
    (len(steps), B, n_out) float64 array

    Raises
    ------
    InvalidValue
        If the batch has rewards in place of targets, or another number of outputs.
    """
    target, n_steps = batch.target, len(batch.x)
    where, values = "target of a kernel", np.zeros((0, 0, 0))
    if target.dtype == np.int64:
        top = int(target.max())
        require(top < n_out, where, f"must be classes below {n_out}", top)
        classes = np.broadcast_to(target, (n_steps, batch.size))[list(steps)]
        values = np.eye(n_out)[classes]
    else:
        hint = "A reward task has no target that a kernel could be compared with."
        rule, shape = "must be classes or values per step", (n_steps, batch.size, n_out)
        require(target.shape == shape, where, rule, f"shape {target.shape}", hint)
        values = target[list(steps)].astype(np.float64)
    return values - values.mean(axis=(0, 1))


def ratio_of(value: Any, *by: Any) -> float | None:
    """Return value divided by numbers; None where that has no finite value."""
    with np.errstate(all="ignore"):
        ratio = np.float64(value)
        for number in by:
            ratio = ratio / np.float64(number)
    return float(ratio) if np.isfinite(ratio) else None
