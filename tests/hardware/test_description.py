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
    Connection,
    NeuronParameters,
    ReadoutParameters,
    keep_bits,
)
from spikelearn.errors import HardwareError
from tests.hardware.networks import random_input, random_network


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
    with pytest.raises(HardwareError, match=r"spikes must be 0\.\.1"):
        dataclasses.replace(vectors, spikes=vectors.spikes + 1)
    with pytest.raises(HardwareError, match=r"vectors\.x must be 0\.\.1"):
        dataclasses.replace(net, vectors=dataclasses.replace(vectors, x=x * 2))
    other = random_network(0, n_rec=13)
    with pytest.raises(HardwareError, match=r"vectors\.v must be 13 wide"):
        dataclasses.replace(other, vectors=vectors)
