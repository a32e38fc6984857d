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
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    TernaryParameters,
)
from hardware.emulator import ChipNoise
from hardware.fuzz import MODELS, random_case
from hardware.verification import verify
from spikelearn.errors import HardwareError, InvalidValue, UnknownName
from tests.hardware import make_chip_golden
from tests.hardware.networks import (
    atrlif,
    random_input,
    random_network,
    ternary,
    with_delays,
    with_periodic_reset,
)
from tests.reference import integer

STATES = ("u", "v", "b", "spikes", "y")
TWIN = (*STATES, "r")
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
    agree(record, integer.run(net, x))
    assert record.n_spikes == record.spikes.sum()


def agree(record, expected):
    """Compare a record with the twin; r is there for ATRLIF neurons only."""
    for name, values in zip(TWIN, expected, strict=True):
        got = getattr(record, name)
        if got is not None:
            assert np.array_equal(got, values), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), index=st.integers(0, 4))
def test_kernel_equals_its_naive_twin_for_every_model(seed, index):
    case = random_case(seed, index)
    x = case.x[:30]
    record = emulator.run(case.description, x)
    agree(record, integer.run(case.description, x))
    assert record.n_spikes == np.abs(record.spikes.astype(int)).sum()
    assert (record.r is not None) is (case.model == "atrlif")
    assert record.spikes.dtype == (np.int8 if case.model == "ternary" else np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    bits=st.integers(1, 8),
    exponents=st.tuples(*[st.integers(-8, 7)] * 3),
    delayed=st.booleans(),
    refractory=st.booleans(),
    target=st.sampled_from([None, "current", "membrane"]),
    exponent=st.integers(0, 23),
    offset=st.integers(-64, 63),
)
def test_chip_kernel_equals_its_naive_twin(
    seed, bits, exponents, delayed, refractory, target, exponent, offset
):
    net = random_network(
        seed, 3, 5, 2, bits=bits, exponents=exponents, refractory=refractory
    )
    net = with_delays(net, seed) if delayed else net
    x = random_input(seed, net, 25)
    noise = twin_noise = None
    if target is not None:
        noise = ChipNoise(exponent, offset, target, seed)
        stream = np.random.default_rng(seed).spawn(1)[0]
        draws = stream.integers(-127, 128, (25, net.n_rec)).tolist()
        drawn = [[chip_noise(k, exponent, offset) for k in row] for row in draws]
        pair = (np.array(drawn, object), np.zeros((25, net.n_rec), object))
        twin_noise = pair if target == "current" else pair[::-1]
    record = emulator.run(net, x, fidelity="chip", noise=noise)
    agree(record, integer.run(net, x, "chip", twin_noise))


@pytest.mark.golden
def test_chip_neurons_give_the_numbers_of_nengo_loihi():
    """Bit for bit its `CompartmentState`: accumulator, wraps, refractoriness, noise."""
    totals = {"n_spikes": 0, "u_wraps": 0, "v_saturations": 0}
    with np.load(make_chip_golden.GOLDEN, allow_pickle=False) as golden:
        for number, (net, x, noise) in enumerate(make_chip_golden.chip_cases()):
            record = emulator.run(net, x, fidelity="chip", noise=noise)
            for name in ("u", "v", "spikes"):
                got, expected = getattr(record, name)[:, 0], golden[f"{number}/{name}"]
                assert np.array_equal(got, expected), (number, name)
            for name in totals:
                totals[name] += getattr(record, name)
            lava = emulator.run(net, x)
            if noise is not None or net.neurons.refractory.any():
                assert not np.array_equal(lava.v, record.v)  # the switch does something
    assert totals["n_spikes"] > 1000 and totals["u_wraps"] > 100


def chip_noise(k, exponent, offset):
    """Noise of one draw, rounded towards zero, in Python integers."""
    size = abs(k + 64 * offset) * 2**exponent // 2**7
    return size if k + 64 * offset >= 0 else -size


@pytest.mark.golden
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_emulator_gives_the_numbers_that_lava_gave(path):
    report = verify(NetworkDescription.load(path), against="emulator")
    assert report.passed, report
    assert report.n_spikes > 20


