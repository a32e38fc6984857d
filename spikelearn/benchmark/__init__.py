"""How fast spikelearn is, on workloads that other simulators can run as well.

`spikelearn bench` prints the times; `make bench-peers` runs the peers beside us. A
further kind of workload is one file and one line in `KINDS`: a table of specifications
by name, each with `name`, `family` and `to_dict()`, and a class that is made from a
specification and the number of threads and offers what `Runner` says (`ours.Recurrent`
is the example).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from spikelearn.benchmark.cuba import CUBA_SPECIFICATIONS, Cuba
from spikelearn.benchmark.lyapunov import LYAPUNOV_SPECIFICATIONS, Lyapunov
from spikelearn.benchmark.measure import Timing, measure
from spikelearn.benchmark.ours import Recurrent
from spikelearn.benchmark.workloads import SPECIFICATIONS
from spikelearn.errors import unknown_name

__all__ = ["KINDS", "WORKLOADS", "measure_ours", "prepare", "select"]


class Specification(Protocol):
    """What to run: plain values that can be sent to another process."""

    @property
    def name(self) -> str:
        """Unique name."""

    @property
    def family(self) -> str:
        """What stands before the first underscore of the name."""

    def to_dict(self) -> dict[str, object]:
        """Return all that another implementation has to know."""


class Runner(Protocol):
    """A workload made ready to be run by us."""

    def step(self) -> None:
        """Do the work once; this is timed."""

    def check(self) -> dict[str, object]:
        """Return `gradient_error` and `gradient_reference`, both None without one."""

    def check_gradients(self) -> dict[str, np.ndarray] | None:
        """Return our gradients at the initial weights (or exponents), or None."""

    def facts(self) -> dict[str, object]:
        """Return what a row of results says: `kind`, `threads`, `dtype`, sizes."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays that other implementations get."""

    def expected_spikes(self) -> int:
        """Return how many spikes the check of another implementation should give."""


class Kind(NamedTuple):
    """Specifications by name, and who runs them: a function of one and of threads."""

    specifications: Mapping[str, Specification]
    runner: Callable[[Any, int], Runner]


KINDS = (
    Kind(SPECIFICATIONS, Recurrent),
    Kind(CUBA_SPECIFICATIONS, Cuba),
    Kind(LYAPUNOV_SPECIFICATIONS, Lyapunov),
)

WORKLOADS: dict[str, Specification] = {
    name: each for kind in KINDS for name, each in kind.specifications.items()
}


def select(names: Iterable[str]) -> list[Specification]:
    """Return workloads by name or by family ("w1"), in the order of the table.

    Raises
    ------
    UnknownName
        If there is no such workload.
    """
    chosen = set()
    for name in names:
        found = {w.name for w in WORKLOADS.values() if name in (w.name, w.family)}
        if not found:
            families = {w.family for w in WORKLOADS.values()}
            raise unknown_name("workload", name, {*WORKLOADS, *families})
        chosen |= found
    return [w for w in WORKLOADS.values() if w.name in chosen]


def prepare(workload: Specification, threads: int = 1) -> Runner:
    """Make a workload ready: draw its data and tune its rate."""
    for kind in KINDS:
        if workload.name in kind.specifications:
            return kind.runner(workload, threads)
    raise unknown_name("workload", workload.name, WORKLOADS)


def measure_ours(
    workload: Specification, threads: int = 1, repeats: int | None = None
) -> dict[str, object]:
    """Check the gradient of a workload, then time it; return one row of results.

    The row has `workload`, `median_ms`, `best_ms`, `repeats`, `gradient_error`,
    `gradient_reference` and the facts of the workload.
    """
    ours = prepare(workload, threads)
    checked = ours.check()
    timing: Timing = measure(ours.step, repeats)
    times = {"median_ms": timing.median_ms, "best_ms": timing.best_ms}
    counted = {"repeats": len(timing.times_ms)}
    return {"workload": workload.name, **times, **checked, **counted, **ours.facts()}
