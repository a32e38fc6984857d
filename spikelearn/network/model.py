"""The recurrent network: specification and forward pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from spikelearn.connectivity.masks import no_self_connections
from spikelearn.connectivity.weights import gaussian_weights, obey_dale
from spikelearn.errors import require
from spikelearn.kernels.rate import forward_rate
from spikelearn.kernels.spiking import (
    OUT_OF_REACH,
    Cell,
    InputEvents,
    State,
    Trajectory,
    Weights,
    forward,
    list_events,
    pad_cell,
)
from spikelearn.kernels.team import forward_in_team, join_team, new_team
from spikelearn.kernels.threads import N_GROUPS, run_groups
from spikelearn.kernels.vector import LANES, padded
from spikelearn.memory import require_fits
from spikelearn.network import buffers
from spikelearn.network.cells import LIF, Cells, LeakyRate
from spikelearn.network.checking import host_array, kernel_array, transposed
from spikelearn.network.params import Params
from spikelearn.network.readout import LeakyReadout
from spikelearn.network.record import CheckpointedRecord, Record, unpadded

__all__ = ["RecurrentNetwork"]

DTYPES = ("float32", "float64")
STATES = ("v", "a", "i")
SMALLEST_TEAM = 2500  # neurons of a network whose steps several threads share
FEW_CONNECTIONS = 0.03  # up to this density, lists are faster than dense rows


@dataclass(frozen=True, eq=False)
class RecurrentNetwork:
    """Inputs, one population with recurrent connections, a leaky readout.

    Layers are blocks of the population, so that everything that holds for one
    population holds for a stack (`connectivity.stack` makes the masks); a connection
    between layers takes at least a step, like any other.

    Parameters
    ----------
    n_in, n_rec, n_out
        Numbers of units.
    cell
        Cell specification: `LIF`, `ALIF` or `LeakyRate`.
    readout
        Readout specification.
    dt
        Time step, ms.
    mask, mask_in, mask_out
        Boolean arrays of the connections that exist, (n_rec, n_rec), (n_rec, n_in) and
        (n_out, n_rec) as (post, pre): weights and gradients are zero elsewhere.
        Default: all but self-connections.
    delay
        Delay of the recurrent connections in steps, >= 1: one whole number, or one for
        each connection as (n_rec, n_rec).
    signs
        (n_rec,) of 1, -1 and 0: Dale's law, the sign of all outgoing recurrent weights
        of a neuron; 0 leaves them free. `constrain` keeps it.
    cell_types
        (n_rec,) whole numbers, for rules that average over types; None: no types.
    layers
        Sizes of consecutive blocks of neurons, for rules with a readout per layer.
    dtype
        "float32" or "float64".

    Attributes
    ----------
    params : Params
        Weights and biases, all zero until `initialise` or `params.load`. Whoever writes
        into them calls `constrain` where a mask or a sign may have been broken.

    Raises
    ------
    InvalidValue
        If a number, shape or type is wrong.
    """

    n_in: int
    n_rec: int
    n_out: int
    cell: Cells = field(default_factory=LIF)
    readout: LeakyReadout = field(default_factory=LeakyReadout)
    dt: float = 1.0
    mask: np.ndarray | None = None
    mask_in: np.ndarray | None = None
    mask_out: np.ndarray | None = None
    delay: int | np.ndarray = 1
    signs: np.ndarray | None = None
    cell_types: np.ndarray | None = None
    layers: tuple[int, ...] = ()
    dtype: str = "float32"
    params: Params = field(init=False, repr=False)
    cell_constants: Cell = field(init=False, repr=False)
    kernel_cell: Cell = field(init=False, repr=False)
    kernel_constants: Weights = field(init=False, repr=False)
    absent_rows: np.ndarray = field(init=False, repr=False)
    absent_out: np.ndarray = field(init=False, repr=False)

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
        n = self.n_rec
        masks = {
            "mask": no_self_connections(n),
            "mask_in": np.ones((n, self.n_in), bool),
            "mask_out": np.ones((self.n_out, n), bool),
        }
        for name, default in masks.items():
            given = getattr(self, name)
            mask = np.array(default if given is None else given, dtype=bool)
            rule = f"must have shape {default.shape} (post, pre)"
            fits = mask.shape == default.shape
            require(fits, f"RecurrentNetwork.{name}", rule, f"shape {mask.shape}")
            self._set(name, mask)
        self._check_delay()
        self._check_kinds()
        layers = tuple(self.layers) or (n,)
        where, rule = "RecurrentNetwork.layers", f"must be sizes >= 1 with the sum {n}"
        require(sum(layers) == n and min(layers) >= 1, where, rule, layers)
        self._set("layers", layers)
        masks = self.masks
        rows = np.hstack([masks["w_in"], masks["w_rec"]]).T
        self._set("absent_rows", _absent(rows, padded(n)))
        self._set("absent_out", _absent(masks["w_out"].T, self.n_out))
        self._set("params", Params(self.n_in, n, self.n_out, self.dtype))
        self._set("cell_constants", self.cell.constants(n, self.dt, self.dtype))
        self._set("kernel_cell", pad_cell(self.cell_constants))
        self._set("kernel_constants", self._constants())

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(self, name, value)

    def _constants(self) -> Weights:
        """Return what the kernels read beside the weights that change."""
        kappa, gain = self.readout.factors(self.dt)
        scalar = np.dtype(self.dtype).type
        delay = np.zeros((0, 0), np.int32)
        if isinstance(self.delay, np.ndarray):
            delay = np.ascontiguousarray(self.delay.T)
        rows = np.hstack([self.masks["w_in"], self.masks["w_rec"]]).T
        start = np.zeros(len(rows) + 1, np.int64)
        target = np.zeros(0, np.int32)
        if delay.size or rows.sum() < FEW_CONNECTIONS * rows.size:
            np.cumsum(rows.sum(axis=1), out=start[1:])
            target = np.nonzero(rows)[1].astype(np.int32)
        return Weights(
            w=None,
            bias=None,
            w_out=None,
            b_out=None,
            kappa=scalar(kappa),
            out_gain=scalar(gain),
            delay=delay,
            longest_delay=int(np.max(self.delay)),
            start=start,
            target=target,
        )

    def _check_delay(self) -> None:
        n = self.n_rec
        delay = np.array(self.delay)
        where = "RecurrentNetwork.delay"
        rule = f"must be a whole number or an array of shape {(n, n)} (post, pre)"
        good = delay.dtype.kind in "iu" and delay.shape in ((), (n, n))
        require(good, where, rule, f"{delay.dtype} of shape {delay.shape}")
        hint = "A spike acts at the next step at the earliest."
        require(int(delay.min()) >= 1, where, "must be >= 1 step", delay.min(), hint)
        same = int(delay.min()) == int(delay.max())
        self._set("delay", int(delay.max()) if same else delay.astype(np.int32))

    def _check_kinds(self) -> None:
        """Check what is given per neuron: signs and cell types."""
        shape = (self.n_rec,)
        for name in ("signs", "cell_types"):
            if getattr(self, name) is None:
                continue
            value = np.array(getattr(self, name))
            where = f"RecurrentNetwork.{name}"
            rule = f"must be whole numbers of shape {shape}"
            good = value.dtype.kind in "iu" and value.shape == shape
            require(good, where, rule, f"{value.dtype} of shape {value.shape}")
            if name == "signs":
                known = bool(np.isin(value, (-1, 0, 1)).all())
                require(known, where, "must be 1, -1 or 0", np.unique(value).tolist())
            self._set(name, value.astype(np.int64))

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The masks by the name of the weights that they belong to."""
        masks = {"w_in": self.mask_in, "w_rec": self.mask, "w_out": self.mask_out}
        return cast(dict[str, np.ndarray], masks)

    @property
    def spiking(self) -> bool:
        """Whether the neurons spike."""
        return not isinstance(self.cell, LeakyRate)

    def initialise(
        self,
        rng: int | np.random.Generator,
        gain: float = 1.0,
        gain_in: float = 1.0,
        gain_out: float = 1.0,
        w_rec: np.ndarray | None = None,
    ) -> Params:
        """Draw Gaussian weights, entries N(0, gain^2 / n_pre), and clear the biases.

        Recurrent weights under Dale's law are the absolute values with the signs of
        their neurons (`connectivity.obey_dale`); `w_rec` (n_rec, n_rec) takes the place
        of their draw. Inputs, recurrent and readout weights use three spawned streams
        of `rng`, so that a change of one does not shift the others. Returns `params`.

        Raises
        ------
        InvalidValue
            If a gain is negative, or w_rec has another shape.
        """
        streams = np.random.default_rng(rng).spawn(3)
        params = self.params
        draw = gaussian_weights
        params.w_in[...] = draw(self.n_rec, self.n_in, gain_in, streams[0])
        if w_rec is None:
            w_rec = draw(self.n_rec, self.n_rec, gain, streams[1])
            if self.signs is not None:
                w_rec = obey_dale(w_rec, self.signs)
        where, rule = "w_rec", f"must have shape {params.w_rec.shape} (post, pre)"
        require(w_rec.shape == params.w_rec.shape, where, rule, w_rec.shape)
        params.w_rec[...] = w_rec
        params.w_out[...] = draw(self.n_out, self.n_rec, gain_out, streams[2])
        params.b_out[...] = 0.0
        params.bias[...] = 0.0
        self.constrain()
        return params

    def constrain(self) -> None:
        """Project the weights onto what may exist: masks, and the signs of Dale's law.

        A weight that would change its sign becomes 0. The trainer calls this after
        every update, whatever the rule and the optimiser.
        """
        self.clear_absent(self.params.rows, self.params.out_rows)
        if self.signs is not None:
            w_rec = self.params.w_rec
            w_rec[w_rec * self.signs < 0] = 0.0

    def clear_absent(self, rows: np.ndarray, out_rows: np.ndarray) -> None:
        """Set to 0 what belongs to no connection, in the layout of `Params.rows`."""
        for array, absent in ((rows, self.absent_rows), (out_rows, self.absent_out)):
            if absent.dtype == bool:
                np.copyto(array, 0, where=absent)
            else:
                array.reshape(-1)[absent] = 0

    def kernel_weights(self) -> Weights:
        """Return the parameters as the kernels read them (no copy)."""
        params = self.params
        return self.kernel_constants._replace(
            w=params.rows,
            bias=params.bias_row,
            w_out=params.out_rows,
            b_out=params.b_out,
        )

    def zero_state(self, n_samples: int) -> State:
        """Return the state before the first step."""
        return unpadded(self._padded_zeros(n_samples), self.n_rec)

    def _padded_zeros(self, n_samples: int) -> State:
        longest, width = self.kernel_constants.longest_delay, padded(self.n_rec)
        rows = buffers.zeros((5 + longest, n_samples, width), self.dtype)
        v, a, i, reset, refractory = rows[:5]
        pending = rows[5:].reshape(n_samples, longest, width)
        y = np.zeros((n_samples, self.n_out), self.dtype)
        time = np.zeros(n_samples, np.int64)
        return State(v, a, i, reset, refractory, y, pending, time)

    def run(
        self,
        x: np.ndarray,
        *,
        record: Collection[str] = (),
        state: State | None = None,
        keep_distance: bool = True,
        threads: int = 1,
    ) -> Record:
        """Run a whole block of samples.

        Parameters
        ----------
        x : (T, B, n_in) array
            Spikes (integers 0 and 1) or graded input (floats).
        record
            States to keep besides spikes and readout: any of "v", "a", "i".
        state
            `Record.final` of an earlier block, to go on from; default: the zero state.
        keep_distance
            Whether to keep v - A, which learning rules read. Spikes alone are faster.
        threads
            Threads over samples. Results do not depend on it.

        Raises
        ------
        InvalidValue
            If x has another shape, is not numeric or not finite, is on another device
            than the CPU, or the state is that of another number of samples or of
            another network.
        """
        if record:
            unknown = sorted(set(record) - set(STATES))
            where = "RecurrentNetwork.run.record"
            require(not unknown, where, f"must be names from {STATES}", unknown)
        require(threads >= 1, "threads", "must be >= 1", threads)
        x, events = self._events(host_array(x, "input x"))
        n_steps, n_samples = x.shape[:2]
        if keep_distance:
            n_bytes = self.record_bytes(n_steps, n_samples, record)
            where, per_sample = "record of a run", n_bytes // n_samples
            require_fits(n_bytes, where, per_sample, n_samples, "samples")
        going = self._state_to_go_on(state, n_samples)
        out = self._trajectory(n_steps, n_samples, bool(record), keep_distance)
        cell, weights = self.kernel_cell, self.kernel_weights()
        kernel = forward if self.spiking else forward_rate

        if self._takes_a_team(events, threads, n_samples):
            list_events(x, 0, 1, events)
            team = new_team(threads, n_steps, padded(self.n_rec))

            def take_part(*_: int) -> None:
                forward_in_team(cell, weights, events, team, going, out)

            run_groups(take_part, threads, threads, threads)
            join_team(weights, self.n_in, team, going, out)
            return self._record(events, out, going, record)

        def work(group: int, start: int, stop: int) -> None:
            list_events(x, start, stop, events)
            kernel(cell, weights, events, start, stop, going, out)

        # Rates of many samples are one product, and no sum over samples is taken here.
        run_groups(work, n_samples, threads, N_GROUPS if self.spiking else threads)
        return self._record(events, out, going, record)

    def _takes_a_team(self, events: InputEvents, threads: int, n_samples: int) -> bool:
        """Return whether several threads should share the steps of a single sample."""
        spikes_in_dense_rows = (
            self.spiking
            and self.kernel_constants.target.size == 0
            and events.value.size == 0
        )
        large = padded(self.n_rec) >= SMALLEST_TEAM
        return threads > 1 and n_samples == 1 and large and spikes_in_dense_rows

    def _record(
        self,
        events: InputEvents,
        out: Trajectory,
        going: State,
        record: Collection[str],
    ) -> Record:
        y = out.y.transpose(1, 0, 2)
        return Record(y, events, out, self.n_rec, going, frozenset(record))

    def adopt(
        self,
        x: np.ndarray,
        spikes: np.ndarray,
        distance: np.ndarray,
        y: np.ndarray,
        states: Mapping[str, np.ndarray] | None = None,
    ) -> Record:
        """Return the record of a run from zero that another machine did.

        Learning rules take it like one of `run`; it cannot be gone on with.

        Parameters
        ----------
        x : (T, B, n_in) array
            As in `run`.
        spikes : (T, B, n_rec) array
        distance : (T, B, n_rec) array
            v - A as it met the threshold, -inf while refractory.
        y : (T, B, n_out) array
        states
            "v", "a" and "i", all or none.

        Raises
        ------
        InvalidValue
            If units do not spike, or a shape is wrong.
        """
        where = "RecurrentNetwork.adopt"
        require(self.spiking, where, "needs spiking cells", "rate units")
        states = dict(states or {})
        x, events = self._events(host_array(x, "input x"))
        n_steps, n_samples = x.shape[:2]
        rows = {"spikes": spikes, "distance": distance, **states}
        for name, array in rows.items():
            shape = (n_steps, n_samples, self.n_rec)
            rule = f"must have shape {shape}"
            require(array.shape == shape, f"{where}.{name}", rule, array.shape)
        list_events(x, 0, n_samples, events)
        out = self._trajectory(n_steps, n_samples, bool(states), True)
        for name in ("distance", *states):
            array = getattr(out, name)
            array[..., self.n_rec :] = -OUT_OF_REACH if name == "distance" else 0
            array[..., : self.n_rec] = rows[name].transpose(1, 0, 2)
        out.y[...] = y.transpose(1, 0, 2)
        for b in range(n_samples):
            begin = b * (out.spike.size // n_samples)
            steps, units = np.nonzero(spikes[:, b])
            out.first[b] = begin + np.searchsorted(steps, np.arange(n_steps + 1))
            out.spike[begin : begin + units.size] = units
        return self._record(events, out, self._padded_zeros(n_samples), tuple(states))

    def run_checkpointed(
        self, x: np.ndarray, chunk_steps: int, *, threads: int = 1
    ) -> CheckpointedRecord:
        """Run a block of samples and keep only what it takes to run pieces of it again.

        The memory of a `Record` grows with the number of steps; this one keeps a state
        every `chunk_steps` steps. Learning rules that sweep backwards take either.

        Parameters
        ----------
        x : (T, B, n_in) array
            As in `run`.
        chunk_steps
            Steps of a piece.
        threads
            Threads over samples.

        Raises
        ------
        InvalidValue
            As `run`, or if `chunk_steps` is not positive.
        """
        where = "RecurrentNetwork.run_checkpointed.chunk_steps"
        require(chunk_steps >= 1, where, "must be >= 1", chunk_steps)
        x = host_array(x, "input x")
        self._check_input(x)
        n_steps, n_samples = x.shape[:2]
        y = np.empty((n_steps, n_samples, self.n_out), self.dtype)
        counts = np.zeros((n_samples, self.n_rec), np.int64)
        states = []
        state = self.zero_state(n_samples)
        for first in range(0, n_steps, chunk_steps):
            piece = slice(first, first + chunk_steps)
            states.append(state)
            record = self.run(
                x[piece], state=state, keep_distance=False, threads=threads
            )
            y[piece], state = record.y, record.final
            if self.spiking:
                counts += record.spike_counts
        kept = (tuple(states), state, counts, self.spiking)
        return CheckpointedRecord(y, x, chunk_steps, *kept)

    def record_bytes(
        self, n_steps: int, n_samples: int, record: Collection[str] = ()
    ) -> int:
        """Return about how much memory the `Record` of a run takes.

        v - A (or f's argument and the rate) and the recorded states, with a spike list
        in which one neuron of ten spikes at a step.
        """
        rows = 1.1 if self.spiking else 2.0
        rows += 3.0 if record else 0.0
        per_step = rows * padded(self.n_rec) * self.params.rows.itemsize
        return int(n_samples * n_steps * per_step)

    def _trajectory(
        self, n_steps: int, n_samples: int, keep_states: bool, keep_distance: bool
    ) -> Trajectory:
        """Return room for what a run leaves behind."""
        width, dtype, spiking = padded(self.n_rec), self.dtype, self.spiking
        none = np.empty((n_samples, 0, width), dtype)
        keep_distance |= not spiking

        def rows(needed: bool) -> np.ndarray:
            shape = (n_samples, n_steps, width)
            return buffers.empty(shape, dtype) if needed else none

        longest_list = n_steps * self.n_rec + LANES if spiking else 0
        return Trajectory(
            distance=rows(keep_distance),
            first=np.empty((n_samples, n_steps + 1 if spiking else 0), np.int64),
            spike=buffers.empty((n_samples * longest_list,), np.int32),
            output=rows(not spiking),
            y=np.empty((n_samples, n_steps, self.n_out), dtype),
            v=rows(keep_states),
            a=rows(keep_states),
            i=rows(keep_states),
        )

    def _state_to_go_on(self, state: State | None, n_samples: int) -> State:
        going = self._padded_zeros(n_samples)
        if state is None:
            return going
        mine = unpadded(going, self.n_rec)
        for name, own, theirs in zip(State._fields, mine, state, strict=True):
            where, rule = f"run.state.{name}", f"must have shape {own.shape}"
            require(own.shape == theirs.shape, where, rule, theirs.shape)
            rule = f"must be {own.dtype}"
            require(own.dtype == theirs.dtype, where, rule, theirs.dtype)
        for own, theirs in zip(mine, state, strict=True):
            own[...] = theirs
        return going

    def _check_input(self, x: np.ndarray) -> None:
        if x.ndim != 3 or x.shape[2] != self.n_in or x.size == 0:
            rule = f"must have shape (T, B, n_in = {self.n_in})"
            order = transposed(x.shape, (None, None, self.n_in), "x")
            hint = f"Axes are time, batch, unit. {order}".rstrip()
            require(False, "input x", rule, f"shape {x.shape}", hint)

    def _events(self, x: np.ndarray) -> tuple[np.ndarray, InputEvents]:
        """Return the checked input as the kernels read it, and room for its events."""
        self._check_input(x)
        if x.dtype == bool:
            x = x.view(np.uint8)
        if x.dtype == np.uint8:
            x = kernel_array(x)
            graded = bool(np.maximum.reduce(x, axis=None) > 1)
        else:
            with np.errstate(over="ignore"):
                x = kernel_array(x.astype(self.dtype))
            finite = bool(np.isfinite(x).all())
            rule = f"must be finite in {self.dtype}"
            require(finite, "input x", rule, "NaN or infinity")
            graded = bool(((x != 0) & (x != 1)).any())
        n_steps, n_samples, n_in = x.shape
        room = n_samples * (n_steps * n_in + LANES)
        events = InputEvents(
            start=np.empty((n_samples, n_steps + 1), np.int64),
            unit=buffers.empty((room,), np.int32),
            value=buffers.empty((room if graded else 0,), self.dtype),
            n_in=n_in,
        )
        return x, events


def _absent(mask: np.ndarray, width: int) -> np.ndarray:
    """Return where rows of this width have no connection: flat indices if they are few.

    `mask` is (pre, post); what fills a row up is left out.
    """
    rows = np.zeros((len(mask), width), bool)
    rows[:, : mask.shape[1]] = ~mask
    few = 8 * int(rows.sum()) < rows.size
    return np.flatnonzero(rows) if few else rows
