"""Quantisation: closed forms, what the report says, and what is refused."""

import dataclasses
import json
import re

import numpy as np
import pytest

from hardware import emulator
from hardware.evaluation import evaluate_description
from hardware.quantization import integer_input, quantise
from hardware.quantization_report import refuse
from hardware.rounding import Scales
from hardware.spike_trains import spike_train_error
from spikelearn import ALIF, LIF, Classification, LeakyReadout, RecurrentNetwork
from spikelearn.connectivity import stack
from spikelearn.errors import HardwareError, InvalidValue
from spikelearn.learning.evaluation import evaluate_network
from spikelearn.network import LeakyRate
from spikelearn.tasks import make
from tests.helpers import make_input, make_network


def network_and_input(seed=0, **spec):
    spec.setdefault("cell", ALIF(tau_m=20.0, tau_a=100.0, beta=0.1))
    network = make_network(seed, n_in=8, n_rec=24, n_out=3, drive=1.5, **spec)
    return network, make_input(seed, n_steps=60, n_samples=4, n_in=8)


CELLS = {
    "lif": LIF(),
    "zero": LIF(reset="zero"),
    "alif": ALIF(tau_a=100.0, beta=0.2),
    "leak": ALIF(input_scaling="leak", v_th=0.05, beta=0.01),
    "synaptic": ALIF(tau_syn=5.0, v_th=2.0),
    "refractory": LIF(t_ref=4.0, reset="zero"),
    "heterogeneous": ALIF(
        tau_m=np.linspace(5.0, 40.0, 24),
        tau_a=np.linspace(50.0, 400.0, 24),
        beta=np.linspace(0.0, 0.3, 24),
        v_th=np.linspace(0.7, 1.3, 24),
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_integers_follow_the_float_network(name):
    cell = CELLS[name]
    network, x = network_and_input(cell=cell, bias=0.02)
    if cell.input_scaling == "leak":
        network.params.bias[...] = 0.0
    description, report = quantise(network, x)
    record = network.run(x, record=("v",))
    result = emulator.run(description, x)
    assert record.spikes.sum() > 50, "the network must be alive"
    assert report.u_wraps == report.v_saturations == 0
    assert report.spikes_differing < 0.5 * report.spikes_float, "drift of recurrence"
    assert abs(report.spikes_integer - report.spikes_float) < 0.03 * report.spikes_float
    assert report.readout_error < 0.2
    first = result.v[0] / report.layers[0].voltage_scale
    silent = ~record.spikes[0].astype(bool)
    wanted = record.state("v")[0]
    np.testing.assert_allclose(first[silent], wanted[silent], rtol=0.02, atol=0.04)


@pytest.mark.parametrize("name", CELLS)
def test_without_recurrence_spikes_only_shift_a_little(name):
    network, x = network_and_input(cell=CELLS[name])
    network.params.w_rec[...] = 0.0
    _, report = quantise(network, x)
    _, coarse = quantise(network, x, bits=3, strict=False)
    assert report.spikes_float > 50
    assert abs(report.spikes_integer - report.spikes_float) < 0.01 * report.spikes_float
    assert report.spikes_differing < 0.25 * report.spikes_float
    assert coarse.spikes_differing > 2 * report.spikes_differing


def test_registers_are_the_rounded_closed_forms():
    cell = ALIF(tau_m=30.0, tau_syn=4.0, tau_a=150.0, beta=0.3, t_ref=3.0, v_th=0.8)
    network, x = network_and_input(cell=cell, readout=LeakyReadout(12.0))
    description, report = quantise(network, x)
    neurons, scale = description.neurons, report.layers[0].voltage_scale
    assert set(neurons.dv) == {round(4096 * (1 - np.exp(-1 / 30)))}
    assert set(neurons.du) == {round(4096 * (1 - np.exp(-1 / 4))) - 1}
    assert set(neurons.db) == {round(4096 * (1 - np.exp(-1 / 150)))}
    assert set(neurons.refractory) == {2}, "t_ref of 3 steps leaves 2 silent steps"
    assert set(neurons.vth) == {round(scale * 0.8 / 64)}
    assert set(neurons.beta) == {round(scale * 0.3 / 64)}
    assert set(description.readout.dv) == {round(4096 * (1 - np.exp(-1 / 12)))}
    for name, factor in (("w_in", scale), ("w_rec", scale)):
        connection = getattr(description, name)
        unit = 64 * 2**connection.exponent
        wanted = factor * getattr(network.params, name)
        error = np.abs(connection.weights * float(unit) - wanted).max()
        assert error <= 1.01 * unit, "mixed 8-bit mantissas are even: half a step"


@pytest.mark.parametrize(
    ("sign", "name"), [(1, "excitatory"), (-1, "inhibitory"), (0, "mixed")]
)
def test_the_sign_mode_fits_the_weights(sign, name):
    network, x = network_and_input()
    if sign:
        network.params.w_rec[...] = sign * np.abs(network.params.w_rec)
    description, _ = quantise(network, x)
    assert description.w_rec.sign == name


def test_more_bits_are_nearer_to_the_float_weights():
    network, x = network_and_input()
    errors = []
    for bits in (3, 4, 6, 8):
        _, report = quantise(network, x, bits=bits, strict=False)
        errors.append(max(block.relative_error for block in report.blocks))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 < errors[0]


def test_eight_bits_use_their_mantissa():
    _, report = quantise(*network_and_input())
    for block in report.blocks:
        assert block.largest_mantissa > 64, block
        assert block.clipped <= 2


def test_nothing_overflows_on_the_calibration_data_even_for_strong_input():
    network, x = network_and_input()
    network.params.w_in[...] *= 30.0
    description, report = quantise(network, x, strict=False)
    assert report.peak_u <= 0.51
    assert report.u_wraps == report.v_saturations == 0
    assert emulator.run(description, x).u_wraps == 0


def test_the_network_is_left_alone():
    network, x = network_and_input()
    before = {name: a.copy() for name, a in network.params.arrays().items()}
    quantise(network, x)
    for name, array in network.params.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_graded_input_becomes_integers_on_its_grid():
    x = np.array([0, 3, 15]) / 15
    np.testing.assert_array_equal(integer_input(x.astype(np.float32), 4), [0, 3, 15])
    np.testing.assert_array_equal(integer_input(np.array([0, 1], np.uint8), 0), [0, 1])
    with pytest.raises(HardwareError, match="grid"):
        integer_input(np.array([0.03]), 4)


def test_real_valued_input_is_refused_by_its_own_message():
    task = make("dms")
    network = make_network(n_in=task.n_in, n_out=task.n_out)
    calibration = task.train_batch(0, 4, seed=0).x
    with pytest.raises(HardwareError, match="real values, which have no integer form"):
        quantise(network, calibration, input_bits=task.input_bits)
    spikes = (calibration > 0.5).astype(np.uint8)
    quantise(network, spikes, input_bits=0, strict=False)


def test_graded_weights_take_the_payload_into_account():
    network = make_network(n_in=8, n_rec=24, n_out=3, drive=1.5)
    grid = np.random.default_rng(0).integers(0, 16, (40, 3, 8)) / 15
    description, report = quantise(network, grid.astype(np.float32), input_bits=4)
    assert description.input_max == 15
    unit = 64.0 * 2**description.w_in.exponent
    weights = description.w_in.weights * unit * 15 / report.layers[0].voltage_scale
    assert np.abs(weights - network.params.w_in).max() < 0.05


def test_weights_that_cannot_be_represented_are_refused_with_all_reasons():
    network, x = network_and_input()
    network.params.w_rec[0, 1] = 1e7
    with pytest.raises(HardwareError) as caught:
        quantise(network, x)
    reasons = str(caught.value).splitlines()[1:]
    places = ("cell.v_th must", "cell.beta must", "w_in must")
    for reason, start in zip(reasons, places, strict=True):
        assert reason.startswith(start)
        assert reason.endswith(".)"), "a remedy is offered"
    _, report = quantise(network, x, strict=False)
    assert report.beta_error == pytest.approx(1.0)


def test_weights_that_are_not_finite_are_refused():
    network, x = network_and_input()
    network.params.w_in[0, 0] = np.nan
    with pytest.raises(HardwareError, match="w_in must be finite"):
        quantise(network, x)


def test_long_refractory_and_synaptic_times_are_refused_by_their_registers():
    for cell, place in (
        (LIF(t_ref=100.0), "refractory"),
        (LIF(tau_syn=1e5), r"tau_syn must.*got 100000 ms, which becomes 4095 ms"),
    ):
        network, x = network_and_input(cell=cell)
        with pytest.raises(HardwareError, match=place):
            quantise(network, x)


def test_constants_without_a_register_are_refused_all_at_once():
    cell = ALIF(tau_m=20_000.0, tau_a=5000.0, beta=1e-6)
    network, x = network_and_input(cell=cell, readout=LeakyReadout(50_000.0))
    with pytest.raises(HardwareError) as caught:
        quantise(network, x)
    message = str(caught.value)
    for reason in (
        "cell.tau_m must keep its value within 10%; got 20000 ms, which becomes inf",
        "cell.tau_a must keep its value within 10%; got 5000 ms, which becomes 4095 ms",
        "readout.tau_out must keep its value within 10%; got 50000 ms, which becomes i",
        "cell.beta must keep its value within 10%; got 100% off",
    ):
        assert reason in message
    assert message.count("(12-bit decays end at 4095") == 3


def test_a_time_constant_that_becomes_infinite_is_the_worst_and_null_in_json():
    tau_a = np.array([300.0] * 23 + [20_000.0])
    network, x = network_and_input(cell=ALIF(tau_a=tau_a, beta=0.1))
    description, report = quantise(network, x, strict=False)
    assert description.neurons.db[-1] == 0
    assert report.tau_a == (20_000.0, None)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["tau_a"][1] is None
    with pytest.raises(HardwareError, match=r"cell\.tau_a.*infinite"):
        quantise(network, x)


def test_an_unadaptive_neuron_does_not_spoil_the_time_constants_of_adaptation():
    beta = np.array([0.1] * 23 + [0.0])
    tau_a = np.array([300.0] * 23 + [20_000.0])
    network, x = network_and_input(cell=ALIF(tau_a=tau_a, beta=beta))
    _, report = quantise(network, x)
    assert report.tau_a[0] == 300.0


def test_the_settings_of_evidence_accumulation_are_represented():
    cell = ALIF(tau_m=20.0, tau_a=2000.0, beta=0.03, t_ref=5.0)
    network, x = network_and_input(cell=cell)
    description, report = quantise(network, x)
    assert set(description.neurons.db) == {2}
    assert report.tau_a == (2000.0, pytest.approx(2047.5, abs=0.1))
    assert 0 < report.beta_error < 0.01


def test_decays_take_the_register_whose_time_constant_is_nearest():
    tau = np.concatenate([np.geomspace(0.2, 4000.0, 24 * 40)]).reshape(40, 24)
    for row in tau[::8]:
        network, x = network_and_input(cell=LIF(tau_m=row))
        description, _ = quantise(network, x, strict=False)
        everything = -1.0 / np.log1p(-np.arange(1, 4096) / 4096.0)
        best = np.abs(everything[:, None] - row).argmin(axis=0) + 1
        np.testing.assert_array_equal(description.neurons.dv, best)


def test_less_than_a_step_of_memory_is_no_error():
    network, x = network_and_input(cell=LIF(tau_m=0.05))
    _, report = quantise(network, x)
    assert report.tau_m[0] == 0.05


def test_lost_biases_are_refused_where_they_matter():
    network, x = network_and_input(bias=0.02)
    _, report = quantise(network, x)
    assert 0 < report.bias_error < 1e-2 and 0 < report.b_out_error < 1e-2
    network.params.w_rec[0, 1] = 1e7
    network.params.w_out[0, 1] = 1e7
    with pytest.raises(HardwareError) as caught:
        quantise(network, x)
    message = str(caught.value)
    assert "\nbias must keep its values within 10%" in message
    assert "of the threshold. (Weights" in message
    network.params.w_rec[0, 1] = network.params.w_out[0, 1] = 0.0
    network.params.bias[...] = network.params.b_out[...] = 1e-12
    _, report = quantise(network, x)
    assert report.bias_error == report.b_out_error == pytest.approx(1.0)
    assert report.bias_drift < 1e-6 and report.b_out_drift < 1e-6


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"u_wraps": 3}, ["the current u must stay within 24 bits.*got 3 overflows"]),
        ({"v_saturations": 5}, ["the membrane v must stay.*got 5 saturations"]),
        ({"y_wraps": 2}, ["the current into the readout must.*got 2 overflows"]),
        (
            {"y_saturations": 7, "b_out_error": 0.2, "b_out_drift": 0.02},
            ["the readout y must stay.*got 7 saturations", "b_out must keep.*20% off"],
        ),
    ],
)
def test_states_that_leave_their_range_are_refused(changes, reasons):
    _, report = quantise(*network_and_input())
    refuse(report)
    with pytest.raises(HardwareError) as caught:
        refuse(dataclasses.replace(report, **changes))
    for reason in reasons:
        assert re.search(reason, str(caught.value))
    assert len(str(caught.value).splitlines()) == 1 + len(reasons)


