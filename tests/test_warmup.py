"""warm_up leaves no kernel of a training to be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spikelearn
from spikelearn.errors import InvalidValue

TRAIN = """
import numpy as np
import spikelearn as sl
from spikelearn.kernels import kernel_counts

{warm_up}
before = kernel_counts()
task = sl.make_task("delayed-xor")
rng = np.random.default_rng(0)
networks = [
    dict(cell=sl.LIF(tau_m=20.0, reset="zero", t_ref=2.0)),
    dict(cell=sl.ALIF(tau_m=np.linspace(10.0, 20.0, 9), tau_syn=5.0)),
    dict(cell=sl.LIF(), delay=rng.integers(1, 4, (9, 9)), layers=(4, 5)),
    dict(cell=sl.LeakyRate(), signs=np.ones(9, int)),
]
rules = [
    dict(rule=sl.EProp()),
    dict(rule=sl.BPTT()),
    dict(rule=sl.EProp(), update_every=5),
]
for spec in networks:
    for choice in rules:
        network = sl.RecurrentNetwork(task.n_in, 9, task.n_out, dt=task.dt, **spec)
        network.initialise(0)
        loss = sl.Classification() if task.kind == "classification" else sl.Regression()
        trainer = sl.Trainer(
            network,
            task,
            loss=loss,
            optimizer=sl.Adam(lr=1e-3),
            feedback=sl.Feedback("symmetric"),
            batch_size=2,
            **choice,
        )
        for _ in range(2):
            trainer.step()
after = kernel_counts()
print(sum(after.values()) - sum(before.values()))
"""


def new_kernels(warm_up):
    """How many kernels trainings loaded or compiled after a statement."""
    child = subprocess.run(
        [sys.executable, "-c", TRAIN.format(warm_up=warm_up)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert child.returncode == 0, child.stderr
    return int(child.stdout)


def test_after_it_trainings_compile_nothing():
    assert new_kernels("sl.warm_up()") == 0
    assert new_kernels("pass") > 3, "the count sees kernels"


def test_once_more_it_has_nothing_to_do():
    spikelearn.warm_up("float64")
    assert spikelearn.warm_up(["float64"]) == 0


@pytest.mark.parametrize("dtypes", ["float16", ("float32", "int8")])
def test_unknown_dtypes(dtypes):
    with pytest.raises(InvalidValue, match=r"^warm_up\.dtypes must be names from"):
        spikelearn.warm_up(dtypes)
