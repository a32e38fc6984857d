"""Large sparse networks of LIF cells, simulated event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.kernels.sparse import State
from spikelearn.network.sparse.constants import Layout, drive_constants, group_constants
from spikelearn.network.sparse.csr import Connectivity, connect
from spikelearn.network.sparse.memory import check_memory, memory_needed, steps
from spikelearn.network.sparse.run import simulate
from spikelearn.network.sparse.specs import CubaLIF, Population, Projection
from spikelearn.network.sparse.spikes import Spikes

__all__ = ["SparseNetwork"]

DTYPES = ("float32", "float64")


class SparseNetwork:
    """Populations of LIF cells with random sparse synapses; forward simulation only.

    Time step t of every neuron, with d the delay of a synapse in steps:

        input[t] = sum of the weights of the spikes z[t - d], and of Poisson spikes
        v[t] from v[t-1] and input[t], then the test and the reset

    with the equations of `DeltaLIF` and `CubaLIF`; a network has cells of one of the
    two kinds, with any parameters. A step costs a little per neuron and then per
    synapse that a spike reaches. Synapses take 4 bytes each, 2 in a network of up to
    65 536 neurons.

    Parameters
    ----------
    populations
        By name; neurons are numbered in this order.
    projections
        In the order in which their spikes are added.
    dt
        Time step, ms.
    dtype
        "float32" or "float64", of voltages and currents.
    rng
        Seed or generator of the connectivity. The same seed gives the same synapses.
    memory_limit
        Bytes that building and running may take; None: what the machine has.

    Raises
    ------
    InvalidValue, UnknownName
        If something is out of range or does not fit together, or before anything is
        built if the network would not fit the memory; the message says which size
        would.

    Examples
    --------
    >>> import spikelearn as sl
    >>> cell = sl.DeltaLIF()
    >>> drive = sl.PoissonDrive(rate_hz=20_000, weight=0.1)
    >>> network = sl.SparseNetwork(
    ...     {
    ...         "E": sl.Population(800, cell, drive),
    ...         "I": sl.Population(200, cell, drive),
    ...     },
    ...     [
    ...         sl.Projection("E", ("E", "I"), sl.FixedIndegree(80), 0.1, delay=1.5),
    ...         sl.Projection("I", ("E", "I"), sl.FixedIndegree(20), -0.5, delay=1.5),
    ...     ],
    ... )
    >>> spikes = network.run(100.0)
    >>> bool(spikes.rate("E") > 0)
    True
    """

    def __init__(
        self,
        populations: Mapping[str, Population],
        projections: Sequence[Projection],
        *,
        dt: float = 0.1,
        dtype: str = "float32",
        rng: int | np.random.Generator = 0,
        memory_limit: int | None = None,
    ) -> None:
        require(0 < dt < np.inf, "SparseNetwork.dt", "must be > 0 ms", dt)
        where = "SparseNetwork.dtype"
        require(dtype in DTYPES, where, f"must be one of {DTYPES}", dtype)
        require(populations, "SparseNetwork.populations", "must not be empty", "none")
        self.populations = dict(populations)
        self.projections = tuple(projections)
        self.dt = dt
        self.dtype = np.dtype(dtype)
        self.layout = Layout(self.populations)
        self._check()
        self._memory = (self.populations, self.projections, dt, self.dtype.itemsize)
        check_memory(*self._memory, memory_limit)
        generator = np.random.default_rng(rng)
        ranges = self.layout.ranges
        self.connectivity: Connectivity = connect(
            ranges, self.projections, dt, generator
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.layout.n

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return self.connectivity.n_synapses

    @property
    def memory_needed(self) -> int:
        """Bytes that building and running take at most, without recorded spikes."""
        return memory_needed(*self._memory)

    def _check(self) -> None:
        kinds = {isinstance(p.cell, CubaLIF) for p in self.populations.values()}
        rule = "must have either CubaLIF or DeltaLIF cells"
        require(len(kinds) == 1, "SparseNetwork.populations", rule, "both")
        names = list(self.populations)
        for projection in self.projections:
            targets = projection.targets
            for name in (projection.pre, *targets):
                if name not in self.populations:
                    raise unknown_name("population", name, names)
            first = names.index(targets[0])
            where, rule = "Projection.post", "must name populations that stand in a row"
            side_by_side = tuple(names[first : first + len(targets)])
            require(side_by_side == targets, where, rule, targets, f"Here: {names}.")
            cells = {self.populations[name].cell for name in targets}
            rule = "must name populations with the same cell"
            require(len(cells) == 1, where, rule, targets)
            for delay in projection.delays:
                number = delay / self.dt
                whole = abs(number - round(number)) < 1e-6 and round(number) >= 1
                rule = f"must be a multiple of dt = {self.dt:g} ms and at least one"
                require(whole, "Projection.delay", rule, delay)

    def run(
        self,
        duration: float,
        *,
        record: Sequence[str] | None = None,
        v_init: np.ndarray | None = None,
        rng: int | np.random.Generator = 0,
        threads: int = 1,
    ) -> Spikes:
        """Simulate from the start and return the spikes.

        Parameters
        ----------
        duration
            ms.
        record
            Names of the populations whose spikes are returned; None: all.
        v_init
            (n_neurons,) voltages before the first step, mV; None: uniform between
            v_reset and v_th. Currents are zero.
        rng
            Seed or generator of the initial voltages and of the Poisson input.
        threads
            Threads over neurons; they meet once per shortest delay, so that more than
            one pays for large networks with delays of many steps. The spikes are the
            same for any number.

        Raises
        ------
        InvalidValue, UnknownName
            If an argument is out of range, or no such population exists.
        """
        n_steps = round(duration / self.dt) if np.isfinite(duration) else 0
        where, rule = "SparseNetwork.run.duration", f"must be >= dt = {self.dt:g} ms"
        require(n_steps >= 1, where, rule, duration)
        whole = isinstance(threads, int) and threads >= 1
        require(whole, "SparseNetwork.run.threads", "must be >= 1", threads)
        for name in record or ():
            if name not in self.populations:
                raise unknown_name("population", name, self.populations)
        generator = np.random.default_rng(rng)
        state = self._initial_state(v_init, generator)
        key = int(generator.integers(2**32))
        ranges = self.layout.ranges
        recorded = ranges if record is None else {name: ranges[name] for name in record}
        steps_, senders = simulate(
            groups=group_constants(self.layout, self.dt, self.dtype),
            drives=[
                drive_constants(self.layout, self.dt, self.dtype, key)
                for _ in range(threads)
            ],
            connectivity=self.connectivity,
            projections=self._projection_constants(),
            state=state,
            n_steps=n_steps,
            keep=list(recorded.values()),
            threads=threads,
        )
        return Spikes(steps_, senders, recorded, self.dt, 0, n_steps)

    def _projection_constants(self) -> dict[str, np.ndarray]:
        layout, projections = self.layout, self.projections
        pre = [layout.ranges[p.pre] for p in projections]
        spans = [steps(p, self.dt) for p in projections]
        return {
            "pre_lo": np.array([start for start, _ in pre], np.uint64),
            "pre_hi": np.array([stop for _, stop in pre], np.uint64),
            "group": np.array(
                [layout.group_of[p.targets[0]] for p in projections], np.int64
            ),
            "weight": np.array([p.weight for p in projections], self.dtype),
            "delay": np.array([low for low, _ in spans], np.int64),
        }

    def _initial_state(self, v_init: Any, rng: np.random.Generator) -> State:
        n, dtype = self.n_neurons, self.dtype
        v = np.empty(n)
        for start, stop, cell, _ in self.layout.groups:
            v[start:stop] = rng.uniform(cell.v_reset, cell.v_th, stop - start)
        if v_init is not None:
            v = np.array(v_init, np.float64)
            where, rule = "SparseNetwork.run.v_init", f"must have shape ({n},)"
            require(v.shape == (n,), where, rule, v.shape)
            require(np.isfinite(v).all(), where, "must be finite", "NaN or inf")
        has_current = self.layout.has_current
        for start, stop, cell, _ in self.layout.groups:
            v[start:stop] -= cell.v_rest
            if not has_current:
                v[start:stop] *= np.exp(-self.dt / cell.tau_m)
        spans = [steps(p, self.dt) for p in self.projections]
        longest = max((high - low for low, high in spans), default=0)
        slots = longest + 1 if longest else 0
        flat = np.zeros(3 * n if has_current else n, dtype)
        flat[:n] = v
        return State(
            flat=flat,
            v=flat[:n],
            exc=flat[n : 2 * n],
            inh=flat[2 * n :],
            later=np.zeros(2 * slots * n, dtype),
            slots=slots,
        )
