"""Null models: what is left of a family when all but one property is random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikelearn.connectivity.base import Connectivity, Family, Ports, require_family
from spikelearn.connectivity.masks import no_self_connections
from spikelearn.connectivity.weights import orthogonal_matrix
from spikelearn.errors import require

__all__ = ["NULLS", "degree_preserving", "shuffle", "spectrum_matched"]

SWAPS = 10  # attempts per connection


@dataclass(frozen=True)
class shuffle(Family):
    """A family whose entries stand at random places.

    Kept: the numbers themselves, so the norm and the density. Lost: who reaches whom.
    Entries move over all places but the diagonal, over that too if the family has
    self-connections. With Dale's law they move among the columns of one sign.
    """

    base: Family

    def __post_init__(self) -> None:
        require_family("shuffle.base", self.base)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        stream = rng.spawn(1)[0]
        places = no_self_connections(n) | bool(made.mask.diagonal().any())
        weights, mask = made.weights.copy(), made.mask.copy()
        signs = np.zeros(n, int) if made.signs is None else made.signs
        for sign in np.unique(signs):
            group = np.nonzero(places & (signs == sign))
            order = stream.permutation(len(group[0]))
            for target, source in ((weights, made.weights), (mask, made.mask)):
                target[group] = source[group][order]
        return replace(made, weights=weights, mask=mask)


@dataclass(frozen=True)
class degree_preserving(Family):
    """A family whose connections are rewired, every neuron keeping its numbers.

    Kept: how many connections each neuron gets and gives, and the weights that it
    gives, so Dale's law and the norm. Lost: who reaches whom. Two connections j -> i
    and l -> k become j -> k and l -> i, ten times as often tried as there are
    connections (Maslov & Sneppen 2002, doi:10.1126/science.1065103); swaps that would
    double a connection or make a self-connection are left out, and existing
    self-connections stay.

    Raises
    ------
    InvalidValue
        At the draw, if every connection exists: nothing could be rewired.
    """

    base: Family

    def __post_init__(self) -> None:
        require_family("degree_preserving.base", self.base)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        off = no_self_connections(n)
        where, rule = "degree_preserving.base", "must leave out some connections"
        free = not made.mask[off].all()
        hint = "Dense matrices: shuffle or spectrum_matched."
        require(free, where, rule, str(self.base), hint)
        post, pre = np.nonzero(made.mask & off)
        rewired = _rewired(post, pre, rng.spawn(1)[0])
        weights, mask = np.where(off, 0.0, made.weights), made.mask & ~off
        weights[rewired, pre] = made.weights[post, pre]
        mask[rewired, pre] = True
        return replace(made, weights=weights, mask=mask)


def _rewired(post: np.ndarray, pre: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return new targets of the connections after swaps of targets."""
    targets, sources = post.tolist(), pre.tolist()
    if len(targets) < 2:
        return targets
    there = set(zip(targets, sources, strict=True))
    attempts = rng.integers(len(targets), size=(SWAPS * len(targets), 2))
    for first, second in attempts.tolist():
        i, j = targets[first], sources[first]
        k, l = targets[second], sources[second]
        if i == l or k == j or (k, j) in there or (i, l) in there:
            continue
        there -= {(i, j), (k, l)}
        there |= {(k, j), (i, l)}
        targets[first], targets[second] = k, i
    return targets


@dataclass(frozen=True)
class spectrum_matched(Family):
    """A family with its singular values, between random bases.

        W = U S V^T  becomes  P S Q^T   with random orthogonal P and Q (Haar measure)

    Kept: the singular values, so the Frobenius and operator norms, the rank and every
    effective rank made of them. Lost: the eigenvalues, the mask, signs and types. The
    singular values were chosen, not the eigenvalues, because a family is of low rank by
    them, and because a random matrix with the same eigenvalues *and* singular values is
    the old one in other coordinates, with the same linear dynamics.
    """

    base: Family

    def __post_init__(self) -> None:
        require_family("spectrum_matched.base", self.base)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        values = np.linalg.svd(made.weights, compute_uv=False)
        left, right = (orthogonal_matrix(n, stream) for stream in rng.spawn(2))
        dense = np.ones((n, n), bool)
        return Connectivity((left * values) @ right.T, dense, delay=made.delay)


NULLS = (shuffle, degree_preserving, spectrum_matched)
