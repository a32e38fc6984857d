"""A NIR graph of another program as one population with masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hardware._nir_graph import NEURONS, Graph
from hardware._notes import Note
from hardware.importing._nir_file import refuse
from hardware.importing._nir_neurons import Dialect, Neurons, neurons_of, tau_of
from hardware.importing._nir_paths import Flat, Signal, Term, flatten, follow
from spikelearn.memory import require_fits
from spikelearn.network import LIF, LeakyReadout, RecurrentNetwork

__all__ = ["network_of_graph"]

SAME = {8: 1e-12, 4: 1e-6, 2: 1e-3}  # relative, by bytes of the floats of the file


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the populations lie, and how many steps each is behind the input."""

    flat: Flat
    arriving: dict[str, Signal]
    n_in: int
    source: str
    output: str
    blocks: dict[str, slice]
    level: dict[str, int]
    loops: set[tuple[str, str]]
    dtype: np.dtype

    @property
    def n(self) -> int:
        return max((block.stop for block in self.blocks.values()), default=0)


def network_of_graph(
    where: str, graph: Graph, dialect: Dialect, dt: float
) -> tuple[RecurrentNetwork, tuple[Note, ...], dict[str, slice]]:
    """Return network, notes, and the neurons of each population by its name.

    Parameters
    ----------
    where
        Begins the messages.
    graph
        The graph.
    dialect
        What the program that wrote it means.
    dt
        Time step, ms.

    Raises
    ------
    FileFormatError
        If a network of ours is not the same; the message lists all reasons.
    InvalidValue
        If the network exceeds the memory limit.
    """
    problems: list[str] = []
    seconds = dt * 1e-3
    flat = flatten(graph, problems, rewire=dialect.rewire)
    arriving = follow(flat, seconds / dialect.time_scale, problems)
    layout = _lay_out(flat, arriving, problems)
    refuse(where, problems)
    n = layout.n
    require_fits(8 * n * (3 * n + layout.n_in), where, 24 * n, n, "neurons")
    neurons = {
        name: neurons_of(
            name, flat.nodes[name], _size(block), dialect, seconds, problems
        )
        for name, block in layout.blocks.items()
    }
    notes: list[Note] = []
    scaling, factor = _scaling(layout, neurons, notes)
    w_in, w_rec, delay, bias = _weights(layout, neurons, factor, problems, notes)
    w_out, b_out, readout = _readout(layout, seconds, dialect, problems)
    refuse(where, problems)
    network = _build(
        layout,
        neurons,
        {"w_in": w_in, "w_rec": w_rec, "w_out": w_out, "b_out": b_out, "bias": bias},
        cell={"reset": dialect.reset, "input_scaling": scaling},
        readout=readout,
        dt=dt,
        delay=delay,
    )
    notes += _notes(layout, network, dialect)
    return network, tuple(notes), layout.blocks


def _size(block: slice) -> int:
    return int(block.stop - block.start)


def _lay_out(flat: Flat, arriving: dict[str, Signal], problems: list[str]) -> _Layout:
    """Find input, output and the order of the populations."""
    kinds = {kind: _named(flat, kind) for kind in ("Input", "Output")}
    for kind, names in kinds.items():
        if len(names) != 1:
            problems.append(f"the graph must have one {kind} node; got {len(names)}")
    populations = [name for kind in NEURONS for name in _named(flat, kind)]
    if not populations:
        problems.append(f"the graph must have neurons ({', '.join(NEURONS)})")
    links = {
        (term.source, name)
        for name in populations
        for term in arriving[name].terms
        if term.source in populations
    }
    level, loops = _levels(populations, links)
    blocks, start = {}, 0
    for name in sorted(populations, key=lambda name: (level[name], name)):
        size = _population_size(name, flat, arriving[name])
        blocks[name] = slice(start, start + size)
        start += size
    source = (kinds["Input"] or [""])[0]
    n_in = _input_size(flat, source, arriving) if source else 1
    floats = [
        array.dtype
        for node in flat.nodes.values()
        for array in node.values.values()
        if array.dtype.kind == "f"
    ]
    return _Layout(
        flat=flat,
        arriving=arriving,
        n_in=n_in,
        source=source,
        output=(kinds["Output"] or [""])[0],
        blocks=blocks,
        level=level,
        loops=loops,
        dtype=np.result_type(np.float16, *floats),
    )


def _input_size(flat: Flat, source: str, arriving: dict[str, Signal]) -> int:
    """Return the number of inputs, without axes of samples and steps.

    Exporters that follow an example input write its whole shape.
    """
    shape = flat.nodes[source].values["shape"].ravel()
    widths = {
        term.matrix.shape[1]
        for signal in arriving.values()
        for term in signal.terms
        if term.source == source and term.matrix is not None
    }
    whole = int(np.prod(shape))
    last = int(shape[-1]) if shape.size else 1
    return last if widths == {last} else max(whole, 1)


