"""How far two spike trains of the same neurons are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "FILTER_TAU",
    "WINDOW",
    "SpikeDrift",
    "spike_drift",
    "spike_train_error",
    "squared_errors",
]

FILTER_TAU = 10.0  # ms
WINDOW = 20.0  # ms


def spike_train_error(
    wanted: np.ndarray, got: np.ndarray, dt: float, tau: float = FILTER_TAU
) -> float:
    """Return the distance of two rasters (T, B, n) over the size of the wanted one.

    Both are filtered by f[t] = exp(-dt / tau) f[t-1] + z[t]; the distance is the root
    mean square of the difference (van Rossum 2001, doi:10.1162/089976601300014321). 0:
    equal; about 1.4: as many spikes at unrelated times. Where no spike was wanted, the
    root mean square of what came.
    """
    return float(np.sqrt(squared_errors(wanted, got, dt, tau).mean()))


def squared_errors(
    wanted: np.ndarray, got: np.ndarray, dt: float, tau: float = FILTER_TAU
) -> np.ndarray:
    """Return what each sample adds to the square of `spike_train_error`, (B,)."""
    shape = wanted.shape[1:]
    difference, filtered = np.zeros(shape), np.zeros(shape)
    squares, size = np.zeros(shape[0]), 0.0
    memory = np.exp(-dt / tau)
    for there, here in zip(wanted, got, strict=True):
        difference *= memory
        difference += here
        difference -= there
        filtered *= memory
        filtered += there
        squares += np.einsum("bn,bn->b", difference, difference)
        size += float(np.vdot(filtered, filtered))
    return squares * (shape[0] / (size if size > 0 else max(wanted.size, 1)))


@dataclass(frozen=True)
class SpikeDrift:
    """Where the spikes of one raster are in another one.

    Attributes
    ----------
    shift
        Mean distance in ms of a wanted spike to the nearest one that the same neuron
        fired in the same sample, of those that have one within `WINDOW`; 0 without any.
    lost
        Part of the wanted spikes that have none within it.
    extra
        Part of the spikes that came with no wanted one within it.
    first_difference
        Median over samples of the first step at which rasters differ; None where more
        than half of the samples are equal throughout.
    """

    shift: float
    lost: float
    extra: float
    first_difference: float | None


def spike_drift(wanted: np.ndarray, got: np.ndarray, dt: float) -> SpikeDrift:
    """Compare two rasters (T, B, n), spike by spike."""
    n_steps = len(wanted)
    window = round(WINDOW / dt)
    forwards = _distances(wanted, got, window)
    backwards = _distances(got, wanted, window)
    near = forwards[forwards <= window]
    differs = (wanted != got).any(axis=2)
    first = np.where(differs.any(axis=0), differs.argmax(axis=0), n_steps)
    median = float(np.median(first))
    return SpikeDrift(
        shift=float(near.mean() * dt) if near.size else 0.0,
        lost=float((forwards > window).mean()) if forwards.size else 0.0,
        extra=float((backwards > window).mean()) if backwards.size else 0.0,
        first_difference=median if median < n_steps else None,
    )


def _distances(spikes: np.ndarray, others: np.ndarray, window: int) -> np.ndarray:
    """Return steps from each spike to the nearest one of the other raster.

    Without any it is more than the window.
    """
    pairs = zip(spikes.swapaxes(0, 1), others.swapaxes(0, 1), strict=True)
    return np.concatenate([_of_sample(*pair, window) for pair in pairs])


def _of_sample(spikes: np.ndarray, others: np.ndarray, window: int) -> np.ndarray:
    n_steps = len(spikes)
    times, far = np.arange(n_steps)[:, None], 2 * n_steps + window + 1
    last = np.maximum.accumulate(np.where(others, times, -far), axis=0)
    following = np.where(others, times, far)[::-1]
    following = np.minimum.accumulate(following, axis=0)[::-1]
    return np.minimum(times - last, following - times)[spikes != 0]
