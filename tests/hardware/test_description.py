"""What a network description accepts, and that it names everything it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware import emulator
from hardware.description import (
    SIGN_MODES,
    ATRLIFParameters,
    Connection,
    NeuronParameters,
    ReadoutParameters,
    TernaryParameters,
    keep_bits,
)
from hardware.neurons import LAVA_ATRLIF, LAVA_LIF, LAVA_RESET, LAVA_TERNARY
from spikelearn.errors import HardwareError
from tests.hardware.networks import (
    atrlif,
    random_input,
    random_network,
    ternary,
    with_delays,
    with_periodic_reset,
)


def registers(n=3, **changes):
    names = ("du", "dv", "bias_mant", "bias_exp", "vth", "beta", "db", "refractory")
    return {name: np.full(n, 1) for name in names} | changes


@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=20),
    st.integers(1, 8),
    st.sampled_from(SIGN_MODES),
)
def test_kept_bits_are_a_projection(values, bits, sign):
    weights = np.array(values)
    kept = keep_bits(weights, bits, sign)
    assert np.array_equal(keep_bits(kept, bits, sign), kept)
    step = 2 ** (8 - bits + (sign == "mixed"))
    assert not (kept % step).any()
    low = 0 if sign == "excitatory" else -256
    high = 0 if sign == "inhibitory" else 255
    inside = (weights >= low) & (weights <= high) & (np.abs(weights) < 256)
    assert (np.abs(kept - weights)[inside] < step).all()
    Connection(kept[None].astype(np.int16), 0, bits, sign)


@pytest.mark.lava
def test_kept_bits_are_those_of_lava():
    from hardware.lava_processes import _lava

    _lava.prepare()
    from lava.utils.weightutils import SignMode, clip_weights, truncate_weights

    weights = np.arange(-300, 301)
    for sign in SIGN_MODES:
        mode = SignMode[sign.upper()]
        clipped = clip_weights(weights, mode, num_bits=8)
        for bits in range(1, 9):
            expected = truncate_weights(clipped, mode, bits)
            assert np.array_equal(keep_bits(weights, bits, sign), expected)


def test_all_violations_of_a_connection_are_listed():
    with pytest.raises(HardwareError) as error:
        Connection(np.full((2, 2), 300), 9, 0, "both")
    text = str(error.value)
    assert text.startswith("Connection breaks 4 limits")
    for part in ("weights must be -256..255", "exponent must", "bits must", "'both'"):
        assert part in text
    assert [v.place for v in error.value.violations] == [
        "weights",
        "exponent",
        "bits",
        "sign",
    ]
    assert all(v.remedy for v in error.value.violations)


@pytest.mark.parametrize(
    ("weights", "exponent", "bits", "sign", "message"),
    [
        ([[1, 2]], 0, 8, "mixed", "weights must be what 8 bits with sign mode 'mixed'"),
        ([[4, 20]], 0, 4, "excitatory", "2 of 2 that change, first 4 at index"),
        ([[-2]], 0, 8, "excitatory", "keep"),
        ([[2]], 0, 8, "inhibitory", "keep"),
        ([[4, 2]], -2, 8, "mixed", "multiples of 4 when the exponent is -2"),
        ([[1.0]], 0, 8, "mixed", "array of integers; got dtype float64"),
        ([[True]], 0, 8, "mixed", "array of integers; got dtype bool"),
        ([2], 0, 8, "mixed", "2 axes; got shape"),
        ([[2]], 1.5, 8, "mixed", "exponent must be an integer"),
        ([[2]], True, 8, "mixed", "exponent must be an integer"),
    ],
)
def test_one_violation_is_one_sentence(weights, exponent, bits, sign, message):
    with pytest.raises(HardwareError) as error:
        Connection(np.array(weights), exponent, bits, sign)
    assert message in str(error.value)


def test_negative_exponents_need_trailing_zeros_only():
    assert Connection(np.array([[8, -16]]), -3).exponent == -3


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("du", 0, 4095),
        ("dv", 0, 4095),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("vth", 0, 131_071),
        ("beta", 0, 131_071),
        ("db", 0, 4096),
        ("refractory", 0, 63),
    ],
)
def test_register_ranges(name, low, high):
    NeuronParameters(**registers(**{name: np.array([low, high, low])}))
    for bad in (low - 1, high + 1):
        with pytest.raises(HardwareError, match=rf"{name} must be {low}\.\.{high}"):
            NeuronParameters(**registers(**{name: np.array([low, bad, low])}))


def test_all_violations_of_registers_are_listed():
    with pytest.raises(HardwareError) as error:
        NeuronParameters(
            **registers(du=np.array([5000] * 3), vth=np.array([-1, 0, 0])),
            reset="soft",
        )
    assert {v.place for v in error.value.violations} == {"du", "vth", "reset"}
    with pytest.raises(HardwareError, match="one common shape"):
        ReadoutParameters(np.zeros(2, int), np.zeros(3, int), np.zeros(2, int))


def test_all_disagreements_of_a_network_are_listed():
    net = random_network(0)
    with pytest.raises(HardwareError) as error:
        dataclasses.replace(
            net,
            w_rec=net.w_in,
            readout=ReadoutParameters(*np.zeros((3, 9), int)),
            input_bits=30,
            dt=float("nan"),
            metadata={"a": [1], "b": float("inf"), 3: "x", "fine": True},
        )
    places = [v.place for v in error.value.violations]
    assert places == [
        "w_rec.weights",
        "readout.dv",
        "input_bits",
        "dt",
        "metadata['a']",
        "metadata['b']",
        "metadata[3]",
    ]


def test_arrays_are_private_and_read_only():
    weights = np.array([[2, 4]], np.int16)
    block = Connection(weights, 0)
    weights[0, 0] = 100
    assert block.weights[0, 0] == 2
    assert block.weights.dtype == np.int16
    with pytest.raises(ValueError, match="read-only"):
        block.weights[0, 0] = 6
    metadata = {"a": 1}
    net = dataclasses.replace(random_network(0), metadata=metadata)
    metadata["a"] = 2
    assert net.metadata == {"a": 1}


def test_sizes_and_equality():
    net = random_network(0, n_in=4, n_rec=7, n_out=2, input_bits=3)
    assert (net.n_in, net.n_rec, net.n_out, net.input_max) == (4, 7, 2, 7)
    assert random_network(0).input_max == 1
    assert net == random_network(0, n_in=4, n_rec=7, n_out=2, input_bits=3)
    assert net != random_network(1, n_in=4, n_rec=7, n_out=2, input_bits=3)
    assert net.neurons.plain_lif
    assert not random_network(0, reset="subtract").neurons.plain_lif
    assert not random_network(0, adaptive=True).neurons.plain_lif
    assert not random_network(0, refractory=True).neurons.plain_lif


def test_vectors_must_fit():
    net = random_network(0)
    x = random_input(1, net, 5, 2)
    vectors = emulator.run(net, x).vectors(x, np.array([0, 1]))
    dataclasses.replace(net, vectors=vectors)
    with pytest.raises(HardwareError) as error:
        dataclasses.replace(vectors, v=vectors.v[:3], label=np.array([1]))
    assert {v.place for v in error.value.violations} == {"v", "label"}
    with pytest.raises(HardwareError, match=r"spikes must be -1\.\.1"):
        dataclasses.replace(vectors, spikes=vectors.spikes + 1)
    with pytest.raises(HardwareError, match=r"vectors\.x must be 0\.\.1"):
        dataclasses.replace(net, vectors=dataclasses.replace(vectors, x=x * 2))
    with pytest.raises(HardwareError, match=r"vectors\.spikes must be at least 0"):
        signed = vectors.spikes.astype(int) - 1
        dataclasses.replace(net, vectors=dataclasses.replace(vectors, spikes=signed))
    with pytest.raises(HardwareError, match=r"vectors\.r must be there for ATRLIF"):
        dataclasses.replace(net, vectors=dataclasses.replace(vectors, r=vectors.v))
    other = random_network(0, n_rec=13)
    with pytest.raises(HardwareError, match=r"vectors\.v must be 13 wide"):
        dataclasses.replace(other, vectors=vectors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delays": [[0, 63]]}, r"delays must be 0\.\.62; got 1 of 2 outside"),
        ({"delays": [[0]]}, "delays must be of the shape of the weights; got"),
        ({"delays": [0, 1]}, "delays must be an array with 2 axes"),
        ({"delays": [[0.0, 1.0]]}, "delays must be an array of integers"),
        ({"process": "conv"}, "process must be one of dense, sparse; got 'conv'"),
        (
            {"process": "sparse", "delays": [[0, 1]]},
            "process must be 'dense' when there are delays",
        ),
    ],
)
def test_wrong_delays_and_processes(options, message):
    if "delays" in options:
        options = options | {"delays": np.array(options["delays"])}
    with pytest.raises(HardwareError, match=message):
        Connection(np.array([[2, 4]]), 0, **options)


def test_delays_are_kept_and_compared():
    weights = np.array([[2, 4]])
    block = Connection(weights, 0, delays=np.array([[0, 62]]))
    assert block.delays.dtype == np.uint8 and block.longest_delay == 62
    assert Connection(weights, 0).longest_delay == 0
    assert block == Connection(weights, 0, delays=np.array([[0, 62]]))
    assert block != Connection(weights, 0, delays=np.array([[0, 61]]))
    assert block != Connection(weights, 0) and Connection(weights, 0) != block


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset_interval": -1}, "reset_interval must be an integer 0"),
        ({"reset_interval": 1.5}, "reset_interval must be an integer 0"),
        ({"reset_interval": 5, "reset_offset": 5}, "reset_offset must be an integer"),
        ({"reset_offset": 1}, r"reset_offset must be an integer 0\.\.0"),
        (
            {"reset_interval": 5, "reset": "subtract"},
            "reset_interval must be 0 with adaptation",
        ),
    ],
)
def test_wrong_periodic_resets(options, message):
    plain = {"beta": np.zeros(3, int), "refractory": np.zeros(3, int)}
    with pytest.raises(HardwareError, match=message):
        NeuronParameters(**registers(**plain), **options)


RANGES = {
    TernaryParameters: {"vth_hi": (0, 131_071), "vth_lo": (-131_072, 0)},
    ATRLIFParameters: {
        "delta_i": (0, 4095),
        "delta_v": (0, 4095),
        "delta_theta": (0, 4095),
        "delta_r": (0, 4095),
        "theta_0": (1, 4095),
        "theta_step": (0, 4095),
    },
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in RANGES.items() for name in names]
)
def test_register_ranges_of_the_other_kinds(kind, name):
    values = {key: np.full(3, 0 if key == "vth_lo" else 1) for key in kind.registers}
    low, high = RANGES[kind][name]
    for good in (low, high):
        kind(**values | {name: np.full(3, good)})
    for bad in (low - 1, high + 1):
        with pytest.raises(HardwareError, match=rf"{name} must be {low}\.\.{high}"):
            kind(**values | {name: np.array([low, bad, low])})


def test_what_lava_holds_once_is_the_same_for_all_neurons():
    values = {key: np.full(3, 1) for key in ATRLIFParameters.registers}
    uneven = {"theta_step": np.array([1, 2, 1])}
    with pytest.raises(HardwareError, match="theta_step must be the same for all neu"):
        ATRLIFParameters(**values | uneven)
    values = {key: np.full(3, 0) for key in TernaryParameters.registers}
    uneven = {"vth_hi": np.array([1, 2, 1]), "vth_lo": np.array([-1, 0, 0])}
    with pytest.raises(HardwareError) as error:
        TernaryParameters(**values | uneven)
    assert {v.place for v in error.value.violations} == {"vth_hi", "vth_lo"}


def test_kinds_name_their_process():
    net = random_network(0)
    assert net.lif is net.neurons
    assert net.neurons.lava_process == LAVA_LIF
    assert with_periodic_reset(net).neurons.lava_process == LAVA_RESET
    assert ternary(net).neurons.lava_process == LAVA_TERNARY
    assert atrlif(net).neurons.lava_process == LAVA_ATRLIF
    assert ternary(net) != net and ternary(net) == ternary(net)
    assert with_delays(net, 0) != net
    with pytest.raises(HardwareError, match="must be LIF neurons here; got 'atrlif'"):
        _ = atrlif(net).lif
