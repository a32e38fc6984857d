"""Second derivatives of losses and activations, and sums that they are put into."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.losses import (
    Classification,
    Loss,
    Regression,
    step_weights,
)

__all__ = [
    "bend_of_loss",
    "check_finite",
    "check_loss",
    "derivatives",
    "error_of_loss",
    "leak_back",
    "leak_forward",
    "outer",
]


def check_loss(loss: Loss, l2: float = 0.0) -> None:
    """Refuse losses whose second derivative is not known here.

    Raises
    ------
    InvalidValue
        If the loss is neither `Classification` nor `Regression`, or the strength of the
        decay is negative or infinite.
    """
    known = isinstance(loss, Classification | Regression)
    hint = "A reward task draws its answers; its loss is not a function of the weights."
    rule = "must be Classification or Regression"
    require(known, "loss of a Hessian", rule, type(loss).__name__, hint)
    require(0 <= l2 < np.inf, "l2", "must be >= 0 and finite", l2)


def check_finite(y: np.ndarray) -> None:
    """Refuse readouts that left the numbers.

    Raises
    ------
    InvalidValue
        If one is NaN or infinite.
    """
    hint = "The network runs away: lower its gain or shorten the trial."
    finite = bool(np.isfinite(y).all())
    require(finite, "readout", "must be finite", "NaN or infinity", hint)


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


def leak_forward(kappa: float, into: np.ndarray) -> np.ndarray:
    """Return y[t] = kappa y[t-1] + into[t], in place of `into`."""
    for t in range(1, len(into)):
        into[t] += kappa * into[t - 1]
    return into


def leak_back(kappa: float, error: np.ndarray) -> np.ndarray:
    """Return e[t] = error[t] + kappa e[t+1], in place of `error`."""
    for t in range(len(error) - 2, -1, -1):
        error[t] += kappa * error[t + 1]
    return error


def outer(post: np.ndarray, pre: np.ndarray) -> np.ndarray:
    """Return the sum over steps and samples of post pre^T, of (T, B, n) arrays."""
    flat_post = post.reshape(-1, post.shape[2])
    product: np.ndarray = flat_post.T @ pre.reshape(-1, pre.shape[2])
    return product
