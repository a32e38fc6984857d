from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from spikelearn.tasks import handwriting, make


@pytest.fixture(scope="module")
def evidence():
    """Return 200 default trials and the cues (200, 7) read back from their input."""
    batch = make("evidence-accumulation").train_batch(0, 200, seed=1)
    left, right = batch.x[..., :10], batch.x[..., 10:20]
    cues = np.empty((200, 7), int)
    for c in range(7):
        window = slice(50 + 150 * c, 150 + 150 * c)
        n_left = left[window].sum(axis=(0, 2))
        n_right = right[window].sum(axis=(0, 2))
        assert ((n_left == 0) ^ (n_right == 0)).all()
        cues[:, c] = n_right > 0
    return batch, cues


def test_evidence_timing(evidence):
    batch, _ = evidence
    assert batch.x.shape == (2250, 200, 40)
    assert not batch.x[0].any()
    assert np.flatnonzero(batch.mask).tolist() == list(range(2100, 2250))
    in_cue = np.zeros(2250, bool)
    for c in range(7):
        in_cue[50 + 150 * c : 150 + 150 * c] = True
    sides_active = batch.x[..., :20].any(axis=(1, 2))
    recall_active = batch.x[..., 20:30].any(axis=(1, 2))
    # With 2000 inputs a silent step inside a window has probability < 1e-17.
    np.testing.assert_array_equal(sides_active, in_cue)
    np.testing.assert_array_equal(recall_active, np.arange(2250) >= 2100)


def within(samples, p, sigmas=5.0):
    samples = np.asarray(samples)
    error = abs(samples.mean() - p)
    return error <= sigmas * math.sqrt(p * (1 - p) / samples.size)


def test_evidence_rates(evidence):
    batch, cues = evidence
    for c in range(7):
        window = batch.x[50 + 150 * c : 150 + 150 * c]
        on_the_right = window[:, cues[:, c] == 1, 10:20]
        assert within(on_the_right, 0.04) and not within(on_the_right, 0.05)
    assert within(batch.x[2100:, :, 20:30], 0.04)
    noise = batch.x[1:, :, 30:]
    assert within(noise, 0.01) and not within(noise, 0.011)


def test_evidence_labels_are_the_majority_and_balanced(evidence):
    batch, cues = evidence
    np.testing.assert_array_equal(batch.target, cues.sum(axis=1) > 3)
    many = make(
        "evidence-accumulation", cue_ms=1, gap_ms=0, delay_ms=0, recall_ms=1
    ).train_batch(0, 4000, seed=3)
    assert within(many.target == 1, 0.5)


@pytest.mark.parametrize("p_group", [0.0, 0.3, 0.5])
def test_evidence_cues_follow_the_group_probability(p_group):
    # At 1000 Hz and one step per cue the input of the first neurons is the cue itself.
    # The first step of a trial is silent, hence the gap.
    task = make(
        "evidence-accumulation",
        **{"cue_ms": 1, "gap_ms": 1, "delay_ms": 0, "recall_ms": 1},
        **{"f_cue_hz": 1000, "p_group": p_group},
    )
    x = task.train_batch(0, 3000, seed=5).x
    right = x[1:14:2, :, 10].sum(axis=0)
    assert (x[1:14:2, :, 0].sum(axis=0) + right == 7).all()
    counts = np.bincount(right, minlength=8) / right.size
    for k in range(8):
        binomial = math.comb(7, k) * np.array(
            [p**k * (1 - p) ** (7 - k) for p in (p_group, 1 - p_group)]
        )
        expected = binomial.mean()
        bound = 5 * math.sqrt(expected * (1 - expected) / right.size)
        assert abs(counts[k] - expected) <= bound + 1e-12


def test_evidence_trials_do_not_depend_on_the_batch_they_are_in():
    task = make("evidence-accumulation", n_cues=1, delay_ms=0)
    whole = task.train_batch(0, 6, seed=9)
    parts = [task.train_batch(k, 2, seed=9) for k in range(3)]
    joined = np.concatenate([p.x for p in parts], axis=1)
    np.testing.assert_array_equal(joined, whole.x)


def test_evidence_time_step_keeps_times_and_rates():
    coarse = make("evidence-accumulation", dt=2.0)
    batch = coarse.train_batch(0, 50, seed=1)
    assert coarse.n_steps == 1125 and batch.mask.sum() == 75
    assert within(batch.x[1:, :, 30:], 0.02)
    assert not batch.x[:25, :, :20].any() and batch.x[25:75, :, :20].any()


def test_evidence_has_a_usual_number_of_evaluation_trials():
    task = make("evidence-accumulation", cue_ms=10, delay_ms=0, recall_ms=10)
    for split, n in (("validation", 256), ("test", 512)):
        sizes = [batch.size for batch in task.evaluation(split, None, 100)]
        assert sum(sizes) == n and max(sizes) == 100
        assert str(n) in task.splits[split]


def test_evidence_recommends_the_published_adaptation():
    network = make("evidence-accumulation").recommended["network"]
    assert network["beta"] == pytest.approx(0.01742, abs=5e-6)


def test_generated_tasks_need_no_optional_package(monkeypatch):
    for package in ("sklearn", "mlxtend"):
        monkeypatch.setitem(sys.modules, package, None)
    for name in ("evidence-accumulation", "pattern-generation"):
        assert make(name).train_batch(0, 1, seed=0).size == 1
    assert make("mnist5k-rows").n_in == 28


