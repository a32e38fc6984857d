"""Losses: the value, and its derivative with respect to the readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spikelearn.errors import require

__all__ = ["Classification", "Loss", "LossResult", "Regression"]


@dataclass(frozen=True)
class LossResult:
    """Loss of a batch.

    `error` is dE/dy, (T, B, n_out). `n_correct` counts right answers (0 for
    regression), `prediction` holds one class per sample (empty for regression).
    """

    value: float
    error: np.ndarray
    n_correct: int
    prediction: np.ndarray


class Loss(Protocol):
    """What the trainer needs of a loss."""

    def __call__(
        self, y: np.ndarray, target: np.ndarray, mask: np.ndarray
    ) -> LossResult:
        """Return value and derivative for y (T, B, n_out), mask (T,) or (T, B)."""


def _check(y: np.ndarray, target: np.ndarray, mask: np.ndarray, rule: tuple) -> None:
    shape = tuple(target.shape)
    require(shape == rule, "loss target", f"must have shape {rule}", shape)
    steps, samples = y.shape[:2]
    limit = f"must have shape ({steps},) or ({steps}, {samples})"
    fits = mask.shape in ((steps,), (steps, samples))
    require(fits, "loss mask", limit, mask.shape)
    kept = bool(mask.any(axis=0).all())
    require(kept, "loss mask", "must keep at least one step of every sample", "none")


def _step_weights(mask: np.ndarray, n_samples: int, mean: bool) -> np.ndarray:
    """Return weights (T, B) of a sum, or a mean over steps, averaged over samples."""
    columns = (mask if mask.ndim == 2 else mask[:, None]).astype(np.float64)
    weight = np.repeat(columns, n_samples // columns.shape[1], axis=1) / n_samples
    return weight / columns.sum(axis=0) if mean else weight


@dataclass(frozen=True)
class Regression:
    """Squared error, E = 1/2 sum_t m[t] sum_k (y_k - y*_k)^2, averaged over samples.

    Parameters
    ----------
    reduction
        "sum" over time (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y), or
        "mean" over the steps kept by the mask.

    Raises
    ------
    InvalidValue
        For another reduction, arrays of the wrong shape, or a target with NaN or
        infinity (at masked steps too).
    """

    reduction: str = "sum"

    def __post_init__(self) -> None:
        known = ("sum", "mean")
        where = "Regression.reduction"
        require(self.reduction in known, where, f"must be in {known}", self.reduction)

    def __call__(
        self, y: np.ndarray, target: np.ndarray, mask: np.ndarray
    ) -> LossResult:
        """Return value and derivative; target is (T, B, n_out)."""
        _check(y, target, mask, y.shape)
        finite = bool(np.isfinite(target).all())
        require(finite, "loss target", "must be finite", "NaN or infinity")
        weight = _step_weights(mask, y.shape[1], self.reduction == "mean")
        difference = y.astype(np.float64) - target
        error = weight[:, :, None] * difference
        value = 0.5 * float(np.sum(error * difference))
        return LossResult(value, error.astype(y.dtype), 0, np.empty(0, np.int64))


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of softmax(y) at every kept step, averaged over steps and samples.

        E = -1/B sum_b (sum_t m[t, b] log pi[t, b, c_b]) / (sum_t m[t, b])

    The predicted class is the largest sum of y over the kept steps.

    Raises
    ------
    InvalidValue
        If the target is not one class (an integer) per sample.
    """

    def __call__(
        self, y: np.ndarray, target: np.ndarray, mask: np.ndarray
    ) -> LossResult:
        """Return value and derivative; target is (B,) integers."""
        _, n_samples, n_out = y.shape
        _check(y, target, mask, (n_samples,))
        whole = target.dtype.kind in "iu"
        require(whole, "loss target", "must be integers", f"dtype {target.dtype}")
        low, high = int(target.min()), int(target.max())
        rule = f"must be classes 0 to {n_out - 1}"
        require(low >= 0 and high < n_out, "loss target", rule, f"{low} to {high}")
        weight = _step_weights(mask, n_samples, mean=True)
        kept = np.flatnonzero(weight.any(axis=1))
        logits = y[kept].astype(np.float64)
        shifted = logits - logits.max(axis=2, keepdims=True)
        exponential = np.exp(shifted)
        total = exponential.sum(axis=2, keepdims=True)
        samples = np.arange(n_samples)
        weight = weight[kept]
        log_likelihood = shifted[:, samples, target] - np.log(total[:, :, 0])
        value = -float(np.sum(weight * log_likelihood))
        probability = exponential / total
        probability[:, samples, target] -= 1.0
        error = np.zeros(y.shape, y.dtype)
        error[kept] = weight[:, :, None] * probability
        judged = np.where(weight[:, :, None] > 0, logits, 0.0)
        prediction = judged.sum(axis=0).argmax(axis=1)
        n_correct = int(np.sum(prediction == target))
        return LossResult(value, error, n_correct, prediction)
