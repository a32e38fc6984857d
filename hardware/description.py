"""A network as integers: what a neuromorphic chip, Lava and the emulator run.

All names are those of the registers: `du`, `dv` (12-bit decays), mantissas and
exponents of weights, biases and thresholds. The time step that gives them a meaning is
stated in `hardware.emulator`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hardware._checks import (
    EXPONENT_RANGE,
    MAX_INPUT_BITS,
    NEURON_LIMITS,
    RESETS,
    SCALE,
    SIGN_MODES,
    freeze_registers,
    is_integer,
    keep_bits,
    kept_bits_violation,
    metadata_violations,
    network_shape_violations,
    trailing_zeros_violation,
    unless,
    vector_violations,
)
from hardware._violations import Violation, integer_array, raise_violations

__all__ = [
    "LAVA_ADAPTIVE",
    "LAVA_LIF",
    "RESETS",
    "SIGN_MODES",
    "Connection",
    "NetworkDescription",
    "NeuronParameters",
    "ReadoutParameters",
    "TestVectors",
    "keep_bits",
]


LAVA_LIF = "lava.proc.lif.LIF"
LAVA_ADAPTIVE = "hardware AdaptiveLIF run by Lava"


class _Values:
    """Equality of dataclasses that hold arrays."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return all(
            np.array_equal(value, theirs[name])
            if isinstance(value, np.ndarray)
            else value == theirs[name]
            for name, value in mine.items()
        )


@dataclass(frozen=True, eq=False)
class Connection(_Values):
    """A dense block of synapses.

    Attributes
    ----------
    weights
        int16 `(post, pre)`: mantissas as used, that is `keep_bits` changes nothing.
    exponent
        -8..7. The effective weight is `mantissa * 2**exponent`, in units of 64. Below
        zero only if every mantissa has `-exponent` trailing zeros, because Lava floors
        the sum and chips floor each weight.
    bits
        1..8 bits of a stored weight.
    sign
        `"mixed"`, `"excitatory"` or `"inhibitory"`.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    weights: np.ndarray
    exponent: int
    bits: int = 8
    sign: str = "mixed"

    def __post_init__(self) -> None:
        """Check, convert and freeze the weights."""
        weights, problems = integer_array(
            "weights", self.weights, 2, -256, 255, np.int16, SCALE
        )
        low, high = EXPONENT_RANGE
        exponent_ok = is_integer(self.exponent) and low <= self.exponent <= high
        problems += unless(
            exponent_ok, "exponent", f"an integer {low}..{high}", self.exponent, SCALE
        )
        bits_ok = is_integer(self.bits) and 1 <= self.bits <= 8
        problems += unless(
            bits_ok, "bits", "an integer 1..8", self.bits, "Use 8 bits or fewer"
        )
        problems += unless(
            self.sign in SIGN_MODES,
            "sign",
            f"one of {', '.join(SIGN_MODES)}",
            repr(self.sign),
            "mixed always works and costs one bit",
        )
        if weights is not None and bits_ok and self.sign in SIGN_MODES:
            problems += kept_bits_violation(weights, int(self.bits), self.sign)
        if weights is not None and exponent_ok and self.exponent < 0:
            problems += trailing_zeros_violation(weights, -int(self.exponent))
        raise_violations("Connection", problems)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "exponent", int(self.exponent))
        object.__setattr__(self, "bits", int(self.bits))


@dataclass(frozen=True, eq=False)
class NeuronParameters(_Values):
    """Registers of the recurrent neurons, each int32 `(n_rec,)`, and their reset.

    Attributes
    ----------
    du
        0..4095; the synaptic current keeps `(4096 - (du + 1)) / 4096` per step.
    dv
        0..4095; the membrane keeps `(4096 - dv) / 4096` per step.
    bias_mant, bias_exp
        -4096..4095 and 0..7; `bias_mant << bias_exp` is added to `v` at every step.
    vth
        0..131071; the threshold is `vth << 6`.
    beta, db
        0..131071 and 0..4096; a spike adds `beta << 6` to the threshold from the next
        step on, and this adaptation keeps `(4096 - db) / 4096` per step.
    refractory
        0..63 silent steps after a spike.
    reset
        `"subtract"`: `vth << 6` leaves `v` one step after the spike; `"zero"`: `v` is 0
        right after the test.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    du: np.ndarray
    dv: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray
    vth: np.ndarray
    beta: np.ndarray
    db: np.ndarray
    refractory: np.ndarray
    reset: str = "zero"

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        problems = freeze_registers(self, list(NEURON_LIMITS))
        problems += unless(
            self.reset in RESETS,
            "reset",
            f"one of {', '.join(RESETS)}",
            repr(self.reset),
            "Lava's own LIF resets to zero",
        )
        raise_violations("NeuronParameters", problems)

    @property
    def plain_lif(self) -> bool:
        """Whether Lava's own LIF process computes these neurons."""
        return bool(
            self.reset == "zero" and not self.beta.any() and not self.refractory.any()
        )

    @property
    def lava_process(self) -> str:
        """Name of the process that is these neurons in Lava."""
        return LAVA_LIF if self.plain_lif else LAVA_ADAPTIVE


