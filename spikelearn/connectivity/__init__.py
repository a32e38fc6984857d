"""Connectivity: families of recurrent matrices in one vocabulary, masks, matching.

    made = connectivity.low_rank(rank=1, gain=1.5).draw(300, rng=0)
    network = RecurrentNetwork(3, 300, 2, **made.structure())
    network.initialise(0, w_rec=made.weights)

A family is a specification with a text form, `parse(str(family)) == family`; its draw
is a `Connectivity`.
"""

from spikelearn.connectivity.base import Connectivity, Family, Ports, delayed, masked
from spikelearn.connectivity.cell_types import TypeTable, cell_types
from spikelearn.connectivity.connectomes import connectome
from spikelearn.connectivity.dense import (
    aligned_low_rank,
    gaussian,
    lognormal,
    low_rank,
    orthogonal,
)
from spikelearn.connectivity.masks import no_self_connections, random_mask, stack
from spikelearn.connectivity.matching import MATCHES, match
from spikelearn.connectivity.motifs import motif_excess, motifs
from spikelearn.connectivity.nulls import (
    NULLS,
    degree_preserving,
    shuffle,
    spectrum_matched,
)
from spikelearn.connectivity.sparse import dale, erdos_renyi
from spikelearn.connectivity.spectrum import eigenvalues, spectral_radius
from spikelearn.connectivity.stored import CONNECTOMES
from spikelearn.connectivity.text import parse_with
from spikelearn.connectivity.weights import gaussian_weights, obey_dale

__all__ = [
    "CONNECTOMES",
    "FAMILIES",
    "MATCHES",
    "NULLS",
    "Connectivity",
    "Family",
    "Ports",
    "TypeTable",
    "aligned_low_rank",
    "cell_types",
    "connectome",
    "dale",
    "degree_preserving",
    "delayed",
    "eigenvalues",
    "erdos_renyi",
    "gaussian",
    "gaussian_weights",
    "lognormal",
    "low_rank",
    "masked",
    "match",
    "motif_excess",
    "motifs",
    "no_self_connections",
    "obey_dale",
    "orthogonal",
    "parse",
    "random_mask",
    "shuffle",
    "spectral_radius",
    "spectrum_matched",
    "stack",
]

FAMILIES: dict[str, type[Family]] = {
    family.__name__: family
    for family in (
        gaussian,
        orthogonal,
        low_rank,
        aligned_low_rank,
        lognormal,
        erdos_renyi,
        dale,
        cell_types,
        motifs,
        connectome,
        masked,
        delayed,
        *NULLS,
    )
}


def parse(text: str) -> Family:
    """Return the family that a text describes, such as `low_rank(rank=1)`.

    Raises
    ------
    UnknownName
        If a family or one of its parameters is unknown, with a suggestion.
    InvalidValue
        If the text is anything but calls of families with literals, or a value is
        wrong.
    """
    return parse_with(text, FAMILIES)
