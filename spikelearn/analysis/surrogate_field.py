"""The Jacobian of the surrogate gradient: what spiking cells have for a Hessian.

With g(w) the gradient of backpropagation through time with the pseudo-derivative,

    J v = (g(w + h v) - g(w - h v)) / (2 h),   h = step ||w|| / ||v||

g is not the derivative of a function, so that J need not be symmetric, and it jumps
where a spike comes or goes: a small step sees few jumps, each of them large. J v is
therefore an average over the step, and as noisy as few spikes are; `step` belongs to
the number. The same for rate units is a check of the Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.second_derivatives import check_finite, check_loss
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.learning.rules import BPTT
from spikelearn.learning.signals import LearningSignal
from spikelearn.memory import require_fits
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["STEP", "Krylov", "SurrogateField", "arnoldi", "asymmetry"]

STEP = 1e-2


class SurrogateField:
    """Jacobian of the surrogate gradient of one batch; the weights are those of now.

    Parameters
    ----------
    step
        Length of the step along a direction, relative to that of the weights.

    The other parameters, attributes and errors are those of `Hessian`, for any cell.
    """

    kind = "surrogate-field"
    symmetric = False

    def __init__(
        self,
        network: RecurrentNetwork,
        batch: Batch,
        loss: Loss,
        *,
        parameters: Sequence[str] = ("w_rec",),
        l2: float = 0.0,
        step: float = STEP,
        threads: int = 1,
    ) -> None:
        check_loss(loss, l2)
        require(0 < step < np.inf, "step", "must be > 0 and finite", step)
        self.network = in_float64(network)
        self.batch, self.loss, self.l2 = batch, loss, l2
        self.threads = threads
        self.coordinates = Coordinates(network, parameters)
        self.size = self.coordinates.size
        self.weights = self.coordinates.read(self.network)
        self.step = step * (float(np.linalg.norm(self.weights)) or 1.0)

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return g at some weights, (size,), with the gradient of l2/2 ||w||^2."""
        network, batch, rule = self.network, self.batch, BPTT()
        self.coordinates.write(network, weights)
        record = network.run(batch.x, threads=self.threads)
        check_finite(record.y)
        error = self.loss(record.y, batch.target, batch.mask).error
        signal = LearningSignal(error, network.params.w_out.T)
        found = rule.gradients(network, record, signal, self.threads)
        return self.coordinates.join(found.arrays()) + self.l2 * weights

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return J v, (size,), of a vector (size,)."""
        length = float(np.linalg.norm(vector))
        if length == 0:
            return np.zeros(self.size)
        h = self.step / length
        ahead = self.gradient(self.weights + h * vector)
        result: np.ndarray = (ahead - self.gradient(self.weights - h * vector)) / (
            2 * h
        )
        return result


@dataclass(frozen=True)
class Krylov:
    """What Arnoldi's method finds in m products.

    Attributes
    ----------
    values
        Ritz values, complex, (m,).
    vectors
        Their vectors of length 1, (size, m).
    singular
        Largest singular value of the projected matrix, a lower bound of ||J||.
    products
        m.
    """

    values: np.ndarray
    vectors: np.ndarray
    singular: float
    products: int


def arnoldi(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, most: int
) -> Krylov:
    """Approximate the outer eigenvalues of any matrix from `most` of its products.

        J Q_m = Q_(m+1) H_m,   Q orthonormal, beginning with `start`

    (Arnoldi 1951, doi:10.1090/qam/42792.) Eigenvalues of H_m are Ritz values.

    Parameters
    ----------
    product
        v -> J v.
    start : (size,) array
        First direction, not 0.
    most
        Largest number of products; fewer, where the space is closed before.

    Raises
    ------
    InvalidValue
        If memory does not suffice for the directions.
    """
    size = start.size
    most = min(most, size)
    n_bytes = 8 * size * (most + 1)
    require_fits(n_bytes, "Arnoldi's method", 8 * size, most + 1, "directions")
    q, h = np.zeros((most + 1, size)), np.zeros((most + 1, most))
    q[0] = start / np.linalg.norm(start)
    for m in range(most):
        w = product(q[m])
        scale = float(np.linalg.norm(w))
        for _ in range(2):  # once more removes what rounding has left
            along = q[: m + 1] @ w
            w = w - along @ q[: m + 1]
            h[: m + 1, m] += along
        h[m + 1, m] = np.linalg.norm(w)
        if h[m + 1, m] <= 1e-12 * scale:
            break
        q[m + 1] = w / h[m + 1, m]
    n = m + 1
    values, small = np.linalg.eig(h[:n, :n])
    singular = float(np.linalg.svd(h[: n + 1, :n], compute_uv=False)[0])
    return Krylov(values, q[:n].T @ small, singular, n)


def asymmetry(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    rng: np.random.Generator,
    n_vectors: int = 8,
) -> float:
    """Estimate ||J - J^T||_F / ||J + J^T||_F from random directions.

    It is 0 for a symmetric matrix and about 1 for independent entries. For Gaussian u
    and v, E (u^T J v - v^T J u)^2 = ||J - J^T||_F^2, and likewise with +.
    """
    vectors = rng.standard_normal((n_vectors, size))
    across = vectors @ np.stack([product(v) for v in vectors], axis=1)
    pairs = np.triu_indices(n_vectors, 1)
    odd, even = (across - across.T)[pairs], (across + across.T)[pairs]
    total = float(np.linalg.norm(even))
    return float(np.linalg.norm(odd)) / total if total else 0.0
