"""The adapter with an environment of ours; and, where it is installed, with neurogym.

2af, dms and cxt are compared with neurogym's own generator: same parameters, same set
of noise-free trials, same distribution of the noise.
"""

from __future__ import annotations

import math
import types

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, MissingDependency, UnknownName
from spikelearn.tasks import NeurogymTask, Task, make, neurogym

needs_neurogym = pytest.mark.neurogym


class Environment:
    """Trials of 2 to 4 steps; observations count trials and show the answer."""

    dt = 20

    def __init__(self, continuous=False, first=0, dt=20, timing=None):
        self.dt, self.trials, self.timing = dt, 0, timing or {}
        self.observation_space = types.SimpleNamespace(shape=(2,))
        self.action_space = (
            types.SimpleNamespace(shape=(3,))
            if continuous
            else types.SimpleNamespace(shape=(), n=4, start=first)
        )
        self.first, self.continuous = first, continuous

    @property
    def unwrapped(self):
        return self

    def reset(self, seed=None):
        self.rng = np.random.default_rng(seed)

    def new_trial(self):
        self.trials += 1
        steps = int(self.rng.integers(2, 5))
        answer = self.rng.integers(1, 4, steps)
        self.ob = np.stack([np.full(steps, self.trials), answer], axis=1) + 0.0
        self.gt = self.first + answer
        if self.continuous:
            self.gt = np.repeat(answer[:, None], 3, axis=1) / 4


def test_trials_are_padded_where_the_loss_does_not_count():
    task = NeurogymTask(Environment(), n_steps=6)
    assert isinstance(task, Task)
    assert (task.kind, task.n_in, task.n_out, task.dt) == ("classification", 2, 4, 20)
    batch = task.train_batch(0, 300, seed=0)
    assert batch.x.shape == (6, 300, 2) and batch.mask.shape == (6, 300)
    lengths = batch.mask.sum(axis=0)
    assert set(lengths) == {2, 3, 4}
    for b, length in enumerate(lengths.astype(int)):
        assert batch.mask[:length, b].all() and not batch.mask[length:, b].any()
        np.testing.assert_array_equal(batch.target[:length, b], batch.x[:length, b, 1])
        assert not batch.x[length:, b].any() and not batch.target[length:, b].any()


def test_every_trial_comes_from_the_environment_as_made():
    environment = Environment()
    task = NeurogymTask(environment, n_steps=4)
    counts = task.train_batch(3, 20, seed=1).x[0, :, 0]
    assert (counts == 1).all() and environment.trials == 0
    environment.new_trial()
    assert environment.trials == 1, "trials are counted where they are not copies"


def test_trials_are_a_function_of_seed_and_number():
    task = NeurogymTask(Environment, n_steps=4)
    whole = task.train_batch(0, 6, seed=9)
    again = NeurogymTask(Environment, n_steps=4)
    parts = [again.train_batch(k, 2, seed=9) for k in (2, 0, 1)]
    joined = np.concatenate([parts[k].x for k in (1, 2, 0)], axis=1)
    np.testing.assert_array_equal(joined, whole.x)
    assert not np.array_equal(task.train_batch(0, 6, seed=8).x, whole.x)
    test = next(task.evaluation("test", 6, 6))
    assert not np.array_equal(test.x, next(task.evaluation("validation", 6, 6)).x)


def test_continuous_actions_make_a_regression():
    task = NeurogymTask(Environment(continuous=True), n_steps=5)
    batch = task.train_batch(0, 4, seed=0)
    assert (task.kind, task.n_out) == ("regression", 3)
    assert batch.target.shape == (5, 4, 3) and batch.target.dtype == np.float32
    expected = np.repeat(batch.x[..., 1:] / 4, 3, axis=2)
    np.testing.assert_allclose(batch.target, expected)


def test_actions_that_start_elsewhere_become_classes_from_zero():
    plain, moved = (NeurogymTask(Environment(first=f), n_steps=4) for f in (0, 7))
    a, b = (task.train_batch(0, 9, seed=0) for task in (plain, moved))
    np.testing.assert_array_equal(a.target * a.mask, b.target * b.mask)


def test_a_function_gets_dt_timing_and_options():
    task = NeurogymTask(
        Environment, n_steps=4, dt=5, timing={"delay": 3}, options={"first": 2}
    )
    made = task._environment
    assert (made.dt, made.timing, made.first) == (5, {"delay": 3}, 2)
    assert task.dt == 5.0 and isinstance(task.dt, float)


def test_the_first_trial_sets_the_length_and_longer_ones_are_refused():
    task = NeurogymTask(Environment())
    assert 2 <= task.n_steps <= 4
    with pytest.raises(InvalidValue, match="n_steps must be at least as long as every"):
        NeurogymTask(Environment(), n_steps=2).train_batch(0, 50, seed=0)


