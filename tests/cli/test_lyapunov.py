"""`spikelearn lyapunov`: numbers for programs, figures, and clear refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import spikelearn as sl
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.cli import app
from spikelearn.cli.stability import task_input
from spikelearn.errors import InvalidValue
from spikelearn.runs.build import build_network

RATE = ("--task", "dms", "n_rec=20", "gain=0.8", "tau_m=300")


def lyapunov(*arguments):
    result = CliRunner().invoke(app, ["lyapunov", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    return json.loads(lyapunov(*arguments, "--json").stdout.splitlines()[-1])


def test_json_has_the_exponents_of_the_library():
    found = answer(*RATE, "-k", 3, "--steps", 200, "--samples", 2)
    assert found["kind"] == "jacobian"
    assert len(found["exponents"]) == len(found["error"]) == 3
    config = sl.resolve_config(
        {"task": {"name": "dms"}}, ["n_rec=20", "gain=0.8", "tau_m=300"]
    )
    task = sl.make_task("dms")
    network = in_float64(build_network(config, task))
    expected = sl.lyapunov_spectrum(network, task_input(task, 200, 2), 3)
    np.testing.assert_allclose(found["exponents"], expected.exponents, rtol=1e-12)
    np.testing.assert_allclose(found["error"], expected.error, rtol=1e-9)
    twin = found["kinds"]["twin"]
    assert abs(twin["exponents"][0] - found["exponents"][0]) < 0.05


def test_spiking_networks_have_kinds_side_by_side():
    small = ("--task", "evidence-accumulation", "n_rec=20", "--steps", 100)
    found = answer(*small, "-k", 2, "--samples", 1)
    assert found["kind"] == "surrogate-voltage"
    assert {"surrogate", "surrogate-reset", "twin", "twin-large"} < set(found["kinds"])
    assert "tau_syn" in found["not_defined"]["events"]
    assert all(row["meaning"] for row in found["kinds"].values())


def test_trials_follow_each_other():
    task = sl.make_task("dms")
    x = task_input(task, 20, 3)
    (batch,) = task.evaluation("validation", 9, 9)
    assert x.shape == (20, 3, task.n_in)
    np.testing.assert_array_equal(x[:8, 1], batch.x[:, 3])
    np.testing.assert_array_equal(x[16:, 2], batch.x[:4, 8])


def test_a_run_folder_and_figures(tmp_path):
    pytest.importorskip("matplotlib")
    run = CliRunner().invoke(
        app, ["train", *RATE, "iterations=2", "--out", str(tmp_path / "run")]
    )
    assert run.exit_code == 0, run.output
    out = tmp_path / "figures"
    text = lyapunov(tmp_path / "run", "-k", 2, "--steps", 60, "--out", out).stdout
    assert "jacobian" in text and "written" in text
    numbers = json.loads((out / "lyapunov.json").read_text())
    assert numbers["kind"] == "jacobian"
    assert (out / "lyapunov.svg").read_text().count("<path") > 5
    with pytest.raises(InvalidValue, match="must be given nothing else"):
        lyapunov(tmp_path / "run", "n_rec=3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-k", 21), "k must be 1 to 20, the dimension of the state; got 21"),
        (("--steps", 20), "must have 20 steps after the transient"),
        (("--tolerance", 1e-9), "must have a standard error <= 1e-09"),
        (("--surrogate", "triangular:wide"), "must be NAME or NAME:WIDTH"),
        (("gain=1000", "tau_m=0"), "must be finite"),
        (("delay=2",), "must be 1 step to be linearised"),
    ],
)
def test_refusals(arguments, message):
    with np.errstate(all="ignore"), pytest.raises(InvalidValue, match=message):
        lyapunov(*RATE, *arguments)
