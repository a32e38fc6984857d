"""Slices of the loss, and how a network does on what it did not learn from."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.curvature import leading_eigenvalue
from spikelearn.analysis.generalisation import (
    generalisation,
    held_out_batch,
    shifted,
)
from spikelearn.analysis.loss_slices import (
    gradient_direction,
    loss_plane,
    loss_slice,
    random_direction,
)
from spikelearn.analysis.sharpness import loss_at
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.losses import Classification, Regression
from spikelearn.network import LIF, RecurrentNetwork
from spikelearn.tasks import Batch, make
from tests.analysis.curvature_cases import make_batch, make_rate
from tests.helpers import copy_spec

CROSS_ENTROPY = Classification()


# Slices -----------------------------------------------------------------------------


def test_a_slice_bends_like_the_eigenvalue():
    """L(a) - L(0) = |w|^2 (a slope + a^2 lambda / 2) along an eigenvector."""
    network, batch = make_rate(), make_batch("sum")
    batch = Batch(batch.x, network.run(batch.x).y, batch.mask)  # a minimum
    found = leading_eigenvalue(network, batch, Regression(), method="lanczos")
    steps = np.array([-0.002, -0.001, 0.0, 0.001, 0.002])
    along = loss_slice(network, batch, Regression(), found.vector, steps=steps)
    length = np.linalg.norm(network.params.w_rec)
    expected = found.value / 2 * (steps * length) ** 2
    np.testing.assert_allclose(along.losses, expected, rtol=0.05, atol=1e-15)
    assert along.losses[2] < 1e-20 < along.losses[1]
    np.testing.assert_array_equal(along.steps, steps)
    assert along.other_steps.size == 0


def test_the_loss_falls_against_the_gradient():
    network, batch = make_rate(), make_batch()
    direction = gradient_direction(network, batch, CROSS_ENTROPY)
    h = 1e-4
    found = loss_slice(network, batch, CROSS_ENTROPY, direction, steps=[-h, 0, h])
    slope = (found.losses[2] - found.losses[0]) / (2 * h)
    gradient = np.linalg.norm(direction["w_rec"])
    expected = gradient * np.linalg.norm(network.params.w_rec)
    assert slope == pytest.approx(expected, rel=1e-4)


def test_slices_of_spiking_cells_by_hand():
    network, batch = make_rate(LIF(10.0), gain=3.0), make_batch()
    direction = random_direction(network, ("w_in", "w_rec"))
    found = loss_slice(network, batch, CROSS_ENTROPY, direction)
    assert found.losses.shape == (41,)
    assert found.losses[20] == pytest.approx(loss_at(network, batch, CROSS_ENTROPY))
    other = copy_spec(network)
    names = ("w_in", "w_rec")
    length, size = (
        np.sqrt(sum((group[n] ** 2).sum() for n in names))
        for group in (network.params.arrays(), direction)
    )
    for name in names:
        getattr(other.params, name)[...] += 0.25 * length / size * direction[name]
    expected = loss_at(other, batch, CROSS_ENTROPY)
    assert found.losses[-1] == pytest.approx(expected, rel=1e-12)


def test_random_directions_have_the_norms_of_every_neuron():
    network = make_rate()
    direction = random_direction(network, ("w_rec", "bias"), rng=3)
    for name, axis in (("w_rec", 1), ("bias", None)):
        own = np.linalg.norm(getattr(network.params, name), axis=axis)
        found = np.linalg.norm(direction[name], axis=axis)
        np.testing.assert_allclose(found, own)
    assert not direction["w_rec"][~network.mask].any()
    other = random_direction(network, ("w_rec", "bias"), rng=4)
    assert not np.allclose(other["w_rec"], direction["w_rec"])


def test_a_plane_is_made_of_slices():
    network, batch = make_rate(), make_batch()
    one, other = (random_direction(network, rng=seed) for seed in (0, 1))
    steps = [-0.1, 0.0, 0.2]
    options = {"steps": steps}
    plane = loss_plane(network, batch, CROSS_ENTROPY, (one, other), **options)
    assert plane.losses.shape == (3, 3)
    for axis, direction in enumerate((one, other)):
        along = loss_slice(network, batch, CROSS_ENTROPY, direction, **options)
        middle = np.take(plane.losses, 1, axis=1 - axis)
        np.testing.assert_allclose(middle, along.losses, rtol=1e-12)
    np.testing.assert_array_equal(plane.other_steps, steps)
    usual = loss_plane(network, batch, CROSS_ENTROPY, (one, other))
    assert usual.losses.shape == (15, 15)


def test_refused_slices():
    network, batch = make_rate(), make_batch()
    none = {"w_rec": np.zeros((5, 5))}
    with pytest.raises(InvalidValue, match="direction must not be 0"):
        loss_slice(network, batch, CROSS_ENTROPY, none)
    with pytest.raises(InvalidValue, match="steps must be finite"):
        loss_slice(network, batch, CROSS_ENTROPY, none, steps=[0.0, np.nan])
    pair = (none, {"w_in": np.ones((5, 3))})
    with pytest.raises(InvalidValue, match="must have the same parameters"):
        loss_plane(network, batch, CROSS_ENTROPY, pair)


# Generalisation ---------------------------------------------------------------------


def network_for(task, seed=0):
    network = RecurrentNetwork(task.n_in, 6, task.n_out, cell=LIF(5.0), dt=task.dt)
    network.initialise(seed, gain=2.0, gain_in=2.0)
    return network


def test_gaps_by_hand():
    task = make("digits-rows", validation=50)
    network = network_for(task)
    options = {"seed": 3, "samples": 40, "batch_size": 16}
    found = generalisation(network, task, CROSS_ENTROPY, **options)
    test = held_out_batch(task, "test", 40, 3)
    result = CROSS_ENTROPY(network.run(test.x).y, test.target, test.mask)
    assert found.held_out.loss == pytest.approx(result.value, rel=1e-6)
    assert found.held_out.accuracy == result.n_correct / 40
    train = [task.train_batch(k, 16, 3) for k in range(3)]
    value = np.mean([loss_at(network, b, CROSS_ENTROPY) for b in train])
    assert found.train.loss == pytest.approx(value, rel=1e-6)
    assert found.gap == found.held_out.loss - found.train.loss
    assert found.accuracy_gap == found.train.accuracy - found.held_out.accuracy
    assert found.shifted_gap == found.shifted.loss - found.train.loss
    assert found.shifted_accuracy_gap == found.train.accuracy - found.shifted.accuracy
    assert found.shifted.loss != found.held_out.loss
    other = generalisation(network, task, CROSS_ENTROPY, split="validation", **options)
    assert other.held_out.loss != found.held_out.loss
    assert other.split == "validation"


def test_training_trials_are_those_that_a_run_learned_from():
    task = make("digits-rows", validation=50)
    network = network_for(task)
    options = {"seed": 3, "samples": 40, "batch_size": 16}
    found = generalisation(network, task, CROSS_ENTROPY, **options, iterations=2)
    batches = [task.train_batch(k, 16, 3) for k in range(2)]
    value = np.mean([loss_at(network, b, CROSS_ENTROPY) for b in batches])
    assert found.train.samples == 32 and found.held_out.samples == 40
    assert found.train.loss == pytest.approx(value, rel=1e-6)
    long = generalisation(network, task, CROSS_ENTROPY, **options, iterations=9)
    assert long == generalisation(network, task, CROSS_ENTROPY, **options)
    assert long.train.samples == 48, "whole batches"
    few = {"seed": 3, "samples": 2, "batch_size": 16}
    one = generalisation(network, task, CROSS_ENTROPY, **few)
    first = loss_at(network, task.train_batch(0, 16, 3), CROSS_ENTROPY)
    assert one.train.loss == pytest.approx(first, rel=1e-6)


def test_held_out_trials_are_not_those_of_training():
    task = make("digits-rows", validation=50)
    seen = {x.tobytes() for x in task.train_batch(0, 1200, 0).x.transpose(1, 0, 2)}
    for split in ("validation", "test"):
        batch = held_out_batch(task, split, 50, 0)
        images = {x.tobytes() for x in batch.x.transpose(1, 0, 2)}
        assert len(images) > 40
        assert len(images & seen) <= 1, "two people may write alike in 16 grey levels"
    again = held_out_batch(task, "train", 50, 0)
    assert {x.tobytes() for x in again.x.transpose(1, 0, 2)} <= seen


def test_no_shift_leaves_the_scores_and_a_large_one_stays_in_range():
    task = make("digits-rows")
    found = generalisation(
        network_for(task), task, CROSS_ENTROPY, seed=0, samples=20, sigma=0.0
    )
    assert found.shifted == found.held_out
    batch = held_out_batch(task, "test", 20, 0)
    (moved,) = shifted([batch], 5.0, np.random.default_rng(0))
    assert (moved.x.min(), moved.x.max()) == (batch.x.min(), batch.x.max())
    (little,) = shifted([batch], 0.05, np.random.default_rng(0))
    inside = (batch.x > 0.3) & (batch.x < 0.7)
    assert (little.x - batch.x)[inside].std() == pytest.approx(0.05, rel=0.05)


def test_spikes_and_values():
    task = make("digits-rows", encoding="spikes")
    found = generalisation(network_for(task), task, CROSS_ENTROPY, seed=0, samples=10)
    assert found.shifted is None
    assert found.shifted_gap is None and found.shifted_accuracy_gap is None
    with pytest.raises(InvalidValue, match="must be graded; got spikes"):
        list(
            shifted([held_out_batch(task, "test", 5, 0)], 0.1, np.random.default_rng())
        )
    values = make("pattern-generation")
    found = generalisation(network_for(values), values, Regression(), seed=0, samples=2)
    assert found.accuracy_gap is None
    assert found.gap == found.held_out.loss - found.train.loss


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": 0}, InvalidValue, "samples must be >= 1"),
        ({"sigma": -1.0}, InvalidValue, "sigma must be >= 0"),
        ({"batch_size": 0}, InvalidValue, "batch_size must be >= 1"),
        ({"iterations": 0}, InvalidValue, "iterations must be >= 1"),
        ({"split": "train"}, UnknownName, "unknown evaluation split 'train'"),
        ({"split": "validation"}, InvalidValue, "validation set must exist"),
    ],
)
def test_refused(options, error, message):
    task = make("digits-rows", validation=0)
    with pytest.raises(error, match=message):
        generalisation(network_for(task), task, CROSS_ENTROPY, seed=0, **options)


def test_reward_tasks_and_too_few_trials():
    task = make("cue-bandit")
    network = RecurrentNetwork(task.n_in, 3, task.n_out, dt=task.dt)
    with pytest.raises(InvalidValue, match="must have targets; got a reward task"):
        generalisation(network, task, CROSS_ENTROPY, seed=0)
    digits = make("digits-rows")
    with pytest.raises(InvalidValue, match="test trials of digits-rows must be 9999"):
        held_out_batch(digits, "test", 9999, 0)
