"""What a sparse network is made of: cells, populations, input and projections.

Frozen specifications in ms, mV and Hz. A voltage parameter is absolute; the kernels see
voltages relative to `v_rest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.network.sparse.rules import Rule

__all__ = [
    "CubaLIF",
    "DeltaLIF",
    "PoissonDrive",
    "Population",
    "Projection",
]

MOST_PER_STEP = 64.0  # Poisson counts; more would need another generator


def _check_positive(owner: object, *names: str, zero: bool = False) -> None:
    for name in names:
        value = getattr(owner, name)
        good = np.isfinite(value) and (value >= 0 if zero else value > 0)
        rule = "must be finite and " + (">= 0" if zero else "> 0")
        require(good, f"{type(owner).__name__}.{name}", rule, value)


@dataclass(frozen=True)
class DeltaLIF:
    """LIF cell whose input moves the voltage at once (Brunel 2000).

        v[t] = v_rest + alpha (v[t-1] - v_rest) + sum of the weights that arrive at t
        z[t] = v[t] > v_th and not refractory,   v[t] := v_reset on a spike

    with alpha = exp(-dt/tau_m). Input during refractoriness is lost
    (doi:10.1023/A:1008925309027).

    Parameters
    ----------
    tau_m
        Membrane time constant, ms.
    v_rest, v_th, v_reset
        Resting potential, threshold and reset potential, mV; v_reset < v_th.
    t_ref
        Refractory time, ms; as for `LIF`, n steps of it leave n - 1 silent steps.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    tau_m: float = 20.0
    v_rest: float = 0.0
    v_th: float = 20.0
    v_reset: float = 10.0
    t_ref: float = 2.0

    taus: ClassVar[tuple[str, ...]] = ("tau_m",)

    def __post_init__(self) -> None:
        _check_positive(self, *self.taus)
        _check_positive(self, "t_ref", zero=True)
        kind = type(self).__name__
        for name in ("v_rest", "v_th", "v_reset"):
            value = getattr(self, name)
            require(np.isfinite(value), f"{kind}.{name}", "must be finite", value)
        rule = f"must be < v_th = {self.v_th:g} mV"
        require(self.v_reset < self.v_th, f"{kind}.v_reset", rule, self.v_reset)


@dataclass(frozen=True)
class CubaLIF(DeltaLIF):
    """LIF cell with exponential synaptic currents, excitatory and inhibitory.

        tau_m dv/dt = v_rest - v + i_exc + i_inh
        di_exc/dt = -i_exc / tau_exc,    di_inh/dt = -i_inh / tau_inh

    integrated exactly from step to step (currents in mV). A spike that arrives at step
    t is added to i_exc if its weight is >= 0 and to i_inh otherwise, before v moves;
    then v is tested and reset as in `DeltaLIF`, but currents go on while refractory.
    The defaults are the current-based network of Brette et al. 2007
    (doi:10.1007/s10827-007-0038-6), after Vogels & Abbott 2005.

    Parameters
    ----------
    tau_exc, tau_inh
        Synaptic time constants, ms.

    See Also
    --------
    DeltaLIF : for the other parameters and the errors raised.
    """

    v_rest: float = -49.0
    v_th: float = -50.0
    v_reset: float = -60.0
    t_ref: float = 5.0
    tau_exc: float = 5.0
    tau_inh: float = 10.0

    taus: ClassVar[tuple[str, ...]] = ("tau_m", "tau_exc", "tau_inh")


@dataclass(frozen=True)
class PoissonDrive:
    """Independent Poisson input to every neuron of a population.

    Parameters
    ----------
    rate_hz
        Spikes per second and neuron, all sources together; at most 64 per time step.
    weight
        Of one spike, mV.
    """

    rate_hz: float
    weight: float

    def __post_init__(self) -> None:
        _check_positive(self, "rate_hz", zero=True)
        where, rule = "PoissonDrive.weight", "must be finite"
        require(np.isfinite(self.weight), where, rule, self.weight)


@dataclass(frozen=True)
class Population:
    """Cells of one kind.

    Parameters
    ----------
    n
        Number of neurons.
    cell
        `DeltaLIF` or `CubaLIF`.
    drive
        Poisson input, or None.
    """

    n: int
    cell: DeltaLIF
    drive: PoissonDrive | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.n, (int, np.integer)) and self.n > 0
        require(whole, "Population.n", "must be a whole number > 0", self.n)
        kind = type(self.cell).__name__
        rule = "must be a DeltaLIF or a CubaLIF"
        require(isinstance(self.cell, DeltaLIF), "Population.cell", rule, kind)


@dataclass(frozen=True)
class Projection:
    """Synapses of one weight from a population to one or several.

    Parameters
    ----------
    pre
        Name of the presynaptic population.
    post
        Name of the postsynaptic population, or names of several that stand side by side
        and have the same cell. Rules number their neurons through.
    rule
        `FixedIndegree`, `Bernoulli` or `Explicit`.
    weight
        Of every synapse, mV; the sign tells excitation from inhibition.
    delay
        ms, a multiple of the time step and at least one; or (shortest, longest): every
        synapse has its own, drawn uniformly from the steps between.
    """

    pre: str
    post: str | Sequence[str]
    rule: Rule
    weight: float
    delay: float | tuple[float, float]

    def __post_init__(self) -> None:
        where = "Projection.weight"
        require(np.isfinite(self.weight), where, "must be finite", self.weight)
        low, high = self.delays
        rule = "must be > 0 ms and in ascending order"
        require(0 < low <= high < np.inf, "Projection.delay", rule, self.delay)

    @property
    def delays(self) -> tuple[float, float]:
        """Shortest and longest delay, ms."""
        if isinstance(self.delay, tuple):
            return self.delay
        return self.delay, self.delay

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the postsynaptic populations."""
        return (self.post,) if isinstance(self.post, str) else tuple(self.post)
