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
    before = w_out.copy()
    w_out += 1.0
    feedback.follow(before, w_out)
    assert np.array_equal(w_out, before + 1.0), "no decay"
    assert np.array_equal(feedback.weights(w_out), w_out.T)


def test_random_feedback_is_fixed():
    feedback, w_out = _drawn("random"), _readout()
    before = feedback.weights(w_out).copy()
    assert before.shape == (20, 3)
    feedback.follow(w_out - 1.0, w_out)
    assert np.array_equal(feedback.weights(w_out + 1.0), before)


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


def _learn(feedback, w_out, optimizer, n_updates, scale=1.0):
    """Random updates of the readout, each followed by the feedback."""
    rng = np.random.default_rng(2)
    state = optimizer.init({"w_out": w_out})
    for _ in range(n_updates):
        before = w_out.copy()
        gradients = {"w_out": rng.standard_normal(w_out.shape)}
        optimizer.step({"w_out": w_out}, gradients, state, scale)
        feedback.follow(before, w_out, scale)


OPTIMIZERS = [SGD(0.1), SGD(0.02, 0.9), Adam(0.02), Adam(0.02, form="tf1")]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_adaptive_feedback_converges_at_the_stated_pace(optimizer, scale):
    """Kolen & Pollack: equal steps and equal decay, whatever the optimiser."""
    feedback, w_out = _drawn("adaptive", decay=0.1), _readout()
    start = feedback.matrix - w_out.T
    _learn(feedback, w_out, optimizer, 50, scale)
    pace = (1 - 0.1 * scale) ** 50
    difference = feedback.weights(w_out) - w_out.T
    np.testing.assert_allclose(difference, pace * start, atol=1e-12)
    assert np.abs(w_out).max() > 0.05, "both live, neither decayed to zero"


def test_without_decay_the_difference_stays():
    """Negative control."""
    feedback, w_out = _drawn("adaptive", decay=0.0), _readout()
    start = feedback.matrix - w_out.T
    _learn(feedback, w_out, SGD(0.1), 20)
    np.testing.assert_allclose(feedback.matrix - w_out.T, start, atol=1e-12)


def test_an_unknown_kind_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"'symetric'.*Did you mean 'symmetric'\?"):
        Feedback("symetric")
    assert {"symmetric", "random", "adaptive"} <= set(FEEDBACKS)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
@pytest.mark.parametrize("name", ["scale", "decay"])
def test_a_parameter_out_of_range_names_itself(name, bad):
    with pytest.raises(InvalidValue, match=rf"^Feedback\.{name} must be .*; got "):
        Feedback(**{name: bad})
