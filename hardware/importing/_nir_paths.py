"""What reaches each population of a NIR graph: products of weights, and delays.

Subgraphs are taken apart first. A signal is the sum of terms `matrix x source(t -
delay)` over the input, populations and readouts, and a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np

from hardware._nir_graph import NEURONS, Graph, Node

__all__ = ["SOURCES", "Flat", "Signal", "Term", "flatten", "follow"]

PASS = "Identity"  # the input or output of a subgraph
SOURCES = ("Input", *NEURONS, "LI")
WHOLE_STEPS = 1e-6  # a delay is that near to whole steps


@dataclass(frozen=True, eq=False)
class Flat:
    """A graph without subgraphs.

    Attributes
    ----------
    nodes
        By name, dots between the names of nested graphs.
    before
        Names of the nodes that lead to each node.
    """

    nodes: dict[str, Node]
    before: dict[str, list[str]]

    def after(self, name: str) -> list[str]:
        """Return the nodes that a node leads to."""
        return [post for post, pre in self.before.items() if name in pre]


@dataclass(frozen=True, eq=False)
class Term:
    """`matrix x source`, `steps` later; None stands for the identity."""

    source: str
    steps: int
    matrix: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Signal:
    """A sum of terms and a constant of shape (n,), or () where it is 0."""

    terms: tuple[Term, ...] = ()
    constant: np.ndarray = field(default_factory=lambda: np.zeros(()))


def flatten(graph: Graph, problems: list[str], *, rewire: bool = False) -> Flat:
    """Take subgraphs apart.

    With `rewire`, an input of a subgraph that leads to its recurrent weights leads to
    their population instead (Spyx 1.0.0 writes it so and means this).
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _collect(graph, "", nodes, edges, problems)
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for pre, post in edges:
        before[post].append(pre)
    flat = Flat(nodes, before)
    if rewire:
        _rewire(flat)
    return flat


def _collect(
    graph: Graph,
    prefix: str,
    nodes: dict[str, Node],
    edges: list[tuple[str, str]],
    problems: list[str],
) -> None:
    entry: dict[str, str] = {}
    leave: dict[str, str] = {}
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, Graph):
            _collect(node, f"{full}.", nodes, edges, problems)
            for ports, kind in ((entry, "Input"), (leave, "Output")):
                found = [n for n, x in node.nodes.items() if _kind(x) == kind]
                if len(found) != 1:
                    problems.append(
                        f"subgraph {full!r} must have one {kind} node; got {len(found)}"
                    )
                    nodes[f"{full}.{kind}"] = Node(PASS)
                ports[name] = f"{full}.{found[0] if len(found) == 1 else kind}"
        elif prefix and node.kind in ("Input", "Output"):
            nodes[full] = Node(PASS)
        else:
            nodes[full] = node
    for pre, post in graph.edges:
        edges.append((leave.get(pre, prefix + pre), entry.get(post, prefix + post)))


def _kind(node: Node | Graph) -> str:
    return "NIRGraph" if isinstance(node, Graph) else node.kind


def _rewire(flat: Flat) -> None:
    for name, node in flat.nodes.items():
        if node.kind != PASS:
            continue
        for weights in flat.after(name):
            targets = flat.after(weights)
            loop = [t for t in targets if t in flat.before[weights]]
            if flat.nodes[weights].kind in ("Affine", "Linear") and loop:
                flat.before[weights].remove(name)
                for target in loop:
                    flat.before[target].append(name)


def follow(flat: Flat, dt: float, problems: list[str]) -> dict[str, Signal]:
    """Return the signal that arrives at each population, readout and output.

    Parameters
    ----------
    flat
        The graph.
    dt
        Time step, s.
    problems
        What is wrong is appended to it.
    """
    leaving: dict[str, Signal] = {}
    for name in _ordered(flat, problems):
        node = flat.nodes[name]
        if node.kind in SOURCES:
            leaving[name] = Signal((Term(name, 0, None),))
        else:
            signals = [leaving[pre] for pre in flat.before[name]]
            signal = _sum(name, signals, problems)
            leaving[name] = _through(name, node, signal, dt, problems)
    arriving = {}
    for name, node in flat.nodes.items():
        if node.kind in (*SOURCES, "Output"):
            signals = [leaving[n] for n in flat.before[name] if n in leaving]
            arriving[name] = _sum(name, signals, problems)
    return arriving


