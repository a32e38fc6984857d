"""The limits that a network description keeps, one function for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware._violations import Violation, integer_array

if TYPE_CHECKING:
    from hardware.description import NetworkDescription, TestVectors
    from hardware.neurons import NeuronParameters

RESETS = ("subtract", "zero")
SIGN_MODES = ("mixed", "excitatory", "inhibitory")
EXPONENT_RANGE = (-8, 7)
MAX_INPUT_BITS = 24
MAX_NEURONS = 131_072
STATE_LIMIT = 2**23
STATE_MAX = STATE_LIMIT - 1  # of 24 bits that saturate
THRESHOLD_MAX = 2**17 - 1  # of vth and beta, in units of 2^6
SCALE = "Scale the network down or choose another exponent"
BIAS_MAX = 4095
NEURON_LIMITS: dict[str, tuple[int, int, str]] = {
    "du": (0, 4095, "Choose a synaptic time constant that 12 bits can hold"),
    "dv": (0, 4095, "Choose a membrane time constant that 12 bits can hold"),
    "bias_mant": (-4096, BIAS_MAX, "Use a larger bias exponent"),
    "bias_exp": (0, 7, "Use a larger mantissa"),
    "vth": (0, THRESHOLD_MAX, "Scale the weights and the threshold down together"),
    "beta": (0, THRESHOLD_MAX, "Scale the weights and the adaptation down together"),
    "db": (0, 4096, "Choose an adaptation time constant that 12 bits can hold"),
    "refractory": (0, 63, "Use a shorter refractory time or a larger dt"),
    "vth_hi": (0, THRESHOLD_MAX, "Scale the weights and the thresholds down together"),
    "vth_lo": (-131_072, 0, "Scale the weights and the thresholds down together"),
    "delta_i": (0, 4095, "Choose a synaptic time constant that 12 bits can hold"),
    "delta_v": (0, 4095, "Choose a membrane time constant that 12 bits can hold"),
    "delta_theta": (0, 4095, "Choose an adaptation time constant that 12 bits hold"),
    "delta_r": (0, 4095, "Choose a refractory time constant that 12 bits can hold"),
    "theta_0": (1, 4095, "Scale the weights and the threshold together"),
    "theta_step": (0, 4095, "Scale the weights and the threshold step down together"),
}
MAX_DELAY = 62
PROCESSES = ("dense", "sparse")
MAX_RESET_INTERVAL = 2**31 - 1


def keep_bits(weights: np.ndarray, bits: int, sign: str) -> np.ndarray:
    """Return the mantissas that Lava's `Dense` keeps of `weights`.

    With `m = 1` for mixed signs and else 0, and `-w` in place of `w` for inhibitory
    weights: `k = 8 - bits + m`, `w = clip(w, -256 m, 255)`, `w = (w >> k) << k`.

    Parameters
    ----------
    weights
        Integers of any shape.
    bits
        1..8; with mixed signs the sign takes one of them.
    sign
        One of `SIGN_MODES`.
    """
    mixed = int(sign == "mixed")
    flip = -1 if sign == "inhibitory" else 1
    shift = 8 - bits + mixed
    kept = np.clip(flip * np.asarray(weights, np.int64), -256 * mixed, 255)
    return flip * ((kept >> shift) << shift)


def is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def unless(
    condition: bool, place: str, limit: str, value: Any, remedy: str
) -> list[Violation]:
    return [] if condition else [Violation(place, limit, str(value), remedy)]


def freeze_registers(owner: Any, names: Sequence[str]) -> list[Violation]:
    problems: list[Violation] = []
    sizes = {}
    for name in names:
        low, high, remedy = NEURON_LIMITS[name]
        given = getattr(owner, name)
        array, found = integer_array(name, given, 1, low, high, np.int32, remedy)
        problems += found
        sizes[name] = np.shape(given)
        object.__setattr__(owner, name, given if array is None else array)
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        limit = "of one common shape"
        problems.append(Violation("registers", limit, shown, "One value per neuron"))
    return problems


def periodic_reset_violations(neurons: NeuronParameters) -> list[Violation]:
    interval, offset = neurons.reset_interval, neurons.reset_offset
    interval_ok = is_integer(interval) and 0 <= interval <= MAX_RESET_INTERVAL
    problems = unless(
        interval_ok,
        "reset_interval",
        f"an integer 0..{MAX_RESET_INTERVAL}",
        interval,
        "0 stands for never",
    )
    highest = max(interval - 1, 0) if interval_ok else MAX_RESET_INTERVAL
    problems += unless(
        is_integer(offset) and 0 <= offset <= highest,
        "reset_offset",
        f"an integer 0..{highest}, below the interval",
        offset,
        "Take the remainder of its division by the interval",
    )
    problems += unless(
        bool(not interval or neurons.plain_lif),
        "reset_interval",
        "0 with adaptation, refractoriness or reset 'subtract'",
        interval,
        "Lava's LIFReset has none of them",
    )
    return problems


def common_value_violation(place: str, register: np.ndarray) -> list[Violation]:
    if register.size == 0 or (register == register[0]).all():
        return []
    shown = f"{int(register.min())}..{int(register.max())}"
    remedy = "Lava's process holds one value for the population"
    return [Violation(place, "the same for all neurons", shown, remedy)]


def kept_bits_violation(weights: np.ndarray, bits: int, sign: str) -> list[Violation]:
    changed = weights != keep_bits(weights, bits, sign)
    if not changed.any():
        return []
    first = tuple(int(i) for i in np.argwhere(changed)[0])
    return [
        Violation(
            "weights",
            f"what {bits} bits with sign mode {sign!r} keep",
            f"{int(changed.sum())} of {weights.size} that change, first "
            f"{int(weights[first])} at index {first}",
            "Apply hardware.description.keep_bits first, or use more bits",
        )
    ]


def trailing_zeros_violation(weights: np.ndarray, zeros: int) -> list[Violation]:
    bad = (weights & ((1 << zeros) - 1)) != 0
    if not bad.any():
        return []
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    return [
        Violation(
            "weights",
            f"multiples of {1 << zeros} when the exponent is {-zeros}",
            f"{int(bad.sum())} of {weights.size} that are not, first "
            f"{int(weights[first])} at index {first}",
            "Use an exponent >= 0: chips floor each weight and Lava floors the sum",
        )
    ]


def delay_violations(
    weights: np.ndarray | None, delays: np.ndarray, process: str
) -> list[Violation]:
    problems = unless(
        weights is None or delays.shape == weights.shape,
        "delays",
        "of the shape of the weights",
        delays.shape,
        "One delay per synapse",
    )
    problems += unless(
        process != "sparse",
        "process",
        "'dense' when there are delays",
        repr(process),
        "Lava's DelayDense is the process with delays that the emulator equals",
    )
    return problems


def network_shape_violations(network: NetworkDescription) -> list[Violation]:
    n_rec, n_in = network.w_in.weights.shape
    n_out = network.w_out.weights.shape[0]
    first = network.neurons.registers[0]
    remedy = "All parts must agree on the number of neurons"
    problems = []
    for place, got, wanted in (
        ("w_rec.weights", network.w_rec.weights.shape, (n_rec, n_rec)),
        ("w_out.weights", network.w_out.weights.shape, (n_out, n_rec)),
        (f"neurons.{first}", getattr(network.neurons, first).shape, (n_rec,)),
        ("readout.dv", network.readout.dv.shape, (n_out,)),
    ):
        problems += unless(got == wanted, place, f"of shape {wanted}", got, remedy)
    for place, size in (("n_in", n_in), ("n_rec", n_rec), ("n_out", n_out)):
        problems += unless(
            1 <= size <= MAX_NEURONS,
            place,
            f"1..{MAX_NEURONS}",
            size,
            "Change the size",
        )
    return problems


def metadata_violations(metadata: Any) -> list[Violation]:
    if not isinstance(metadata, dict):
        shown = type(metadata).__name__
        return [Violation("metadata", "a dict", shown, "Use a dict of plain scalars")]
    problems = []
    for key, value in metadata.items():
        plain = isinstance(value, str | int | float)
        if isinstance(value, float):
            plain = math.isfinite(value)
        problems += unless(
            isinstance(key, str) and plain,
            f"metadata[{key!r}]",
            "str, int, bool or a finite float",
            repr(value),
            "Convert it first",
        )
    return problems


def vector_violations(
    network: NetworkDescription, vectors: TestVectors
) -> list[Violation]:
    remedy = "Record the vectors with hardware.emulator.run"
    problems = []
    for name, wanted in (
        ("x", network.n_in),
        ("v", network.n_rec),
        ("y", network.n_out),
    ):
        got = getattr(vectors, name).shape[2]
        problems += unless(
            got == wanted, f"vectors.{name}", f"{wanted} wide", got, remedy
        )
    if (vectors.spikes < network.neurons.lowest_spike).any():
        limit = f"at least {network.neurons.lowest_spike}"
        problems.append(Violation("vectors.spikes", limit, "-1", remedy))
    if (vectors.r is None) is (network.neurons.kind == "atrlif"):
        limit = "there for ATRLIF neurons and only for them"
        shown = "None" if vectors.r is None else "an array"
        problems.append(Violation("vectors.r", limit, shown, remedy))
    x = vectors.x
    if x.size and (x.min() < 0 or x.max() > network.input_max):
        shown = f"{int(x.min())}..{int(x.max())}"
        limit = f"0..{network.input_max}"
        problems.append(Violation("vectors.x", limit, shown, remedy))
    return problems
