"""From the constants of a float network to integers, at given scales, and back.

S_j turns the voltage of neuron j into the integers of the chip, v_int = S_j v; S_y does
so for the readout. Each block of weights shares an exponent e >= 0:

    w_in, w_rec:  mantissa 2^e 64 = S_j zeta_j w_ji    w_out:  mantissa 2^e 64 = S_y c w
    vth 64 = S_j v_th     beta 64 = S_j beta     bias_mant 2^bias_exp = S_j bias
    dv = 4096 (1 - alpha_m)     du = 4096 (1 - alpha_s) - 1     db = 4096 (1 - rho)

(graded input of k bits: w_in is divided by 2^k - 1). Decays take the register whose
time constant is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hardware._checks import BIAS_MAX
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    keep_bits,
)
from spikelearn.errors import require, unknown_name
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = [
    "MAX_EXPONENT",
    "ROUNDINGS",
    "UNIT",
    "Rounding",
    "Scales",
    "describe",
    "effective_weights",
    "largest_mantissa",
    "represented",
    "tau_of_register",
]

UNIT = 64  # a weight, threshold or adaptation mantissa counts in units of 2^6
MAX_EXPONENT = 7
ROUNDINGS = ("nearest", "floor", "stochastic")


@dataclass(frozen=True)
class Rounding:
    """How weights become mantissas of so many bits.

    Parameters
    ----------
    bits
        Bits of a weight with its sign, 2 to 8.
    mode
        "nearest"; "floor", towards minus infinity; or "stochastic": up with a
        probability that is the part above the floor, so that the mean is the weight
        (Gupta et al. 2015, arXiv:1502.02551).
    seed
        Of the stochastic draws.

    Raises
    ------
    InvalidValue, UnknownName
        If the number of bits or the mode is wrong.
    """

    bits: int = 8
    mode: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        require(2 <= self.bits <= 8, "Rounding.bits", "must be 2 to 8", self.bits)
        if self.mode not in ROUNDINGS:
            raise unknown_name("rounding", self.mode, ROUNDINGS)

    def dropped_bits(self, sign: str) -> int:
        """Return how many last bits of a mantissa are always 0."""
        return 8 - self.bits + int(sign == "mixed")

    def mantissas(self, values: np.ndarray, sign: str, block: int = 0) -> np.ndarray:
        """Round to mantissas that `keep_bits` leaves alone, int16.

        `block` tells the draws of one block of weights from those of another.
        """
        step = 2 ** self.dropped_bits(sign)
        low = {"mixed": -256, "excitatory": 0, "inhibitory": step - 256}[sign]
        high = {"mixed": 256 - step, "excitatory": 256 - step, "inhibitory": 0}[sign]
        steps = values / step
        if self.mode == "nearest":
            steps = np.rint(steps)
        else:
            if self.mode == "stochastic":
                rng = np.random.default_rng([self.seed, block])
                steps = steps + rng.random(steps.shape)
            steps = np.floor(steps)
        rounded = np.clip(steps * step, low, high).astype(np.int64)
        return keep_bits(rounded, self.bits, sign).astype(np.int16)


@dataclass(frozen=True)
class Scales:
    """Integers per unit of voltage, one number for each layer, and per unit of y."""

    voltages: tuple[float, ...]
    output: float

    def per_neuron(self, network: RecurrentNetwork) -> np.ndarray:
        """Return S_j, (n_rec,)."""
        return np.repeat(np.asarray(self.voltages, np.float64), network.layers)

    def metadata(self) -> dict[str, float]:
        """Return the names and numbers under which a description keeps the scales."""
        names = ["voltage_scale"]
        names += [f"voltage_scale_{k + 1}" for k in range(1, len(self.voltages))]
        return {
            **dict(zip(names, self.voltages, strict=True)),
            "output_scale": self.output,
        }

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Scales:
        """Return the scales that `metadata` has put into a description."""
        voltages = [float(metadata["voltage_scale"])]
        while (name := f"voltage_scale_{len(voltages) + 1}") in metadata:
            voltages.append(float(metadata[name]))
        return cls(tuple(voltages), float(metadata["output_scale"]))


def effective_weights(
    network: RecurrentNetwork, input_bits: int
) -> dict[str, np.ndarray]:
    """Return weights as they act on v (or y) per unit of integer input, float64."""
    factors, params = _factors(network, input_bits), network.params
    return {name: factors[name] * getattr(params, name) for name in factors}


def _factors(network: RecurrentNetwork, input_bits: int) -> dict[str, Any]:
    """Return what each block of weights is multiplied with on its way to v or y."""
    zeta = network.cell_constants.zeta.astype(np.float64)[:, None]
    _, gain = network.readout.factors(network.dt)
    payload = 1 if input_bits == 0 else 2**input_bits - 1
    return {"w_in": zeta / payload, "w_rec": zeta, "w_out": float(gain)}


def largest_mantissa(bits: int) -> int:
    """Return the largest mantissa of mixed signs, the most restrictive mode.

    More than 8 bits, which a chip may be asked for, count as 8.
    """
    return 256 - 2 ** max(9 - bits, 1)


def describe(
    network: RecurrentNetwork,
    scales: Scales,
    input_bits: int,
    rounding: Rounding,
    metadata: dict[str, str | int | float | bool] | None = None,
) -> NetworkDescription:
    """Round everything at given scales.

    Raises
    ------
    HardwareError
        If a constant does not fit its register.
    """
    cell, dt, n = network.cell_constants, network.dt, network.n_rec
    voltage = scales.per_neuron(network)
    rows = {"w_in": voltage[:, None], "w_rec": voltage[:, None], "w_out": scales.output}
    weights = effective_weights(network, input_bits)
    blocks: dict[str, Any] = {
        name: _connection(rows[name] * weights[name], rounding, k)
        for k, name in enumerate(rows)
    }
    if np.max(network.delay) > 1:  # one step is that of every synapse
        delays = np.broadcast_to(np.asarray(network.delay) - 1, (n, n))
        blocks["w_rec"] = replace(blocks["w_rec"], delays=delays)

    def decay(name: str) -> np.ndarray:
        return _decay_register(network.cell.per_neuron(name, n), dt)

    bias_mant, bias_exp = _bias_registers(network.params.bias, voltage)
    neurons = NeuronParameters(
        du=np.maximum(decay("tau_syn") - 1, 0),
        dv=np.minimum(decay("tau_m"), 4095),
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        vth=np.rint(voltage * cell.v_th.astype(np.float64) / UNIT).astype(np.int64),
        beta=np.rint(voltage * cell.beta.astype(np.float64) / UNIT).astype(np.int64),
        db=decay("tau_a"),
        refractory=np.maximum(cell.n_ref.astype(np.int64) - 1, 0),
        reset="zero" if cell.reset_to_zero else "subtract",
    )
    out_mant, out_exp = _bias_registers(network.params.b_out, scales.output)
    tau_out = np.full(network.n_out, network.readout.tau_out)
    readout = ReadoutParameters(
        dv=np.minimum(_decay_register(tau_out, dt), 4095),
        bias_mant=out_mant,
        bias_exp=out_exp,
    )
    return NetworkDescription(
        **blocks,
        neurons=neurons,
        readout=readout,
        input_bits=input_bits,
        dt=dt,
        metadata={**(metadata or {}), **scales.metadata()},
    )


def represented(
    network: RecurrentNetwork, description: NetworkDescription
) -> dict[str, np.ndarray]:
    """Return the parameters that the integers stand for, float64, by their names."""
    scales = Scales.of(description.metadata)
    voltage, output = scales.per_neuron(network), scales.output
    rows = {"w_in": voltage[:, None], "w_rec": voltage[:, None], "w_out": output}
    values = {}
    for name, factor in _factors(network, description.input_bits).items():
        block = getattr(description, name)
        unit = UNIT * 2.0**block.exponent
        values[name] = block.weights * unit / (rows[name] * factor)
    neurons, readout = description.neurons, description.readout
    values["bias"] = neurons.bias_mant * 2.0**neurons.bias_exp / voltage
    values["b_out"] = readout.bias_mant * 2.0**readout.bias_exp / output
    return values


def _connection(weights: np.ndarray, rounding: Rounding, block: int) -> Connection:
    """Choose sign mode and exponent of a block with the least squared error.

    Exponents are negative only as far as mantissas have zeros to shift out.
    """
    sign = "mixed"
    if (weights >= 0).all():
        sign = "excitatory"
    elif (weights <= 0).all():
        sign = "inhibitory"
    options = []
    for exponent in range(-rounding.dropped_bits(sign), MAX_EXPONENT + 1):
        unit = UNIT * 2.0**exponent
        mantissas = rounding.mantissas(weights / unit, sign, block)
        error = float(np.sum(np.square(mantissas * unit - weights)))
        options.append((error, exponent, mantissas))
    _, exponent, mantissas = min(options, key=lambda option: option[:2])
    return Connection(mantissas, exponent, rounding.bits, sign)


def tau_of_register(register: np.ndarray, dt: float) -> np.ndarray:
    """Return -dt / log(1 - register / 4096): infinite for 0, and 0 for 4096."""
    with np.errstate(divide="ignore"):
        return -dt / np.log1p(-np.asarray(register) / 4096.0)


def _decay_register(tau: np.ndarray, dt: float) -> np.ndarray:
    """Return d of 0..4096 with the time constant nearest to `tau`, and 0 below 1/2."""
    exact = 4096 * (1.0 - decay_factor(tau, dt))
    lower = np.floor(exact)
    upper = np.minimum(lower + 1, 4096)
    below, above = (np.abs(tau_of_register(d, dt) - tau) for d in (lower, upper))
    nearest = np.where(below <= above, lower, upper)
    return np.where(exact < 1, np.rint(exact), nearest).astype(np.int64)


def _bias_registers(
    values: np.ndarray, scale: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Return mantissas and the smallest exponents that hold them in 13 bits."""
    scaled = scale * values.astype(np.float64)
    exponents = np.zeros(values.size, np.int64)
    for exponent in range(1, MAX_EXPONENT + 1):
        exponents[np.abs(scaled) / 2 ** (exponent - 1) > BIAS_MAX] = exponent
    return np.rint(scaled / 2.0**exponents).astype(np.int64), exponents
