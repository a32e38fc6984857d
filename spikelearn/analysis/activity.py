"""Activity of a recorded network."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require
from spikelearn.network import AnyRecord, Record
from spikelearn.network.intervals import interspike_intervals, interval_cv

__all__ = [
    "active_fraction",
    "activity_dimensions",
    "firing_rates",
    "interspike_cv",
]


def firing_rates(record: AnyRecord, dt: float) -> np.ndarray:
    """Return the mean firing rate of every neuron over time and samples.

        r_j = 1000 / (B T dt) * sum_{t,b} z[t, b, j]

    Parameters
    ----------
    record
        A forward pass of T steps and B samples.
    dt
        Time step, ms.

    Returns
    -------
    (n_rec,) float64 array, Hz

    Raises
    ------
    InvalidValue
        If dt is not > 0 ms.
    """
    require(dt > 0, "firing_rates.dt", "must be > 0 ms", dt)
    rates: np.ndarray = record.spike_counts.mean(axis=0) * (
        1000.0 / (record.n_steps * dt)
    )
    return rates


def active_fraction(record: Record) -> float:
    """Return the fraction of neurons that spike at least once in any sample."""
    return float(np.mean(record.spike_counts.any(axis=0)))


def interspike_cv(record: Record) -> np.ndarray:
    """Return the coefficient of variation of every neuron's interspike intervals.

        CV_j = std(I_j) / mean(I_j)

    where I_j are the intervals within samples, pooled over samples, and std is the
    population standard deviation. It is 0 for a clock, 1 for a Poisson process in
    continuous time, and sqrt(1 - p) for spikes of probability p per step.

    Returns
    -------
    (n_rec,) float64 array
        NaN for a neuron with fewer than two intervals.
    """
    n_rec = record.n_rec
    found = [
        interspike_intervals(*record.spike_events(sample))
        for sample in range(record.n_samples)
    ]
    units, intervals = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return interval_cv(units, intervals, n_rec)


def activity_dimensions(output: np.ndarray) -> tuple[float | None, float | None]:
    """Return the participation ratio and the effective rank of activity.

        PR = (sum_i s_i)^2 / sum_i s_i^2,    erank = exp(-sum_i p_i log p_i)

    with s_i the eigenvalues of the covariance of neurons over steps and samples, and
    p_i = s_i / sum_j s_j. None where nothing varies, or numbers are not finite.

    Parameters
    ----------
    output : (T, B, n) array
        What the neurons sent.
    """
    rows = output.reshape(-1, output.shape[2]).astype(np.float64)
    if not np.isfinite(rows).all():
        return None, None
    covariance = np.atleast_2d(np.cov(rows, rowvar=False))
    if not np.isfinite(covariance).all() or not covariance.any():
        return None, None
    values = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    share = values / values.sum()
    known = share[share > 0]
    entropy = -float(np.sum(known * np.log(known)))
    return float(1.0 / np.sum(share**2)), float(np.exp(entropy))
