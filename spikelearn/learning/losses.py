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

    Attributes
    ----------
    value
        Energy E, averaged over samples.
    error
        dE/dy, (T, B, n_out).
    n_correct
        Right answers of the batch, to be divided by B: whole samples for a class per
        trial, fractions of steps for a class per step, 0 for regression.
    prediction
        Class per sample (B,), or per step (T, B) with -1 at steps that are not kept;
        empty for regression.
    projection
        Part of the error that the target alone decides, (T, B, n_out): what the error
        would be if the network answered 0 (regression) or nothing (classification).
    reward
        Scalar neuromodulator of every step, (T, B), from losses that have one.
    """

    value: float
    error: np.ndarray
    n_correct: float
    prediction: np.ndarray
    projection: np.ndarray
    reward: np.ndarray | None = None


class Loss(Protocol):
    """What the trainer needs of a loss."""

    def __call__(
        self,
        y: np.ndarray,
        target: np.ndarray,
        mask: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> LossResult:
        """Return value and derivative for y (T, B, n_out), mask (T,) or (T, B).

        A loss that draws takes its numbers from `rng`; None stands for the answer that
        is most likely, for evaluation.
        """


def check_target(target: np.ndarray, *shapes: tuple[int, ...]) -> None:
    """Raise `InvalidValue` unless the target has one of the shapes."""
    got = tuple(target.shape)
    rule = f"must have shape {' or '.join(map(str, shapes))}"
    require(got in shapes, "loss target", rule, got)


def check_mask(mask: np.ndarray, steps: int, samples: int) -> None:
    """Raise `InvalidValue` unless the mask fits and keeps a step of every sample."""
    limit = f"must have shape ({steps},) or ({steps}, {samples})"
    fits = mask.shape in ((steps,), (steps, samples))
    require(fits, "loss mask", limit, mask.shape)
    kept = bool(mask.any(axis=0).all())
    require(kept, "loss mask", "must keep at least one step of every sample", "none")


def step_weights(mask: np.ndarray, n_samples: int, mean: bool) -> np.ndarray:
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
        self,
        y: np.ndarray,
        target: np.ndarray,
        mask: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> LossResult:
        """Return value and derivative; target is (T, B, n_out), `rng` is not used."""
        check_target(target, y.shape)
        check_mask(mask, *y.shape[:2])
        finite = bool(np.isfinite(target).all())
        require(finite, "loss target", "must be finite", "NaN or infinity")
        weight = step_weights(mask, y.shape[1], self.reduction == "mean")[:, :, None]
        difference = y.astype(np.float64) - target
        error = weight * difference
        return LossResult(
            value=0.5 * float(np.sum(error * difference)),
            error=error.astype(y.dtype),
            n_correct=0,
            prediction=np.empty(0, np.int64),
            projection=(-weight * target).astype(y.dtype),
        )


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of softmax(y) at every kept step, averaged over steps and samples.

        E = -1/B sum_b (sum_t m[t, b] log pi[t, b, c_b]) / (sum_t m[t, b])

    The target is one class per trial, c_b, or one per step, c_b[t]. A trial is judged
    by its largest sum of y over the kept steps, and counts as right or wrong; with a
    class per step every kept step is judged alone, and a trial counts as the fraction
    of its steps that are right.

    Raises
    ------
    InvalidValue
        If the target is not one class (an integer) per sample, or per step and sample
        (at masked steps too).
    """

    def __call__(
        self,
        y: np.ndarray,
        target: np.ndarray,
        mask: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> LossResult:
        """Return value and derivative; target is (B,) or (T, B) integers.

        `rng` is not used.
        """
        n_steps, n_samples, n_out = y.shape
        check_target(target, (n_samples,), (n_steps, n_samples))
        check_mask(mask, n_steps, n_samples)
        whole = target.dtype.kind in "iu"
        require(whole, "loss target", "must be integers", f"dtype {target.dtype}")
        low, high = int(target.min()), int(target.max())
        rule = f"must be classes 0 to {n_out - 1}"
        require(low >= 0 and high < n_out, "loss target", rule, f"{low} to {high}")
        weight = step_weights(mask, n_samples, mean=True)
        kept = np.flatnonzero(weight.any(axis=1))
        weight = weight[kept]
        logits = y[kept].astype(np.float64)
        classes = np.broadcast_to(target, (n_steps, n_samples))[kept]
        chosen = classes[:, :, None]
        shifted = logits - logits.max(axis=2, keepdims=True)
        exponential = np.exp(shifted)
        total = exponential.sum(axis=2)
        at_target = np.take_along_axis(shifted, chosen, axis=2)[:, :, 0]
        value = -float(np.sum(weight * (at_target - np.log(total))))
        gradient = exponential / total[:, :, None]
        one_less = np.take_along_axis(gradient, chosen, axis=2) - 1.0
        np.put_along_axis(gradient, chosen, one_less, axis=2)
        error, projection = np.zeros(y.shape, y.dtype), np.zeros(y.shape, y.dtype)
        error[kept] = weight[:, :, None] * gradient
        target_part = np.zeros(logits.shape)
        np.put_along_axis(target_part, chosen, -weight[:, :, None], axis=2)
        projection[kept] = target_part
        n_correct: float
        if target.ndim == 1:
            judged = np.where(weight[:, :, None] > 0, logits, 0.0)
            prediction = judged.sum(axis=0).argmax(axis=1)
            n_correct = int(np.sum(prediction == target))
        else:
            prediction = np.full((n_steps, n_samples), -1)
            prediction[kept] = np.where(weight > 0, logits.argmax(axis=2), -1)
            right = prediction[kept] == classes
            n_correct = n_samples * float(np.sum(weight * right))
        return LossResult(value, error, n_correct, prediction, projection)
