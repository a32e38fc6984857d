"""S-TLLR and R-STDP: naive twins, signs of pairs, linearity, threads, errors."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.kernels.surrogate import SURROGATES
from spikelearn.learning.rules.eprop import EProp
from spikelearn.learning.rules.rstdp import RSTDP
from spikelearn.learning.rules.stllr import STLLR
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, Surrogate
from tests.helpers import (
    copy_spec,
    make_input,
    make_network,
    relative_error,
    silent_network,
)
from tests.reference import spiking
from tests.reference import three_factor as naive

RULES = {
    "s-tllr": (STLLR(), naive.stllr),
    "s-tllr causal": (STLLR(0.5, 1.0, 0.0, 2.0), naive.stllr),
    "s-tllr acausal": (STLLR(0.9, 0.0, 1.0, 0.0), naive.stllr),
    "r-stdp": (RSTDP(tau_plus=6.0, tau_minus=9.0, tau_e=30.0), naive.rstdp),
    "potentiation": (RSTDP(2.0, 0.0, 6.0, 9.0, 30.0), naive.rstdp),
    "depression": (RSTDP(0.0, 2.0, 6.0, 9.0, 3.0), naive.rstdp),
}
CELLS = list(itertools.product(("LIF", "ALIF"), ("subtract", "zero"), SURROGATES))


def make_signal(network, x, seed=0):
    """Draw a learning signal with every part that the rules read."""
    rng = np.random.default_rng(seed + 3)
    shape = x.shape[:2]
    return LearningSignal(
        error=rng.standard_normal((*shape, network.n_out)),
        feedback=rng.standard_normal((network.n_rec, network.n_out)),
        neuron=rng.standard_normal((shape[1], network.n_rec)),
        broadcast=rng.standard_normal((*shape, network.n_out)),
        direct=rng.standard_normal((*shape, network.n_rec)),
        reward=rng.standard_normal(shape),
    )


def gradients(rule, network, x, signal, threads=1):
    return rule.gradients(network, network.run(x), signal, threads).arrays()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("number", range(len(CELLS)))
def test_gradients_equal_the_twin(name, number):
    kind, reset, surrogate = CELLS[number]
    spec = {"tau_m": 10.0, "reset": reset, "t_ref": 3.0 * (number % 2)}
    if kind == "ALIF":
        spec |= {"tau_a": 50.0, "beta": 0.2}
    cell = {"LIF": LIF, "ALIF": ALIF}[kind](
        **spec, surrogate=Surrogate(surrogate, 0.4, 1.3)
    )
    rule, twin = RULES[name]
    x = make_input(number, n_steps=20, n_samples=2, graded=number % 3 == 0)
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        network = make_network(
            number,
            cell=cell,
            readout=LeakyReadout(7.0, ("unit", "leak")[number % 2]),
            dt=(1.0, 0.5)[number % 2],
            dtype=dtype,
            drive=1.6,
            bias=0.1,
        )
        run = spiking.forward(network, x)
        assert 0.02 < run.z.mean() < 0.9
        signal = make_signal(network, x, number)
        got = gradients(rule, network, x, signal)
        expected = twin(rule, network, x, run, signal)
        for array, gradient in expected.items():
            alive = array != "bias" or isinstance(rule, STLLR)
            assert bool(np.abs(gradient).max() > 1e-3) == alive, array
            difference = np.abs(got[array] - gradient).max()
            assert difference <= tolerance * np.abs(gradient).max(), array
            assert got[array].dtype == network.dtype
            assert got[array].shape == network.params.arrays()[array].shape


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("s-tllr", {"lambda_post": 0.21}),
        ("s-tllr", {"lambda_pre": 0.76}),
        ("s-tllr", {"alpha_post": -1.01}),
        ("s-tllr", {"alpha_pre": 1.01}),
        ("r-stdp", {"a_plus": 1.01}),
        ("r-stdp", {"a_minus": 1.51}),
        ("r-stdp", {"tau_plus": 6.1}),
        ("r-stdp", {"tau_minus": 9.1}),
        ("r-stdp", {"tau_e": 31.0}),
    ],
)
def test_gradients_depend_on_every_parameter(name, change):
    """Negative control: the twin of a slightly different rule must disagree."""
    rule, twin = RULES[name]
    network, x = make_network(drive=1.5), make_input(n_steps=20)
    run, signal = spiking.forward(network, x), make_signal(network, x)
    got = gradients(rule, network, x, signal)
    same = twin(rule, network, x, run, signal)
    other = twin(dataclasses.replace(rule, **change), network, x, run, signal)
    assert relative_error(got["w_rec"], same["w_rec"]) < 1e-11
    assert relative_error(got["w_rec"], other["w_rec"]) > 1e-4


def test_s_tllr_depends_on_every_part_of_the_signal():
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    before = gradients(STLLR(), network, x, signal)
    for part in ("neuron", "direct", "broadcast"):
        changed = dataclasses.replace(signal, **{part: None})
        after = gradients(STLLR(), network, x, changed)
        assert relative_error(after["w_in"], before["w_in"]) > 1e-2
        assert np.array_equal(after["w_out"], before["w_out"])
    reward = dataclasses.replace(signal, reward=None)
    for name, gradient in gradients(STLLR(), network, x, reward).items():
        assert np.array_equal(gradient, before[name])


def test_without_a_broadcast_it_is_the_error():
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    none = dataclasses.replace(signal, broadcast=None)
    same = dataclasses.replace(signal, broadcast=signal.error)
    got = gradients(STLLR(), network, x, none)
    for name, gradient in gradients(STLLR(), network, x, same).items():
        assert np.array_equal(gradient, got[name])


def test_r_stdp_learns_from_reward_alone():
    """Neurons see no error; the readout sees nothing but it."""
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    before = gradients(RSTDP(), network, x, signal)
    other = dataclasses.replace(make_signal(network, x, 9), reward=signal.reward)
    after = gradients(RSTDP(), network, x, other)
    for name in ("w_in", "w_rec", "bias"):
        assert np.array_equal(before[name], after[name])
    for name in ("w_out", "b_out"):
        assert not np.array_equal(before[name], after[name])
    none = dataclasses.replace(signal, reward=np.zeros_like(signal.reward))
    assert not gradients(RSTDP(), network, x, none)["w_in"].any()


@pytest.mark.parametrize("name", ["s-tllr", "r-stdp"])
def test_the_readout_learns_as_with_e_prop(name):
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    got = gradients(RULES[name][0], network, x, signal)
    expected = gradients(EProp(), network, x, signal)
    for array in ("w_out", "b_out"):
        assert np.abs(expected[array]).max() > 0.1
        assert relative_error(got[array], expected[array]) < 1e-12


def pair_network(pre_at, post_at, n_steps=40):
    """Build one neuron that spikes when input 1 says so, and see input 0 at `pre_at`.

    Returns the network, its input and a signal without any part.
    """
    network = make_network(n_in=2, n_rec=1, n_out=1, cell=LIF(tau_m=1.0))
    network.params.w_in[...] = [[1e-3, 1.5]]
    network.params.w_rec[...] = 0.0
    x = np.zeros((n_steps, 1, 2), np.uint8)
    x[pre_at, 0, 0] = x[post_at, 0, 1] = 1
    spikes = network.run(x).spikes[:, 0, 0]
    assert np.flatnonzero(spikes).tolist() == [post_at]
    signal = LearningSignal(np.zeros((n_steps, 1, 1)), np.zeros((1, 1)))
    return network, x, signal


@pytest.mark.parametrize("reward_at", [15, 30])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("lag", [-5, -1, 0, 1, 5])
def test_reward_after_a_pair_strengthens_what_came_before_the_spike(
    lag, sign, reward_at
):
    """The change is minus the gradient; a punishment turns it round."""
    rule = RSTDP(1.0, 1.5, tau_plus=10.0, tau_minus=20.0, tau_e=50.0)
    network, x, signal = pair_network(10, 10 + lag)
    reward = np.zeros((40, 1))
    reward[reward_at] = sign
    signal = dataclasses.replace(signal, reward=reward)
    change = -gradients(rule, network, x, signal)["w_in"][0, 0]
    if lag >= 0:
        size, pair_at = math.exp(-lag / 10.0), 10 + lag
    else:
        size, pair_at = -1.5 * math.exp(lag / 20.0), 10
    expected = sign * size * math.exp(-(reward_at - pair_at) / 50.0)
    assert change == pytest.approx(expected)


def test_reward_before_a_pair_changes_nothing():
    network, x, signal = pair_network(10, 12)
    reward = np.zeros((40, 1))
    reward[:12] = 1.0
    before = dataclasses.replace(signal, reward=reward)
    assert not gradients(RSTDP(), network, x, before)["w_in"][0, 0]
    reward[12] = 1.0
    after = dataclasses.replace(signal, reward=reward)
    assert gradients(RSTDP(), network, x, after)["w_in"][0, 0] < 0


@pytest.mark.parametrize("lag", [-4, -1, 1, 4])
def test_s_tllr_pairs_by_hand(lag):
    """One presynaptic event, and a signal that is on at one step only."""
    rule = STLLR(0.2, 0.75, -1.0, 1.0)
    network, x, signal = pair_network(10, 12)
    record = network.run(x)
    psi = np.maximum(0.0, 1.0 - np.abs(record.distance[:, 0, 0])) * 0.3
    direct = np.zeros((40, 1, 1))
    direct[10 + lag] = 1.0
    signal = dataclasses.replace(signal, direct=direct)
    got = gradients(rule, network, x, signal)["w_in"][0, 0]
    assert psi[10 + max(lag, 0)] >= 0
    expected = 0.75**lag * psi[10 + lag] if lag >= 0 else 0.0
    assert got == pytest.approx(expected, abs=1e-15)
    direct = np.zeros((40, 1, 1))
    direct[10] = 1.0
    signal = dataclasses.replace(signal, direct=direct)
    got = gradients(rule, network, x, signal)["w_in"][0, 0]
    past = sum(0.2 ** (9 - t) * psi[t] for t in range(10))
    assert got == pytest.approx(psi[10] - past)


def test_a_recurrent_spike_counts_when_it_arrives():
    """Neuron 0 spikes at step 5, its target at step 6: the shortest causal pair."""
    network = make_network(n_in=2, n_rec=2, n_out=1, cell=LIF(tau_m=1.0))
    network.params.w_in[...] = [[1.5, 0.0], [0.0, 1.5]]
    network.params.w_rec[...] = 0.0
    x = np.zeros((12, 1, 2), np.uint8)
    x[5, 0, 0] = x[6, 0, 1] = 1
    assert np.argwhere(network.run(x).spikes[:, 0]).tolist() == [[5, 0], [6, 1]]
    reward = np.zeros((12, 1))
    reward[6] = 1.0
    signal = LearningSignal(np.zeros((12, 1, 1)), np.zeros((2, 1)), reward=reward)
    change = -gradients(RSTDP(), network, x, signal)["w_rec"]
    assert change[1, 0] == 1.0
    assert not change[0].any(), "the other direction has not arrived yet"
    reward[7] = 1.0
    change = -gradients(RSTDP(tau_e=1e9), network, x, signal)["w_rec"]
    assert change[0, 1] == pytest.approx(-1.5 * math.exp(-2 / 20))


DELAYS = {
    "3": 3,
    "longer than the trial": 30,
    "per synapse": np.random.default_rng(5).integers(1, 8, (6, 6)),
}


@pytest.mark.parametrize("name", ["s-tllr", "r-stdp"])
@pytest.mark.parametrize("delay", DELAYS)
def test_spikes_count_when_they_arrive(delay, name):
    network = make_network(drive=1.5, delay=DELAYS[delay])
    x = make_input(n_steps=20, n_samples=2)
    record, signal = network.run(x), make_signal(network, x)
    rule, twin = RULES[name]
    run = SimpleNamespace(
        z=record.output,
        distance=record.distance,
        refractory=np.isneginf(record.distance),
    )
    got = gradients(rule, network, x, signal)["w_rec"]
    expected = twin(rule, network, x, run, signal)["w_rec"]
    assert run.z.mean() > 0.02
    assert np.abs(got - expected).max() <= 1e-11 * max(np.abs(expected).max(), 1.0)
    assert bool(np.abs(expected).max() > 1e-2) == (delay != "longer than the trial")
    early = twin(rule, copy_spec(network, delay=1), x, run, signal)["w_rec"]
    assert relative_error(got, early) > 1e-2


@pytest.mark.parametrize("name", ["s-tllr", "r-stdp"])
def test_gradients_are_linear_in_the_signal(name):
    network, x = make_network(drive=1.5), make_input()
    first, second = make_signal(network, x, 1), make_signal(network, x, 2)
    second = dataclasses.replace(second, feedback=first.feedback)
    parts = ("error", "broadcast", "neuron", "direct", "reward")
    mixed = {p: 2 * getattr(first, p) - getattr(second, p) for p in parts}
    both = dataclasses.replace(first, **mixed)
    rule = RULES[name][0]
    a, b, c = (gradients(rule, network, x, s) for s in (first, second, both))
    for array in ("w_in", "w_rec", "w_out", "b_out"):
        assert relative_error(c[array], 2 * a[array] - b[array]) < 1e-11, array


@pytest.mark.parametrize("name", ["s-tllr", "r-stdp"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(name, dtype):
    network = make_network(n_rec=19, dtype=dtype, drive=1.5)
    x = make_input(n_samples=11, graded=True)
    signal, rule = make_signal(network, x), RULES[name][0]
    one = gradients(rule, network, x, signal)
    assert np.abs(one["w_rec"]).max() > 0
    for threads in (2, 16):
        for array, gradient in gradients(rule, network, x, signal, threads).items():
            assert np.array_equal(gradient, one[array]), (array, threads)


@pytest.mark.parametrize("name", ["s-tllr", "r-stdp"])
def test_a_batch_is_the_sum_of_its_samples(name):
    network, x = make_network(drive=1.5), make_input()
    signal, rule = make_signal(network, x), RULES[name][0]
    batch = gradients(rule, network, x, signal)
    total = dict.fromkeys(batch, 0.0)
    for b in range(3):
        one = slice(b, b + 1)
        alone = dataclasses.replace(
            signal,
            error=signal.error[:, one],
            broadcast=signal.broadcast[:, one],
            neuron=signal.neuron[one],
            direct=signal.direct[:, one],
            reward=signal.reward[:, one],
        )
        single = gradients(rule, network, x[:, one], alone)
        total = {array: total[array] + single[array] for array in batch}
    for array in ("w_in", "w_rec", "w_out", "b_out"):
        assert relative_error(total[array], batch[array]) < 1e-11


def test_without_spikes_reward_teaches_nothing_and_s_tllr_still_does():
    network, x = silent_network(), make_input()
    assert not network.run(x).spikes.any()
    signal = make_signal(network, x)
    rewarded = gradients(RSTDP(), network, x, signal)
    assert not rewarded["w_in"].any()
    assert not rewarded["w_rec"].any()
    near = gradients(STLLR(), network, x, signal)
    assert near["w_in"].any(), "the pseudo-derivative needs no spike"
    assert not near["w_rec"].any()


def test_connections_that_do_not_exist_get_nothing():
    mask = np.zeros((6, 6), bool)
    mask[0, 1] = True
    network, x = make_network(drive=1.5, mask=mask), make_input()
    for rule in (STLLR(), RSTDP()):
        gradient = gradients(rule, network, x, make_signal(network, x))["w_rec"]
        assert np.flatnonzero(gradient).tolist() == [1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_s_tllr_lowers_a_loss(sign):
    """Input and recurrent weights learn alone; the opposite signal unlearns."""
    network = make_network(cell=LIF(tau_m=10.0), drive=1.5, n_rec=20)
    x = make_input()
    target = np.sin(np.arange(40) / 6)[:, None, None] * np.ones((1, 3, 2))
    losses = []
    for _ in range(60):
        record = network.run(x)
        error = (record.y - target) / (40 * 3)
        losses.append(0.5 * np.sum(error * (record.y - target)))
        signal = LearningSignal(error, sign * network.params.w_out.T)
        got = STLLR().gradients(network, record, signal)
        network.params.w_in[...] -= 0.1 * got.w_in
        network.params.w_rec[...] -= 0.1 * got.w_rec
    ratio = losses[-1] / losses[0]
    assert ratio < 0.8 if sign > 0 else ratio > 1.1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_r_stdp_makes_a_rewarded_neuron_fire(sign):
    """Conditioning: spikes of neuron 0 are rewarded (or punished), not those of 1."""
    rng = np.random.default_rng(0)
    network = make_network(n_in=20, n_rec=2, n_out=1, cell=LIF(tau_m=10.0))
    w_in = network.params.w_in
    own = np.repeat(np.eye(2), 10, axis=1)
    w_in[...] = 0.25 * own
    network.params.w_rec[...] = 0.0
    rates = []
    for _ in range(60):
        x = (rng.random((100, 4, 20)) < 0.05).astype(np.uint8)
        record = network.run(x)
        rates.append(record.spikes.mean(axis=(0, 1)))
        reward = sign * (record.spikes[:, :, 0] - rates[-1][0])
        signal = LearningSignal(np.zeros((100, 4, 1)), np.zeros((2, 1)), reward=reward)
        got = RSTDP(tau_e=10.0).gradients(network, record, signal)
        w_in -= 1e-3 * own * got.w_in
    start, end = np.mean(rates[:5], axis=0), np.mean(rates[-5:], axis=0)
    assert start.min() > 0.02
    rewarded, other = end / start
    assert rewarded > 1.5 if sign > 0 else rewarded < 0.5
    assert 0.7 < other < 1.4


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        ("error", (3, 40, 2)),
        ("feedback", (2, 6)),
        ("neuron", (6, 3)),
        ("broadcast", (40, 3, 1)),
        ("direct", (40, 3, 2)),
    ],
)
def test_signals_of_the_wrong_shape(part, shape):
    network, x = make_network(), make_input()
    signal = dataclasses.replace(make_signal(network, x), **{part: np.zeros(shape)})
    with pytest.raises(InvalidValue, match=rf"^LearningSignal\.{part} must have shape"):
        gradients(STLLR(), network, x, signal)


def test_rewards_that_are_missing_or_of_the_wrong_shape():
    network, x = make_network(), make_input()
    signal = dataclasses.replace(make_signal(network, x), reward=np.zeros((3, 40)))
    with pytest.raises(InvalidValue, match=r"^LearningSignal\.reward must have shape"):
        gradients(RSTDP(), network, x, signal)
    signal = dataclasses.replace(signal, reward=None)
    message = r"^LearningSignal\.reward must be given for rule 'r-stdp'; got None\."
    with pytest.raises(InvalidValue, match=message):
        gradients(RSTDP(), network, x, signal)


@pytest.mark.parametrize(
    ("rule", "spec", "message"),
    [
        (
            STLLR,
            {"lambda_pre": 1.1},
            r"^STLLR\.lambda_pre must be in \[0, 1\]; got",
        ),
        (STLLR, {"lambda_post": -0.1}, r"^STLLR\.lambda_post must be in"),
        (STLLR, {"alpha_pre": math.nan}, r"^STLLR\.alpha_pre must be finite"),
        (RSTDP, {"a_plus": -1.0}, r"^RSTDP\.a_plus must be >= 0 and finite"),
        (RSTDP, {"tau_e": 0.0}, r"^RSTDP\.tau_e must be > 0 ms .*; got 0\. \(Time"),
    ],
)
def test_bad_parameters(rule, spec, message):
    with pytest.raises(InvalidValue, match=message):
        rule(**spec)


@pytest.mark.parametrize("rule", [STLLR, RSTDP])
def test_rate_units_have_no_spike_times(rule):
    network, x = make_network(cell=LeakyRate()), make_input()
    message = rf"^rule '{rule.info.name}' must be used with cells LIF or ALIF; got rate"
    with pytest.raises(InvalidValue, match=message):
        gradients(rule(), network, x, make_signal(network, x))


@pytest.mark.parametrize("rule", [STLLR, RSTDP])
def test_rules_describe_themselves(rule):
    assert set(rule.info.cells) == {"LIF", "ALIF"}
    assert rule.info.reference
    assert not rule.info.exact
