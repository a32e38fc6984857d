"""Initial connectivity: weight matrices (post, pre) and masks."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require

__all__ = ["gaussian", "no_self_connections", "random_mask"]


def gaussian(
    n_post: int, n_pre: int, gain: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a matrix with entries N(0, gain^2 / n_pre).

    For a square matrix the eigenvalues fill a disc of radius `gain` as n grows
    (Girko's circular law).

    Returns
    -------
    (n_post, n_pre) float64 array

    Raises
    ------
    InvalidValue
        If the gain is negative or not finite.
    """
    rule = "must be finite and >= 0"
    require(np.isfinite(gain) and gain >= 0, "gaussian.gain", rule, gain)
    return gain * rng.standard_normal((n_post, n_pre)) / np.sqrt(n_pre)


def no_self_connections(n: int) -> np.ndarray:
    """Return the (n, n) mask that leaves out the diagonal."""
    return ~np.eye(n, dtype=bool)


def random_mask(
    n_post: int, n_pre: int, density: float, rng: np.random.Generator
) -> np.ndarray:
    """Keep every connection with probability `density` (Erdos-Renyi).

    Raises
    ------
    InvalidValue
        If the density is not in (0, 1].
    """
    require(0 < density <= 1, "random_mask.density", "must be in (0, 1]", density)
    return rng.random((n_post, n_pre)) < density
