"""Curvature of the loss: leading and extreme eigenvalues of its second derivative.

At a minimum with the largest eigenvalue lambda of the Hessian H, gradient descent with
step eta is stable while lambda < 2 / eta; a rule that keeps a part rho of the gradient
(`analysis.rule_component`) while lambda < 2 / (rho eta), so that sharper minima hold it
(Liu et al. 2022, arXiv:2206.00823). The loss of a spiking network has no Hessian, so
that several quantities stand in for it, each with what it means (`KINDS`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.hessian import Hessian
from spikelearn.errors import optional_import, require, unknown_name
from spikelearn.learning.losses import Loss
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "KINDS",
    "Curvature",
    "Eigenvalue",
    "curvature_of",
    "extreme_eigenvalues",
    "leading_eigenvalue",
]

KINDS = {
    "hessian": "rate units: the second derivative of the loss, exact",
}
METHODS = ("power", "lanczos")
DENSE = 3  # rows up to which the whole matrix is decomposed


class Curvature(Protocol):
    """A square matrix that is known by its products."""

    kind: str
    symmetric: bool
    size: int
    coordinates: Coordinates

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return the matrix times a vector (size,)."""


@dataclass(frozen=True)
class Eigenvalue:
    """One eigenvalue.

    Attributes
    ----------
    value
        The eigenvalue; of a matrix that is not symmetric its real part.
    vector
        Eigenvector of length 1 (real part) as arrays by parameter, (post, pre).
    iterations
        Products of the matrix that it took.
    residual
        ||H v - value v||: the distance of `value` to an eigenvalue is not larger, if
        the matrix is symmetric.
    kind
        A name of `KINDS`.
    """

    value: float
    vector: dict[str, np.ndarray]
    iterations: int
    residual: float
    kind: str


def curvature_of(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    kind: str | None = None,
    l2: float = 0.0,
    parameters: Sequence[str] = ("w_rec",),
) -> Curvature:
    """Return the matrix of a kind; arguments are those of `leading_eigenvalue`."""
    kind = kind or "hessian"
    if kind not in KINDS:
        raise unknown_name("kind of curvature", kind, KINDS)
    return Hessian(network, batch, loss, parameters=parameters, l2=l2)


def leading_eigenvalue(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    l2: float = 0.0,
    parameters: Sequence[str] = ("w_rec",),
    kind: str | None = None,
    method: str = "power",
    rng: int | np.random.Generator = 0,
    tolerance: float = 1e-6,
    max_iterations: int = 500,
) -> Eigenvalue:
    """Return the eigenvalue of largest absolute value, with its sign.

    Parameters
    ----------
    network, batch, loss
        Computed in float64, whatever the dtype of the network.
    l2
        Strength of l2/2 |w|^2 over the parameters, as a part of the loss.
    parameters
        Names of what is differentiated.
    kind
        A name of `KINDS`; default: hessian, and surrogate-field for spiking cells.
    method
        "power": v := H v / ||H v|| from a random direction, value v^T H v, until it
        changes by less than `tolerance` (Liu et al. 2022, released code). Two
        eigenvalues of like size and other sign slow it down without end; `residual`
        tells. "lanczos" (needs SciPy) has no such weakness; `tolerance` is relative.
    rng
        Draws the first direction.
    tolerance, max_iterations
        When to stop.

    Raises
    ------
    InvalidValue
        If a value is out of range, or the kind is not defined for cells or loss.
    UnknownName
        For another kind or method.
    MissingDependency
        For "lanczos" without SciPy.
    """
    if method not in METHODS:
        raise unknown_name("method of eigenvalues", method, METHODS)
    where, rule = "max_iterations", "must be >= 1"
    require(max_iterations >= 1, where, rule, max_iterations)
    where, rule = "tolerance", "must be > 0 and finite"
    require(0 < tolerance < np.inf, where, rule, tolerance)
    matrix = curvature_of(network, batch, loss, kind=kind, l2=l2, parameters=parameters)
    start = _start(matrix, rng)
    if method == "power":
        return _power(matrix, start, tolerance, max_iterations)
    return _krylov(matrix, "LM", start, tolerance, max_iterations)


