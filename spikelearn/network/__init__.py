"""Cells, readout, connectivity and the recurrent network that joins them."""

from spikelearn.network.cells import ALIF, CELLS, LIF, LeakyRate, Surrogate
from spikelearn.network.model import RecurrentNetwork
from spikelearn.network.params import Params
from spikelearn.network.readout import LeakyReadout
from spikelearn.network.record import AnyRecord, CheckpointedRecord, Record

__all__ = [
    "ALIF",
    "CELLS",
    "LIF",
    "AnyRecord",
    "CheckpointedRecord",
    "LeakyRate",
    "LeakyReadout",
    "Params",
    "Record",
    "RecurrentNetwork",
    "Surrogate",
]
