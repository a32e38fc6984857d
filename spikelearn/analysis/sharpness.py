"""Sharpness under weight noise: how much the loss grows when weights are disturbed.

    S = E[L(w + xi)] - L(w)

It is defined for any network, spiking or not, and is what fixed-point weights cost.
For small noise of variance s^2 in every weight it is s^2 / 2 times the trace of the
Hessian, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "WEIGHTS",
    "RoundingSharpness",
    "Sharpness",
    "loss_at",
    "sharpness",
    "sharpness_by_bits",
]

WEIGHTS = ("w_in", "w_rec", "w_out")
BITS = range(2, 9)


@dataclass(frozen=True)
class Sharpness:
    """Growth of the loss under noise.

    Attributes
    ----------
    mean, error
        E[L(w + xi)] - L(w) over draws, and the standard error of the mean; infinite if
        the network runs away in one of them.
    loss
        L(w).
    draws
        Number of draws, each with both signs.
    kind
        "weight-noise" (Gaussian) or "rounding-noise" (uniform).
    """

    mean: float
    error: float
    loss: float
    draws: int
    kind: str


@dataclass(frozen=True)
class RoundingSharpness:
    """What weights of some bits cost: noise of that variance, and the rounding itself.

    Attributes
    ----------
    bits
        Bits of a weight: 2^bits levels.
    noise
        `Sharpness` under uniform noise of variance step^2 / 12.
    rounded
        L(rounded w) - L(w) of the rounding to the nearest level.
    """

    bits: int
    noise: Sharpness
    rounded: float


def sharpness(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    sigma: float | None = None,
    bits: int | None = None,
    draws: int = 20,
    rng: int | np.random.Generator = 0,
    parameters: Sequence[str] = WEIGHTS,
    threads: int = 1,
) -> Sharpness:
    """Return the sharpness under Gaussian noise, or under that of rounding.

    Parameters
    ----------
    network, batch, loss
        Computed in float64; the network is not changed.
    sigma
        Noise N(0, s^2) with s = sigma ||W||_F / sqrt(n) for every parameter W of n
        connections, so that E ||xi||^2 = sigma^2 ||W||_F^2.
    bits
        Uniform noise in (-step/2, step/2), of variance step^2 / 12, with step =
        (max W - min W) / (2^bits - 1) for every parameter. Either sigma or bits.
    draws
        Number of draws, >= 2. Each is taken with both signs, which removes what is odd
        in the noise, the slope above all.
    rng
        Source of the noise.
    parameters
        Names of what is disturbed.
    threads
        Threads over samples.

    Raises
    ------
    InvalidValue
        If not one of sigma and bits is given, or a value is out of range.
    """
    one = (sigma is None) != (bits is None)
    rule = "must be given with either sigma or bits"
    require(one, "sharpness", rule, f"sigma={sigma}, bits={bits}")
    require(draws >= 2, "draws", "must be >= 2", draws)
    other, rng = in_float64(network), np.random.default_rng(rng)
    coordinates = Coordinates(other, parameters)
    weights = coordinates.read(other)
    if sigma is not None:
        require(0 <= sigma < np.inf, "sigma", "must be >= 0 and finite", sigma)
        kind, scale = "weight-noise", _gaussian_scale(other, coordinates, sigma)
    else:
        kind, scale = "rounding-noise", _step(other, coordinates, bits)
    at_rest = loss_at(other, batch, loss, threads=threads)
    growth = np.empty(draws)
    for draw in range(draws):
        if sigma is not None:
            noise = scale * rng.standard_normal(weights.size)
        else:
            noise = scale * rng.uniform(-0.5, 0.5, weights.size)
        both = []
        for sign in (1.0, -1.0):
            coordinates.write(other, weights + sign * noise)
            both.append(loss_at(other, batch, loss, threads=threads))
        growth[draw] = np.mean(both) - at_rest
    error = np.inf
    if np.isfinite(growth).all():
        error = float(growth.std(ddof=1) / np.sqrt(draws))
    return Sharpness(float(growth.mean()), error, at_rest, draws, kind)


def sharpness_by_bits(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    bits: Iterable[int] = BITS,
    *,
    draws: int = 20,
    rng: int = 0,
    parameters: Sequence[str] = WEIGHTS,
    threads: int = 1,
) -> list[RoundingSharpness]:
    """Return what weights of each number of bits cost, as noise and as rounding.

    The levels of a parameter are min W + k step; arguments are those of `sharpness`,
    and all numbers of bits get the same draws.
    """
    found = []
    other = in_float64(network)
    coordinates = Coordinates(other, parameters)
    weights = coordinates.read(other)
    for n in bits:
        options = {"draws": draws, "rng": rng, "threads": threads}
        noise = sharpness(
            network, batch, loss, bits=n, parameters=parameters, **options
        )
        step, low = _step(other, coordinates, n), _lowest(coordinates, weights)
        levels = np.divide(weights - low, step, out=np.zeros_like(step), where=step > 0)
        coordinates.write(other, low + step * np.rint(levels))
        rounded = loss_at(other, batch, loss, threads=threads) - noise.loss
        coordinates.write(other, weights)
        found.append(RoundingSharpness(n, noise, rounded))
    return found


def loss_at(
    network: RecurrentNetwork, batch: Batch, loss: Loss, *, threads: int = 1
) -> float:
    """Return the loss of a network on a batch; infinity where it runs away."""
    record = network.run(batch.x, keep_distance=False, threads=threads)
    if not np.isfinite(record.y).all():
        return np.inf
    return loss(record.y, batch.target, batch.mask).value


def _gaussian_scale(
    network: RecurrentNetwork, coordinates: Coordinates, sigma: float
) -> np.ndarray:
    """Return sigma ||W|| / sqrt(n) of its parameter for every number."""
    parts = _parts(coordinates, coordinates.read(network))
    sizes = [np.full(p.size, np.linalg.norm(p) / np.sqrt(p.size)) for p in parts]
    return sigma * np.concatenate(sizes)


def _step(
    network: RecurrentNetwork, coordinates: Coordinates, bits: int | None
) -> np.ndarray:
    """Return the distance of two levels of its parameter for every number."""
    whole = isinstance(bits, int | np.integer) and 1 <= bits <= 32
    require(whole, "bits", "must be a whole number from 1 to 32", bits)
    assert bits is not None
    parts = _parts(coordinates, coordinates.read(network))
    ranges = np.concatenate([np.full(p.size, np.ptp(p)) for p in parts])
    return ranges / (2.0**bits - 1)


def _lowest(coordinates: Coordinates, weights: np.ndarray) -> np.ndarray:
    parts = _parts(coordinates, weights)
    return np.concatenate([np.full(part.size, part.min()) for part in parts])


def _parts(coordinates: Coordinates, vector: np.ndarray) -> list[np.ndarray]:
    """Return the parts of a vector that belong to each parameter."""
    edges = np.cumsum(list(coordinates.sizes.values()))[:-1]
    return np.split(vector, edges)
