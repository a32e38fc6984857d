"""Measured connectomes, which spikelearn ships (`data/connectomes/LICENSES.txt`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.connectivity.base import Connectivity, Family, Ports, number
from spikelearn.connectivity.cell_types import cell_types
from spikelearn.connectivity.stored import CONNECTOMES, read_connectome
from spikelearn.errors import require, unknown_name

__all__ = ["connectome"]

METHODS = ("auto", "subsample", "block")


@dataclass(frozen=True)
class connectome(Family):
    """A measured connectome, for any number of neurons.

    "celegans": counts of chemical synapses between the 302 neurons of the hermaphrodite
    *C. elegans* (Cook et al. 2019, doi:10.1038/s41586-019-1352-7). Signs of most
    synapses are not known. By convention of ours the 26 GABAergic neurons
    (McIntire et al. 1993, doi:10.1038/364337a0) are inhibitory and all others
    excitatory; `inhibitory` draws so large a fraction of neurons at random instead. Gap
    junctions, if asked for, are positive and add up with synapses; a neuron then obeys
    no sign, unless it is excitatory.

    "optic_lobe": signed numbers of synapses between 65 cell types of *Drosophila*, onto
    one cell from all cells of a type (Lappalainen et al. 2024,
    doi:10.1038/s41586-024-07939-3; reconstructed by Takemura et al. 2015,
    doi:10.1073/pnas.1509820112, and Shinomiya et al. 2019, doi:10.7554/eLife.40025).

    "potjans_diesmann": the eight populations of a cortical column (Potjans & Diesmann
    2014, doi:10.1093/cercor/bhs358), drawn as `cell_types`.

    Weights are the counts times the factor that makes the Frobenius norm gain sqrt(n).
    Self-connections are left out.

    Parameters
    ----------
    name
        One of the three names.
    method
        "subsample" draws n of the nodes and keeps what is among them; "block" makes
        every node a block of about equally many neurons, and divides its weights by the
        size of the presynaptic block, so that what arrives stays the same. "auto"
        subsamples if n is at most the number of nodes.
    inhibitory
        Fraction of inhibitory neurons ("celegans"); None: the GABAergic ones.
    gap_junctions
        Whether gap junctions are added ("celegans"). A few pairs have so many that they
        set the norm.
    gain
        Frobenius norm in units of sqrt(n).

    Raises
    ------
    UnknownName, InvalidValue
        If there is no such connectome, or an option is not for it; at the draw, if n
        does not suit the method.
    """

    texts = ("name", "method")

    name: str
    method: str = "auto"
    inhibitory: float | None = None
    gap_junctions: bool = False
    gain: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in CONNECTOMES:
            raise unknown_name("connectome", self.name, CONNECTOMES)
        where, rule = "connectome.method", f"must be one of {METHODS}"
        require(self.method in METHODS, where, rule, self.method)
        good = isinstance(self.gap_junctions, bool)
        rule = "must be True or False"
        require(good, "connectome.gap_junctions", rule, self.gap_junctions)
        good = number(self.gain) and self.gain >= 0
        require(good, "connectome.gain", "must be finite and >= 0", self.gain)
        if self.inhibitory is not None:
            good = number(self.inhibitory) and 0 <= self.inhibitory <= 1
            where, rule = "connectome.inhibitory", "must be in [0, 1]"
            require(good, where, rule, self.inhibitory)
        asked = self.inhibitory is not None or self.gap_junctions
        where = f"connectome({self.name!r})"
        rule = "must be used without inhibitory and gap_junctions"
        hint = "They are for 'celegans', whose signs are not known."
        good = self.name == "celegans" or not asked
        require(good, where, rule, str(self), hint)
        typed = CONNECTOMES[self.name] == "cell types"
        rule, hint = "must be drawn with method='auto'", "It is a table of cell types."
        require(not typed or self.method == "auto", where, rule, self.method, hint)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        if CONNECTOMES[self.name] == "cell types":
            return cell_types(self.name, self.gain).draw(n, rng)
        values = read_connectome(self.name)
        names = values["nodes"]
        counts, signs = self._counts(values, rng)
        method = self.method
        if method == "auto":
            method = "subsample" if n <= len(names) else "block"
        if method == "subsample":
            rule = f"must be at most {len(names)} to subsample {self.name!r}"
            hint = "Larger networks: method='block'."
            require(n <= len(names), "connectome.n", rule, n, hint)
            kind = np.sort(rng.choice(len(names), n, replace=False))
            share = np.ones(n)
        else:
            rule = f"must be at least {len(names)}, the nodes of {self.name!r}"
            hint = "Smaller networks: method='subsample'."
            require(n >= len(names), "connectome.n", rule, n, hint)
            kind = np.sort(np.arange(n) % len(names))
            share = np.bincount(kind)[kind].astype(np.float64)
        weights = counts[np.ix_(kind, kind)] / share
        np.fill_diagonal(weights, 0.0)
        norm = np.linalg.norm(weights)
        rule, hint = "must give connections", "Draw more neurons."
        require(norm > 0, f"connectome({self.name!r})", rule, "none", hint)
        return Connectivity(
            weights * (self.gain * np.sqrt(n) / norm),
            weights != 0,
            signs[kind],
            cell_types=kind,
            type_names=tuple(names),
        )

    def _counts(
        self, values: dict[str, Any], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return signed counts (post, pre) of all nodes, and the signs of nodes."""
        names = values["nodes"]
        counts = _matrix(values["synapses"], len(names))
        if "inhibitory" not in values:  # the counts have signs
            positive, negative = (counts > 0).any(axis=0), (counts < 0).any(axis=0)
            return counts, positive.astype(int) - negative.astype(int)
        inhibitory = np.isin(names, values["inhibitory"])
        if self.inhibitory is not None:
            some = round(self.inhibitory * len(names))
            inhibitory = rng.permutation(len(names)) < some
        signs = np.where(inhibitory, -1, 1)
        counts = counts * signs
        if self.gap_junctions:
            gaps = _matrix(values["gap_junctions"], len(names))
            counts = counts + gaps + np.triu(gaps, 1).T
            signs = np.where(inhibitory, 0, 1)
        return counts, signs


def _matrix(triples: list[list[float]], n: int) -> np.ndarray:
    post, pre, count = np.array(triples, np.float64).T
    matrix = np.zeros((n, n))
    matrix[post.astype(int), pre.astype(int)] = count
    return matrix