def _named(flat: Flat, kind: str) -> list[str]:
    return [name for name, node in flat.nodes.items() if node.kind == kind]


def _population_size(name: str, flat: Flat, signal: Signal) -> int:
    """Return the largest number of values of a parameter, or of what arrives."""
    sizes = [array.size for array in flat.nodes[name].values.values()]
    sizes += [len(term.matrix) for term in signal.terms if term.matrix is not None]
    return max(sizes)


def _levels(
    populations: list[str], links: set[tuple[str, str]]
) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Return steps behind the input, and the links that lie on a loop."""
    reach = {name: {post for pre, post in links if pre == name} for name in populations}
    for middle in populations:
        for name in populations:
            if middle in reach[name]:
                reach[name] = reach[name] | reach[middle]
    loops = {(pre, post) for pre, post in links if pre in reach[post]}
    level = dict.fromkeys(populations, 0)
    for _ in populations:
        for pre, post in links:
            least = level[pre] + ((pre, post) not in loops)
            level[post] = max(level[post], least)
    return level, loops


def _scaling(
    layout: _Layout, neurons: dict[str, Neurons], notes: list[Note]
) -> tuple[str, np.ndarray]:
    """Return our input scaling, and what weights into each neuron are multiplied by."""
    gain, loss = (
        np.concatenate([getattr(p, name) for p in neurons.values()])
        for name in ("gain", "loss")
    )
    near = SAME[min(layout.dtype.itemsize, 8)]
    if np.allclose(gain, 1.0, rtol=near, atol=0.0):
        return "unit", np.ones_like(gain)
    if np.allclose(gain, loss, rtol=near, atol=0.0):
        return "leak", np.ones_like(gain)
    text = "weights are multiplied by a r (a_syn w_in), so that an input of 1 is 1"
    notes.append(Note("changed", "weights", text))
    return "unit", gain


def _weights(
    layout: _Layout,
    neurons: dict[str, Neurons],
    factor: np.ndarray,
    problems: list[str],
    notes: list[Note],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return input and recurrent weights, delays in steps, and biases."""
    n = layout.n
    w_in, w_rec = np.zeros((n, layout.n_in)), np.zeros((n, n))
    delay, bias = np.zeros((n, n), np.int32), np.zeros(n)
    for name, block in layout.blocks.items():
        signal, cells = layout.arriving[name], neurons[name]
        for term in signal.terms:
            n_pre = _width(term.source, layout)
            matrix = _matrix(term, _size(block), n_pre, name, problems)
            matrix = matrix * factor[block, None]
            if term.source == layout.source:
                if term.steps:
                    problems.append(
                        f"node {name!r} gets the input {term.steps} steps late; inputs "
                        "have no delay here. (Delay the input data.)"
                    )
                w_in[block] += matrix
            elif term.source in layout.blocks:
                pre = layout.blocks[term.source]
                steps = _steps(term, name, layout)
                known = delay[block, pre]
                if ((known != 0) & (known != steps) & (matrix != 0)).any():
                    problems.append(
                        f"connections {term.source!r} -> {name!r} must have one delay "
                        f"each; got {known.max()} and {steps} steps for the same one"
                    )
                used = (matrix != 0) | (known == 0)
                delay[block, pre] = np.where(used, steps, known)
                w_rec[block, pre] += matrix
            else:
                problems.append(
                    f"node {name!r} must get spikes; got the voltage of {term.source!r}"
                )
        bias[block] = cells.bias + _constant_drive(name, signal, cells, notes)
    return w_in, w_rec, np.maximum(delay, 1), bias


def _steps(term: Term, post: str, layout: _Layout) -> int:
    """Return the delay of a term between populations in our steps."""
    if (term.source, post) in layout.loops:
        return term.steps + 1
    return term.steps + layout.level[post] - layout.level[term.source]


def _width(name: str, layout: _Layout) -> int:
    if name == layout.source:
        return layout.n_in
    return _size(layout.blocks[name]) if name in layout.blocks else 0


def _matrix(
    term: Term, n_post: int, n_pre: int, name: str, problems: list[str]
) -> np.ndarray:
    if n_pre == 0:  # said elsewhere
        return np.zeros((n_post, 0))
    if term.matrix is None and n_post == n_pre:
        return np.eye(n_pre)
    shape = (n_pre, n_pre) if term.matrix is None else term.matrix.shape
    if shape == (n_post, n_pre) and term.matrix is not None:
        return term.matrix
    problems.append(
        f"weights {term.source!r} -> {name!r} must have shape {(n_post, n_pre)} (post, "
        f"pre); got {shape}"
    )
    return np.zeros((n_post, n_pre))


