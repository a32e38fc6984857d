"""Parameters of a network as one vector of the numbers that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikelearn.errors import require
from spikelearn.network import Params, RecurrentNetwork

__all__ = ["Coordinates"]


class Coordinates:
    """The entries of some parameters in one order, without absent connections.

    Parameters
    ----------
    network
        Network whose masks say what exists.
    names
        Names from `Params.names`, each once.

    Raises
    ------
    InvalidValue
        If a name is unknown or given twice, or no connection of it exists.
    """

    def __init__(self, network: RecurrentNetwork, names: Sequence[str]) -> None:
        names = tuple(names)
        good = bool(names) and set(names) <= set(Params.names)
        once = len(set(names)) == len(names)
        rule = f"must be different names from {Params.names}"
        require(good and once, "parameters", rule, names)
        self.names = names
        self.masks: dict[str, np.ndarray] = {}
        for name in names:
            shape = getattr(network.params, name).shape
            self.masks[name] = network.masks.get(name, np.ones(shape, bool))
            exists = bool(self.masks[name].any())
            require(exists, f"parameter {name}", "must have connections", "none")
        self.sizes = {name: int(mask.sum()) for name, mask in self.masks.items()}
        self.size = sum(self.sizes.values())

    def join(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector (size,) float64 of arrays by name; others are left out."""
        parts = [arrays[name][mask] for name, mask in self.masks.items()]
        joined: np.ndarray = np.concatenate(parts, dtype=np.float64)
        return joined

    def split(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return a vector as arrays by name, 0 where no connection is."""
        edges = np.cumsum([0, *self.sizes.values()])
        arrays = {}
        for (name, mask), first, last in zip(
            self.masks.items(), edges[:-1], edges[1:], strict=True
        ):
            arrays[name] = np.zeros(mask.shape)
            arrays[name][mask] = vector[first:last]
        return arrays

    def read(self, network: RecurrentNetwork) -> np.ndarray:
        """Return the vector of a network."""
        return self.join(network.params.arrays())

    def write(self, network: RecurrentNetwork, vector: np.ndarray) -> None:
        """Write a vector into a network."""
        for name, array in self.split(vector).items():
            getattr(network.params, name)[...] = array
