"""Optimisers: frozen hyperparameters; state and weights are dicts of arrays.

`step(weights, gradients, state, scale)` changes weights and state in place, so that the
state can be written to a checkpoint and read back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.optimizers import Moments, adam
from spikelearn.kernels.threads import run_groups
from spikelearn.learning.gradients import as_rows, global_norm

__all__ = ["SGD", "Adam", "Optimizer", "clip_gradients"]

Arrays = dict[str, np.ndarray]
SMALLEST_CUT = 1 << 18  # entries below which a thread of its own costs more


class Optimizer(Protocol):
    """What the trainer needs of an optimiser."""

    @property
    def lr(self) -> float:
        """Learning rate."""

    def init(self, weights: Arrays) -> Arrays:
        """Return the state for the first step."""

    def step(
        self,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
        scale: float = 1.0,
        threads: int = 1,
    ) -> None:
        """Move weights in place; `scale` multiplies the learning rate."""


def clip_gradients(gradients: Arrays, max_norm: float) -> float:
    """Scale gradients in place to a global norm of at most `max_norm`.

    Returns the norm before clipping (Pascanu et al. 2013, arXiv:1211.5063).

    Raises
    ------
    InvalidValue
        If `max_norm` is not positive.
    """
    require(max_norm > 0, "clip_gradients.max_norm", "must be > 0", max_norm)
    norm = global_norm(gradients)
    if norm > max_norm:
        for gradient in gradients.values():
            gradient *= max_norm / norm
    return norm


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum, m := mu m + g, w := w - lr m.

    Parameters
    ----------
    lr
        Learning rate.
    momentum
        mu in [0, 1); 0 is plain gradient descent.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    lr: float = 1e-2
    momentum: float = 0.0

    def __post_init__(self) -> None:
        finite = 0 < self.lr < np.inf
        require(finite, "SGD.lr", "must be > 0 and finite", self.lr)
        where = "SGD.momentum"
        require(0 <= self.momentum < 1, where, "must be in [0, 1)", self.momentum)

    def init(self, weights: Arrays) -> Arrays:
        """Return zero momenta, or nothing for plain gradient descent."""
        if self.momentum == 0:
            return {}
        return {f"{name}/m": np.zeros_like(w) for name, w in weights.items()}

    def step(
        self,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
        scale: float = 1.0,
        threads: int = 1,
    ) -> None:
        """Move weights in place."""
        for name, w in weights.items():
            step = gradients[name]
            if self.momentum:
                m = state[f"{name}/m"]
                m *= self.momentum
                m += step
                step = m
            w -= self.lr * scale * step


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980).

        m := b1 m + (1 - b1) g,   v := b2 v + (1 - b2) g^2
        "pytorch":  w -= lr  mhat / (sqrt(vhat) + eps)
        "tf1":      w -= lr sqrt(1 - b2^t) / (1 - b1^t)  m / (sqrt(v) + eps)

    with mhat = m / (1 - b1^t), vhat = v / (1 - b2^t). The second form (section 2 of the
    paper, TensorFlow 1, NEST) adds eps before the bias of v is corrected.

    Parameters
    ----------
    lr
        Learning rate.
    beta1, beta2
        Decay of the moments, in [0, 1).
    eps
        Denominator offset.
    form
        "pytorch" or "tf1".

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    form: str = "pytorch"

    def __post_init__(self) -> None:
        finite = 0 < self.lr < np.inf
        require(finite, "Adam.lr", "must be > 0 and finite", self.lr)
        require(0 <= self.beta1 < 1, "Adam.beta1", "must be in [0, 1)", self.beta1)
        require(0 <= self.beta2 < 1, "Adam.beta2", "must be in [0, 1)", self.beta2)
        require(self.eps > 0, "Adam.eps", "must be > 0", self.eps)
        forms = ("pytorch", "tf1")
        require(self.form in forms, "Adam.form", f"must be one of {forms}", self.form)

    def init(self, weights: Arrays) -> Arrays:
        """Return zero moments and the step counter."""
        state = {"t": np.zeros((), np.int64)}
        for name, w in weights.items():
            state[f"{name}/m"] = np.zeros_like(w)
            state[f"{name}/v"] = np.zeros_like(w)
        return state

    def step(
        self,
        weights: Arrays,
        gradients: Arrays,
        state: Arrays,
        scale: float = 1.0,
        threads: int = 1,
    ) -> None:
        """Move weights in place."""
        state["t"] += 1
        t = int(state["t"])
        correction_1 = 1.0 - self.beta1**t
        correction_2 = float(np.sqrt(1.0 - self.beta2**t))
        eps = self.eps if self.form == "tf1" else self.eps * correction_2
        rate = self.lr * scale * correction_2 / correction_1
        rests = (1.0 - self.beta1, 1.0 - self.beta2)
        moments = Moments(self.beta1, rests[0], self.beta2, rests[1], eps, rate)
        for name, w in weights.items():
            g = as_rows(gradients[name], w)
            moved = (w, state[f"{name}/m"], state[f"{name}/v"])
            rows, m, v = (as_rows(array, w, copy=False) for array in moved)
            if threads == 1 or rows.size < SMALLEST_CUT:
                adam(moments, rows.shape[1], rows, g, m, v)
            else:
                work = partial(_run_part, moments, (rows, g, m, v))
                run_groups(work, len(rows), threads, threads)


def _run_part(
    moments: Moments, arrays: tuple[np.ndarray, ...], _: int, start: int, stop: int
) -> None:
    """Do the step of Adam for some rows."""
    w, g, m, v = (array[start:stop] for array in arrays)
    adam(moments, w.shape[1], w, g, m, v)
