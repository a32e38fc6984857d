"""What plasticity beside a learning rule is, and what has to be known where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from spikelearn.network import RecurrentNetwork

__all__ = ["PlasticityTerm", "TermInfo"]


@dataclass(frozen=True)
class TermInfo:
    """What a term is, and what has to be known where."""

    name: str
    synapse: str
    neuron: str
    network: str
    reference: str


class PlasticityTerm(Protocol):
    """A change of weights beside the learning rule."""

    info: ClassVar[TermInfo]

    def displacement(
        self, network: RecurrentNetwork, output: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return what is to be added to parameters, by name."""