class Blind(Environment):
    def new_trial(self):
        super().new_trial()
        del self.gt


class Short(Environment):
    def new_trial(self):
        super().new_trial()
        self.gt = self.gt[:-1]


class Image(Environment):
    def __init__(self):
        super().__init__()
        self.observation_space = types.SimpleNamespace(shape=(2, 2))


class Vague(Environment):
    def __init__(self):
        super().__init__()
        self.action_space = types.SimpleNamespace()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env": Blind}, "must leave ob and gt .*got no gt.*not made for supervised"),
        ({"env": Short}, "a right action for every step; got shapes"),
        ({"env": Image}, r"observations that are vectors; got \(2, 2\)"),
        ({"env": Vague}, "must have discrete actions"),
        ({"env": 3}, r"must have a method new_trial\(\); got 3"),
        ({"env": Environment, "n_steps": -1}, "n_steps must be an integer >= 0"),
        ({"env": Environment, "timing": [1]}, "timing must be a table"),
        (
            {"env": Environment(), "timing": {"a": 1}},
            "must be empty for an environment",
        ),
        ({"env": Environment(), "dt": 5}, "dt must be that of the environment, 20 ms"),
    ],
)
def test_what_is_no_supervised_environment_is_refused(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        NeurogymTask(**arguments)


def test_without_neurogym_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "neurogym", None)
    with pytest.raises(
        MissingDependency, match=r"\(Install it in two steps: .*--no-dep"
    ):
        make("neurogym")


# ---------------------------------------------------------------- neurogym itself

PUBLISHED = {
    "2af": {
        "env": "PerceptualDecisionMaking-v0",
        "timing": {"fixation": 0, "stimulus": 700, "delay": 0, "decision": 100},
    },
    "dms": {
        "env": "DelayMatchSample-v0",
        "timing": {
            "fixation": 0,
            "sample": 100,
            "delay": 500,
            "test": 100,
            "decision": 100,
        },
    },
    "cxt": {
        "env": "ContextDecisionMaking-v0",
        "timing": {"fixation": 0, "stimulus": 200, "delay": 500, "decision": 100},
    },
}


def theirs(name, size=1000, timing=None, dt=100.0, **options):
    arguments = dict(PUBLISHED[name]) | {"dt": dt, "options": options}
    if timing:
        arguments["timing"] = timing
    return make("neurogym", **arguments).train_batch(0, size, seed=5)


def ours(name, size=1000, **parameters):
    return make(name, **parameters).train_batch(0, size, seed=6)


def trials(batch):
    """Return how often each trial occurs, by its rounded input and its classes."""
    both = np.concatenate([np.rint(batch.x * 1e4), batch.target[..., None]], axis=2)
    columns = both.transpose(1, 0, 2).reshape(batch.size, -1).astype(int)
    found, counts = np.unique(columns, axis=0, return_counts=True)
    return {tuple(row): n for row, n in zip(found.tolist(), counts, strict=True)}


CASES = [
    ("2af", {}, {}),
    ("2af", {"dim_ring": 3}, {"dim_ring": 3}),
    ("2af", {"coherences": [20.0, 80.0]}, {"cohs": [20.0, 80.0]}),
    ("dms", {}, {}),
    ("dms", {"dim_ring": 6}, {"dim_ring": 6}),
    ("cxt", {}, {}),
    ("cxt", {"modality": 1}, {"impl_context_modality": 1}),
    ("cxt", {"explicit_context": True}, {"use_expl_context": True}),
]


@needs_neurogym
@pytest.mark.parametrize(("name", "ours_are", "theirs_are"), CASES)
def test_noise_free_trials_are_those_of_neurogym(name, ours_are, theirs_are):
    size = 1500
    a = trials(ours(name, size, sigma=0.0, **ours_are))
    b = trials(theirs(name, size, sigma=0.0, **theirs_are))
    assert a.keys() == b.keys()
    assert len(a) >= 4
    for trial in a:
        p = (a[trial] + b[trial]) / (2 * size)
        bound = 5 * math.sqrt(2 * p * (1 - p) * size)
        assert abs(a[trial] - b[trial]) <= bound


@needs_neurogym
def test_other_parameters_give_other_trials():
    reference = trials(theirs("2af", 500, sigma=0.0)).keys()
    for parameters in (
        {"coherences": [0.0, 6.4, 12.8, 25.6, 51.0]},
        {"hold_fixation": True},
        {"stimulus_ms": 600.0, "delay_ms": 100.0},
    ):
        assert trials(ours("2af", 500, sigma=0.0, **parameters)).keys() != reference


