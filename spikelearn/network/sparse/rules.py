"""Connection rules: which pairs of neurons have a synapse.

A rule yields pairs (pre, post) in pieces, numbered within the projection, such that the
targets of every presynaptic neuron come in ascending order. `own` is the place of the
first presynaptic neuron among the postsynaptic ones, or None if they are others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require

__all__ = ["PAIRS_AT_ONCE", "Bernoulli", "Explicit", "FixedIndegree", "Rule"]

PAIRS_AT_ONCE = 1 << 20

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FixedIndegree:
    """Every neuron receives exactly `n` synapses from random neurons.

    Presynaptic neurons are drawn with replacement, so that a pair may have more than
    one synapse.

    Parameters
    ----------
    n
        Synapses per postsynaptic neuron.
    self_connections
        Whether a neuron may project to itself.
    """

    n: int
    self_connections: bool = False

    def __post_init__(self) -> None:
        whole = isinstance(self.n, (int, np.integer)) and self.n >= 0
        require(whole, "FixedIndegree.n", "must be a whole number >= 0", self.n)

    def expected(self, n_pre: int, n_post: int) -> float:
        """Return the number of synapses."""
        return float(self.n) * n_post

    def pairs(
        self, n_pre: int, n_post: int, own: int | None, rng: np.random.Generator
    ) -> Pairs:
        """Yield (pre, post) in pieces, ascending in post."""
        own_range = (0, 0)  # of postsynaptic neurons that are presynaptic ones too
        if own is not None and not self.self_connections:
            own_range = (own, own + n_pre)
            where, rule = "FixedIndegree", "needs two presynaptic neurons or more"
            require(n_pre > 1 or self.n == 0, where, rule, n_pre)
        rows = max(PAIRS_AT_ONCE // max(self.n, 1), 1)
        edges = sorted({*range(0, n_post, rows), *own_range, n_post})
        for start, stop in itertools.pairwise(edges):
            post = np.repeat(np.arange(start, stop, dtype=np.uint32), self.n)
            inside = own_range[0] <= start < own_range[1]
            pre = rng.integers(0, n_pre - inside, post.size, np.uint32)
            if inside:
                pre += pre >= post - np.uint32(own_range[0])
            yield pre, post


@dataclass(frozen=True)
class Bernoulli:
    """Every pair of neurons has a synapse with probability `p`, independently.

    Parameters
    ----------
    p
        Probability.
    self_connections
        Whether a neuron may project to itself.
    """

    p: float
    self_connections: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.p <= 1, "Bernoulli.p", "must be from 0 to 1", self.p)

    def expected(self, n_pre: int, n_post: int) -> float:
        """Return the mean number of synapses, self-connections included."""
        return self.p * n_pre * n_post

    def pairs(
        self, n_pre: int, n_post: int, own: int | None, rng: np.random.Generator
    ) -> Pairs:
        """Yield (pre, post) in pieces, ascending in pre and then in post.

        The gaps between synapses, counted along the rows, are geometric variables.
        """
        if self.p == 0:
            return
        skip = own is not None and not self.self_connections
        n_cells, last = n_pre * n_post, -1
        size = int(min(self.p * n_cells + 100, PAIRS_AT_ONCE))
        while last < n_cells:
            cells = last + np.cumsum(rng.geometric(self.p, size))
            last = int(cells[-1])
            pre, post = np.divmod(cells[: np.searchsorted(cells, n_cells)], n_post)
            if skip:
                keep = post != pre + (own or 0)
                pre, post = pre[keep], post[keep]
            yield pre.astype(np.uint32), post.astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Explicit:
    """Given synapses from pre[k] to post[k], numbered within their populations.

    Parameters
    ----------
    pre, post
        Whole numbers of one shape (n,).
    """

    pre: np.ndarray
    post: np.ndarray

    def __post_init__(self) -> None:
        for name in ("pre", "post"):
            array = np.asarray(getattr(self, name))
            where = f"Explicit.{name}"
            good = array.ndim == 1 and array.dtype.kind in "iu"
            got = f"{array.dtype} {array.shape}"
            require(good, where, "must be a 1-d array of whole numbers", got)
            require(array.size == 0 or array.min() >= 0, where, "must be >= 0", array)
            object.__setattr__(self, name, array)
        same = self.pre.size == self.post.size
        require(same, "Explicit.post", f"must have length {self.pre.size}", self.post)

    def expected(self, n_pre: int, n_post: int) -> float:
        """Return the number of synapses."""
        return float(self.pre.size)

    def pairs(
        self, n_pre: int, n_post: int, own: int | None, rng: np.random.Generator
    ) -> Pairs:
        """Yield all pairs at once, ascending in pre and then in post."""
        for name, array, n in (("pre", self.pre, n_pre), ("post", self.post, n_post)):
            largest = int(array.max(initial=0))
            require(largest < n, f"Explicit.{name}", f"must be < {n} neurons", largest)
        order = np.lexsort((self.post, self.pre))
        yield self.pre[order].astype(np.uint32), self.post[order].astype(np.uint32)


Rule = FixedIndegree | Bernoulli | Explicit
