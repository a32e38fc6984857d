"""Eigenvalues of a matrix that is known by its products: three ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.surrogate_field import arnoldi
from spikelearn.errors import optional_import, require

__all__ = [
    "MOST_DIRECTIONS",
    "Curvature",
    "Eigenvalue",
    "by_krylov",
    "by_power",
    "unit_start",
]

DENSE = 3  # rows up to which the whole matrix is decomposed
MOST_DIRECTIONS = 40  # of Arnoldi's method


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


def unit_start(matrix: Curvature, rng: int | np.random.Generator) -> np.ndarray:
    """Return a random direction of length 1."""
    vector = np.random.default_rng(rng).standard_normal(matrix.size)
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def by_power(
    matrix: Curvature, v: np.ndarray, tolerance: float, max_iterations: int
) -> Eigenvalue:
    """Multiply until v^T H v changes by less than the tolerance."""
    before = np.inf
    for iteration in range(1, max_iterations + 1):
        product = matrix.product(v)
        value, length = float(v @ product), float(np.linalg.norm(product))
        if abs(value - before) < tolerance or length == 0:
            break
        if iteration < max_iterations:
            before, v = value, product / length
    return _eigenvalue(matrix, value, v, product, iteration)


def by_krylov(
    matrix: Curvature,
    ends: bool,
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> list[Eigenvalue]:
    """Return the eigenvalue of largest size, or both ends: largest and smallest.

    By Lanczos' method, which needs SciPy; of a matrix that is not symmetric by
    Arnoldi's, with up to 40 products and the real part.
    """
    counted = _Counted(matrix)
    if not counted.product(start).any():  # neither method takes the zero matrix
        flat = _eigenvalue(matrix, 0.0, start, np.zeros(matrix.size), 1)
        return [flat] * (1 + ends)
    if not matrix.symmetric:
        most = min(MOST_DIRECTIONS, max_iterations)
        krylov = arnoldi(counted.product, start, most)
        values, vectors = krylov.values, krylov.vectors
    elif matrix.size <= DENSE:
        whole = np.stack([counted.product(row) for row in np.eye(matrix.size)], axis=1)
        values, vectors = np.linalg.eigh(whole)
    else:
        values, vectors = _arpack(counted, ends, start, tolerance, max_iterations)
    n = counted.n
    scores = [values.real, -values.real] if ends else [np.abs(values)]
    found = []
    for best in (int(np.argmax(score)) for score in scores):
        v = vectors[:, best].real
        v = v / np.linalg.norm(v)
        value = float(values[best].real)
        found.append(_eigenvalue(matrix, value, v, matrix.product(v), n))
    return found


def _eigenvalue(
    matrix: Curvature, value: float, v: np.ndarray, product: np.ndarray, n: int
) -> Eigenvalue:
    residual = float(np.linalg.norm(product - value * v))
    return Eigenvalue(value, matrix.coordinates.split(v), n, residual, matrix.kind)


class _Counted:
    """Products of a matrix, and how many there were."""

    def __init__(self, matrix: Curvature) -> None:
        self.matrix, self.size, self.n = matrix, matrix.size, 0

    def product(self, vector: np.ndarray) -> np.ndarray:
        self.n += 1
        return self.matrix.product(np.ravel(vector))


def _arpack(
    counted: _Counted,
    ends: bool,
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    linalg: Any = optional_import("scipy.sparse.linalg", "studies", "Lanczos' method")
    shape = (counted.size, counted.size)
    operator = linalg.LinearOperator(shape, matvec=counted.product, dtype=np.float64)
    k, which = (2, "BE") if ends else (1, "LM")
    options = {"which": which, "v0": start, "tol": tolerance, "maxiter": max_iterations}
    try:
        values, vectors = linalg.eigsh(operator, k=k, **options)
    except linalg.ArpackNoConvergence:
        rule = f"must converge to a relative {tolerance:g}"
        hint = "Raise tolerance or max_iterations."
        require(False, "eigenvalue", rule, f"{max_iterations} iterations", hint)
    return values, vectors
