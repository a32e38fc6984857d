"""`spikelearn curvature`: numbers for programs, figures, and clear refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import spikelearn as sl
from hardware.training import from_config
from spikelearn.analysis.curvature import KINDS
from spikelearn.analysis.generalisation import held_out_batch
from spikelearn.cli import app
from spikelearn.errors import InvalidValue, SpikelearnError, UnknownName
from spikelearn.learning.rules import EProp

RATE = {
    "task": {"name": "dms", "dt": 100.0},
    "network": {"n_rec": 8, "activation": "tanh"},
    "learning": {"rule": "e-prop"},
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.01},
    "training": {"iterations": 5, "batch_size": 8, "evaluate_samples": 20},
}
SPIKING = {
    "task": {"name": "digits-rows"},
    "network": {"n_rec": 8},
    "learning": {"feedback": "random"},
    "training": {"iterations": 2, "batch_size": 8, "evaluate_samples": 20},
}
REWARD = {
    "task": {"name": "cue-bandit"},
    "network": {"n_rec": 4},
    "training": {"iterations": 1, "batch_size": 2, "evaluate_samples": 4},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Train one small run each."""
    root = tmp_path_factory.mktemp("runs")
    for name, values in (("rate", RATE), ("spiking", SPIKING), ("reward", REWARD)):
        sl.train(sl.resolve_config(values), root / name)
    return root


