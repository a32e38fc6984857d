"""A network as a NIR graph: the float network, or the integers of a description.

::

    input -> w_in -> neurons -> w_out -> readout -> output
                     neurons -> w_rec (-> delay) -> neurons

A neuron keeps alpha of its state at every step. With loss = 1 - alpha and dt in s,

    "euler"        tau = dt / loss              a forward Euler step of dt keeps alpha
    "exponential"  tau = -dt / log(alpha)       the exact step of dt keeps alpha

and in both r = zeta / loss_m, w_in = 1 / loss_s (LI: r = c / loss), so that an input
moves the state by as much as it does here. A bias is a bias of the input weights, or
v_leak = bias / loss_m behind a synaptic current. Registers of a description follow from
loss_m = dv / 4096, loss_s = (du + 1) / 4096, v_threshold = 64 vth and
weight = mantissa 2^(6 + exponent).

What NIR has no word for is kept in the metadata under "spikelearn", which lets
`hardware.importing.nir` build the same network again, and told in the notes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardware import _nir_metadata
from hardware._nir_graph import Graph, Node
from hardware._notes import Note
from hardware.description import Connection, NetworkDescription
from hardware.export._nir_notes import notes_of_description, notes_of_network
from hardware.export._supported import refuse_unsupported
from spikelearn.errors import HardwareError, optional_import, require
from spikelearn.files import atomic_path
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = ["DISCRETISATIONS", "nir_graph", "write_nir"]

DISCRETISATIONS = ("euler", "exponential")
SMALLEST_LOSS = 2.0**-60  # 1 - loss is 1 in float64, and dt / tau stays above 0
SHORTEST_TAU = 1e-3  # of dt: exp(-1000) is 0 in float64
UNIT = 64.0


def write_nir(
    source: RecurrentNetwork | NetworkDescription,
    path: str | Path,
    *,
    discretisation: str = "euler",
    readout: bool = True,
) -> tuple[Note, ...]:
    """Write a NIR file (HDF5) and return what it does not say.

    Parameters
    ----------
    source
        LIF or ALIF network, or integers.
    path
        The file; it is replaced as a whole.
    discretisation
        "euler" or "exponential": which kind of step of other programs shall keep the
        decay factors of the network.
    readout
        Whether the graph ends with the readout, or with the spikes (several programs
        read no LI node).

    Raises
    ------
    HardwareError
        If the cells do not spike.
    InvalidValue
        If there is no such discretisation.
    MissingDependency
        If the package nir is not installed.
    FileAccessError
        If the file cannot be written.
    """
    graph, notes = nir_graph(source, discretisation=discretisation, readout=readout)
    nir = optional_import("nir", "nir", "writing NIR files")
    nodes = {
        name: getattr(nir, node.kind)(*node.values.values())
        if node.kind in ("Input", "Output")
        else getattr(nir, node.kind)(**node.values)
        for name, node in graph.nodes.items()
        if isinstance(node, Node)
    }
    metadata = {_nir_metadata.NAME: graph.metadata}
    written = nir.NIRGraph(nodes, list(graph.edges), metadata=metadata)
    with atomic_path(path) as temporary:
        nir.write(temporary, written)
    return notes


def nir_graph(
    source: RecurrentNetwork | NetworkDescription,
    *,
    discretisation: str = "euler",
    readout: bool = True,
) -> tuple[Graph, tuple[Note, ...]]:
    """Return the graph that `write_nir` writes, and its notes.

    Raises
    ------
    HardwareError, InvalidValue
        As `write_nir`.
    """
    rule = f"must be one of {DISCRETISATIONS}"
    known = discretisation in DISCRETISATIONS
    require(known, "nir_graph.discretisation", rule, discretisation)
    if isinstance(source, NetworkDescription):
        return _of_description(source, discretisation, readout)
    return _of_network(source, discretisation, readout)


def _tau(loss: np.ndarray, dt: float, discretisation: str) -> np.ndarray:
    """Return time constants (s) whose step of dt (ms) loses a fraction `loss`."""
    seconds = dt * 1e-3
    loss = np.maximum(loss, SMALLEST_LOSS)
    if discretisation == "euler":
        return seconds / loss
    with np.errstate(divide="ignore"):
        rate = np.minimum(-np.log1p(-loss), 1.0 / SHORTEST_TAU)
    return seconds / rate


def _neurons(
    loss_m: np.ndarray,
    loss_s: np.ndarray | None,
    gain: np.ndarray,
    v_th: np.ndarray,
    bias: np.ndarray,
    dt: float,
    discretisation: str,
) -> Node:
    """Return a LIF node, or a CubaLIF node if there is a synaptic current."""
    kept = np.maximum(loss_m, SMALLEST_LOSS)
    values = {
        "r": gain / kept,
        "v_leak": np.zeros_like(kept) if loss_s is None else bias / kept,
        "v_threshold": v_th,
        "v_reset": np.zeros_like(kept),
    }
    tau = _tau(loss_m, dt, discretisation)
    if loss_s is None:
        return Node("LIF", {"tau": tau} | values)
    current = {
        "tau_syn": _tau(loss_s, dt, discretisation),
        "w_in": 1.0 / np.maximum(loss_s, SMALLEST_LOSS),
    }
    return Node("CubaLIF", {"tau_mem": tau} | current | values)


def _weights(weight: np.ndarray, bias: np.ndarray | None) -> Node:
    """Return an Affine node, or a Linear one if there is no bias."""
    weight = np.array(weight)
    if bias is None or not bias.any():
        return Node("Linear", {"weight": weight})
    return Node("Affine", {"weight": weight, "bias": np.array(bias, np.float64)})


def _readout(
    loss: np.ndarray, gain: np.ndarray, dt: float, discretisation: str
) -> Node:
    kept = np.maximum(loss, SMALLEST_LOSS)
    values = {"r": gain / kept, "v_leak": np.zeros_like(kept)}
    return Node("LI", {"tau": _tau(loss, dt, discretisation)} | values)


def _assemble(
    n_in: int,
    w_in: Node,
    neurons: Node,
    recurrent: dict[int, np.ndarray],
    dt: float,
    output: list[tuple[str, Node]],
) -> tuple[dict[str, Node | Graph], list[tuple[str, str]]]:
    """Join the parts; `recurrent` are the weights by delay in steps."""
    n_rec = neurons.values["v_threshold"].size
    nodes: dict[str, Node | Graph] = {
        "input": Node("Input", {"shape": np.array([n_in])}),
        "w_in": w_in,
        "neurons": neurons,
    }
    edges = [("input", "w_in"), ("w_in", "neurons")]
    for steps, weight in recurrent.items():
        name = "w_rec" if len(recurrent) == 1 else f"w_rec_{steps}"
        nodes[name] = _weights(weight, None)
        chain = ["neurons", name]
        if steps > 1:
            late = f"delay_{steps}"
            seconds = np.full(n_rec, (steps - 1) * dt * 1e-3)
            nodes[late] = Node("Delay", {"delay": seconds})
            chain.append(late)
        edges += zip(chain, [*chain[1:], "neurons"], strict=True)
    last, n_last = "neurons", n_rec
    for name, node in output:
        nodes[name] = node
        edges.append((last, name))
        last = name
        if "weight" in node.values:
            n_last = len(node.values["weight"])
    nodes["output"] = Node("Output", {"shape": np.array([n_last])})
    edges.append((last, "output"))
    return nodes, edges


def _of_network(
    network: RecurrentNetwork, discretisation: str, readout: bool
) -> tuple[Graph, tuple[Note, ...]]:
    if not network.spiking:
        raise HardwareError(
            "cells must spike to be written as NIR; got rate units. (NIR has no "
            "rectifying node; train LIF or ALIF cells.)"
        )
    cell, dt, n = network.cell, network.dt, network.n_rec
    alpha_m, alpha_s = (
        decay_factor(cell.per_neuron(name, n), dt) for name in ("tau_m", "tau_syn")
    )
    zeta = np.ones(n) if cell.input_scaling == "unit" else 1.0 - alpha_m
    bias = network.params.bias.astype(np.float64)
    current = bool(alpha_s.any())
    constants = (1.0 - alpha_m, 1.0 - alpha_s if current else None, zeta)
    v_th = cell.per_neuron("v_th", n)
    neurons = _neurons(*constants, v_th, bias, dt, discretisation)
    drive = None if current else bias / np.maximum(zeta, SMALLEST_LOSS)
    nodes, edges = _assemble(
        network.n_in,
        _weights(network.params.w_in, drive),
        neurons,
        _recurrent_by_delay(network),
        dt,
        _output_of_network(network, discretisation) if readout else [],
    )
    metadata = _nir_metadata.of_network(network, discretisation, readout)
    notes = notes_of_network(network, discretisation, readout)
    return Graph(nodes, tuple(edges), metadata), tuple(notes)


def _recurrent_by_delay(network: RecurrentNetwork) -> dict[int, np.ndarray]:
    """Return the recurrent weights of each delay that occurs, by steps."""
    w_rec, delay = network.params.w_rec, network.delay
    if not isinstance(delay, np.ndarray):
        return {int(delay): np.array(w_rec)}
    steps = np.unique(delay[network.masks["w_rec"]]).tolist() or [1]
    return {step: np.where(delay == step, w_rec, 0) for step in steps}


def _output_of_network(
    network: RecurrentNetwork, discretisation: str
) -> list[tuple[str, Node]]:
    kappa, c = network.readout.factors(network.dt)
    b_out = network.params.b_out.astype(np.float64)
    if kappa == 0.0:  # then c is 1
        return [("w_out", _weights(network.params.w_out, b_out))]
    loss = np.full(network.n_out, 1.0 - kappa)
    gain = np.full(network.n_out, c)
    return [
        ("w_out", _weights(network.params.w_out, b_out / c)),
        ("readout", _readout(loss, gain, network.dt, discretisation)),
    ]


def _of_description(
    source: NetworkDescription, discretisation: str, readout: bool
) -> tuple[Graph, tuple[Note, ...]]:
    refuse_unsupported(source, "a NIR graph of integers")
    cell, out = source.lif, source.readout
    bias = (cell.bias_mant << cell.bias_exp).astype(np.float64)
    ones = np.ones(source.n_rec)
    constants = (cell.dv / 4096.0, (cell.du + 1) / 4096.0, ones)
    neurons = _neurons(*constants, UNIT * cell.vth, bias, source.dt, discretisation)
    output = []
    if readout:
        b_out = (out.bias_mant << out.bias_exp).astype(np.float64)
        gain = np.ones(source.n_out)
        output = [
            ("w_out", _weights(_effective(source.w_out), b_out)),
            ("readout", _readout(out.dv / 4096.0, gain, source.dt, discretisation)),
        ]
    nodes, edges = _assemble(
        source.n_in,
        _weights(_effective(source.w_in), None),
        neurons,
        {1: _effective(source.w_rec)},
        source.dt,
        output,
    )
    metadata = _nir_metadata.of_description(source, discretisation, readout)
    notes = notes_of_description(source, discretisation, readout)
    return Graph(nodes, tuple(edges), metadata), tuple(notes)


def _effective(block: Connection) -> np.ndarray:
    return block.weights.astype(np.float64) * 2.0 ** (6 + block.exponent)
