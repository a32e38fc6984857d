"""What of a network takes room on a chip, whether it is float or integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.description import NetworkDescription
from spikelearn.network import RecurrentNetwork

__all__ = ["Block", "Structure", "largest_inputs", "structure_of"]

NAMES = ("w_in", "w_rec", "w_out")


@dataclass(frozen=True, eq=False)
class Block:
    """Synapses of one kind.

    Attributes
    ----------
    name
        `w_in`, `w_rec` or `w_out`.
    present
        Boolean (post, pre): the synapses that exist.
    weight_bits
        Bits of a stored weight with its sign.
    delay_bits
        Bits of a stored delay.
    """

    name: str
    present: np.ndarray
    weight_bits: int
    delay_bits: int = 0


@dataclass(frozen=True, eq=False)
class Structure:
    """Sizes and synapses of a network."""

    n_in: int
    n_rec: int
    n_out: int
    w_in: Block
    w_rec: Block
    w_out: Block

    @property
    def n_neurons(self) -> int:
        """Recurrent neurons and readout neurons, which are neurons on a chip."""
        return self.n_rec + self.n_out

    @property
    def blocks(self) -> tuple[Block, Block, Block]:
        """All three blocks."""
        return self.w_in, self.w_rec, self.w_out

    @property
    def n_synapses(self) -> int:
        """Synapses that exist."""
        return sum(int(block.present.sum()) for block in self.blocks)


def structure_of(
    network: RecurrentNetwork | NetworkDescription,
    bits: int = 8,
    *,
    trained: bool = False,
    fan_in: int | None = None,
) -> Structure:
    """Return the structure of a network.

    A synapse exists where the mask of a float network is true (its weight may still be
    anything), or where a weight of a trained network or a description is not 0.

    Parameters
    ----------
    network
        Either kind.
    bits
        Bits of a weight that are wanted for a float network.
    trained
        Whether the weights of a float network are those that will run.
    fan_in
        Most synapses onto a neuron of a float network, as `hardware.training.FanIn`
        keeps them: its largest weights are those that exist.
    """
    sizes = (network.n_in, network.n_rec, network.n_out)
    if isinstance(network, NetworkDescription):
        given = {name: getattr(network, name) for name in NAMES}
        blocks = [
            Block(k, w.weights != 0, w.bits, _delay_bits(w.delays))
            for k, w in given.items()
        ]
        return Structure(*sizes, *blocks)
    # One step is that of every synapse.
    delay_bits = {"w_rec": _delay_bits(np.asarray(network.delay) - 1)}
    present = {
        name: getattr(network.params, name) != 0 if trained else network.masks[name]
        for name in NAMES
    }
    if fan_in is not None:
        present = _limited(network, present, fan_in)
    blocks = [Block(k, present[k], bits, delay_bits.get(k, 0)) for k in NAMES]
    return Structure(*sizes, *blocks)


def largest_inputs(sizes: np.ndarray, limit: int) -> np.ndarray:
    """Return where the `limit` largest values of each row (post) are, boolean."""
    if sizes.shape[1] <= limit:
        return np.ones(sizes.shape, bool)
    kept = np.zeros(sizes.shape, bool)
    largest = np.argpartition(sizes, -limit, axis=1)[:, -limit:]
    np.put_along_axis(kept, largest, True, axis=1)
    return kept


def _limited(
    network: RecurrentNetwork, present: dict[str, np.ndarray], limit: int
) -> dict[str, np.ndarray]:
    """Keep the synapses with the largest weights; those of size 0 count as well."""
    sizes = {
        name: np.where(there, np.abs(getattr(network.params, name)), -1.0)
        for name, there in present.items()
    }
    kept = largest_inputs(np.hstack([sizes["w_in"], sizes["w_rec"]]), limit)
    w_in, w_rec = np.hsplit(kept, [network.n_in])
    kept_by_name = {"w_in": w_in, "w_rec": w_rec}
    kept_by_name["w_out"] = largest_inputs(sizes["w_out"], limit)
    return {name: there & kept_by_name[name] for name, there in present.items()}


def _delay_bits(delays: np.ndarray | None) -> int:
    """Return how many bits a delay beyond the one step of every synapse takes."""
    return 0 if delays is None else int(np.max(delays)).bit_length()