def curvature(*arguments):
    result = CliRunner().invoke(app, ["curvature", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    lines = curvature(*arguments, "--json").stdout.splitlines()
    assert len(lines) == 1
    return json.loads(lines[-1], parse_constant=pytest.fail)


def test_json_has_the_numbers_of_the_library(folders):
    found = answer(folders / "rate", "--samples", 16, "--draws", 2, "--bits", "2,4")
    assert [point["iteration"] for point in found["points"]] == [0, 1, 2, 4, 5]
    assert set(found["kinds"]) == {
        "hessian",
        "weight-noise",
        "rounding-noise",
        "rounding",
    }
    assert set(found["not_defined"]) == {"surrogate-field", "smoothed"}
    run = sl.load_run(folders / "rate")
    batch = held_out_batch(run.task, "validation", 16, run.config.training.seed)
    for iteration, network in run.snapshots():
        (point,) = (p for p in found["points"] if p["iteration"] == iteration)
        largest, smallest = sl.extreme_eigenvalues(network, batch, run.loss, l2=0.01)
        both = point["eigenvalues"]["hessian"]
        assert both["largest"]["value"] == pytest.approx(largest.value, rel=1e-3)
        assert both["smallest"]["value"] == pytest.approx(smallest.value, rel=1e-3)
        rule = sl.rule_component(network, batch, run.loss, EProp())
        assert point["rules"]["e-prop"]["rho"] == pytest.approx(rule.rho)
        assert point["bound"] == pytest.approx(2 * 1.5 / 0.1)
        bound = point["rules"]["e-prop"]["bound_of_rule"]
        assert bound == pytest.approx(30 / rule.rho)
    assert [row["bits"] for row in found["bits"]] == [2, 4]
    assert found["surrogate_field"] is None
    assert set(found["slices"]) == {
        "leading eigenvector (hessian)",
        "gradient",
        "random",
    }
    best = next(p for p in found["points"] if p["iteration"] == found["best_iteration"])
    for one in found["slices"].values():
        assert one["losses"][20] == pytest.approx(best["loss"], rel=1e-6)
    gaps = found["generalisation"]
    assert gaps["gap"] == gaps["held_out"]["loss"] - gaps["train"]["loss"]
    assert (found["split"], found["samples"]) == ("validation", 16)
    assert found["l2"] == 0.01
    steps = max(run.best_iteration, 1)
    assert gaps["train"]["samples"] == 8 * min(steps, 2), "batches of the run, seen"


def test_spiking_runs_have_labelled_kinds(folders):
    options = ("--samples", 12, "--draws", 2, "--bits", "3", "--split", "train")
    found = answer(folders / "spiking", *options, "--rule", "e-prop,bptt")
    assert set(found["kinds"]) == set(KINDS) - {"hessian"}
    assert "no second derivative" in found["not_defined"]["hessian"]
    assert all(len(meaning) > 20 for meaning in found["kinds"].values())
    assert found["surrogate_field"]["step"] == 0.01
    assert found["surrogate_field"]["asymmetry"] > 0
    first = found["points"][0]
    assert set(first["eigenvalues"]) == {"surrogate-field", "smoothed"}
    assert first["bound"] is None, "Adam has no such number"
    assert found["feedback"] == "random"
    assert set(first["rules"]) == {"e-prop", "bptt"}
    assert first["rules"]["bptt"]["rho"] != pytest.approx(1.0), "its own feedback"


def test_figures_tables_and_chosen_kinds(folders, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "figures"
    options = ("--samples", 8, "--draws", 2, "--kinds", "hessian", "--out")
    text = curvature(folders / "rate", *options, out).stdout
    assert "Curvature over w_rec: hessian" in text and "Generalisation" in text
    numbers = json.loads((out / "curvature.json").read_text())
    assert numbers["bits"] == [] and numbers["points"][0]["noise"] is None
    svg = (out / "curvature.svg").read_text()
    assert svg.count("<path") > 10
    assert "bound / rho, e-prop" in svg


def test_runs_without_kept_weights_begin_at_the_start(tmp_path):
    values = {**RATE, "training": {**RATE["training"], "snapshots": False}}
    config = sl.resolve_config(values)
    run = sl.train(config, tmp_path / "run")
    options = ("--samples", 8, "--draws", 2, "--kinds", "hessian")
    found = answer(tmp_path / "run", *options)
    iterations = [point["iteration"] for point in found["points"]]
    assert iterations == sorted({0, run.best_iteration})
    kept = sl.train(sl.resolve_config(RATE), tmp_path / "kept")
    assert kept.best_iteration == run.best_iteration
    other = answer(tmp_path / "kept", *options)
    assert found["points"][0] == other["points"][0]
    np.testing.assert_array_equal(run.network.params.w_rec, kept.network.params.w_rec)


def test_a_quantised_run_begins_with_the_weights_that_ran(tmp_path):
    found = []
    for name, keeps in (("kept", True), ("bare", False)):
        training = {**SPIKING["training"], "iterations": 20, "snapshots": keeps}
        values = {**SPIKING, "training": training, "hardware": {"weight_bits": 3}}
        values["optimizer"] = {"lr": 0.02}
        config = sl.resolve_config(values)
        run = sl.train(config, tmp_path / name, hardware=from_config)
        assert run.best_iteration > 0
        options = ("--samples", 8, "--draws", 2, "--kinds", "weight-noise")
        found.append(answer(tmp_path / name, *options)["points"][0])
    assert found[0]["iteration"] == 0
    assert found[0] == found[1]


def test_tables_of_spiking_cells_fit_80_columns(folders):
    options = ("--samples", 8, "--draws", 2, "--bits", "3", "--rule", "e-prop,bptt")
    lines = curvature(folders / "spiking", *options).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split("\u2503")[1].strip() for line in lines if "\u2503" in line]
    assert first.count("iteration") == 5, "loss, two kinds, two rules"
    assert "growth under noise (s.e.)" in "\n".join(lines)
    rows = [line for line in lines if "(best)" in line]
    assert len(rows) == 5, "no row is folded"


@pytest.mark.parametrize(
    ("run", "arguments", "error", "message"),
    [
        ("reward", (), InvalidValue, "must have a task with targets; got reward task"),
        ("rate", ("--kinds", "hesian"), UnknownName, "Did you mean 'hessian'"),
        ("rate", ("--kinds", "smoothed"), InvalidValue, "got rate units: they have"),
        ("spiking", ("--kinds", "hessian"), InvalidValue, "no second derivative"),
        ("rate", ("--samples", 1), InvalidValue, "--samples must be >= 2; got 1"),
        ("spiking", ("--samples", 9999), InvalidValue, "must be 9999, as asked for"),
        ("rate", ("--split", "test"), UnknownName, "unknown split of curvature 'test'"),
        ("rate", ("--bits", "many"), InvalidValue, "--bits must be like 2..8"),
        ("rate", ("--bits", "0..3"), InvalidValue, "--bits must be like 2..8"),
        ("rate", ("--bits", "5..3"), InvalidValue, "--bits must be like 2..8"),
        ("rate", ("--rule", "mdlg"), UnknownName, "Did you mean 'mdgl'"),
        ("rate", ("--rule", "r-stdp"), InvalidValue, "must be used with cells"),
        ("spiking", ("--rule", "r-stdp"), InvalidValue, "must have a reward"),
        ("rate", ("--sigma", -1), InvalidValue, "--sigma must be >= 0"),
        ("rate", ("--shift", "inf"), InvalidValue, "--shift must be >= 0"),
        ("rate", ("--out", "figure.pdf"), InvalidValue, "must end in .svg or .png"),
    ],
)
def test_refused(folders, run, arguments, error, message):
    with pytest.raises(error, match=message):
        curvature(folders / run, *arguments)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(SpikelearnError, match=r"must hold a config\.toml"):
        curvature(tmp_path)


def test_too_much_memory(folders, monkeypatch):
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "100kB")
    with pytest.raises(InvalidValue, match="must fit into the memory limit"):
        curvature(folders / "rate", "--samples", 256)
