"""The integer emulator against its naive twin, Lava's golden numbers and algebra."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware import emulator
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
)
from hardware.verification import verify
from spikelearn.errors import InvalidValue, UnknownName
from tests.hardware.networks import random_input, random_network
from tests.reference import integer

STATES = ("u", "v", "b", "spikes", "y")
GOLDEN = sorted((Path(__file__).parent / "golden").glob("lava_*.h5"))


def single(reset="subtract", weight=2, recurrent=0, **registers):
    """One neuron with one input and one readout, weights in units of 64."""
    values = {"du": 4095, "dv": 0, "bias_mant": 0, "bias_exp": 0, "vth": 5}
    values |= {"beta": 0, "db": 0, "refractory": 0} | registers
    neurons = {name: np.array([value]) for name, value in values.items()}
    return NetworkDescription(
        w_in=Connection(np.array([[weight]]), 0),
        w_rec=Connection(np.array([[recurrent]]), 0),
        w_out=Connection(np.array([[2]]), 0),
        neurons=NeuronParameters(**neurons, reset=reset),
        readout=ReadoutParameters(*np.zeros((3, 1), int)),
    )


def ones(steps):
    return np.ones((steps, 1, 1), np.int32)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    reset=st.sampled_from(["zero", "subtract"]),
    adaptive=st.booleans(),
    refractory=st.booleans(),
    bits=st.integers(1, 8),
    signs=st.tuples(*[st.sampled_from(["mixed", "excitatory", "inhibitory"])] * 3),
    exponents=st.tuples(*[st.integers(-8, 7)] * 3),
    input_bits=st.sampled_from([0, 1, 7, 24]),
    wide=st.booleans(),
)
def test_kernel_equals_its_naive_twin(seed, wide, **options):
    ranges = {"vth": (0, 131_071), "du": (0, 4095), "dv": (0, 4095)} if wide else {}
    net = random_network(seed, n_in=3, n_rec=5, n_out=2, **options, **ranges)
    x = random_input(seed, net, 25, 2)
    record = emulator.run(net, x)
    for name, expected in zip(STATES, integer.run(net, x), strict=True):
        assert np.array_equal(getattr(record, name), expected), name
    assert record.n_spikes == record.spikes.sum()


@pytest.mark.golden
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_emulator_gives_the_numbers_that_lava_gave(path):
    report = verify(NetworkDescription.load(path), against="emulator")
    assert report.passed, report
    assert report.n_spikes > 20


@pytest.mark.golden
def test_golden_files_cover_both_neurons_and_an_overflow():
    networks = [NetworkDescription.load(path) for path in GOLDEN]
    assert {net.neurons.plain_lif for net in networks} == {True, False}
    records = [emulator.run(net, net.vectors.x) for net in networks]
    assert max(record.u_wraps for record in records) > 0
    assert max(record.v_saturations for record in records) > 0


def test_subtraction_takes_the_threshold_off_one_step_later():
    record = emulator.run(single("subtract"), ones(6))
    assert (record.v[:, 0, 0] // 64).tolist() == [2, 4, 6, 3, 5, 7]
    assert record.spikes[:, 0, 0].tolist() == [0, 0, 1, 0, 0, 1]


def test_zero_reset_clears_the_membrane_at_once():
    record = emulator.run(single("zero"), ones(6))
    assert (record.v[:, 0, 0] // 64).tolist() == [2, 4, 0, 2, 4, 0]
    assert record.spikes[:, 0, 0].tolist() == [0, 0, 1, 0, 0, 1]


def test_the_threshold_is_strict():
    assert emulator.run(single("zero", vth=6), ones(3)).n_spikes == 0
    assert emulator.run(single("zero", vth=5), ones(3)).n_spikes == 1


@pytest.mark.parametrize("silent", [0, 1, 3])
def test_refractory_steps_are_silent(silent):
    net = single("zero", weight=20, refractory=silent)
    spikes = emulator.run(net, ones(12)).spikes[:, 0, 0]
    assert np.array_equal(np.flatnonzero(spikes), np.arange(0, 12, silent + 1))


def test_adaptation_acts_from_the_step_after_the_spike():
    net = single("zero", weight=20, beta=7, db=0)
    record = emulator.run(net, ones(4))
    assert (record.b[:, 0, 0] // 64).tolist() == [0, 7, 14, 21]
    assert record.spikes[:, 0, 0].tolist() == [1, 1, 1, 0]


def test_recurrent_spikes_arrive_one_step_later_and_the_readout_at_once():
    x = np.zeros((4, 1, 1), np.int32)
    x[0] = 1
    record = emulator.run(single("zero", weight=20, recurrent=4), x)
    assert (record.u[:, 0, 0] // 64).tolist() == [20, 4, 0, 0]
    assert (record.y[:, 0, 0] // 64).tolist() == [2, 2, 2, 2]


def test_decay_rounds_towards_zero():
    x = np.zeros((4, 1, 1), np.int32)
    x[0] = 1
    for weight in (2, -2):
        record = emulator.run(single(weight=weight, du=2047), x)
        values = (np.sign(weight) * record.u[:, 0, 0]).tolist()
        assert values == [128, 64, 32, 16]
    record = emulator.run(single(weight=-2, du=0), x)
    assert record.u[1, 0, 0] == -127  # 128 * 4095 / 4096 = 127.97


def test_counters_see_what_they_name():
    calm = emulator.run(single(), ones(5))
    assert (calm.u_wraps, calm.v_saturations) == (0, 0)
    assert (calm.y_wraps, calm.y_saturations) == (0, 0)
    bias = single("zero", weight=-2, bias_mant=-4096, bias_exp=7)
    assert emulator.run(bias, ones(40)).v_saturations == 40 - 15
    quick = single("zero", weight=254, vth=0)
    loud = NetworkDescription(
        w_in=quick.w_in,
        w_rec=quick.w_rec,
        w_out=Connection(np.array([[254]]), 7),
        neurons=quick.neurons,
        readout=quick.readout,
    )
    record = emulator.run(loud, ones(6))
    assert record.y_saturations == 1
    assert record.y[:, 0, 0].tolist() == [2080768 * k for k in (1, 2, 3, 4, 0, 1)]


def test_the_ends_of_the_current():
    """Exactly 2**23 stays, exactly -2**23 becomes 2**23, and a step beyond wraps."""
    x = np.arange(1, 7)[:, None, None]
    for weight, units in ((128, [1, 2, 3, 4, -3, -2]), (-128, [-1, -2, -3, 4, 3, 2])):
        net = single(weight=weight, vth=131_071)
        w_in = Connection(np.array([[weight]]), 7)
        net = dataclasses.replace(net, w_in=w_in, input_bits=4)
        record = emulator.run(net, x * 2)
        assert (record.u[:, 0, 0] / 2**21).tolist() == units
        assert record.u_wraps == (2 if weight > 0 else 3)


def test_a_block_sum_is_held_in_32_bits():
    net = dataclasses.replace(
        single(weight=-256, vth=131_071),
        w_in=Connection(np.array([[-256]]), -8),
        input_bits=24,
    )
    x = np.array([2**23, 2**23 + 1, 2**23 + 2])[:, None, None]
    sums = [-(2**23), 2**23 - 1, 2**23 - 2]
    assert emulator.run(net, x).u[:, 0, 0].tolist() == [
        integer.wrap24_once(integer.wrap32(total * 64)) for total in sums
    ]


def test_adaptation_saturates():
    net = single("subtract", vth=0, beta=131_071, bias_mant=4095, bias_exp=7)
    record = emulator.run(net, ones(30) * 0)
    assert np.unique(record.b).tolist() == [0, 131_071 * 64, 2**23 - 1]
    assert record.n_spikes == 2


def test_the_readout_fires_only_above_its_threshold():
    net = single("zero", weight=254, vth=0)
    net = dataclasses.replace(
        net,
        w_out=Connection(np.array([[254]]), 7),
        readout=ReadoutParameters(np.array([0]), np.array([1023]), np.array([4])),
    )
    record = emulator.run(net, ones(6))
    step = 131_071 * 16
    expected = [step, 2 * step, 3 * step, 131_071 * 64, 0, step]
    assert record.y[:, 0, 0].tolist() == expected
    assert record.y_saturations == 1


def test_samples_and_threads_do_not_touch_each_other():
    net = random_network(3, reset="subtract", adaptive=True)
    x = random_input(4, net, 50, 5)
    whole = emulator.run(net, x, threads=3)
    for k in range(5):
        alone = emulator.run(net, x[:, k : k + 1])
        for name in STATES:
            left, right = getattr(whole, name)[:, k], getattr(alone, name)[:, 0]
            assert np.array_equal(left, right)


def test_record_chooses_what_is_kept():
    net = random_network(3)
    x = random_input(4, net, 20, 2)
    full, little = emulator.run(net, x), emulator.run(net, x, record=("v",))
    assert little.u is None and little.b is None and little.spikes is None
    assert np.array_equal(little.v, full.v) and np.array_equal(little.y, full.y)
    assert little.n_spikes == full.n_spikes > 0
    with pytest.raises(InvalidValue, match=r"needs u, v, b and spikes; got \['spikes'"):
        little.vectors(x)
    with pytest.raises(UnknownName, match="Did you mean 'spikes'"):
        emulator.run(net, x, record=("spike",))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((5, 6), int), r"axes \(time, sample, input\); got shape \(5, 6\)"),
        (np.zeros((5, 1, 7), int), "must have 6 inputs on its last axis"),
        (np.zeros((5, 1, 6)), "must hold integers; got dtype float64"),
        (np.full((5, 1, 6), 2), r"must lie in 0\.\.1 \(input_bits = 0\); got 2\.\.2"),
        (np.full((5, 1, 6), -1), r"must lie in 0\.\.1"),
        (np.full((5, 1, 6), 2**63, np.uint64), r"must lie in 0\.\.1"),
    ],
)
def test_wrong_input_is_refused(x, message):
    with pytest.raises(InvalidValue, match=message):
        emulator.run(random_network(0), x)


def test_boolean_input_and_empty_batches_run():
    net = random_network(0)
    x = random_input(1, net, 10, 1)
    left, right = emulator.run(net, x), emulator.run(net, x.astype(bool))
    assert np.array_equal(left.y, right.y)
    assert emulator.run(net, x[:0]).y.shape == (0, 1, 3)
    assert emulator.run(net, x[:, :0], threads=2).y.shape == (10, 0, 3)
    with pytest.raises(InvalidValue, match="threads must be >= 1"):
        emulator.run(net, x, threads=0)
