"""What a forward pass produced."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.spiking import InputEvents, State, Trajectory

__all__ = ["Record"]


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
    final: State
    recorded: frozenset[str] = field(default_factory=frozenset)

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
