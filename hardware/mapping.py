"""Mapping: which neurons go to which core, and how full the cores are.

Synapses lie with the neurons that they end on. An axon is what carries the spikes of
one source into one core for one block of weights (`w_in`, `w_rec` or `w_out`, which
differ in their exponents). Its n synapses there fill memory in groups of at most 64,

    bits = sum over groups of  64 ceil((n_group b + 4 + 6) / 64),
    b = weight bits + delay bits [+ index bits],

where the weight bits are 1 to 6 or 8 (7 take the room of 8) and the index bits 6 to 12,
enough for the compartments of the core. Dense compression stores a synapse, zero or
not, for every neuron of the block that is on the core, and no index; the sparse format
stores the synapses that exist, each with an index. The cheaper one is taken. (Loihi 1,
from nengo-loihi 1.1.0, `Synapse.bits_per_axon`; synapses without learning have no tag.)

Neurons are placed greedily in their order, recurrent ones first, readout neurons after
them, each core filled until a limit of it is reached. Input axons start outside of the
cores. Nothing is optimised, so that fewer cores may do; the answer is always the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware._structure import Structure, structure_of
from hardware._violations import Violation, raise_violations
from hardware.chips import ChipSpec, chip
from hardware.description import NetworkDescription
from spikelearn.network import RecurrentNetwork

__all__ = ["CoreUse", "Mapping", "axon_bits", "place"]

GROUP = 64  # synapses of one group, and bits of a memory unit
OVERHEAD = 4 + 6  # bits of a group: synapse format, number of synapses
WIDTHS = (1, 2, 3, 4, 5, 6, 8)
INDEX_WIDTHS = (6, 7, 8, 9, 10, 11, 12)
LIMITS = {
    "compartments": "neurons_per_core",
    "synapse_bits": "synapse_memory_per_core",
    "input_axons": "input_axons_per_core",
    "output_axons": "output_axons_per_core",
}


def axon_bits(n_synapses: np.ndarray | int, bits_per_synapse: int) -> np.ndarray:
    """Return the synapse memory of axons, bits, by the number of their synapses.

    The formula is in the documentation of this module; no synapses take no memory.
    """
    full, rest = np.divmod(np.asarray(n_synapses, np.int64), GROUP)
    bits = full * _rounded(GROUP * bits_per_synapse + OVERHEAD)
    last = _rounded(rest * bits_per_synapse + OVERHEAD)
    total: np.ndarray = bits + np.where(rest > 0, last, 0)
    return total


def _rounded(bits: np.ndarray | int) -> np.ndarray:
    return -(np.asarray(-bits) // GROUP) * GROUP


@dataclass(frozen=True)
class CoreUse:
    """What one core holds.

    Attributes
    ----------
    first, stop
        Its neurons: recurrent ones have the numbers 0 to n_rec - 1, readout neurons
        follow.
    compartments, input_axons, output_axons
        Numbers of neurons, of axons that end here and of axons that start here.
    synapse_bits
        Synapse memory, bits; None where the chip has no public formula.
    """

    first: int
    stop: int
    compartments: int
    input_axons: int
    output_axons: int
    synapse_bits: int | None


@dataclass(frozen=True)
class Mapping:
    """A network on the cores of a chip.

    Attributes
    ----------
    chip
        Name of the chip.
    cores
        What each core holds; None where no limit of a core is public, so that nothing
        says how many are needed.
    available
        Cores of one chip, or None.
    limits
        Limits of a core by the name of what they limit; None: unknown, not applied.
    unknown
        Names of the limits of a core that are not known.
    """

    chip: str
    cores: tuple[CoreUse, ...] | None
    available: int | None
    limits: dict[str, int | None]
    unknown: tuple[str, ...]

    @property
    def n_cores(self) -> int | None:
        """Cores that are needed, or None."""
        return None if self.cores is None else len(self.cores)

    @property
    def n_chips(self) -> int | None:
        """Chips that are needed, or None."""
        if self.cores is None or not self.available:
            return None
        return math.ceil(len(self.cores) / self.available)

    @property
    def synapse_bytes(self) -> int | None:
        """Synapse memory of all cores in bytes, or None."""
        if self.cores is None or any(c.synapse_bits is None for c in self.cores):
            return None
        return sum(core.synapse_bits or 0 for core in self.cores) // 8

    def utilisation(self) -> dict[str, list[float] | None]:
        """Return what share of each limit each core uses, 0 to 1; None: unknown."""
        shares: dict[str, list[float] | None] = {}
        for name, limit in self.limits.items():
            used = [getattr(core, name) for core in self.cores or ()]
            known = bool(limit) and bool(used) and None not in used
            shares[name] = [use / limit for use in used] if known and limit else None
        return shares


def place(
    network: RecurrentNetwork | NetworkDescription | Structure,
    chosen: str | Path | ChipSpec,
    bits: int = 8,
) -> Mapping:
    """Place a network on the cores of a chip.

    Parameters
    ----------
    network
        A float network (every synapse of its masks counts), a description (weights
        that are not 0 count), or the structure of either.
    chosen
        Name, file or specification of the chip.
    bits
        Bits of a weight that are wanted for a float network.

    Raises
    ------
    HardwareError
        If one neuron alone exceeds a core; its `violations` say what.
    UnknownName, FileAccessError, FileFormatError
        If there is no such chip.
    """
    spec = chip(chosen)
    net = network if isinstance(network, Structure) else structure_of(network, bits)
    limits = {name: getattr(spec, key).number for name, key in LIMITS.items()}
    formula = spec.synapse_memory_formula.value is not None
    if not formula:
        limits["synapse_bits"] = None
    unknown = [LIMITS[name] for name, limit in limits.items() if limit is None]
    cores = None
    if len(unknown) < len(LIMITS):
        cores = _cores(net, limits, formula)
    return Mapping(spec.name, cores, spec.cores.number, limits, tuple(unknown))


def _cores(
    net: Structure, limits: dict[str, int | None], formula: bool
) -> tuple[CoreUse, ...]:
    """Fill cores; where too many axons start on one, put fewer neurons on each.

    That does not help where axons multiply as fast as cores do, and then it ends.
    """
    given, limit = limits["compartments"], limits["output_axons"]
    most = net.n_neurons if given is None else given
    least = None  # axons of the fullest core so far
    while True:
        ranges = list(_ranges(net, limits | {"compartments": most}))
        cores = tuple(_uses(net, ranges, formula))
        worst = max(cores, key=lambda core: core.output_axons)
        started = worst.output_axons
        if limit is None or started <= limit:
            return cores
        if most == 1 or (least is not None and started >= least):
            where = f"neurons {worst.first} to {worst.stop - 1}"
            raise_violations(
                "Mapping", [_broken(where, "output_axons", started, limit)]
            )
        least = started
        most = max(1, min(most - 1, worst.compartments * limit // started))


def _ranges(net: Structure, limits: dict[str, int | None]) -> Iterator[tuple[int, int]]:
    """Yield the neurons of each core as (first, stop)."""
    first = 0
    while first < net.n_neurons:
        load, stop = _Load(net), first
        while stop < net.n_neurons:
            load.add(stop)
            broken = load.broken(limits)
            if broken and stop == first:
                raise_violations("Mapping", broken)
            if broken:
                break
            stop += 1
        yield first, stop
        first = stop


class _Load:
    """Synapses on a core that is being filled: how many each axon has, by block."""

    def __init__(self, net: Structure) -> None:
        self.net = net
        self.neurons: list[int] = []
        sources = {block.name: block.present.shape[1] for block in net.blocks}
        self.synapses = {name: np.zeros(n, np.int64) for name, n in sources.items()}
        self.targets = dict.fromkeys(sources, 0)

    def add(self, neuron: int) -> None:
        """Add a neuron."""
        net = self.net
        self.neurons.append(neuron)
        recurrent = neuron < net.n_rec
        row = neuron if recurrent else neuron - net.n_rec
        for block in (net.w_in, net.w_rec) if recurrent else (net.w_out,):
            self.synapses[block.name] += block.present[row]
            self.targets[block.name] += 1

    def input_axons(self) -> int:
        """Axons that end on the core."""
        return sum(int(np.count_nonzero(n)) for n in self.synapses.values())

    def synapse_bits(self) -> int:
        """Synapse memory of the core."""
        total = 0
        index = _next(INDEX_WIDTHS, (len(self.neurons) - 1).bit_length())
        for block in self.net.blocks:
            counts = self.synapses[block.name]
            width = _next(WIDTHS, block.weight_bits) + block.delay_bits
            dense = axon_bits(self.targets[block.name], width)
            sparse = axon_bits(counts, width + index)
            total += int(np.minimum(sparse, np.where(counts > 0, dense, 0)).sum())
        return total

    def broken(self, limits: dict[str, int | None]) -> list[Violation]:
        """Return the limits that the core breaks."""
        found = []
        for name, use in (
            ("compartments", lambda: len(self.neurons)),
            ("input_axons", self.input_axons),
            ("synapse_bits", self.synapse_bits),
        ):
            limit = limits[name]
            if limit is not None and (value := use()) > limit:
                where = f"neuron {self.neurons[-1]}"
                found.append(_broken(where, name, value, limit))
        return found


def _uses(
    net: Structure, ranges: list[tuple[int, int]], formula: bool
) -> Iterator[CoreUse]:
    """Yield what each core holds, with the axons that start on it."""
    starting = np.zeros(net.n_rec, np.int64)  # axons of each recurrent neuron
    loads = []
    for first, stop in ranges:
        load = _Load(net)
        for neuron in range(first, stop):
            load.add(neuron)
        starting += (load.synapses["w_rec"] > 0).astype(np.int64)
        starting += load.synapses["w_out"] > 0
        loads.append(load)
    for (first, stop), load in zip(ranges, loads, strict=True):
        yield CoreUse(
            first=first,
            stop=stop,
            compartments=stop - first,
            input_axons=load.input_axons(),
            output_axons=int(starting[first : min(stop, net.n_rec)].sum()),
            synapse_bits=load.synapse_bits() if formula else None,
        )


def _next(widths: tuple[int, ...], wanted: int) -> int:
    """Return the smallest width there is that is at least `wanted`."""
    return next((width for width in widths if width >= wanted), wanted)


REMEDIES = {
    "compartments": "Use another chip",
    "input_axons": "Use fewer sources: a smaller network, or a sparser mask",
    "synapse_bits": "Use fewer bits or a sparser mask",
    "output_axons": "Use a sparser mask, or a smaller network on fewer cores",
}


def _broken(where: str, name: str, value: int, limit: int) -> Violation:
    place = f"{where}, {name.replace('_', ' ')}"
    rule = f"at most {limit} on one core"
    return Violation(place, rule, f"{value} at least", REMEDIES[name])
