"""Handwriting: move a pen along a curve, driven by frozen input noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.tasks.frozen_noise import FrozenNoise, frozen_noise_settings

__all__ = ["Handwriting"]

# The letters "ela", drawn by hand for this project: x, y of the pen at even intervals.
_PEN = (
    ((0.0, 0.1), (0.7, 0.35), (1.15, 0.8), (0.95, 1.15), (0.6, 0.95), (0.6, 0.35)),
    ((0.95, 0.0), (1.5, 0.25), (2.0, 1.1), (2.3, 2.1), (2.05, 2.6), (1.8, 2.2)),
    ((1.75, 1.2), (1.85, 0.3), (2.2, 0.0), (2.7, 0.3), (3.25, 0.95), (3.6, 1.15)),
    ((3.2, 1.0), (3.0, 0.5), (3.25, 0.05), (3.7, 0.25), (3.95, 1.1), (3.75, 0.5)),
    ((4.0, 0.0), (4.5, 0.25)),
)


@dataclass(frozen=True)
class Handwriting(FrozenNoise):
    """Write "ela" with a pen at (y_0, y_1), from frozen Poisson input.

    A Catmull-Rom spline goes through the points of the curve at even intervals of time.
    It is shifted to start at the origin and divided by the largest absolute value of
    either coordinate. Input, parameters and errors as in `FrozenNoise`.

    After the handwriting task that comes with NEST's e-prop examples, of which neither
    the curve nor the code is used here.
    """

    duration_ms: float = 1200.0

    name: ClassVar[str] = "handwriting"
    n_out: ClassVar[int] = 2

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """e-prop with random feedback; no biases."""
        return frozen_noise_settings(
            n_rec=200,
            tau_out=50.0,
            rate_strength=150.0,
            optimizer={"name": "adam", "lr": 5e-3},
        )

    def _target(self, rng: np.random.Generator) -> np.ndarray:
        points = np.array([point for row in _PEN for point in row])
        curve = _spline(points, self.n_steps)
        curve -= curve[0]
        return curve / np.abs(curve).max()


def _spline(points: np.ndarray, n: int) -> np.ndarray:
    """Return n values (n, d) of the Catmull-Rom spline through points (m, d)."""
    first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    padded = np.vstack([first, points, last])
    place = np.linspace(0.0, len(points) - 1, n)
    k = np.minimum(place.astype(int), len(points) - 2)
    u = (place - k)[:, None]
    a, b, c, d = (padded[k + i] for i in range(4))
    slope, bend, twist = c - a, 2 * a - 5 * b + 4 * c - d, 3 * (b - c) + d - a
    return b + 0.5 * u * (slope + u * (bend + u * twist))
