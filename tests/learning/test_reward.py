"""Actor-critic: unbiased policy error, critic, what the network may see, randomness."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.optimizers import Adam
from spikelearn.learning.reward import ActorCritic
from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import LIF
from tests.helpers import make_network

T, B, K = 7, 3, 4  # steps, trials, actions


class Points:
    """A generator whose uniform numbers are given."""

    def __init__(self, points):
        self.points = np.asarray(points)

    def random(self, size):
        assert size == len(self.points)
        return self.points


def draw(seed=0, dtype=np.float64, n_actions=K):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((T, B, n_actions + 1)).astype(dtype)
    target = rng.standard_normal((B, n_actions)).astype(np.float32)
    mask = np.zeros((T, B), np.float32)
    mask[2:6, 0] = mask[4:, 1] = mask[1, 2] = 1.0
    return y, target, mask


def policy(y, mask):
    """Probabilities (B, K) by loops."""
    out = []
    for b in range(y.shape[1]):
        steps = np.flatnonzero(mask[:, b])
        u = [np.mean([y[t, b, k] for t in steps]) for k in range(y.shape[2] - 1)]
        e = [np.exp(v) for v in u]
        out.append([v / sum(e) for v in e])
    return np.array(out)


def choose(action, pi):
    """Points that draw the action in every trial."""
    below = np.cumsum(pi, axis=1) - pi
    return Points(below[:, action] + 0.5 * pi[:, action])


def finite_difference(evaluate, y, units):
    gradient = np.zeros_like(y)
    for index in np.ndindex(y.shape):
        if index[2] in units:
            high, low = y.copy(), y.copy()
            high[index] += 1e-5
            low[index] -= 1e-5
            gradient[index] = (evaluate(high) - evaluate(low)) / 2e-5
    return gradient


def expected_error(loss, y, target, mask):
    pi = policy(y, mask)
    results = [loss(y, target, mask, choose(a, pi)) for a in range(K)]
    for a, result in enumerate(results):
        assert (result.prediction == a).all()
    return sum(pi[:, a][:, None] * result.error for a, result in enumerate(results))


@pytest.mark.parametrize("baseline", [0.0, 1.7])
@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_the_policy_error_is_unbiased(baseline, entropy):
    """Over all actions it is the derivative of minus the expected reward."""
    y, target, mask = draw()
    y[:, :, -1] = baseline
    loss = ActorCritic(entropy=entropy)

    def energy(y):
        pi = policy(y, mask)
        bonus = -entropy * (pi * np.log(pi)).sum(axis=1)
        return -np.mean((pi * target).sum(axis=1) + bonus)

    got = expected_error(loss, y, target, mask)[:, :, :-1]
    expected = finite_difference(energy, y, range(K))[:, :, :-1]
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(got, expected, atol=1e-9)
    biased = dataclasses.replace(loss, entropy=entropy + 0.1)
    wrong = expected_error(biased, y, target, mask)[:, :, :-1]
    assert np.abs(wrong - expected).max() > 1e-4


def test_the_baseline_lowers_the_variance():
    y, target, mask = draw()
    target = target + 10.0
    pi = policy(y, mask)
    spread = []
    for baseline in (0.0, 10.0):
        y[:, :, -1] = baseline
        errors = [ActorCritic()(y, target, mask, choose(a, pi)).error for a in range(K)]
        spread.append(np.var([e[:, :, :-1] for e in errors], axis=0).sum())
    assert spread[1] < 0.1 * spread[0]


@pytest.mark.parametrize("gamma", [0.0, 0.8, 1.0])
def test_the_critic_error_is_the_derivative_of_its_squared_error(gamma):
    y, target, mask = draw()
    loss = ActorCritic(gamma, value_weight=0.7)
    result = loss(y, target, mask, np.random.default_rng(0))
    rewards = [target[b, a] for b, a in enumerate(result.prediction)]

    def energy(y):
        total = 0.0
        for b in range(B):
            steps = np.flatnonzero(mask[:, b])
            squares = [
                (gamma ** int(steps[-1] - s) * rewards[b] - y[s, b, -1]) ** 2
                for s in steps
            ]
            total += 0.7 / 2 * np.mean(squares)
        return total / B

    expected = finite_difference(energy, y, [K])[:, :, -1]
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(result.error[:, :, -1], expected, atol=1e-9)


@pytest.mark.parametrize("hole", [False, True])
def test_discounted_prediction_errors_add_up_to_the_advantage(hole):
    """The telescope that turns TD learning into an error of the readout."""
    y, target, mask = draw()
    mask[3, 0] = 1.0 - hole
    gamma = 0.8
    loss = ActorCritic(gamma, value_weight=1.0)
    result = loss(y, target, mask, np.random.default_rng(0))
    delta = result.reward * B
    for b in range(B):
        steps = np.flatnonzero(mask[:, b])
        first, last = steps[0], steps[-1]
        reward = target[b, result.prediction[b]]
        for t in range(T):
            future = y[t + 1, b, -1] if t < last else 0.0
            expected = (t == last) * reward + gamma * future - y[t, b, -1]
            expected *= first <= t <= last
            assert delta[t, b] == pytest.approx(expected)
        for s in steps:
            advantage = sum(gamma ** (t - s) * delta[t, b] for t in range(s, T))
            error = result.error[s, b, -1] * -B * len(steps)
            assert error == pytest.approx(advantage)
        pi = policy(y, mask)[b] - np.eye(K)[result.prediction[b]]
        for s in steps:
            expected = delta[last, b] * pi / (B * len(steps))
            np.testing.assert_allclose(result.error[s, b, :-1], expected)
    outside = mask == 0
    assert not result.error[outside].any()


def test_nothing_outside_of_the_window_counts():
    y, target, mask = draw()
    one = ActorCritic()(y, target, mask, np.random.default_rng(0))
    y[mask == 0] += 3.0
    two = ActorCritic()(y, target, mask, np.random.default_rng(0))
    assert np.array_equal(one.error, two.error)
    assert np.array_equal(one.reward, two.reward)
    y[2, 0, 0] += 0.1
    three = ActorCritic()(y, target, mask, np.random.default_rng(0))
    assert not np.array_equal(one.error, three.error)


def as_arrays(result):
    return [np.asarray(getattr(result, f.name)) for f in dataclasses.fields(result)]


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_only_the_reward_of_the_own_action_is_seen(seed):
    y, target, mask = draw()

    def act(target):
        rng = None if seed is None else np.random.default_rng(seed)
        return ActorCritic(entropy=0.1)(y, target, mask, rng)

    before = act(target)
    own = np.eye(K)[before.prediction] > 0
    after = act(np.where(own, target, 1e3 + target))
    for left, right in zip(as_arrays(before), as_arrays(after), strict=True):
        assert np.array_equal(left, right)
    changed = act(np.where(own, target + 0.5, target))
    assert not np.array_equal(changed.error, before.error)
    assert np.array_equal(changed.prediction, before.prediction)


def test_value_and_score_are_the_reward_received():
    y, target, mask = draw()
    result = ActorCritic()(y, target, mask, np.random.default_rng(0))
    received = [target[b, a] for b, a in enumerate(result.prediction)]
    assert result.value == pytest.approx(-np.mean(received))
    assert result.n_correct == pytest.approx(sum(received))
    assert not result.projection.any()
    assert result.projection.shape == y.shape


def test_actions_are_drawn_as_often_as_the_policy_says():
    n = 20000
    y = np.zeros((1, n, 4))
    y[:, :, :3] = np.log([0.2, 0.5, 0.3])
    target, mask = np.zeros((n, 3), np.float32), np.ones(1)
    drawn = ActorCritic()(y, target, mask, np.random.default_rng(0)).prediction
    share = np.bincount(drawn, minlength=3) / n
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=0.015)


def test_without_a_generator_the_most_probable_action_is_taken():
    y, target, mask = draw()
    greedy = ActorCritic()(y, target, mask)
    assert np.array_equal(greedy.prediction, policy(y, mask).argmax(axis=1))
    assert np.array_equal(greedy.error, ActorCritic()(y, target, mask).error)


def test_randomness_comes_from_the_generator_alone():
    """Same state, same result; one number a trial; the arguments stay as they were."""
    y, target, mask = draw()
    kept = [a.copy() for a in (y, target, mask)]
    np.random.seed(1)  # noqa: NPY002
    one = ActorCritic()(y, target, mask, np.random.default_rng(5))
    np.random.seed(2)  # noqa: NPY002
    rng = np.random.default_rng(5)
    two = ActorCritic()(y, target, mask, rng)
    for left, right in zip(as_arrays(one), as_arrays(two), strict=True):
        assert np.array_equal(left, right)
    fresh = np.random.default_rng(5)
    fresh.random(B)
    assert rng.random() == fresh.random()
    assert all(map(np.array_equal, kept, (y, target, mask)))
    actions = {
        tuple(ActorCritic()(y, target, mask, np.random.default_rng(s)).prediction)
        for s in range(20)
    }
    assert len(actions) > 5


def test_a_batch_is_the_mean_of_its_trials():
    y, target, mask = draw()
    points = [0.1, 0.6, 0.9]
    batch = ActorCritic()(y, target, mask, Points(points))
    parts = [
        ActorCritic()(y[:, [b]], target[[b]], mask[:, b], Points([points[b]]))
        for b in range(B)
    ]
    assert batch.value == pytest.approx(np.mean([p.value for p in parts]))
    assert batch.n_correct == pytest.approx(sum(p.n_correct for p in parts))
    for b, part in enumerate(parts):
        np.testing.assert_allclose(batch.error[:, [b]], part.error / B, atol=1e-15)
        np.testing.assert_allclose(batch.reward[:, [b]], part.reward / B, atol=1e-15)


def test_the_error_has_the_type_of_the_readout():
    y, target, mask = draw(dtype=np.float32)
    result = ActorCritic()(y, target, mask)
    for array in (result.error, result.reward, result.projection):
        assert array.dtype == np.float32


def test_large_policies_do_not_overflow():
    y, target, mask = draw()
    result = ActorCritic(entropy=0.1)(1e4 * y, target, mask, np.random.default_rng(0))
    assert np.isfinite(result.error).all()


def learn(loss, rewards, *, steps=1500, lr=0.5, seed=0):
    """Descend on the readout itself; rewards are Bernoulli with given chances."""
    rng = np.random.default_rng(seed)
    n, mask = 20, np.array([0.0, 1.0, 1.0])
    table = np.zeros((3, 1, len(rewards) + 1))
    history = []
    for _ in range(steps):
        y = np.repeat(table, n, axis=1)
        target = (rng.random((n, len(rewards))) < rewards).astype(np.float32)
        result = loss(y, target, mask, rng)
        table -= lr * result.error.sum(axis=1, keepdims=True)
        history.append(result.n_correct / n)
    return table[:, 0], np.array(history)


def test_an_actor_finds_the_better_action_and_its_critic_the_reward():
    gamma = 0.9
    rewards = np.array([0.2, 0.8, 0.5])
    table, history = learn(ActorCritic(gamma), rewards)
    assert abs(history[:20].mean() - rewards.mean()) < 0.1
    assert history[-200:].mean() > 0.75
    assert table[1:, :-1].mean(axis=0).argmax() == 1
    reached = history[-200:].mean()
    assert table[2, -1] == pytest.approx(reached, abs=0.08)
    assert table[1, -1] == pytest.approx(gamma * reached, abs=0.08)
    assert not table[0].any(), "a step outside of the window learns nothing"


def test_without_differences_of_reward_there_is_nothing_to_find():
    """Negative control: the same learner on equal chances stays undecided."""
    _, history = learn(ActorCritic(0.9), np.array([0.5, 0.5, 0.5]))
    assert abs(history[-500:].mean() - 0.5) < 0.05


def test_entropy_keeps_the_policy_open():
    rewards = np.array([0.2, 0.8, 0.5])
    tables = [learn(ActorCritic(0.9, entropy=e), rewards)[0] for e in (0.0, 1.0)]
    spread = [np.ptp(table[1:, :-1].mean(axis=0)) for table in tables]
    assert spread[1] < 0.5 * spread[0]


@pytest.mark.parametrize("informative", [True, False])
def test_a_network_learns_which_cue_asks_for_which_action(informative):
    """By e-prop, from reward alone; rewards that ignore the cue teach nothing."""
    rng = np.random.default_rng(0)
    network = make_network(n_in=20, n_rec=20, n_out=3, cell=LIF(tau_m=10.0), drive=1.5)
    mask = np.zeros(40, np.float32)
    mask[30:] = 1.0
    optimizer, params = Adam(lr=0.01), network.params.arrays()
    state, history = optimizer.init(params), []
    for _ in range(100):
        cue = rng.integers(0, 2, 16)
        active = np.repeat(np.stack([cue == 0, cue == 1], axis=1), 10, axis=1)
        x = ((rng.random((40, 16, 20)) < 0.1) & active).astype(np.uint8)
        right = cue if informative else rng.integers(0, 2, 16)
        record = network.run(x)
        result = ActorCritic()(record.y, np.eye(2)[right], mask, rng)
        history.append(result.n_correct / 16)
        signal = LearningSignal(result.error, network.params.w_out.T)
        gradient = EProp().gradients(network, record, signal).arrays()
        optimizer.step(params, gradient, state)
    assert np.mean(history[:10]) < 0.65
    late = np.mean(history[-20:])
    assert late > 0.85 if informative else 0.4 < late < 0.6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"gamma": 1.1}, r"^ActorCritic\.gamma must be in \[0, 1\]; got 1\.1"),
        ({"gamma": float("nan")}, r"^ActorCritic\.gamma must be"),
        ({"value_weight": -1.0}, r"^ActorCritic\.value_weight must be >= 0"),
        ({"entropy": np.inf}, r"^ActorCritic\.entropy must be >= 0 and finite"),
    ],
)
def test_bad_parameters(spec, message):
    with pytest.raises(InvalidValue, match=message):
        ActorCritic(**spec)


def test_bad_arrays():
    y, target, mask = draw()
    loss = ActorCritic()
    with pytest.raises(InvalidValue, match=r"^loss target must have shape \(3, 4\)"):
        loss(y, target[:, :3], mask)
    with pytest.raises(InvalidValue, match=r"^loss mask must have shape"):
        loss(y, target, mask[1:])
    with pytest.raises(InvalidValue, match=r"^loss mask must keep at least one step"):
        loss(y, target, 0 * mask)
    with pytest.raises(InvalidValue, match=r"^readout must have >= 2 units; got 1"):
        loss(y[:, :, :1], target[:, :0], mask)
    target[0, 0] = np.nan
    with pytest.raises(InvalidValue, match=r"^loss target must be finite"):
        loss(y, target, mask)
