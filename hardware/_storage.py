"""Network descriptions as HDF5 files and as JSON.

Both forms become the same plain document, which is checked key by key before anything
is built. Nothing is executed, and no array is read before its size and type are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    TestVectors,
)
from hardware.neurons import NEURON_KINDS
from spikelearn.errors import FileAccessError, FileFormatError, HardwareError
from spikelearn.files import open_hdf5, read_array, read_group, write_hdf5

__all__ = [
    "FORMAT_VERSION",
    "KIND",
    "from_json",
    "load",
    "load_json",
    "save",
    "to_json",
]

KIND = "network_description"
FORMAT_VERSION = 2
MAX_JSON_BYTES = 2**28
MAX_METADATA_BYTES = 2**20

_CONNECTIONS = ("w_in", "w_rec", "w_out")
_CONNECTION_ATTRIBUTES = ("exponent", "bits", "sign")
_RESET_ATTRIBUTES = {"reset": str, "reset_interval": int, "reset_offset": int}
_READOUT_ARRAYS = ("dv", "bias_mant", "bias_exp")
_VECTOR_ARRAYS = ("x", "u", "v", "b", "spikes", "y")
_PLAIN = ("input_bits", "dt", "metadata")
# What version 2 added; absent keys have the values of version 1.
_NEW_IN_CONNECTION = ("process", "delays")
_NEW_IN_NEURONS = ("kind", "reset_interval", "reset_offset")


def _version(network: NetworkDescription) -> int:
    """Return the oldest format version that can say what a network is."""
    cell = network.neurons
    blocks = [getattr(network, name) for name in _CONNECTIONS]
    old = all(block.delays is None and block.process == "dense" for block in blocks)
    old &= isinstance(cell, NeuronParameters) and not cell.reset_interval
    return 1 if old else 2


def _reset_attributes(network: NetworkDescription, version: int) -> dict[str, Any]:
    """Return the attributes of the neurons that are no registers."""
    cell = network.neurons
    names = _RESET_ATTRIBUTES if isinstance(cell, NeuronParameters) else ()
    attributes = {name: getattr(cell, name) for name in names}
    if version == 1:
        return {"reset": attributes["reset"]}
    return {"kind": cell.kind} | attributes


def to_json(network: NetworkDescription) -> str:
    """Return the description without vectors as JSON; see `NetworkDescription`."""
    version = _version(network)
    document: dict[str, Any] = {
        "kind": KIND,
        "format_version": version,
        "input_bits": network.input_bits,
        "dt": network.dt,
        "metadata": network.metadata,
    }
    for name in _CONNECTIONS:
        block = getattr(network, name)
        document[name] = {key: getattr(block, key) for key in _CONNECTION_ATTRIBUTES}
        document[name]["weights"] = block.weights.tolist()
        if version > 1:
            delays = None if block.delays is None else block.delays.tolist()
            document[name] |= {"process": block.process, "delays": delays}
    neurons, readout = network.neurons, network.readout
    registers = {k: getattr(neurons, k).tolist() for k in neurons.registers}
    document["neurons"] = registers | _reset_attributes(network, version)
    document["readout"] = {k: getattr(readout, k).tolist() for k in _READOUT_ARRAYS}
    return json.dumps(document, allow_nan=False)


def from_json(text: str | bytes) -> NetworkDescription:
    """Build a description from JSON; see `NetworkDescription.from_json`."""
    where = "JSON network description"
    if len(text) > MAX_JSON_BYTES:
        raise FileFormatError(
            f"{where} must be at most {MAX_JSON_BYTES} bytes; got {len(text)}."
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{where} is not valid JSON: {error}.") from error
    _expect_keys(
        where,
        document,
        ("kind", "format_version", *_PLAIN, *_CONNECTIONS, "neurons", "readout"),
    )
    if document["kind"] != KIND:
        raise FileFormatError(f"{where} must hold a {KIND}; got {document['kind']!r}.")
    version = document["format_version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise FileFormatError(f"{where} must state its format_version.")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{where} has format version {version}; this spikelearn reads up to "
            f"{FORMAT_VERSION}. (Install a newer spikelearn.)"
        )
    return _build(where, document)


def load_json(path: str | Path) -> NetworkDescription:
    """Read a file with the text of `to_json`; its size is looked at first.

    Raises
    ------
    FileAccessError
        If it cannot be read.
    FileFormatError
        If it is too large, or as `from_json`.
    """
    where = f"file {str(path)!r}"
    try:
        size = Path(path).stat().st_size
        if size > MAX_JSON_BYTES:
            raise FileFormatError(
                f"{where} must be at most {MAX_JSON_BYTES} bytes; got {size}."
            )
        text = Path(path).read_bytes()
    except OSError as error:
        raise FileAccessError(
            f"{where} must be readable; got: {error.strerror}."
        ) from error
    try:
        return from_json(text)
    except FileFormatError as error:
        raise FileFormatError(f"{where}: {error}") from error


def save(network: NetworkDescription, path: str | Path) -> None:
    """Write the HDF5 file; see `NetworkDescription.save`."""
    version = _version(network)

    def fill(file: h5py.File) -> None:
        file.attrs["input_bits"] = network.input_bits
        file.attrs["dt"] = network.dt
        metadata = json.dumps(network.metadata, allow_nan=False).encode()
        file["metadata"] = np.frombuffer(metadata, np.uint8)
        for name in _CONNECTIONS:
            group, block = file.create_group(name), getattr(network, name)
            _write_arrays(group, block, ("weights",))
            for key in _CONNECTION_ATTRIBUTES:
                group.attrs[key] = getattr(block, key)
            if version > 1:
                group.attrs["process"] = block.process
            if block.delays is not None:
                _write_arrays(group, block, ("delays",))
        neurons = file.create_group("neurons")
        _write_arrays(neurons, network.neurons, network.neurons.registers)
        neurons.attrs.update(_reset_attributes(network, version))
        _write_arrays(file.create_group("readout"), network.readout, _READOUT_ARRAYS)
        if network.vectors is not None:
            _write_arrays(file.create_group("vectors"), network.vectors, _VECTOR_ARRAYS)
            if network.vectors.r is not None:
                _write_arrays(file["vectors"], network.vectors, ("r",))
            if network.vectors.label is not None:
                file["vectors/label"] = network.vectors.label

    write_hdf5(path, KIND, version, fill)


def _write_arrays(group: h5py.Group, owner: Any, names: Iterable[str]) -> None:
    for name in names:
        array = getattr(owner, name)
        group.create_dataset(
            name, data=array, compression="gzip" if array.size else None
        )


def load(path: str | Path) -> NetworkDescription:
    """Read the HDF5 file; see `NetworkDescription.load`."""
    where = f"file {str(path)!r}"
    with open_hdf5(path, KIND, FORMAT_VERSION) as file:
        return _build(where, _read_document(where, file))


def _read_document(where: str, file: h5py.File) -> dict[str, Any]:
    document: dict[str, Any] = {
        "input_bits": _scalar(where, file, "input_bits", int),
        "dt": _scalar(where, file, "dt", float),
        "metadata": _read_metadata(where, file),
    }
    for name in _CONNECTIONS:
        group = read_group(where, file, name)
        document[name] = _read_arrays(where, group, ("weights",), ndim=2)
        document[name]["sign"] = _scalar(where, group, "sign", str)
        for key in ("exponent", "bits"):
            document[name][key] = _scalar(where, group, key, int)
        if "process" in group.attrs:
            document[name]["process"] = _scalar(where, group, "process", str)
        if "delays" in group:
            document[name]["delays"] = read_array(where, group, "delays", ndim=2)
    document["neurons"] = _read_neurons(where, read_group(where, file, "neurons"))
    readout = read_group(where, file, "readout")
    document["readout"] = _read_arrays(where, readout, _READOUT_ARRAYS, ndim=1)
    if "vectors" in file:
        vectors = read_group(where, file, "vectors")
        arrays = _read_arrays(where, vectors, _VECTOR_ARRAYS, ndim=3)
        arrays |= {"label": None, "r": None}
        if "label" in vectors:
            arrays["label"] = read_array(where, vectors, "label", ndim=1)
        if "r" in vectors:
            arrays["r"] = read_array(where, vectors, "r", ndim=3)
        document["vectors"] = arrays
    return document


def _read_neurons(where: str, group: h5py.Group) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "kind" in group.attrs:
        found["kind"] = _scalar(where, group, "kind", str)
    kind = _kind(where, found)
    found |= _read_arrays(where, group, NEURON_KINDS[kind].registers, ndim=1)
    if kind == NeuronParameters.kind:
        for name, type_ in _RESET_ATTRIBUTES.items():
            if name in group.attrs or name not in _NEW_IN_NEURONS:
                found[name] = _scalar(where, group, name, type_)
    return found


def _read_arrays(
    where: str, group: h5py.Group, names: Iterable[str], ndim: int
) -> dict[str, Any]:
    return {name: read_array(where, group, name, ndim=ndim) for name in names}


def _scalar(where: str, group: h5py.Group, name: str, kind: type) -> Any:
    value = group.attrs[name]
    if isinstance(value, np.generic):
        value = value.item()
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise FileFormatError(
            f"{where}: attribute {name!r} must be of type {kind.__name__}; got "
            f"{type(value).__name__}."
        )
    return value


def _read_metadata(where: str, file: h5py.File) -> Any:
    text = read_array(where, file, "metadata", ndim=1, most=MAX_METADATA_BYTES)
    try:
        return json.loads(text.astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{where}: metadata is not JSON: {error}.") from error


def _expect_keys(
    where: str, value: Any, names: Iterable[str], optional: Iterable[str] = ()
) -> None:
    wanted = set(names)
    if not isinstance(value, dict):
        shown = type(value).__name__
        raise FileFormatError(f"{where} must be an object; got {shown}.")
    missing, extra = sorted(wanted - set(value)), set(value) - wanted
    extra -= set(optional)
    if missing or extra:
        raise FileFormatError(
            f"{where} must have the keys {', '.join(sorted(wanted))}; missing: "
            f"{', '.join(missing) or 'none'}; unknown: "
            f"{', '.join(sorted(extra)) or 'none'}."
        )


def _kind(where: str, neurons: dict[str, Any]) -> str:
    """Return the kind of the neurons, which version 1 does not state."""
    kind = neurons.get("kind", NeuronParameters.kind)
    if not isinstance(kind, str) or kind not in NEURON_KINDS:
        raise FileFormatError(
            f"{where}: neurons.kind must be one of {', '.join(NEURON_KINDS)}; got "
            f"{kind!r:.60}."
        )
    return kind


def _check_keys(where: str, document: dict[str, Any]) -> None:
    for name in _CONNECTIONS:
        keys = ("weights", *_CONNECTION_ATTRIBUTES)
        _expect_keys(f"{where}: {name}", document[name], keys, _NEW_IN_CONNECTION)
    place, neurons = f"{where}: neurons", document["neurons"]
    _expect_keys(place, neurons, (), neurons)
    kind = _kind(where, neurons)
    registers = NEURON_KINDS[kind].registers
    if kind == NeuronParameters.kind:
        _expect_keys(place, neurons, (*registers, "reset"), _NEW_IN_NEURONS)
    else:
        _expect_keys(place, neurons, (*registers, "kind"))
    _expect_keys(f"{where}: readout", document["readout"], _READOUT_ARRAYS)


def _build(where: str, document: dict[str, Any]) -> NetworkDescription:
    """Build the parts, collecting what each of them refuses."""
    _check_keys(where, document)
    neurons = dict(document["neurons"])
    kind = NEURON_KINDS[neurons.pop("kind", NeuronParameters.kind)]
    document = document | {"neurons": neurons}
    classes: dict[str, Any] = dict.fromkeys(_CONNECTIONS, Connection) | {
        "neurons": kind,
        "readout": ReadoutParameters,
    }
    if "vectors" in document:
        classes["vectors"] = TestVectors
    parts: dict[str, Any] = {}
    problems = []
    for name, part in classes.items():
        try:
            parts[name] = part(**document[name])
        except (HardwareError, ValueError, TypeError) as error:
            problems.append(f"{name}: {error}")
    if not problems:
        try:
            return NetworkDescription(
                **parts, **{name: document[name] for name in _PLAIN}
            )
        except HardwareError as error:
            problems.append(str(error))
    raise FileFormatError(f"{where} is not a valid network:\n" + "\n".join(problems))