def test_the_number_of_bits_is_checked():
    network, x = network_and_input()
    with pytest.raises(InvalidValue, match="2 to 8"):
        quantise(network, x, bits=9)


def test_a_silent_network_and_zero_weights_can_be_quantised():
    network = RecurrentNetwork(3, 5, 2)
    description, report = quantise(network, np.zeros((10, 2, 3), np.uint8))
    assert report.spikes_float == report.spikes_integer == 0
    assert report.silent_after == 5
    assert not description.w_rec.weights.any()


def test_scores_of_the_emulator_are_near_those_of_the_float_network():
    task = make("digits-rows")
    network = RecurrentNetwork(
        task.n_in, 32, task.n_out, cell=ALIF(v_th=0.6), readout=LeakyReadout(20.0)
    )
    network.initialise(0)
    calibration = task.train_batch(0, 64, 0).x
    description, _ = quantise(network, calibration, input_bits=task.input_bits)
    arguments = (task, Classification(), "validation")
    scores = evaluate_network(network, *arguments)
    fixed = evaluate_description(description, *arguments)
    assert fixed.samples == scores.samples == 300
    assert fixed.rate_hz == pytest.approx(scores.rate_hz, rel=0.02)
    assert fixed.loss == pytest.approx(scores.loss, rel=0.1)


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ({"cell": LeakyRate()}, [r"cells must spike; got rate units\. .*LIF or ALIF"]),
        ({"delay": 64}, [r"delays must be at most 63 steps; got 64\. .*shorter"]),
        ({"cell": LeakyRate(), "delay": 99}, ["cells must spike", "got 99"]),
    ],
)
def test_what_the_chip_has_no_form_of_is_refused_at_once(spec, messages):
    network, x = network_and_input(**spec)
    with pytest.raises(HardwareError) as caught:
        quantise(network, x)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert re.search(message, line)