def _ordered(flat: Flat, problems: list[str]) -> Iterator[str]:
    """Yield nodes so that all that are not sources come after those before them."""
    before = {
        name: [] if node.kind in SOURCES else flat.before[name]
        for name, node in flat.nodes.items()
    }
    try:
        yield from list(TopologicalSorter(before).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1][::-1])
        problems.append(f"a cycle must hold neurons; got {cycle}")


def _sum(name: str, signals: list[Signal], problems: list[str]) -> Signal:
    constant = np.zeros(())
    for signal in signals:
        shapes = constant.shape, signal.constant.shape
        if () not in shapes and shapes[0] != shapes[1]:
            problems.append(
                f"node {name!r} gets signals of {shapes[0]} and {shapes[1]}"
            )
            return Signal()
        constant = constant + signal.constant
    return Signal(tuple(term for s in signals for term in s.terms), constant)


def _through(
    name: str, node: Node, signal: Signal, dt: float, problems: list[str]
) -> Signal:
    """Return what leaves a node that `signal` enters."""
    if node.kind in ("Affine", "Linear"):
        return _weighted(name, node, signal, problems)
    if node.kind == "Scale":
        scale = node.values["scale"].ravel().astype(np.float64)
        return _times(name, np.diag(scale), signal, problems)
    if node.kind == "Delay":
        return _delayed(name, node, signal, dt, problems)
    return signal


def _weighted(name: str, node: Node, signal: Signal, problems: list[str]) -> Signal:
    weight = node.values["weight"].astype(np.float64)
    if weight.ndim != 2:
        problems.append(
            f"node {name!r} ({node.kind}): weight must have the axes (post, pre); got "
            f"shape {weight.shape}"
        )
        return Signal()
    out = _times(name, weight, signal, problems)
    bias = node.values.get("bias")
    if bias is None:
        return out
    if bias.size not in (1, len(weight)):
        problems.append(
            f"node {name!r} ({node.kind}): bias must have {len(weight)} values; got "
            f"shape {bias.shape}"
        )
        return out
    return Signal(out.terms, out.constant + np.broadcast_to(bias.ravel(), len(weight)))


def _times(
    name: str, matrix: np.ndarray, signal: Signal, problems: list[str]
) -> Signal:
    """Return a matrix times a signal."""
    width = matrix.shape[1]
    terms = []
    for term in signal.terms:
        if term.matrix is not None and len(term.matrix) != width:
            problems.append(
                f"node {name!r} must take {len(term.matrix)} values; got weights for "
                f"{width}"
            )
            continue
        product = matrix if term.matrix is None else matrix @ term.matrix
        terms.append(Term(term.source, term.steps, product))
    constant = np.zeros(())
    if signal.constant.shape == (width,):
        constant = matrix @ signal.constant
    return Signal(tuple(terms), constant)


def _delayed(
    name: str, node: Node, signal: Signal, dt: float, problems: list[str]
) -> Signal:
    exact = node.values["delay"].ravel() / dt
    steps = np.rint(exact).astype(np.int64)
    if (np.abs(exact - steps) > WHOLE_STEPS * np.maximum(steps, 1)).any():
        problems.append(
            f"node {name!r} (Delay): delay must be whole steps of {dt * 1e3:g} ms; got "
            f"{exact.min():g} to {exact.max():g} steps"
        )
    if steps.min(initial=0) < 0:
        problems.append(f"node {name!r} (Delay): delay must be >= 0")
        return signal
    terms = []
    for term in signal.terms:
        for step in np.unique(steps).tolist():
            chosen = steps == step
            matrix = term.matrix
            if not chosen.all():
                whole = np.eye(steps.size) if matrix is None else matrix
                if len(whole) != steps.size:
                    problems.append(f"node {name!r} must have {len(whole)} delays")
                    continue
                matrix = np.where(chosen[:, None], whole, 0.0)
            terms.append(Term(term.source, term.steps + step, matrix))
    return Signal(tuple(terms), signal.constant)