@needs_neurogym
@pytest.mark.parametrize("name", PUBLISHED)
def test_longer_periods_and_shorter_steps_are_those_of_neurogym(name):
    timing = {period: 60 for period in PUBLISHED[name]["timing"]}
    ours_are = {f"{period}_ms": 60.0 for period in timing}
    a = trials(ours(name, 600, sigma=0.0, dt=20.0, **ours_are))
    b = trials(theirs(name, 600, timing, 20.0, sigma=0.0))
    assert a.keys() == b.keys()
    assert make(name, dt=20.0, **ours_are).n_steps == 3 * len(timing)


@needs_neurogym
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_noise_is_that_of_neurogym(name):
    for dt, sigma in ((100.0, 1.0), (20.0, 2.0)):
        samples = []
        for batch in (ours(name, dt=dt, sigma=sigma), theirs(name, dt=dt, sigma=sigma)):
            window = slice(0, 1)
            on = np.flatnonzero((batch.x[..., 1:] != 0).any(axis=(1, 2)))
            samples.append(batch.x[on[window], :, 1:].ravel())
            assert not batch.x[..., 0][on].std(), "the fixation signal has no noise"
        a, b = (np.sort(s) for s in samples)
        grid = np.linspace(-1.5, 2.5, 81)
        cdf = [np.searchsorted(s, grid) / s.size for s in (a, b)]
        limit = 2.3 * math.sqrt(2 / a.size)  # Kolmogorov-Smirnov, p < 1e-4
        assert np.abs(cdf[0] - cdf[1]).max() < limit
        wider = np.searchsorted(0.5 + 1.5 * (b - 0.5), grid) / b.size
        assert np.abs(cdf[0] - wider).max() > limit


@needs_neurogym
@pytest.mark.parametrize("name", PUBLISHED)
def test_strong_noise_has_the_deviation_of_neurogym(name):
    # At sigma = 30 the noise has a deviation of 3 in every step, the signal below 0.5.
    for batch in (ours(name, sigma=30.0), theirs(name, sigma=30.0)):
        on = (batch.x[..., 1:] != 0).all(axis=(1, 2))
        assert on.sum() == (7 if name == "2af" else 2)
        deviation = (batch.x[on][..., 1:] - 0.5).std()
        assert deviation == pytest.approx(3.0, rel=0.06)


@needs_neurogym
@pytest.mark.parametrize("name", PUBLISHED)
def test_batches_have_the_same_form_as_those_of_ours(name):
    a, b = ours(name, 7), theirs(name, 7)
    for field in ("x", "target"):
        mine, other = getattr(a, field), getattr(b, field)
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
    assert b.mask.all()


@needs_neurogym
def test_misspelt_ids_and_periods_get_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean 'GoNogo-v0'"):
        make("neurogym", env="GoNoGo-v0")
    with pytest.raises(UnknownName, match="Did you mean 'stimulus2'"):
        make("neurogym", timing={"stimlus": 100})
    with pytest.raises(InvalidValue, match=r"takes \{'foo': 1\}; got TypeError"):
        make("neurogym", options={"foo": 1})


@needs_neurogym
@pytest.mark.parametrize("env", ["Bandit-v0", "DawTwoStep-v0", "CartPole-v1"])
def test_unsupervised_environments_are_refused(env):
    with pytest.raises(InvalidValue, match=r"supervised|new_trial\(\)"):
        make("neurogym", env=env)


@needs_neurogym
def test_the_supervised_environments_of_neurogym_give_reproducible_trials():
    """Some draw durations with functions that a copy of the environment shares."""
    known = neurogym._packages()[0].envs.registration.ALL_EXTENDED_ENVS
    lengths = {}
    for env in known:
        try:
            first, second = (make("neurogym", env=env, n_steps=500) for _ in range(2))
        except InvalidValue:
            continue  # not made for supervised learning
        one, two = (task.train_batch(1, 6, seed=3) for task in (first, second))
        alone = second.train_batch(11, 1, seed=3)
        for field in ("x", "target", "mask"):
            values = getattr(one, field)
            np.testing.assert_array_equal(values, getattr(two, field), err_msg=env)
            np.testing.assert_array_equal(values[:, 5:], getattr(alone, field), env)
        lengths[env] = one.mask.sum(axis=0)
    assert len(lengths) >= 35
    assert np.unique(lengths["IntervalDiscrimination-v0"]).size > 2
    assert np.unique(lengths["yang19.dm1-v0"]).size > 2


@needs_neurogym
def test_objects_of_neurogym_give_the_trials_of_their_id():
    package = neurogym._packages()[0]
    with pytest.warns(UserWarning, match="render_modes"):
        made = package.make("DelayMatchSample-v0")
    a = NeurogymTask(made).train_batch(0, 5, seed=0)
    b = make("neurogym", env="DelayMatchSample-v0").train_batch(0, 5, seed=0)
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.target, b.target)
