"""Checks of a description against a chip."""

from __future__ import annotations

import numpy as np

from hardware import emulator
from hardware._findings import (
    Limits,
    above,
    adaptation_findings,
    decay_findings,
    input_findings,
    profile_findings,
    reset_findings,
    width_findings,
)
from hardware._violations import Violation
from hardware.description import Connection, NetworkDescription
from hardware.mapping import Mapping
from hardware.neurons import (
    ATRLIFParameters,
    NeuronParameters,
    Neurons,
    TernaryParameters,
)
from hardware.rounding import UNIT, tau_of_register

__all__ = ["integer_findings"]

LOIHI_STATE_BITS = 24  # of the arithmetic that the emulator computes


def integer_findings(
    limits: Limits, network: NetworkDescription, mapping: Mapping | None
) -> list[Violation]:
    """Return what of the registers and weights does not fit."""
    found = input_findings(limits, network.input_bits)
    for name in ("w_in", "w_rec", "w_out"):
        found += _block_findings(limits, name, getattr(network, name))
    found += _register_findings(limits, network)
    found += _decays(limits, network)
    found += _mechanisms(limits, network.neurons)
    found += _overflows(limits, network)
    profiles = np.stack(list(_profile(network.neurons)))
    readout = np.zeros((len(profiles), network.n_out), np.int64)
    readout[0], readout[1] = 0xFFF, network.readout.dv  # du: no memory
    given = (profiles, _threshold(network.neurons), readout)
    return found + profile_findings(limits, mapping, *given)


def _mechanisms(limits: Limits, neurons: Neurons) -> list[Violation]:
    """Return what neurons do that a chip has not."""
    if isinstance(neurons, ATRLIFParameters):
        return adaptation_findings(limits, "neurons.theta_step")
    if isinstance(neurons, TernaryParameters):
        if limits.ask("message_bits") != 0:
            return []
        remedy = "Use LIF neurons, or a chip with graded spikes"
        return [Violation("neurons", "with spikes 0 and 1", "-1, 0 and 1", remedy)]
    silent = int(neurons.refractory.max())
    where, remedy = "neurons.refractory", "Use a shorter refractory time"
    found = above(limits, "refractory_max", where, silent, "steps", remedy)
    found += reset_findings(limits, "neurons.reset", neurons.reset)
    if neurons.beta.any():
        found += adaptation_findings(limits, "neurons.beta")
    return found


def _profile(neurons: Neurons) -> tuple[np.ndarray, ...]:
    """Return the constants of a compartment profile; current and membrane first."""
    if isinstance(neurons, ATRLIFParameters):
        return neurons.delta_i, neurons.delta_v, neurons.delta_theta, neurons.delta_r
    if isinstance(neurons, TernaryParameters):
        return neurons.du, neurons.dv
    return neurons.du, neurons.dv, neurons.refractory


def _threshold(neurons: Neurons) -> np.ndarray:
    if isinstance(neurons, ATRLIFParameters):
        return neurons.theta_0
    if isinstance(neurons, TernaryParameters):  # the one that is further from 0
        return np.maximum(neurons.vth_hi, np.abs(neurons.vth_lo))
    return neurons.vth


def _block_findings(limits: Limits, name: str, block: Connection) -> list[Violation]:
    remedy = "Quantise to fewer bits"
    found = width_findings(limits, "weight_bits", f"{name}.bits", block.bits, remedy)
    lowest = limits.ask("weight_exponent_min")
    highest = limits.ask("weight_exponent_max")
    if block.delays is not None:
        longest, remedy = int(block.delays.max()), "Use shorter delays"
        found += above(limits, "delay_max", f"{name}.delays", longest, "steps", remedy)
    if None in (lowest, highest) or lowest <= block.exponent <= highest:
        return found
    limit, remedy = f"{lowest}..{highest}", "Scale the block, or quantise again"
    place = f"{name}.exponent"
    return [*found, Violation(place, limit, str(block.exponent), remedy)]


