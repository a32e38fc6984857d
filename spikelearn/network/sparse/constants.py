"""Constants of the kernels from the specifications of a sparse network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.poisson import BLOCK, poisson_thresholds
from spikelearn.kernels.sparse import Drive, Groups
from spikelearn.network.sparse.specs import (
    MOST_PER_STEP,
    CubaLIF,
    DeltaLIF,
    PoissonDrive,
    Population,
)

__all__ = ["Layout", "drive_constants", "group_constants"]

LONGEST_PERIOD = 64  # steps between two rescalings of the currents
LARGEST_EXPONENT = 10.0  # of the growth of a stored current within a period


class Layout:
    """Where populations stand, and which neighbours are alike and move together.

    Attributes
    ----------
    ranges
        First neuron and the one after the last of every population.
    groups
        (first, end, cell, drive) of every group.
    group_of
        Group of every population.
    """

    def __init__(self, populations: Mapping[str, Population]) -> None:
        self.ranges: dict[str, tuple[int, int]] = {}
        self.groups: list[tuple[int, int, DeltaLIF, PoissonDrive | None]] = []
        self.group_of: dict[str, int] = {}
        start = 0
        for name, population in populations.items():
            stop = start + population.n
            self.ranges[name] = (start, stop)
            alike = (population.cell, population.drive)
            if self.groups and self.groups[-1][2:] == alike:
                self.groups[-1] = (self.groups[-1][0], stop, *alike)
            else:
                self.groups.append((start, stop, *alike))
            self.group_of[name] = len(self.groups) - 1
            start = stop
        self.n = start

    @property
    def has_current(self) -> bool:
        """Whether the cells have synaptic currents."""
        return isinstance(self.groups[0][2], CubaLIF)


def group_constants(layout: Layout, dt: float, dtype: Any) -> Groups:
    """Return the constants of every group; equations in `CubaLIF` and `DeltaLIF`.

    With currents, a step adds to the voltage the current times

        tau_syn / (tau_m - tau_syn) (exp(-dt/tau_m) - exp(-dt/tau_syn)),

    which is dt/tau_m exp(-dt/tau_m) where both time constants are the same.
    """
    cells = [group[2] for group in layout.groups]
    tau_m = np.array([cell.tau_m for cell in cells])
    alpha = np.exp(-dt / tau_m)
    n_ref = np.array([round(cell.t_ref / dt) for cell in cells], np.int64)
    v_reset = np.array([cell.v_reset - cell.v_rest for cell in cells])
    period, decay = 1, np.ones((len(cells), 2))
    gain = np.zeros((len(cells), 2))
    if layout.has_current:
        current_based = cast(list[CubaLIF], cells)
        taus = np.array([[cell.tau_exc, cell.tau_inh] for cell in current_based])
        decay = np.exp(-dt / taus)
        difference = tau_m[:, None] - taus
        same = np.abs(difference) < 1e-9 * taus
        unlike = taus / np.where(same, 1.0, difference) * (alpha[:, None] - decay)
        gain = np.where(same, dt / taus * decay, unlike)
        longest = int(LARGEST_EXPONENT * taus.min() / dt)
        period = min(max(longest, 1), LONGEST_PERIOD)
    powers = decay[:, :, None] ** np.arange(period)
    return Groups(
        start=np.array([0, *(group[1] for group in layout.groups)], np.uint64),
        alpha=alpha.astype(dtype),
        threshold=np.array([c.v_th - c.v_rest for c in cells], dtype),
        reset=np.where(n_ref > 1, -np.inf, v_reset).astype(dtype),
        release=(v_reset if layout.has_current else alpha * v_reset).astype(dtype),
        n_ref=n_ref,
        gain=(gain[:, :, None] * powers).astype(dtype),
        growth=(1.0 / powers).astype(dtype),
        rescale=(decay**period).astype(dtype),
        period=period,
        has_current=layout.has_current,
    )


def drive_constants(layout: Layout, dt: float, dtype: Any, key: int) -> Drive:
    """Return the Poisson input of every group.

    Raises
    ------
    InvalidValue
        If it has too many spikes per step.
    """
    tables, weights = [], []
    for *_, drive in layout.groups:
        mean = drive.rate_hz * dt / 1000.0 if drive else 0.0
        rule = (
            f"must be <= {1000.0 * MOST_PER_STEP / dt:g} Hz (64 spikes per time step)"
        )
        got = drive.rate_hz if drive else 0.0
        require(mean <= MOST_PER_STEP, "PoissonDrive.rate_hz", rule, got)
        tables.append(poisson_thresholds(mean) if mean else np.empty(0, np.uint32))
        weights.append(drive.weight if drive else 0.0)
    return Drive(
        thresholds=np.concatenate(tables),
        first=np.cumsum([0, *(table.size for table in tables)], dtype=np.int64),
        weight=np.array(weights, dtype),
        key=np.uint64(key),
        words=np.empty(int(BLOCK), np.uint32),
        counts=np.empty(int(BLOCK), np.uint32),
        amounts=np.empty(int(BLOCK), dtype),
    )
