"""Quantisation: a float network becomes integers, and a report says what it cost.

The scales of `hardware.rounding` are searched on calibration data, one for each layer
of the network: not so large that a state could leave 24 bits or a weight its block, and
among those below that bound the ones whose spike trains are nearest to the float ones.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from hardware import emulator
from hardware._checks import BIAS_MAX, MAX_DELAY, STATE_MAX, THRESHOLD_MAX
from hardware.description import NetworkDescription
from hardware.quantization_report import (
    QuantizationReport,
    make_report,
    refuse,
    weight_error,
)
from hardware.rounding import (
    MAX_EXPONENT,
    UNIT,
    Rounding,
    Scales,
    describe,
    effective_weights,
    largest_mantissa,
)
from hardware.spike_trains import squared_errors
from spikelearn.errors import HardwareError
from spikelearn.network import Record, RecurrentNetwork

__all__ = [
    "PARAMETERS_DIGEST",
    "check_representable",
    "integer_input",
    "output_scale",
    "parameters_digest",
    "quantise",
    "search_scales",
]

PARAMETERS_DIGEST = "parameters_sha256"  # in the metadata of a description

# States of unseen data may exceed those of calibration by these factors: a current
# that leaves 24 bits wraps around, a membrane only saturates.
WRAP_HEADROOM = 2.0
SATURATION_HEADROOM = 1.25
SCALES_PER_OCTAVE = 8
OCTAVES = 3


def integer_input(x: np.ndarray, input_bits: int) -> np.ndarray:
    """Turn spikes or graded input into the integers that the chip receives.

    Raises
    ------
    HardwareError
        If graded input does not lie on the grid k / (2^input_bits - 1).
    """
    scale = 1 if input_bits == 0 else 2**input_bits - 1
    if scale == 1 and np.asarray(x).dtype.kind in "iu":
        return np.asarray(x).astype(np.int32)
    scaled = np.asarray(x, np.float64) * scale
    integers = np.rint(scaled)
    if np.abs(scaled - integers).max(initial=0.0) > 1e-3:
        raise HardwareError(
            f"input must lie on the grid k / {scale}; got values between. (Quantise it "
            "where the task encodes it, so that float and integer runs see the same.)"
        )
    return integers.astype(np.int32)


def parameters_digest(network: RecurrentNetwork) -> str:
    """Return the sha256 (hexadecimal) of the bytes of all parameters of a network.

    `quantise` keeps it in the metadata, as `parameters_sha256`: integers and weights
    belong together when the digests are equal.
    """
    digest = hashlib.sha256()
    for name, array in network.params.arrays().items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def output_scale(description: NetworkDescription) -> float:
    """Return S_y, by which the integer readout is divided to get the float one.

    Raises
    ------
    HardwareError
        If the metadata of the description lack it, as of one made by hand.
    """
    value = description.metadata.get("output_scale")
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    scale = float(value) if plain and value is not None else 0.0
    if not 0 < scale < math.inf:
        raise HardwareError(
            f"metadata['output_scale'] must be a number > 0; got {value!r}. "
            "(hardware.quantization.quantise writes it.)"
        )
    return scale


def quantise(
    network: RecurrentNetwork,
    calibration: np.ndarray,
    *,
    input_bits: int | None = 0,
    bits: int = 8,
    rounding: str = "nearest",
    seed: int = 0,
    scales: Scales | None = None,
    strict: bool = True,
    metadata: dict[str, str | int | float | bool] | None = None,
    threads: int = 1,
) -> tuple[NetworkDescription, QuantizationReport]:
    """Turn a trained network into integers.

    Parameters
    ----------
    network
        LIF or ALIF network; it is not changed.
    calibration : (T, B, n_in) array
        Typical input, of the kind the network was trained on; never test data.
    input_bits
        0 for spikes, k for graded input on the grid k / (2^input_bits - 1). None, for
        real-valued input, is refused.
    bits
        Bits of a weight with its sign, 2 to 8.
    rounding, seed
        How weights are rounded, and the seed of stochastic rounding (`Rounding`).
    scales
        Scales to use; default: they are searched.
    strict
        Raise when weights, constants or states are not represented (the list is in
        `hardware.quantization_report.refuse`); otherwise the report shows it.
    metadata
        Kept with the description, beside the scales and `parameters_digest`.

    Raises
    ------
    HardwareError
        If the input has no integer form, or the network cannot be represented; then all
        reasons at once.
    InvalidValue, UnknownName
        If the calibration input, the number of bits or the rounding is wrong.
    """
    how = Rounding(bits, rounding, seed)
    check_representable(network, input_bits)
    assert input_bits is not None
    for name, array in network.params.arrays().items():
        if not np.isfinite(array).all():
            raise HardwareError(f"{name} must be finite; got NaN or infinity.")
    x = integer_input(calibration, input_bits)
    record = network.run(calibration, record=("v", "a", "i"), threads=threads)
    if scales is None:
        scales = search_scales(network, record, x, input_bits, how, threads=threads)
    labels = dict(metadata or {}) | {PARAMETERS_DIGEST: parameters_digest(network)}
    if how.mode != "nearest":
        labels |= {"rounding": how.mode, "rounding_seed": how.seed}
    description = describe(network, scales, input_bits, how, labels)
    result = emulator.run(description, x, threads=threads)
    report = make_report(network, record, description, result, bits)
    if strict:
        refuse(report)
    return description, report


def check_representable(network: RecurrentNetwork, input_bits: int | None) -> None:
    """Refuse what the integer model has no form of, all of it at once.

    Raises
    ------
    HardwareError
        If units are rates, delays are too long, or input is real-valued.
    """
    problems = []
    if not network.spiking:
        problems.append("cells must spike; got rate units. (Train LIF or ALIF cells.)")
    longest = int(np.max(network.delay))
    if longest > MAX_DELAY + 1:
        problems.append(
            f"recurrent delays must be at most {MAX_DELAY + 1} steps; got {longest}. "
            "(Use shorter delays, or a larger dt.)"
        )
    if input_bits is None:
        problems.append(
            "input must be spikes or lie on a grid of input_bits; got real values, "
            "which have no integer form. (Train on a task with another encoding; "
            "`spikelearn tasks` shows the input of each.)"
        )
    if problems:
        raise HardwareError("\n".join(problems))


@dataclass(frozen=True)
class _Trial:
    """Scales, and what they gave on the calibration data."""

    scales: Scales
    overflows: int
    errors: np.ndarray  # of each sample: `squared_errors`
    weight_error: float


def search_scales(
    network: RecurrentNetwork,
    record: Record,
    x: np.ndarray,
    input_bits: int,
    rounding: Rounding,
    *,
    threads: int = 1,
) -> Scales:
    """Return the scales whose spike trains are nearest to those of a float run.

    First one scale for all layers, then those of one layer after the other. Recurrence
    amplifies rounding, so that errors of spike trains are noisy: of all scales without
    overflow whose mean error is within one standard error (over samples) of the least,
    those with the least error of the weights are taken.

    Parameters
    ----------
    record
        The float run of the calibration data, with its states.
    x
        The same input in integers.
    """
    limits = _largest_scales(network, record, input_bits, rounding.bits)
    output = _output_scale(network, record, rounding.bits)
    wanted = record.spikes
    weights = effective_weights(network, input_bits)

    def tried(voltages: tuple[float, ...]) -> _Trial:
        scales = Scales(voltages, output)
        description = describe(network, scales, input_bits, rounding)
        run = emulator.run(description, x, record=("spikes",), threads=threads)
        assert run.spikes is not None
        error = weight_error(network, description, weights)
        overflows = run.u_wraps + run.v_saturations
        errors = squared_errors(wanted, run.spikes, network.dt)
        return _Trial(scales, overflows, errors, error)

    octaves = np.arange(OCTAVES * SCALES_PER_OCTAVE) / SCALES_PER_OCTAVE
    steps = [float(step) for step in 2.0**-octaves]
    common = min(limits)
    best = _best([tried((common * step,) * len(limits)) for step in steps])
    for layer in range(len(limits)) if len(limits) > 1 else ():
        voltages = best.scales.voltages
        others = [
            (*voltages[:layer], limits[layer] * step, *voltages[layer + 1 :])
            for step in steps
        ]
        best = _best([best, *map(tried, others)])
    return best.scales


def _best(trials: list[_Trial]) -> _Trial:
    fewest = min(trial.overflows for trial in trials)
    trials = [trial for trial in trials if trial.overflows == fewest]
    least = min(trials, key=lambda trial: float(trial.errors.mean()))
    spread = least.errors.std(ddof=1) if least.errors.size > 1 else 0.0
    bound = least.errors.mean() + spread / np.sqrt(least.errors.size)
    near = [trial for trial in trials if trial.errors.mean() <= bound]
    return min(near, key=lambda trial: trial.weight_error)


def _largest_scales(
    network: RecurrentNetwork, record: Record, input_bits: int, bits: int
) -> list[float]:
    """Return for each layer the largest scale at which nothing overflows.

    That is on the calibration data, and with the headroom.
    """
    cell = network.cell_constants
    zeta = cell.zeta.astype(np.float64)
    threshold = cell.v_th + cell.beta * record.state("a")
    current = np.abs(zeta * record.state("i"))
    membrane = np.maximum(np.abs(record.state("v")), threshold)
    weights = effective_weights(network, input_bits)
    limits = []
    for end, size in zip(np.cumsum(network.layers), network.layers, strict=True):
        rows = slice(end - size, end)
        options = [
            STATE_MAX / (WRAP_HEADROOM * _peak(current[..., rows])),
            STATE_MAX / (SATURATION_HEADROOM * _peak(membrane[..., rows])),
            BIAS_MAX * 2**MAX_EXPONENT / _peak(network.params.bias[rows]),
        ]
        options += [
            THRESHOLD_MAX * UNIT / _peak(x[rows]) for x in (cell.v_th, cell.beta)
        ]
        options += [
            _block_limit(weights[name][rows], bits) for name in ("w_in", "w_rec")
        ]
        limits.append(min(options))
    return limits


def _peak(array: np.ndarray) -> float:
    """Largest absolute value, or a tiny positive number for an array of zeros."""
    return max(float(np.abs(array).max(initial=0.0)), 1e-300)


def _block_limit(weights: np.ndarray, bits: int) -> float:
    """Return the scale at which the largest weight needs the largest exponent."""
    return largest_mantissa(bits) * UNIT * 2**MAX_EXPONENT / _peak(weights)


def _output_scale(network: RecurrentNetwork, record: Record, bits: int) -> float:
    """Return S_y: readout in range, mantissas of the largest output weight in full."""
    weights = effective_weights(network, 0)["w_out"]
    peak = max(_peak(record.y), _peak(weights), 1e-30)
    largest = min(
        STATE_MAX / (WRAP_HEADROOM * peak),
        _block_limit(weights, bits),
        BIAS_MAX * 2**MAX_EXPONENT / _peak(network.params.b_out),
    )
    full = largest_mantissa(bits) * UNIT / _peak(weights)
    octaves = np.floor(np.log2(largest / full))
    return largest if octaves < 0 else full * 2.0**octaves
