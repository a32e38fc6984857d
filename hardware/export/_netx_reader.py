"""The description that a netx file stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware import _storage
from hardware._violations import Violation
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
)
from hardware.export._netx_layers import Layer, own_dataset, read_layers
from hardware.export._netx_weights import to_connection
from spikelearn.errors import FileFormatError, HardwareError, require
from spikelearn.files import open_foreign_hdf5, read_group

__all__ = ["read_netx"]

BIAS_EXPONENT = 6


def read_netx(
    path: str | Path, *, input_bits: int | None = None
) -> tuple[NetworkDescription, tuple[str, ...]]:
    """Read a netx file, of lava-dl or of `write_netx`, as a description.

    Hidden layers become blocks of the one population: a connection between layers takes
    a step in lava-dl as any other. A last layer of integrators (iDecay 4096, vThMant
    131071) is the readout. A last layer that spikes belongs to the population, and a
    readout is added that counts its spikes in units of 64.

    Parameters
    ----------
    path
        The file.
    input_bits
        As in `NetworkDescription`, for files of other programs, which do not say it;
        without it they get 0.

    Returns
    -------
    description : NetworkDescription
    told : tuple of str
        What was assumed or left out, one sentence each.

    Raises
    ------
    FileAccessError
        If it cannot be opened.
    FileFormatError
        If it is corrupt, too large or no netx file, or if it holds layers, neurons or
        numbers that a description has no form of; lists all of them.
    InvalidValue
        If the file says other input bits than `input_bits`.
    """
    where = f"file {str(path)!r}"
    with open_foreign_hdf5(path) as file:
        layers, told = read_layers(where, file)
        dt, metadata = _surroundings(where, file, told)
        bits = _input_bits(where, file, input_bits, told)
    try:
        return _describe(layers, bits, dt, metadata, told), tuple(told)
    except HardwareError as error:
        raise FileFormatError(f"{where} is not a valid network:\n{error}") from error


def _surroundings(
    where: str, file: h5py.File, told: list[str]
) -> tuple[float, dict[str, Any]]:
    """Return the time step (ms) and our own metadata, where there are any."""
    dt, metadata = 1.0, {}
    if "simulation" in file and "Ts" in (
        group := read_group(where, file, "simulation")
    ):
        dt = float(np.asarray(own_dataset(where, group, "Ts")[()]).ravel()[0])
    else:
        told.append("dt was taken as 1 ms: the file does not say it")
    if "spikelearn" in file:
        own = read_group(where, file, "spikelearn")
        metadata = _storage._read_metadata(where, own)
    return dt, metadata


def _input_bits(where: str, file: h5py.File, given: int | None, told: list[str]) -> int:
    """Return the input bits that we wrote, else the given ones, else 0."""
    own = read_group(where, file, "spikelearn") if "spikelearn" in file else None
    if own is None or "input_bits" not in own:
        if given is None:
            told.append("input_bits was taken as 0, spikes: the file does not say it")
        return given or 0
    stored = own_dataset(where, own, "input_bits")
    if stored.dtype.kind not in "iu":
        raise FileFormatError(
            f"{where}: {stored.name} must be an integer; got {stored.dtype}."
        )
    bits = int(np.asarray(stored[()]).ravel()[0])
    rule = f"must be the {bits} of the file"
    require(given is None or given == bits, "input_bits", rule, given)
    return bits


def _describe(
    layers: list[Layer],
    input_bits: int,
    dt: float,
    metadata: dict[str, Any],
    told: list[str],
) -> NetworkDescription:
    """Lay the layers out as one population with a readout."""
    hidden, last = layers, None
    if len(layers) > 1 and layers[-1].is_readout:
        hidden, last = layers[:-1], layers[-1]
    n_rec, n_in = sum(layer.size for layer in hidden), hidden[0].weight.shape[1]
    w_in, w_rec = np.zeros((n_rec, n_in), np.int64), np.zeros((n_rec, n_rec), np.int64)
    first = 0
    for number, layer in enumerate(hidden):
        rows = slice(first, first + layer.size)
        if number:
            w_rec[rows, first - layer.weight.shape[1] : first] = layer.weight
        else:
            w_in[rows] = layer.weight
        if layer.recurrent:
            w_rec[rows, rows] = layer.weight_rec
        first += layer.size
    if len(hidden) > 1:
        sizes = ", ".join(str(layer.size) for layer in hidden)
        told.append(f"the layers became blocks of one population: {sizes} neurons")
    if last is None:
        told.append("a readout was added that counts spikes of the last layer times 64")
        last = _counter(hidden[-1].size)
    w_out = np.zeros((last.size, n_rec), np.int64)
    w_out[:, n_rec - last.weight.shape[1] :] = last.weight
    blocks = _connections(hidden, last, w_in=w_in, w_rec=w_rec, w_out=w_out)
    joined = {
        name: np.concatenate([getattr(layer, name) for layer in hidden])
        for name in ("i_decay", "v_decay", "threshold", "bias")
    }
    none = np.zeros(n_rec, np.int64)
    mantissas, exponents = _bias_registers(joined["bias"])
    neurons = NeuronParameters(
        du=joined["i_decay"] - 1,
        dv=joined["v_decay"],
        bias_mant=mantissas,
        bias_exp=exponents,
        vth=joined["threshold"],
        beta=none,
        db=none,
        refractory=none,
        reset="zero",
    )
    mantissas, exponents = _bias_registers(last.bias)
    readout = ReadoutParameters(last.v_decay, mantissas, exponents)
    return NetworkDescription(
        w_in=blocks["w_in"],
        w_rec=blocks["w_rec"],
        w_out=blocks["w_out"],
        neurons=neurons,
        readout=readout,
        input_bits=input_bits,
        dt=dt,
        metadata=metadata,
    )


def _counter(size: int) -> Layer:
    none = np.zeros(size, np.int64)
    weight = np.eye(size, dtype=np.int64)
    return Layer("readout", weight, none[:, None], none, none, none, none, False)


def _connections(
    hidden: list[Layer], last: Layer, **blocks: np.ndarray
) -> dict[str, Connection]:
    """Return the blocks in 8 bits, or raise with all that do not fit."""
    places = {
        "w_in": f"{hidden[0].name}/weight",
        "w_rec": "weights between neurons, "
        + ", ".join(f"{layer.name}" for layer in hidden)
        + ",",
        "w_out": f"{last.name}/weight",
    }
    made = {name: to_connection(places[name], block) for name, block in blocks.items()}
    problems = [block for block in made.values() if isinstance(block, Violation)]
    if problems:
        raise HardwareError("\n".join(f"  - {problem}" for problem in problems))
    return {
        name: block for name, block in made.items() if isinstance(block, Connection)
    }


def _bias_registers(bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mantissas and exponents of `bias << 6`; even ones may need exponent 7."""
    large = (np.abs(bias) > 4095) & (bias % 2 == 0)
    return np.where(large, bias >> 1, bias), np.where(large, 7, BIAS_EXPONENT)
