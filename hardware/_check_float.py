"""Checks of a float network against a chip."""

from __future__ import annotations

import numpy as np

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
from hardware.mapping import Mapping
from hardware.quantization_report import CONSTANT_TOLERANCE
from hardware.rounding import UNIT, effective_weights, largest_mantissa
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import LIF

__all__ = ["float_findings"]


def float_findings(
    limits: Limits,
    network: RecurrentNetwork,
    mapping: Mapping | None,
    bits: int,
    input_bits: int | None,
) -> list[Violation]:
    """Return what of cells, time constants, weights and input does not fit."""
    found = input_findings(limits, input_bits)
    cell = network.cell
    remedy = "Use fewer bits"
    found += width_findings(limits, "weight_bits", "weights", bits, remedy)
    extra = int(np.max(network.delay)) - 1
    remedy = "Use shorter delays"
    unit = "steps beyond the first"
    found += above(limits, "delay_max", "network.delay", extra, unit, remedy)
    tau_out = np.array([network.readout.tau_out])
    found += decay_findings(limits, "readout.tau_out", tau_out, network.dt)
    if not isinstance(cell, LIF):
        limit = "LIF or ALIF, for which there is an integer form"
        remedy = "Train a spiking network"
        return [*found, Violation("network.cell", limit, "rate units", remedy)]
    per_neuron = {
        name: cell.per_neuron(name, network.n_rec)
        for name in ("tau_m", "tau_syn", "v_th", "t_ref")
    }
    for name in ("tau_m", "tau_syn"):
        found += decay_findings(limits, f"cell.{name}", per_neuron[name], network.dt)
    constants = network.cell_constants
    silent = int(np.maximum(constants.n_ref - 1, 0).max())
    remedy = "Use a shorter t_ref or a larger dt"
    found += above(limits, "refractory_max", "cell.t_ref", silent, "steps", remedy)
    found += reset_findings(limits, "cell.reset", cell.reset)
    if constants.has_adaptation:
        found += adaptation_findings(limits, "cell.beta")
        tau_a = cell.per_neuron("tau_a", network.n_rec)[constants.beta > 0]
        found += decay_findings(limits, "cell.tau_a", tau_a, network.dt)
    found += _range_findings(limits, network, bits, input_bits)
    shared = ("tau_m", "tau_syn", "t_ref")
    profiles = np.stack([per_neuron[name] for name in shared])
    readout = np.zeros((len(profiles), network.n_out))
    readout[0] = network.readout.tau_out
    given = (profiles, per_neuron["v_th"], readout)
    return found + profile_findings(limits, mapping, *given)


def _range_findings(
    limits: Limits, network: RecurrentNetwork, bits: int, input_bits: int | None
) -> list[Violation]:
    """Return constants that registers cannot hold beside the weights and each other.

    One scale turns voltages into registers. It is bounded by the largest weight, bias
    and threshold; at that bound the smallest threshold must keep its value.
    """
    names = ("threshold_mantissa_bits", "bias_mantissa_bits", "bias_exponent_max")
    asked = [limits.ask(name) for name in (*names, "weight_exponent_max")]
    if None in asked or bits < 2:
        return []
    width, bias_bits, bias_exponent, exponent = asked
    constants = network.cell_constants
    weights = effective_weights(network, input_bits or 0)
    largest = max(_peak(weights["w_in"]), _peak(weights["w_rec"]))
    bounds = {
        "weights": largest_mantissa(bits) * UNIT * 2.0**exponent / largest,
        "biases": (2 ** (bias_bits - 1) - 1)
        * 2.0**bias_exponent
        / _peak(network.params.bias),
        "thresholds": (2**width - 1) * UNIT / _peak(constants.v_th),
        "adaptation": (2**width - 1) * UNIT / _peak(constants.beta),
    }
    cause = min(bounds, key=lambda name: bounds[name])
    found = []
    for place, values in (("cell.v_th", constants.v_th), ("cell.beta", constants.beta)):
        exact = bounds[cause] * values[values > 0].astype(np.float64) / UNIT
        if exact.size == 0:
            continue
        error = float((np.abs(np.rint(exact) - exact) / exact).max())
        if error > CONSTANT_TOLERANCE:
            limit = f"within {CONSTANT_TOLERANCE:.0%} of a whole number of 2^6"
            shown = f"{exact.min():.3g} when the largest of the {cause} fits"
            remedy = f"Make the {cause} smaller, or this larger"
            found.append(Violation(place, limit, shown, remedy))
    return found


def _peak(array: np.ndarray) -> float:
    """Largest absolute value, or a tiny number for an array of zeros."""
    return max(float(np.abs(array).max(initial=0.0)), 1e-300)
