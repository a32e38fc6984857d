"""Optimisers against loops written out by hand and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.errors import InvalidValue
from spikelearn.learning.gradients import global_norm
from spikelearn.learning.optimizers import SGD, Adam, clip_gradients
from tests.helpers import examples

ALL = [SGD(0.1), SGD(0.1, 0.9), Adam(0.1), Adam(0.1, form="tf1")]
FORMS = ("pytorch", "tf1")
gradients_1d = st.lists(st.floats(-10, 10).filter(lambda g: abs(g) > 1e-3), min_size=1)


def _run(optimizer, gradients, w=0.5, scale=1.0, dtype=np.float64):
    """Move one weight along a list of gradients; return its values."""
    weights = {"w": np.array([w], dtype)}
    state = optimizer.init(weights)
    path = []
    for g in gradients:
        optimizer.step(weights, {"w": np.array([g], dtype)}, state, scale)
        path.append(float(weights["w"][0]))
    return path


def _adam_by_hand(gradients, lr, b1, b2, eps, form, w=0.5):
    m = v = 0.0
    path = []
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        if form == "pytorch":
            w -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
        else:
            rate = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
            w -= rate * m / (math.sqrt(v) + eps)
        path.append(w)
    return path


@pytest.mark.parametrize("form", FORMS)
@examples
@given(gradients=gradients_1d, eps=st.sampled_from([1e-8, 1e-3, 0.5]))
def test_adam_follows_the_stated_form(form, gradients, eps):
    got = _run(Adam(0.01, 0.8, 0.95, eps, form), gradients)
    expected = _adam_by_hand(gradients, 0.01, 0.8, 0.95, eps, form)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_first_step_of_adam_tells_the_forms_apart():
    g, eps, b2 = 0.02, 1e-2, 0.999
    pytorch, tf1 = (_run(Adam(0.1, eps=eps, form=f), [g], w=0.0)[0] for f in FORMS)
    assert pytorch == pytest.approx(-0.1 * g / (g + eps))
    assert tf1 == pytest.approx(-0.1 * g / (g + eps / math.sqrt(1 - b2)))
    assert abs(tf1) < 0.2 * abs(pytorch)


def test_forms_of_adam_agree_when_eps_vanishes():
    gradients = np.random.default_rng(0).standard_normal(50)
    pytorch, tf1 = (_run(Adam(0.01, eps=1e-300, form=f), gradients) for f in FORMS)
    np.testing.assert_allclose(pytorch, tf1, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_adam_moves_by_lr_per_step_for_a_constant_gradient(form):
    path = _run(Adam(0.01, eps=1e-30, form=form), [-3.0] * 20, w=0.0)
    np.testing.assert_allclose(path, 0.01 * np.arange(1, 21), rtol=1e-12)


@examples
@given(gradients_1d)
def test_plain_descent(gradients):
    expected = 0.5 - 0.1 * np.cumsum(gradients)
    np.testing.assert_allclose(_run(SGD(0.1), gradients), expected, atol=1e-11)


@pytest.mark.parametrize("mu", [0.5, 0.9, 0.99])
def test_momentum_sums_a_geometric_series(mu):
    n = np.arange(1, 31)
    momenta = 2.0 * (1 - mu**n) / (1 - mu)
    expected = -0.1 * np.cumsum(momenta)
    np.testing.assert_allclose(_run(SGD(0.1, mu), [2.0] * 30, w=0.0), expected)


@examples
@given(gradients_1d, st.floats(0.01, 0.99))
def test_momentum_by_hand(gradients, mu):
    w, m, expected = 0.5, 0.0, []
    for g in gradients:
        m = mu * m + g
        w -= 0.1 * m
        expected.append(w)
    np.testing.assert_allclose(
        _run(SGD(0.1, mu), gradients), expected, rtol=1e-10, atol=1e-11
    )


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_scale_multiplies_the_learning_rate(optimizer):
    gradients = [1.0, -0.5, 2.0]
    tenth = type(optimizer)(**(vars(optimizer) | {"lr": 0.1 * optimizer.lr}))
    got = _run(optimizer, gradients, scale=0.1)
    np.testing.assert_allclose(got, _run(tenth, gradients), rtol=1e-13)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_a_parabola_is_descended(optimizer):
    weights = {"a": np.array([2.0, -1.0]), "b": np.array(3.0)}
    state = optimizer.init(weights)
    for _ in range(300):
        optimizer.step(weights, {n: w.copy() for n, w in weights.items()}, state)
    assert global_norm(weights) < 1e-2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_everything_happens_in_place_and_in_type(optimizer, dtype):
    rows = np.zeros((3, 16), dtype)
    weights = {"w": rows[:, :2].T}
    gradients = {"w": np.ones((2, 3), dtype)}
    state = optimizer.init(weights)
    arrays = dict(state)
    optimizer.step(weights, gradients, state)
    assert (rows[:, :2] < 0).all(), "views of a larger buffer are moved"
    assert not rows[:, 2:].any()
    assert (gradients["w"] == 1).all(), "gradients are left alone"
    assert state.keys() == arrays.keys()
    for name, array in state.items():
        assert array is arrays[name]
        assert array.dtype == (np.int64 if name == "t" else dtype)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_a_copied_state_continues_bit_for_bit(optimizer):
    gradients = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
    straight = {"w": np.zeros(5, np.float32)}
    state = optimizer.init(straight)
    for g in gradients[:10]:
        optimizer.step(straight, {"w": g}, state)
    resumed = {"w": straight["w"].copy()}
    saved = {name: np.array(array) for name, array in state.items()}
    for g in gradients[10:]:
        optimizer.step(straight, {"w": g}, state)
        optimizer.step(resumed, {"w": g}, saved)
    assert np.array_equal(straight["w"], resumed["w"])


# Clipping ---------------------------------------------------------------------------


@examples
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_clipping_keeps_direction_and_bounds_the_norm(size, max_norm):
    gradients = {"a": size * np.array([[2.0, -1.0]]), "b": size * np.array([2.0])}
    before = {name: g.copy() for name, g in gradients.items()}
    norm = clip_gradients(gradients, max_norm)
    assert norm == pytest.approx(3 * size)
    factor = min(1.0, max_norm / (3 * size))
    for name, g in gradients.items():
        np.testing.assert_allclose(g, factor * before[name], rtol=1e-12)
    assert global_norm(gradients) <= max_norm * (1 + 1e-12)


def test_small_gradients_are_not_touched():
    gradients = {"a": np.array([0.3, 0.4], np.float32)}
    before = gradients["a"].copy()
    assert clip_gradients(gradients, 1.0) == pytest.approx(0.5)
    assert np.array_equal(gradients["a"], before)


# Ranges -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "bad"),
    [
        *((k, "lr", v) for k in (SGD, Adam) for v in (0.0, -1.0, math.nan, math.inf)),
        *((SGD, "momentum", v) for v in (-0.1, 1.0, math.nan)),
        *((Adam, n, v) for n in ("beta1", "beta2") for v in (-0.1, 1.0, math.nan)),
        *((Adam, "eps", v) for v in (0.0, -1e-8, math.nan)),
        (Adam, "form", "keras"),
    ],
)
def test_a_parameter_out_of_range_names_itself(kind, name, bad):
    with pytest.raises(InvalidValue, match=rf"^{kind.__name__}\.{name} must be .*got "):
        kind(**{name: bad})


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_the_largest_norm_must_be_positive(bad):
    with pytest.raises(InvalidValue, match=r"^clip_gradients\.max_norm must be > 0"):
        clip_gradients({"a": np.ones(2)}, bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_share_large_arrays_and_change_no_bit(dtype):
    rng = np.random.default_rng(0)
    shape = (700, 500)
    start, g = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    results = []
    for threads in (1, 3):
        weights = {"w": np.asfortranarray(start)}
        optimizer = Adam(0.1)
        state = optimizer.init(weights)
        for _ in range(2):
            gradients = {"w": np.asfortranarray(g)}
            optimizer.step(weights, gradients, state, threads=threads)
        results.append(weights["w"])
    assert np.array_equal(*results)
    assert np.abs(results[0] - start).min() > 0
