"""NIR files of spikelearn and of other programs become networks.

A file that spikelearn wrote gives back the same network or description. Of any other
file the graph is read, as NIR says it or, with a dialect, as the program that wrote it
means it. What the file does not say (time step, reset, kind of step) is told.

Where spikes are the same, in float64 (files and spikes of each are among the tests):

    snnTorch 1.0.0   Leaky, RLeaky, RSynaptic, reset "subtract" with reset_delay. Its
                     recurrent cells with reset "zero" clear the input of the next step
                     as well, and are not the same. The file does not say which it is.
    Norse 1.1.0      LIFBoxCell and LIFCell with reset_value and v_leak = v_reset, in
                     loops that its exporter can trace. It cannot write its recurrent
                     cells: `hardware.importing.norse` reads the modules themselves.
    Sinabs 3.1.3     IAF with single spikes. Its LIF subtracts before the leak.
    Spyx 1.0.0       RLIF (read in its source: LIF), one step later than here. Its
                     CuBaLIF subtracts before the leak.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from hardware import _nir_metadata
from hardware._nir_graph import Graph, difference
from hardware._notes import Note
from hardware.description import NetworkDescription
from hardware.export.nir import DISCRETISATIONS, nir_graph
from hardware.importing._nir_file import read_graph
from hardware.importing._nir_network import network_of_graph
from hardware.importing._nir_neurons import Dialect
from spikelearn.errors import FileFormatError, require, unknown_name
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import RESETS

__all__ = ["DIALECTS", "Dialect", "ReadNetwork", "read_nir"]

DIALECTS: dict[str, Dialect] = {
    "nir": Dialect("the equations of NIR"),
    "snntorch": Dialect("snnTorch 1.0.0", dt=0.1, reset="subtract"),
    "norse": Dialect(
        "Norse 1.1.0",
        dt=1.0,
        time_scale=1000.0,  # it writes tau x dt, in s, with dt = 0.001
        whole_current=True,
    ),
    "sinabs": Dialect(
        "Sinabs 3.1.3",
        dt=1000.0,  # its time constants are numbers of steps
        reset="subtract",
        discretisation="exponential",
        warnings=(
            (
                "reset",
                "Sinabs subtracts before the leak and may spike several times in a "
                "step; only IF neurons with single spikes are the same here",
            ),
        ),
    ),
    "spyx": Dialect(
        "Spyx 1.0.0",
        dt=1000.0,  # its default dt is 1, and NIR counts in s
        reset="subtract",
        whole_current=True,
        whole_drive=True,
        rewire=True,
        warnings=(
            (
                "spikes",
                "Spyx tests the voltage of the step before, so that its spikes are "
                "those of here one step later; its CuBaLIF subtracts before the leak",
            ),
        ),
    ),
}
"""What files of other programs mean, by name."""


@dataclass(frozen=True, eq=False)
class ReadNetwork:
    """A network from a file and what the file did not say.

    Attributes
    ----------
    network
        A float network, or integers where spikelearn wrote them.
    notes
        What was lost, changed or assumed.
    populations
        The neurons of each population of the graph, by its name there.
    """

    network: RecurrentNetwork | NetworkDescription
    notes: tuple[Note, ...]
    populations: dict[str, slice]


def read_nir(
    path: str | Path,
    *,
    dt: float | None = None,
    dialect: str = "nir",
    reset: str | None = None,
    discretisation: str | None = None,
    use_metadata: bool = True,
) -> ReadNetwork:
    """Read a NIR file.

    Parameters
    ----------
    path
        The file.
    dt
        Time step, ms; None: that of the dialect. A file of spikelearn has its own.
    dialect
        One of `DIALECTS`: what the program that wrote the file means by it.
    reset, discretisation
        "zero" or "subtract", "euler" or "exponential": in place of the dialect's.
    use_metadata
        Whether to build what spikelearn wrote again; False reads the graph alone.

    Raises
    ------
    FileAccessError
        If the file cannot be opened.
    FileFormatError
        If it is corrupt or no NIR file, if nodes are not supported (the message names
        all of them) or no network of ours is the same, or if its graph was changed
        after spikelearn wrote it.
    InvalidValue
        If dt is missing or wrong, or the network exceeds the memory limit.
    UnknownName
        If there is no such dialect.
    """
    if dialect not in DIALECTS:
        raise unknown_name("dialect", dialect, DIALECTS)
    chosen = DIALECTS[dialect]
    reset = chosen.reset if reset is None else reset
    rule = f"must be one of {RESETS}"
    require(reset in RESETS, "read_nir.reset", rule, reset)
    kind = chosen.discretisation if discretisation is None else discretisation
    rule = f"must be one of {DISCRETISATIONS}"
    require(kind in DISCRETISATIONS, "read_nir.discretisation", rule, kind)
    chosen = dataclasses.replace(chosen, reset=reset, discretisation=kind)
    where = f"file {str(path)!r}"
    graph = read_graph(path)
    if graph.metadata and use_metadata:
        return _own(where, graph, dt)
    step = float((chosen.dt or 0.0) if dt is None else dt)
    hint = "NIR has no time step: give dt, or the dialect of the program that wrote it"
    got = step if dt is not None else "none"
    require(0 < step < math.inf, "dt", "must be > 0 ms", got, hint)
    network, notes, blocks = network_of_graph(where, graph, chosen, step)
    return ReadNetwork(network, notes, blocks)


def _own(where: str, graph: Graph, dt: float | None) -> ReadNetwork:
    """Build what spikelearn wrote, and check that the graph still says the same."""
    network = _nir_metadata.restore(where, graph)
    written = _nir_metadata.options(where, graph.metadata)
    expected, _ = nir_graph(network, **written)
    changed = difference(graph, expected)
    if changed:
        raise FileFormatError(
            f"{where} was changed after spikelearn wrote it: {changed}. (Weights may "
            "change; to read the graph alone, ignore its metadata.)"
        )
    rule = f"must be the {network.dt:g} ms of the file"
    same = dt is None or dt == network.dt
    hint = "To read the graph alone with another dt, ignore its metadata."
    require(same, "dt", rule, dt, hint)
    return ReadNetwork(network, (), {"neurons": slice(0, network.n_rec)})