DELAYS = {
    "common": 3,
    "longest": 63,
    "each": np.random.default_rng(0).integers(1, 6, (24, 24)),
}


@pytest.mark.parametrize("name", DELAYS)
def test_delays_are_kept(name):
    network, x = network_and_input(cell=LIF(), delay=DELAYS[name])
    description, report = quantise(network, x)
    delays = np.broadcast_to(DELAYS[name], (24, 24))
    np.testing.assert_array_equal(description.w_rec.delays, delays - 1)
    assert description.w_in.delays is None and description.w_out.delays is None
    assert report.spike_error < 0.08
    without = dataclasses.replace(description.w_rec, delays=None)
    other = dataclasses.replace(description, w_rec=without)
    got = emulator.run(other, x).spikes
    assert spike_train_error(network.run(x).spikes, got, 1.0) > 2 * report.spike_error


def test_a_delay_of_one_step_for_each_synapse_is_no_delay():
    network, x = network_and_input(delay=np.ones((24, 24), int))
    plain, _ = network_and_input()
    first, second = (quantise(n, x)[0] for n in (network, plain))
    assert np.array_equal(first.w_rec.weights, second.w_rec.weights)


def stacked():
    """Two layers whose weights differ by a factor that no exponent can follow."""
    network = make_network(
        0,
        n_in=8,
        n_rec=24,
        n_out=3,
        drive=1.5,
        cell=LIF(tau_m=20.0, v_th=np.repeat([1.0, 0.11], [14, 10])),
        **stack(8, [14, 10], 3),
    )
    network.params.w_rec[14:] *= 0.11
    return network, make_input(0, n_steps=60, n_samples=4, n_in=8)


