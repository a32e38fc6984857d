"""Second derivatives of losses and activations, elementwise."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.losses import (
    Classification,
    Loss,
    Regression,
    step_weights,
)

__all__ = ["bend_of_loss", "check_loss", "derivatives", "error_of_loss"]


def check_loss(loss: Loss) -> None:
    """Refuse losses whose second derivative is not known here.

    Raises
    ------
    InvalidValue
        If the loss is neither `Classification` nor `Regression`.
    """
    known = isinstance(loss, Classification | Regression)
    hint = "A reward task draws its answers; its loss is not a function of the weights."
    rule = "must be Classification or Regression"
    require(known, "loss of a Hessian", rule, type(loss).__name__, hint)


def error_of_loss(
    loss: Loss, y: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Return dE/dy, (T, B, n_out), of a checked batch; y may be complex."""
    weight = _weight(loss, y, mask)
    if isinstance(loss, Regression):
        return weight * (y - target)
    p = _softmax(y)
    chosen = np.broadcast_to(target, y.shape[:2])[:, :, None]
    one_less = np.take_along_axis(p, chosen, axis=2) - 1.0
    np.put_along_axis(p, chosen, one_less, axis=2)
    return weight * p


def bend_of_loss(
    loss: Loss, y: np.ndarray, mask: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """Return the second derivative of the loss with respect to y, times `along`.

        Regression      weight R{y}
        Classification  weight (p R{y} - p (p . R{y})),   p = softmax(y)

    All are (T, B, n_out).
    """
    weight = _weight(loss, y, mask)
    if isinstance(loss, Regression):
        return weight * along
    p = _softmax(y)
    projected = np.sum(p * along, axis=2, keepdims=True)
    return weight * p * (along - projected)


def _weight(loss: Loss, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return how much every step of every sample counts, (T, B, 1)."""
    mean = isinstance(loss, Classification) or getattr(loss, "reduction", "") == "mean"
    return step_weights(mask, y.shape[1], mean)[:, :, None]


def _softmax(y: np.ndarray) -> np.ndarray:
    exponential = np.exp(y - y.real.max(axis=2, keepdims=True))
    p: np.ndarray = exponential / exponential.sum(axis=2, keepdims=True)
    return p


def derivatives(activation: str, u: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return f'(u), and f''(u) or None where it is 0."""
    if activation == "relu":
        return (u > 0).astype(np.float64), None
    if activation == "tanh":
        f = np.tanh(u)
        slope = 1.0 - f**2
        return slope, -2.0 * f * slope
    f = 0.5 * (1.0 + np.tanh(0.5 * u))
    return f, f * (1.0 - f)
