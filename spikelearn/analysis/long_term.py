"""The Jacobian of many steps: its singular values, and the norm of gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.tangent import Jacobian, Linearised

__all__ = ["LongTermJacobian", "long_term_jacobian"]


@dataclass(frozen=True)
class LongTermJacobian:
    """How the Jacobian of many steps, restricted to k directions, is conditioned.

    Parameters
    ----------
    steps
        (n,) numbers of steps from the start.
    log_singular
        (n, B, k) logarithms of the singular values of D_(t-1) ... D_0 Q_0.
    gradient_norm
        (T + 1, B) norm of what comes back to the state of every step from the end,
        where it is 1.
    """

    steps: np.ndarray
    log_singular: np.ndarray
    gradient_norm: np.ndarray

    @property
    def log_condition(self) -> np.ndarray:
        """Logarithm of largest over smallest singular value, (n, B)."""
        return self.log_singular[..., 0] - self.log_singular[..., -1]


def long_term_jacobian(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int,
    *,
    jacobian: Jacobian | None = None,
    n_points: int = 20,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LongTermJacobian:
    """Return singular values of the product of Jacobians, and the norm of gradients.

    The product over the first t steps acts on k random orthonormal directions as
    Q_t R_t ... R_1, so that its singular values are those of the small matrices (with
    k = the whole state all of them). The gradient norm is that of D_t^T ... D_(T-1)^T p
    over that of p, with the readout weights times a random error on the voltages for p:
    what an error at the end tells of step t (Engelken 2023, arXiv:2312.17306).

    Parameters
    ----------
    n_points
        Numbers of steps, evenly spaced up to T, at which singular values are computed.

    The others, and the errors, are those of `lyapunov_spectrum`.
    """
    linearised = Linearised(network, jacobian or Jacobian())
    rng = np.random.default_rng(rng)
    n_steps, n_samples = x.shape[:2]
    vectors = linearised.start(n_samples, k, rng)
    record = network.run(x, threads=threads)
    tangents = linearised.run(record, vectors, keep=True, threads=threads)
    points = np.unique(np.linspace(n_steps, 1, min(n_points, n_steps)).astype(int))
    singular = np.empty((len(points), n_samples, k))
    for b in range(n_samples):
        singular[:, b] = _log_singular(tangents.r[b], points)
    norms = _gradient_norms(linearised, record, rng, threads)
    return LongTermJacobian(points, singular, norms)


def _log_singular(r: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return log singular values of R_t ... R_1 at the points, largest first.

    The product is kept at norm 1: values below 1e-16 of the largest are rounding.
    """
    product, scale = np.eye(len(r[0])), 0.0
    found = []
    for t, factor in enumerate(r, start=1):
        product = factor @ product
        size = np.linalg.norm(product)
        product, scale = product / size, scale + np.log(size)
        if t in points:
            values = np.linalg.svd(product, compute_uv=False)
            found.append(np.log(np.maximum(values, np.finfo(float).tiny)) + scale)
    return np.array(found)


def _gradient_norms(
    linearised: Linearised, record: Record, rng: np.random.Generator, threads: int
) -> np.ndarray:
    network = linearised.network
    gate, distance = linearised.gates(record, threads), record.trajectory.distance
    n_steps, n_samples, n_pad = record.n_steps, record.n_samples, gate.shape[-1]
    error = rng.standard_normal((n_samples, network.n_out))
    vectors = np.zeros((n_samples, 1, linearised.n_parts * n_pad))
    vectors[:, 0, : network.n_rec] = error @ network.params.w_out
    if not vectors.any():
        vectors[:, 0, : network.n_rec] = rng.standard_normal(network.n_rec)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    norms = np.empty((n_steps + 1, n_samples))
    norms[n_steps] = 1.0
    log_scale = np.zeros(n_samples)
    for t in range(n_steps - 1, -1, -1):
        vectors, _, _ = linearised.backwards(vectors, gate[:, t], distance[:, t])
        size = np.maximum(np.linalg.norm(vectors[:, 0], axis=-1), 1e-300)
        vectors = vectors / size[:, None, None]
        log_scale += np.log(size)
        norms[t] = np.exp(np.clip(log_scale, -700, 700))
    return norms
