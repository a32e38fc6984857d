"""Gradients: the common currency of learning rules and plasticity terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.optimizers import sum_of_squares

__all__ = ["Gradients", "as_rows", "global_norm"]


@dataclass(frozen=True)
class Gradients:
    """Gradient of the loss, one array per parameter in the convention (post, pre).

    `w_in` (n_rec, n_in), `w_rec` (n_rec, n_rec), `w_out` (n_out, n_rec), `b_out`
    (n_out,), `bias` (n_rec,). Terms add up: `a + b`.
    """

    w_in: np.ndarray
    w_rec: np.ndarray
    w_out: np.ndarray
    b_out: np.ndarray
    bias: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return dict(vars(self))

    def __add__(self, other: Gradients) -> Gradients:
        mine, theirs = self.arrays(), other.arrays()
        return Gradients(**{name: mine[name] + theirs[name] for name in mine})


def global_norm(arrays: dict[str, np.ndarray]) -> float:
    """Return the Euclidean norm of all entries together, summed in float64."""
    rows = [as_rows(array, array) for array in arrays.values()]
    return float(np.sqrt(sum(sum_of_squares(a.shape[1], a) for a in rows)))


def as_rows(array: np.ndarray, like: np.ndarray, copy: bool = True) -> np.ndarray:
    """Return an array as the matrix that the kernels of optimisers read.

    Matrices whose first axis is the inner one, as weights in the convention (post, pre)
    are, come transposed: all arrays of a step have to be laid out like the weights.
    Where an array is not, or is of another dtype, a copy will do if it is only read.

    Raises
    ------
    InvalidValue
        If it would have to be a copy and must not be.
    """
    if array.ndim == 2:
        rows = array.T if like.strides[0] < like.strides[1] else array
    else:
        rows = array.reshape(1, -1)
    if rows.dtype == like.dtype and rows.strides[1] == rows.itemsize:
        return rows
    rule = f"must be {like.dtype} with neighbouring entries, as its weights"
    require(copy, "array of an optimiser", rule, f"{array.dtype}, {array.strides}")
    return np.ascontiguousarray(rows, like.dtype)
