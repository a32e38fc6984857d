"""The HDF5 file of a NIR graph as plain arrays, read with limits and checks.

The layout is that of package nir 1.0.8: `/version`, and `/node` with `type`, `nodes`,
`edges` and `metadata`. Nothing is executed or unpickled, links out of the file are
refused, and every array is checked before its values are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware._nir_graph import FIELDS, OPTIONAL, Graph, Node
from hardware._nir_metadata import NAME
from spikelearn.errors import FileFormatError
from spikelearn.files import (
    MAX_ELEMENTS,
    open_foreign_hdf5,
    read_array,
    read_group,
)

__all__ = ["read_graph", "refuse"]

MAX_NODES = 1000
MAX_EDGES = 10_000
MAX_DEPTH = 8
MAX_AXES = 4
MAX_TEXT = 2**28  # characters of one text
MAX_NAME = 1000  # characters of a name


def refuse(where: str, problems: list[str]) -> None:
    """Raise one `FileFormatError` with all problems, or return if there is none."""
    unique = list(dict.fromkeys(problems))
    if len(unique) == 1:
        raise FileFormatError(f"{where}: {unique[0]}")
    if unique:
        lines = "\n".join(f"  - {problem}" for problem in unique)
        raise FileFormatError(f"{where} has {len(unique)} problems:\n{lines}")


def read_graph(path: str | Path) -> Graph:
    """Read the graph of a NIR file.

    Raises
    ------
    FileAccessError
        If the file cannot be opened.
    FileFormatError
        If it is corrupt or no NIR file, breaks a limit, or has nodes that are not read;
        then the message names all of them.
    """
    where = f"file {str(path)!r}"
    problems: list[str] = []
    with open_foreign_hdf5(path) as file:
        if "node" not in file:
            raise FileFormatError(
                f"{where} must be a NIR file; got HDF5 without the group 'node'."
            )
        root = read_group(where, file, "node")
        kind = _text(where, root, "type", MAX_NAME)
        if kind != "NIRGraph":
            raise FileFormatError(f"{where} must hold a NIRGraph; got {kind!r:.60}.")
        _check_total(where, root)
        graph = _read_graph(where, root, "", problems, 0)
        refuse(where, problems)
        return graph


def _check_total(where: str, root: h5py.Group) -> None:
    """Check how many values all arrays have together, compressed or not."""
    sizes: list[int] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.size or 0)

    root.visititems(visit)
    if sum(sizes) > MAX_ELEMENTS:
        raise FileFormatError(
            f"{where} must have at most {MAX_ELEMENTS} values; got {sum(sizes)}."
        )


def _read_graph(
    where: str, group: h5py.Group, prefix: str, problems: list[str], depth: int
) -> Graph:
    if depth > MAX_DEPTH:
        raise FileFormatError(f"{where} must nest at most {MAX_DEPTH} graphs.")
    members = read_group(where, group, "nodes")
    if len(members) > MAX_NODES:
        raise FileFormatError(
            f"{where} must have at most {MAX_NODES} nodes in a graph; got "
            f"{len(members)}."
        )
    nodes: dict[str, Node | Graph] = {}
    for name in members:
        node = read_group(where, members, name)
        kind = _text(where, node, "type", MAX_NAME)
        place = f"{prefix}{name}"
        if kind == "NIRGraph":
            nodes[name] = _read_graph(where, node, f"{place}.", problems, depth + 1)
        elif kind in FIELDS:
            nodes[name] = _read_node(where, node, place, kind, problems)
        else:
            problems.append(
                f"node {place!r} of type {kind:.60} is not supported. (Supported: "
                f"{', '.join(FIELDS)}.)"
            )
    edges = _edges(where, group)
    unknown = {name for edge in edges for name in edge} - set(members)
    problems += [f"edges name no node {prefix + name!r}" for name in sorted(unknown)]
    metadata = _metadata(where, group) if depth == 0 else {}
    return Graph(nodes, edges, metadata)


def _read_node(
    where: str, group: h5py.Group, place: str, kind: str, problems: list[str]
) -> Node:
    values = {}
    for name in (*FIELDS[kind], *OPTIONAL.get(kind, ())):
        if name not in group:
            if name in FIELDS[kind]:
                problems.append(f"node {place!r} ({kind}) must have the array {name!r}")
            continue
        array = _array(where, group, name)
        if not np.isfinite(array).all():
            problems.append(f"node {place!r} ({kind}): {name} must be finite")
        values[name] = array
    return Node(kind, values)


def _array(where: str, group: h5py.Group, name: str) -> np.ndarray:
    """Read numbers on any axes up to `MAX_AXES`."""
    data = _dataset(where, group, name)
    if data.ndim > MAX_AXES:
        raise FileFormatError(
            f"{where}: {data.name} must have at most {MAX_AXES} axes; got {data.ndim}."
        )
    return read_array(where, group, name, ndim=data.ndim, kinds="iuf")


def _dataset(where: str, group: h5py.Group, name: str) -> h5py.Dataset:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise FileFormatError(f"{where}: {group.name} must hold {name!r} itself.")
    data = group[name]
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise FileFormatError(f"{where}: {group.name}/{name} must be an array.")
    return data


def _strings(where: str, group: h5py.Group, name: str, shape: tuple) -> h5py.Dataset:
    data = _dataset(where, group, name)
    fits = len(shape) == data.ndim and all(
        limit >= length for limit, length in zip(shape, data.shape, strict=True)
    )
    if h5py.check_string_dtype(data.dtype) is None or not fits:
        raise FileFormatError(
            f"{where}: {data.name} must hold text of at most the shape {shape}; got "
            f"{data.dtype} of shape {data.shape}."
        )
    return data


def _text(where: str, group: h5py.Group, name: str, most: int) -> str:
    if name not in group:
        raise FileFormatError(f"{where}: {group.name} must have a {name!r}.")
    text = _decoded(where, _strings(where, group, name, ())[()])
    if len(text) > most:
        raise FileFormatError(
            f"{where}: {group.name}/{name} must have at most {most} characters; got "
            f"{len(text)}."
        )
    return text


def _decoded(where: str, value: Any) -> str:
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{where} must hold UTF-8 text: {error}.") from error


def _edges(where: str, group: h5py.Group) -> tuple[tuple[str, str], ...]:
    if "edges" not in group:
        raise FileFormatError(f"{where}: {group.name} must have 'edges'.")
    data = _dataset(where, group, "edges")
    if data.size == 0:
        return ()
    pairs = _strings(where, group, "edges", (MAX_EDGES, 2))[()].tolist()
    named = ((_decoded(where, pre), _decoded(where, post)) for pre, post in pairs)
    return tuple(dict.fromkeys(named))


def _metadata(where: str, group: h5py.Group) -> dict[str, Any]:
    """Return what spikelearn wrote; the metadata of others are not looked at."""
    if "metadata" not in group:
        return {}
    parent = read_group(where, group, "metadata")
    if NAME not in parent:
        return {}
    own = read_group(where, parent, NAME)
    found: dict[str, Any] = {}
    for name in own:
        if h5py.check_string_dtype(_dataset(where, own, name).dtype) is not None:
            found[name] = _text(where, own, name, MAX_TEXT)
        else:
            found[name] = _array(where, own, name)
    return found
