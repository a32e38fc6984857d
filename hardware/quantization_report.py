"""What quantisation cost: errors of blocks and registers, drift of the spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from hardware._checks import STATE_MAX
from hardware.description import Connection, NetworkDescription
from hardware.emulator import IntegerRecord
from hardware.rounding import UNIT, Scales, effective_weights, tau_of_register
from hardware.spike_trains import SpikeDrift, spike_drift, spike_train_error
from spikelearn.errors import HardwareError
from spikelearn.network import Record, RecurrentNetwork

__all__ = [
    "BlockReport",
    "LayerReport",
    "QuantizationReport",
    "TimeConstant",
    "make_report",
    "refuse",
    "relative_error",
    "weight_error",
]

CONSTANT_TOLERANCE = 0.1  # relative error of thresholds, time constants, beta, biases
BLOCK_TOLERANCE = 0.5
DRIFT_TOLERANCE = 0.01

TimeConstant = tuple[float, float | None]
"""Wanted and got, ms; got is None where the integers do not decay at all."""


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
class LayerReport:
    """What became of one layer of the population, on the calibration data.

    `weight_error` is that of all weights into the layer (root mean square over that of
    the weights), `spike_error` that of `hardware.spike_trains.spike_train_error`.
    """

    voltage_scale: float
    weight_error: float
    spike_error: float
    spikes_float: int
    spikes_integer: int


@dataclass(frozen=True)
class QuantizationReport:
    """What quantisation changed, measured on the calibration data.

    Peaks are the largest states as fractions of 24 bits. Time constants are pairs
    (wanted, got) in ms of the neuron with the largest relative error; got is None
    (null in JSON) where the register is 0, that is where nothing decays: an infinite
    time constant, the largest error there is. `threshold_error` and `beta_error` are
    the largest relative errors (beta where it is > 0; None without adaptation).
    `bias_error` and `b_out_error` are root mean squares over those of the biases; the
    drifts are the largest shifts that they cause once accumulated, of v over the
    threshold and of y over the root mean square of the float readout. Neurons that fell
    silent fired in the float network only, new ones in the integer network only.
    `y_wraps` counts the values of the current into the readout that wrapped around: no
    search of scales looks at it, so that it is refused where it happens.
    """

    bits: int
    rounding: str
    dt: float
    output_scale: float
    blocks: tuple[BlockReport, ...]
    layers: tuple[LayerReport, ...]
    tau_m: TimeConstant
    tau_syn: TimeConstant | None
    tau_a: TimeConstant | None
    tau_out: TimeConstant
    threshold_error: float
    beta_error: float | None
    bias_error: float
    bias_drift: float
    b_out_error: float
    b_out_drift: float
    calibration_samples: int
    peak_u: float
    peak_v: float
    peak_threshold: float
    u_wraps: int
    v_saturations: int
    y_wraps: int
    y_saturations: int
    spikes_float: int
    spikes_integer: int
    spikes_differing: int
    spike_error: float
    drift: SpikeDrift
    silent_before: int
    silent_after: int
    fell_silent: int
    new_neurons: int
    readout_error: float  # root mean square over that of the float readout

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values."""
        return asdict(self)


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
    scales = Scales.of(description.metadata)
    scale, output_scale = scales.per_neuron(network), scales.output
    weights = effective_weights(network, description.input_bits)
    cell, neurons = network.cell_constants, description.lif
    readout, params = description.readout, network.params
    blocks = tuple(
        _block_report(name, getattr(description, name), weights[name], factor)
        for name, factor in (
            ("w_in", scale[:, None]),
            ("w_rec", scale[:, None]),
            ("w_out", output_scale),
        )
    )
    spikes = record.spikes
    emulated = cast(np.ndarray, result.spikes)
    threshold = (neurons.vth * UNIT) + cast(np.ndarray, result.b)
    adaptive = cell.beta > 0
    bias = neurons.bias_mant * 2.0**neurons.bias_exp / scale - params.bias
    b_out = readout.bias_mant * 2.0**readout.bias_exp / output_scale - params.b_out
    memory, _ = network.readout.factors(network.dt)
    leak = -np.expm1(-network.dt / network.cell.per_neuron("tau_m", network.n_rec))
    y_size = max(float(np.sqrt(np.mean(np.square(record.y, dtype=np.float64)))), 1e-300)

    def tau(name: str, register: np.ndarray, which: Any = slice(None)) -> TimeConstant:
        wanted = network.cell.per_neuron(name, network.n_rec)
        return _worst_tau(wanted[which], register[which], network.dt)

    fired, fires = spikes.any(axis=(0, 1)), emulated.any(axis=(0, 1))
    return QuantizationReport(
        bits=bits,
        rounding=str(description.metadata.get("rounding", "nearest")),
        dt=network.dt,
        output_scale=output_scale,
        blocks=blocks,
        layers=tuple(_layer_reports(network, description, weights, spikes, emulated)),
        tau_m=tau("tau_m", neurons.dv),
        tau_syn=tau("tau_syn", neurons.du + 1) if cell.has_synaptic_current else None,
        tau_a=tau("tau_a", neurons.db, adaptive) if cell.has_adaptation else None,
        tau_out=_worst_tau(
            np.array([network.readout.tau_out]), readout.dv[:1], network.dt
        ),
        threshold_error=_worst_register(neurons.vth, scale * cell.v_th),
        beta_error=(
            _worst_register(neurons.beta[adaptive], (scale * cell.beta)[adaptive])
            if cell.has_adaptation
            else None
        ),
        bias_error=relative_error(bias, params.bias),
        bias_drift=float((np.abs(bias) / (leak * cell.v_th)).max()),
        b_out_error=relative_error(b_out, params.b_out),
        b_out_drift=float(np.abs(b_out).max()) / max((1.0 - memory) * y_size, 1e-300),
        calibration_samples=record.n_samples,
        peak_u=float(np.abs(cast(np.ndarray, result.u)).max() / STATE_MAX),
        peak_v=float(np.abs(cast(np.ndarray, result.v)).max() / STATE_MAX),
        peak_threshold=float(threshold.max() / STATE_MAX),
        u_wraps=result.u_wraps,
        v_saturations=result.v_saturations,
        y_wraps=result.y_wraps,
        y_saturations=result.y_saturations,
        spikes_float=int(spikes.sum(dtype=np.int64)),
        spikes_integer=int(emulated.sum(dtype=np.int64)),
        spikes_differing=int((spikes != emulated).sum()),
        spike_error=spike_train_error(spikes, emulated, network.dt),
        drift=spike_drift(spikes, emulated, network.dt),
        silent_before=int((~fired).sum()),
        silent_after=int((~fires).sum()),
        fell_silent=int((fired & ~fires).sum()),
        new_neurons=int((fires & ~fired).sum()),
        readout_error=relative_error(result.y / output_scale - record.y, record.y),
    )


