"""Learning signals: how the error of the readout reaches recurrent neurons.

    L_j[t] = sum_k B_jk error_k[t]

The feedback matrix B (n_rec, n_out) is independent of the rule that uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikelearn.errors import require, unknown_name

__all__ = ["FEEDBACKS", "Feedback", "LearningSignal"]

FEEDBACKS = {
    "symmetric": "B = w_out^T at every step",
    "random": "B fixed, drawn N(0, scale^2); default scale 1 / sqrt(n_rec)",
    "adaptive": "B starts random; B and w_out take the same steps and decay alike",
}


@dataclass(frozen=True)
class LearningSignal:
    """What a rule receives besides the record.

    Parameters
    ----------
    error : (T, B, n_out) array
        Derivative of the loss with respect to the readout.
    feedback : (n_rec, n_out) array
        Matrix B.
    neuron : (B, n_rec) array or None
        Signal that acts on the eligibility of a neuron at every step, unfiltered (for
        example from firing-rate regularisation).
    broadcast : (T, B, n_out) array or None
        What B carries to the neurons in place of the error; the readout's own weights
        learn from the error in any case.
    direct : (T, B, n_rec) array or None
        Like `neuron`, with a value per step (for example from local readouts).
    reward : (T, B) array or None
        Reward prediction error, one neuromodulator for all neurons.
    """

    error: np.ndarray
    feedback: np.ndarray
    neuron: np.ndarray | None = None
    broadcast: np.ndarray | None = None
    direct: np.ndarray | None = None
    reward: np.ndarray | None = None


@dataclass
class Feedback:
    """Feedback weights of one training run.

    Symmetric, random and adaptive e-prop of Bellec et al. 2020
    (doi:10.1038/s41467-020-17236-y); adaptive feedback after Kolen & Pollack 1994 as in
    Akrout et al. 2019 (arXiv:1904.05391): both matrices take the same step and decay by
    the same factor, which lets their difference vanish.

    Parameters
    ----------
    kind
        A name of `FEEDBACKS`.
    scale
        Standard deviation of random entries; default 1 / sqrt(n_rec).
    decay
        Fraction of w_out and B that "adaptive" removes at every update, in [0, 1).

    Attributes
    ----------
    matrix : (n_rec, n_out) array
        Entries of "random" and "adaptive"; empty for "symmetric".
    """

    kind: str = "random"
    scale: float | None = None
    decay: float = 1e-3
    matrix: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    def __post_init__(self) -> None:
        if self.kind not in FEEDBACKS:
            raise unknown_name("feedback", self.kind, FEEDBACKS)
        scale = 0.0 if self.scale is None else self.scale
        require(scale >= 0, "Feedback.scale", "must be >= 0", self.scale)
        where, rule = "Feedback.decay", "must be in [0, 1)"
        require(0 <= self.decay < 1, where, rule, self.decay)

    def draw(
        self, n_rec: int, n_out: int, rng: np.random.Generator, dtype: str
    ) -> None:
        """Draw the matrix (nothing to draw for "symmetric")."""
        if self.kind != "symmetric":
            scale = 1 / np.sqrt(n_rec) if self.scale is None else self.scale
            draw = scale * rng.standard_normal((n_rec, n_out))
            self.matrix = draw.astype(dtype)

    def weights(self, w_out: np.ndarray) -> np.ndarray:
        """Return B (n_rec, n_out) for the present readout weights (n_out, n_rec)."""
        return w_out.T if self.kind == "symmetric" else self.matrix

    def follow(self, before: np.ndarray, w_out: np.ndarray, scale: float = 1.0) -> None:
        """Let adaptive feedback take the step that the readout has just taken.

            B := (1 - d) (B + step^T),   w_out := (1 - d) (before + step)

        with d = `decay` times `scale`, so that B^T - w_out shrinks by 1 - d whatever
        the optimiser.

        Parameters
        ----------
        before : (n_out, n_rec) array
            Readout weights before the step.
        w_out : (n_out, n_rec) array
            Readout weights after it; decayed in place.
        scale
            Factor of the learning-rate schedule.
        """
        if self.kind == "adaptive":
            self.matrix += (w_out - before).T
            for weights in (self.matrix, w_out):
                weights *= 1.0 - self.decay * scale
