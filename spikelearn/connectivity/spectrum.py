"""The eigenvalues of recurrent weights."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require

__all__ = ["eigenvalues", "spectral_radius"]


def eigenvalues(w_rec: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a recurrent matrix, largest modulus first.

    Entries N(0, g^2 / n) put them in a disc of radius g as n grows (circular law,
    doi:10.1214/10-AOP534).

    Parameters
    ----------
    w_rec : (n, n) array
        Recurrent weights, (post, pre).

    Returns
    -------
    (n,) complex128 array

    Raises
    ------
    InvalidValue
        If the matrix is not square or not finite.
    """
    w_rec = np.asarray(w_rec, np.float64)
    square = w_rec.ndim == 2 and w_rec.shape[0] == w_rec.shape[1] > 0
    require(square, "eigenvalues.w_rec", "must have shape (n, n)", w_rec.shape)
    finite = bool(np.isfinite(w_rec).all())
    require(finite, "eigenvalues.w_rec", "must be finite", "NaN or infinity")
    values = np.linalg.eigvals(w_rec).astype(np.complex128)
    return values[np.argsort(-np.abs(values), kind="stable")]


def spectral_radius(w_rec: np.ndarray) -> float:
    """Return max |lambda| over the eigenvalues of a recurrent matrix.

    Raises
    ------
    InvalidValue
        If the matrix is not square or not finite.
    """
    return float(np.abs(eigenvalues(w_rec)[0]))
