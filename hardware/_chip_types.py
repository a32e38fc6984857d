"""The form of a chip: named limits, each with its source, some of them unknown."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, cast

from spikelearn.errors import require

__all__ = ["UNKNOWN", "ChipSpec", "Limit", "Value", "kind_problem"]

Value = int | bool | str | tuple[int, ...] | tuple[str, ...]

RESETS = ("subtract", "zero")
DECAY_FORMS = ("fraction", "shift", "linear")
MEMORY_FORMULAE = ("axon blocks",)


@dataclass(frozen=True)
class Limit:
    """A value and where it comes from; `value` None means that it is not known."""

    value: Value | None
    source: str

    @property
    def number(self) -> int | None:
        """The value of a limit that is a number."""
        return cast(int | None, self.value)

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The values of a limit that lists what is allowed."""
        return cast(tuple[Any, ...] | None, self.value)

    def __str__(self) -> str:
        """Return the value as people read it."""
        if self.value is None:
            return "unknown"
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, tuple):
            return ", ".join(map(str, self.value))
        return str(self.value)


UNKNOWN = Limit(None, "no public source found")


def _limit(kind: str, meaning: str, words: tuple[str, ...] = ()) -> Any:
    about = {"kind": kind, "meaning": meaning, "words": words}
    return field(default=UNKNOWN, metadata=about)


def _number(meaning: str) -> Any:
    return _limit("number", meaning)


@dataclass(frozen=True)
class ChipSpec:
    """Limits of one chip or simulator.

    Every field below `note` is a `Limit`: a number, a yes or no, a word, or a list of
    what is allowed. Memory and widths are in bits, delays and refractory times in
    steps. `meanings()` says what each one is.

    Raises
    ------
    InvalidValue
        If a value is of another kind than its field.
    """

    name: str
    title: str = ""
    note: str = ""
    cores: Limit = _number("cores of one chip")
    neurons: Limit = _number("neurons of one chip, readout neurons among them")
    hidden_neurons: Limit = _number("neurons of one chip without the readout")
    inputs: Limit = _number("input channels")
    outputs: Limit = _number("readout neurons")
    synapses: Limit = _number("synapses of one chip")
    neurons_per_core: Limit = _number("neurons of one core")
    input_axons_per_core: Limit = _number("axons that end on one core")
    output_axons_per_core: Limit = _number("axons that start on one core")
    synapse_memory_per_core: Limit = _number("synapse memory of one core, bits")
    synapse_memory_formula: Limit = _limit(
        "word", "how synapses fill it: hardware.mapping.axon_bits", MEMORY_FORMULAE
    )
    memory_per_core: Limit = _number("all memory of one core, bits")
    compartment_profiles_per_core: Limit = _number("sets of decays of one core")
    threshold_profiles_per_core: Limit = _number("thresholds of one core")
    synapse_formats_per_core: Limit = _number("synapse formats of one core")
    fan_in: Limit = _number("synapses onto one neuron")
    fan_out: Limit = _number("synapses from one neuron")
    input_targets: Limit = _number("neurons that may have synapses from the input")
    readout_sources: Limit = _number("neurons that may have synapses to the readout")
    recurrence: Limit = _limit("yes or no", "recurrent connections")
    weight_bits: Limit = _limit("numbers", "bits of a weight with its sign")
    weight_exponent_min: Limit = _number("smallest exponent of a block of weights")
    weight_exponent_max: Limit = _number("largest exponent of a block of weights")
    delay_max: Limit = _number("largest delay beyond the one step of every synapse")
    decay_form: Limit = _limit(
        "word",
        "what a state loses in a step: a fraction, x >> k (shift), or an amount",
        DECAY_FORMS,
    )
    decay_bits: Limit = _number("width of a decay that is a fraction")
    threshold_mantissa_bits: Limit = _number("threshold in units of 2^6")
    bias_mantissa_bits: Limit = _number("signed bias, before its exponent")
    bias_exponent_max: Limit = _number("largest exponent of a bias")
    current_bits: Limit = _number("synaptic current with its sign")
    voltage_bits: Limit = _number("membrane with its sign")
    refractory_max: Limit = _number("silent steps after a spike")
    resets: Limit = _limit("words", "what a spike does to the membrane", RESETS)
    message_bits: Limit = _number("payload of an input event; 0: spikes only")
    trace_bits: Limit = _number("traces of a learning rule")
    adaptive_threshold: Limit = _limit("yes or no", "a threshold that spikes raise")
    rate_units: Limit = _limit("yes or no", "units with graded output")
    on_chip_learning: Limit = _limit("yes or no", "plasticity on the chip")

    def __post_init__(self) -> None:
        """Check the kinds of the values."""
        for name, limit in self.limits().items():
            problem = None if limit.value is None else kind_problem(name, limit.value)
            where, rule = f"chip {self.name}, {name}", f"must be {problem}"
            require(problem is None, where, rule, repr(limit.value))

    def limits(self) -> dict[str, Limit]:
        """Return all limits by name, in the order of their definition."""
        return {name: getattr(self, name) for name in self.meanings()}

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Return what each limit is, by name."""
        return {f.name: f.metadata["meaning"] for f in fields(cls) if f.metadata}


def kind_problem(name: str, value: Any) -> str | None:
    """Return what the value of a limit must be, if it is something else."""
    about = next(f.metadata for f in fields(ChipSpec) if f.name == name)
    kind, words = about["kind"], about["words"]
    listed = value if isinstance(value, tuple) and value else (None,)
    whole = [isinstance(v, int) and not isinstance(v, bool) for v in (value, *listed)]
    positive = name == "weight_exponent_min" or (whole[0] and value >= 0)
    good = {
        "number": whole[0] and positive,
        "yes or no": isinstance(value, bool),
        "word": value in words,
        "words": all(v in words for v in listed),
        "numbers": all(whole[1:]),
    }
    rules = {
        "number": "a whole number" + (" >= 0" if name != "weight_exponent_min" else ""),
        "yes or no": "true or false",
        "word": f"one of {', '.join(words)}",
        "words": f"a list of {', '.join(words)}",
        "numbers": "a list of whole numbers",
    }
    return None if good[kind] else rules[kind]
