"""The Lava processes of the parts of a network description, with their models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hardware._checks import THRESHOLD_MAX
from hardware.description import (
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    TernaryParameters,
)
from hardware.neurons import (
    LAVA_ADAPTIVE,
    LAVA_ATRLIF,
    LAVA_LIF,
    LAVA_RESET,
    LAVA_TERNARY,
)

__all__ = ["NEURON_LATENCY", "neurons", "readout", "record_path", "synapses"]

NEURON_LATENCY = 1
NO_SYNAPTIC_MEMORY = 4095
FIRST_STEP = NEURON_LATENCY + 1  # Lava's number of the neurons' step t = 0, from 1


def synapses(connection: Connection, message_bits: int = 0) -> tuple[Any, type]:
    """Return the process of a block; message bits > 0 keep values other than 1."""
    from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.sparse.models import PySparseModelBitAcc
    from lava.proc.sparse.process import Sparse
    from lava.utils.weightutils import SignMode

    weights = connection.weights.astype(np.int32)
    options = {
        "weight_exp": connection.exponent,
        "num_weight_bits": connection.bits,
        "sign_mode": SignMode[connection.sign.upper()],
        "num_message_bits": message_bits,
    }
    if connection.delays is not None:
        delays = connection.delays.astype(int)
        process = DelayDense(weights=weights, delays=delays, **options)
        return process, PyDelayDenseModelBitAcc
    if connection.process == "sparse":
        return Sparse(weights=weights, **options), PySparseModelBitAcc
    return Dense(weights=weights, **options), PyDenseModelBitAcc


def neurons(
    description: NetworkDescription, folder: Path | None, steps: int
) -> tuple[Any, type]:
    """Return the process of the neurons; its bias is set later, see the module."""
    cell = description.neurons
    shape = (description.n_rec,)
    registers: dict[str, Any] = {
        name: getattr(cell, name).copy() for name in cell.registers
    }
    registers |= {"shape": shape, "bias_mant": np.zeros(shape, np.int32)}
    if isinstance(cell, ATRLIFParameters):
        for name in ("delta_i", "delta_v", "delta_theta", "delta_r"):
            registers[name] = registers[name] / 4096
        registers["theta_step"] = registers["theta_step"][:1]
    elif isinstance(cell, TernaryParameters):
        for name in ("vth_hi", "vth_lo"):
            registers[name] = registers[name][:1]
    elif isinstance(cell, NeuronParameters) and cell.plain_lif:
        for name in ("beta", "db", "refractory"):
            del registers[name]
        if cell.reset_interval:
            offset = (cell.reset_offset + FIRST_STEP) % cell.reset_interval
            registers["reset_interval"] = cell.reset_interval
            registers["reset_offset"] = offset
    elif isinstance(cell, NeuronParameters):
        registers["reset"] = cell.reset
    return _process(cell.lava_process, "neurons", registers, folder, steps)


def readout(
    description: NetworkDescription, folder: Path | None, steps: int
) -> tuple[Any, type]:
    """Return the process of the readout, a LIF with the largest threshold."""
    shape = (description.n_out,)
    registers = {
        "shape": shape,
        "du": np.full(shape, NO_SYNAPTIC_MEMORY, np.int32),
        "dv": description.readout.dv.copy(),
        "bias_mant": np.zeros(shape, np.int32),
        "bias_exp": description.readout.bias_exp.copy(),
        "vth": np.full(shape, THRESHOLD_MAX, np.int32),
    }
    return _process(LAVA_LIF, "readout", registers, folder, steps)


def _process(
    kind: str, name: str, registers: dict[str, Any], folder: Path | None, steps: int
) -> tuple[Any, type]:
    """Return a process of neurons and its model, which records if there is a folder."""
    from lava.proc.atrlif import models as atrlif_models
    from lava.proc.atrlif.process import ATRLIF
    from lava.proc.lif import models as lif_models
    from lava.proc.lif.process import LIF, LIFReset, TernaryLIF

    from hardware.lava_processes.adaptive_lif.models import PyAdaptiveLIFModel
    from hardware.lava_processes.adaptive_lif.process import AdaptiveLIF
    from hardware.lava_processes.recording import models as recording

    table: dict[str, tuple[Any, type, type]] = {
        LAVA_LIF: (LIF, lif_models.PyLifModelBitAcc, recording.RecordingLIFModel),
        LAVA_RESET: (
            LIFReset,
            lif_models.PyLifResetModelBitAcc,
            recording.RecordingLIFResetModel,
        ),
        LAVA_TERNARY: (
            TernaryLIF,
            lif_models.PyTernLifModelFixed,
            recording.RecordingTernaryLIFModel,
        ),
        LAVA_ATRLIF: (
            ATRLIF,
            atrlif_models.PyATRLIFModelFixed,
            recording.RecordingATRLIFModel,
        ),
        LAVA_ADAPTIVE: (
            AdaptiveLIF,
            PyAdaptiveLIFModel,
            recording.RecordingAdaptiveLIFModel,
        ),
    }
    process, plain, recorder = table[kind]
    made = process(**registers, name=name)
    if folder is None:
        return made, plain
    path = _create_record(folder, name, steps, registers["shape"][0])
    made.proc_params["record_path"] = path
    return made, recorder


def record_path(folder: Path | None, name: str) -> Path:
    """Return the file in which neurons of a name are recorded."""
    return Path(folder or ".") / f"{name}.npy"


def _create_record(folder: Path, name: str, steps: int, size: int) -> str:
    from hardware.lava_processes.recording.models import create

    path = record_path(folder.resolve(), name)
    create(path, steps, size)
    return str(path)