@pytest.mark.golden
def test_golden_files_cover_all_neurons_and_synapses_and_an_overflow():
    networks = [NetworkDescription.load(path) for path in GOLDEN]
    processes = {net.neurons.lava_process for net in networks}
    assert processes == {
        "lava.proc.lif.LIF",
        "lava.proc.lif.LIFReset",
        "lava.proc.lif.TernaryLIF",
        "lava.proc.atrlif.ATRLIF",
        "hardware AdaptiveLIF run by Lava",
    }
    blocks = [block for net in networks for block in (net.w_in, net.w_rec, net.w_out)]
    assert {block.process for block in blocks} == {"dense", "sparse"}
    assert max(block.longest_delay for block in blocks) > 1
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


@pytest.mark.parametrize("index", range(len(MODELS)))
def test_samples_of_every_model_are_independent(index):
    case = random_case(11, index)
    x = np.concatenate([case.x, case.x * 0, case.x[::-1]], axis=1)
    whole = emulator.run(case.description, x, threads=2)
    for k in range(3):
        alone = emulator.run(case.description, x[:, k : k + 1])
        for name in STATES:
            left, right = getattr(whole, name)[:, k], getattr(alone, name)[:, 0]
            assert np.array_equal(left, right)


def one(net, **changes):
    """Change the blocks of a network of one neuron."""
    return dataclasses.replace(net, **changes)


def pulse(steps, at=0):
    x = np.zeros((steps, 1, 1), np.int32)
    x[at] = 1
    return x