def weight_error(
    network: RecurrentNetwork,
    description: NetworkDescription,
    weights: dict[str, np.ndarray],
    rows: slice = slice(None),
) -> float:
    """Return the relative error of the weights into some neurons, as they act on v.

    `weights` are those of `effective_weights`.
    """
    scale = Scales.of(description.metadata).per_neuron(network)[rows, None]
    errors, wanted = [], []
    for name in ("w_in", "w_rec"):
        block = getattr(description, name)
        unit = UNIT * 2.0**block.exponent
        wanted.append(weights[name][rows])
        errors.append(block.weights[rows] * unit / scale - wanted[-1])
    return relative_error(np.hstack(errors), np.hstack(wanted))


def _layer_reports(
    network: RecurrentNetwork,
    description: NetworkDescription,
    weights: dict[str, np.ndarray],
    spikes: np.ndarray,
    emulated: np.ndarray,
) -> Iterator[LayerReport]:
    scales = Scales.of(description.metadata).voltages
    ends = np.cumsum(network.layers)
    for scale, end, size in zip(scales, ends, network.layers, strict=True):
        own = slice(end - size, end)
        before, after = spikes[..., own], emulated[..., own]
        yield LayerReport(
            voltage_scale=scale,
            weight_error=weight_error(network, description, weights, own),
            spike_error=spike_train_error(before, after, network.dt),
            spikes_float=int(before.sum(dtype=np.int64)),
            spikes_integer=int(after.sum(dtype=np.int64)),
        )