def extreme_eigenvalues(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    l2: float = 0.0,
    parameters: Sequence[str] = ("w_rec",),
    kind: str | None = None,
    rng: int | np.random.Generator = 0,
    tolerance: float = 1e-6,
    max_iterations: int = 500,
) -> tuple[Eigenvalue, Eigenvalue]:
    """Return the largest (most positive) and the smallest (most negative) eigenvalue.

    By Lanczos' method, which needs SciPy (Lehoucq, Sorensen & Yang 1998,
    doi:10.1137/1.9780898719628); of a matrix that is not symmetric by Arnoldi's, and
    the largest and smallest real part. Arguments and errors are those of
    `leading_eigenvalue`; `tolerance` is relative.
    """
    matrix = curvature_of(network, batch, loss, kind=kind, l2=l2, parameters=parameters)
    start = _start(matrix, rng)
    ends = ("LA", "SA") if matrix.symmetric else ("LR", "SR")
    largest, smallest = (
        _krylov(matrix, which, start, tolerance, max_iterations) for which in ends
    )
    return largest, smallest


def _start(matrix: Curvature, rng: int | np.random.Generator) -> np.ndarray:
    """Return a random direction of length 1."""
    vector = np.random.default_rng(rng).standard_normal(matrix.size)
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def _power(
    matrix: Curvature, v: np.ndarray, tolerance: float, max_iterations: int
) -> Eigenvalue:
    before = np.inf
    for iteration in range(1, max_iterations + 1):
        product = matrix.product(v)
        value, length = float(v @ product), float(np.linalg.norm(product))
        if abs(value - before) < tolerance or length == 0:
            break
        if iteration < max_iterations:
            before, v = value, product / length
    return _eigenvalue(matrix, value, v, product, iteration)


def _eigenvalue(
    matrix: Curvature, value: float, v: np.ndarray, product: np.ndarray, n: int
) -> Eigenvalue:
    residual = float(np.linalg.norm(product - value * v))
    return Eigenvalue(value, matrix.coordinates.split(v), n, residual, matrix.kind)


def _krylov(
    matrix: Curvature,
    which: str,
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> Eigenvalue:
    counted, product = _counting(matrix)
    if not product(start).any():  # ARPACK refuses the zero matrix
        return _eigenvalue(matrix, 0.0, start, np.zeros(matrix.size), 1)
    if matrix.size <= DENSE:
        value, v = _dense(matrix, product, which)
    else:
        value, v = _arpack(matrix, product, which, start, tolerance, max_iterations)
    return _eigenvalue(matrix, value, v, product(v), len(counted))


def _counting(matrix: Curvature) -> tuple[list[None], Callable[..., np.ndarray]]:
    """Return the product, and a list that grows by one with each of them."""
    counted: list[None] = []

    def product(vector: np.ndarray) -> np.ndarray:
        counted.append(None)
        return matrix.product(np.ravel(vector))

    return counted, product


def _dense(
    matrix: Curvature, product: Callable[..., np.ndarray], which: str
) -> tuple[float, np.ndarray]:
    whole = np.stack([product(row) for row in np.eye(matrix.size)], axis=1)
    values, vectors = np.linalg.eig(whole)
    score = {"LM": np.abs(values), "LA": values.real, "LR": values.real}
    best = int(np.argmax(score.get(which, -values.real)))
    return _real(values[best], vectors[:, best])


def _real(value: Any, vector: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the real part of an eigenvalue and of its vector, of length 1."""
    real = np.real(vector)
    return float(np.real(value)), real / np.linalg.norm(real)


def _arpack(
    matrix: Curvature,
    product: Callable[..., np.ndarray],
    which: str,
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> tuple[float, np.ndarray]:
    linalg = optional_import("scipy.sparse.linalg", "studies", "Lanczos' method")
    shape = (matrix.size, matrix.size)
    operator = linalg.LinearOperator(shape, matvec=product, dtype=np.float64)
    solve = linalg.eigsh if matrix.symmetric else linalg.eigs
    options = {"which": which, "v0": start, "tol": tolerance, "maxiter": max_iterations}
    try:
        values, vectors = solve(operator, k=1, **options)
    except linalg.ArpackNoConvergence:
        rule = f"must converge to a relative {tolerance:g}"
        hint = "Raise tolerance or max_iterations."
        require(False, "eigenvalue", rule, f"{max_iterations} iterations", hint)
    return _real(values[0], vectors[:, 0])