def test_delays_are_steps():
    net = single("zero", weight=20, recurrent=4)
    net = one(
        net,
        w_in=Connection(np.array([[20]]), 0, delays=np.array([[2]])),
        w_rec=Connection(np.array([[4]]), 0, delays=np.array([[1]])),
        w_out=Connection(np.array([[2]]), 0, delays=np.array([[3]])),
    )
    record = emulator.run(net, pulse(8))
    assert (record.u[:, 0, 0] // 64).tolist() == [0, 0, 20, 0, 4, 0, 0, 0]
    assert np.flatnonzero(record.spikes[:, 0, 0]).tolist() == [2]
    assert (record.y[:, 0, 0] // 64).tolist() == [0, 0, 0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize("longest", [0, 1, 62])
def test_delays_of_zero_change_nothing_and_long_ones_shift(longest):
    net = random_network(3, bias=False)
    blocks = {
        name: dataclasses.replace(
            getattr(net, name),
            delays=np.full(getattr(net, name).weights.shape, d),
        )
        for name, d in (("w_in", longest), ("w_rec", 0), ("w_out", 0))
    }
    x = random_input(4, net, 100)
    plain, late = (emulator.run(n, x) for n in (net, one(net, **blocks)))
    assert plain.n_spikes > 20
    for name in STATES:
        early = getattr(plain, name)[: 100 - longest]
        assert np.array_equal(getattr(late, name)[longest:], early)
        assert not getattr(late, name)[:longest].any()


def test_periodic_reset_clears_before_the_input_of_its_step():
    net = with_periodic_reset(single("zero", vth=100, du=0), 3, 1)
    record = emulator.run(net, ones(7))
    u = (record.u[:, 0, 0] + 63) // 64  # decays a little
    assert u.tolist() == [2, 2, 4, 6, 2, 4, 6]
    assert (record.v[:, 0, 0] + 63 * 6 >= 0).all()
    assert record.v[1, 0, 0] == record.u[1, 0, 0] == 128


def test_ternary_spikes_keep_their_sign_on_the_way():
    cell = single("zero").neurons
    shared = {k: getattr(cell, k) for k in ("du", "dv", "bias_mant", "bias_exp")}
    neurons = TernaryParameters(**shared, vth_hi=np.array([5]), vth_lo=np.array([-3]))
    net = one(single(weight=-4, recurrent=10), neurons=neurons)
    record = emulator.run(net, pulse(4))
    assert record.spikes[:, 0, 0].tolist() == [-1, -1, -1, -1]
    assert (record.u[:, 0, 0] // 64).tolist() == [-4, -10, -10, -10]
    assert (record.y[:, 0, 0] // 64).tolist() == [-2, -4, -6, -8]
    assert not record.v.any() and record.n_spikes == 4
    edge = one(net, neurons=dataclasses.replace(neurons, vth_lo=np.array([-4])))
    assert emulator.run(edge, pulse(4)).n_spikes == 0  # the threshold is strict


def test_atrlif_raises_barrier_and_threshold():
    neurons = ATRLIFParameters(**{k: np.array([v]) for k, v in ATRLIF_ONE.items()})
    net = one(single(weight=20), neurons=neurons)
    record = emulator.run(net, ones(4))
    in_units = [(getattr(record, k)[:, 0, 0] // 64).tolist() for k in ("v", "b", "r")]
    # v = 20, 40, ...; fires at v - r >= b: at 20 >= 20 (not strict), then 80 - 40 >= 27
    assert record.spikes[:, 0, 0].tolist() == [1, 0, 0, 1]
    assert in_units[0] == [20, 40, 60, 80]  # no reset
    assert in_units[1] == [27, 27, 27, 34]
    assert in_units[2] == [40, 40, 40, 40 + 2 * 27]


ATRLIF_ONE = {
    "delta_i": 4095,
    "delta_v": 0,
    "delta_theta": 0,
    "delta_r": 0,
    "theta_0": 20,
    "theta_step": 7,
    "bias_mant": 0,
    "bias_exp": 0,
}


def test_chip_accumulator_and_current_wrap_as_two_complements():
    net = one(
        single("zero", vth=131_071, du=0),
        w_in=Connection(np.full((1, 2), 254), 7),
    )
    half = 254 << 13  # 2080768 < 2**21
    x = np.zeros((5, 1, 2), np.int32)
    x[0] = 1, 0
    record = emulator.run(net, x, fidelity="chip")
    assert record.u[0, 0, 0] == half and record.u_wraps == 0
    x[0] = 1, 1
    record = emulator.run(net, x, fidelity="chip")
    assert record.u[0, 0, 0] == 2 * half - 2**22
    assert record.u_wraps == 1
    x[:] = 1, 0
    chip, lava = (emulator.run(net, x, fidelity=f) for f in ("chip", "lava"))
    assert chip.u[3, 0, 0] == lava.u[3, 0, 0]  # 8319 thousand, below 2**23
    assert chip.u[4, 0, 0] == lava.u[4, 0, 0] < 0
    assert np.array_equal(chip.u[:4], lava.u[:4])


@pytest.mark.parametrize("exponent", [0, 7])
@pytest.mark.parametrize("fidelity", emulator.FIDELITIES)
def test_sums_of_many_large_weights(fidelity, exponent):
    """All neurons fire at once, and the weights are the largest that there are."""
    net = random_network(3, n_rec=9, vth=(0, 0), bias=False, exponents=(7,) * 3)
    weights = np.where(np.arange(81).reshape(9, 9) % 5 > 0, 254, -256)
    net = one(net, w_rec=Connection(weights, exponent))
    net = one(net, w_in=Connection(np.full((9, 6), 200), 7))
    x = random_input(4, net, 12)
    record = emulator.run(net, x, fidelity=fidelity)
    assert record.spikes.sum(axis=2).max() == 9
    agree(record, integer.run(net, x, fidelity))


def test_chip_weights_are_clipped_one_by_one():
    net = one(single("zero", vth=131_071), w_in=Connection(np.array([[-256]]), 7))
    for fidelity, expected in (("lava", -(2**21)), ("chip", -(2**21) + 64)):
        record = emulator.run(net, pulse(1), fidelity=fidelity)
        assert record.u[0, 0, 0] == expected


def test_a_refractory_neuron_of_the_chip_is_held_at_zero():
    net = single("zero", weight=4, vth=5, refractory=3)
    lava, chip = (emulator.run(net, ones(9), fidelity=f) for f in ("lava", "chip"))
    assert (lava.v[:, 0, 0] // 64).tolist() == [4, 0, 4, 8, 12, 0, 4, 8, 12]
    assert (chip.v[:, 0, 0] // 64).tolist() == [4, 0, 0, 0, 0, 4, 0, 0, 0]
    assert np.flatnonzero(chip.spikes[:, 0, 0]).tolist() == [1, 6]


def test_chip_bias_wraps_with_the_current():
    net = single("zero", weight=254, vth=131_071, bias_mant=4095, bias_exp=7)
    net = one(net, w_in=Connection(np.full((1, 4), 254), 7, delays=DELAYS))
    net = one(net, neurons=dataclasses.replace(net.neurons, du=np.array([0])))
    x = np.zeros((4, 1, 4), np.int32)
    x[0] = 1
    record = emulator.run(net, x, fidelity="chip")
    assert record.u_wraps > 0
    agree(record, integer.run(net, x, "chip"))


DELAYS = np.arange(4)[None]


def test_without_extremes_chip_and_lava_agree():
    net = random_network(3, exponents=(-1, 0, 1))
    x = random_input(4, net, 60)
    lava, chip = (emulator.run(net, x, fidelity=f) for f in ("lava", "chip"))
    assert lava.n_spikes > 50
    for name in STATES:
        assert np.array_equal(getattr(lava, name), getattr(chip, name))


def test_chip_noise_is_reproducible_and_acts():
    net = random_network(3)
    x = random_input(4, net, 40, 3)
    quiet = emulator.run(net, x, fidelity="chip")
    for target in ("current", "membrane"):
        noise = ChipNoise(14, target=target, seed=5)
        options = {"fidelity": "chip", "noise": noise}
        left, right = (emulator.run(net, x, threads=t, **options) for t in (1, 3))
        assert np.array_equal(left.v, right.v)
        assert not np.array_equal(left.v, quiet.v)
        other = dataclasses.replace(noise, seed=6)
        again = emulator.run(net, x, fidelity="chip", noise=other)
        assert not np.array_equal(left.v, again.v)
    same = emulator.run(net, x, fidelity="chip", noise=ChipNoise(0))
    assert np.array_equal(same.v, quiet.v)  # |k| 2**-7 < 1 is rounded to 0


def test_the_chip_refuses_what_it_has_not():
    net = random_network(0, reset="subtract", adaptive=True, input_bits=3)
    cell = dataclasses.replace(net.neurons, refractory=np.full(net.n_rec, 63))
    with pytest.raises(HardwareError) as error:
        emulator.run(one(net, neurons=cell), random_input(0, net, 3), fidelity="chip")
    assert [v.place for v in error.value.violations] == [
        "neurons.reset",
        "neurons.beta",
        "neurons.refractory",
        "input_bits",
    ]
    plain = random_network(0)
    x = random_input(0, plain, 3)
    for other, place in (
        (ternary(plain), "neurons.kind"),
        (atrlif(plain), "neurons.kind"),
        (with_periodic_reset(plain), "neurons.reset_interval"),
    ):
        with pytest.raises(HardwareError, match=place):
            emulator.run(other, x, fidelity="chip")


def test_wrong_fidelity_and_noise():
    net = random_network(0)
    x = random_input(0, net, 3)
    with pytest.raises(UnknownName, match="unknown fidelity 'lawa'"):
        emulator.run(net, x, fidelity="lawa")
    with pytest.raises(InvalidValue, match="noise needs fidelity='chip'"):
        emulator.run(net, x, noise=ChipNoise(3))
    for options, message in (
        ({"exponent": 24}, r"ChipNoise\.exponent must be 0\.\.23; got 24"),
        ({"exponent": 3, "offset": 64}, r"offset must be -64\.\.63"),
        ({"exponent": 3, "target": "dendrite"}, "target must be one of current"),
        ({"exponent": 3, "seed": -1}, "seed must be >= 0"),
    ):
        with pytest.raises(InvalidValue, match=message):
            ChipNoise(**options)


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