def _constant_drive(
    name: str, signal: Signal, cells: Neurons, notes: list[Note]
) -> np.ndarray:
    """Return what a constant current adds to v at every step, once it has settled."""
    constant = np.broadcast_to(signal.constant, cells.gain.shape)
    if not constant.any() or not cells.current:
        return cells.gain * constant
    text = (
        f"the bias of the weights into {name!r} is filtered by its synaptic current; "
        "here it acts in full from the first step on"
    )
    notes.append(Note("changed", "bias", text, loud=True))
    return cells.gain * constant / np.maximum(1.0 - cells.alpha_s, 1e-300)


def _readout(
    layout: _Layout, dt: float, dialect: Dialect, problems: list[str]
) -> tuple[np.ndarray, np.ndarray, LeakyReadout]:
    """Return weights, biases and specification of the readout."""
    signal, output = layout.arriving[layout.output], layout.output
    leaky = [term for term in signal.terms if term.source not in layout.blocks]
    readout = LeakyReadout(tau_out=0.0, scaling="unit")
    gain, shift = np.ones(1), np.zeros(1)
    if leaky:
        name = leaky[0].source
        node = layout.flat.nodes[name]
        alone = len(signal.terms) == 1 and leaky[0].matrix is None
        if node.kind != "LI" or not alone or signal.constant.any():
            problems.append(
                f"node {output!r} must get spikes, weighted spikes, or one LI node as "
                f"it is; got {', '.join(term.source for term in signal.terms)}"
            )
            return np.zeros((1, layout.n)), np.zeros(1), readout
        values = {k: v.ravel().astype(np.float64) for k, v in node.values.items()}
        tau = values["tau"] * dialect.time_scale
        ratio = dt / tau
        loss = -np.expm1(-ratio) if dialect.discretisation == "exponential" else ratio
        if not (tau > 0).all() or (loss > 1 + 1e-6).any() or np.ptp(loss) > 1e-12:
            problems.append(
                f"node {name!r} (LI): tau must be one time constant for all outputs, "
                f"and at least dt; got {tau.min():g} to {tau.max():g} s"
            )
            return np.zeros((1, layout.n)), np.zeros(1), readout
        loss = np.minimum(loss, 1.0)
        gain, shift = loss * values["r"], loss * values["v_leak"]
        near = SAME[min(layout.dtype.itemsize, 8)]
        scaling = "unit"
        if np.allclose(gain, loss, rtol=near, atol=0.0):
            scaling = "leak"
        alpha = 1.0 - loss[0]
        tau_out = float(tau_of(alpha, dt)) * 1e3 if alpha > 0 else 0.0
        readout = LeakyReadout(tau_out, scaling)
        signal, output = layout.arriving[name], name
    return _readout_weights(signal, output, gain, shift, readout, layout, problems)


def _readout_weights(
    signal: Signal,
    output: str,
    gain: np.ndarray,
    shift: np.ndarray,
    readout: LeakyReadout,
    layout: _Layout,
    problems: list[str],
) -> tuple[np.ndarray, np.ndarray, LeakyReadout]:
    rows = [len(t.matrix) for t in signal.terms if t.matrix is not None]
    rows += [_width(t.source, layout) for t in signal.terms if t.matrix is None]
    n_out = max([*rows, 1])
    w_out = np.zeros((n_out, layout.n))
    for term in signal.terms:
        if term.source not in layout.blocks:
            problems.append(
                f"node {output!r} must get spikes; got node {term.source!r}"
            )
            continue
        if term.steps:
            problems.append(f"node {output!r} must get spikes without a Delay")
        block = layout.blocks[term.source]
        w_out[:, block] += _matrix(term, n_out, _size(block), output, problems)
    factor = 1.0 if readout.scaling == "leak" else gain[:, None]
    constant = np.broadcast_to(signal.constant, n_out)
    if gain.size not in (1, n_out):
        problems.append(f"node {output!r} must have {n_out} values; got {gain.size}")
        return w_out, constant, readout
    return w_out * factor, gain * constant + shift, readout


def _build(
    layout: _Layout,
    neurons: dict[str, Neurons],
    params: dict[str, np.ndarray],
    *,
    cell: dict[str, str],
    readout: LeakyReadout,
    dt: float,
    delay: np.ndarray,
) -> RecurrentNetwork:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(p, name) for p in neurons.values()])

    alpha_s = joined("alpha_s")
    tau_syn = np.where(alpha_s > 0, tau_of(alpha_s, dt), 0.0)
    sizes = [_size(block) for block in layout.blocks.values()]
    network = RecurrentNetwork(
        layout.n_in,
        layout.n,
        len(params["w_out"]),
        cell=LIF(
            tau_m=_one(tau_of(joined("alpha_m"), dt)),
            tau_syn=_one(tau_syn),
            v_th=_one(joined("v_th")),
            **cell,
        ),
        readout=readout,
        dt=dt,
        **_masks(layout, params["w_rec"]),
        delay=delay if np.ptp(delay) else int(delay.flat[0]),
        layers=tuple(sizes),
        dtype="float64" if layout.dtype.itemsize >= 8 else "float32",
    )
    network.params.load(params)
    return network


