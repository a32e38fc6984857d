"""Graphs in which pairs of connections occur together more often than by chance."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from spikelearn.connectivity.base import Connectivity, Family, Ports, number
from spikelearn.connectivity.masks import no_self_connections
from spikelearn.errors import require

__all__ = ["motif_excess", "motifs"]

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(40)
HALVINGS = 60


def motif_excess(mask: np.ndarray) -> dict[str, float]:
    """Return how much more often two connections occur together than by chance.

    alpha = P(both) / density^2 - 1 for i <- j and i -> j (reciprocal), i <- j <- k
    (chain), j -> i <- k (convergent), j <- i -> k (divergent) with different neurons,
    as Zhao et al. 2011 (doi:10.3389/fncom.2011.00028) define it. 0 for an empty graph.
    """
    a = np.where(no_self_connections(len(mask)), mask, False).astype(np.float64)
    n = len(a)
    density = float(a.sum()) / max(n * (n - 1), 1)
    back = float(np.sum(a * a.T))
    come, go = a.sum(axis=1), a.sum(axis=0)
    triples = max(n * (n - 1) * (n - 2), 1)
    both = {
        "reciprocal": back / max(n * (n - 1), 1),
        "chain": (float(np.sum(come * go)) - back) / triples,
        "convergent": float(np.sum(come * (come - 1))) / triples,
        "divergent": float(np.sum(go * (go - 1))) / triples,
    }
    return {k: v / density**2 - 1 if density > 0 else 0.0 for k, v in both.items()}


@dataclass(frozen=True)
class motifs(Family):
    """A second-order network: chosen frequencies of pairs of connections.

    A connection exists where a Gaussian number is large, as in Zhao et al. 2011
    (doi:10.3389/fncom.2011.00028):

        w_ij exists if z_ij = a_i + b_j + c_ij > t,   P(z > t) = density

    with cov(a_i, a_i) for two connections onto a neuron (convergent), cov(b_j, b_j) for
    two from a neuron (divergent), cov(a_i, b_i) for one onto and one from it (chain),
    and 2 cov(a_i, b_i) + cov(c_ij, c_ji) for both ways (reciprocal). The covariance of
    each pair is the one for which

        P(both) = density^2 (1 + alpha)

    and alpha is the parameter of that name; with all alpha 0 it is `erdos_renyi`.
    Entries that exist are N(0, gain^2 / (density n)). What came out is `motif_excess`
    of the mask.

    Raises
    ------
    InvalidValue
        If an alpha cannot be had at this density, alone or with the others; the message
        names the range.
    """

    reciprocal: float = 0.0
    chain: float = 0.0
    convergent: float = 0.0
    divergent: float = 0.0
    density: float = 0.1
    gain: float = 1.0

    def __post_init__(self) -> None:
        good = number(self.density) and 0 < self.density < 1
        require(good, "motifs.density", "must be in (0, 1)", self.density)
        good = number(self.gain) and self.gain >= 0
        require(good, "motifs.gain", "must be finite and >= 0", self.gain)
        self._covariances()

    def _covariances(self) -> dict[str, float]:
        """Return the covariance of z for every pair, refusing what is impossible."""
        most = 1 / self.density - 1
        lowest = {"reciprocal": -1.0, "chain": -1.0}
        found = {}
        for name in ("reciprocal", "chain", "convergent", "divergent"):
            value, low = getattr(self, name), lowest.get(name, 0.0)
            low = max(low, _excess(-1.0, self.density))
            where = f"motifs.{name}"
            rule = f"must be in [{low:.3g}, {most:.3g}] at density {self.density:g}"
            good = number(value) and low <= value <= most
            require(good, where, rule, value)
            found[name] = _covariance(value, self.density)
        shared = found["convergent"] + found["divergent"]
        where = "motifs.convergent and divergent"
        rule = f"must have covariances with a sum <= 1 at density {self.density:g}"
        require(shared <= 1, where, rule, shared, "Lower one of them.")
        bound = float(np.sqrt(found["convergent"] * found["divergent"]))
        low, high = (_excess(sign * bound, self.density) for sign in (-1, 1))
        rule = f"must be in [{low:.3g}, {high:.3g}] with this convergent and divergent"
        good = abs(found["chain"]) <= bound + 1e-12
        hint = "Neurons on chains have many connections in and out: raise these."
        require(good, "motifs.chain", rule, self.chain, hint)
        rest = 1 - shared
        middle = 2 * found["chain"]
        low, high = (
            _excess(float(np.clip(middle + sign * rest, -1, 1)), self.density)
            for sign in (-1, 1)
        )
        rule = f"must be in [{low:.3g}, {high:.3g}] with the other motifs"
        good = abs(found["reciprocal"] - middle) <= rest + 1e-12
        require(good, "motifs.reciprocal", rule, self.reciprocal)
        return found

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        found = self._covariances()
        weights = self.gain * rng.standard_normal((n, n)) / np.sqrt(self.density * n)
        a, b = rng.standard_normal((2, n))
        on, off = np.sqrt(found["convergent"]), np.sqrt(found["divergent"])
        along = found["chain"] / (on * off) if found["chain"] else 0.0
        b = along * a + np.sqrt(max(1 - along**2, 0.0)) * b
        rest = max(1 - found["convergent"] - found["divergent"], 0.0)
        back = found["reciprocal"] - 2 * found["chain"]
        same = float(np.clip(back / rest, -1, 1)) if rest > 0 else 0.0
        c = rng.standard_normal((n, n))
        upper, lower = np.triu(c, 1), np.tril(c, -1).T
        other = same * upper + np.sqrt(1 - same**2) * lower
        z = on * a[:, None] + off * b[None, :] + np.sqrt(rest) * (upper + other.T)
        threshold = NormalDist().inv_cdf(1 - self.density)
        mask = (z > threshold) & no_self_connections(n)
        return Connectivity(np.where(mask, weights, 0.0), mask)


def _excess(covariance: float, density: float) -> float:
    """Return alpha of two standard Gaussian numbers with a covariance.

    P(both > t) = p^2 + 1 / 2 pi int_0^asin(c) exp(-t^2 / (1 + sin x)) dx
    """
    t = NormalDist().inv_cdf(1 - density)
    end = np.arcsin(covariance)
    x = end * (NODES + 1) / 2
    with np.errstate(divide="ignore"):
        inside = np.exp(-(t**2) / np.maximum(1 + np.sin(x), 1e-300))
    integral = end / 2 * float(np.sum(NODE_WEIGHTS * inside))
    return float(integral / (2 * np.pi) / density**2) + 0.0  # no -0


def _covariance(alpha: float, density: float) -> float:
    """Return the covariance that gives alpha, by bisection."""
    if alpha == 0:
        return 0.0
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _excess(middle, density) < alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2
