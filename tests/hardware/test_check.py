"""The check: everything at once, with its place; and silence where a network fits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardware import emulator
from hardware.check import Violation, check, check_report
from hardware.chips import CHIPS, ChipSpec, Limit, chip
from hardware.description import Connection, keep_bits
from hardware.quantization import quantise
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from tests.hardware.networks import random_input, random_network, ternary


def own(**limits):
    return ChipSpec("own", **{k: Limit(v, "test") for k, v in limits.items()})


def places(found):
    return {violation.place for violation in found}


# A user-made chip that is too small in ten ways, for either kind of network.
TINY = own(
    neurons=10,
    inputs=2,
    fan_in=5,
    recurrence=False,
    weight_bits=(4,),
    refractory_max=1,
    resets=("zero",),
    adaptive_threshold=False,
    decay_form="fraction",
    decay_bits=4,
    message_bits=0,
    delay_max=3,
)


def ten_times_wrong():
    cell = ALIF(tau_m=1000.0, tau_a=1.5, tau_syn=0.0, t_ref=5.0, reset="subtract")
    return RecurrentNetwork(4, 12, 1, cell=cell, readout=LeakyReadout(0.0), delay=1)


def test_ten_limits_broken_are_ten_findings_in_one_run():
    found = check(ten_times_wrong(), TINY, bits=8, input_bits=4)
    assert places(found) == {
        "neurons",
        "n_in",
        "fan-in of neuron 0",
        "w_rec",
        "weights",
        "cell.t_ref",
        "cell.reset",
        "cell.beta",
        "cell.tau_m",
        "input",
    }
    assert len(found) == 10
    for violation in found:
        parts = dataclasses.astuple(violation)
        assert isinstance(violation, Violation) and all(parts)
    by_place = {violation.place: violation for violation in found}
    assert by_place["neurons"].value == "13"
    assert by_place["fan-in of neuron 0"].value == "15"
    assert by_place["cell.t_ref"].value == "4"
    assert by_place["cell.tau_m"].value == "1000 ms, which becomes no decay"


@pytest.mark.parametrize(
    ("place", "options", "arguments"),
    [
        ("neurons", {"n_rec": 9}, {}),
        ("n_in", {"n_in": 2}, {}),
        ("w_rec", {"mask": np.zeros((12, 12), bool)}, {}),
        ("weights", {}, {"bits": 4}),
        ("input", {}, {"input_bits": 0}),
        ("cell.t_ref", {"cell": {"t_ref": 2.0}}, {}),
        ("cell.reset", {"cell": {"reset": "zero"}}, {}),
        ("cell.beta", {"cell": {"beta": 0.0}}, {}),
        ("cell.tau_m", {"cell": {"tau_m": 1.5}}, {}),
    ],
)
def test_mending_one_thing_removes_its_finding(place, options, arguments):
    wrong = ten_times_wrong()
    options = {"n_in": 4, "n_rec": 12} | options
    changes = options.pop("cell", {})
    cell = dataclasses.replace(wrong.cell, **changes)
    sizes = (options.pop("n_in"), options.pop("n_rec"), 1)
    network = RecurrentNetwork(*sizes, cell=cell, readout=LeakyReadout(0.0), **options)
    found = check(network, TINY, **{"bits": 8, "input_bits": 4} | arguments)
    assert place not in places(found)
    assert place in places(check(wrong, TINY, bits=8, input_bits=4))


def test_a_description_that_breaks_ten_limits():
    network = random_network(
        3,
        n_in=4,
        reset="subtract",
        adaptive=True,
        refractory=True,
        bits=8,
        exponents=(2, 0, 0),
        input_bits=3,
        vth=(200, 1200),
        du=(4095, 4095),
        dv=(1, 1),
    )
    spec = own(
        neurons=10,
        inputs=2,
        fan_out=3,
        recurrence=False,
        refractory_max=1,
        resets=("zero",),
        adaptive_threshold=False,
        message_bits=0,
        weight_exponent_min=-1,
        weight_exponent_max=1,
        threshold_mantissa_bits=7,
        bias_mantissa_bits=8,
        bias_exponent_max=2,
        decay_form="fraction",
        decay_bits=8,
    )
    found = check(network, spec)
    expected = {
        "neurons",
        "n_in",
        "w_rec",
        "neurons.refractory",
        "neurons.reset",
        "neurons.beta",
        "input",
        "w_in.exponent",
        "neurons.vth",
        "neurons.bias_mant",
        "neurons.bias_exp",
        "neurons.dv",
    }
    assert expected <= places(found)
    assert len(found) == len(places(found)) >= 10


def test_known_chips_and_the_networks_they_hold():
    network = RecurrentNetwork(16, 60, 4, cell=LIF(reset="zero"))
    assert check(network, "loihi1") == ()
    assert check(network, "loihi2") == () and check(network, "lava") == ()
    adaptive = RecurrentNetwork(16, 60, 4, cell=ALIF(reset="subtract"))
    found = places(check(adaptive, "loihi1"))
    assert found == {"cell.beta", "cell.reset"}
    assert check(adaptive, "loihi2") == ()
    assert places(check(network, "speck")) >= {"w_rec", "cell.tau_m"}
    assert places(check(network, "brainscales2")) == {"weights"}
    assert check(network, "brainscales2", bits=6) == ()
    # tau = 1 / -log(1 - 2^-4) is what a shift by 4 gives, exactly
    fine = LIF(tau_m=float(-1 / np.log1p(-(2.0**-4))), reset="subtract")
    readout = LeakyReadout(fine.tau_m)
    fitting = RecurrentNetwork(16, 60, 4, cell=fine, readout=readout)
    assert check(fitting, "xylo", input_bits=4) == ()
    found = check(fitting, "xylo", input_bits=5)
    assert places(found) == {"input"}
    large = RecurrentNetwork(17, 993, 33, cell=fine, readout=readout)
    expected = {"n_rec", "n_in", "n_out", "neurons", "w_in", "w_out"}
    assert expected <= places(check(large, "xylo"))


@pytest.mark.parametrize("name", CHIPS)
def test_unknown_limits_are_named_and_not_checked(name):
    network = RecurrentNetwork(3, 6, 2, cell=LIF(reset="zero"))
    report = check_report(network, name)
    spec = chip(name)
    assert report.fits == (not report.violations) and report.chip == name
    for limit in report.unchecked:
        assert getattr(spec, limit).value is None
    unknown = check_report(network, ChipSpec("own"))
    assert unknown.fits and "neurons" in unknown.unchecked
    assert "decay_form" in unknown.unchecked and unknown.mapping.cores is None


def test_findings_of_the_mapping():
    network = RecurrentNetwork(4, 30, 2, cell=LIF(reset="zero"))
    few = own(neurons_per_core=8, cores=3)
    found = check_report(network, few)
    assert places(found.violations) == {"cores"} and found.mapping.n_cores == 4
    assert check(network, own(neurons_per_core=8, cores=4)) == ()
    alone = check_report(network, own(input_axons_per_core=5))
    assert places(alone.violations) == {"neuron 0, input axons"}
    assert alone.mapping is None


def test_weights_that_exceed_all_memory():
    network = RecurrentNetwork(4, 30, 2, cell=LIF(reset="zero"))
    bits = 8 * (4 * 30 + 30 * 29 + 2 * 30)
    spec = own(memory_per_core=bits // 2, cores=2)
    assert check(network, spec) == ()
    spec = own(memory_per_core=bits // 2 - 1, cores=2)
    assert places(check(network, spec)) == {"memory"}
    assert check(network, spec, bits=6) == ()


def test_both_thresholds_of_ternary_neurons_are_checked():
    base = ternary(random_network(0))
    spec = own(threshold_mantissa_bits=10, voltage_bits=16)
    for low, expected in ((-500, set()), (-600, {"threshold"})):
        found = check(with_thresholds(base, 400, low), spec)
        assert places(found) == expected
    found = check(with_thresholds(base, 400, -1025), spec)
    assert places(found) == {"neurons.vth_lo", "threshold"}
    spec = own(threshold_mantissa_bits=17, voltage_bits=24)
    assert places(check(with_thresholds(base, 400, -131_072), spec)) == {"threshold"}
    assert check(with_thresholds(base, 400, -131_071), spec) == ()


def with_thresholds(network, high, low):
    size = network.n_rec
    ends = {"vth_hi": np.full(size, high), "vth_lo": np.full(size, low)}
    neurons = dataclasses.replace(network.neurons, **ends)
    return dataclasses.replace(network, neurons=neurons)


def test_every_decay_of_the_readout_is_a_profile():
    network = random_network(0, du=(4095, 4095), dv=(7, 7))
    spec = own(neurons_per_core=1000, compartment_profiles_per_core=2)
    decays = np.full(network.n_out, 9)
    for other, expected in ((9, ()), (10, ("core 0, compartment profiles",))):
        decays[-1] = other
        readout = dataclasses.replace(network.readout, dv=decays.copy())
        found = check(dataclasses.replace(network, readout=readout), spec)
        assert tuple(places(found)) == expected


def test_profiles_of_a_core():
    tau_m = np.linspace(10.0, 30.0, 40)
    v_th = np.linspace(0.8, 1.2, 40)
    cell = LIF(tau_m=tau_m, v_th=v_th, reset="zero")
    found = check(RecurrentNetwork(4, 40, 2, cell=cell), "loihi1")
    assert places(found) == {
        "core 0, compartment profiles",
        "core 0, threshold profiles",
    }
    # 40 and one of the readout
    assert {v.value for v in found} == {"41"}
    same = LIF(tau_m=np.repeat(tau_m[:31], [10] + 30 * [1]), reset="zero")
    assert check(RecurrentNetwork(4, 40, 2, cell=same), "loihi1") == ()


def test_input_rate_units_delays_and_real_values():
    network = RecurrentNetwork(3, 6, 2, cell=LIF(reset="zero"), delay=64)
    assert places(check(network, "loihi1")) == {"network.delay"}
    assert check(RecurrentNetwork(3, 6, 2, delay=63), "lava") == ()
    assert places(check(network, "lava", input_bits=None)) == {"input"}
    assert places(check(network, "lava", input_bits=25)) == {"input"}
    rate = RecurrentNetwork(3, 6, 2, cell=LeakyRate())
    assert "network.cell" in places(check(rate, "lava"))


def test_thresholds_that_registers_cannot_hold_beside_the_weights():
    network = RecurrentNetwork(3, 6, 2, cell=LIF(reset="zero"))
    network.params.w_in[...] = 0.5
    assert check(network, "loihi1") == ()
    network.params.w_in[0, 0] = 1e7
    found = check(network, "loihi1")
    assert places(found) == {"cell.v_th"} and "weights" in found[0].remedy
    network.params.w_in[...] = 0.5
    network.params.bias[...] = 1e8
    assert "biases" in check(network, "loihi1")[0].remedy


@pytest.mark.parametrize("bits", [3, 8, 12])
def test_the_time_constants_of_fractional_decays(bits):
    spec = own(decay_form="fraction", decay_bits=bits)
    for register in (1, 2, 3, 2**bits - 1):
        tau = float(-1 / np.log1p(-register / 2**bits))
        cell = LIF(tau_m=tau, reset="zero")
        network = RecurrentNetwork(3, 6, 2, cell=cell, readout=LeakyReadout(0.0))
        assert check(network, spec) == ()
    # between the registers 1 and 2 the nearest time constant is off by 14 % or more
    between = float(-1.4 / np.log1p(-1.0 / 2**bits)) / 2
    cell = LIF(tau_m=between, reset="zero")
    network = RecurrentNetwork(3, 6, 2, cell=cell, readout=LeakyReadout(0.0))
    assert places(check(network, spec)) == {"cell.tau_m"}
    beyond = LIF(tau_m=8.0 * 2**bits, reset="zero")
    network = RecurrentNetwork(3, 6, 2, cell=beyond, readout=LeakyReadout(0.0))
    assert "no decay" in check(network, spec)[0].value


def test_registers_that_decay_not_at_all_are_held_by_every_fraction():
    network = random_network(0, dv=(0, 0), du=(4095, 4095))
    quiet = dataclasses.replace(
        network, readout=dataclasses.replace(network.readout, dv=[0, 0, 0])
    )
    assert check(quiet, own(decay_form="fraction", decay_bits=4)) == ()
    assert check(quiet, own(decay_form="linear")) == ()


def test_what_is_certain_to_overflow():
    network = random_network(0, bias=False)
    assert check(network, "lava") == ()
    small = own(current_bits=10, voltage_bits=8)
    heavy = Connection(keep_bits(np.full((12, 6), 200), 8, "mixed"), 0)
    network = dataclasses.replace(network, w_in=heavy, input_bits=8)
    # 200 * 255 / 2 steps of the smallest weight, and thresholds of up to 600 of them
    assert places(check(network, small)) == {"w_in.weights", "threshold"}
    roomy = own(current_bits=16, voltage_bits=16)
    assert check(network, roomy) == ()


def test_stored_test_vectors_that_overflow_are_found():
    network = random_network(0, input_weight=254, exponents=(7, 0, 0), vth=(90000,) * 2)
    x = random_input(1, network, 30, 2, rate=1.0)
    record = emulator.run(network, x)
    assert record.u_wraps > 0, "the case must overflow"
    network = dataclasses.replace(network, vectors=record.vectors(x))
    found = places(check(network, "lava"))
    assert "state u" in found
    calm = random_network(0)
    x = random_input(1, calm, 30, 2)
    record = emulator.run(calm, x)
    assert record.u_wraps == record.v_saturations == record.y_saturations == 0
    calm = dataclasses.replace(calm, vectors=record.vectors(x))
    assert check(calm, "lava") == ()


def test_before_and_after_quantisation_agree():
    rng = np.random.default_rng(0)
    network = RecurrentNetwork(10, 20, 2, cell=ALIF(reset="subtract"))
    network.initialise(rng)
    x = (rng.random((40, 8, 10)) < 0.2).astype(np.uint8)
    description, _ = quantise(network, x)
    pairs = {"cell.beta": "neurons.beta", "cell.reset": "neurons.reset"}
    before = places(check(network, "loihi1"))
    assert {pairs[place] for place in before} == places(check(description, "loihi1"))


def test_wrong_requests():
    network = RecurrentNetwork(3, 6, 2)
    with pytest.raises(UnknownName, match="Did you mean 'loihi2'"):
        check(network, "loihi")
    with pytest.raises(InvalidValue, match=r"check\.bits must be >= 1"):
        check(network, "loihi1", bits=0)
