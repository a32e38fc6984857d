"""Does a network fit a chip? Everything that does not, at once, each with a remedy.

Two kinds of network can be checked: a float network before or after training, for the
bits of a weight that are wanted, and a description after quantisation. Both are checked
for sizes, synapses, memory and cores; a float network for its cells and time constants,
a description for its registers. A limit that is not known is not checked, and the
report says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware._check_float import float_findings
from hardware._check_integers import integer_findings
from hardware._findings import Limits, above
from hardware._structure import Structure, structure_of
from hardware._violations import Violation
from hardware.chips import ChipSpec, chip
from hardware.description import NetworkDescription
from hardware.mapping import Mapping, place
from spikelearn.errors import HardwareError, require
from spikelearn.network import RecurrentNetwork

__all__ = ["CheckReport", "Violation", "check", "check_report"]


@dataclass(frozen=True)
class CheckReport:
    """What does not fit, and what could not be said.

    Attributes
    ----------
    chip
        Name of the chip.
    violations
        Everything that does not fit.
    unchecked
        Names of the limits that would count and are not known.
    mapping
        The network on the cores of the chip; None if one neuron exceeds a core.
    """

    chip: str
    violations: tuple[Violation, ...]
    unchecked: tuple[str, ...]
    mapping: Mapping | None

    @property
    def fits(self) -> bool:
        """Whether nothing was found; unknown limits are no findings."""
        return not self.violations


def check(
    network: RecurrentNetwork | NetworkDescription,
    chosen: str | Path | ChipSpec,
    *,
    bits: int = 8,
    input_bits: int | None = 0,
    trained: bool = False,
    fan_in: int | None = None,
) -> tuple[Violation, ...]:
    """Return everything of a network that does not fit a chip.

    Parameters and errors are those of `check_report`.
    """
    return check_report(
        network,
        chosen,
        bits=bits,
        input_bits=input_bits,
        trained=trained,
        fan_in=fan_in,
    ).violations


def check_report(
    network: RecurrentNetwork | NetworkDescription,
    chosen: str | Path | ChipSpec,
    *,
    bits: int = 8,
    input_bits: int | None = 0,
    trained: bool = False,
    fan_in: int | None = None,
) -> CheckReport:
    """Check a network against a chip.

    Parameters
    ----------
    network
        A float network, trained or not, or a description.
    chosen
        Name, file or specification of the chip.
    bits
        Bits of a weight with its sign that are wanted for a float network.
    input_bits
        Of the input of a float network: 0 for spikes, k for graded input, None for real
        values.
    trained
        Whether the weights of a float network are those that will run: only those that
        are not 0 are synapses then. Else its masks count.
    fan_in
        Of the training to come (`hardware.training.FanIn`), for a float network.

    Raises
    ------
    InvalidValue
        If `bits` or `fan_in` is less than 1.
    UnknownName, FileAccessError, FileFormatError
        If there is no such chip.
    """
    require(bits >= 1, "check.bits", "must be >= 1", bits)
    allowed = fan_in is None or fan_in >= 1
    require(allowed, "check.fan_in", "must be >= 1 or None", fan_in)
    limits = Limits(chip(chosen))
    net = structure_of(network, bits, trained=trained, fan_in=fan_in)
    found = _sizes(limits, net) + _degrees(limits, net) + _memory(limits, net)
    mapping, problems = _mapped(limits, net)
    found += problems
    if isinstance(network, NetworkDescription):
        found += integer_findings(limits, network, mapping)
    else:
        found += float_findings(limits, network, mapping, bits, input_bits)
    return CheckReport(limits.spec.name, tuple(found), tuple(limits.unchecked), mapping)


def _sizes(limits: Limits, net: Structure) -> list[Violation]:
    smaller = "Use a smaller network, or several chips"
    rows = (
        ("neurons", "neurons", net.n_neurons, "with the readout"),
        ("hidden_neurons", "n_rec", net.n_rec, "neurons"),
        ("inputs", "n_in", net.n_in, "inputs"),
        ("outputs", "n_out", net.n_out, "readout neurons"),
        ("synapses", "synapses", net.n_synapses, "synapses"),
    )
    return [
        finding
        for name, where, value, unit in rows
        for finding in above(limits, name, where, value, unit, smaller)
    ]


def _degrees(limits: Limits, net: Structure) -> list[Violation]:
    into = np.concatenate(
        [
            net.w_in.present.sum(axis=1) + net.w_rec.present.sum(axis=1),
            net.w_out.present.sum(axis=1),
        ]
    )
    out_of = net.w_rec.present.sum(axis=0) + net.w_out.present.sum(axis=0)
    sparser = "Use a sparser mask"
    fewer = f"{sparser}, or train with hardware.fan_in of the limit"
    found = []
    for name, degrees, remedy in (
        ("fan_in", into, fewer),
        ("fan_out", out_of, sparser),
    ):
        neuron, value = int(degrees.argmax()), int(degrees.max())
        where = f"{name.replace('_', '-')} of neuron {neuron}"
        found += above(limits, name, where, value, "synapses", remedy)
    takers = int(net.w_in.present.any(axis=1).sum())
    givers = int(net.w_out.present.any(axis=0).sum())
    few = "Give fewer neurons such synapses (mask_in, mask_out)"
    found += above(limits, "input_targets", "w_in", takers, "neurons with input", few)
    where, unit = "w_out", "neurons that the readout sees"
    found += above(limits, "readout_sources", where, givers, unit, few)
    if net.w_rec.present.any() and limits.ask("recurrence") is False:
        shown = f"{int(net.w_rec.present.sum())} recurrent synapses"
        remedy = "Use a feed-forward network, or another chip"
        found.append(Violation("w_rec", "without synapses", shown, remedy))
    return found


def _memory(limits: Limits, net: Structure) -> list[Violation]:
    """Return a finding if the weights alone are more than all memory of a chip."""
    per_core = limits.spec.memory_per_core.number
    cores = limits.spec.cores.number
    if per_core is None or cores is None:
        return []
    needed = sum(int(b.present.sum()) * b.weight_bits for b in net.blocks)
    if needed <= per_core * cores:
        return []
    limit = f"at most {per_core * cores // 8} bytes, all memory of the chip"
    shown = f"{-(-needed // 8)} bytes for the weights alone"
    remedy = "Use a smaller or sparser network, fewer bits, or several chips"
    return [Violation("memory", limit, shown, remedy)]


def _mapped(limits: Limits, net: Structure) -> tuple[Mapping | None, list[Violation]]:
    """Place the network; what stands against it are findings."""
    try:
        mapping = place(net, limits.spec)
    except HardwareError as error:
        return None, list(getattr(error, "violations", ()))
    for name in mapping.unknown:
        limits.ask(name)
    cores = mapping.n_cores
    if cores is None:
        return mapping, []
    remedy = "Use a smaller or sparser network, fewer bits, or several chips"
    return mapping, above(limits, "cores", "cores", cores, "cores", remedy)
