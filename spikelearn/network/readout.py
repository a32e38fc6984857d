"""Leaky readout of a spiking population."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spikelearn.errors import require
from spikelearn.network.cells import SCALINGS, decay_factor

__all__ = ["LeakyReadout"]


@dataclass(frozen=True)
class LeakyReadout:
    """Leaky, non-spiking output units.

        y[t] = kappa y[t-1] + c w_out z[t] + b_out,   kappa = exp(-dt / tau_out)

    (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, eq. 11.) `scaling` chooses
    c = 1 ("unit") or c = 1 - kappa ("leak"); the eligibility traces of a learning rule
    are filtered with the same kappa and c, so that both follow one convention.

    Parameters
    ----------
    tau_out
        Time constant, ms; 0 means no memory.
    scaling
        "unit" or "leak".

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    tau_out: float = 20.0
    scaling: str = "leak"

    def __post_init__(self) -> None:
        where = "LeakyReadout.tau_out"
        hint = "Time constants are in ms."
        finite = 0 <= self.tau_out < math.inf
        require(finite, where, "must be >= 0 ms and finite", self.tau_out, hint)
        rule = f"must be one of {SCALINGS}"
        require(self.scaling in SCALINGS, "LeakyReadout.scaling", rule, self.scaling)

    def factors(self, dt: float) -> tuple[float, float]:
        """Return (kappa, c) for time step dt (ms)."""
        kappa = float(decay_factor(self.tau_out, dt))
        return kappa, (1.0 - kappa if self.scaling == "leak" else 1.0)
