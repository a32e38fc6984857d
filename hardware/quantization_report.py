"""What quantisation cost: errors of blocks and registers, drift of the spikes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from hardware.description import Connection, NetworkDescription
from hardware.emulator import IntegerRecord
from spikelearn.errors import HardwareError
from spikelearn.network import Record, RecurrentNetwork

__all__ = [
    "STATE_MAX",
    "UNIT",
    "BlockReport",
    "QuantizationReport",
    "effective_weights",
    "make_report",
    "refuse",
    "relative_error",
]

UNIT = 64  # a weight, threshold or adaptation mantissa counts in units of 2^6
STATE_MAX = 2**23 - 1


@dataclass(frozen=True)
class BlockReport:
    """How well one block of weights is represented."""

    name: str
    exponent: int
    bits: int
    sign: str
    largest_mantissa: int
    relative_error: float  # root mean square of the error over that of the weights
    lost: int  # non-zero weights that became zero
    clipped: int


@dataclass(frozen=True)
class QuantizationReport:
    """What quantisation changed, measured on the calibration data.

    Peaks are the largest states as fractions of 24 bits. Time constants are pairs
    (wanted, got) in ms of the neuron with the largest relative error.
    """

    bits: int
    voltage_scale: float
    output_scale: float
    blocks: tuple[BlockReport, ...]
    tau_m: tuple[float, float]
    tau_syn: tuple[float, float] | None
    tau_a: tuple[float, float] | None
    tau_out: tuple[float, float]
    threshold_error: float
    calibration_samples: int
    peak_u: float
    peak_v: float
    peak_threshold: float
    u_wraps: int
    v_saturations: int
    y_saturations: int
    spikes_float: int
    spikes_integer: int
    spikes_differing: int
    silent_before: int
    silent_after: int
    readout_error: float  # root mean square over that of the float readout

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values."""
        return asdict(self)


def effective_weights(
    network: RecurrentNetwork, input_bits: int
) -> dict[str, np.ndarray]:
    """Return weights as they act on v (or y) per unit of integer input, float64."""
    params = network.params
    zeta = network.cell_constants.zeta.astype(np.float64)[:, None]
    _, gain = network.readout.factors(network.dt)
    payload = 1 if input_bits == 0 else 2**input_bits - 1
    return {
        "w_in": zeta * params.w_in / payload,
        "w_rec": zeta * params.w_rec,
        "w_out": gain * params.w_out.astype(np.float64),
    }


def relative_error(error: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square of `error` over that of `reference`."""
    reference = np.asarray(reference, np.float64)
    norm = float(np.sqrt(np.mean(np.square(reference))))
    size = float(np.sqrt(np.mean(np.square(error))))
    return size / norm if norm > 0 else size


def make_report(
    network: RecurrentNetwork,
    record: Record,
    description: NetworkDescription,
    result: IntegerRecord,
    bits: int,
) -> QuantizationReport:
    """Compare the integer run with the float run of the calibration data."""
    scale = float(description.metadata["voltage_scale"])
    output_scale = float(description.metadata["output_scale"])
    weights = effective_weights(network, description.input_bits)
    cell, neurons = network.cell_constants, description.neurons
    blocks = tuple(
        _block_report(name, getattr(description, name), weights[name], factor)
        for name, factor in (
            ("w_in", scale),
            ("w_rec", scale),
            ("w_out", output_scale),
        )
    )
    spikes = record.spikes
    emulated = cast(np.ndarray, result.spikes)
    threshold = (neurons.vth * UNIT) + cast(np.ndarray, result.b)
    wanted = scale * cell.v_th.astype(np.float64)
    error = np.abs(neurons.vth * UNIT - wanted) / wanted
    dt = network.dt
    kappa, _ = network.readout.factors(dt)
    return QuantizationReport(
        bits=bits,
        voltage_scale=scale,
        output_scale=output_scale,
        blocks=blocks,
        tau_m=_worst_tau(cell.alpha_m, neurons.dv, dt),
        tau_syn=(
            _worst_tau(cell.alpha_s, neurons.du + 1, dt)
            if cell.has_synaptic_current
            else None
        ),
        tau_a=(
            _worst_tau(cell.rho[cell.beta > 0], neurons.db[cell.beta > 0], dt)
            if cell.has_adaptation
            else None
        ),
        tau_out=_worst_tau(np.array([kappa]), description.readout.dv[:1], dt),
        threshold_error=float(error.max()),
        calibration_samples=record.n_samples,
        peak_u=float(np.abs(cast(np.ndarray, result.u)).max() / STATE_MAX),
        peak_v=float(np.abs(cast(np.ndarray, result.v)).max() / STATE_MAX),
        peak_threshold=float(threshold.max() / STATE_MAX),
        u_wraps=result.u_wraps,
        v_saturations=result.v_saturations,
        y_saturations=result.y_saturations,
        spikes_float=int(spikes.sum(dtype=np.int64)),
        spikes_integer=int(emulated.sum(dtype=np.int64)),
        spikes_differing=int((spikes != emulated).sum()),
        silent_before=int((~spikes.any(axis=(0, 1))).sum()),
        silent_after=int((~emulated.any(axis=(0, 1))).sum()),
        readout_error=relative_error(result.y / output_scale - record.y, record.y),
    )


def _block_report(
    name: str, connection: Connection, weights: np.ndarray, scale: float
) -> BlockReport:
    unit = UNIT * 2.0**connection.exponent
    represented = connection.weights.astype(np.float64) * unit
    step = 2 ** (8 - connection.bits + (connection.sign == "mixed"))
    beyond = np.abs(scale * weights) > (256 - step / 2) * unit
    return BlockReport(
        name=name,
        exponent=connection.exponent,
        bits=connection.bits,
        sign=connection.sign,
        largest_mantissa=int(np.abs(connection.weights).max()),
        relative_error=relative_error(represented - scale * weights, scale * weights),
        lost=int(((weights != 0) & (connection.weights == 0)).sum()),
        clipped=int(beyond.sum()),
    )


def _worst_tau(
    factor: np.ndarray, register: np.ndarray, dt: float
) -> tuple[float, float]:
    """Return (wanted, got) time constants in ms where they differ most."""
    wanted = _tau(factor.astype(np.float64), dt)
    got = _tau(1.0 - register / 4096.0, dt)
    both = np.isfinite(wanted) & np.isfinite(got) & (wanted > 0)
    relative = np.where(both, np.abs(got - wanted) / np.where(both, wanted, 1.0), 0.0)
    worst = int(relative.argmax())
    return float(wanted[worst]), float(got[worst])


def _tau(factor: np.ndarray, dt: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -dt / np.log(np.clip(factor, 0.0, 1.0))


def refuse(report: QuantizationReport) -> None:
    """Raise one error that lists what the integers do not represent."""
    problems = []
    if report.threshold_error > 0.1:
        problems.append(
            "cell.v_th must keep its value within 10 %; got "
            f"{report.threshold_error:.0%} off. (Weights are much larger than the "
            "threshold: train with weight decay.)"
        )
    problems += [
        f"{block.name} must keep its weights within 50 % (root mean square) at "
        f"{block.bits} bits; got {block.relative_error:.0%}, {block.lost} lost. "
        "(Use more bits, or remove outliers with weight decay.)"
        for block in report.blocks
        if block.relative_error > 0.5
    ]
    if report.u_wraps:
        problems.append(
            f"the current u must stay within 24 bits; got {report.u_wraps} overflows. "
            "(Lower the input rates or weights.)"
        )
    if problems:
        lines = "\n".join(problems)
        raise HardwareError(f"the network does not fit its integers:\n{lines}")
