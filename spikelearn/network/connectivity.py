"""Initial connectivity: weight matrices (post, pre) and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelearn.errors import require

__all__ = ["dale", "gaussian", "no_self_connections", "random_mask", "stack"]


def gaussian(
    n_post: int, n_pre: int, gain: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a matrix with entries N(0, gain^2 / n_pre).

    For a square matrix the eigenvalues fill a disc of radius `gain` as n grows
    (Girko's circular law).

    Returns
    -------
    (n_post, n_pre) float64 array

    Raises
    ------
    InvalidValue
        If the gain is negative or not finite.
    """
    rule = "must be finite and >= 0"
    require(np.isfinite(gain) and gain >= 0, "gaussian.gain", rule, gain)
    return gain * rng.standard_normal((n_post, n_pre)) / np.sqrt(n_pre)


def no_self_connections(n: int) -> np.ndarray:
    """Return the (n, n) mask that leaves out the diagonal."""
    return ~np.eye(n, dtype=bool)


def random_mask(
    n_post: int, n_pre: int, density: float, rng: np.random.Generator
) -> np.ndarray:
    """Keep every connection with probability `density` (Erdos-Renyi).

    Raises
    ------
    InvalidValue
        If the density is not in (0, 1].
    """
    require(0 < density <= 1, "random_mask.density", "must be in (0, 1]", density)
    return rng.random((n_post, n_pre)) < density


def dale(w_rec: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Give the columns of a matrix the signs of their neurons, balanced.

    Entries become |w_ij| s_j. Inhibitory columns are scaled so that excitation and
    inhibition cancel on average, and the whole to the Frobenius norm that it had.
    Columns of sign 0 keep their entries.

    Parameters
    ----------
    w_rec : (n, n) array
        Weights (post, pre).
    signs : (n,) array
        1, -1 or 0 per presynaptic neuron.
    """
    signed = np.where(signs == 0, w_rec, np.abs(w_rec) * signs)
    excitation = signed[:, signs > 0].sum()
    inhibition = -signed[:, signs < 0].sum()
    if excitation > 0 and inhibition > 0:
        signed[:, signs < 0] *= excitation / inhibition
    norm = np.linalg.norm(signed)
    return signed * (np.linalg.norm(w_rec) / norm) if norm > 0 else signed


def stack(
    n_in: int, sizes: Sequence[int], n_out: int, recurrent: Sequence[bool] | bool = True
) -> dict[str, Any]:
    """Return the masks of layers in a row, as keyword arguments of `RecurrentNetwork`.

    The input reaches the first layer, every layer the next one (a step later, like any
    connection of the population), and the last layer the readout.

    Parameters
    ----------
    n_in, n_out
        Numbers of inputs and outputs.
    sizes
        Neurons of each layer.
    recurrent
        Whether a layer has connections among its own neurons (without
        self-connections): one answer, or one for each layer.

    Returns
    -------
    dict with `layers`, `mask` (n, n), `mask_in` (n, n_in) and `mask_out` (n_out, n)

    Raises
    ------
    InvalidValue
        If a size is no whole number >= 1, or there are not as many answers as layers.
    """
    sizes = tuple(sizes)
    whole = all(isinstance(size, int | np.integer) and size >= 1 for size in sizes)
    rule = "must be whole numbers >= 1"
    require(bool(sizes) and whole, "stack.sizes", rule, sizes)
    answers = [recurrent] * len(sizes) if isinstance(recurrent, bool) else recurrent
    rule = f"must be one answer or {len(sizes)}"
    require(len(answers) == len(sizes), "stack.recurrent", rule, len(answers))
    layer = np.repeat(np.arange(len(sizes)), sizes)
    own = (layer[:, None] == layer) & np.asarray(answers, bool)[layer]
    onwards = layer[:, None] == layer + 1
    n = layer.size
    return {
        "layers": sizes,
        "mask": (own & no_self_connections(n)) | onwards,
        "mask_in": np.repeat((layer == 0)[:, None], n_in, axis=1),
        "mask_out": np.repeat((layer == len(sizes) - 1)[None], n_out, axis=0),
    }
