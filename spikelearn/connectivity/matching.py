"""Scaling a connectivity until a number of it has a value.

Two matrices with the same Frobenius norm may differ much in their spectral radius and
in how fast changes of the state grow, so that a comparison of families says which of
them is held fixed. The Lyapunov exponent needs a network and its input: that is
`learning.matching`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikelearn.connectivity.base import Connectivity, number
from spikelearn.connectivity.spectrum import spectral_radius
from spikelearn.errors import require, unknown_name

__all__ = ["MATCHES", "match"]

LARGEST_NORM = 1e150  # the square of a larger one overflows
SMALLEST_RADIUS = 1e-6  # of the norm: rounding gives nilpotent matrices such radii


def _frobenius(weights: np.ndarray) -> float:
    return float(np.linalg.norm(weights))


MATCHES: dict[str, Callable[[np.ndarray], float]] = {
    "frobenius": _frobenius,
    "spectral_radius": spectral_radius,
}


def match(connectivity: Connectivity, mode: str, value: float) -> Connectivity:
    """Scale all weights by one factor until a number of theirs has a value.

    Rank, signs, mask and balance stay.

    Parameters
    ----------
    mode
        "frobenius", the root of the sum of squares, or "spectral_radius".
    value
        What it is to be, > 0.

    Raises
    ------
    UnknownName
        If there is no such mode.
    InvalidValue
        If no factor does it: all weights are 0, the spectral radius of a nilpotent
        matrix (a graph without loops) is asked for, or the norm would not be finite.
    """
    if mode not in MATCHES:
        raise unknown_name("matching", mode, [*MATCHES, "lyapunov"])
    where = f"match.{mode}"
    good = number(value) and value > 0
    require(good, where, "must be > 0 and finite", value)
    weights = connectivity.weights
    norm = _frobenius(weights)
    hint = "There is nothing to scale."
    require(norm > 0, where, "must be asked of weights that are not all 0", 0.0, hint)
    now = MATCHES[mode](weights)
    rule = "must be asked of a matrix with an eigenvalue other than 0"
    got = "a nilpotent matrix, whose spectral radius is 0 with any factor"
    hint = "Its graph may have no loops. Match 'frobenius'."
    require(now > SMALLEST_RADIUS * norm, where, rule, got, hint)
    factor = value / now
    rule = "must leave the Frobenius norm finite"
    require(factor * norm <= LARGEST_NORM, where, rule, value)
    return connectivity.with_weights(weights * factor)
