"""Families with a graph: who reaches whom at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from spikelearn.connectivity.base import (
    Connectivity,
    Family,
    Ports,
    number,
    require_family,
)
from spikelearn.connectivity.dense import gaussian
from spikelearn.connectivity.masks import no_self_connections, random_mask
from spikelearn.connectivity.weights import gaussian_weights, obey_dale
from spikelearn.errors import require

__all__ = ["dale", "erdos_renyi"]


@dataclass(frozen=True)
class erdos_renyi(Family):
    """Every connection exists with the same probability, none with itself.

    Entries that exist are N(0, gain^2 / (density n)), so that the Frobenius norm is
    that of `gaussian`. With density 1 it is the Gaussian draw without its diagonal.

    Raises
    ------
    InvalidValue
        If the density is not in (0, 1] or the gain is negative.
    """

    density: float
    gain: float = 1.0

    def __post_init__(self) -> None:
        good = number(self.density) and 0 < self.density <= 1
        require(good, "erdos_renyi.density", "must be in (0, 1]", self.density)
        good = number(self.gain) and self.gain >= 0
        require(good, "erdos_renyi.gain", "must be finite and >= 0", self.gain)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        weights = gaussian_weights(n, n, self.gain, rng) / np.sqrt(self.density)
        mask = random_mask(n, n, self.density, rng) & no_self_connections(n)
        return Connectivity(np.where(mask, weights, 0.0), mask)


@dataclass(frozen=True)
class dale(Family):
    """A family whose neurons are excitatory or inhibitory, by Dale's law.

    Columns of the first round(excitatory n) neurons become |w|, the others -|w|. If
    `balanced`, inhibitory columns are scaled until both cancel on average (80 % and
    20 %: four times as strong), and the whole to the norm that the base had. They are
    cell types 0 and 1.

    Raises
    ------
    InvalidValue
        If the fraction is not in [0, 1]; at the draw, if the base has signs of its own.
    """

    excitatory: float = 0.8
    balanced: bool = True
    base: Family = field(default=gaussian())

    def __post_init__(self) -> None:
        good = number(self.excitatory) and 0 <= self.excitatory <= 1
        require(good, "dale.excitatory", "must be in [0, 1]", self.excitatory)
        good = isinstance(self.balanced, bool)
        require(good, "dale.balanced", "must be True or False", self.balanced)
        require_family("dale.base", self.base)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        rule, got = "must be a family without signs", str(self.base)
        require(made.signs is None, "dale.base", rule, got)
        excitatory = np.arange(n) < round(self.excitatory * n)
        signs = np.where(excitatory, 1, -1)
        return replace(
            made,
            weights=obey_dale(made.weights, signs, self.balanced),
            signs=signs,
            cell_types=np.where(excitatory, 0, 1),
            type_names=("excitatory", "inhibitory"),
        )
