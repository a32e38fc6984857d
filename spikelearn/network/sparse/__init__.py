"""Large sparse networks: cells, populations, connection rules, and their simulation."""

from spikelearn.network.sparse.network import SparseNetwork
from spikelearn.network.sparse.rules import Bernoulli, Explicit, FixedIndegree
from spikelearn.network.sparse.specs import (
    CubaLIF,
    DeltaLIF,
    PoissonDrive,
    Population,
    Projection,
)
from spikelearn.network.sparse.spikes import Spikes

__all__ = [
    "Bernoulli",
    "CubaLIF",
    "DeltaLIF",
    "Explicit",
    "FixedIndegree",
    "PoissonDrive",
    "Population",
    "Projection",
    "SparseNetwork",
    "Spikes",
]
