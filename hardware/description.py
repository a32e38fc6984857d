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
    MAX_DELAY,
    MAX_INPUT_BITS,
    PROCESSES,
    RESETS,
    SCALE,
    SIGN_MODES,
    delay_violations,
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
from hardware.neurons import (
    LAVA_ADAPTIVE,
    LAVA_LIF,
    ArrayValues,
    ATRLIFParameters,
    NeuronParameters,
    Neurons,
    ReadoutParameters,
    TernaryParameters,
)
from spikelearn.errors import HardwareError

__all__ = [
    "LAVA_ADAPTIVE",
    "LAVA_LIF",
    "PROCESSES",
    "RESETS",
    "SIGN_MODES",
    "ATRLIFParameters",
    "Connection",
    "NetworkDescription",
    "NeuronParameters",
    "Neurons",
    "ReadoutParameters",
    "TernaryParameters",
    "TestVectors",
    "keep_bits",
]


@dataclass(frozen=True, eq=False)
class Connection(ArrayValues):
    """A block of synapses between two populations.

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
    delays
        uint8 `(post, pre)`, 0..62 steps that a spike needs beyond the step it needs
        anyway, or None. With an array Lava's process is `DelayDense`.
    process
        `"dense"` or `"sparse"`: the process that Lava gets. The numbers are the same;
        a sparse block has no delays.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    weights: np.ndarray
    exponent: int
    bits: int = 8
    sign: str = "mixed"
    delays: np.ndarray | None = None
    process: str = "dense"

    def __post_init__(self) -> None:
        """Check, convert and freeze weights and delays."""
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
        problems += unless(
            self.process in PROCESSES,
            "process",
            f"one of {', '.join(PROCESSES)}",
            repr(self.process),
            "dense always works",
        )
        delays = None
        if self.delays is not None:
            delays, found = integer_array(
                "delays", self.delays, 2, 0, MAX_DELAY, np.uint8, "Use shorter delays"
            )
            problems += found
            if delays is not None:
                problems += delay_violations(weights, delays, self.process)
        raise_violations("Connection", problems)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "delays", delays)
        object.__setattr__(self, "exponent", int(self.exponent))
        object.__setattr__(self, "bits", int(self.bits))

    @property
    def longest_delay(self) -> int:
        """The largest delay, 0 without delays."""
        return 0 if self.delays is None else int(self.delays.max(initial=0))


@dataclass(frozen=True, eq=False)
class TestVectors(ArrayValues):
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
        uint8 `(T, S, n_rec)`, or int8 if there are spikes of -1.
    y
        int32 `(T, S, n_out)` readout.
    r
        int32 `(T, S, n_rec)` refractory state of ATRLIF neurons, else None.

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
    r: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check, convert and freeze the arrays."""
        remedy = "Record the vectors with hardware.emulator.run"
        problems: list[Violation] = []
        for name in ("x", "u", "v", "b", "spikes", "y", "r"):
            given = getattr(self, name)
            if name == "r" and given is None:
                continue
            low, high = -(2**31), 2**31 - 1
            dtype: type = np.int32
            if name == "spikes":
                signed = np.asarray(given).dtype.kind == "i" and (given < 0).any()
                low, high, dtype = -1, 1, np.int8 if signed else np.uint8
            array, found = integer_array(name, given, 3, low, high, dtype, remedy)
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
        if self.r is not None:
            expected["r"] = (steps, samples, neurons)
        return [
            Violation(name, f"of shape {shape}", str(got), remedy)
            for name, shape in expected.items()
            if (got := getattr(self, name).shape) != shape
        ]


@dataclass(frozen=True, eq=False)
class NetworkDescription(ArrayValues):
    """A recurrent network with its readout, integers only.

    Attributes
    ----------
    w_in, w_rec, w_out
        Connections `(n_rec, n_in)`, `(n_rec, n_rec)` and `(n_out, n_rec)`.
    neurons
        Registers of the recurrent neurons: `NeuronParameters` (LIF),
        `TernaryParameters` or `ATRLIFParameters`; `neurons.kind` names them.
    readout
        Registers of the readout neurons.
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
    neurons: Neurons
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
    def lif(self) -> NeuronParameters:
        """The neurons, for code that knows only LIF neurons.

        Raises
        ------
        HardwareError
            If they are of another kind.
        """
        if not isinstance(self.neurons, NeuronParameters):
            raise HardwareError(
                f"neurons must be LIF neurons here; got {self.neurons.kind!r}. "
                "(The emulator and Lava run the other kinds.)"
            )
        return self.neurons

    @property
    def input_max(self) -> int:
        """Largest input value: 1 for binary spikes, else `2**input_bits - 1`."""
        return 1 if self.input_bits == 0 else 2**self.input_bits - 1

    def sha256(self) -> str:
        """Return the digest (hexadecimal) of `to_json`, which leaves vectors out."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file atomically.

        Its format version is 1, or 2 if the network needs it: with delays, sparse
        blocks, a periodic reset, or neurons of another kind than LIF.

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
