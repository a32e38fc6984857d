"""Run folders with the section `[flossing]`."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.homeostasis import IntrinsicPlasticity
from spikelearn.network.cells import Surrogate
from spikelearn.runs import load_config, load_run, resolve_config, resume
from spikelearn.runs import train as train_run
from spikelearn.runs.build import build_trainer
from tests.runs.test_runs import assert_same_numbers, checkpoint, config

FLOSSED = (
    "flossing.pre_episodes=3",
    "flossing.every=10",
    "flossing.inter_episodes=2",
    "flossing.continuous=true",
    "flossing.rate=0.1",
    "flossing.smoothing=0.5",
    "flossing.intrinsic_target_hz=20.0",
)
RATES = ("cell=rate", "rate_strength=0.0")


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "options",
    [
        FLOSSED,
        (*FLOSSED[:-1], "flossing.term=spectrum", "flossing.k=3", *RATES),
        (*FLOSSED, "cell=LIF", "flossing.term=tangent-trace"),
        ("flossing.every=20", "flossing.inter_episodes=2"),  # no estimate when it stops
    ],
)
def test_a_flossed_run_resumes_bit_for_bit(options, tmp_path):
    whole = train_run(config(*options), tmp_path / "whole")

    def stop(metrics):
        if metrics.iteration == 17:
            raise Stop

    with pytest.raises(Stop):
        train_run(config(*options), tmp_path / "cut", progress=stop)
    assert_same_numbers(whole, resume(tmp_path / "cut"))
    again = resolve_config(load_config(whole.folder.config_path))
    assert again == whole.config
    state = checkpoint(whole)
    assert {"flossing/vectors", "flossing/exponents"} <= state.keys()
    others = [o for o in options if not o.startswith("flossing")]
    plain = checkpoint(train_run(config(*others), tmp_path / "plain"))
    assert not any(name.startswith("flossing") for name in plain)
    assert not np.array_equal(state["params/w_rec"], plain["params/w_rec"])
    assert load_run(whole.folder.path).iteration == 30


def test_without_the_section_nothing_changes():
    """A section that does nothing leaves the bits, and no section has no state."""
    plain = build_trainer(config())
    idle = build_trainer(config("flossing.pre_episodes=0"))
    busy = build_trainer(config("flossing.pre_episodes=1"))
    assert plain.flossing is None
    assert idle.flossing is not None
    for trainer in (plain, idle, busy):
        trainer.step()
    for name, array in plain.network.params.arrays().items():
        assert np.array_equal(array, idle.network.params.arrays()[name]), name
    other = busy.network.params.w_rec
    assert not np.array_equal(plain.network.params.w_rec, other)
    assert not any("flossing" in name for name in plain.state())
    assert "flossing" not in config().to_dict()


def test_every_key_arrives():
    options = (
        "flossing.term=spectrum",
        "flossing.k=2",
        "flossing.target=-0.01",
        "flossing.rate=0.2",
        "flossing.normalised=false",
        "flossing.dead_zone=0.005",
        "flossing.clip=0.05",
        "flossing.max_step=1.5",
        "flossing.smoothing=0.5",
        "flossing.jacobian_surrogate=arctan",
        "flossing.jacobian_width=0.5",
        "flossing.pre_episodes=5",
        "flossing.every=4",
        "flossing.inter_episodes=3",
        "flossing.times=2",
        "flossing.continuous=true",
        "flossing.intrinsic_target_hz=15.0",
        "flossing.intrinsic_strength=0.1",
        "network.gamma=0.4",
    )
    trainer = build_trainer(config(*options))
    expected = Flossing(
        term="spectrum",
        k=2,
        target=-0.01,
        rate=0.2,
        normalised=False,
        dead_zone=0.005,
        clip=0.05,
        max_step=1.5,
        smoothing=0.5,
        surrogate=Surrogate("arctan", 0.4, 0.5),
        pre_episodes=5,
        every=4,
        inter_episodes=3,
        times=2,
        continuous=True,
    )
    assert trainer.flossing == expected
    assert trainer.intrinsic == IntrinsicPlasticity(15.0, 0.1)


def test_configurations_that_cannot_be_flossed():
    with pytest.raises(UnknownName, match="unknown flossing term 'tangents'"):
        build_trainer(config("flossing.term=tangents"))
    with pytest.raises(UnknownName, match="surrogate"):
        build_trainer(config("flossing.jacobian_surrogate=box"))
    with pytest.raises(InvalidValue, match=r"flossing\.k"):
        config("flossing.k=0")
    target = "flossing.intrinsic_target_hz=20.0"
    with pytest.raises(InvalidValue, match="must be used with spiking cells"):
        build_trainer(config(target, *RATES))
    with pytest.raises(InvalidValue, match="must be 1 step to be linearised"):
        build_trainer(config("flossing.rate=0.1", "network.delay=2"))
