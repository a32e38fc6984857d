"""What NIR cannot say of a network, kept in the metadata of the graph.

Weights are left to the nodes, so that a graph whose weights another program changed is
read with those weights; everything else is here, and is compared with the nodes.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from hardware._nir_graph import Graph
from hardware.description import NetworkDescription
from spikelearn.connectivity import no_self_connections
from spikelearn.errors import FileFormatError, SpikelearnError
from spikelearn.memory import require_fits
from spikelearn.network import CELLS, LeakyReadout, RecurrentNetwork, Surrogate

__all__ = ["NAME", "of_description", "of_network", "options", "restore"]

NAME = "spikelearn"
FORMAT_VERSION = 1
KINDS = ("network", "description")
PLAIN = ("n_in", "n_rec", "n_out", "dt", "dtype")
MASKS = ("mask", "mask_in", "mask_out")
PER_NEURON = ("signs", "cell_types")
PREFIX = "parameter_"  # of cells, one value per neuron


def of_network(
    network: RecurrentNetwork, discretisation: str, readout: bool
) -> dict[str, Any]:
    """Return texts and arrays from which `restore` builds the network again."""
    arrays: dict[str, np.ndarray] = {
        "bias": np.array(network.params.bias),
        "b_out": np.array(network.params.b_out),
    }
    if not readout:
        arrays["w_out"] = np.array(network.params.w_out)
    cell: dict[str, Any] = {"kind": getattr(network.cell, "kind", "")}
    for entry in dataclasses.fields(network.cell):
        value = getattr(network.cell, entry.name)
        if isinstance(value, Surrogate):
            cell[entry.name] = dataclasses.asdict(value)
        elif isinstance(value, str):
            cell[entry.name] = value
        elif np.ndim(value):
            arrays[f"{PREFIX}{entry.name}"] = np.array(value)
        else:
            cell[entry.name] = float(value)
    defaults = _default_masks(network)
    for name in MASKS:
        value = getattr(network, name)
        if not np.array_equal(value, defaults[name]):
            arrays[name] = value.astype(np.uint8)
    for name in PER_NEURON:
        if getattr(network, name) is not None:
            arrays[name] = np.array(getattr(network, name))
    spec: dict[str, Any] = {name: getattr(network, name) for name in PLAIN}
    spec |= {"cell": cell, "readout": dataclasses.asdict(network.readout)}
    spec["layers"] = list(network.layers)
    if isinstance(network.delay, np.ndarray):
        arrays["delay"] = np.array(network.delay)
    else:
        spec["delay"] = network.delay
    return _stamp("network", spec, discretisation, readout) | arrays


def of_description(
    source: NetworkDescription, discretisation: str, readout: bool
) -> dict[str, Any]:
    """Return texts from which `restore` builds the description again."""
    return _stamp("description", source.to_json(), discretisation, readout)


def _stamp(
    kind: str, spec: dict[str, Any] | str, discretisation: str, readout: bool
) -> dict[str, Any]:
    text = spec if isinstance(spec, str) else json.dumps(spec, default=_plain)
    written = {"discretisation": discretisation, "readout": readout}
    stamp = {"kind": kind, "format_version": FORMAT_VERSION, "options": written}
    return {"stamp": json.dumps(stamp), "spec": text}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _default_masks(network: RecurrentNetwork) -> dict[str, np.ndarray]:
    n_in, n, n_out = network.n_in, network.n_rec, network.n_out
    return {
        "mask": no_self_connections(n),
        "mask_in": np.ones((n, n_in), bool),
        "mask_out": np.ones((n_out, n), bool),
    }


def options(where: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return how the graph was written: `discretisation` and `readout`.

    Raises
    ------
    FileFormatError
        If the stamp is not one that this version writes.
    """
    written: dict[str, Any] = _read_stamp(where, metadata)["options"]
    if set(written) != {"discretisation", "readout"}:
        raise FileFormatError(f"{where}: the metadata must say how it was written.")
    return written


def _read_stamp(where: str, metadata: dict[str, Any]) -> dict[str, Any]:
    stamp = _json(where, metadata, "stamp")
    version = stamp.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise FileFormatError(f"{where}: the metadata must state a format_version.")
    if version > FORMAT_VERSION:
        raise FileFormatError(
            f"{where}: the metadata have format version {version}; this spikelearn "
            f"reads up to {FORMAT_VERSION}. (Install a newer spikelearn.)"
        )
    if stamp.get("kind") not in KINDS or not isinstance(stamp.get("options"), dict):
        raise FileFormatError(f"{where}: the metadata must be of one of {KINDS}.")
    return stamp