def residual(y, cycles):
    angle = np.linspace(0, 2 * np.pi, len(y))[:, None] * np.array(cycles)
    basis = np.hstack([np.ones((len(y), 1)), np.sin(angle), np.cos(angle)])
    weights, *_ = np.linalg.lstsq(basis, y, rcond=None)
    amplitudes = np.hypot(weights[1 : 1 + len(cycles)], weights[1 + len(cycles) :])
    return np.abs(basis @ weights - y).max(), amplitudes


@pytest.mark.parametrize("pattern_seed", range(5))
def test_pattern_target_is_a_normalised_sum_of_the_four_sines(pattern_seed):
    task = make("pattern-generation", pattern_seed=pattern_seed)
    target = task.train_batch(0, 1, seed=0).target
    y = target[:, 0, 0].astype(np.float64)
    assert target.shape == (1000, 1, 1)
    assert y[0] == 0.0 and np.abs(y).max() == pytest.approx(1.0)
    error, amplitudes = residual(y, [1, 2, 3, 5])
    assert error < 1e-6
    assert amplitudes.max() / amplitudes.min() <= 4.0
    for left_out in ([2, 3, 5], [1, 3, 5], [1, 2, 5], [1, 2, 3]):
        assert residual(y, left_out)[0] > 0.01


def test_pattern_input_is_frozen_poisson_noise():
    task = make("pattern-generation")
    x = task.train_batch(0, 1, seed=0).x
    assert x.shape == (1000, 1, 100) and not x[0].any()
    assert within(x[1:], 0.05) and not within(x[1:], 0.06)
    other = make("pattern-generation", pattern_seed=2).train_batch(0, 1, seed=0)
    assert not np.array_equal(other.x, x)


def test_pattern_shows_one_trial_always():
    task = make("pattern-generation")
    first = task.train_batch(0, 1, seed=0)
    later = task.train_batch(99, 3, seed=7)
    for b in range(3):
        np.testing.assert_array_equal(later.x[:, b], first.x[:, 0])
        np.testing.assert_array_equal(later.target[:, b], first.target[:, 0])
    for split in ("validation", "test"):
        (batch,) = task.evaluation(split, None, 10)
        np.testing.assert_array_equal(batch.x, first.x)
        np.testing.assert_array_equal(batch.target, first.target)
    assert first.mask.all()


def test_pattern_draws_phases_and_amplitudes_over_their_whole_ranges():
    angle = np.linspace(0, 2 * np.pi, 200)[:, None] * np.array([1, 2])
    basis = np.hstack([np.ones((200, 1)), np.sin(angle), np.cos(angle)])
    phases, ratios = [], []
    for pattern_seed in range(200):
        task = make(
            "pattern-generation",
            **{"duration_ms": 200, "periods_ms": (200, 100), "n_in": 1},
            pattern_seed=pattern_seed,
        )
        y = task.train_batch(0, 1, seed=0).target[:, 0, 0]
        _, s1, s2, c1, c2 = np.linalg.lstsq(basis, y, rcond=None)[0]
        phases += [math.atan2(c1, s1), math.atan2(c2, s2)]
        ratios.append(math.hypot(s1, c1) / math.hypot(s2, c2))
    quadrants = np.bincount(np.floor(np.array(phases) / (np.pi / 2)).astype(int) + 2)
    assert all(within([1] * n + [0] * (400 - n), 0.25) for n in quadrants)
    # A ratio of two numbers uniform in (0.5, 2) exceeds 2 with probability 1/9.
    ratio = np.array(ratios)
    assert ratio.min() >= 0.25 and ratio.max() <= 4.0
    assert within(ratio > 2, 1 / 9, sigmas=4) and within(ratio < 0.5, 1 / 9, sigmas=4)


def test_handwriting_is_a_smooth_curve_from_the_origin():
    target = make("handwriting").train_batch(0, 1, seed=0).target
    assert target.shape == (1200, 1, 2)
    pen = target[:, 0].astype(np.float64)
    assert (pen[0] == 0).all() and np.abs(pen).max() == pytest.approx(1.0)
    # A pen does not jump, and its velocity does not either.
    velocity = np.diff(pen, axis=0)
    assert 0 < np.abs(velocity).max() < 0.01
    assert np.abs(np.diff(velocity, axis=0)).max() < 5e-4
    corners = np.interp(np.arange(1200), np.arange(0, 1200, 47), pen[::47, 0])
    assert np.abs(np.diff(corners, n=2)).max() > 2e-3, "straight strokes would be seen"
    # Written from left to right, with loops that go back.
    assert pen[-1, 0] == pytest.approx(1.0) and (velocity[:, 0] < 0).any()


def test_handwriting_goes_through_its_points_at_even_intervals():
    task = make("handwriting", duration_ms=126, n_in=1)
    pen = task.train_batch(0, 1, seed=0).target[::5, 0].astype(np.float64)
    points = np.array([p for row in handwriting._PEN for p in row])
    expected = points - points[0]
    scale = np.sum(pen * expected) / np.sum(expected**2)
    assert pen.shape == expected.shape == (26, 2)
    np.testing.assert_allclose(pen, scale * expected, atol=1e-6)
    assert np.abs(pen[1:] - scale * expected[:-1]).max() > 0.05


def test_handwriting_differs_by_its_seed_in_the_input_alone():
    a, b = (make("handwriting", pattern_seed=s).train_batch(0, 1, 0) for s in (1, 2))
    np.testing.assert_array_equal(a.target, b.target)
    assert not np.array_equal(a.x, b.x)
    assert within(a.x[1:], 0.05) and not a.x[0].any()
