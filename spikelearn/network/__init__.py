"""Cells, readout, connectivity and the recurrent network that joins them."""

from spikelearn.network.cells import ALIF, CELLS, LIF, LeakyRate, Surrogate
from spikelearn.network.model import RecurrentNetwork
from spikelearn.network.params import Params
from spikelearn.network.readout import LeakyReadout
from spikelearn.network.record import AnyRecord, CheckpointedRecord, Record
from spikelearn.network.sparse import (
    Bernoulli,
    CubaLIF,
    DeltaLIF,
    Explicit,
    FixedIndegree,
    PoissonDrive,
    Population,
    Projection,
    SparseNetwork,
    Spikes,
)

__all__ = [
    "ALIF",
    "CELLS",
    "LIF",
    "AnyRecord",
    "Bernoulli",
    "CheckpointedRecord",
    "CubaLIF",
    "DeltaLIF",
    "Explicit",
    "FixedIndegree",
    "LeakyRate",
    "LeakyReadout",
    "Params",
    "PoissonDrive",
    "Population",
    "Projection",
    "Record",
    "RecurrentNetwork",
    "SparseNetwork",
    "Spikes",
    "Surrogate",
]
