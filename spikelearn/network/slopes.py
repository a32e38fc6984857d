"""Derivatives of the outputs of a recorded network."""

from __future__ import annotations

import numpy as np

from spikelearn.kernels.rate import slopes
from spikelearn.kernels.surrogate import pseudo_derivatives
from spikelearn.network.model import RecurrentNetwork
from spikelearn.network.record import Record

__all__ = ["output_slopes"]


def output_slopes(network: RecurrentNetwork, record: Record) -> np.ndarray:
    """Return psi or f' of every neuron at every step, (T, B, n_rec).

    For spiking cells it is the pseudo-derivative dz/dv (0 while refractory), for rate
    units the derivative of the activation.
    """
    cell = network.cell_constants
    distance = np.ascontiguousarray(record.distance)
    psi = np.empty_like(distance)
    for index in np.ndindex(distance.shape[:2]):
        if network.spiking:
            constants = (cell.height, cell.inverse_width)
            code = cell.surrogate
            pseudo_derivatives(code, distance[index], *constants, psi[index])
        else:
            slopes(cell.activation, distance[index], psi[index])
    return psi
