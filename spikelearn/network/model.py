"""The recurrent network: specification, parameters, forward pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.spiking import (
    Cell,
    InputEvents,
    Trajectory,
    Weights,
    count_events,
    forward,
    list_events,
)
from spikelearn.kernels.threads import run_groups
from spikelearn.network import connectivity
from spikelearn.network.cells import LIF
from spikelearn.network.readout import LeakyReadout

__all__ = ["Params", "Record", "RecurrentNetwork"]

LANES = 16  # rows of weights are padded to whole vectors
DTYPES = ("float32", "float64")
STATES = ("v", "a", "i")


class Params:
    """The numbers of a network that learning may change.

    The weights into the recurrent population live in one buffer with a row per
    presynaptic unit (inputs above recurrent neurons), which is what kernels read. The
    attributes are views of it in the convention (post, pre):

    `w_in` (n_rec, n_in), `w_rec` (n_rec, n_rec), `w_out` (n_out, n_rec), `b_out`
    (n_out,), `bias` (n_rec,). Write into them with `params.w_in[...] = value`.
    """

    names = ("w_in", "w_rec", "w_out", "b_out", "bias")

    def __init__(self, n_in: int, n_rec: int, n_out: int, dtype: Any) -> None:
        n_padded = -(-n_rec // LANES) * LANES
        self.rows = np.zeros((n_in + n_rec, n_padded), dtype)
        self.out_rows = np.zeros((n_rec, n_out), dtype)
        self.w_in = self.rows[:n_in, :n_rec].T
        self.w_rec = self.rows[n_in:, :n_rec].T
        self.w_out = self.out_rows.T
        self.b_out = np.zeros(n_out, dtype)
        self.bias = np.zeros(n_rec, dtype)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the views by name."""
        return {name: getattr(self, name) for name in self.names}

    def copy(self) -> Params:
        """Return an independent copy."""
        n_rec, n_in = self.w_in.shape
        other = type(self)(n_in, n_rec, self.b_out.size, self.rows.dtype)
        other.load(self.arrays())
        return other

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Copy arrays in by name.

        Raises
        ------
        InvalidValue
            If one is missing, not finite or of the wrong shape; nothing is changed.
        """
        own = self.arrays()
        values = {}
        for name, target in own.items():
            where = f"Params.{name}"
            require(name in arrays, where, "must be given", f"only {sorted(arrays)}")
            with np.errstate(over="ignore"):
                value = np.asarray(arrays[name]).astype(target.dtype)
            rule = f"must have shape {target.shape} (post, pre)"
            require(value.shape == target.shape, where, rule, f"shape {value.shape}")
            finite = bool(np.isfinite(value).all())
            rule = f"must be finite in {target.dtype}"
            require(finite, where, rule, "NaN or infinity")
            values[name] = value
        for name, target in own.items():
            target[...] = values[name]


@dataclass(frozen=True)
class Record:
    """What one forward pass produced; sequences are (T, B, n).

    `y` is the readout, `spikes` the uint8 raster, `distance` v - A (-inf while
    refractory). `v`, `a` and `i` are there when they were asked for.
    """

    y: np.ndarray
    events: InputEvents
    trajectory: Trajectory
    recorded: frozenset[str] = field(default_factory=frozenset)

    @property
    def n_steps(self) -> int:
        """Number of time steps T."""
        return self.trajectory.distance.shape[1]

    @property
    def n_samples(self) -> int:
        """Number of samples B."""
        return self.trajectory.distance.shape[0]

    @property
    def distance(self) -> np.ndarray:
        """Distance to threshold, v - A, (T, B, n_rec)."""
        return self.trajectory.distance.transpose(1, 0, 2)

    @property
    def spikes(self) -> np.ndarray:
        """Spike raster z, (T, B, n_rec) uint8."""
        return (self.distance > 0).astype(np.uint8)

    def spike_events(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (step, unit) of the recurrent spikes of one sample in order."""
        first = self.trajectory.first[sample]
        steps = np.repeat(np.arange(self.n_steps), np.diff(first))
        return steps, self.trajectory.spike[sample, : first[-1]].copy()

    @property
    def spike_counts(self) -> np.ndarray:
        """Spikes of every neuron in every sample, (B, n_rec) int64."""
        trajectory = self.trajectory
        n_rec = trajectory.distance.shape[2]
        counts = [
            np.bincount(units[: first[-1]], minlength=n_rec)
            for first, units in zip(trajectory.first, trajectory.spike, strict=True)
        ]
        return np.stack(counts)

    def state(self, name: str) -> np.ndarray:
        """Return a recorded state `v`, `a` or `i` as (T, B, n_rec).

        `v` is the voltage of the spike test, before reset "zero" clears it.

        Raises
        ------
        InvalidValue
            If it was not recorded.
        """
        where = f"Record.state({name!r})"
        hint = f"Call network.run(x, record=({name!r},))."
        require(name in self.recorded, where, "must be recorded", "nothing", hint)
        return getattr(self.trajectory, name).transpose(1, 0, 2)


