"""What a task recommends is a valid configuration, and learns."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.runs.build import build_trainer
from spikelearn.runs.config import resolve_config
from spikelearn.tasks import TASKS
from tests.helpers import TASK_NAMES


@pytest.mark.parametrize("name", TASK_NAMES)
def test_recommended_values_are_accepted_as_they_are(name):
    config = resolve_config({"task": {"name": name}}).to_dict()
    for section, values in TASKS[name]().recommended.items():
        assert {key: config[section][key] for key in values} == values


def train(name, iterations, *overrides):
    trainer = build_trainer(resolve_config({"task": {"name": name}}, overrides))
    return [trainer.step() for _ in range(iterations)]


@pytest.mark.parametrize("name", ["digits-rows", "mnist5k-rows"])
def test_digits_are_learned(name):
    steps = train(name, 100)
    first, last = (
        np.mean([s.accuracy for s in part]) for part in (steps[:3], steps[-10:])
    )
    assert first < 0.3 and last > 0.5
    frozen = train(name, 20, "optimizer.lr=1e-9")
    assert np.mean([s.accuracy for s in frozen]) < 0.3


def test_a_pattern_is_approached():
    losses = [s.loss for s in train("pattern-generation", 150)]
    assert losses[-1] < 0.85 * losses[0]
    assert np.isfinite(losses).all()


def test_delayed_matches_are_learned_beyond_guessing_at_the_decision():
    """Who fixates without fail and guesses at the one step of decision has log(2)/8."""
    guessing = np.log(2) / 8
    losses = [s.loss for s in train("dms", 300)]
    assert np.mean(losses[-20:]) < 0.5 * guessing
    frozen = [s.loss for s in train("dms", 20, "optimizer.lr=1e-9")]
    assert np.mean(frozen) > guessing
