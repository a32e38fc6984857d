"""Rules that are a choice of paths: the machinery that they share.

A rule of this family keeps the true derivative within each neuron, and differs from the
others only in what comes back from other neurons (`spikelearn.kernels.paths`). A rule
says so in `paths`; the rest is here: credit at the end of a trial by a reverse sweep,
and, where traces that run forward in time can do it, credit in pieces while the trial
runs (`start`, `step`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.kernels import eligibility, window
from spikelearn.kernels.adjoint import (
    Accumulators,
    Carry,
    Part,
    Signal,
    credit,
    credit_readout,
    filter_back,
)
from spikelearn.kernels.paths import (
    DIAGONAL,
    FULL,
    LOCAL,
    ONE_HOP_ONLINE,
    SMOOTHED,
    Paths,
)
from spikelearn.kernels.threads import run_groups, sample_groups
from spikelearn.kernels.traces import Traces, credit_readout_online, n_traces
from spikelearn.kernels.vector import LANES, aligned_zeros, padded
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["PathRule", "kernel_signal", "make_paths", "sum_over_samples"]

NO_HOP = np.zeros((0, 0))
SHORTEST_WINDOW = 6
"""Steps from which on a piece of a trial is faster in a window than step by step."""


def make_paths(
    network: RecurrentNetwork,
    kind: int,
    hop: np.ndarray,
    *,
    through_reset: bool = False,
    mu: float = 0.0,
) -> Paths:
    """Return the paths of a rule in the dtype of the network; hop is (post, pre)."""
    scalar = np.dtype(network.dtype).type
    if kind == DIAGONAL:
        hop = np.diagonal(hop)[None]
    return Paths(kind, padded_rows(network, hop), through_reset, scalar(mu))


def padded_rows(network: RecurrentNetwork, rows: np.ndarray) -> np.ndarray:
    """Return a copy (..., n_pad) of rows of neurons, in the dtype of the network."""
    shape = (*rows.shape[:-1], padded(network.n_rec))
    copy = aligned_zeros(shape, network.dtype)
    copy[..., : rows.shape[-1]] = rows
    return copy


class PathRule:
    """A rule that is given by the paths that it keeps between neurons."""

    info: ClassVar[RuleInfo]

    def paths(self, network: RecurrentNetwork) -> Paths:
        """Return what comes back to a neuron from others."""
        return make_paths(network, LOCAL, NO_HOP)

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return the states that `RecurrentNetwork.run` has to record."""
        return ()

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` if the rule is not defined for a network."""
        check_cell(self.info, network)

    def _signals(
        self, network: RecurrentNetwork, record: Record, signal: LearningSignal
    ) -> Signal:
        """Return the checked signal that the kernels get."""
        return kernel_signal(network, record, signal)

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the gradient of a recorded batch over the paths of the rule.

        Raises
        ------
        InvalidValue
            If the rule is not defined for the network, or a signal has the wrong shape.
        """
        return self._sweep(network, record, signal, threads, with_credit=False)[0]

    def credit(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> np.ndarray:
        """Return dE/di of every neuron at every step, (T, B, n_rec), over these paths.

        The gradient of a weight is the sum over steps of the credit of its postsynaptic
        neuron times the presynaptic output that arrives at the step.
        """
        return self._sweep(network, record, signal, threads, with_credit=True)[1]

    def _sweep(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int,
        with_credit: bool,
    ) -> tuple[Gradients, np.ndarray]:
        self.check(network)
        for name in self.needs(network):
            record.state(name)
        signals = self._signals(network, record, signal)
        weights, paths = network.kernel_weights(), self.paths(network)
        n_samples, width = record.n_samples, padded(network.n_rec)
        n_kept = record.n_steps if with_credit else 0
        credits = aligned_zeros((n_samples, n_kept, width), network.dtype)
        carry = no_carry(network, n_samples, paths.kind)
        shared = signals.broadcast is signals.error

        def work(start: int, stop: int, out: Accumulators) -> None:
            span = (start, stop)
            filter_back(weights.kappa, signals.error, *span, signals.ebar)
            if not shared:
                filter_back(weights.kappa, signals.broadcast, *span, signals.lbar)
            credit_readout(weights, record.trajectory, signals.ebar, 0, *span, out)
            credit(
                network.kernel_cell,
                weights,
                record.events,
                record.trajectory,
                signals,
                paths,
                Part(start, stop, 0, width),
                carry,
                out,
                credits,
            )

        gradients = sum_over_samples(network, n_samples, threads, work)
        return gradients, credits[..., : network.n_rec].transpose(1, 0, 2)

    def start(self, network: RecurrentNetwork, n_samples: int) -> Traces:
        """Return the traces of a trial that has not begun.

        Raises
        ------
        InvalidValue
            If traces that run forward cannot compute the rule in this network.
        """
        self._check_online(network)
        shapes = trace_shapes(network, n_samples, self.paths(network).kind)
        return Traces(**{k: aligned_zeros(v, network.dtype) for k, v in shapes.items()})

    def _check_online(self, network: RecurrentNetwork) -> None:
        self.check(network)
        kind = self.paths(network).kind
        if kind not in (LOCAL, DIAGONAL, ONE_HOP_ONLINE):
            raise InvalidValue(
                f"rule {self.info.name!r} must be credited at the end of a trial; got "
                "a request for credit while it runs. (Rules that can: e-prop, rflo, "
                "snap-1, decolle, mdgl with variant 'online'.)"
            )
        if kind == LOCAL:
            return
        own = np.diagonal(np.broadcast_to(network.delay, (network.n_rec,) * 2))
        diagonal = np.diagonal(cast(np.ndarray, network.mask))
        late = kind == DIAGONAL and bool((own[diagonal] > 1).any())
        late |= kind == ONE_HOP_ONLINE and int(np.max(network.delay)) > 1
        where = f"rule {self.info.name!r} online"
        rule = "must have delays of 1 step where its own paths need them"
        require(not late, where, rule, "longer ones")

    def step(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        traces: Traces,
        threads: int = 1,
        *,
        explicit: bool = False,
    ) -> Gradients:
        """Return the gradient of the next piece of a trial, and move the traces on.

        Summed over the pieces of a trial with fixed weights this is `gradients` of the
        whole trial. `signal` belongs to the steps of the piece. Traces are exact at the
        end of every piece, so with pieces of one step they can be seen at every step.

        Parameters
        ----------
        explicit
            Compute the traces of every step also where the piece is long enough for
            them to be moved over many steps at once, which is faster.

        Raises
        ------
        InvalidValue
            If the rule cannot be credited while a trial runs, a signal has the wrong
            shape, a state that the rule needs was not recorded, or the traces are those
            of another trial.
        """
        self._check_online(network)
        for name in self.needs(network):
            record.state(name)
        weights, paths = network.kernel_weights(), self.paths(network)
        shapes = trace_shapes(network, record.n_samples, paths.kind)
        for name, shape in shapes.items():
            got = getattr(traces, name).shape
            require(got == shape, f"Traces.{name}", f"must have shape {shape}", got)
        signals = self._signals(network, record, signal)
        n_rows, n_pad = traces.synapses.shape[2:]
        sizes = (n_rows, n_pad, weights.longest_delay, network.dtype)
        many = record.n_steps >= SHORTEST_WINDOW and not explicit
        windows = many and paths.kind != DIAGONAL
        accumulate = window.accumulate_windows if windows else eligibility.accumulate

        def work(start: int, stop: int, out: Accumulators) -> None:
            filter_back(weights.kappa, signals.error, start, stop, signals.ebar)
            readout = (weights, record.trajectory, signals.ebar)
            credit_readout(*readout, 0, start, stop, out)
            credit_readout_online(*readout, start, stop, traces, out)
            memory = window.workspace if windows else eligibility.workspace
            accumulate(
                network.kernel_cell,
                weights,
                record.events,
                record.trajectory,
                signals,
                paths,
                start,
                stop,
                traces,
                memory(*sizes),
                out,
            )

        return sum_over_samples(network, record.n_samples, threads, work)


def no_carry(network: RecurrentNetwork, n_samples: int, kind: int) -> Carry:
    """Return what a sweep carries before the last step of a trial."""
    longest, width = int(np.max(network.delay)), padded(network.n_rec)
    n_back = 0 if kind in (LOCAL, FULL, DIAGONAL) else longest
    shapes = {
        "gv": (n_samples, width),
        "ga": (n_samples, width),
        "later": (n_samples, longest, width),
        "back": (n_samples, n_back, width),
        "cross": (n_samples, width),
        "hidden": (n_samples if kind == SMOOTHED else 0, 2, width),
    }
    return Carry(**{k: aligned_zeros(v, network.dtype) for k, v in shapes.items()})


def trace_shapes(
    network: RecurrentNetwork, n_samples: int, kind: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the traces of a trial by name."""
    n, longest = network.n_rec, int(np.max(network.delay))
    rows, shared = network.n_in + n + 1, shares_membrane(network, kind)
    flags = network.kernel_cell.has_adaptation, network.kernel_cell.has_synaptic_current
    # Rows a power of two apart would push each other out of the caches.
    width = padded(n) + LANES
    own = n_traces(shared, kind == DIAGONAL, *flags)
    return {
        "synapses": (n_samples, own, rows, width),
        "shared": (n_samples, 2 if shared else 0, rows),
        "output": (n_samples, n, longest),
        "output_filtered": (n_samples, n),
        "one_filtered": (n_samples,),
    }


def shares_membrane(network: RecurrentNetwork, kind: int) -> bool:
    """Return whether all synapses of a presynaptic unit have one membrane trace."""
    cell, n = network.kernel_cell, network.n_rec
    same_delay = not isinstance(network.delay, np.ndarray)
    own = kind == DIAGONAL or cell.reset_to_zero or cell.outside
    constants = (cell.alpha_m, cell.alpha_s, cell.zeta)
    return same_delay and not own and all(np.ptp(c[:n]) == 0 for c in constants)


def sum_over_samples(
    network: RecurrentNetwork,
    n_samples: int,
    threads: int,
    work: Callable[[int, int, Accumulators], None],
) -> Gradients:
    """Add up what `work(start, stop, out)` accumulates, in groups of samples.

    The groups are added in order, whatever the number of threads, and connections that
    do not exist get 0.
    """
    params = network.params
    groups = [
        Accumulators(
            w=aligned_zeros(params.rows.shape, network.dtype),
            bias=aligned_zeros(params.bias_row.shape, network.dtype),
            w_out=np.zeros_like(params.out_rows),
            b_out=np.zeros_like(params.b_out),
        )
        for _ in sample_groups(n_samples)
    ]
    run_groups(lambda g, a, b: work(a, b, groups[g]), n_samples, threads)
    summed = groups[0]
    for other in groups[1:]:
        for sum_, part in zip(summed, other, strict=True):
            sum_ += part
    n_in, n_rec = network.n_in, network.n_rec
    arrays = {
        "w_in": summed.w[:n_in, :n_rec].T,
        "w_rec": summed.w[n_in:, :n_rec].T,
        "w_out": summed.w_out.T,
        "b_out": summed.b_out,
        "bias": summed.bias[:n_rec],
    }
    for name, mask in network.masks.items():
        arrays[name] *= mask.astype(network.dtype)
    return Gradients(**arrays)


def kernel_signal(
    network: RecurrentNetwork, record: Record, signal: LearningSignal
) -> Signal:
    """Return a checked learning signal as kernels read it.

    Raises
    ------
    InvalidValue
        If an array has the wrong shape, or the record is that of another network.
    """
    n_steps, n_samples = record.n_steps, record.n_samples
    mine = (network.n_in, network.n_rec, network.spiking)
    theirs = (record.events.n_in, record.n_rec, record.spiking)
    rule = f"must be that of this network (n_in, n_rec, spiking = {mine})"
    require(mine == theirs, "record", rule, theirs)
    n_rec, n_out = network.n_rec, network.n_out
    neuron, direct, broadcast = signal.neuron, signal.direct, signal.broadcast
    expected = {
        "error": (signal.error, (n_steps, n_samples, n_out)),
        "broadcast": (broadcast, (n_steps, n_samples, n_out)),
        "feedback": (signal.feedback, (n_rec, n_out)),
        "neuron": (neuron, (n_samples, n_rec)),
        "direct": (direct, (n_steps, n_samples, n_rec)),
    }
    for name, (array, shape) in expected.items():
        where, rule = f"LearningSignal.{name}", f"must have shape {shape}"
        require(array is None or array.shape == shape, where, rule, np.shape(array))
    if neuron is None:
        neuron = np.zeros((0, n_rec))
    if direct is None:
        direct = np.zeros((0, n_samples, n_rec))
    error = np.ascontiguousarray(signal.error.transpose(1, 0, 2), network.dtype)
    spread = error
    if broadcast is not None and broadcast is not signal.error:
        spread = np.ascontiguousarray(broadcast.transpose(1, 0, 2), network.dtype)
    ebar = np.empty_like(error)
    return Signal(
        error=error,
        ebar=ebar,
        broadcast=spread,
        lbar=ebar if spread is error else np.empty_like(error),
        feedback=padded_rows(network, signal.feedback.T),
        neuron=padded_rows(network, neuron),
        direct=padded_rows(network, direct.transpose(1, 0, 2)),
        first_step=0,
    )
