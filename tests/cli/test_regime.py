"""`spikelearn regime`: numbers of the library, figures, runs without snapshots."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

import spikelearn as sl
from spikelearn.analysis.regime import learning_steps
from spikelearn.cli import app
from spikelearn.errors import InvalidValue, UnknownName

RATE = (
    *("task.name=dms", "cell=rate", "n_rec=10", "tau_m=0.0", "tau_out=0.0"),
    *("iterations=3", "batch_size=4", "evaluate_every=3", "evaluate_samples=8"),
)


def regime(*arguments):
    result = CliRunner().invoke(app, ["regime", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    return json.loads(regime(*arguments, "--json").stdout.splitlines()[-1])


def run_of(folder, *overrides):
    return sl.train(sl.resolve_config({}, (*RATE, *overrides)), folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("runs") / "rate")


def test_json_has_the_numbers_of_the_library(run):
    found = answer(run.folder.path, "--trials", 12)
    assert (found["rule"], found["cell"], found["trials"]) == ("e-prop", "rate", 12)
    assert (found["start"], found["later"]) == ("kept", "snapshots")
    (batch,) = run.task.evaluation("validation", 12, 12)
    networks = dict(run.snapshots())
    assert [row["iteration"] for row in found["snapshots"]] == [1, 2, 3]
    assert found["steps"] == list(learning_steps(batch))
    for row in found["snapshots"]:
        after = networks[row.pop("iteration")]
        expected = sl.regime(networks[0], after, batch).to_dict()
        assert row == {name: expected[name] for name in row}
        assert row["weight_change"] > 0 and row["kernel_alignment"]["bptt"] < 1


def test_steps_and_rules(run):
    path = run.folder.path
    found = answer(path, "--steps", "last", "--rule", "rflo", "--trials", 5)
    assert len(found["steps"]) == 1
    assert found["snapshots"][0]["kernel_alignment"].keys() == {"bptt", "rflo", "mixed"}
    n_steps = run.task.n_steps
    everything = answer(path, "--steps", "all", "--rule", "bptt", "--trials", 5)
    assert everything["steps"] == list(range(n_steps))
    assert everything["snapshots"][0]["kernel_alignment"].keys() == {"bptt"}


def test_runs_without_snapshots_compare_their_best_weights(run, tmp_path):
    shutil.copytree(run.folder.path, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "snapshots")
    found = answer(tmp_path / "bare", "--trials", 6)
    assert (found["start"], found["later"]) == ("drawn anew", "best weights")
    (row,) = found["snapshots"]
    assert row["iteration"] == run.best_iteration
    start = dict(run.snapshots())[0]
    (batch,) = run.task.evaluation("validation", 6, 6)
    expected = sl.regime(start, run.network, batch)
    assert row["weight_change"] == expected.weight_change
    assert row["kernel_alignment"] == expected.kernel_alignment


def test_spiking_and_quantised_runs(tmp_path):
    options = ("cell=ALIF", "tau_m=300.0", "tau_out=300.0", "gain_in=3.0")
    kind = run_of(
        tmp_path / "spikes", *options, "learning.rule=decolle", "feedback=local"
    )
    found = answer(kind.folder.path, "--trials", 6)
    assert (found["cell"], found["rule"]) == ("ALIF", "e-prop")
    assert found["snapshots"][-1]["weight_change"] > 0


def test_tables_figures_and_a_folder(run, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "figures"
    text = regime(run.folder.path, "--trials", 6, "--out", out).stdout
    assert "K e-prop" in text and "representations" in text and "written" in text
    numbers = json.loads((out / "regime.json").read_text())
    assert len(numbers["snapshots"]) == 3
    svg = (out / "regime.svg").read_text()
    assert "kernel, e-prop" in svg and svg.count("<path") > 20


def test_refusals(run, tmp_path, monkeypatch):
    path = run.folder.path
    with pytest.raises(InvalidValue, match="must be one of bptt, e-prop"):
        regime(path, "--rule", "decolle")
    with pytest.raises(UnknownName, match="Did you mean 'decision'"):
        regime(path, "--steps", "decisions")
    with pytest.raises(UnknownName, match="Did you mean 'e-prop'"):
        regime(path, "--rule", "eprop")
    with pytest.raises(InvalidValue, match=r"must end in \.svg or \.png"):
        regime(path, "--out", "figure.pdf")
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "257 MiB")
    with pytest.raises(InvalidValue, match=r"trials at a time fit\..*--steps last"):
        regime(path, "--trials", 400)
    monkeypatch.delenv("SPIKELEARN_MEMORY_LIMIT")
    options = ("task.name=cue-bandit", "iterations=1", "n_rec=5")
    reward = sl.train(sl.resolve_config({}, options), tmp_path / "reward")
    with pytest.raises(InvalidValue, match="got a reward task"):
        regime(reward.folder.path)