def _one(values: np.ndarray) -> float | np.ndarray:
    """Return a number if all values are the same."""
    return float(values[0]) if (values == values[0]).all() else values


def _masks(layout: _Layout, w_rec: np.ndarray) -> dict[str, np.ndarray]:
    """Return the masks of the connections that the graph has."""
    n = layout.n
    last = layout.arriving[layout.output]
    for term in last.terms:
        if term.source not in layout.blocks:
            last = layout.arriving[term.source]
    reading = {term.source for term in last.terms}
    mask, first, out = np.zeros((n, n), bool), np.zeros(n, bool), np.zeros(n, bool)
    for name, block in layout.blocks.items():
        out[block] = name in reading
        for term in layout.arriving[name].terms:
            if term.source in layout.blocks:
                mask[block, layout.blocks[term.source]] = True
            else:
                first[block] = True
    mask[np.diag_indices(n)] &= np.diag(w_rec) != 0
    n_out = 1
    for term in last.terms:
        if term.matrix is not None:
            n_out = len(term.matrix)
        else:
            n_out = _width(term.source, layout)
    return {
        "mask": mask,
        "mask_in": np.repeat(first[:, None], layout.n_in, axis=1),
        "mask_out": np.repeat(out[None], n_out, axis=0),
    }


def _notes(layout: _Layout, network: RecurrentNetwork, dialect: Dialect) -> list[Note]:
    """Return what was assumed, and what a single population does in another way."""
    step = {"euler": "forward Euler", "exponential": "exact"}[dialect.discretisation]
    text = (
        f"{step} steps of {network.dt:g} ms, current before voltage; time constants are "
        "chosen so that each step keeps the same fraction"
    )
    notes = [Note("assumed", "time step", text)]
    text = {
        "zero": "v is set to v_reset, as NIR says",
        "subtract": "v_threshold is subtracted one step after the spike",
    }[dialect.reset]
    notes.append(Note("assumed", "reset", text))
    if len(layout.blocks) > 1:
        notes.append(Note("changed", "layers", _layer_text(layout)))
    nodes = [layout.flat.nodes[name] for name in layout.blocks]
    starts = [
        node.values[key]
        for node in nodes
        for key in ("v_reset", "v_leak")
        if key in node.values
    ]
    if any(start.any() for start in starts):
        text = "v starts at v_reset; other programs start at v_leak or 0"
        notes.append(Note("assumed", "first state", text, loud=True))
    notes += [Note("changed", *warning, loud=True) for warning in dialect.warnings]
    return notes + _late_notes(layout)


def _layer_text(layout: _Layout) -> str:
    levels = [f"{name} {layout.level[name]}" for name in layout.blocks]
    return (
        "populations become blocks of one, and a connection between them takes a step; "
        f"steps behind the graph: {', '.join(levels)}"
    )


def _late_notes(layout: _Layout) -> list[Note]:
    """Return notes on signals that arrive at another time than in the graph."""
    notes = []
    late = {
        name
        for name in layout.blocks
        for term in layout.arriving[name].terms
        if term.source == layout.source and layout.level[name] > 0
    }
    if late:
        text = f"the input reaches {', '.join(sorted(late))} too early for its level"
        notes.append(Note("changed", "input", text, loud=True))
    between = sorted(pre for pre, post in layout.loops if pre != post)
    if between:
        text = (
            f"the loop through {', '.join(dict.fromkeys(between))} takes a step in each "
            "population; other programs take one step for the whole loop"
        )
        notes.append(Note("changed", "loop", text, loud=True))
    if any(
        layout.level[pre] != layout.level[post] and layout.flat.before
        for pre, post in pairwise(_reading(layout))
    ):
        text = "the output adds populations of different levels"
        notes.append(Note("changed", "output", text, loud=True))
    moved = [
        name
        for name in layout.blocks
        if layout.level[name] > 0 and layout.arriving[name].constant.any()
    ]
    if moved:
        text = f"biases of {', '.join(moved)} act before the first spikes can arrive"
        notes.append(Note("changed", "bias", text, loud=True))
    return notes


def _reading(layout: _Layout) -> list[str]:
    terms: tuple[Any, ...] = layout.arriving[layout.output].terms
    for term in terms:
        if term.source not in layout.blocks and term.source in layout.arriving:
            terms = layout.arriving[term.source].terms
    return [term.source for term in terms if term.source in layout.blocks]
