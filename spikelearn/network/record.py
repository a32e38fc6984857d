"""What a forward pass produced."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.spiking import InputEvents, State, Trajectory

if TYPE_CHECKING:
    from spikelearn.network.model import RecurrentNetwork

__all__ = ["AnyRecord", "CheckpointedRecord", "Record", "unpadded"]


PER_NEURON = ("v", "a", "i", "reset", "refractory", "pending")


def unpadded(state: State, n_rec: int) -> State:
    """Return a state of the kernels in views of the true number of neurons."""
    views = {name: getattr(state, name)[..., :n_rec] for name in PER_NEURON}
    return state._replace(**views)


@dataclass(frozen=True)
class Record:
    """What one forward pass produced; sequences are (T, B, n).

    `y` is the readout, `output` what neurons send (spikes or rates), `spikes` the uint8
    raster, `distance` v - A (-inf while refractory; of rate units the argument of f).
    `v`, `a` and `i` are there when they were asked for. `final` is the state after the
    last step, from which `RecurrentNetwork.run` can go on.
    """

    y: np.ndarray
    events: InputEvents
    trajectory: Trajectory
    n_rec: int
    padded_final: State
    recorded: frozenset[str] = field(default_factory=frozenset)

    @property
    def final(self) -> State:
        """State after the last step."""
        return unpadded(self.padded_final, self.n_rec)

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.events.n_in

    def pieces_backwards(
        self, network: RecurrentNetwork, record: Collection[str], threads: int
    ) -> Iterator[tuple[int, Record]]:
        """Yield (first step, record) of the pieces of the trial: here all in one.

        Raises
        ------
        InvalidValue
            If a state named in `record` was not recorded.
        """
        for name in record:
            self.state(name)
        yield 0, self

    @property
    def spiking(self) -> bool:
        """Whether the neurons spike."""
        return self.trajectory.first.shape[1] > 0

    @property
    def n_steps(self) -> int:
        """Number of time steps T."""
        return self.y.shape[0]

    @property
    def n_samples(self) -> int:
        """Number of samples B."""
        return self.y.shape[1]

    @property
    def distance(self) -> np.ndarray:
        """Distance to threshold, v - A, (T, B, n_rec)."""
        kept = self.trajectory.distance.shape[1] == self.n_steps
        hint = "Call network.run without keep_distance=False."
        require(kept, "Record.distance", "must be kept", "nothing", hint)
        return self._by_time(self.trajectory.distance)

    def _by_time(self, rows: np.ndarray) -> np.ndarray:
        """Return (T, B, n_rec) of rows of the kernels, (B, T, n_pad)."""
        return rows[..., : self.n_rec].transpose(1, 0, 2)

    @property
    def spikes(self) -> np.ndarray:
        """Spike raster z, (T, B, n_rec) uint8."""
        self._require_spikes("spikes")
        raster = np.zeros((self.n_steps, self.n_samples, self.n_rec), np.uint8)
        for sample in range(self.n_samples):
            steps, units = self.spike_events(sample)
            raster[steps, sample, units] = 1
        return raster

    @property
    def output(self) -> np.ndarray:
        """Output r of every neuron, (T, B, n_rec) float: spikes 0 and 1, or rates."""
        if self.spiking:
            return self.spikes.astype(self.y.dtype)
        return self._by_time(self.trajectory.output)

    def _require_spikes(self, what: str) -> None:
        hint = "Record.output holds what rate units send."
        require(self.spiking, f"Record.{what}", "needs spiking cells", "rate", hint)

    def spike_events(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (step, unit) of the recurrent spikes of one sample in order."""
        self._require_spikes("spike_events")
        first = self.trajectory.first[sample]
        steps = np.repeat(np.arange(self.n_steps), np.diff(first))
        return steps, self.trajectory.spike[first[0] : first[-1]].copy()

    @property
    def spike_counts(self) -> np.ndarray:
        """Spikes of every neuron in every sample, (B, n_rec) int64."""
        self._require_spikes("spike_counts")
        spike, n_rec = self.trajectory.spike, self.n_rec
        counts = [
            np.bincount(spike[first[0] : first[-1]], minlength=n_rec)
            for first in self.trajectory.first
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
        return self._by_time(getattr(self.trajectory, name))


@dataclass(frozen=True)
class CheckpointedRecord:
    """What is left of a long forward pass: enough to run any piece of it again.

    `y` is the readout (T, B, n_out), `spike_counts` the spikes of every neuron in every
    sample (B, n_rec), `states` the states from which pieces of `chunk_steps` steps
    begin, `x` the input. `RecurrentNetwork.run_checkpointed` makes it.
    """

    y: np.ndarray
    x: np.ndarray
    chunk_steps: int
    states: tuple[State, ...]
    final: State
    spike_counts: np.ndarray
    spiking: bool

    @property
    def n_steps(self) -> int:
        """Number of time steps T."""
        return self.y.shape[0]

    @property
    def n_samples(self) -> int:
        """Number of samples B."""
        return self.y.shape[1]

    @property
    def n_rec(self) -> int:
        """Number of neurons."""
        return self.final.v.shape[1]

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.x.shape[2]

    def pieces_backwards(
        self, network: RecurrentNetwork, record: Collection[str], threads: int
    ) -> Iterator[tuple[int, Record]]:
        """Run the pieces again, the last one first; yield (first step, record).

        The weights have to be those of the forward pass.
        """
        for k in reversed(range(len(self.states))):
            first = k * self.chunk_steps
            x = self.x[first : first + self.chunk_steps]
            state = self.states[k]
            piece = network.run(x, record=record, state=state, threads=threads)
            yield first, piece


AnyRecord = Record | CheckpointedRecord