def _json(where: str, metadata: dict[str, Any], name: str) -> dict[str, Any]:
    text = metadata.get(name)
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{where}: metadata {name!r} is not JSON: {error}."
        ) from error
    if not isinstance(value, dict):
        raise FileFormatError(f"{where}: metadata {name!r} must be a JSON object.")
    return value


def restore(where: str, graph: Graph) -> RecurrentNetwork | NetworkDescription:
    """Build what was written: from the metadata, and the weights of the nodes.

    Raises
    ------
    FileFormatError
        If an entry is missing or wrong.
    InvalidValue
        If the network exceeds the memory limit.
    """
    stamp = _read_stamp(where, graph.metadata)
    if stamp["kind"] == "description":
        return NetworkDescription.from_json(str(graph.metadata.get("spec")))
    spec = _json(where, graph.metadata, "spec")
    arrays = {k: v for k, v in graph.metadata.items() if isinstance(v, np.ndarray)}
    _check_sizes(where, spec, arrays, graph)
    try:
        return _network(spec, arrays, graph)
    except (SpikelearnError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{where}: the metadata do not make a network: {error!r}. (To read the "
            "graph alone, ignore them.)"
        ) from error


def _check_sizes(
    where: str, spec: dict[str, Any], arrays: dict[str, np.ndarray], graph: Graph
) -> None:
    """Compare the sizes with the weights, and ask for memory, before anything is built.

    A file of a few bytes could ask for any number of neurons otherwise.
    """
    try:
        n_in, n, n_out = (spec[name] for name in ("n_in", "n_rec", "n_out"))
        w_out = arrays["w_out"] if "w_out" in arrays else _weight(graph, "w_out")
        found = (_weight(graph, "w_in").shape, w_out.shape)
    except KeyError as error:
        raise FileFormatError(
            f"{where}: the metadata or the nodes must have {error}; got none."
        ) from error
    if found != ((n, n_in), (n_out, n)):
        raise FileFormatError(
            f"{where}: the metadata must have the sizes of the nodes, w_in "
            f"{found[0]} and w_out {found[1]}; got n_in {n_in!r:.20}, n_rec "
            f"{n!r:.20}, n_out {n_out!r:.20}."
        )
    n_in, n, n_out = found[0][1], found[0][0], found[1][0]
    needed = 8 * n * (3 * n + n_in + n_out)
    require_fits(needed, where, 24 * n, n, "neurons")


def _network(
    spec: dict[str, Any], arrays: dict[str, np.ndarray], graph: Graph
) -> RecurrentNetwork:
    cell = dict(spec["cell"])
    kind = CELLS[cell.pop("kind")]
    cell["surrogate"] = Surrogate(**cell["surrogate"])
    for name, value in arrays.items():
        if name.startswith(PREFIX):
            cell[name.removeprefix(PREFIX)] = value
    given = {name: arrays[name] != 0 for name in MASKS if name in arrays}
    given |= {name: arrays[name] for name in PER_NEURON if name in arrays}
    network = RecurrentNetwork(
        **{name: spec[name] for name in PLAIN},
        cell=kind(**cell),
        readout=LeakyReadout(**spec["readout"]),
        delay=arrays["delay"] if "delay" in arrays else spec["delay"],
        layers=tuple(spec["layers"]),
        **given,
    )
    recurrent = [n for n in graph.nodes if n.split("_")[:2] == ["w", "rec"]]
    params = {name: arrays[name] for name in ("bias", "b_out")}
    params["w_in"] = _weight(graph, "w_in")
    params["w_rec"] = np.sum([_weight(graph, name) for name in recurrent], axis=0)
    params["w_out"] = arrays["w_out"] if "w_out" in arrays else _weight(graph, "w_out")
    network.params.load(params)
    return network


def _weight(graph: Graph, name: str) -> np.ndarray:
    node = graph.nodes[name]
    if isinstance(node, Graph) or "weight" not in node.values:
        raise KeyError(name)
    return node.values["weight"]