def _block_report(
    name: str, connection: Connection, weights: np.ndarray, scale: np.ndarray | float
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


def _worst_register(register: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest relative error of registers in units of 2^6."""
    exact = wanted.astype(np.float64)
    return float((np.abs(register * UNIT - exact) / exact).max())


def _worst_tau(wanted: np.ndarray, register: np.ndarray, dt: float) -> TimeConstant:
    """Return (wanted, got) time constants in ms where they differ most."""
    got = tau_of_register(register, dt)
    worst = int(_tau_error(wanted, got, dt).argmax())
    finite = bool(np.isfinite(got[worst]))
    return float(wanted[worst]), float(got[worst]) if finite else None


def _tau_error(wanted: np.ndarray, got: np.ndarray, dt: float) -> np.ndarray:
    """Relative error; below dt/8 less than 2^-11 is left after a step: all the same."""
    kept = np.maximum(wanted, got) > dt / 8
    return np.where(kept, np.abs(got - wanted) / np.maximum(wanted, dt / 8), 0.0)


def _tau_problems(report: QuantizationReport) -> list[str]:
    problems = []
    for place, pair in (
        ("cell.tau_m", report.tau_m),
        ("cell.tau_syn", report.tau_syn),
        ("cell.tau_a", report.tau_a),
        ("readout.tau_out", report.tau_out),
    ):
        if pair is None:
            continue
        wanted, got = pair
        reached = np.array(np.inf if got is None else got)
        error = float(_tau_error(np.array(wanted), reached, report.dt))
        shown = "infinite (no decay at all)" if got is None else f"{got:.4g} ms"
        if error > CONSTANT_TOLERANCE:
            problems.append(
                f"{place} must keep its value within {CONSTANT_TOLERANCE:.0%}; got "
                f"{wanted:.6g} ms, which becomes {shown}. (12-bit decays end at 4095 "
                "time steps and are coarse above 800: shorten it, or use a larger dt.)"
            )
    return problems


def _constant_problems(report: QuantizationReport) -> list[str]:
    limit = f"within {CONSTANT_TOLERANCE:.0%}"
    problems = []
    for place, error, cause in (
        ("cell.v_th", report.threshold_error, "threshold"),
        ("cell.beta", report.beta_error, "adaptation"),
    ):
        if error is not None and error > CONSTANT_TOLERANCE:
            problems.append(
                f"{place} must keep its value {limit}; got {error:.0%} off. (Weights "
                f"are much larger than the {cause}: train with weight decay, or make "
                f"the {cause} larger.)"
            )
    for place, error, drift, of in (
        ("bias", report.bias_error, report.bias_drift, "threshold"),
        ("b_out", report.b_out_error, report.b_out_drift, "readout"),
    ):
        if error > CONSTANT_TOLERANCE and drift > DRIFT_TOLERANCE:
            problems.append(
                f"{place} must keep its values {limit} (root mean square); got "
                f"{error:.0%} off, which adds up to {drift:.0%} of the {of}. (Weights "
                "are much larger than the biases: train with weight decay.)"
            )
    return problems


def _state_problems(report: QuantizationReport) -> list[str]:
    remedy = "Lower the input rates or weights, or calibrate on more typical input"
    return [
        f"{place} must stay within 24 bits on the calibration data; got {count} "
        f"{event}. ({remedy}.)"
        for place, count, event in (
            ("the current u", report.u_wraps, "overflows"),
            ("the membrane v", report.v_saturations, "saturations"),
            ("the current into the readout", report.y_wraps, "overflows"),
            ("the readout y", report.y_saturations, "saturations"),
        )
        if count
    ]


def refuse(report: QuantizationReport) -> None:
    """Raise one error that lists what the integers do not represent.

    Raises
    ------
    HardwareError
        If a time constant, a threshold or beta is more than 10 % off; the biases are
        (root mean square) and this shifts v or y by more than 1 % of threshold or
        readout; a block of weights is more than 50 % off (root mean square); or a
        current (of the readout too), membrane or readout leaves 24 bits on the
        calibration data.
    """
    problems = _tau_problems(report) + _constant_problems(report)
    problems += [
        f"{block.name} must keep its weights within {BLOCK_TOLERANCE:.0%} (root mean "
        f"square) at {block.bits} bits; got {block.relative_error:.0%}, {block.lost} "
        "lost. (Use more bits, or remove outliers with weight decay.)"
        for block in report.blocks
        if block.relative_error > BLOCK_TOLERANCE
    ]
    problems += _state_problems(report)
    if problems:
        lines = "\n".join(problems)
        raise HardwareError(f"the network does not fit its integers:\n{lines}")
