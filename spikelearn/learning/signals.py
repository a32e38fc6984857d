"""Learning signals: how the error of the readout reaches recurrent neurons.

    L_j[t] = sum_k B_jk error_k[t]

The feedback matrix B (n_rec, n_out) is independent of the rule that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.network.checking import host_array

__all__ = ["FEEDBACKS", "Feedback", "LearningSignal"]

FEEDBACKS = {
    "symmetric": "B = w_out^T at every step",
    "random": "B fixed, drawn N(0, scale^2); default scale 1 / sqrt(n_rec)",
    "adaptive": "B starts random; B and w_out take the same steps and decay alike",
    "target": "B fixed and random; it carries the target's part of the error",
    "local": "B fixed and random; each layer reads itself out with its own block",
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

    Raises
    ------
    InvalidValue
        If one is not an array of real numbers on the CPU.
    """

    error: np.ndarray
    feedback: np.ndarray
    neuron: np.ndarray | None = None
    broadcast: np.ndarray | None = None
    direct: np.ndarray | None = None
    reward: np.ndarray | None = None

    def __post_init__(self) -> None:
        for part in fields(self):
            given = getattr(self, part.name)
            if given is None and part.default is None:
                continue
            array = host_array(given, f"LearningSignal.{part.name}")
            if array is not given:
                object.__setattr__(self, part.name, array)


@dataclass
class Feedback:
    """Feedback weights of one training run.

    Symmetric, random and adaptive e-prop of Bellec et al. 2020
    (doi:10.1038/s41467-020-17236-y); adaptive feedback after Kolen & Pollack 1994 as in
    Akrout et al. 2019 (arXiv:1904.05391): both matrices take the same step and decay by
    the same factor, which lets their difference vanish. "target" is direct random
    target projection (Frenkel et al. 2021, doi:10.3389/fnins.2021.629892), where the
    answer of the network is not fed back. "local" is the signal of DECOLLE (Kaiser et
    al. 2020, doi:10.3389/fnins.2020.00424): with B_l the rows of layer l,

        y_l[t] = r_l[t] B_l,   direct_l[t] = B_l dE(y_l)/dy_l[t]

    Parameters
    ----------
    kind
        A name of `FEEDBACKS`.
    scale
        Standard deviation of random entries; default 1 / sqrt(n_rec).
    decay
        Fraction of w_out and B that "adaptive" removes at every update, in [0, 1).
    noise
        Neuromodulatory noise: what B carries gets Gaussian noise with `noise` times its
        root mean square as standard deviation, wherever it is not silent.

    Attributes
    ----------
    matrix : (n_rec, n_out) array
        Entries of B; empty for "symmetric".
    """

    kind: str = "random"
    scale: float | None = None
    decay: float = 1e-3
    noise: float = 0.0
    matrix: np.ndarray = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    def __post_init__(self) -> None:
        if self.kind not in FEEDBACKS:
            raise unknown_name("feedback", self.kind, FEEDBACKS)
        scale = 0.0 if self.scale is None else self.scale
        require(scale >= 0, "Feedback.scale", "must be >= 0", self.scale)
        where, rule = "Feedback.decay", "must be in [0, 1)"
        require(0 <= self.decay < 1, where, rule, self.decay)
        finite = 0 <= self.noise < np.inf
        require(finite, "Feedback.noise", "must be >= 0 and finite", self.noise)
        silent = self.kind == "local" and self.noise > 0
        hint = "Local readouts send nothing through B."
        require(not silent, "Feedback.noise", "must be 0 for local", self.noise, hint)

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

    def broadcast(
        self, error: np.ndarray, projection: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return what B carries to the neurons, (T, B, n_out).

        Parameters
        ----------
        error, projection : (T, B, n_out) arrays
            dE/dy, and the part of it that comes from the target alone.
        rng
            Source of the noise.
        """
        if self.kind == "local":
            return np.zeros_like(error)
        carried = projection if self.kind == "target" else error
        active = carried.any(axis=2, keepdims=True)
        if self.noise == 0 or not active.any():
            return carried
        channels = np.broadcast_to(active, carried.shape)
        size = np.sqrt(np.mean(np.square(carried[channels], dtype=np.float64)))
        noise = self.noise * size * rng.standard_normal(carried.shape)
        return carried + (active * noise).astype(carried.dtype)

    def direct(
        self,
        output: np.ndarray,
        layers: tuple[int, ...],
        error_of: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray | None:
        """Return the errors of local readouts at the neurons, (T, B, n_rec), or None.

        Parameters
        ----------
        output : (T, B, n_rec) array
            Outputs r of the neurons.
        layers
            Sizes of the layers.
        error_of
            dE/dy as a function of a readout (T, B, n_out).
        """
        if self.kind != "local":
            return None
        direct = np.empty_like(output)
        start = 0
        for size in layers:
            block = slice(start, start + size)
            matrix = self.matrix[block]
            direct[..., block] = error_of(output[..., block] @ matrix) @ matrix.T
            start += size
        return direct

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
