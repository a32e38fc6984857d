"""Losses: values by hand, derivatives by finite differences, masks, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Classification, Regression
from tests.helpers import examples

CASES = {
    "sum": Regression(),
    "mean": Regression("mean"),
    "classification": Classification(),
    "per step": Classification(),
}
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))


def _draw(kind, shape, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(shape)
    mask = rng.random(shape[0]) < 0.5
    mask[rng.integers(shape[0])] = True
    if kind == "classification":
        return y, rng.integers(0, shape[2], shape[1]), mask.astype(float)
    if kind == "per step":
        return y, rng.integers(0, shape[2], shape[:2]), mask.astype(float)
    return y, rng.standard_normal(shape), mask.astype(float)


@pytest.mark.parametrize("kind", CASES)
@examples
@given(SHAPES)
def test_error_is_the_derivative_of_the_value(kind, shape):
    y, target, mask = _draw(kind, shape)
    result = CASES[kind](y, target, mask)
    assert result.error.shape == shape
    for index in np.ndindex(shape):
        high, low = y.copy(), y.copy()
        high[index] += 1e-5
        low[index] -= 1e-5
        values = [CASES[kind](z, target, mask).value for z in (high, low)]
        slope = (values[0] - values[1]) / 2e-5
        assert result.error[index] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("kind", CASES)
def test_masked_steps_do_not_count(kind):
    y, target, mask = _draw(kind, (8, 3, 2))
    before = CASES[kind](y, target, mask)
    assert 0 < mask.sum() < 8
    assert not before.error[mask == 0].any()
    assert before.error[mask == 1].all()
    y[mask == 0] += 100.0
    after = CASES[kind](y, target, mask)
    assert after.value == before.value
    assert np.array_equal(after.prediction, before.prediction)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_masks_of_any_type(kind, dtype):
    y, target, mask = _draw(kind, (8, 3, 2))
    expected = CASES[kind](y, target, mask)
    got = CASES[kind](y, target, mask.astype(dtype))
    assert got.value == pytest.approx(expected.value, rel=1e-14)
    np.testing.assert_allclose(got.error, expected.error, rtol=1e-14)


@pytest.mark.parametrize("kind", CASES)
def test_a_batch_is_the_mean_of_its_samples(kind):
    y, target, mask = _draw(kind, (8, 4, 3))
    batch = CASES[kind](y, target, mask)
    one_target = (
        (lambda b: target[[b]])
        if kind == "classification"
        else (lambda b: target[:, [b]])
    )
    singles = [CASES[kind](y[:, [b]], one_target(b), mask) for b in range(4)]
    assert batch.value == pytest.approx(np.mean([s.value for s in singles]))
    assert batch.n_correct == pytest.approx(sum(s.n_correct for s in singles))


@pytest.mark.parametrize("kind", CASES)
def test_the_error_has_the_type_of_the_readout(kind):
    y, target, mask = _draw(kind, (8, 3, 2))
    single = CASES[kind](y.astype(np.float32), target, mask)
    assert single.error.dtype == np.float32
    assert single.projection.dtype == np.float32
    double = CASES[kind](y, target, mask)
    assert double.error.dtype == np.float64
    np.testing.assert_allclose(single.error, double.error, rtol=1e-4, atol=1e-7)


def test_squared_error_by_hand():
    y = np.array([[[1.0, 2.0]], [[3.0, 5.0]], [[0.0, 9.0]]])
    target = np.array([[[0.0, 2.0]], [[1.0, 4.0]], [[7.0, 7.0]]])
    mask = np.array([1.0, 1.0, 0.0])
    result = Regression()(y, target, mask)
    assert result.value == 0.5 * (1 + 4 + 1)
    assert result.error.tolist() == [[[1.0, 0.0]], [[2.0, 1.0]], [[0.0, 0.0]]]
    assert result.n_correct == result.prediction.size == 0
    assert Regression("mean")(y, target, mask).value == 0.25 * (1 + 4 + 1)


def test_cross_entropy_by_hand():
    y = np.log([[[1.0, 3.0]], [[1.0, 1.0]]])
    result = Classification()(y, np.array([1]), np.ones(2))
    assert result.value == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    expected = [[[0.125, -0.125]], [[0.25, -0.25]]]
    np.testing.assert_allclose(result.error, expected)


def test_uniform_output_costs_log_n():
    result = Classification()(np.zeros((5, 3, 7)), np.array([0, 3, 6]), np.ones(5))
    assert result.value == pytest.approx(math.log(7))


def test_large_outputs_do_not_overflow():
    y = np.array([[[1e4, -1e4]], [[-1e4, 1e4]]])
    result = Classification()(y, np.array([0]), np.ones(2))
    assert result.value == pytest.approx(1e4)
    assert np.isfinite(result.error).all()


def test_right_answers_are_counted():
    """Class by the sum over kept steps, one vote per sample."""
    y = np.zeros((3, 4, 3))
    y[0, 0, 2] = 1.0  # sample 0: class 2
    y[:2, 1, 1] = [3.0, -1.0]  # sample 1: class 1, as 3 - 1 > 0
    y[2, 2, 0] = 9.0  # sample 2: the masked step does not count
    y[0, 2, 1] = 0.5
    y[0, 3, 0] = 2.0  # sample 3: class 0
    mask = np.array([1.0, 1.0, 0.0])
    result = Classification()(y, np.array([2, 1, 0, 1]), mask)
    assert result.prediction.tolist() == [2, 1, 1, 0]
    assert result.n_correct == 2


def test_a_class_per_step_by_hand():
    y = np.log([[[1.0, 3.0]], [[4.0, 1.0]], [[1.0, 1.0]]])
    target = np.array([[1], [1], [0]])
    result = Classification()(y, target, np.array([1.0, 1.0, 0.0]))
    assert result.value == pytest.approx(-(math.log(0.75) + math.log(0.2)) / 2)
    expected = [[[0.125, -0.125]], [[0.4, -0.4]], [[0.0, 0.0]]]
    np.testing.assert_allclose(result.error, expected)
    assert result.prediction.tolist() == [[1], [0], [-1]]
    assert result.n_correct == 0.5


def test_the_same_class_at_every_step_is_a_class_per_trial():
    y, target, mask = _draw("classification", (8, 3, 4))
    trial = Classification()(y, target, mask)
    step = Classification()(y, np.tile(target, (8, 1)), mask)
    assert step.value == trial.value
    assert np.array_equal(step.error, trial.error)
    assert np.array_equal(step.projection, trial.projection)
    changed = np.tile(target, (8, 1))
    changed[np.flatnonzero(mask)[0], 0] += 1 - 2 * (changed[0, 0] == 3)
    assert Classification()(y, changed, mask).value != trial.value


def test_right_steps_are_fractions_of_trials():
    """Windows of different lengths: every trial weighs the same."""
    y = np.zeros((4, 3, 2))
    y[..., 0] = 1.0  # class 0 everywhere
    target = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0]])
    mask = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]], np.float32)
    result = Classification()(y, target, mask)
    assert result.n_correct == pytest.approx(3 / 4 + 1 / 2 + 0)
    assert (result.prediction == np.where(mask == 1, 0, -1)).all()


@pytest.mark.parametrize("kind", CASES)
def test_the_projection_is_what_the_target_alone_decides(kind):
    """It does not see the answer; the rest of the error does not see the target."""
    y, target, mask = _draw(kind, (8, 3, 2))
    loss = CASES[kind]
    here, there = loss(y, target, mask), loss(3.0 * y - 1.0, target, mask)
    assert here.projection.shape == y.shape
    assert np.array_equal(here.projection, there.projection)
    assert not np.array_equal(here.error, there.error)
    other = (target + 1) % 2 if target.dtype.kind == "i" else target + 1.0
    changed = loss(y, other, mask)
    assert not np.array_equal(here.projection, changed.projection)
    answer = here.error - here.projection
    np.testing.assert_allclose(answer, changed.error - changed.projection, atol=1e-15)
    assert np.abs(answer).max() > 1e-2


def test_projections_by_hand():
    y, mask = np.ones((2, 1, 2)), np.array([1.0, 0.0])
    squared = Regression()(y, np.array([[[3.0, -2.0]], [[5.0, 5.0]]]), mask)
    assert squared.projection.tolist() == [[[-3.0, 2.0]], [[0.0, 0.0]]]
    entropy = Classification()(y, np.array([1]), np.ones(2))
    assert entropy.projection.tolist() == [[[0.0, -0.5]], [[0.0, -0.5]]]


@pytest.mark.parametrize("kind", CASES)
def test_losses_without_a_draw_leave_the_generator_alone(kind):
    y, target, mask = _draw(kind, (8, 3, 2))
    rng = np.random.default_rng(1)
    drawn, plain = CASES[kind](y, target, mask, rng), CASES[kind](y, target, mask)
    assert rng.random() == np.random.default_rng(1).random()
    assert drawn.value == plain.value
    assert np.array_equal(drawn.error, plain.error)
    assert drawn.reward is None


BAD_TARGETS = {
    "sum": [np.zeros((8, 3, 1)), np.zeros((3, 8, 2)), np.zeros((8, 3))],
    "mean": [np.zeros((8, 3, 1))],
    "classification": [np.zeros(4, int), np.zeros((3, 8), int), np.zeros((3, 1), int)],
    "per step": [
        np.zeros((8, 1), int),
        np.zeros((7, 3), int),
        np.zeros((8, 3, 1), int),
    ],
}


@pytest.mark.parametrize(
    ("kind", "target"), [(k, t) for k, targets in BAD_TARGETS.items() for t in targets]
)
def test_targets_of_the_wrong_shape(kind, target):
    with pytest.raises(InvalidValue, match=r"^loss target must have shape .*; got "):
        CASES[kind](np.zeros((8, 3, 2)), target, np.ones(8))


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_out_of_range(label):
    message = rf"^loss target must be classes 0 to 1; got .*{label}"
    with pytest.raises(InvalidValue, match=message):
        Classification()(np.zeros((8, 3, 2)), np.array([0, label, 1]), np.ones(8))
    per_step = np.zeros((8, 3), int)
    per_step[-1, -1] = label
    with pytest.raises(InvalidValue, match=message):
        Classification()(np.zeros((8, 3, 2)), per_step, np.ones(8))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_targets_must_be_finite(kind, bad):
    y, target, mask = _draw(kind, (8, 3, 2))
    target[0, 0, 0] = bad
    with pytest.raises(InvalidValue, match=r"^loss target must be finite; got "):
        CASES[kind](y, target, mask)


def test_labels_must_be_integers():
    with pytest.raises(InvalidValue, match=r"^loss target must be integers; got .*fl"):
        Classification()(np.zeros((8, 3, 2)), np.zeros(3), np.ones(8))


@pytest.mark.parametrize("kind", CASES)
def test_a_mask_per_sample_is_a_batch_of_single_samples(kind):
    y, target, _ = _draw(kind, (8, 3, 2))
    mask = np.zeros((8, 3))
    mask[2:4, 0] = mask[5:, 1] = mask[0, 2] = 1.0
    batch = CASES[kind](y, target, mask)
    parts = [
        CASES[kind](
            y[:, [b]], target[[b]] if target.ndim == 1 else target[:, [b]], mask[:, b]
        )
        for b in range(3)
    ]
    assert batch.value == pytest.approx(np.mean([part.value for part in parts]))
    for b, part in enumerate(parts):
        np.testing.assert_allclose(batch.error[:, [b]], part.error / 3, atol=1e-15)
    assert batch.n_correct == pytest.approx(sum(part.n_correct for part in parts))


@pytest.mark.parametrize("kind", CASES)
def test_bad_masks(kind):
    y, target, mask = _draw(kind, (8, 3, 2))
    for shape in ((7,), (8, 2), ()):
        with pytest.raises(InvalidValue, match=r"^loss mask must have shape \(8,\)"):
            CASES[kind](y, target, np.ones(shape))
    with pytest.raises(InvalidValue, match=r"^loss mask must keep at least one step"):
        CASES[kind](y, target, 0 * mask)


def test_unknown_reduction():
    with pytest.raises(InvalidValue, match=r"^Regression\.reduction must be in .*avg"):
        Regression("avg")
