"""Modules of Norse become networks.

One Euler step of Norse 1.1.0 (`norse.torch.functional.lif`, `lif_box`,
`leaky_integrator_box`) is, with a = dt / tau,

    LIFRecurrent(Cell), LIF(Cell)   i += w_in x[t] + w_rec z[t-1]
                                    v += a_mem (v_leak - v + i),  i -= a_syn i
    LIFBoxCell                      v += a_mem (v_leak - v + x[t])
    LIBoxCell                       v += a (v_leak - v + x[t]),   not spiking

and z = [v > v_th], v := v_reset in the same step. That is our LIF cell with
input_scaling "leak" and reset "zero", voltages counted from v_reset. Norse starts at
v = v_leak, we at v_reset: spikes are equal where both are the same. Cells with
adaptation (LSNN) test v before the current arrives, and are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hardware._nir_graph import Graph, Node
from hardware._notes import Note
from hardware.importing._nir_file import refuse
from hardware.importing._nir_network import network_of_graph
from hardware.importing._nir_neurons import Dialect
from hardware.importing.nir import ReadNetwork
from spikelearn.errors import optional_import

__all__ = ["read_norse"]

WHERE = "Norse module"
CUBA = ("LIFRecurrentCell", "LIFRecurrent", "LIFCell", "LIF")
CHAINS = ("SequentialState", "Sequential")


def read_norse(module: Any) -> ReadNetwork:
    """Return the network of a Norse module.

    Parameters
    ----------
    module
        `LIFRecurrent`, `LIFRecurrentCell`, `LIF`, `LIFCell`, `LIFBoxCell`, or a
        `SequentialState` of these, of `torch.nn.Linear` and, last, `LIBoxCell`. Without
        `Linear` or `LIBoxCell` at the end, the readout gives the spikes of the last
        population.

    Raises
    ------
    FileFormatError
        If a part has no form here; the message names all of them.
    MissingDependency
        If Norse is not installed.
    """
    optional_import("norse", "norse", "reading Norse modules")
    problems: list[str] = []
    nodes: dict[str, Node | Graph] = {}
    edges: list[tuple[str, str]] = []
    steps: set[float] = set()
    last = "input"
    for name, part in _parts(module):
        entry, leave = _add(name, part, nodes, edges, problems)
        edges.append((last, entry))
        last = leave
        if hasattr(part, "dt"):
            steps.add(float(part.dt))
    if len(steps) > 1:
        problems.append(f"all parts must have one dt; got {sorted(steps)} s")
    if not steps:
        problems.append("there must be neurons, which have a dt")
    refuse(WHERE, problems)
    nodes["input"] = Node("Input", {"shape": np.array([_inputs(nodes)])})
    nodes["output"] = Node("Output", {"shape": np.array([1])})
    graph = Graph(nodes, (*edges, (last, "output")))
    dialect = Dialect("Norse modules", whole_current=True)
    dt = round(steps.pop() * 1e3, 12)
    network, notes, blocks = network_of_graph(WHERE, graph, dialect, dt)
    text = "method and alpha of Norse; the default surrogate derivative is used"
    notes = (*notes, Note("lost", "surrogate", text))
    return ReadNetwork(network, notes, blocks)


def _parts(module: Any) -> list[tuple[str, Any]]:
    """Return the modules of a chain by name, or the module itself."""
    if type(module).__name__ not in CHAINS:
        return [("module", module)]
    return [(f"module.{name}", part) for name, part in module.named_children()]


def _array(tensor: Any) -> np.ndarray:
    """Return a parameter as an array with at least one axis."""
    detached = tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor
    return np.atleast_1d(np.asarray(detached))


def _add(
    name: str,
    part: Any,
    nodes: dict[str, Node | Graph],
    edges: list[tuple[str, str]],
    problems: list[str],
) -> tuple[str, str]:
    """Add the nodes of a part; return where it is entered and left."""
    kind = type(part).__name__
    makers: dict[str, Callable[[Any, list[str], str], Node]] = {
        **dict.fromkeys(CUBA, _cuba),
        "LIFBoxCell": _box,
        "LIBoxCell": _integrator,
        "Linear": _linear,
    }
    if kind not in makers:
        known = ", ".join([*makers, *CHAINS])
        problems.append(f"{name} of type {kind} is not supported. (Known: {known}.)")
        return name, name
    nodes[name] = makers[kind](part, problems, name)
    if not hasattr(part, "recurrent_weights"):
        return name, name
    for end, weights in (("in", "input_weights"), ("rec", "recurrent_weights")):
        node = Node("Linear", {"weight": _array(getattr(part, weights))})
        nodes[f"{name}.w_{end}"] = node
        edges.append((f"{name}.w_{end}", name))
    edges.append((name, f"{name}.w_rec"))
    return f"{name}.w_in", name


def _linear(part: Any, problems: list[str], name: str) -> Node:
    weight = {"weight": _array(part.weight)}
    if part.bias is None:
        return Node("Linear", weight)
    return Node("Affine", weight | {"bias": _array(part.bias)})


def _voltage(p: Any) -> dict[str, np.ndarray]:
    v_leak, inverse = _array(p.v_leak), _array(p.tau_mem_inv)
    return {"r": np.ones(1), "v_leak": v_leak, "tau": 1.0 / inverse}


def _spiking(p: Any) -> dict[str, np.ndarray]:
    values = {"v_threshold": _array(p.v_th), "v_reset": _array(p.v_reset)}
    return _voltage(p) | values


def _cuba(part: Any, problems: list[str], name: str) -> Node:
    values = _spiking(part.p)
    values |= {
        "tau_mem": values.pop("tau"),
        "tau_syn": 1.0 / _array(part.p.tau_syn_inv),
    }
    return Node("CubaLIF", values)


def _box(part: Any, problems: list[str], name: str) -> Node:
    reset = getattr(part.p.reset_method, "__name__", "")
    if reset != "reset_value":
        problems.append(
            f"{name} must have the reset method reset_value; got {reset}. (Norse "
            "subtracts before the leak, our cells after it.)"
        )
    return Node("LIF", _spiking(part.p))


def _integrator(part: Any, problems: list[str], name: str) -> Node:
    return Node("LI", _voltage(part.p))


def _inputs(nodes: dict[str, Node | Graph]) -> int:
    """Return the number of inputs of the first weights, or of the first neurons."""
    for node in nodes.values():
        values = node.values if isinstance(node, Node) else {}
        if "weight" in values:
            return int(values["weight"].shape[-1])
    return max(
        v.size for n in nodes.values() if isinstance(n, Node) for v in n.values.values()
    )
