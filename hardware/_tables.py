"""A description laid out as the kernels read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hardware.description import (
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    Neurons,
    TernaryParameters,
)
from hardware.kernels import neuron as kernels

__all__ = ["Tables", "chip_mantissas", "make_tables"]

CHIP_WEIGHT_MAX = 2**15 - 1  # in units of 64: 2**21 - 64


class Tables(NamedTuple):
    """The arguments of `kernels.run_samples` that come from the description."""

    synapses: kernels.Synapses
    neurons: np.ndarray
    readout: np.ndarray
    constants: kernels.Constants


def make_tables(description: NetworkDescription, chip: bool) -> Tables:
    """Lay a description out; with `chip` as emulators of Loihi 1 see it."""
    w_in, w_rec, w_out = description.w_in, description.w_rec, description.w_out
    cell, out = description.neurons, description.readout
    readout = np.zeros((2, description.n_out), np.int64)
    readout[0] = out.dv
    readout[1] = out.bias_mant << out.bias_exp
    weights = [chip_mantissas(w) if chip else w.weights for w in (w_in, w_rec, w_out)]
    exponents = [0 if chip else w.exponent for w in (w_in, w_rec, w_out)]
    synapses = kernels.Synapses(
        weights=_stacked(weights[:2]),
        delays=_delays(w_in, w_rec),
        w_out=_stacked(weights[2:]),
        delays_out=_delays(w_out),
    )
    lif = cell if isinstance(cell, NeuronParameters) else None
    constants = kernels.Constants(
        family=kernels.CHIP if chip else _family(cell),
        exponent_in=exponents[0],
        exponent_rec=exponents[1],
        exponent_out=exponents[2],
        delayed_in=w_in.delays is not None,
        delayed_rec=w_rec.delays is not None,
        delayed_out=w_out.delays is not None,
        ring=max(w_in.longest_delay, w_rec.longest_delay) + 1,
        ring_out=w_out.longest_delay + 1,
        subtract=lif is not None and lif.reset == "subtract",
        reset_interval=0 if lif is None else lif.reset_interval,
        reset_offset=0 if lif is None else lif.reset_offset,
    )
    return Tables(synapses, _neurons(cell, description.n_rec), readout, constants)


def chip_mantissas(connection: Connection) -> np.ndarray:
    """Return weights in units of 64 as a chip holds them, int16 `(post, pre)`.

    Each is `floor(w * 2**exponent)`, that is shifted by exponent and 6 bits, with the
    six lowest bits dropped, and clipped to +-(2**21 - 64).
    """
    weights, exponent = connection.weights.astype(np.int64), connection.exponent
    shifted = weights << exponent if exponent >= 0 else weights >> -exponent
    return np.clip(shifted, -CHIP_WEIGHT_MAX, CHIP_WEIGHT_MAX).astype(np.int16)


def _delays(*connections: Connection) -> np.ndarray:
    """Stack the delays `[pre, post]`; nothing if no block has any."""
    if all(each.delays is None for each in connections):
        return np.zeros((0, 0), np.uint8)
    parts = [
        np.zeros(each.weights.shape, np.uint8) if each.delays is None else each.delays
        for each in connections
    ]
    return _stacked(parts)


def _stacked(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return blocks `(post, pre)` as one array `[pre, post]`, rows contiguous."""
    return np.ascontiguousarray(np.concatenate([block.T for block in blocks]))


def _family(cell: Neurons) -> int:
    if isinstance(cell, NeuronParameters):
        return kernels.PLAIN if cell.plain_lif else kernels.ADAPTIVE
    return kernels.TERNARY if isinstance(cell, TernaryParameters) else kernels.ATRLIF


def _neurons(cell: Neurons, size: int) -> np.ndarray:
    """Fill the rows of the neuron table that the family reads."""
    table = np.zeros((kernels.N_ROWS, size), np.int32)
    table[kernels.BIAS] = cell.bias_mant << cell.bias_exp
    if isinstance(cell, ATRLIFParameters):
        rows = {
            kernels.U_DECAY: cell.delta_i + 1,
            kernels.V_DECAY: cell.delta_v,
            kernels.THRESHOLD: cell.theta_0 << 6,
            kernels.JUMP: cell.theta_step << 6,
            kernels.B_DECAY: cell.delta_theta,
            kernels.RECOVERY: cell.delta_r,
        }
    elif isinstance(cell, TernaryParameters):
        rows = {
            kernels.U_DECAY: cell.du + 1,
            kernels.V_DECAY: cell.dv,
            kernels.THRESHOLD: cell.vth_hi << 6,
            kernels.THRESHOLD_LOW: cell.vth_lo << 6,
        }
    else:
        rows = {
            kernels.U_DECAY: cell.du + 1,
            kernels.V_DECAY: cell.dv,
            kernels.THRESHOLD: cell.vth << 6,
            kernels.JUMP: cell.beta << 6,
            kernels.B_DECAY: cell.db,
            kernels.REFRACTORY: cell.refractory,
        }
    for row, values in rows.items():
        table[row] = values
    return table