@dataclass(frozen=True, eq=False)
class RecurrentNetwork:
    """Inputs, one recurrent spiking population, a leaky readout.

    Parameters
    ----------
    n_in, n_rec, n_out
        Numbers of units.
    cell
        Cell specification, `LIF` or `ALIF`.
    readout
        Readout specification.
    dt
        Time step, ms.
    mask
        (n_rec, n_rec) boolean array of recurrent connections that exist, as (post,
        pre): initial weights and gradients are zero elsewhere. Default: all but
        self-connections.
    dtype
        "float32" or "float64".

    Attributes
    ----------
    params : Params
        Weights and biases, all zero until `initialise` or `params.load`.

    Raises
    ------
    InvalidValue
        If a number, shape or type is wrong.
    """

    n_in: int
    n_rec: int
    n_out: int
    cell: LIF = field(default_factory=LIF)
    readout: LeakyReadout = field(default_factory=LeakyReadout)
    dt: float = 1.0
    mask: np.ndarray | None = None
    dtype: str = "float32"
    params: Params = field(init=False, repr=False)
    cell_constants: Cell = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("n_in", "n_rec", "n_out"):
            size = getattr(self, name)
            where = f"RecurrentNetwork.{name}"
            whole = isinstance(size, int | np.integer) and size >= 1
            require(whole, where, "must be a whole number >= 1", size)
        rule = "must be > 0 ms and finite"
        require(0 < self.dt < np.inf, "RecurrentNetwork.dt", rule, self.dt)
        where = "RecurrentNetwork.dtype"
        require(self.dtype in DTYPES, where, f"must be one of {DTYPES}", self.dtype)
        shape = (self.n_rec, self.n_rec)
        mask = self.mask
        if mask is None:
            mask = connectivity.no_self_connections(self.n_rec)
        mask = np.array(mask, dtype=bool)
        rule = f"must have shape {shape} (post, pre)"
        where = "RecurrentNetwork.mask"
        require(mask.shape == shape, where, rule, f"shape {mask.shape}")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        params = Params(self.n_in, self.n_rec, self.n_out, self.dtype)
        object.__setattr__(self, "params", params)
        constants = self.cell.constants(self.n_rec, self.dt, self.dtype)
        object.__setattr__(self, "cell_constants", constants)

    def initialise(
        self,
        rng: int | np.random.Generator,
        gain: float = 1.0,
        gain_in: float = 1.0,
        gain_out: float = 1.0,
    ) -> Params:
        """Draw Gaussian weights, entries N(0, gain^2 / n_pre), and clear the biases.

        Inputs, recurrent and readout weights use three spawned streams of `rng`, so
        that a change of one does not shift the others. Returns `params`.
        """
        streams = np.random.default_rng(rng).spawn(3)
        params = self.params
        draw = connectivity.gaussian
        params.w_in[...] = draw(self.n_rec, self.n_in, gain_in, streams[0])
        w_rec = draw(self.n_rec, self.n_rec, gain, streams[1])
        params.w_rec[...] = w_rec * self.mask
        params.w_out[...] = draw(self.n_out, self.n_rec, gain_out, streams[2])
        params.b_out[...] = 0.0
        params.bias[...] = 0.0
        return params

    def kernel_weights(self) -> Weights:
        """Return the parameters as the kernels read them (no copy)."""
        kappa, gain = self.readout.factors(self.dt)
        scalar = np.dtype(self.dtype).type
        params = self.params
        return Weights(
            w=params.rows,
            bias=params.bias,
            w_out=params.out_rows,
            b_out=params.b_out,
            kappa=scalar(kappa),
            out_gain=scalar(gain),
        )

    def run(
        self, x: np.ndarray, *, record: Collection[str] = (), threads: int = 1
    ) -> Record:
        """Run a whole block of samples from the zero state.

        Parameters
        ----------
        x : (T, B, n_in) array
            Spikes (integers 0 and 1) or graded input (floats).
        record
            States to keep besides spikes and readout: any of "v", "a", "i".
        threads
            Threads over samples. Results do not depend on it.

        Raises
        ------
        InvalidValue
            If x has another shape, is not numeric or not finite.
        """
        unknown = set(record) - set(STATES)
        where = "RecurrentNetwork.run.record"
        require(not unknown, where, f"must be names from {STATES}", sorted(unknown))
        require(threads >= 1, "threads", "must be >= 1", threads)
        x = np.asarray(x)
        events = self._events(x)
        n_steps, n_samples = x.shape[:2]
        n_kept = n_steps if record else 0
        states = (n_samples, n_kept, self.n_rec)
        out = Trajectory(
            distance=np.empty((n_samples, n_steps, self.n_rec), self.dtype),
            first=np.empty((n_samples, n_steps + 1), np.int64),
            spike=np.empty((n_samples, n_steps * self.n_rec), np.int32),
            y=np.empty((n_samples, n_steps, self.n_out), self.dtype),
            v=np.empty(states, self.dtype),
            a=np.empty(states, self.dtype),
            i=np.empty(states, self.dtype),
        )
        cell, weights = self.cell_constants, self.kernel_weights()

        def work(group: int, start: int, stop: int) -> None:
            forward(cell, weights, events, start, stop, out)

        run_groups(work, n_samples, threads)
        return Record(out.y.transpose(1, 0, 2), events, out, frozenset(record))

    def _events(self, x: np.ndarray) -> InputEvents:
        where = "input x"
        rule = f"must have shape (T, B, n_in = {self.n_in})"
        good = x.ndim == 3 and x.shape[2] == self.n_in and x.size > 0
        hint = "Axes are time, batch, unit."
        require(good, where, rule, f"shape {x.shape}", hint)
        numeric = x.dtype.kind in "buif"
        require(numeric, where, "must be numeric", f"dtype {x.dtype}")
        if x.dtype not in (np.uint8, np.bool_):
            with np.errstate(over="ignore"):
                x = x.astype(self.dtype)
            finite = bool(np.isfinite(x).all())
            rule = f"must be finite in {self.dtype}"
            require(finite, where, rule, "NaN or infinity")
        rows = np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(-1, self.n_in)
        if rows.dtype == bool:
            rows = rows.view(np.uint8)
        start = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(count_events(rows), out=start[1:])
        graded = bool(((rows != 0) & (rows != 1)).any())
        unit = np.empty(start[-1], np.int32)
        value = np.empty(start[-1] if graded else 0, self.dtype)
        list_events(rows, start, unit, value)
        return InputEvents(start, unit, value, self.n_in)
