"""Networks as netx files, the HDF5 format of lava-dl, written and read.

A netx file (lava-dl 0.6.0, `lava.lib.dl.netx`) is a list of layers, `/layer/0` and so
on: whole weights of up to 8 bits with their sign, and one LIF neuron per unit. A
description becomes three layers::

    0  input
    1  dense_rec  w_in, w_rec, the neurons      iDecay = du + 1, vDecay = dv
    2  dense      w_out, the readout            iDecay = 4096,   vThMant = 131071

What lava-dl makes of the file is Lava's LIF, so that u, v and spikes are those of the
emulator: layer 1 at Lava step t + 1 (counted from 0), and layer 2, whose v is the
readout, at step t + 2, have the values of emulator step t. A bias acts in the steps
before that already.

netx has no adaptation, no refractoriness (lava-dl ignores refDelay), no subtractive
reset and no exponents: the bias exponent is 6, and weights are in units of 64.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware._checks import BIAS_MAX, THRESHOLD_MAX
from hardware._violations import Violation, raise_violations
from hardware.description import NetworkDescription
from hardware.export._netx_reader import read_netx
from hardware.export._netx_weights import effective, fitted, loaded_violations
from hardware.export._supported import refuse_unsupported
from spikelearn.files import atomic_path

__all__ = ["read_netx", "write_netx"]

BIAS_EXPONENT = 6
NO_SYNAPTIC_MEMORY = 4095
_DROP = "Write the nearest network with strict=False, or use another format"


@dataclass(frozen=True, eq=False)
class _Layer:
    """One layer: whole weights, registers and bias mantissas of exponent 6."""

    kind: str
    weights: dict[str, np.ndarray]
    du: np.ndarray
    dv: np.ndarray
    vth: np.ndarray
    bias: np.ndarray


def write_netx(
    description: NetworkDescription, path: str | Path, *, strict: bool = True
) -> tuple[str, ...]:
    """Write a description as a netx file, atomically.

    Parameters
    ----------
    description
        The network.
    path
        The file, by custom ending in `.net`.
    strict
        Raise for what netx cannot say. Otherwise the nearest network is written:
        without adaptation and refractoriness, with reset to zero, and with weights,
        biases and thresholds of a layer divided by a common power of two and rounded.

    Returns
    -------
    tuple of str
        What the file does not say, or says otherwise, one sentence each.

    Raises
    ------
    HardwareError
        If `strict` and netx cannot say all that changes a spike, or if lava-dl could
        load no such network at all; lists all reasons.
    FileAccessError
        If the file cannot be written; an older one stays as it was.
    """
    refuse_unsupported(description, "the netx form of a network")
    dynamics = _unsaid_dynamics(description)
    layers = _layers(description)
    problems = dynamics + [found for layer in layers for found in _misfits(layer)]
    if strict:
        raise_violations("the netx form of the network", problems)
    told = [f"{problem.place} was left out: netx has none" for problem in dynamics]
    if any(_misfits(layer) for layer in layers):
        layers = [_nearest(layer, told) for layer in layers]
        left = [found for layer in layers for found in _misfits(layer)]
        raise_violations("the netx form of the network", left)
    told += _unsaid_surroundings(description)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        _write(file, description, layers)
    return tuple(told)


def _unsaid_dynamics(description: NetworkDescription) -> list[Violation]:
    cell = description.lif
    problems = []
    for name in ("beta", "refractory"):
        used = int(np.count_nonzero(getattr(cell, name)))
        if used:
            shown = f"{used} of {description.n_rec} neurons with another value"
            problems.append(Violation(f"neurons.{name}", "0 in netx", shown, _DROP))
    if cell.reset != "zero":
        place, limit = "neurons.reset", "'zero' in netx"
        problems.append(Violation(place, limit, repr(cell.reset), _DROP))
    return problems


def _unsaid_surroundings(description: NetworkDescription) -> list[str]:
    """Return what changes no spike, or is said to lava-dl when the file is loaded."""
    told = ["the split of a weight into mantissa and exponent: netx has whole weights"]
    if description.input_bits:
        told.append(
            f"input_bits = {description.input_bits}: pass it to lava-dl on loading, "
            f"hdf5.Network(..., input_message_bits={description.input_bits})"
        )
    if description.neurons.bias_mant.any() or description.readout.bias_mant.any():
        told.append("a bias acts in lava-dl from the first step, before input arrives")
    if description.vectors is not None:
        told.append("the test vectors")
    return told


def _layers(description: NetworkDescription) -> list[_Layer]:
    cell, out = description.lif, description.readout
    blocks = {name: effective(getattr(description, name)) for name in ("w_in", "w_rec")}
    size = description.n_out
    return [
        _Layer(
            "dense_rec",
            blocks,
            cell.du,
            cell.dv,
            cell.vth.astype(np.int64),
            cell.bias_mant.astype(np.int64) << cell.bias_exp,
        ),
        _Layer(
            "dense",
            {"w_out": effective(description.w_out)},
            np.full(size, NO_SYNAPTIC_MEMORY),
            out.dv,
            np.full(size, THRESHOLD_MAX),
            out.bias_mant.astype(np.int64) << out.bias_exp,
        ),
    ]


def _misfits(layer: _Layer) -> list[Violation]:
    """Return weights and biases that netx has no number for."""
    problems = loaded_violations(layer.weights)
    whole = layer.bias >> BIAS_EXPONENT
    bad = (whole << BIAS_EXPONENT != layer.bias) | (np.abs(whole) > BIAS_MAX)
    if bad.any():
        first = int(np.argmax(bad))
        shown = (
            f"{int(bad.sum())} of {bad.size} that are not, first "
            f"{int(layer.bias[first])} at index {first}"
        )
        limit = f"64 times a whole number -{BIAS_MAX}..{BIAS_MAX} in netx"
        place = f"bias of layer {layer.kind}"
        problems.append(Violation(place, limit, shown, _DROP))
    return problems


def _nearest(layer: _Layer, told: list[str]) -> _Layer:
    """Return a layer that netx can hold, and tell what became of its numbers."""
    weights, k = fitted(layer.weights)
    if k:
        told.append(
            f"layer {layer.kind} is {2**k} times smaller: weights, biases, threshold"
        )
    for name, block in layer.weights.items():
        changed = int(np.count_nonzero(weights[name] << k != block))
        if changed:
            told.append(f"{name}: {changed} of {block.size} weights were rounded")
    unit = 2 ** (BIAS_EXPONENT + k)
    rounded = np.rint(layer.bias / unit).astype(np.int64)
    bias = np.clip(rounded, -BIAS_MAX, BIAS_MAX)
    changed = int(np.count_nonzero(bias * unit != layer.bias))
    if changed:
        told.append(f"layer {layer.kind}: {changed} of {bias.size} biases were rounded")
    vth = layer.vth
    if layer.kind == "dense_rec":
        vth = np.rint(layer.vth / 2**k).astype(np.int64)
    return _Layer(layer.kind, weights, layer.du, layer.dv, vth, bias << BIAS_EXPONENT)


def _write(
    file: h5py.File, description: NetworkDescription, layers: list[_Layer]
) -> None:
    first = file.create_group("layer/0")
    first.create_dataset("type", (1,), "S10", [b"input"])
    first["shape"] = np.array([description.n_in])
    for number, layer in enumerate(layers, start=1):
        _write_layer(file.create_group(f"layer/{number}"), layer)
    file["simulation/Ts"] = description.dt
    metadata = json.dumps(description.metadata, allow_nan=False).encode()
    file["spikelearn/metadata"] = np.frombuffer(metadata, np.uint8)
    file["spikelearn/input_bits"] = description.input_bits


def _write_layer(group: h5py.Group, layer: _Layer) -> None:
    first, *more = layer.weights.values()
    n_post, n_pre = first.shape
    group.create_dataset("type", (1,), "S10", [layer.kind.encode()])
    group["shape"] = np.array([n_post])
    group["inFeatures"], group["outFeatures"] = n_pre, n_post
    group["weight"] = first.astype(np.int32)
    if more:
        group["weight_rec"] = more[0].astype(np.int32)
    if layer.bias.any():
        group["bias"] = (layer.bias >> BIAS_EXPONENT).astype(np.int32)
    neuron = group.create_group("neuron")
    neuron["type"] = "CUBA"
    neuron["iDecay"] = _compact(layer.du + 1)
    neuron["vDecay"] = _compact(layer.dv)
    neuron["vThMant"] = _compact(layer.vth)
    neuron["refDelay"], neuron["gradedSpike"] = 1, False


def _compact(values: np.ndarray) -> Any:
    """Return one number where all are equal, as lava-dl writes it, or all of them."""
    return int(values[0]) if (values == values[0]).all() else values.astype(np.int32)
