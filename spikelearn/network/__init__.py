"""Cells, readout, connectivity and the recurrent network that joins them."""

from spikelearn.network.cells import ALIF, CELLS, LIF, LeakyRate, Surrogate
from spikelearn.network.model import Params, Record, RecurrentNetwork
from spikelearn.network.readout import LeakyReadout

__all__ = [
    "ALIF",
    "CELLS",
    "LIF",
    "LeakyRate",
    "LeakyReadout",
    "Params",
    "Record",
    "RecurrentNetwork",
    "Surrogate",
]
