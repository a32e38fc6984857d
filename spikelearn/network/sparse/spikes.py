"""Spikes of a run of a sparse network, and what describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.network.intervals import interspike_intervals, interval_cv

__all__ = ["Spikes"]


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes in the order of time, and within a step in the order of neurons.

    Statistics take the name of a population, or None for all that were recorded.
    """

    steps: np.ndarray
    """(n_spikes,) int64, time step of each spike."""

    senders: np.ndarray
    """(n_spikes,) uint32, neuron of the whole network."""

    ranges: Mapping[str, tuple[int, int]]
    """First neuron and the one after the last of every recorded population."""

    dt: float
    """Time step, ms."""

    first_step: int
    """Start of what was recorded; spikes before it were dropped."""

    n_steps: int
    """End of what was recorded."""

    @property
    def times(self) -> np.ndarray:
        """(n_spikes,) float64, ms: step t is at time t dt."""
        return self.steps * self.dt

    @property
    def duration(self) -> float:
        """Length of what was recorded, ms."""
        return (self.n_steps - self.first_step) * self.dt

    def of(self, name: str) -> Spikes:
        """Return the spikes of one population; neurons keep their numbers."""
        if name not in self.ranges:
            raise unknown_name("recorded population", name, self.ranges)
        start, stop = self.ranges[name]
        own = (self.senders >= start) & (self.senders < stop)
        return replace(
            self,
            steps=self.steps[own],
            senders=self.senders[own],
            ranges={name: (start, stop)},
        )

    def after(self, time: float) -> Spikes:
        """Return the spikes from `time` (ms) on, to leave out the beginning."""
        first = round(time / self.dt)
        good = self.first_step <= first < self.n_steps
        end = self.n_steps * self.dt
        require(
            good, "Spikes.after.time", f"must lie before the end at {end:g} ms", time
        )
        later = self.steps >= first
        return replace(
            self,
            steps=self.steps[later],
            senders=self.senders[later],
            first_step=first,
        )

    def _one(self, name: str | None) -> Spikes:
        return self if name is None else self.of(name)

    @property
    def n_neurons(self) -> int:
        """Number of recorded neurons."""
        return sum(stop - start for start, stop in self.ranges.values())

    def rate(self, name: str | None = None) -> float:
        """Return the mean firing rate, Hz."""
        spikes = self._one(name)
        return 1000.0 * spikes.steps.size / (spikes.n_neurons * spikes.duration)

    def interspike_cv(self, name: str | None = None) -> np.ndarray:
        """Return std / mean of the interspike intervals, near 1 for Poisson processes.

        (n,) float64, of the neurons with at least three spikes; 0 is a clock.
        """
        spikes = self._one(name)
        neuron, interval = interspike_intervals(spikes.steps, spikes.senders)
        largest = max(stop for _, stop in spikes.ranges.values())
        cv = interval_cv(neuron, interval, largest)
        return cv[~np.isnan(cv)]

    def population_rate(self, bin_ms: float, name: str | None = None) -> np.ndarray:
        """Return the firing rate of the population in bins, Hz; a rest is cut off."""
        spikes = self._one(name)
        width = round(bin_ms / spikes.dt)
        n_bins = (spikes.n_steps - spikes.first_step) // max(width, 1)
        good = width >= 1 and n_bins >= 1
        rule = f"must be from {spikes.dt:g} to {spikes.duration:g} ms"
        require(good, "Spikes.population_rate.bin_ms", rule, bin_ms)
        place = (spikes.steps - spikes.first_step) // width
        count = np.bincount(place, minlength=n_bins)[:n_bins]
        rate: np.ndarray = count * (1000.0 / (spikes.n_neurons * width * spikes.dt))
        return rate

    def synchrony(self, bin_ms: float = 1.0, name: str | None = None) -> float:
        """Return variance / mean of the spike counts of the population in bins.

        1 for independent Poisson processes, of the order of the number of neurons if
        they spike together; NaN without spikes.
        """
        spikes = self._one(name)
        rate = spikes.population_rate(bin_ms)
        count = rate * (spikes.n_neurons * round(bin_ms / self.dt) * self.dt / 1000.0)
        return float(count.var() / count.mean()) if spikes.steps.size else float("nan")
