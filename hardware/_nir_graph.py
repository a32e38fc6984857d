"""A NIR graph as plain arrays: what is written, read and compared.

Names and equations are those of NIR (Pedersen et al. 2024,
doi:10.1038/s41467-024-52259-9; package nir 1.0.8). Times are in seconds, weights are
(post, pre)::

    Affine    y = weight x + bias         Linear  y = weight x
    Scale     y = scale x                 Delay   y(t) = x(t - delay)
    LI        tau dv/dt = v_leak - v + r I
    LIF       as LI, z = v > v_threshold, v := v_reset where z
    IF        dv/dt = r I, spikes as LIF
    CubaLIF   tau_syn dI/dt = -I + w_in S, tau_mem dv/dt = v_leak - v + r I, as LIF
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["FIELDS", "NEURONS", "OPTIONAL", "Graph", "Node", "difference"]

FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Flatten": (),
    "Delay": ("delay",),
    "IF": ("r", "v_threshold"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
}
"""Arrays of each kind of node that is read."""

OPTIONAL: dict[str, tuple[str, ...]] = {
    "IF": ("v_reset",),
    "LIF": ("v_reset",),
    "CubaLIF": ("v_reset", "w_in"),
}
"""Arrays that a node may lack."""

NEURONS = ("IF", "LIF", "CubaLIF")


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its kind and its arrays by name."""

    kind: str
    values: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name, edges from output to input, and what spikelearn noted.

    Attributes
    ----------
    nodes
        Nodes, or graphs that stand for a node.
    edges
        Pairs of names.
    metadata
        The entry "spikelearn" of the metadata: texts and arrays by name.
    """

    nodes: dict[str, Node | Graph]
    edges: tuple[tuple[str, str], ...]
    metadata: dict[str, Any] = field(default_factory=dict)


def difference(first: Graph, second: Graph) -> str:
    """Return where two graphs without subgraphs differ, or "" if they do not."""
    names = set(first.nodes) ^ set(second.nodes)
    if names:
        return f"node {min(names)!r} is only in one of them"
    edges = set(first.edges) ^ set(second.edges)
    if edges:
        return f"edge {min(edges)} is only in one of them"
    for name, node in first.nodes.items():
        place = _node_difference(node, second.nodes[name])
        if place:
            return f"node {name!r} differs in its {place}"
    return ""


def _node_difference(first: Node | Graph, second: Node | Graph) -> str:
    if isinstance(first, Graph) or isinstance(second, Graph):
        return "kind"
    if first.kind != second.kind:
        return "kind"
    names: Iterable[str] = sorted(set(first.values) | set(second.values))
    for name in names:
        one, other = first.values.get(name), second.values.get(name)
        if one is None or other is None or not np.array_equal(one, other):
            return name
    return ""
