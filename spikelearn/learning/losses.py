"""Losses: the value, and its derivative with respect to the readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spikelearn.errors import require

__all__ = ["LOSSES", "Classification", "Loss", "LossResult", "Regression"]


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
        """Return value and derivative for y (T, B, n_out), mask (T,)."""


def _check(y: np.ndarray, target: np.ndarray, mask: np.ndarray, rule: tuple) -> None:
    shape = tuple(target.shape)
    require(shape == rule, "loss target", f"must have shape {rule}", shape)
    steps = (y.shape[0],)
    require(mask.shape == steps, "loss mask", f"must have shape {steps}", mask.shape)
    require(bool(mask.any()), "loss mask", "must keep at least one step", "none")


@dataclass(frozen=True)
class Regression:
    """Squared error, E = 1/2 sum_t m[t] sum_k (y_k - y*_k)^2, averaged over samples.

    Parameters
    ----------
    reduction
        "sum" over time (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, eq. 5), or
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
        weight = mask.astype(np.float64) / y.shape[1]
        if self.reduction == "mean":
            weight /= mask.sum()
        difference = y.astype(np.float64) - target
        error = weight[:, None, None] * difference
        value = 0.5 * float(np.sum(error * difference))
        return LossResult(value, error.astype(y.dtype), 0, np.empty(0, np.int64))


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of softmax(y) at every kept step, averaged over steps and samples.

        E = -1/(B sum m) sum_t,b m[t] log pi[t, b, c_b]

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
        kept = np.flatnonzero(mask)
        logits = y[kept].astype(np.float64)
        shifted = logits - logits.max(axis=2, keepdims=True)
        exponential = np.exp(shifted)
        total = exponential.sum(axis=2, keepdims=True)
        samples = np.arange(n_samples)
        weight = mask[kept].astype(np.float64) / (mask.sum() * n_samples)
        log_likelihood = shifted[:, samples, target] - np.log(total[:, :, 0])
        value = -float(np.sum(weight[:, None] * log_likelihood))
        probability = exponential / total
        probability[:, samples, target] -= 1.0
        error = np.zeros(y.shape, y.dtype)
        error[kept] = weight[:, None, None] * probability
        prediction = logits.sum(axis=0).argmax(axis=1)
        n_correct = int(np.sum(prediction == target))
        return LossResult(value, error, n_correct, prediction)


LOSSES = {"regression": Regression, "classification": Classification}
