"""What every task of the table must satisfy."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.tasks import TASKS, Batch, Task, make
from tests.helpers import TASK_NAMES

MARKED = [p for p in TASK_NAMES if not isinstance(p, str)]

# These show one trial always.
FROZEN = ("pattern-generation", "handwriting")

# Small variants beside the defaults, so that every option meets every common test.
VARIANTS = [
    *((name, {}) for name in TASKS if name != "neurogym"),
    *(pytest.param((*p.values, {}), marks=p.marks) for p in MARKED),
    (
        "evidence-accumulation",
        {"n_cues": 3, "delay_ms": 0, "gap_ms": 0, "n_per_group": 2},
    ),
    ("evidence-accumulation", {"dt": 0.5, "n_cues": 1, "delay_ms": 100}),
    ("pattern-generation", {"n_in": 3, "duration_ms": 90, "periods_ms": [45], "dt": 3}),
    ("digits-rows", {"encoding": "spikes", "levels": 3, "steps_per_row": 4}),
    ("digits-rows", {"shift": 1, "validation": 100}),
    ("mnist5k-rows", {"encoding": "spikes", "shift": 2, "steps_per_row": 2}),
    ("smnist-rows", {"noise": 0.2}),
    ("handwriting", {"n_in": 3, "duration_ms": 60, "dt": 2}),
    (
        "2af",
        {"dim_ring": 4, "hold_fixation": True, "fixation_ms": 200, "delay_ms": 300},
    ),
    ("dms", {"dt": 50, "sigma": 0.5, "fixation_ms": 100}),
    ("cxt", {"explicit_context": True, "dim_ring": 3}),
    ("delayed-xor", {"delay_steps": 2, "n_steps": 40}),
    ("delayed-copy", {"delay_steps": 1, "n_steps": 40}),
    ("delayed-xor-cues", {"dt": 5, "loss_ms": 100, "delay_ms": 0}),
    ("store-recall", {"n_slots": 4, "slot_ms": 20, "n_per_group": 3, "dt": 2}),
    ("cue-bandit", {"n_cues": 6, "n_actions": 3, "delay_ms": 0, "p_correct": 0.75}),
    pytest.param(
        (
            "neurogym",
            {
                "env": "ReachingDelayResponse-v0",
                "n_steps": 40,
                "timing": {"delay": [0, 1000]},
            },
        ),
        marks=pytest.mark.neurogym,
    ),
]


@pytest.fixture(params=VARIANTS, ids=lambda v: f"{v[0]}-{len(v[1])}")
def task(request):
    name, parameters = request.param
    return make(name, **parameters)


def equal(a: Batch, b: Batch) -> bool:
    return all(
        np.array_equal(getattr(a, f), getattr(b, f)) for f in ("x", "target", "mask")
    )


def check_form(task, batch, size):
    steps = task.n_steps
    assert batch.size == size
    assert batch.x.shape == (steps, size, task.n_in)
    assert batch.x.flags.c_contiguous
    assert batch.mask.shape in ((steps,), (steps, size))
    assert batch.mask.dtype == np.float32
    assert set(np.unique(batch.mask)) <= {0.0, 1.0} and batch.mask.any(axis=0).all()
    if task.input_bits is None:
        assert batch.x.dtype == np.float32
    elif task.input_bits == 0:
        assert batch.x.dtype == np.uint8 and batch.x.max() <= 1
    else:
        assert batch.x.dtype == np.float32
        levels = batch.x * (2**task.input_bits - 1)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-5)
        assert levels.min() >= 0 and np.rint(levels.max()) <= 2**task.input_bits - 1
    if task.kind == "classification":
        assert batch.target.dtype == np.int64
        assert batch.target.shape in ((size,), (steps, size))
        assert batch.target.min() >= 0 and batch.target.max() < task.n_out
    elif task.kind == "reward":
        assert batch.target.dtype == np.float32
        assert batch.target.shape == (size, task.n_out - 1)
        assert batch.target.min() >= 0 and batch.target.max() <= 1
    else:
        assert batch.target.shape == (steps, size, task.n_out)


def test_is_a_task_of_the_table(task):
    assert isinstance(task, Task)
    assert TASKS[task.name] is type(task)
    assert task.kind in ("classification", "regression", "reward")


def test_batches_have_the_form_the_task_states(task):
    check_form(task, task.train_batch(3, 5, seed=2), 5)
    for split in ("validation", "test"):
        size = 1 if task.name in FROZEN else 2
        check_form(task, next(task.evaluation(split, 4, 2)), size)


def test_training_batches_are_a_pure_function_of_their_arguments(task):
    first = task.train_batch(7, 4, seed=11)
    task.train_batch(8, 4, seed=11)
    list(task.evaluation("test", 3, 2))
    again = make(
        task.name, **{f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    )
    assert equal(first, again.train_batch(7, 4, seed=11))
    if task.name not in FROZEN:
        assert not np.array_equal(first.x, task.train_batch(8, 4, seed=11).x)
        assert not np.array_equal(first.x, task.train_batch(7, 4, seed=12).x)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_does_not_depend_on_the_size_of_batches(task, split):
    whole = list(task.evaluation(split, 7, 7))
    parts = list(task.evaluation(split, 7, 3))
    axis = {"classification": -1, "regression": 1, "reward": 0}[task.kind]
    assert len(whole) == 1 and sum(b.size for b in parts) == whole[0].size
    x = np.concatenate([b.x for b in parts], axis=1)
    target = np.concatenate([b.target for b in parts], axis=axis)
    np.testing.assert_array_equal(x, whole[0].x)
    np.testing.assert_array_equal(target, whole[0].target)
    if whole[0].mask.ndim == 2:
        mask = np.concatenate([b.mask for b in parts], axis=1)
        np.testing.assert_array_equal(mask, whole[0].mask)


def test_validation_test_and_training_trials_differ(task):
    if task.name in FROZEN:
        assert "fitting" in task.splits["test"]
        return
    test = next(task.evaluation("test", 4, 4)).x
    validation = next(task.evaluation("validation", 4, 4)).x
    train = task.train_batch(0, 4, seed=2020).x
    trials = {
        part[:, b].tobytes() for part in (test, validation, train) for b in range(4)
    }
    assert len(trials) == 12


def test_batches_are_read_only(task):
    batch = task.train_batch(0, 2, seed=0)
    for array in (batch.x, batch.target, batch.mask):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.x = batch.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.dt = 2.0


def test_recommended_is_plain_and_new_each_time(task):
    sections = task.recommended
    assert {"network", "learning", "optimizer", "training"} <= set(sections)
    assert json.loads(json.dumps(sections)) == sections
    sections["network"].clear()
    assert task.recommended["network"]


def test_splits_are_described(task):
    assert set(task.splits) == {"train", "validation", "test"}
    assert all(isinstance(text, str) and text for text in task.splits.values())


@pytest.mark.parametrize("arguments", [(-1, 1, 0), (0, 0, 0), (0, 1, -1), (0, 1.5, 0)])
def test_impossible_batches_are_refused(task, arguments):
    with pytest.raises(InvalidValue, match=r"train_batch\.\w+ must be an integer"):
        task.train_batch(*arguments)


def test_impossible_evaluations_are_refused_at_once(task):
    with pytest.raises(UnknownName, match=r"'tset'.*Did you mean 'test'"):
        task.evaluation("tset", None, 8)
    with pytest.raises(InvalidValue, match=r"evaluation\.size"):
        task.evaluation("test", 0, 8)
    with pytest.raises(InvalidValue, match=r"evaluation\.batch_size"):
        task.evaluation("test", None, 0)


def test_unknown_names_come_with_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean 'digits-rows'"):
        make("digit-rows")
    with pytest.raises(UnknownName, match="Did you mean 'delay_ms'"):
        make("evidence-accumulation", delay=100)
    with pytest.raises(UnknownName, match="Did you mean 'spikes'"):
        make("digits-rows", encoding="spike")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        (
            "evidence-accumulation",
            {"delay_ms": -5},
            r"delay_ms must be >= 0 ms; got -5",
        ),
        ("evidence-accumulation", {"cue_ms": 0}, r"cue_ms must be >= 1 ms"),
        ("evidence-accumulation", {"cue_ms": 10.5}, r"cue_ms must be a multiple"),
        ("evidence-accumulation", {"cue_ms": float("nan")}, r"cue_ms must be a finite"),
        ("evidence-accumulation", {"n_cues": 4}, r"n_cues must be odd; got 4"),
        ("evidence-accumulation", {"n_cues": "7"}, r"n_cues must be an integer"),
        ("evidence-accumulation", {"n_cues": True}, r"n_cues must be an integer"),
        ("evidence-accumulation", {"f_cue_hz": 1001}, r"f_cue_hz must be <= 1000 Hz"),
        ("evidence-accumulation", {"f_noise_hz": -1}, r"f_noise_hz must be >= 0 Hz"),
        ("evidence-accumulation", {"p_group": 0.6}, r"p_group must be <= 0.5"),
        ("evidence-accumulation", {"dt": 0}, r"dt must be > 0 ms"),
        ("pattern-generation", {"duration_ms": -1}, r"duration_ms must be >= 2 ms"),
        ("pattern-generation", {"duration_ms": 1}, r"duration_ms must be >= 2 ms"),
        ("pattern-generation", {"periods_ms": []}, r"periods_ms must be a list"),
        ("pattern-generation", {"periods_ms": 3.0}, r"periods_ms must be a list"),
        ("pattern-generation", {"periods_ms": [2000]}, r"must be <= 1000 ms"),
        ("pattern-generation", {"periods_ms": ["a"]}, r"must be a finite number"),
        ("pattern-generation", {"f_in_hz": 0}, r"f_in_hz must be > 0 Hz"),
        (
            "pattern-generation",
            {"pattern_seed": -1},
            r"pattern_seed must be an integer",
        ),
        ("digits-rows", {"steps_per_row": 0}, r"DigitsRows\.steps_per_row"),
        ("digits-rows", {"validation": 15}, r"validation must be a multiple of 10"),
        ("digits-rows", {"validation": 1490}, r"<= 748; got 1490"),
        ("digits-rows", {"shift": 5}, r"shift must be <= 4 pixels"),
        ("digits-rows", {"levels": 0}, r"levels must be an integer >= 1"),
        ("mnist5k-rows", {"validation": -10}, r"Mnist5kRows\.validation"),
        ("mnist5k-rows", {"dt": float("inf")}, r"dt must be a finite number"),
        ("smnist-rows", {"noise": -1}, r"noise must be >= 0"),
        (
            "smnist-rows",
            {"noise": 0.1, "encoding": "spikes"},
            r"noise must be 0 unless",
        ),
        ("handwriting", {"duration_ms": 1}, r"duration_ms must be >= 2 ms"),
        ("2af", {"dim_ring": 1}, r"dim_ring must be an integer >= 2"),
        ("2af", {"sigma": -1}, r"sigma must be >= 0"),
        ("2af", {"coherences": []}, r"coherences must be a list"),
        ("2af", {"coherences": 5.0}, r"coherences must be a list"),
        ("2af", {"coherences": [101]}, r"coherences must be <= 100"),
        ("2af", {"hold_fixation": 1}, r"hold_fixation must be true or false; got 1"),
        ("2af", {"stimulus_ms": 0}, r"stimulus_ms must be >= 100 ms"),
        ("2af", {"delay_ms": 150}, r"delay_ms must be a multiple of dt = 100 ms"),
        ("dms", {"test_ms": 0}, r"test_ms must be >= 100 ms"),
        ("dms", {"dt": 0}, r"dt must be > 0 ms"),
        ("cxt", {"modality": 2}, r"modality must be 0 or 1; got 2"),
        ("cxt", {"modality": True}, r"modality must be 0 or 1; got True"),
        ("cxt", {"explicit_context": "no"}, r"explicit_context must be true or false"),
        ("cxt", {"decision_ms": -100}, r"decision_ms must be >= 100 ms"),
        ("delayed-xor", {"delay_steps": 3}, r"delay_steps must be even; got 3"),
        (
            "delayed-xor",
            {"n_steps": 36},
            r"n_steps must be > 2 delay_steps = 36; got 36",
        ),
        ("delayed-copy", {"delay_steps": 0}, r"delay_steps must be an integer >= 1"),
        ("delayed-xor-cues", {"loss_ms": 0}, r"loss_ms must be >= 1 ms"),
        ("delayed-xor-cues", {"loss_ms": 1000}, r"loss_ms must be <= 900 ms"),
        ("delayed-xor-cues", {"sigma": -0.1}, r"sigma must be >= 0"),
        ("delayed-xor-cues", {"floor": float("nan")}, r"floor must be a finite number"),
        (
            "store-recall",
            {"n_events": 6},
            r"n_events must be <= n_slots / 2 = 5; got 6",
        ),
        ("store-recall", {"f_on_hz": 0}, r"f_on_hz must be > 0 Hz"),
        ("cue-bandit", {"n_cues": 3}, r"n_cues must be a multiple of n_actions = 2"),
        ("cue-bandit", {"n_actions": 1}, r"n_actions must be an integer >= 2"),
        ("cue-bandit", {"p_correct": 0.4}, r"p_correct must be >= 0.5"),
        ("cue-bandit", {"f_noise_hz": 2000}, r"f_noise_hz must be <= 1000 Hz"),
    ],
)
def test_bad_values_are_refused(name, parameters, message):
    with pytest.raises(InvalidValue, match=message):
        make(name, **parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((3, 2), np.uint8)}, "x must have shape"),
        ({"x": np.zeros((3, 2, 4), np.float64)}, "x must be uint8"),
        ({"x": np.full((3, 2, 4), np.nan, np.float32)}, "x must be finite"),
        ({"target": np.zeros(3, np.int64)}, "target must have shape"),
        ({"target": np.zeros((2, 3), np.int64)}, "target must have shape"),
        ({"target": np.zeros((3, 2, 1), np.int64)}, "target must have shape"),
        ({"target": np.zeros(2)}, "target must have shape"),
        ({"target": np.zeros((3, 4))}, "target must have shape"),
        ({"target": np.zeros(2, np.int32)}, "target must be int64"),
        ({"target": np.zeros((2, 3, 1))}, "target must have shape"),
        ({"target": np.full((3, 2, 1), np.inf)}, "target must be finite"),
        ({"mask": np.ones(2, np.float32)}, "mask must be float32 of shape"),
        ({"mask": np.ones(3)}, "mask must be float32 of shape"),
    ],
)
def test_a_batch_checks_its_arrays(change, message):
    good = {
        "x": np.zeros((3, 2, 4), np.uint8),
        "target": np.zeros(2, np.int64),
        "mask": np.ones(3, np.float32),
    }
    assert Batch(**good).size == 2
    with pytest.raises(InvalidValue, match=message):
        Batch(**{**good, **change})


@pytest.mark.parametrize(
    "target",
    [
        np.zeros(2, np.int64),
        np.zeros((3, 2), np.int64),
        np.zeros((2, 5), np.float32),
        np.zeros((3, 2, 5), np.float32),
    ],
)
def test_a_target_holds_classes_per_trial_or_step_rewards_or_values(target):
    x = np.zeros((3, 2, 4), np.uint8)
    assert Batch(x, target, np.ones(3, np.float32)).target.shape == target.shape


def test_a_batch_does_not_freeze_the_arrays_it_was_given():
    x = np.zeros((3, 2, 4), np.uint8)
    Batch(x, np.zeros(2, np.int64), np.ones(3, np.float32))
    x[0] = 1
    assert x[0].all()
