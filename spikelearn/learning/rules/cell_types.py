"""Weights between cell types: what type-specific neuromodulation can know."""

from __future__ import annotations

from typing import cast

import numpy as np

from spikelearn.errors import InvalidValue
from spikelearn.network import RecurrentNetwork

__all__ = ["require_types", "type_means"]


def require_types(name: str, network: RecurrentNetwork) -> None:
    """Raise `InvalidValue` if a rule that needs cell types gets none."""
    if network.cell_types is None:
        raise InvalidValue(
            f"rule {name!r} must have cell types; got a network without. (Give "
            "RecurrentNetwork cell_types, or network.excitatory_fraction in a "
            "configuration. Rules that need none: bptt, rtrl, e-prop, snap-1, "
            "and mdgl with variant 'one-hop'.)"
        )


def type_means(network: RecurrentNetwork, existing: bool) -> np.ndarray:
    """Replace every recurrent weight by the mean between the types of its neurons.

    Parameters
    ----------
    existing
        Take the mean over connections that exist; otherwise over all pairs of neurons,
        absent ones counting as 0.

    Returns
    -------
    (n_rec, n_rec) float64 array, (post, pre), filled for all pairs
    """
    _, types = np.unique(cast(np.ndarray, network.cell_types), return_inverse=True)
    member = np.eye(types.max() + 1)[types]  # (neuron, type)
    mask = cast(np.ndarray, network.mask).astype(np.float64)
    sums = member.T @ (network.params.w_rec * mask) @ member
    pairs = mask if existing else np.ones_like(mask)
    counts = member.T @ pairs @ member
    means = sums / np.maximum(counts, 1.0)
    return member @ means @ member.T
