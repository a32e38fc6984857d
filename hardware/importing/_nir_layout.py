"""Where the populations of a NIR graph lie in one population of ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware._nir_graph import NEURONS
from hardware.importing._nir_paths import Flat, Signal, Term

__all__ = ["SAME", "Layout", "lay_out", "matrix_of", "size_of", "width_of"]

SAME = {8: 1e-12, 4: 1e-6, 2: 1e-3}  # relative, by bytes of the floats of the file


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the populations lie, and how many steps each is behind the graph.

    Attributes
    ----------
    flat, arriving
        The graph, and the signals that arrive at its nodes.
    n_in
        Number of inputs.
    source, output
        Names of the input and of the output.
    blocks
        Neurons of each population, in the order of their level.
    level
        Steps by which a population is behind the graph: one for each before it.
    loops
        Pairs of populations whose connection lies on a loop.
    dtype
        The widest float of the file.
    """

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
        """Number of neurons."""
        return max((block.stop for block in self.blocks.values()), default=0)

    @property
    def last(self) -> str:
        """The LI node that the output gives, or the output itself."""
        sources = [term.source for term in self.arriving[self.output].terms]
        leaky = [name for name in sources if self.flat.nodes[name].kind == "LI"]
        return leaky[0] if leaky else self.output


def lay_out(flat: Flat, arriving: dict[str, Signal], problems: list[str]) -> Layout:
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
    return Layout(
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


def _named(flat: Flat, kind: str) -> list[str]:
    return [name for name, node in flat.nodes.items() if node.kind == kind]


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


def size_of(block: slice) -> int:
    """Return the number of neurons of a block."""
    return int(block.stop - block.start)


def width_of(name: str, layout: Layout) -> int:
    """Return the number of values of an input or a population, else 0."""
    if name == layout.source:
        return layout.n_in
    return size_of(layout.blocks[name]) if name in layout.blocks else 0


def matrix_of(
    term: Term, n_post: int, n_pre: int, name: str, problems: list[str]
) -> np.ndarray:
    """Return the matrix of a term into node `name`, or what is wrong with it."""
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
