"""Slices through the landscape of the loss, along one direction or two.

    L(a) = E(w + a s d),   s = ||w|| / ||d||

so that a is the length of the step relative to that of the weights; for random
directions d is scaled neuron by neuron (Li et al. 2018, arXiv:1712.09913).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.sharpness import loss_at
from spikelearn.analysis.surrogate_field import SurrogateField
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "LossSlice",
    "gradient_direction",
    "loss_plane",
    "loss_slice",
    "random_direction",
    "usual_slices",
]

Direction = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LossSlice:
    """Losses at steps along a direction (n,), or along two (n, m).

    `steps` and `other_steps` are relative to the length of the weights; `other_steps`
    is empty for one direction.
    """

    steps: np.ndarray
    losses: np.ndarray
    other_steps: np.ndarray


def random_direction(
    network: RecurrentNetwork,
    parameters: Sequence[str] = ("w_rec",),
    rng: int | np.random.Generator = 0,
) -> dict[str, np.ndarray]:
    """Return a Gaussian direction in which every neuron has its own scale.

    It is the filter-wise normalised direction of Li et al. 2018 (arXiv:1712.09913): the
    weights into a neuron (a row of (post, pre)) have the norm of those of the
    network; a vector of numbers per neuron as a whole.
    """
    rng = np.random.default_rng(rng)
    coordinates = Coordinates(network, parameters)
    drawn = coordinates.split(rng.standard_normal(coordinates.size))
    direction = {}
    for name, noise in drawn.items():
        weights = getattr(network.params, name).astype(np.float64)
        rows = np.atleast_2d(noise)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        own = np.linalg.norm(np.atleast_2d(weights), axis=1, keepdims=True)
        scaled = rows * own / np.where(lengths > 0, lengths, 1.0)
        direction[name] = scaled.reshape(noise.shape)
    return direction


def gradient_direction(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    parameters: Sequence[str] = ("w_rec",),
) -> dict[str, np.ndarray]:
    """Return the gradient by BPTT; of spiking cells with the pseudo-derivative."""
    field = SurrogateField(network, batch, loss, parameters=parameters)
    return field.coordinates.split(field.gradient(field.weights))


def loss_slice(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    direction: Direction,
    *,
    steps: Sequence[float] | np.ndarray | None = None,
    threads: int = 1,
) -> LossSlice:
    """Return the loss along a direction.

    Parameters
    ----------
    network, batch, loss
        Computed in float64; the network is not changed.
    direction
        Arrays by parameter in the convention (post, pre), not all 0, for example
        `Eigenvalue.vector`.
    steps
        Relative to the length of the weights of these parameters; default 41 from
        -0.25 to 0.25.
    threads
        Threads over samples.

    Raises
    ------
    InvalidValue
        If the direction is 0, or steps are not finite.
    """
    given = np.linspace(-0.25, 0.25, 41) if steps is None else steps
    along = _checked(given)
    losses = _losses(network, batch, loss, [(direction, along)], threads)
    return LossSlice(along, losses, np.empty(0))


def loss_plane(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    directions: tuple[Direction, Direction],
    *,
    steps: Sequence[float] | np.ndarray | None = None,
    threads: int = 1,
) -> LossSlice:
    """Return the loss on the plane of two directions of the same parameters.

    `losses[i, j]` is that at steps[i] of the first and steps[j] of the second; default
    15 from -0.25 to 0.25. Other arguments and errors are those of `loss_slice`.
    """
    along = _checked(np.linspace(-0.25, 0.25, 15) if steps is None else steps)
    first, second = directions
    same = set(first) == set(second)
    rule, got = "must have the same parameters", (tuple(first), tuple(second))
    require(same, "loss_plane.directions", rule, got)
    axes = [(first, along), (second, along)]
    losses = _losses(network, batch, loss, axes, threads)
    return LossSlice(along, losses, along)


def usual_slices(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    directions: Mapping[str, Direction],
    *,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> dict[str, LossSlice]:
    """Return slices along the given directions, the gradient and a random direction.

    All move w_rec. Directions that are 0 are left out.
    """
    found = {
        **directions,
        "gradient": gradient_direction(network, batch, loss),
        "random": random_direction(network, rng=rng),
    }
    return {
        name: loss_slice(network, batch, loss, direction, threads=threads)
        for name, direction in found.items()
        if any(array.any() for array in direction.values())
    }


def _checked(steps: Sequence[float] | np.ndarray) -> np.ndarray:
    along = np.asarray(steps, np.float64)
    good = along.ndim == 1 and along.size > 0 and bool(np.isfinite(along).all())
    require(good, "loss_slice.steps", "must be finite numbers", steps)
    return along


def _losses(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    axes: list[tuple[Direction, np.ndarray]],
    threads: int,
) -> np.ndarray:
    """Return the loss on the grid of all axes."""
    other = in_float64(network)
    coordinates = Coordinates(other, tuple(axes[0][0]))
    weights = coordinates.read(other)
    length = float(np.linalg.norm(weights))
    units = []
    for direction, _ in axes:
        vector = coordinates.join(direction)
        size = float(np.linalg.norm(vector))
        rule = "must not be 0 where connections are"
        require(size > 0, "loss_slice.direction", rule, "0 everywhere")
        units.append(vector / size * length)
    losses = np.empty([len(along) for _, along in axes])
    for at in np.ndindex(losses.shape):
        moved = weights.copy()
        for k, unit, (_, along) in zip(at, units, axes, strict=True):
            moved += along[k] * unit
        coordinates.write(other, moved)
        losses[at] = loss_at(other, batch, loss, threads=threads)
    return losses
