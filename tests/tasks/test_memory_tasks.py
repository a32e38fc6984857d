"""Delayed bits and cues, store-recall and the bandit, read back from their input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.tasks import make


def within(samples, p, sigmas=5.0):
    samples = np.asarray(samples)
    return abs(samples.mean() - p) <= sigmas * math.sqrt(p * (1 - p) / samples.size)


# ---------------------------------------------------------------- delayed bits


def copied(bits, t, d):
    return bits[t - d]


def combined(bits, t, d):
    return (bits[t - d // 2] + bits[t - d]) % 2


@pytest.mark.parametrize(
    ("name", "answer", "delay"),
    [
        ("delayed-copy", copied, 1),
        ("delayed-copy", copied, 18),
        ("delayed-xor", combined, 2),
        ("delayed-xor", combined, 18),
    ],
)
def test_answers_are_those_about_the_bits_before(name, answer, delay):
    batch = make(name, delay_steps=delay, n_steps=60).train_batch(0, 20, seed=3)
    counted = np.flatnonzero(batch.mask).tolist()
    assert counted == list(range(2 * delay, 60))
    shifted = 0
    for b in range(20):
        bits = batch.x[:, b, 0].astype(int).tolist()
        for t in counted:
            assert batch.target[t, b] == answer(bits, t, delay)
            shifted += batch.target[t, b] != answer(bits, t + 1 if t < 59 else t, delay)
    assert shifted > 100, "another delay gives other answers"


@pytest.mark.parametrize("name", ["delayed-copy", "delayed-xor"])
def test_bits_are_even_and_independent(name):
    batch = make(name).train_batch(0, 100, seed=0)
    bits = batch.x[..., 0]
    assert bits.shape == (300, 100)
    assert within(bits, 0.5) and not within(bits, 0.52)
    assert within(bits[1:] == bits[:-1], 0.5)
    assert within(batch.target[36:], 0.5)


def test_the_time_step_does_not_change_the_bits():
    fine = make("delayed-xor", dt=0.5).train_batch(0, 3, seed=0)
    np.testing.assert_array_equal(
        fine.x, make("delayed-xor").train_batch(0, 3, seed=0).x
    )


# ---------------------------------------------------------------- delayed cues


def test_cues_are_bumps_and_the_class_says_whether_they_match():
    batch = make("delayed-xor-cues", sigma=0.0).train_batch(0, 400, seed=1)
    assert batch.x.shape == (900, 400, 2)
    assert np.flatnonzero(batch.mask).tolist() == [899]
    present = batch.x.max(axis=0) > 1.0
    np.testing.assert_array_equal(batch.target, present[:, 0] == present[:, 1])
    for channel, start in ((0, 0), (1, 800)):
        assert within(present[:, channel], 0.5)
        for b in range(4):
            for t in range(900):
                s = t - start + 0.5 - 50
                inside = start <= t < start + 100 and present[b, channel]
                bump = 2 * math.exp(-(s**2) / (2 * 25**2)) if inside else 0.0
                expected = pytest.approx(0.02 + bump, rel=1e-5)
                assert batch.x[t, b, channel] == expected
    assert within(batch.target == 1, 0.5)
    assert {tuple(p) for p in present[:4]} - {(False, False)}, "a cue was looked at"


@pytest.mark.parametrize("dt", [0.5, 1.0, 10.0])
def test_the_noise_of_cues_scales_with_the_step(dt):
    noisy = make("delayed-xor-cues", dt=dt, loss_ms=dt).train_batch(0, 50, seed=1)
    task = make("delayed-xor-cues", dt=dt, loss_ms=dt, sigma=0.0)
    noise = noisy.x - task.train_batch(0, 50, seed=1).x
    assert noise.std() == pytest.approx(0.01 / math.sqrt(dt), rel=0.05)
    assert abs(noise.mean()) < 5 * noise.std() / math.sqrt(noise.size)


def test_a_coarser_step_shows_the_same_cues():
    fine = make("delayed-xor-cues", sigma=0.0).train_batch(0, 20, seed=1).x
    coarse = make("delayed-xor-cues", sigma=0.0, dt=5.0, loss_ms=5.0)
    x = coarse.train_batch(0, 20, seed=1).x
    assert x.shape == (180, 20, 2)
    peaks = (fine.max(axis=0) > 1, x.max(axis=0) > 1)
    assert peaks[0].any() and not peaks[0].all()
    np.testing.assert_array_equal(*peaks)
    np.testing.assert_allclose(fine.reshape(180, 5, 20, 2).mean(1), x, atol=0.02)


# ---------------------------------------------------------------- store and recall


@pytest.mark.parametrize(("n_slots", "n_events"), [(10, 2), (6, 3), (2, 1)])
def test_recall_asks_for_the_bit_of_the_store_before(n_slots, n_events):
    # At 1000 Hz and one step per slot the input is the command itself.
    task = make(
        "store-recall",
        **{"slot_ms": 1, "f_on_hz": 1000, "n_per_group": 2},
        n_slots=n_slots,
        n_events=n_events,
    )
    batch = task.train_batch(0, 500, seed=2)
    groups = batch.x.reshape(n_slots, 500, 4, 2)
    assert (groups[..., 0] == groups[..., 1]).all()
    zero, one, store, recall = groups[..., 0].transpose(2, 0, 1)
    np.testing.assert_array_equal(zero + one, 1 - recall)
    np.testing.assert_array_equal(batch.mask, recall)
    assert (store.sum(axis=0) == n_events).all()
    held = np.full(500, -1)
    for t in range(n_slots):
        asked = recall[t] == 1
        assert (held[asked] >= 0).all()
        np.testing.assert_array_equal(batch.target[t, asked], held[asked])
        held[asked] = -1
        assert (held[store[t] == 1] == -1).all(), "a store never follows a store"
        held = np.where(store[t], one[t], held)
    assert within(batch.target[batch.mask == 1], 0.5)
    if n_slots == 10:
        # Gaps between store and recall cover many lengths; bits between distract.
        first = recall.argmax(axis=0) - store.argmax(axis=0)
        assert set(first) >= set(range(1, 7))
        # Each slot holds a command equally often.
        assert all(within(slot, 0.4) for slot in (store + recall))


def test_slots_have_their_length_and_groups_their_rate():
    task = make("store-recall", n_events=1, n_slots=4)
    batch = task.train_batch(0, 200, seed=0)
    assert batch.x.shape == (400, 200, 40)
    slots = batch.x.reshape(4, 100, 200, 4, 10)
    active = slots.any(axis=(1, 4))
    assert (active[..., 0] ^ active[..., 1] ^ active[..., 3]).all()
    mask = batch.mask.reshape(4, 100, 200)
    assert (mask == mask[:, :1]).all()
    np.testing.assert_array_equal(mask[:, 0], active[..., 3])
    firing = slots.transpose(0, 2, 3, 1, 4)[active]
    assert within(firing, 0.05) and not within(firing, 0.055)


# ---------------------------------------------------------------- bandit

SHARP = {"cue_ms": 1, "delay_ms": 1, "decision_ms": 1, "f_cue_hz": 1000}


def test_the_cue_says_which_action_brings_reward():
    task = make("cue-bandit", **SHARP, f_noise_hz=0, n_cues=6, n_actions=3)
    batch = next(task.evaluation("test", 600, 600))
    groups = batch.x.reshape(3, 600, 8, 10)
    assert (groups == groups[..., :1]).all()
    cue = groups[0, :, :, 0].argmax(axis=1)
    expected = np.zeros((3, 600, 8), np.uint8)
    expected[0, np.arange(600), cue] = 1
    expected[2, :, 6] = 1
    np.testing.assert_array_equal(groups[..., 0], expected)
    assert batch.mask.tolist() == [0, 0, 1]
    for b in range(600):
        for action in range(3):
            p = 0.9 if action == cue[b] % 3 else 0.1
            assert batch.target[b, action] == pytest.approx(p)
    counts = np.bincount(cue, minlength=6)
    assert all(within([1] * n + [0] * (600 - n), 1 / 6) for n in counts)


@pytest.mark.parametrize("p_correct", [0.5, 0.8, 1.0])
def test_rewards_are_drawn_in_training_and_expected_in_evaluation(p_correct):
    task = make("cue-bandit", **SHARP, p_correct=p_correct)
    batch = task.train_batch(0, 3000, seed=4)
    cue = batch.x.reshape(3, 3000, 6, 10)[0, :, :4, 0].argmax(axis=1)
    right = batch.target[np.arange(3000), cue % 2]
    wrong = batch.target[np.arange(3000), 1 - cue % 2]
    assert set(np.unique(batch.target)) <= {0.0, 1.0}
    assert within(right, p_correct) and within(wrong, 1 - p_correct)
    assert not within(right, p_correct - 0.1)
    if p_correct == 0.8:  # drawn independently
        assert within(right * wrong, 0.16)
    levels = np.unique(next(task.evaluation("validation", 50, 50)).target)
    np.testing.assert_allclose(levels, sorted({p_correct, 1 - p_correct}), atol=1e-7)
    assert "expected" in task.splits["test"] and "expected" not in task.splits["train"]


def test_a_trial_of_the_bandit_does_not_depend_on_the_batch_it_is_in():
    task = make("cue-bandit")
    whole = task.train_batch(0, 6, seed=9)
    parts = [task.train_batch(k, 2, seed=9) for k in range(3)]
    np.testing.assert_array_equal(np.concatenate([p.x for p in parts], 1), whole.x)
    targets = np.concatenate([p.target for p in parts])
    np.testing.assert_array_equal(targets, whole.target)


def test_the_noise_group_of_the_bandit_fires_throughout():
    batch = make("cue-bandit").train_batch(0, 60, seed=0)
    assert batch.x.shape == (500, 60, 60)
    assert within(batch.x[..., 50:], 0.01) and not within(batch.x[..., 50:], 0.012)
    assert not batch.x[100:, :, :40].any() and not batch.x[:400, :, 40:50].any()
    assert within(batch.x[400:, :, 40:50], 0.05)
