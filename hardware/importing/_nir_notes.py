"""What is assumed of a NIR graph, and what one population does in another way."""

from __future__ import annotations

from hardware._notes import Note
from hardware.importing._nir_layout import Layout
from hardware.importing._nir_neurons import Dialect

__all__ = ["notes_of"]


def notes_of(layout: Layout, dialect: Dialect, dt: float) -> list[Note]:
    """Return what was assumed, and what one population does in another way.

    `dt` is in ms.
    """
    step = {"euler": "forward Euler", "exponential": "exact"}[dialect.discretisation]
    text = (
        f"{step} steps of {dt:g} ms, current before voltage; time constants are chosen "
        "so that each step keeps the same fraction"
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


def _layer_text(layout: Layout) -> str:
    levels = [f"{name} {layout.level[name]}" for name in layout.blocks]
    return (
        "populations become blocks of one, and a connection between them takes a step; "
        f"steps behind the graph: {', '.join(levels)}"
    )


def _late_notes(layout: Layout) -> list[Note]:
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
            f"the loop through {', '.join(dict.fromkeys(between))} takes a step in "
            "each population; other programs take one step for the whole loop"
        )
        notes.append(Note("changed", "loop", text, loud=True))
    read = {term.source for term in layout.arriving[layout.last].terms}
    if len({layout.level[name] for name in read if name in layout.level}) > 1:
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