def test_every_layer_has_a_scale_of_its_own():
    network, x = stacked()
    _, report = quantise(network, x, bits=4, strict=False)
    first, second = report.layers
    assert second.voltage_scale > 2 * first.voltage_scale
    assert first.spikes_float > 50 and second.spikes_float > 50
    common = Scales((first.voltage_scale,) * 2, report.output_scale)
    _, other = quantise(network, x, bits=4, strict=False, scales=common)
    assert other.layers[0] == first
    assert second.weight_error < 0.7 * other.layers[1].weight_error
    assert second.spike_error < other.layers[1].spike_error


def test_layers_are_reported_with_their_own_spikes():
    network, x = stacked()
    description, report = quantise(network, x, bits=4, strict=False)
    wanted = network.run(x).spikes
    got = emulator.run(description, x).spikes
    for layer, rows in zip(report.layers, (slice(14), slice(14, 24)), strict=True):
        before, after = wanted[..., rows], got[..., rows]
        assert layer.spikes_float == before.sum()
        assert layer.spikes_integer == after.sum()
        error = spike_train_error(before, after, 1.0)
        assert layer.spike_error == pytest.approx(error)
    fired, fires = (spikes.any(axis=(0, 1)) for spikes in (wanted, got))
    assert report.fell_silent == (fired & ~fires).sum()
    assert report.new_neurons == (fires & ~fired).sum()


def test_the_search_takes_near_spike_trains_and_well_kept_weights():
    network, x = network_and_input()
    _, best = quantise(network, x, bits=4, strict=False)
    scale, output = best.layers[0].voltage_scale, best.output_scale
    for factor in np.geomspace(0.5, 1.0, 8):
        scales = Scales((float(scale * factor),), output)
        _, other = quantise(network, x, bits=4, strict=False, scales=scales)
        better = other.spike_error < 0.8 * best.spike_error
        better &= other.layers[0].weight_error < best.layers[0].weight_error
        assert not better


def test_roundings_differ_and_are_told():
    network, x = network_and_input()
    errors = {}
    for mode in ("nearest", "floor", "stochastic"):
        description, report = quantise(
            network, x, bits=4, rounding=mode, seed=3, strict=False
        )
        errors[mode] = report.layers[0].weight_error
        assert report.rounding == mode
        assert description.metadata.get("rounding", "nearest") == mode
    assert errors["nearest"] < errors["stochastic"] < 2.5 * errors["nearest"]
    assert errors["nearest"] < errors["floor"]
    first, second, other = (
        quantise(network, x, bits=4, rounding="stochastic", seed=s, strict=False)[0]
        for s in (3, 3, 4)
    )
    assert first == second != other
