"""The form of a chip: named limits, each with its source, some of them unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from spikelearn.errors import require

__all__ = ["FORMS", "UNKNOWN", "ChipSpec", "Limit", "Value", "kind_problem"]

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


@dataclass(frozen=True)
class Form:
    """What a limit is, and what its value must be: its kind, and `words` or a range."""

    kind: str
    meaning: str
    words: tuple[str, ...] = ()
    range: tuple[int, int] = (0, 2**63 - 1)


WIDTH = (1, 64)
EXPONENT = (-64, 64)

FORMS = {
    "cores": Form("number", "cores of one chip"),
    "neurons": Form("number", "neurons of one chip, readout neurons among them"),
    "hidden_neurons": Form("number", "neurons of one chip without the readout"),
    "inputs": Form("number", "input channels"),
    "outputs": Form("number", "readout neurons"),
    "synapses": Form("number", "synapses of one chip"),
    "neurons_per_core": Form("number", "neurons of one core"),
    "input_axons_per_core": Form("number", "axons that end on one core"),
    "output_axons_per_core": Form("number", "axons that start on one core"),
    "synapse_memory_per_core": Form("number", "synapse memory of one core, bits"),
    "synapse_memory_formula": Form(
        "word", "how synapses fill it: hardware.mapping.axon_bits", MEMORY_FORMULAE
    ),
    "memory_per_core": Form("number", "all memory of one core, bits"),
    "compartment_profiles_per_core": Form("number", "sets of decays of one core"),
    "threshold_profiles_per_core": Form("number", "thresholds of one core"),
    "synapse_formats_per_core": Form("number", "synapse formats of one core"),
    "fan_in": Form("number", "synapses onto one neuron"),
    "fan_out": Form("number", "synapses from one neuron"),
    "input_targets": Form("number", "neurons that may have synapses from the input"),
    "readout_sources": Form("number", "neurons that may have synapses to the readout"),
    "recurrence": Form("yes or no", "recurrent connections"),
    "weight_bits": Form("numbers", "bits of a weight with its sign", range=WIDTH),
    "weight_exponent_min": Form(
        "number", "smallest exponent of a block of weights", range=EXPONENT
    ),
    "weight_exponent_max": Form(
        "number", "largest exponent of a block of weights", range=EXPONENT
    ),
    "delay_max": Form("number", "largest delay beyond the one step of every synapse"),
    "decay_form": Form(
        "word",
        "what a state loses in a step: a fraction, x >> k (shift), or an amount",
        DECAY_FORMS,
    ),
    "decay_bits": Form("number", "width of a decay that is a fraction", range=WIDTH),
    "threshold_mantissa_bits": Form("number", "threshold in units of 2^6", range=WIDTH),
    "bias_mantissa_bits": Form(
        "number", "signed bias, before its exponent", range=WIDTH
    ),
    "bias_exponent_max": Form("number", "largest exponent of a bias", range=EXPONENT),
    "current_bits": Form("number", "synaptic current with its sign", range=WIDTH),
    "voltage_bits": Form("number", "membrane with its sign", range=WIDTH),
    "refractory_max": Form("number", "silent steps after a spike"),
    "resets": Form("words", "what a spike does to the membrane", RESETS),
    "message_bits": Form(
        "number", "payload of an input event; 0: spikes", range=(0, 64)
    ),
    "trace_bits": Form("number", "traces of a learning rule", range=WIDTH),
    "adaptive_threshold": Form("yes or no", "a threshold that spikes raise"),
    "rate_units": Form("yes or no", "units with graded output"),
    "on_chip_learning": Form("yes or no", "plasticity on the chip"),
}


@dataclass(frozen=True)
class ChipSpec:
    """Limits of one chip or simulator.

    Every field below `note` is a `Limit`: a number, a yes or no, a word, or a list of
    what is allowed. Memory and widths are in bits, delays and refractory times in
    steps. `FORMS` says what each one is.

    Raises
    ------
    InvalidValue
        If a value is of another kind than its field.
    """

    name: str
    title: str = ""
    note: str = ""
    cores: Limit = UNKNOWN
    neurons: Limit = UNKNOWN
    hidden_neurons: Limit = UNKNOWN
    inputs: Limit = UNKNOWN
    outputs: Limit = UNKNOWN
    synapses: Limit = UNKNOWN
    neurons_per_core: Limit = UNKNOWN
    input_axons_per_core: Limit = UNKNOWN
    output_axons_per_core: Limit = UNKNOWN
    synapse_memory_per_core: Limit = UNKNOWN
    synapse_memory_formula: Limit = UNKNOWN
    memory_per_core: Limit = UNKNOWN
    compartment_profiles_per_core: Limit = UNKNOWN
    threshold_profiles_per_core: Limit = UNKNOWN
    synapse_formats_per_core: Limit = UNKNOWN
    fan_in: Limit = UNKNOWN
    fan_out: Limit = UNKNOWN
    input_targets: Limit = UNKNOWN
    readout_sources: Limit = UNKNOWN
    recurrence: Limit = UNKNOWN
    weight_bits: Limit = UNKNOWN
    weight_exponent_min: Limit = UNKNOWN
    weight_exponent_max: Limit = UNKNOWN
    delay_max: Limit = UNKNOWN
    decay_form: Limit = UNKNOWN
    decay_bits: Limit = UNKNOWN
    threshold_mantissa_bits: Limit = UNKNOWN
    bias_mantissa_bits: Limit = UNKNOWN
    bias_exponent_max: Limit = UNKNOWN
    current_bits: Limit = UNKNOWN
    voltage_bits: Limit = UNKNOWN
    refractory_max: Limit = UNKNOWN
    resets: Limit = UNKNOWN
    message_bits: Limit = UNKNOWN
    trace_bits: Limit = UNKNOWN
    adaptive_threshold: Limit = UNKNOWN
    rate_units: Limit = UNKNOWN
    on_chip_learning: Limit = UNKNOWN

    def __post_init__(self) -> None:
        """Check the kinds of the values."""
        for name, limit in self.limits().items():
            problem = None if limit.value is None else kind_problem(name, limit.value)
            where, rule = f"chip {self.name}, {name}", f"must be {problem}"
            require(problem is None, where, rule, repr(limit.value))

    def limits(self) -> dict[str, Limit]:
        """Return all limits by name, in the order of their definition."""
        return {name: getattr(self, name) for name in FORMS}


def kind_problem(name: str, value: Any) -> str | None:
    """Return what the value of a limit must be, if it is something else."""
    form = FORMS[name]
    low, high = form.range
    listed = value if isinstance(value, tuple) and value else (None,)

    def whole(number: Any) -> bool:
        integer = isinstance(number, int) and not isinstance(number, bool)
        return integer and low <= number <= high

    words = ", ".join(form.words)
    rules = {
        "number": (whole(value), f"a whole number of {low} to {high}"),
        "yes or no": (isinstance(value, bool), "true or false"),
        "word": (value in form.words, f"one of {words}"),
        "words": (all(v in form.words for v in listed), f"a list of {words}"),
        "numbers": (
            all(map(whole, listed)),
            f"a list of whole numbers {low} to {high}",
        ),
    }
    good, rule = rules[form.kind]
    return None if good else rule
