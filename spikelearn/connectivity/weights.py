"""Weight matrices (post, pre): draws, and Dale's law upon a matrix."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require

__all__ = ["gaussian_weights", "obey_dale", "orthogonal_matrix"]


def gaussian_weights(
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


def orthogonal_matrix(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw an (n, n) orthogonal matrix from Haar measure.

    It is the orthogonal factor of a Gaussian draw, with signs by which the other factor
    has a positive diagonal (Mezzadri 2007, arXiv:math-ph/0609050).
    """
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def obey_dale(
    w_rec: np.ndarray, signs: np.ndarray, balanced: bool = True
) -> np.ndarray:
    """Give the columns of a matrix the signs of their neurons.

    Entries become |w_ij| s_j. If `balanced`, inhibitory columns are scaled so that
    excitation and inhibition cancel on average, and the whole to the Frobenius norm
    that it had. Columns of sign 0 keep their entries.

    Parameters
    ----------
    w_rec : (n, n) array
        Weights (post, pre).
    signs : (n,) array
        1, -1 or 0 per presynaptic neuron.
    balanced
        Whether inhibition is made as strong as excitation.
    """
    signed = np.where(signs == 0, w_rec, np.abs(w_rec) * signs)
    if not balanced:
        return signed
    excitation = signed[:, signs > 0].sum()
    inhibition = -signed[:, signs < 0].sum()
    if excitation > 0 and inhibition > 0:
        signed[:, signs < 0] *= excitation / inhibition
    norm = np.linalg.norm(signed)
    return signed * (np.linalg.norm(w_rec) / norm) if norm > 0 else signed
