"""Feedback weights: symmetric, random, adaptive."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.optimizers import SGD, Adam
from spikelearn.learning.signals import FEEDBACKS, Feedback


def _drawn(kind, seed=0, n_rec=20, n_out=3, **options):
    feedback = Feedback(kind, **options)
    feedback.draw(n_rec, n_out, np.random.default_rng(seed), np.float64)
    return feedback


def _readout(seed=1):
    return np.random.default_rng(seed).standard_normal((3, 20))


def test_symmetric_feedback_follows_the_readout():
    feedback, w_out = _drawn("symmetric"), _readout()
    assert np.array_equal(feedback.weights(w_out), w_out.T)
    w_out += 1.0
    assert np.array_equal(feedback.weights(w_out), w_out.T)
    assert feedback.learned() == {}


def test_random_feedback_is_fixed():
    feedback, w_out = _drawn("random"), _readout()
    before = feedback.weights(w_out).copy()
    assert before.shape == (20, 3)
    gradients = {"w_out": np.ones((3, 20)), "bias": np.ones(20)}
    assert feedback.gradients(w_out, gradients) is gradients
    assert np.array_equal(feedback.weights(w_out + 1.0), before)
    assert feedback.learned() == {}


@pytest.mark.parametrize("kind", ["random", "adaptive"])
def test_draws_have_the_stated_scale(kind):
    matrix = _drawn(kind, n_rec=400, n_out=50).matrix
    assert matrix.std() == pytest.approx(1 / math.sqrt(400), rel=0.03)
    assert _drawn(kind, n_rec=400, n_out=50, scale=2.0).matrix.std() == pytest.approx(
        2.0, rel=0.03
    )
    assert np.array_equal(_drawn(kind).matrix, _drawn(kind).matrix)
    assert not np.array_equal(_drawn(kind).matrix, _drawn(kind, seed=1).matrix)
    assert not _drawn(kind, scale=0.0).matrix.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_have_the_type_of_the_network(dtype):
    feedback = Feedback("random")
    feedback.draw(4, 2, np.random.default_rng(0), dtype)
    assert feedback.matrix.dtype == dtype


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.02, 0.9), Adam(0.02)], ids=str)
def test_adaptive_feedback_converges_to_the_readout(optimizer):
    """Kolen & Pollack: equal updates and equal decay leave no difference."""
    feedback = _drawn("adaptive", decay=0.1)
    rng = np.random.default_rng(2)
    weights = {"w_out": _readout()} | feedback.learned()
    state = optimizer.init(weights)

    def difference():
        return np.abs(feedback.weights(weights["w_out"]) - weights["w_out"].T).max()

    start = difference()
    for _ in range(1500):
        update = {"w_out": rng.standard_normal((3, 20))}
        gradients = feedback.gradients(weights["w_out"], update)
        optimizer.step(weights, gradients, state)
    assert start > 1.0
    assert difference() < 0.1 * start
    assert np.abs(weights["w_out"]).max() > 0.1, "both live, neither decayed to zero"


def test_adaptive_feedback_converges_at_the_stated_pace():
    feedback = _drawn("adaptive", decay=0.5)
    weights = {"w_out": _readout()} | feedback.learned()
    start = weights["feedback"] - weights["w_out"].T
    rng = np.random.default_rng(2)
    for _ in range(50):
        update = {"w_out": rng.standard_normal((3, 20))}
        SGD(0.1).step(weights, feedback.gradients(weights["w_out"], update), {})
    difference = feedback.matrix - weights["w_out"].T
    np.testing.assert_allclose(difference, 0.95**50 * start, atol=1e-12)


def test_without_decay_the_difference_stays():
    """Negative control."""
    feedback = _drawn("adaptive", decay=0.0)
    weights = {"w_out": _readout()} | feedback.learned()
    start = weights["feedback"] - weights["w_out"].T
    for _ in range(20):
        update = {"w_out": np.ones((3, 20))}
        SGD(0.1).step(weights, feedback.gradients(weights["w_out"], update), {})
    np.testing.assert_allclose(feedback.matrix - weights["w_out"].T, start, atol=1e-12)


def test_adaptive_feedback_leaves_other_gradients_alone():
    feedback, w_out = _drawn("adaptive"), _readout()
    gradients = {"w_out": np.ones((3, 20)), "bias": np.arange(20.0)}
    got = feedback.gradients(w_out, gradients)
    assert got.keys() == {"w_out", "bias", "feedback"}
    assert got["bias"] is gradients["bias"]
    assert (gradients["w_out"] == 1.0).all()


def test_an_unknown_kind_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"'symetric'.*Did you mean 'symmetric'\?"):
        Feedback("symetric")
    assert set(FEEDBACKS) == {"symmetric", "random", "adaptive"}


@pytest.mark.parametrize("bad", [-1.0, math.nan])
@pytest.mark.parametrize("name", ["scale", "decay"])
def test_a_parameter_out_of_range_names_itself(name, bad):
    with pytest.raises(InvalidValue, match=rf"^Feedback\.{name} must be >= 0; got "):
        Feedback(**{name: bad})