def _register_findings(limits: Limits, network: NetworkDescription) -> list[Violation]:
    found = []
    width = limits.ask("threshold_mantissa_bits")
    mantissa = limits.ask("bias_mantissa_bits")
    scale = "Scale weights, thresholds and biases down together"
    if width is not None:
        adaptive = limits.ask("adaptive_threshold") is not False
        names = ["vth", "vth_hi", "vth_lo", "theta_0"]
        names += ["beta", "theta_step"] if adaptive else []
        for name in names:
            if name not in network.neurons.registers:
                continue
            values = getattr(network.neurons, name)
            negative = name == "vth_lo"
            low, high = (-(2**width), 0) if negative else (0, 2**width - 1)
            found += _beyond(f"neurons.{name}", values, low, high, scale)
    for part in ("neurons", "readout"):
        owner = getattr(network, part)
        if mantissa is not None:
            low, high = -(2 ** (mantissa - 1)), 2 ** (mantissa - 1) - 1
            place = f"{part}.bias_mant"
            found += _beyond(place, owner.bias_mant, low, high, "Use a larger exponent")
        most = int(owner.bias_exp.max())
        place, remedy = f"{part}.bias_exp", "Use a larger mantissa"
        found += above(limits, "bias_exponent_max", place, most, "", remedy)
    return found


def _beyond(
    place: str, values: np.ndarray, low: int, high: int, remedy: str
) -> list[Violation]:
    outside = (values < low) | (values > high)
    if not outside.any():
        return []
    shown = f"{int(outside.sum())} of {values.size} outside, such as "
    return [Violation(place, f"{low}..{high}", f"{shown}{values[outside][0]}", remedy)]


def _decays(limits: Limits, network: NetworkDescription) -> list[Violation]:
    neurons, dt = network.neurons, network.dt
    registers = {"readout.dv": network.readout.dv}
    if isinstance(neurons, ATRLIFParameters):
        registers["neurons.delta_i"] = neurons.delta_i + 1
        for name in ("delta_v", "delta_theta", "delta_r"):
            registers[f"neurons.{name}"] = getattr(neurons, name)
    else:
        registers |= {"neurons.du": neurons.du + 1, "neurons.dv": neurons.dv}
    if isinstance(neurons, NeuronParameters):
        registers["neurons.db"] = neurons.db[neurons.beta > 0]
    return [
        finding
        for place, register in registers.items()
        if register.size
        for finding in decay_findings(limits, place, tau_of_register(register, dt), dt)
    ]


def _overflows(limits: Limits, network: NetworkDescription) -> list[Violation]:
    """Return states that are certain to leave their registers.

    A threshold beyond the membrane, so that no neuron can fire; a synapse whose largest
    message alone exceeds the current; and what the stored test vectors overflow. Where
    a chip does not have the registers of Loihi, its states count the smallest step of
    the weights.
    """
    loihi = limits.spec.threshold_mantissa_bits.value is not None
    unit = 1.0 if loihi else min(map(_step, (network.w_in, network.w_rec)))
    found = []
    voltage, current = limits.ask("voltage_bits"), limits.ask("current_bits")
    threshold = int(_threshold(network.neurons).max()) * UNIT / unit
    if voltage is not None and threshold > 2 ** (voltage - 1) - 1:
        limit = f"below the membrane's {2 ** (voltage - 1) - 1}"
        remedy = "Scale weights and thresholds down together, or use fewer bits"
        shown = f"{threshold:.6g} in its smallest steps"
        found.append(Violation("threshold", limit, shown, remedy))
    for name, payload in (("w_in", network.input_max), ("w_rec", 1)):
        block: Connection = getattr(network, name)
        peak = int(np.abs(block.weights).max()) * 2.0**block.exponent
        largest = payload * peak * UNIT / unit
        if current is not None and largest > 2 ** (current - 1) - 1:
            limit = f"within the current's {2 ** (current - 1) - 1} for one message"
            remedy = "Scale the weights down, or use fewer input bits"
            found.append(Violation(f"{name}.weights", limit, f"{largest:.6g}", remedy))
    if network.vectors is not None and voltage == current == LOIHI_STATE_BITS:
        found += _overflows_on_vectors(network)
    return found


def _step(block: Connection) -> float:
    """Smallest step of the weights of a block, in the units of the membrane."""
    return UNIT * 2.0 ** (8 - block.bits + (block.sign == "mixed") + block.exponent)


def _overflows_on_vectors(network: NetworkDescription) -> list[Violation]:
    vectors = network.vectors
    if vectors is None:
        return []
    record = emulator.run(network, vectors.x, record=())
    remedy = "Quantise again with more typical calibration data, or scale down"
    return [
        Violation(place, "in range on the stored test vectors", f"{n} {what}", remedy)
        for place, n, what in (
            ("state u", record.u_wraps, "overflows"),
            ("state v", record.v_saturations, "saturations"),
            ("state y", record.y_wraps + record.y_saturations, "overflows"),
        )
        if n
    ]
