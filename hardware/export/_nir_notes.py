"""What a NIR graph does not say of a network."""

from __future__ import annotations

import numpy as np

from hardware import _nir_metadata
from hardware._notes import Note
from hardware.description import NetworkDescription
from spikelearn.network import RecurrentNetwork

__all__ = ["notes_of_description", "notes_of_network"]


def _common_notes(
    dt: float, discretisation: str, reset: str, adaptive: bool, silent: bool
) -> list[Note]:
    """Return notes on what both kinds of network have."""
    step = "forward Euler" if discretisation == "euler" else "exact exponential"
    text = f"NIR has no time step: spikes are the same only with {step} steps of "
    notes = [Note("lost", "time step", f"{text}{dt:g} ms, current before voltage")]
    if reset == "subtract":
        text = (
            "the network subtracts v_th one step after a spike, NIR sets v to v_reset "
            "= 0; a program that goes by the graph gives other spikes"
        )
        notes.append(Note("lost", "reset 'subtract'", text, loud=True))
    if adaptive:
        text = "NIR has no adaptive threshold; elsewhere these are LIF neurons"
        notes.append(Note("lost", "adaptation", text, loud=True))
    if silent:
        text = "NIR has no refractory time; elsewhere neurons may spike at every step"
        notes.append(Note("lost", "refractoriness", text, loud=True))
    return notes


def notes_of_network(
    network: RecurrentNetwork, discretisation: str, readout: bool
) -> list[Note]:
    """Return the notes of a float network."""
    cell, dt = network.cell, network.dt
    constants = network.cell_constants
    state = (constants.has_adaptation, constants.has_refractory)
    notes = _common_notes(dt, discretisation, getattr(cell, "reset", ""), *state)
    if constants.has_synaptic_current and network.params.bias.any():
        text = "a bias behind a synaptic current is written as v_leak = bias / loss"
        notes.append(Note("changed", "bias", text))
    if int(np.max(network.delay)) > 1:
        text = (
            "a delay of k steps is a Delay node of k - 1 steps: that recurrent spikes "
            "arrive at the next step is not said by NIR"
        )
        notes.append(Note("changed", "delay", text))
    if discretisation == "euler":
        text = "tau = dt / (1 - alpha) in place of -dt / log(alpha)"
        notes.append(Note("changed", "time constants", text))
    kept = ["surrogate derivative", "which connections exist (absent ones are 0)"]
    for name in ("signs", "cell_types"):
        kept += [name] if getattr(network, name) is not None else []
    kept += ["layers"] if len(network.layers) > 1 else []
    kept += [] if readout else ["readout (left out of the graph)"]
    text = f"{', '.join(kept)}: only in metadata['{_nir_metadata.NAME}']"
    return [*notes, Note("lost", "for learning", text)]


def notes_of_description(
    source: NetworkDescription, discretisation: str, readout: bool
) -> list[Note]:
    """Return the notes of integers."""
    cell = source.lif
    adaptive, silent = bool(cell.beta.any()), bool(cell.refractory.any())
    notes = _common_notes(source.dt, discretisation, cell.reset, adaptive, silent)
    text = (
        "products of the integer model are cut towards 0 and states are 24 bits wide; "
        "in floats a neuron near its threshold may decide otherwise"
    )
    notes.append(Note("lost", "integers", text, loud=True))
    if any(b.process == "sparse" for b in (source.w_in, source.w_rec, source.w_out)):
        notes.append(Note("changed", "sparse blocks", "dense ones of the same numbers"))
    kept = ["mantissas, exponents, bits and sign modes"]
    kept += [] if readout else ["readout (left out of the graph)"]
    if source.input_bits:
        kept.append(f"input of {source.input_bits} bits, 0..{source.input_max}")
    text = f"{', '.join(kept)}: only in metadata['{_nir_metadata.NAME}']"
    notes.append(Note("lost", "registers", text))
    if source.vectors is not None:
        notes.append(Note("lost", "test vectors", "not in the file at all"))
    return notes
