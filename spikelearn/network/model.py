"""The recurrent network: specification and forward pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.rate import forward_rate
from spikelearn.kernels.spiking import (
    Cell,
    InputEvents,
    State,
    Trajectory,
    Weights,
    count_events,
    forward,
    list_events,
    pad_cell,
)
from spikelearn.kernels.threads import N_GROUPS, run_groups
from spikelearn.kernels.vector import LANES, aligned_empty, aligned_zeros, padded
from spikelearn.network import connectivity
from spikelearn.network.cells import LIF, Cells, LeakyRate
from spikelearn.network.params import Params
from spikelearn.network.readout import LeakyReadout
from spikelearn.network.record import Record

__all__ = ["RecurrentNetwork"]

DTYPES = ("float32", "float64")
STATES = ("v", "a", "i")
PER_NEURON = ("v", "a", "i", "reset", "refractory", "pending")


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
            "mask": connectivity.no_self_connections(n),
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
        self._set("params", Params(self.n_in, n, self.n_out, self.dtype))
        self._set("cell_constants", self.cell.constants(n, self.dt, self.dtype))
        self._set("kernel_cell", pad_cell(self.cell_constants))

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(self, name, value)

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
    ) -> Params:
        """Draw Gaussian weights, entries N(0, gain^2 / n_pre), and clear the biases.

        Recurrent weights under Dale's law are the absolute values with the signs of
        their neurons (`connectivity.dale`). Inputs, recurrent and readout weights use
        three spawned streams of `rng`, so that a change of one does not shift the
        others. Returns `params`.
        """
        streams = np.random.default_rng(rng).spawn(3)
        params = self.params
        draw = connectivity.gaussian
        params.w_in[...] = draw(self.n_rec, self.n_in, gain_in, streams[0])
        w_rec = draw(self.n_rec, self.n_rec, gain, streams[1])
        if self.signs is not None:
            w_rec = connectivity.dale(w_rec, self.signs)
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
        for name, mask in self.masks.items():
            if not mask.all():
                getattr(self.params, name)[~mask] = 0.0
        if self.signs is not None:
            w_rec = self.params.w_rec
            w_rec[w_rec * self.signs < 0] = 0.0

    def kernel_weights(self) -> Weights:
        """Return the parameters as the kernels read them (no copy)."""
        kappa, gain = self.readout.factors(self.dt)
        scalar = np.dtype(self.dtype).type
        params = self.params
        delay = np.zeros((0, 0), np.int32)
        if isinstance(self.delay, np.ndarray):
            delay = np.ascontiguousarray(self.delay.T)
        return Weights(
            w=params.rows,
            bias=params.bias_row,
            w_out=params.out_rows,
            b_out=params.b_out,
            kappa=scalar(kappa),
            out_gain=scalar(gain),
            delay=delay,
            longest_delay=int(np.max(self.delay)),
        )

    def zero_state(self, n_samples: int) -> State:
        """Return the state before the first step."""
        return self._unpadded(self._padded_zeros(n_samples))

    def _padded_zeros(self, n_samples: int) -> State:
        longest, width = int(np.max(self.delay)), padded(self.n_rec)
        shapes = {name: (n_samples, width) for name in State._fields}
        shapes["y"] = (n_samples, self.n_out)
        shapes["pending"] = (n_samples, longest, width)
        shapes["time"] = (n_samples,)
        dtypes = dict.fromkeys(shapes, self.dtype) | {"time": "int64"}
        return State(**{k: aligned_zeros(shapes[k], dtypes[k]) for k in shapes})

    def run(
        self,
        x: np.ndarray,
        *,
        record: Collection[str] = (),
        state: State | None = None,
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
        threads
            Threads over samples. Results do not depend on it.

        Raises
        ------
        InvalidValue
            If x has another shape, is not numeric or not finite, or the state is that
            of another number of samples or of another network.
        """
        unknown = set(record) - set(STATES)
        where = "RecurrentNetwork.run.record"
        require(not unknown, where, f"must be names from {STATES}", sorted(unknown))
        require(threads >= 1, "threads", "must be >= 1", threads)
        x = np.asarray(x)
        events = self._events(x)
        n_steps, n_samples = x.shape[:2]
        going = self._state_to_go_on(state, n_samples)
        n_kept = n_steps if record else 0
        n_spiking = n_steps if self.spiking else 0
        longest_list = n_spiking * self.n_rec + LANES if self.spiking else 0
        out = Trajectory(
            distance=self._rows(n_samples, n_steps),
            first=np.empty((n_samples, n_steps + 1 if self.spiking else 0), np.int64),
            spike=np.empty(n_samples * longest_list, np.int32),
            output=self._rows(n_samples, n_steps - n_spiking),
            y=np.empty((n_samples, n_steps, self.n_out), self.dtype),
            v=self._rows(n_samples, n_kept),
            a=self._rows(n_samples, n_kept),
            i=self._rows(n_samples, n_kept),
        )
        cell, weights = self.kernel_cell, self.kernel_weights()
        kernel = forward if self.spiking else forward_rate

        def work(group: int, start: int, stop: int) -> None:
            kernel(cell, weights, events, start, stop, going, out)

        # Rates of many samples are one product, and no sum over samples is taken here.
        run_groups(work, n_samples, threads, N_GROUPS if self.spiking else threads)
        y = out.y.transpose(1, 0, 2)
        final = self._unpadded(going)
        return Record(y, events, out, self.n_rec, final, frozenset(record))

    def _rows(self, n_samples: int, n_steps: int) -> np.ndarray:
        """Return room for what kernels write at every step, padding included."""
        return aligned_empty((n_samples, n_steps, padded(self.n_rec)), self.dtype)

    def _unpadded(self, state: State) -> State:
        """Return the state in views of the true numbers of neurons."""
        views = {k: getattr(state, k)[..., : self.n_rec] for k in PER_NEURON}
        return state._replace(**views)

    def _state_to_go_on(self, state: State | None, n_samples: int) -> State:
        going = self._padded_zeros(n_samples)
        if state is None:
            return going
        mine = self._unpadded(going)
        for name, own, theirs in zip(State._fields, mine, state, strict=True):
            where, rule = f"run.state.{name}", f"must have shape {own.shape}"
            require(own.shape == theirs.shape, where, rule, theirs.shape)
            rule = f"must be {own.dtype}"
            require(own.dtype == theirs.dtype, where, rule, theirs.dtype)
        for own, theirs in zip(mine, state, strict=True):
            own[...] = theirs
        return going

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
