"""Rules that are a choice of paths: the machinery that they share.

A rule of this family keeps the true derivative within each neuron, and differs from the
others only in what comes back from other neurons (`spikelearn.kernels.paths`). A rule
says so in `paths`; the rest is here: credit at the end of a trial by a reverse sweep,
and, where traces that run forward in time can do it, credit in pieces while the trial
runs (`start`, `step`).
"""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.kernels import eligibility, window
from spikelearn.kernels.adjoint import (
    Accumulators,
    Part,
    Signal,
    credit,
    credit_readout,
    filter_signals,
)
from spikelearn.kernels.paths import DIAGONAL, LOCAL, ONE_HOP_ONLINE, Paths
from spikelearn.kernels.rate_credit import credit_rate, multiplies
from spikelearn.kernels.threads import run_groups
from spikelearn.kernels.traces import Traces, credit_readout_online, n_traces
from spikelearn.kernels.vector import LANES, aligned_zeros, padded
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.sweep import (
    NO_HOP,
    Work,
    columns_of,
    kernel_signal,
    make_paths,
    no_carry,
    sum_over_samples,
)
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import AnyRecord, Record, RecurrentNetwork, buffers

__all__ = ["PathRule"]

SHORTEST_WINDOW = 6
"""Steps from which on a piece of a trial is faster in a window than step by step."""


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
        self, network: RecurrentNetwork, record: AnyRecord, signal: LearningSignal
    ) -> Signal:
        """Return the checked signal that the kernels get."""
        return kernel_signal(network, record, signal)

    def gradients(
        self,
        network: RecurrentNetwork,
        record: AnyRecord,
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
        record: AnyRecord,
        signal: LearningSignal,
        threads: int,
        with_credit: bool,
    ) -> tuple[Gradients, np.ndarray]:
        self.check(network)
        needs = self.needs(network)
        signals = self._signals(network, record, signal)
        weights, paths = network.kernel_weights(), self.paths(network)
        n_samples, width = record.n_samples, padded(network.n_rec)
        n_kept = record.n_steps if with_credit else 0
        credits = np.zeros((n_samples, n_kept, width), network.dtype)
        carry, carried = no_carry(network, n_samples, paths.kind)
        columns = columns_of(network, record, paths.kind, threads)
        multiplied = multiplies(network.kernel_cell, weights, paths)
        credit_part = credit_rate if multiplied else credit

        def piece_of_work(first_step: int, piece: Record) -> Work:
            here = signals._replace(first_step=first_step)

            def work(start: int, stop: int, out: Accumulators) -> None:
                def of_columns(_: int, first: int, last: int) -> None:
                    credit_part(
                        network.kernel_cell,
                        weights,
                        piece.events,
                        piece.trajectory,
                        here,
                        paths,
                        Part(start, stop, columns[first], columns[last]),
                        carry,
                        out,
                        credits,
                    )

                run_groups(of_columns, len(columns) - 1, threads)

            return work

        pieces = record.pieces_backwards(network, needs, threads)
        works = (piece_of_work(*piece) for piece in pieces)
        gradients = sum_over_samples(network, n_samples, threads, works)
        buffers.give_back(carried)
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
            filter_signals(weights.kappa, signals, start, stop)
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

        return sum_over_samples(network, record.n_samples, threads, [work])


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