@dataclass(frozen=True, eq=False)
class ReadoutParameters(_Values):
    """Registers of the readout neurons, each int32 `(n_out,)`.

    They are leaky integrators: LIF neurons without synaptic memory and with the largest
    threshold there is. `dv`, `bias_mant`, `bias_exp` are as in `NeuronParameters`.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    dv: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        names = ["dv", "bias_mant", "bias_exp"]
        raise_violations("ReadoutParameters", freeze_registers(self, names))


@dataclass(frozen=True, eq=False)
class TestVectors(_Values):
    """Inputs with the states that they must lead to, time first.

    Attributes
    ----------
    x
        int32 `(T, S, n_in)` input of S samples.
    label
        int64 `(S,)` class of each sample, or None.
    u, v, b
        int32 `(T, S, n_rec)` current, membrane and adaptation after each step.
    spikes
        uint8 `(T, S, n_rec)`.
    y
        int32 `(T, S, n_out)` readout.

    Raises
    ------
    HardwareError
        If shapes or ranges disagree; the message lists all of it.
    """

    __test__ = False

    x: np.ndarray
    label: np.ndarray | None
    u: np.ndarray
    v: np.ndarray
    b: np.ndarray
    spikes: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        """Check, convert and freeze the arrays."""
        remedy = "Record the vectors with hardware.emulator.run"
        problems: list[Violation] = []
        for name in ("x", "u", "v", "b", "spikes", "y"):
            high, dtype = (1, np.uint8) if name == "spikes" else (2**31 - 1, np.int32)
            array, found = integer_array(
                name,
                getattr(self, name),
                3,
                -high - 1 if high > 1 else 0,
                high,
                dtype,
                remedy,
            )
            problems += found
            object.__setattr__(self, name, array)
        if self.label is not None:
            limit = 2**63 - 1
            label, found = integer_array(
                "label", self.label, 1, -limit, limit, np.int64, remedy
            )
            problems += found
            object.__setattr__(self, "label", label)
        if not problems:
            problems += self._shape_violations(remedy)
        raise_violations("TestVectors", problems)

    def _shape_violations(self, remedy: str) -> list[Violation]:
        steps, samples = self.x.shape[:2]
        neurons = self.v.shape[2]
        expected: dict[str, tuple[int, ...]] = {
            "u": (steps, samples, neurons),
            "v": (steps, samples, neurons),
            "b": (steps, samples, neurons),
            "spikes": (steps, samples, neurons),
            "y": (steps, samples, self.y.shape[2]),
        }
        if self.label is not None:
            expected["label"] = (samples,)
        return [
            Violation(name, f"of shape {shape}", str(got), remedy)
            for name, shape in expected.items()
            if (got := getattr(self, name).shape) != shape
        ]


@dataclass(frozen=True, eq=False)
class NetworkDescription(_Values):
    """A recurrent network with its readout, integers only.

    Attributes
    ----------
    w_in, w_rec, w_out
        Connections `(n_rec, n_in)`, `(n_rec, n_rec)` and `(n_out, n_rec)`.
    neurons, readout
        Registers of the neurons.
    input_bits
        0: the input is binary spikes; k = 1..24: unsigned graded messages
        `0..2**k - 1`.
    dt
        Time step in ms; nothing in the integer dynamics depends on it.
    metadata
        Free text and numbers about the origin (plain scalars only).
    vectors
        Test vectors, or None.

    Raises
    ------
    HardwareError
        If the parts do not fit together; the message lists all disagreements.
    """

    w_in: Connection
    w_rec: Connection
    w_out: Connection
    neurons: NeuronParameters
    readout: ReadoutParameters
    input_bits: int = 0
    dt: float = 1.0
    metadata: dict[str, str | int | float | bool] = field(default_factory=dict)
    vectors: TestVectors | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        problems = network_shape_violations(self)
        bits_ok = is_integer(self.input_bits) and 0 <= self.input_bits <= MAX_INPUT_BITS
        problems += unless(
            bits_ok,
            "input_bits",
            f"an integer 0..{MAX_INPUT_BITS}",
            self.input_bits,
            "0 stands for binary spikes",
        )
        dt_ok = (
            isinstance(self.dt, int | float)
            and not isinstance(self.dt, bool)
            and math.isfinite(self.dt)
            and self.dt > 0
        )
        problems += unless(
            dt_ok, "dt", "a finite number > 0 ms", self.dt, "Times are in ms"
        )
        problems += metadata_violations(self.metadata)
        if self.vectors is not None and bits_ok and not problems:
            problems += vector_violations(self, self.vectors)
        raise_violations("NetworkDescription", problems)
        object.__setattr__(self, "input_bits", int(self.input_bits))
        object.__setattr__(self, "dt", float(self.dt))
        object.__setattr__(self, "metadata", dict(self.metadata))

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return self.w_in.weights.shape[1]

    @property
    def n_rec(self) -> int:
        """Number of recurrent neurons."""
        return self.w_in.weights.shape[0]

    @property
    def n_out(self) -> int:
        """Number of readout neurons."""
        return self.w_out.weights.shape[0]

    @property
    def input_max(self) -> int:
        """Largest input value: 1 for binary spikes, else `2**input_bits - 1`."""
        return 1 if self.input_bits == 0 else 2**self.input_bits - 1

    def sha256(self) -> str:
        """Return the digest (hexadecimal) of `to_json`, which leaves vectors out."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file (format version 1) atomically.

        Raises
        ------
        FileAccessError
            If it cannot be written; an older file stays as it was.
        """
        from hardware import _storage

        _storage.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> NetworkDescription:
        """Read a file written by `save`.

        Raises
        ------
        FileAccessError
            If it cannot be opened.
        FileFormatError
            If it is corrupt, of another kind, too large or newer.
        """
        from hardware import _storage

        return _storage.load(path)

    def to_json(self) -> str:
        """Return the description without vectors as JSON.

        It follows the published schema, `hardware.schema.load_schema()`.
        """
        from hardware import _storage

        return _storage.to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> NetworkDescription:
        """Build a description from the text that `to_json` returns.

        Raises
        ------
        FileFormatError
            If it is not JSON, breaks the schema or a limit, or is newer.
        """
        from hardware import _storage

        return _storage.from_json(text)
