"""Masks (post, pre): which connections exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelearn.errors import require

__all__ = ["no_self_connections", "random_mask", "stack"]


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
