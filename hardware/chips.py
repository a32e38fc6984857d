"""What chips can hold, each number with its source.

`None` means that no public number was found; nothing is estimated. These are the limits
of published documents and of emulators; no statement of this module was measured on a
chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from spikelearn.errors import unknown_name

__all__ = ["CHIPS", "ChipSpec", "Limit", "chip", "limits_table"]

DAVIES = "Davies et al. 2018, IEEE Micro 38(1):82-99"
NENGO = "nengo-loihi, block validation and discretisation"
BRIEF = "Intel Loihi 2 technology brief (2021), via press reports"
LAVA = "lava-nc 0.10.0, bit-accurate CPU models"
HALA = "Intel Hala Point announcement: 140,544 cores on 1,152 chips"


@dataclass(frozen=True)
class Limit:
    """A number and where it comes from; `value` None means that it is not known."""

    value: int | str | None
    source: str


UNKNOWN = Limit(None, "no public source found")


@dataclass(frozen=True)
class ChipSpec:
    """Limits of one chip or simulator.

    Every field below `note` is a `Limit`; memory is in bits, widths are in bits, delays
    and refractory times in steps.
    """

    name: str
    title: str
    note: str
    cores: Limit = UNKNOWN
    neurons: Limit = UNKNOWN
    synapses: Limit = UNKNOWN
    neurons_per_core: Limit = UNKNOWN
    input_axons_per_core: Limit = UNKNOWN
    output_axons_per_core: Limit = UNKNOWN
    synapse_memory_per_core: Limit = UNKNOWN
    memory_per_core: Limit = UNKNOWN
    compartment_profiles_per_core: Limit = UNKNOWN
    threshold_profiles_per_core: Limit = UNKNOWN
    synapse_formats_per_core: Limit = UNKNOWN
    weight_bits: Limit = UNKNOWN
    weight_exponent_min: Limit = UNKNOWN
    weight_exponent_max: Limit = UNKNOWN
    delay_max: Limit = UNKNOWN
    decay_bits: Limit = UNKNOWN
    threshold_mantissa_bits: Limit = UNKNOWN
    bias_mantissa_bits: Limit = UNKNOWN
    bias_exponent_max: Limit = UNKNOWN
    current_bits: Limit = UNKNOWN
    voltage_bits: Limit = UNKNOWN
    refractory_max: Limit = UNKNOWN
    message_bits: Limit = UNKNOWN
    trace_bits: Limit = UNKNOWN
    adaptive_threshold: Limit = UNKNOWN

    def limits(self) -> dict[str, Limit]:
        """Return all limits by name, in the order of their definition."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: value for k, value in values.items() if isinstance(value, Limit)}


_LOIHI1 = ChipSpec(
    name="loihi1",
    title="Intel Loihi 1",
    note="14 nm, 60 mm2, 3 x86 cores. Fixed-function neurons.",
    cores=Limit(128, DAVIES),
    neurons=Limit(131_072, f"128 cores of 1024 compartments, {DAVIES}"),
    neurons_per_core=Limit(1024, DAVIES),
    input_axons_per_core=Limit(4096, NENGO),
    output_axons_per_core=Limit(4096, NENGO),
    synapse_memory_per_core=Limit(16_384 * 64, NENGO),
    compartment_profiles_per_core=Limit(32, NENGO),
    threshold_profiles_per_core=Limit(8, f"{NENGO}; other sources give 16"),
    synapse_formats_per_core=Limit(8, f"{NENGO}; other sources give 16"),
    weight_bits=Limit("1, 2, 3, 4, 5, 6 or 8; a mixed sign takes one", NENGO),
    weight_exponent_min=Limit(-8, "brian2loihi; nengo-loihi allows -7"),
    weight_exponent_max=Limit(7, NENGO),
    delay_max=Limit(62, NENGO),
    decay_bits=Limit(12, NENGO),
    threshold_mantissa_bits=Limit(17, NENGO),
    bias_mantissa_bits=Limit(13, f"signed, {NENGO}"),
    bias_exponent_max=Limit(7, NENGO),
    current_bits=Limit(24, f"23 and sign, wraps, {NENGO}"),
    voltage_bits=Limit(24, f"23 and sign, saturates, {NENGO}"),
    refractory_max=Limit(63, NENGO),
    trace_bits=Limit(7, NENGO),
    adaptive_threshold=Limit(
        "none of this kind",
        "Rao et al. 2022, Nat. Mach. Intell. 4:467, use multi-compartment currents",
    ),
)

_LOIHI2 = ChipSpec(
    name="loihi2",
    title="Intel Loihi 2",
    note="Intel 4, 31 mm2, 6 x86 cores. Microcoded neurons; few limits are public.",
    cores=Limit(128, f"{BRIEF}; {HALA} gives 122 usable ones"),
    neurons=Limit(1_000_000, f"up to, {BRIEF}"),
    synapses=Limit(120_000_000, f"up to, {BRIEF}"),
    memory_per_core=Limit(192 * 1024 * 8, f"192 KB shared flexibly, {BRIEF}"),
    weight_bits=Limit(8, LAVA),
    delay_max=Limit(62, f"6 bits; {LAVA} accept 63"),
    message_bits=Limit(32, f"graded spikes, up to, {BRIEF}"),
    adaptive_threshold=Limit("microcode", f"programmable neurons, {BRIEF}"),
)

_LAVA = ChipSpec(
    name="lava",
    title="Lava, fixed-point models on a CPU",
    note="A simulator: sizes are bounded by the memory of the computer.",
    weight_bits=Limit("1 to 8; a mixed sign takes one", LAVA),
    weight_exponent_min=Limit(-8, "range of Loihi 1; Lava itself does not check it"),
    weight_exponent_max=Limit(7, "range of Loihi 1; Lava itself does not check it"),
    delay_max=Limit(63, f"DelayDense, {LAVA}"),
    decay_bits=Limit(12, LAVA),
    threshold_mantissa_bits=Limit(17, LAVA),
    bias_mantissa_bits=Limit(13, f"signed, {LAVA}"),
    bias_exponent_max=Limit(7, LAVA),
    current_bits=Limit(24, f"wraps by one turn, {LAVA}"),
    voltage_bits=Limit(24, f"saturates, {LAVA}"),
    refractory_max=Limit(
        63, "hardware.lava_processes.adaptive_lif; Lava's fixed-point LIF has none"
    ),
    message_bits=Limit(24, LAVA),
    trace_bits=Limit(7, LAVA),
    adaptive_threshold=Limit(
        "process of ours", "hardware.lava_processes.adaptive_lif; none in Lava itself"
    ),
)

CHIPS: Mapping[str, ChipSpec] = MappingProxyType(
    {spec.name: spec for spec in (_LOIHI1, _LOIHI2, _LAVA)}
)


def chip(name: str) -> ChipSpec:
    """Return a chip by name.

    Raises
    ------
    UnknownName
        If there is no such chip.
    """
    if name not in CHIPS:
        raise unknown_name("chip", name, CHIPS)
    return CHIPS[name]


def limits_table(name: str) -> list[tuple[str, str, str]]:
    """Return rows (limit, value, source) of one chip; unknown values read `unknown`.

    Raises
    ------
    UnknownName
        If there is no such chip.
    """
    return [
        (
            key.replace("_", " ") + (", bits" if "memory" in key else ""),
            "unknown" if limit.value is None else str(limit.value),
            limit.source,
        )
        for key, limit in chip(name).limits().items()
    ]
