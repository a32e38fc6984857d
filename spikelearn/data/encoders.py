"""From values to network input: graded levels, thermometer code, Poisson spikes."""

from __future__ import annotations

import numpy as np

from spikelearn.errors import require

__all__ = ["graded", "grey_levels", "poisson_spikes", "thermometer"]


def grey_levels(images: np.ndarray, white: int, bits: int) -> np.ndarray:
    """Reduce grey values to `bits` bits with an integer step, saturating at the top.

        level = min(round(grey / step), 2^bits - 1),  step = round(white / (2^bits - 1))

    For 0..255 and 4 bits the step is 17; for 0..16 it is 1 and 16 becomes 15.

    Parameters
    ----------
    images
        Any shape, unsigned integers 0..white.
    white
        Largest grey value, at least 2^bits - 1.
    bits
        1 to 8.

    Returns
    -------
    Same shape, uint8, 0..2^bits - 1.

    Raises
    ------
    InvalidValue
        If `bits` or `white` is out of range.
    """
    require(1 <= bits <= 8, "grey_levels.bits", "must be in 1..8", bits)
    top = 2**bits - 1
    require(white >= top, "grey_levels.white", f"must be >= {top}", white)
    table = np.rint(np.arange(white + 1) / round(white / top))
    return np.minimum(table, top).astype(np.uint8)[images]


def graded(levels: np.ndarray, bits: int) -> np.ndarray:
    """Return x = level / (2^bits - 1), float32 in [0, 1], same shape as `levels`."""
    return levels.astype(np.float32) / np.float32(2**bits - 1)


def thermometer(levels: np.ndarray, bits: int, channels: int) -> np.ndarray:
    """Encode each level by `channels` spike channels of evenly rising threshold.

        z[..., i * channels + c] = 1 if (channels + 1) * level[..., i] >
                                        (c + 1) * (2^bits - 1) else 0

    Parameters
    ----------
    levels
        Shape (..., n), unsigned integers 0..2^bits - 1.
    bits
        1 to 8.
    channels
        Number of channels per level, at least 1.

    Returns
    -------
    Shape (..., n * channels), uint8 of 0 and 1.

    Raises
    ------
    InvalidValue
        If `bits` or `channels` is out of range.
    """
    require(1 <= bits <= 8, "thermometer.bits", "must be in 1..8", bits)
    require(channels >= 1, "thermometer.channels", "must be >= 1", channels)
    thresholds = np.arange(1, channels + 1) * (2**bits - 1)
    above = levels[..., None].astype(np.int64) * (channels + 1) > thresholds
    return above.reshape(*levels.shape[:-1], -1).astype(np.uint8)


def poisson_spikes(
    rate_hz: np.ndarray, dt: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw independent spikes with probability rate_hz * dt / 1000 in every step.

    Parameters
    ----------
    rate_hz
        Any shape, Hz.
    dt
        Time step, ms.
    rng
        Source of one uniform number per element.

    Returns
    -------
    Same shape, uint8 of 0 and 1.

    Raises
    ------
    InvalidValue
        If a probability is not in [0, 1].
    """
    probability = np.asarray(rate_hz, np.float64) * (dt / 1000.0)
    wrong = ~((probability >= 0) & (probability <= 1))
    if wrong.any():
        rule = f"must be in 0..{1000.0 / dt:g} Hz at dt = {dt:g} ms"
        got = float(probability[wrong][0] * 1000.0 / dt)
        require(False, "poisson_spikes.rate_hz", rule, got)
    return (rng.random(probability.shape) < probability).astype(np.uint8)
