"""Quantisation: a float network becomes integers, and a report says what it cost.

One scale S turns voltages into the integers of the chip, v_int = S v, for the whole
population; another one, S_y, does so for the readout. Each block of weights shares an
exponent e >= 0:

    w_in, w_rec:  mantissa 2^e 64 = S zeta w          w_out:  mantissa 2^e 64 = S_y c w
    vth 64 = S v_th     beta 64 = S beta     bias_mant 2^bias_exp = S bias
    dv = 4096 (1 - alpha_m)     du = 4096 (1 - alpha_s) - 1     db = 4096 (1 - rho)

each rounded to the register whose time constant is nearest

(graded input of k bits: w_in is divided by 2^k - 1). S is searched: not so large that
a state could leave 24 bits or a weight its block, and among the scales below that bound
the one whose integer readout is nearest to the float one on calibration data.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from hardware import emulator
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    keep_bits,
)
from hardware.quantization_report import (
    STATE_MAX,
    UNIT,
    QuantizationReport,
    effective_weights,
    make_report,
    refuse,
    relative_error,
    tau_of_register,
)
from spikelearn.errors import HardwareError, require
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = [
    "PARAMETERS_DIGEST",
    "integer_input",
    "output_scale",
    "parameters_digest",
    "quantise",
]

PARAMETERS_DIGEST = "parameters_sha256"  # in the metadata of a description

REGISTER_MAX = 131_071  # of vth and beta
MAX_EXPONENT = 7
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
    InvalidValue
        If the calibration input or the number of bits is wrong.
    """
    require(2 <= bits <= 8, "quantise.bits", "must be 2 to 8", bits)
    _require_representable(network)
    if input_bits is None:
        raise HardwareError(
            "input must be spikes or lie on a grid of input_bits; got real values, "
            "which have no integer form. (Train on a task with another encoding; "
            "`spikelearn tasks` shows the input of each.)"
        )
    for name, array in network.params.arrays().items():
        if not np.isfinite(array).all():
            raise HardwareError(f"{name} must be finite; got NaN or infinity.")
    x = integer_input(calibration, input_bits)
    record = network.run(calibration, record=("v", "a", "i"), threads=threads)
    largest = _largest_scale(network, record, input_bits, bits)
    readout_scale = _output_scale(network, record, bits)
    candidates = []
    for k in range(OCTAVES * SCALES_PER_OCTAVE):
        scale = largest * 2.0 ** (-k / SCALES_PER_OCTAVE)
        description = _describe(network, scale, readout_scale, input_bits, bits)
        result = emulator.run(description, x, record=(), threads=threads)
        error = relative_error(result.y / readout_scale - record.y, record.y)
        candidates.append((result.u_wraps, error, -scale))
    scale = -min(candidates)[2]
    description = _describe(
        network, scale, readout_scale, input_bits, bits, metadata or {}
    )
    result = emulator.run(description, x, threads=threads)
    report = make_report(network, record, description, result, bits)
    if strict:
        refuse(report)
    return description, report


def _require_representable(network: RecurrentNetwork) -> None:
    """Raise `HardwareError` for what the integer model has no form of, all at once."""
    problems = []
    if not network.spiking:
        problems.append("cells must spike; got rate units. (Train LIF or ALIF cells.)")
    longest = int(np.max(network.delay))
    if longest > 1:
        problems.append(
            f"recurrent delays must be 1 step; got {longest}. (Set network.delay = 1.)"
        )
    if problems:
        raise HardwareError("\n".join(problems))


def _largest_mantissa(bits: int) -> int:
    return 256 - 2 ** (9 - bits)  # mixed signs, the most restrictive mode


def _largest_scale(
    network: RecurrentNetwork, record: Record, input_bits: int, bits: int
) -> float:
    """Return the largest scale at which nothing overflows on the calibration data."""
    cell = network.cell_constants
    zeta = cell.zeta.astype(np.float64)
    threshold = cell.v_th + cell.beta * record.state("a")
    current = float(np.abs(zeta * record.state("i")).max())
    membrane = max(float(np.abs(record.state("v")).max()), float(threshold.max()))
    limits = [
        STATE_MAX / (WRAP_HEADROOM * max(current, 1e-300)),
        STATE_MAX / (SATURATION_HEADROOM * membrane),
    ]
    limits += [REGISTER_MAX * UNIT / _peak(x) for x in (cell.v_th, cell.beta)]
    limits.append(4095 * 2**MAX_EXPONENT / _peak(network.params.bias))
    weights = effective_weights(network, input_bits)
    for name in ("w_in", "w_rec"):
        limits.append(_block_limit(weights[name], bits))
    return min(limits)


def _peak(array: np.ndarray) -> float:
    """Largest absolute value, or a tiny positive number for an array of zeros."""
    return max(float(np.abs(array).max(initial=0.0)), 1e-300)


def _block_limit(weights: np.ndarray, bits: int) -> float:
    """Return the scale at which the largest weight needs the largest exponent."""
    return _largest_mantissa(bits) * UNIT * 2**MAX_EXPONENT / _peak(weights)


