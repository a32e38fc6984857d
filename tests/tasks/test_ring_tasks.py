"""2af, dms and cxt against their equations; neurogym itself is in test_neurogym.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.tasks import make

NAMES = ("2af", "dms", "cxt")


def batch_of(name, size=2000, **parameters):
    return make(name, **parameters).train_batch(0, size, seed=1)


def even(values, n):
    """Whether integers 0 to n - 1 are equally frequent, within 5 standard errors."""
    counts = np.bincount(values, minlength=n) / len(values)
    return np.abs(counts - 1 / n).max() < 5 * math.sqrt(1 / n / len(values))


@pytest.mark.parametrize("name", NAMES)
def test_eight_steps_of_which_the_last_is_the_decision(name):
    task = make(name)
    batch = task.train_batch(0, 200, seed=0)
    assert (task.n_steps, task.dt, task.n_out) == (8, 100.0, 3)
    assert task.n_in == (5 if name == "cxt" else 3)
    assert batch.mask.tolist() == [1.0] * 8
    assert not batch.target[:7].any()
    assert set(batch.target[7]) == {1, 2}
    assert even(batch_of(name).target[7] - 1, 2)


@pytest.mark.parametrize(
    ("name", "on"),
    [("2af", range(7)), ("dms", (0, 6)), ("cxt", range(2))],
)
def test_stimuli_come_in_their_periods_only(name, on):
    stimulus = batch_of(name, 100).x[:, :, 1:]
    active = [t for t in range(8) if stimulus[t].any()]
    assert active == list(on)


@pytest.mark.parametrize(
    ("name", "sigma", "dt"), [("2af", 1.0, 100.0), ("dms", 0.5, 20.0), ("cxt", 3.0, 10)]
)
def test_the_noise_has_the_stated_deviation_per_step(name, sigma, dt):
    task = make(name, sigma=sigma, dt=dt)
    period = "sample" if name == "dms" else "stimulus"
    window = task.windows()[period]
    x = task.train_batch(0, 1500, seed=2).x[window, :, 1:]
    # Steps of a trial differ by noise alone; for one step the channels of a trial do.
    noise = (x[1:] - x[:-1]) / math.sqrt(2)
    expected = sigma / math.sqrt(dt)
    assert noise.std() == pytest.approx(expected, rel=0.02)
    kurtosis = np.mean((noise - noise.mean()) ** 4) / noise.var() ** 2
    assert kurtosis == pytest.approx(3.0, abs=0.15)
    pairs = [np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]]
    assert np.abs(pairs).max() < 0.06


@pytest.mark.parametrize("dim_ring", [2, 3, 8])
def test_2af_shows_the_answer_at_a_drawn_coherence(dim_ring):
    coherences = (10.0, 40.0, 90.0)
    batch = batch_of("2af", sigma=0.0, dim_ring=dim_ring, coherences=coherences)
    answer = batch.target[-1] - 1
    contrasts = []
    for b, choice in enumerate(answer):
        stimulus = batch.x[0, b, 1:]
        contrast = 2 * (stimulus[choice] - 0.5)
        contrasts.append(round(100 * contrast))
        for k in range(dim_ring):
            angle = 2 * math.pi * (k - choice) / dim_ring
            assert stimulus[k] == pytest.approx(0.5 + contrast / 2 * math.cos(angle))
    assert set(contrasts) == {10, 40, 90}
    assert even(np.searchsorted([10, 40, 90], contrasts), 3)
    assert even(answer, dim_ring)
    assert not even(np.zeros(2000, int), dim_ring)


def test_2af_leaves_the_answer_open_at_coherence_zero():
    batch = batch_of("2af", sigma=0.0, coherences=[0.0])
    np.testing.assert_array_equal(batch.x[:7, :, 1:], 0.5)
    assert even(batch.target[-1] - 1, 2)


@pytest.mark.parametrize("dim_ring", [2, 4, 5])
def test_dms_matches_exactly_where_the_answer_says_so(dim_ring):
    batch = batch_of("dms", sigma=0.0, dim_ring=dim_ring)
    sample, test = batch.x[0, :, 1:], batch.x[6, :, 1:]
    same = np.abs(sample - test).max(axis=1) < 1e-6
    np.testing.assert_array_equal(batch.target[-1], np.where(same, 1, 2))
    np.testing.assert_allclose(sample.max(axis=1), 1.0, rtol=1e-6)
    # The opposite direction: x(theta + pi) = 1 - x(theta).
    np.testing.assert_allclose(test[~same], 1 - sample[~same], atol=1e-6)
    assert even(sample.argmax(axis=1), dim_ring)


@pytest.mark.parametrize("modality", [0, 1])
def test_cxt_answers_for_its_modality_and_no_other(modality):
    batch = batch_of("cxt", sigma=0.0, modality=modality, dim_ring=4)
    rings = batch.x[0, :, 1:].reshape(-1, 2, 4)
    shown = rings.argmax(axis=2)
    np.testing.assert_array_equal(shown[:, modality], batch.target[-1] - 1)
    other = shown[:, 1 - modality]
    agreement = np.mean(other == batch.target[-1] - 1)
    assert agreement == pytest.approx(0.25, abs=0.05)
    assert even(other, 4) and even(shown[:, modality], 4)
    contrast = np.rint(200 * (rings.max(axis=2) - 0.5)).astype(int)
    for m in (0, 1):
        assert even(np.searchsorted([5, 15, 50], contrast[:, m]), 3)
    assert set(contrast.ravel()) == {5, 15, 50}
    assert abs(np.corrcoef(contrast.T)[0, 1]) < 0.12


def test_cxt_shows_an_explicit_context_throughout():
    batch = batch_of("cxt", sigma=0.0, explicit_context=True)
    context = batch.x[..., 5:]
    assert batch.x.shape[2] == 7
    assert (context == context[0]).all() and (context.sum(axis=2) == 1).all()
    counts = context[0].argmax(axis=1)
    assert even(counts, 2)
    shown = batch.x[0, :, 1:5].reshape(-1, 2, 2).argmax(axis=2)
    answer = batch.target[-1] - 1
    np.testing.assert_array_equal(shown[np.arange(2000), counts], answer)
    wrong = shown[np.arange(2000), 1 - counts]
    assert np.mean(wrong == answer) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hold", [False, True])
def test_the_fixation_signal_lasts_as_stated(name, hold):
    task = make(name, fixation_ms=300.0, hold_fixation=hold)
    fixation = task.train_batch(0, 3, seed=0).x[..., 0]
    last = task.n_steps - 1 if hold else 3
    expected = (np.arange(task.n_steps) < last).astype(float)
    np.testing.assert_array_equal(fixation, expected[:, None].repeat(3, axis=1))


def test_only_dms_holds_its_fixation_signal_by_default():
    held = {name: bool(batch_of(name, 1).x[..., 0].any()) for name in NAMES}
    assert held == {"2af": False, "dms": True, "cxt": False}


def test_periods_follow_each_other():
    windows = make("2af", fixation_ms=200, delay_ms=300, decision_ms=200).windows()
    assert windows == {
        "fixation": slice(0, 2),
        "stimulus": slice(2, 9),
        "delay": slice(9, 12),
        "decision": slice(12, 14),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_does_not_depend_on_the_batch_it_is_in(name):
    task = make(name)
    whole = task.train_batch(0, 6, seed=9)
    parts = [task.train_batch(k, 2, seed=9) for k in range(3)]
    np.testing.assert_array_equal(np.concatenate([p.x for p in parts], 1), whole.x)
    targets = np.concatenate([p.target for p in parts], 1)
    np.testing.assert_array_equal(targets, whole.target)
