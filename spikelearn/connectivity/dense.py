"""Families in which every neuron reaches every neuron, itself included.

They keep self-connections, because without its diagonal a matrix has another rank and
another spectrum; `masked(family, erdos_renyi(1.0))` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.connectivity.base import Connectivity, Family, Ports, number, whole
from spikelearn.connectivity.weights import gaussian_weights, orthogonal_matrix
from spikelearn.errors import InvalidValue, require

__all__ = ["aligned_low_rank", "gaussian", "lognormal", "low_rank", "orthogonal"]


def _check_gain(family: Family, gain: float) -> None:
    where = f"{type(family).__name__}.gain"
    require(number(gain) and gain >= 0, where, "must be finite and >= 0", gain)


def _check_rank(family: Family, rank: int) -> None:
    where = f"{type(family).__name__}.rank"
    require(whole(rank, 1), where, "must be a whole number >= 1", rank)


def _dense(weights: np.ndarray) -> Connectivity:
    return Connectivity(weights, np.ones(weights.shape, bool))


def _with_norm_of(weights: np.ndarray, other: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(weights)
    return weights * (np.linalg.norm(other) / norm) if norm > 0 else weights


@dataclass(frozen=True)
class gaussian(Family):
    """Independent entries N(0, gain^2 / n).

    Eigenvalues fill a disc of radius `gain`; the Frobenius norm is gain sqrt(n).
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_gain(self, self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        return _dense(gaussian_weights(n, n, self.gain, rng))


@dataclass(frozen=True)
class orthogonal(Family):
    """`gain` times a random orthogonal matrix (Haar measure).

    All singular values and absolute eigenvalues are `gain`.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_gain(self, self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        return _dense(self.gain * orthogonal_matrix(n, rng))


@dataclass(frozen=True)
class low_rank(Family):
    """A Gaussian draw cut to its largest singular values, with the norm of the draw.

        W = U S V^T,   W_r = U_r S_r V_r^T |W|_F / |U_r S_r V_r^T|_F

    All ranks with the same seed come from the same draw, that of `gaussian` (Liu et al.
    2024, arXiv:2310.08513).

    Raises
    ------
    InvalidValue
        If the rank is no whole number >= 1; at the draw, if it is above n.
    """

    rank: int
    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_rank(self, self.rank)
        _check_gain(self, self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        rule = f"must be at most n = {n}, the number of neurons"
        require(self.rank <= n, "low_rank.rank", rule, self.rank)
        full = gaussian(self.gain).draw(n, rng).weights
        return _dense(_with_norm_of(_cut(full, self.rank), full))


def _cut(matrix: np.ndarray, rank: int) -> np.ndarray:
    """Return the closest matrix of a rank (Eckart-Young)."""
    u, s, vt = np.linalg.svd(matrix)
    cut: np.ndarray = (u[:, :rank] * s[:rank]) @ vt[:rank]
    return cut


@dataclass(frozen=True)
class aligned_low_rank(Family):
    """Low rank along the directions of a task, with the norm of a Gaussian draw.

    What input x brings to the neurons is w_in x, and the readout sees w_out h. With the
    map M from inputs to targets that the task asks for (`Ports.teacher`),

        W ~ cut of w_out^T M w_in^T to the rank,   |W|_F = |Gaussian draw|_F

    takes what an input brings to where the readout sees its target. It carries over to
    recurrent networks the first layer W_1 ~ a beta^T along the teacher beta, of which
    Liu et al. 2024 (arXiv:2310.08513, Proposition 1) show that it learns lazily despite
    its rank; their paper has no recurrent form, so that this one is an approximation of
    ours. The control is `low_rank` with the same seed: another direction, the same
    norm.

    Raises
    ------
    InvalidValue
        If the rank is no whole number >= 1; at the draw, if it is above that of
        w_out^T M w_in^T, or the ports are not given.
    """

    rank: int = 1
    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_rank(self, self.rank)
        _check_gain(self, self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        if ports is None:
            raise InvalidValue(
                "aligned_low_rank.ports must be given; got None. (The directions are "
                "those of input and readout weights: draw(n, rng, Ports(w_in, w_out)).)"
            )
        n_in, n_out = ports.w_in.shape[1], len(ports.w_out)
        for name, array, shape in (
            ("w_in", ports.w_in, (n, n_in)),
            ("w_out", ports.w_out, (n_out, n)),
        ):
            rule = f"must have shape {shape} (post, pre)"
            require(array.shape == shape, f"Ports.{name}", rule, array.shape)
        teacher = np.eye(n_out, n_in) if ports.teacher is None else ports.teacher
        rule = f"must have shape {(n_out, n_in)} (outputs, inputs)"
        fits = teacher.shape == (n_out, n_in)
        require(fits, "Ports.teacher", rule, teacher.shape)
        norm_of = gaussian(self.gain).draw(n, rng).weights
        aligned = ports.w_out.T.astype(np.float64) @ teacher @ ports.w_in.T
        possible = int(np.linalg.matrix_rank(aligned))
        rule = f"must be at most {possible}, the rank of the map from inputs to targets"
        hint = f"{n_in} inputs, {n_out} outputs."
        require(self.rank <= possible, "aligned_low_rank.rank", rule, self.rank, hint)
        return _dense(_with_norm_of(_cut(aligned, self.rank), norm_of))


@dataclass(frozen=True)
class lognormal(Family):
    """Random signs and a lognormal distribution of strengths.

        w_ij = +-gain / sqrt(n) exp(sigma z_ij - sigma^2),   z_ij ~ N(0, 1)

    so that the mean of w_ij^2 is gain^2 / n, as in `gaussian`. Few strong connections
    among many weak ones, as measured in cortex (Song et al. 2005,
    doi:10.1371/journal.pbio.0030068, sigma 0.94).

    Raises
    ------
    InvalidValue
        If sigma is not > 0 and at most 5.
    """

    sigma: float = 1.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        good = number(self.sigma) and 0 < self.sigma <= 5
        require(good, "lognormal.sigma", "must be > 0 and at most 5", self.sigma)
        _check_gain(self, self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        strength = np.exp(self.sigma * rng.standard_normal((n, n)) - self.sigma**2)
        sign = rng.choice([-1.0, 1.0], (n, n))
        return _dense(self.gain / np.sqrt(n) * sign * strength)