def _output_scale(network: RecurrentNetwork, record: Record, bits: int) -> float:
    """Return S_y: readout in range, mantissas of the largest output weight in full."""
    weights = effective_weights(network, 0)["w_out"]
    peak = max(_peak(record.y), _peak(weights), 1e-30)
    largest = min(
        STATE_MAX / (WRAP_HEADROOM * peak),
        _block_limit(weights, bits),
        4095 * 2**MAX_EXPONENT / _peak(network.params.b_out),
    )
    full = _largest_mantissa(bits) * UNIT / _peak(weights)
    octaves = np.floor(np.log2(largest / full))
    return largest if octaves < 0 else full * 2.0**octaves


def _connection(weights: np.ndarray, scale: float, bits: int) -> Connection:
    """Choose sign mode and exponent of a block with the least squared error."""
    sign = "mixed"
    if (weights >= 0).all():
        sign = "excitatory"
    elif (weights <= 0).all():
        sign = "inhibitory"
    options = []
    for exponent in range(MAX_EXPONENT + 1):
        unit = UNIT * 2.0**exponent
        mantissas = _round_mantissas(weights * (scale / unit), bits, sign)
        error = float(np.sum(np.square(mantissas * unit - scale * weights)))
        options.append((error, exponent, mantissas))
    _, exponent, mantissas = min(options, key=lambda option: option[:2])
    return Connection(mantissas, exponent, bits, sign)


def _round_mantissas(values: np.ndarray, bits: int, sign: str) -> np.ndarray:
    """Round to the nearest mantissa that `keep_bits` leaves alone."""
    step = 2 ** (8 - bits + (sign == "mixed"))
    low = {"mixed": -256, "excitatory": 0, "inhibitory": step - 256}[sign]
    high = {"mixed": 256 - step, "excitatory": 256 - step, "inhibitory": 0}[sign]
    rounded = np.clip(np.rint(values / step) * step, low, high).astype(np.int64)
    return keep_bits(rounded, bits, sign).astype(np.int16)


def _decay_register(tau: np.ndarray, dt: float) -> np.ndarray:
    """Return d of 0..4096 with the time constant nearest to `tau`, and 0 below 1/2."""
    exact = 4096 * (1.0 - decay_factor(tau, dt))
    lower = np.floor(exact)
    upper = np.minimum(lower + 1, 4096)
    below, above = (np.abs(tau_of_register(d, dt) - tau) for d in (lower, upper))
    nearest = np.where(below <= above, lower, upper)
    return np.where(exact < 1, np.rint(exact), nearest).astype(np.int64)


def _bias_registers(values: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mantissas and the smallest exponents that hold them in 13 bits."""
    scaled = scale * values.astype(np.float64)
    exponents = np.zeros(values.size, np.int64)
    for exponent in range(1, MAX_EXPONENT + 1):
        exponents[np.abs(scaled) / 2 ** (exponent - 1) > 4095] = exponent
    return np.rint(scaled / 2.0**exponents).astype(np.int64), exponents


def _describe(
    network: RecurrentNetwork,
    scale: float,
    readout_scale: float,
    input_bits: int,
    bits: int,
    metadata: dict[str, str | int | float | bool] | None = None,
) -> NetworkDescription:
    """Round everything at given scales."""
    cell, dt = network.cell_constants, network.dt
    weights = effective_weights(network, input_bits)

    def decay(name: str) -> np.ndarray:
        return _decay_register(network.cell.per_neuron(name, network.n_rec), dt)

    bias_mant, bias_exp = _bias_registers(network.params.bias, scale)
    neurons = NeuronParameters(
        du=np.maximum(decay("tau_syn") - 1, 0),
        dv=np.minimum(decay("tau_m"), 4095),
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        vth=np.rint(scale * cell.v_th.astype(np.float64) / UNIT).astype(np.int64),
        beta=np.rint(scale * cell.beta.astype(np.float64) / UNIT).astype(np.int64),
        db=decay("tau_a"),
        refractory=np.maximum(cell.n_ref.astype(np.int64) - 1, 0),
        reset="zero" if cell.reset_to_zero else "subtract",
    )
    out_mant, out_exp = _bias_registers(network.params.b_out, readout_scale)
    tau_out = np.full(network.n_out, network.readout.tau_out)
    readout = ReadoutParameters(
        dv=np.minimum(_decay_register(tau_out, dt), 4095),
        bias_mant=out_mant,
        bias_exp=out_exp,
    )
    labels = dict(metadata or {})
    labels |= {"voltage_scale": scale, "output_scale": readout_scale}
    labels[PARAMETERS_DIGEST] = parameters_digest(network)
    return NetworkDescription(
        w_in=_connection(weights["w_in"], scale, bits),
        w_rec=_connection(weights["w_rec"], scale, bits),
        w_out=_connection(weights["w_out"], readout_scale, bits),
        neurons=neurons,
        readout=readout,
        input_bits=input_bits,
        dt=dt,
        metadata=labels,
    )
