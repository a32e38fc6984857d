"""Activity of a recorded network, and the spectrum of its recurrent weights."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require
from spikelearn.network import AnyRecord, Record
from spikelearn.network.intervals import interspike_intervals, interval_cv

__all__ = [
    "active_fraction",
    "activity_dimensions",
    "eigenvalues",
    "firing_rates",
    "interspike_cv",
    "spectral_radius",
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


def eigenvalues(w_rec: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a recurrent matrix, largest modulus first.

    Entries N(0, g^2 / n) put them in a disc of radius g as n grows (circular law,
    doi:10.1214/10-AOP534).

    Parameters
    ----------
    w_rec : (n, n) array
        Recurrent weights, (post, pre).

    Returns
    -------
    (n,) complex128 array

    Raises
    ------
    InvalidValue
        If the matrix is not square or not finite.
    """
    w_rec = np.asarray(w_rec, np.float64)
    square = w_rec.ndim == 2 and w_rec.shape[0] == w_rec.shape[1] > 0
    require(square, "eigenvalues.w_rec", "must have shape (n, n)", w_rec.shape)
    finite = bool(np.isfinite(w_rec).all())
    require(finite, "eigenvalues.w_rec", "must be finite", "NaN or infinity")
    values = np.linalg.eigvals(w_rec).astype(np.complex128)
    return values[np.argsort(-np.abs(values), kind="stable")]


def spectral_radius(w_rec: np.ndarray) -> float:
    """Return max |lambda| over the eigenvalues of a recurrent matrix.

    Raises
    ------
    InvalidValue
        If the matrix is not square or not finite.
    """
    return float(np.abs(eigenvalues(w_rec)[0]))
