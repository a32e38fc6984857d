"""The network linearised along a trajectory: tangent vectors, forwards and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.adjoint import Part
from spikelearn.kernels.matmul import Panels, pack
from spikelearn.kernels.spiking import Cell, pad_cell
from spikelearn.kernels.tangent import (
    RING,
    SHARE,
    Linear,
    Path,
    TangentRoom,
    Tangents,
    add_outer,
    gates,
    propagate,
    propagate_in_team,
)
from spikelearn.kernels.team import APART
from spikelearn.kernels.threads import N_GROUPS, run_groups, sample_groups
from spikelearn.kernels.vector import LANES, aligned_empty, aligned_zeros, padded
from spikelearn.network.cells import LIF, Surrogate
from spikelearn.network.model import RecurrentNetwork
from spikelearn.network.record import Record

__all__ = ["SUBSPACES", "Jacobian", "Linearised", "TangentRecord"]

SUBSPACES = ("full", "voltage")
SMALLEST_TEAM = 800_000  # products a step of a sample that several threads share


@dataclass(frozen=True)
class Jacobian:
    """Which Jacobian of a network is meant; rate units have only one.

    Parameters
    ----------
    reset
        Whether a change of a spike also changes the reset of its own neuron. Learning
        rules leave this out, and so does the default.
    subspace
        "full", or "voltage": without the adaptation of ALIF cells, whose slow decay
        else is the largest exponent of every network.
    surrogate
        Pseudo-derivative in place of the cell's own; None for that.
    events
        Shift of spike times in place of a pseudo-derivative (`analysis.lyapunov`).

    Raises
    ------
    InvalidValue
        If a name is unknown.
    """

    reset: bool = False
    subspace: str = "full"
    surrogate: Surrogate | None = None
    events: bool = False

    def __post_init__(self) -> None:
        where, rule = "Jacobian.subspace", f"must be one of {SUBSPACES}"
        require(self.subspace in SUBSPACES, where, rule, self.subspace)


@dataclass(frozen=True)
class TangentRecord:
    """What tangent vectors did in a forward pass of T steps and B samples.

    `log_r` (T, B, k) is the growth of the b-th vector in a step, log R_bb. The others
    have samples first, rows padded, and no steps unless they were asked for: `r`
    (B, T, k, k) is R, `kept` (B, T, k, size) the vectors after every step, and
    d log R_bb / dW_ij = post[b, i] pre[b, j] (B, T, k, n_pad).
    """

    log_r: np.ndarray
    r: np.ndarray
    kept: np.ndarray
    post: np.ndarray
    pre: np.ndarray


class Linearised:
    """One network with one Jacobian, of the weights as they are now.

    Parameters
    ----------
    network
        Network with one common delay of one step.
    jacobian
        Which Jacobian.

    Raises
    ------
    InvalidValue
        If delays are longer, or the events of the cells cannot be shifted.
    """

    def __init__(self, network: RecurrentNetwork, jacobian: Jacobian) -> None:
        longest = int(np.max(network.delay))
        where, rule = "RecurrentNetwork.delay", "must be 1 step to be linearised"
        hint = "Spikes under way would be a part of the state."
        require(longest == 1, where, rule, longest, hint)
        self.network, self.jacobian = network, jacobian
        self.cell = self._cell()
        if jacobian.events:
            require_events(network)
        self.linear = self._linear(self.cell)
        n_pad = padded(network.n_rec)
        self.weights = network.params.rows[network.n_in :, :]
        self.panels = Panels(
            aligned_empty((network.n_rec * n_pad,), network.dtype), network.n_rec
        )
        pack(network.params.rows, network.n_in, 0, n_pad, self.panels)

    def _cell(self) -> Cell:
        network, surrogate = self.network, self.jacobian.surrogate
        if surrogate is None or not network.spiking:
            return network.kernel_cell
        cell = network.cell
        assert isinstance(cell, LIF)
        values = {**vars(cell), "surrogate": surrogate}
        other = type(cell)(**values)
        return pad_cell(other.constants(network.n_rec, network.dt, network.dtype))

    def _linear(self, cell: Cell) -> Linear:
        network, jacobian = self.network, self.jacobian
        n, dt, n_pad = network.n_rec, network.dt, padded(network.n_rec)

        def row(values: np.ndarray | float) -> np.ndarray:
            array = aligned_zeros((n_pad,), network.dtype)
            array[:n] = values
            return array

        into_i, into_v, into_a, off_v = row(1.0), row(0.0), row(1.0), row(0.0)
        if jacobian.reset and network.spiking and not cell.reset_to_zero:
            off_v = cell.v_th
        if jacobian.events:
            # A current that begins later by s has decayed less, i w (1 + s / tau), and
            # has not charged the membrane for s: together the charge stays the same.
            into_i = row(-dt / network.cell.per_neuron("tau_syn", n))
            into_v = row(1.0)
            off_v = row(
                -network.cell.per_neuron("v_th", n)
                * dt
                / network.cell.per_neuron("tau_m", n)
            )
            if cell.has_adaptation:
                into_a = row(-dt / network.cell.per_neuron("tau_a", n))
        adapts = cell.has_adaptation and jacobian.subspace == "full"
        at_a = n_pad if adapts else 0
        at_i = n_pad + at_a if cell.has_synaptic_current else 0
        return Linear(
            cell.alpha_m,
            cell.alpha_s,
            cell.zeta,
            cell.rho,
            cell.beta,
            into_i,
            into_v,
            off_v,
            into_a,
            at_a,
            at_i,
            cell.outside,
            cell.reset_to_zero,
        )

    @property
    def n_parts(self) -> int:
        """Number of states of a neuron."""
        return 1 + int(self.linear.at_a > 0) + int(self.linear.at_i > 0)

    @property
    def size(self) -> int:
        """Dimension of the tangent space: as many exponents as there are."""
        return self.n_parts * self.network.n_rec

    def start(self, n_samples: int, k: int, rng: np.random.Generator) -> np.ndarray:
        """Return k random orthonormal vectors, the same for all samples.

        Returns
        -------
        (n_samples, k, n_parts * n_pad) array

        Raises
        ------
        InvalidValue
            If there are not so many.
        """
        where, rule = "k", f"must be 1 to {self.size}, the dimension of the state"
        require(1 <= k <= self.size, where, rule, k)
        n, n_pad = self.network.n_rec, padded(self.network.n_rec)
        shape = (n_samples, k, self.n_parts * n_pad)
        vectors = aligned_zeros(shape, self.network.dtype)
        drawn = np.linalg.qr(rng.standard_normal((self.size, k)))[0].T
        parts = vectors.reshape(n_samples, k, self.n_parts, n_pad)
        parts[..., :n] = drawn.reshape(k, self.n_parts, n)
        return vectors

    def gates(self, record: Record, threads: int = 1) -> np.ndarray:
        """Return psi or f' of all steps, (B, T, n_pad)."""
        distance = record.trajectory.distance
        self._require_finite(record)
        if self.jacobian.events:
            return event_gates(record)
        out = aligned_empty(distance.shape, distance.dtype)

        def work(_: int, begin: int, end: int) -> None:
            gates(self.cell, distance, begin, end, out)

        run_groups(work, record.n_samples, threads)
        return out

    def _require_finite(self, record: Record) -> None:
        """Refuse trajectories that left the numbers, and say where."""
        distance = record.distance
        if np.isfinite(distance.sum(dtype=np.float64)):
            return
        bad = np.isnan(distance) | (distance == np.inf)
        if not record.spiking:
            bad |= distance == -np.inf
        if bad.any():
            step, sample, unit = (int(i) for i in np.argwhere(bad)[0])
            where = f"state of unit {unit} at step {step} of sample {sample}"
            got = distance[step, sample, unit]
            hint = "The network runs away: lower network.gain or shorten the run."
            require(False, where, "must be finite", got, hint)

    def run(
        self,
        record: Record,
        vectors: np.ndarray,
        *,
        factors: bool = False,
        keep: bool = False,
        threads: int = 1,
    ) -> TangentRecord:
        """Take vectors along a recorded trajectory.

        Parameters
        ----------
        record
            A forward pass of this network.
        vectors
            As `start` makes them; changed in place to those after the last step.
        factors, keep
            Whether to keep `post` and `pre`; `r` and `kept`.
        threads
            Threads over samples, or over the vectors of a single one. Results do not
            depend on it.

        Raises
        ------
        InvalidValue
            If the trajectory is not finite, or a vector vanishes.
        """
        n_samples, n_steps = record.n_samples, record.n_steps
        k, size, n_pad = vectors.shape[1], vectors.shape[2], padded(record.n_rec)
        dtype = self.network.dtype
        kept, used = n_steps if keep else 0, n_steps if factors else 0
        out = Tangents(
            q=vectors,
            lengths=np.empty((n_samples, n_steps, k), dtype),
            r=np.zeros((n_samples, kept, k, k), dtype),
            kept=aligned_empty((n_samples, kept, k, size), dtype),
            post=aligned_empty((n_samples, used, k, n_pad), dtype),
            pre=aligned_empty((n_samples, used, k, n_pad), dtype),
        )
        gate, distance = self.gates(record, threads), record.trajectory.distance
        path = Path(self.linear, self.panels, gate, distance)
        smallest = float(np.finfo(dtype).eps ** (1 / 3))

        def room(rows: int) -> TangentRoom:
            return TangentRoom(
                g=aligned_empty((rows, 1, n_pad), dtype),
                arriving=aligned_empty((rows, 1, n_pad), dtype),
                active=np.empty(n_pad + LANES, np.int32),
                r=np.zeros((k, k), dtype),
                smallest=smallest,
            )

        def work(_: int, begin: int, end: int) -> None:
            propagate(path, begin, end, room((end - begin) * k), out)

        members = min(threads, -(-k // SHARE))
        if n_samples == 1 and members > 1 and k * record.n_rec**2 >= SMALLEST_TEAM:
            counters = np.zeros(APART * (2 + members), np.int64)
            ring = aligned_empty((RING, k, size), dtype)
            ring[-1] = vectors[0]

            def take_part(*_: int) -> None:
                propagate_in_team(path, counters, members, ring, room(k), out)

            run_groups(take_part, members, members, members)
            vectors[0] = ring[(n_steps - 1) % RING]
        else:
            run_groups(work, n_samples, threads)
        with np.errstate(all="ignore"):
            log_r = np.log(out.lengths)
        self._require_growth(log_r)
        by_time = log_r.transpose(1, 0, 2)
        return TangentRecord(by_time, out.r, out.kept, out.post, out.pre)

    def _require_growth(self, log_r: np.ndarray) -> None:
        bad = ~np.isfinite(log_r)
        if bad.any():
            sample, step, vector = (int(i) for i in np.argwhere(bad)[0])
            where = f"tangent vector {vector + 1} at step {step} of sample {sample}"
            hint = "No neuron passes a change on. Lower k, or give the cells a leak."
            require(False, where, "must not vanish", "length 0 or not a number", hint)

    def outer(self, post: np.ndarray, pre: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return sum over samples, steps and vectors of post_i pre_j, (n_rec, n_rec).

        Both are (B, T, k, n_pad). The sum is taken in groups of samples, in order.
        """
        n, n_pad = self.network.n_rec, post.shape[-1]
        n_samples, n_rows = len(post), post.shape[1] * post.shape[2]
        pre = np.ascontiguousarray(pre).reshape(n_samples, n_rows, n_pad)
        post = np.ascontiguousarray(post).reshape(n_samples * n_rows, n_pad)
        groups = sample_groups(n_samples, N_GROUPS)
        sums = aligned_zeros((len(groups), n, n_pad), post.dtype)

        def work(group: int, begin: int, end: int) -> None:
            panels = Panels(aligned_empty((n_rows * n_pad,), post.dtype), n_rows)
            part = Part(begin, end, 0, n_pad)
            add_outer(pre, post, n, part, panels, sums[group])

        run_groups(work, n_samples, threads)
        total: np.ndarray = sums.sum(axis=0)[:, :n].T
        return total

    def backwards(
        self, vectors: np.ndarray, gate: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Apply the transposed Jacobian of one step; in NumPy, for references.

        Parameters
        ----------
        vectors : (B, k, size) array
        gate, distance : (B, n_pad) arrays

        Returns
        -------
        before : (B, k, size) array
            D^T of the vectors.
        arriving, sent : (B, k, n_pad) arrays
            The derivatives with respect to W g and to g (f outside: to q_v).
        """
        linear, n_pad = self.linear, gate.shape[-1]
        gate = gate[:, None, :]
        v = vectors[..., :n_pad]
        before = np.zeros_like(vectors)
        i = linear.zeta * v * (gate if linear.outside else 1.0)
        if linear.at_i:
            i = i + vectors[..., linear.at_i : linear.at_i + n_pad]
            before[..., linear.at_i : linear.at_i + n_pad] = linear.alpha_s * i
        arriving = linear.into_i * i + linear.into_v * linear.zeta * v
        sent = np.zeros_like(v)
        sent[..., : self.network.n_rec] = arriving @ self.weights.T
        leak = linear.alpha_m
        if linear.outside:
            before[..., :n_pad] = leak * v + sent
            return before, arriving, sent
        if linear.reset_to_zero:
            leak = np.where(distance > 0, 0, leak)[:, None, :]
        sent = sent - linear.off_v * v
        if linear.at_a:
            a = vectors[..., linear.at_a : linear.at_a + n_pad]
            sent = sent + linear.into_a * a
            changed = linear.rho * a - linear.beta * gate * sent
            before[..., linear.at_a : linear.at_a + n_pad] = changed
        before[..., :n_pad] = leak * v + gate * sent
        return before, arriving, sent


def require_events(network: RecurrentNetwork) -> None:
    """Refuse networks whose spike times do not move smoothly.

    Raises
    ------
    InvalidValue
        If cells are rate units, have no synaptic current, another reset than "subtract"
        or refractoriness.
    """
    reason = no_events_reason(network)
    require(reason is None, "Jacobian.events", "must be defined for the cells", reason)


def no_events_reason(network: RecurrentNetwork) -> str | None:
    """Return why spike times cannot be shifted, or None if they can."""
    cell = network.cell
    if not isinstance(cell, LIF):
        return "rate units, which have no spikes"
    if not np.all(np.asarray(cell.tau_syn) > 0):
        return "tau_syn = 0: a spike makes others jump across the threshold"
    if cell.reset != "subtract":
        return "reset 'zero', of which the overshoot depends on the time step"
    if network.kernel_cell.has_refractory:
        return "refractory cells, which forget their state at a spike"
    return None


def event_gates(record: Record) -> np.ndarray:
    """Return z / (slope of v - A at the spike), (B, T, n_pad), in steps per unit.

    The slope is that of the step before the spike. Where it is not positive (the state
    was above the threshold before, or the first step) the spike is not shifted.
    """
    distance = record.trajectory.distance
    out = aligned_zeros(distance.shape, distance.dtype)
    slope = distance[:, 1:] - distance[:, :-1]
    crosses = (distance[:, 1:] > 0) & (distance[:, :-1] <= 0) & (slope > 0)
    np.divide(1.0, slope, out=out[:, 1:], where=crosses)
    return out
