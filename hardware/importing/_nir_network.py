"""A NIR graph of another program as one population with masks."""

from __future__ import annotations

import numpy as np

from hardware._nir_graph import Graph
from hardware._notes import Note
from hardware.importing._nir_file import refuse
from hardware.importing._nir_layout import (
    SAME,
    Layout,
    lay_out,
    matrix_of,
    size_of,
    width_of,
)
from hardware.importing._nir_neurons import Dialect, Neurons, neurons_of, tau_of
from hardware.importing._nir_notes import notes_of
from hardware.importing._nir_paths import Signal, Term, flatten, follow
from hardware.importing._nir_readout import readout_of
from spikelearn.memory import require_fits
from spikelearn.network import LIF, LeakyReadout, RecurrentNetwork

__all__ = ["network_of_graph"]


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
    layout = lay_out(flat, arriving, problems)
    refuse(where, problems)
    n = layout.n
    require_fits(8 * n * (3 * n + layout.n_in), where, 24 * n, n, "neurons")
    neurons = {
        name: neurons_of(
            name, flat.nodes[name], size_of(block), dialect, seconds, problems
        )
        for name, block in layout.blocks.items()
    }
    notes: list[Note] = []
    scaling, factor = _scaling(layout, neurons, notes)
    w_in, w_rec, delay, bias = _weights(layout, neurons, factor, problems, notes)
    w_out, b_out, readout = readout_of(layout, seconds, dialect, problems)
    refuse(where, problems)
    network = _build(
        layout,
        neurons,
        {"w_in": w_in, "w_rec": w_rec, "w_out": w_out, "b_out": b_out, "bias": bias},
        reset=dialect.reset,
        scaling=scaling,
        readout=readout,
        dt=dt,
        delay=delay,
    )
    notes += notes_of(layout, dialect, dt)
    return network, tuple(notes), layout.blocks


def _scaling(
    layout: Layout, neurons: dict[str, Neurons], notes: list[Note]
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
    layout: Layout,
    neurons: dict[str, Neurons],
    factor: np.ndarray,
    problems: list[str],
    notes: list[Note],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return input and recurrent weights, delays in steps, and biases."""
    n = layout.n
    w_in, w_rec = np.zeros((n, layout.n_in)), np.zeros((n, n))
    delay, bias = np.zeros((n, n), np.int32), np.zeros(n)
    taken = np.zeros((n, n), bool)
    for name, block in layout.blocks.items():
        signal, cells = layout.arriving[name], neurons[name]
        for term in signal.terms:
            n_pre = width_of(term.source, layout)
            matrix = matrix_of(term, size_of(block), n_pre, name, problems)
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
                known, there = delay[block, pre], matrix != 0
                if (taken[block, pre] & there & (known != steps)).any():
                    problems.append(
                        f"connections {term.source!r} -> {name!r} must have one delay "
                        f"each; got {known.max()} and {steps} steps for the same one"
                    )
                delay[block, pre] = np.where(there | (known == 0), steps, known)
                taken[block, pre] |= there
                w_rec[block, pre] += matrix
            else:
                problems.append(
                    f"node {name!r} must get spikes; got the voltage of {term.source!r}"
                )
        bias[block] = cells.bias + _constant_drive(name, signal, cells, notes)
    return w_in, w_rec, np.maximum(delay, 1), bias


def _steps(term: Term, post: str, layout: Layout) -> int:
    """Return the delay of a term between populations in our steps."""
    if (term.source, post) in layout.loops:
        return term.steps + 1
    return term.steps + layout.level[post] - layout.level[term.source]


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


def _build(
    layout: Layout,
    neurons: dict[str, Neurons],
    params: dict[str, np.ndarray],
    *,
    reset: str,
    scaling: str,
    readout: LeakyReadout,
    dt: float,
    delay: np.ndarray,
) -> RecurrentNetwork:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(p, name) for p in neurons.values()])

    alpha_s = joined("alpha_s")
    tau_syn = np.where(alpha_s > 0, tau_of(alpha_s, dt), 0.0)
    sizes = [size_of(block) for block in layout.blocks.values()]
    network = RecurrentNetwork(
        layout.n_in,
        layout.n,
        len(params["w_out"]),
        cell=LIF(
            tau_m=_one(tau_of(joined("alpha_m"), dt)),
            tau_syn=_one(tau_syn),
            v_th=_one(joined("v_th")),
            reset=reset,
            input_scaling=scaling,
        ),
        readout=readout,
        dt=dt,
        **_masks(layout, params["w_rec"], len(params["w_out"])),
        delay=delay if np.ptp(delay) else int(delay.flat[0]),
        layers=tuple(sizes),
        dtype="float64" if layout.dtype.itemsize >= 8 else "float32",
    )
    network.params.load(params)
    return network


def _one(values: np.ndarray) -> float | np.ndarray:
    """Return a number if all values are the same."""
    return float(values[0]) if (values == values[0]).all() else values


def _masks(layout: Layout, w_rec: np.ndarray, n_out: int) -> dict[str, np.ndarray]:
    """Return the masks of the connections that the graph has."""
    n = layout.n
    read = {term.source for term in layout.arriving[layout.last].terms}
    mask, first, out = np.zeros((n, n), bool), np.zeros(n, bool), np.zeros(n, bool)
    for name, block in layout.blocks.items():
        out[block] = name in read
        for term in layout.arriving[name].terms:
            if term.source in layout.blocks:
                mask[block, layout.blocks[term.source]] = True
            else:
                first[block] = True
    mask[np.diag_indices(n)] &= np.diag(w_rec) != 0
    return {
        "mask": mask,
        "mask_in": np.repeat(first[:, None], layout.n_in, axis=1),
        "mask_out": np.repeat(out[None], n_out, axis=0),
    }
