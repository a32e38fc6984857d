"""Pattern generation: turn frozen input noise into a given smooth signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.tasks.base import check_number, number_list
from spikelearn.tasks.frozen_noise import FrozenNoise, frozen_noise_settings

__all__ = ["PatternGeneration"]


@dataclass(frozen=True)
class PatternGeneration(FrozenNoise):
    """Produce a sum of sines from frozen Poisson input; a measure of fitting.

        y*[t] = sum_k A_k sin(phi_k + 2 pi c_k t / (T - 1)),  c_k = floor(duration/P_k)

    with A_k ~ U(0.5, 2), phi_k ~ U(0, 2 pi), shifted to y*[0] = 0 and divided by
    max |y*|. The input is that of `FrozenNoise`.

    Source: Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), pattern generation,
    with the constants of its published code.

    Parameters
    ----------
    periods_ms
        Periods P_k of the sines, ms, each at most the duration.

    The others are those of `FrozenNoise`.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    periods_ms: tuple[float, ...] = (1000.0, 500.0, 333.0, 200.0)

    name: ClassVar[str] = "pattern-generation"
    n_out: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{type(self).__name__}.periods_ms"
        rule = "must be a list of at least one period in ms"
        periods = number_list(where, self.periods_ms, rule)
        for period in periods:
            check_number(where, period, above=0, most=self.duration_ms, unit="ms")
        object.__setattr__(self, "periods_ms", periods)

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """The published settings of e-prop with random feedback; no biases."""
        return frozen_noise_settings(
            n_rec=100,
            tau_out=30.0,
            rate_strength=300.0,
            optimizer={"name": "sgd", "lr": 1e-4},
        )

    def _target(self, rng: np.random.Generator) -> np.ndarray:
        periods = np.array(self.periods_ms)
        amplitude = rng.uniform(0.5, 2.0, len(periods))
        phase = rng.uniform(0.0, 2.0 * np.pi, len(periods))
        cycles = self.duration_ms // periods
        angle = np.linspace(phase, phase + 2.0 * np.pi * cycles, self.n_steps)
        y = np.sin(angle) @ amplitude
        y -= y[0]
        y /= np.abs(y).max()
        return y[:, None]
