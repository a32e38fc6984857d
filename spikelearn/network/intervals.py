"""Interspike intervals."""

from __future__ import annotations

import numpy as np

__all__ = ["interspike_intervals", "interval_cv"]


def interspike_intervals(
    step: np.ndarray, neuron: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return neuron and length (steps) of every interval; steps are ascending."""
    order = np.argsort(neuron, kind="stable")
    step, neuron = step[order], neuron[order]
    same = neuron[1:] == neuron[:-1]
    return neuron[1:][same], np.diff(step)[same]


def interval_cv(neuron: np.ndarray, interval: np.ndarray, n: int) -> np.ndarray:
    """Return std / mean of the intervals of each of n neurons.

    Returns
    -------
    (n,) float64 array
        NaN for a neuron with fewer than two intervals.
    """
    interval = interval.astype(np.float64)
    count = np.bincount(neuron, minlength=n)
    mean = np.bincount(neuron, interval, n) / np.maximum(count, 1)
    square = np.bincount(neuron, (interval - mean[neuron]) ** 2, n)
    cv = np.full(n, np.nan)
    enough = count >= 2
    cv[enough] = np.sqrt(square[enough] / count[enough]) / mean[enough]
    return cv
