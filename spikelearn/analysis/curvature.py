"""Curvature of the loss: leading and extreme eigenvalues of its second derivative.

At a minimum with the largest eigenvalue lambda of the Hessian H, gradient descent with
step eta is stable while lambda < 2 / eta; a rule that keeps a part rho of the gradient
(`analysis.rule_component`) while lambda < 2 / (rho eta), so that sharper minima hold it
(Liu et al. 2022, arXiv:2206.00823). The loss of a spiking network has no Hessian, so
that several quantities stand in for it, each with what it means (`KINDS`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.eigenvalues import (
    MOST_DIRECTIONS,
    Curvature,
    Eigenvalue,
    by_krylov,
    by_power,
    unit_start,
)
from spikelearn.analysis.hessian import Hessian
from spikelearn.analysis.smoothed import Smoothed
from spikelearn.analysis.surrogate_field import SurrogateField, arnoldi, asymmetry
from spikelearn.errors import require, unknown_name
from spikelearn.learning.losses import Loss
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "KINDS",
    "Curvature",
    "Eigenvalue",
    "FieldShape",
    "curvature_of",
    "default_kind",
    "extreme_eigenvalues",
    "field_shape",
    "leading_eigenvalue",
    "reason_against_kind",
]

KINDS = {
    "hessian": "rate units: the second derivative of the loss, exact",
    "smoothed": "spiking cells: the second derivative of the loss of another network, "
    "in which a spike is the integral of the surrogate",
    "surrogate-field": "spiking cells: Jacobian of the gradient with the "
    "pseudo-derivative, which learning follows; a mean over a step of the weights, not "
    "symmetric, and no curvature of any loss",
    "weight-noise": "any network: how much the loss grows under Gaussian noise in the "
    "weights",
    "rounding-noise": "any network: the same under uniform noise with the variance of "
    "rounding to some bits",
    "rounding": "any network: how much the loss grows when the weights are rounded to "
    "some bits",
}
MATRICES: dict[str, type[Hessian] | type[SurrogateField] | type[Smoothed]] = {
    "hessian": Hessian,
    "surrogate-field": SurrogateField,
    "smoothed": Smoothed,
}
METHODS = ("power", "lanczos")


@dataclass(frozen=True)
class FieldShape:
    """How far the Jacobian of the surrogate gradient is from a Hessian.

    Attributes
    ----------
    asymmetry
        ||J - J^T||_F / ||J + J^T||_F from random directions: 0 for a Hessian, about 1
        for independent entries.
    singular
        Lower bound of the largest singular value, from Arnoldi's method; of a Hessian
        it is the largest absolute eigenvalue.
    """

    asymmetry: float
    singular: float


def default_kind(network: RecurrentNetwork) -> str:
    """Return the kind of matrix that a network has by default."""
    return "surrogate-field" if network.spiking else "hessian"


def reason_against_kind(network: RecurrentNetwork, kind: str) -> str | None:
    """Return why a kind is not defined for a network, or None.

    Raises
    ------
    UnknownName
        For another kind.
    """
    if kind not in KINDS:
        raise unknown_name("kind of curvature", kind, KINDS)
    if kind == "hessian" and network.spiking:
        return "spiking cells: their loss has no second derivative"
    if kind in ("surrogate-field", "smoothed") and not network.spiking:
        return "rate units: they have a Hessian"
    return None


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
    kind = default_kind(network) if kind is None else kind
    reason = reason_against_kind(network, kind)
    where, rule = f"kind {kind!r}", "must be defined for the network"
    require(reason is None, where, rule, reason)
    if kind not in MATRICES:
        raise unknown_name("kind of a matrix", kind, MATRICES)
    return MATRICES[kind](network, batch, loss, parameters=parameters, l2=l2)


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

    Products of the Hessian are those of Pearlmutter 1994
    (doi:10.1162/neco.1994.6.1.147).

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
        changes by less than `tolerance` (Liu et al. 2022, arXiv:2206.00823,
        released code). Two eigenvalues of like size and other sign slow it down without
        end; `residual` tells. "lanczos" (needs SciPy) has no such weakness; `tolerance`
        is then relative.
        Of a matrix that is not symmetric it is Arnoldi's method, with 40 products.
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
    start = unit_start(matrix, rng)
    if method == "power":
        return by_power(matrix, start, tolerance, max_iterations)
    return by_krylov(matrix, False, start, tolerance, max_iterations)[0]


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
    start = unit_start(matrix, rng)
    largest, smallest = by_krylov(matrix, True, start, tolerance, max_iterations)
    return largest, smallest


def field_shape(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    parameters: Sequence[str] = ("w_rec",),
    rng: int | np.random.Generator = 0,
) -> FieldShape:
    """Return how far the surrogate gradient of a spiking network is from a gradient.

    Arguments and errors are those of `leading_eigenvalue`.
    """
    matrix = curvature_of(
        network, batch, loss, kind="surrogate-field", parameters=parameters
    )
    rng = np.random.default_rng(rng)
    krylov = arnoldi(matrix.product, unit_start(matrix, rng), MOST_DIRECTIONS)
    return FieldShape(asymmetry(matrix.product, matrix.size, rng), krylov.singular)
