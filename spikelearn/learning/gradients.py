"""Gradients: the common currency of learning rules and plasticity terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Gradients", "global_norm"]


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
    squares = [float(np.sum(np.square(a, dtype=np.float64))) for a in arrays.values()]
    return float(np.sqrt(sum(squares)))
