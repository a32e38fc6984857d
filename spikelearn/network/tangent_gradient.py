"""The exact derivative of exponents with respect to weights: a reverse sweep."""

from __future__ import annotations

import numpy as np

from spikelearn.network.model import RecurrentNetwork
from spikelearn.network.record import Record
from spikelearn.network.tangent import Linearised, TangentRecord

__all__ = ["exact_gradient"]


def exact_gradient(
    linearised: Linearised,
    record: Record,
    first: np.ndarray,
    tangents: TangentRecord,
    weights: np.ndarray,
) -> np.ndarray:
    """Return the derivative of sum_b weights_b lambda_b, (n_rec, n_rec) float64.

    One reverse sweep through D Q = Q' R (Liao et al. 2019,
    doi:10.1103/PhysRevX.9.031041), and for rate units with f inside of the leak through
    the trajectory too, on which f' depends.

    Parameters
    ----------
    first : (B, k, size) array
        The vectors before the first step.
    tangents
        What they did, with `kept` and `r`.
    """
    network = linearised.network
    n, (n_samples, n_steps) = network.n_rec, tangents.kept.shape[:2]
    gate, distance = linearised.gates(record), record.trajectory.distance
    n_pad = gate.shape[-1]
    follows = not network.spiking and not linearised.linear.outside
    bend = _bend(network, distance) if follows else None
    scale = weights / (n_steps * n_samples)
    back = np.zeros(first.shape)
    state = np.zeros((n_samples, 1, first.shape[-1]))
    total = np.zeros((n, n))
    for t in range(n_steps - 1, -1, -1):
        after, r = tangents.kept[:, t], tangents.r[:, t]
        before = tangents.kept[:, t - 1] if t else first
        back = _through_qr(back, after, r, scale)
        now, old = gate[:, t], distance[:, t]
        back, arriving, sent = linearised.backwards(back, now, old)
        v = before[..., :n_pad]
        g = v
        if not linearised.linear.outside:
            change = v
            if linearised.linear.at_a:
                at = linearised.linear.at_a
                change = v - linearised.linear.beta * before[..., at : at + n_pad]
            g = now[:, None, :] * change
        total += arriving[..., :n].reshape(-1, n).T @ g[..., :n].reshape(-1, n)
        if bend is not None:
            state, into, _ = linearised.backwards(state, now, old)
            output = record.trajectory.output[:, t, :n]
            total += into[:, 0, :n].T @ output
            state[:, 0, :n_pad] += bend[:, t] * np.sum(sent * v, axis=1)
    return total


def _through_qr(
    back: np.ndarray, q: np.ndarray, r: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return dL/dA of A = Q R, of dL/dQ and dL/dR = diag(scale / R); rows: vectors."""
    inverse = np.linalg.inv(r)
    diagonal = np.zeros(r.shape)
    index = np.arange(r.shape[-1])
    diagonal[:, index, index] = scale / r[:, index, index]
    m = r @ diagonal.transpose(0, 2, 1) - back @ q.transpose(0, 2, 1)
    low = np.tril(m)
    both = low + np.tril(m, -1).transpose(0, 2, 1)
    changed = back + both @ q
    result: np.ndarray = inverse @ changed
    return result


def _bend(network: RecurrentNetwork, u: np.ndarray) -> np.ndarray | None:
    """Return f''(u), or None where it is 0."""
    activation = getattr(network.cell, "activation", "relu")
    if activation == "tanh":
        f = np.tanh(u)
        return -2.0 * f * (1.0 - f**2)
    if activation == "softplus":
        f = 1.0 / (1.0 + np.exp(-u))
        return f * (1.0 - f)
    return None
