"""`spikelearn precision`: scores by number of bits, and runs that can be continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hardware.evaluation import evaluate_description
from hardware.trained import evaluate_run, quantise_run
from spikelearn.runs import load_run

TINY = ("--task", "digits-rows", "n_rec=16", "iterations=40", "evaluate_samples=50")


def spikelearn(*arguments):
    command = [sys.executable, "-m", "spikelearn", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision") / "run"
    assert spikelearn("train", *TINY, "--out", folder).returncode == 0
    return folder


def test_scores_are_those_of_the_library_and_runs_are_kept(run):
    arguments = ("precision", run, "--bits", 3, "--bits", 8, "--json")
    outcome = spikelearn(*arguments)
    assert outcome.returncode == 0, outcome.stderr
    answer = json.loads(outcome.stdout.splitlines()[-1])
    assert answer == json.loads((run / "precision" / "precision.json").read_text())
    loaded = load_run(run)
    assert answer["float"]["loss"] == evaluate_run(loaded, "test").loss
    coarse, fine = answer["bits"]
    assert (coarse["bits"], fine["bits"]) == (3, 8)
    assert coarse["weight_error"] > 5 * fine["weight_error"]
    description, _ = quantise_run(loaded, bits=3, strict=False)
    expected = evaluate_description(description, loaded.task, loaded.loss, "test")
    assert coarse["after"]["loss"] == expected.loss
    trained = load_run(run / "precision" / "bits-3")
    assert trained.config.hardware.weight_bits == 3
    assert coarse["aware"]["loss"] == evaluate_run(trained, "test").loss
    assert coarse["aware"]["loss"] == trained.folder.result()["test"]["loss"]
    before = trained.folder.checkpoint_path.read_bytes()
    again = spikelearn(*arguments)
    assert json.loads(again.stdout.splitlines()[-1]) == answer
    assert trained.folder.checkpoint_path.read_bytes() == before


def test_without_training_there_is_a_table(run, tmp_path):
    outcome = spikelearn(
        "precision", run, "--bits", 4, "--no-aware", "--out", tmp_path / "only"
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "Test accuracy" in outcome.stdout
    assert [p.name for p in (tmp_path / "only").iterdir()] == ["precision.json"]


def test_a_file_for_a_folder_is_refused_before_the_work(run, tmp_path):
    (tmp_path / "file").touch()
    arguments = ("--bits", 4, "--no-aware", "--out", tmp_path / "file")
    outcome = spikelearn("precision", run, *arguments)
    assert outcome.returncode == 1 and "Traceback" not in outcome.stderr
    assert "must be writable" in outcome.stderr


def test_a_run_of_integers_and_another_folder_are_refused(run, tmp_path):
    outcome = spikelearn(
        "train", *TINY, "hardware.weight_bits=5", "--out", tmp_path / "five"
    )
    assert outcome.returncode == 0, outcome.stderr
    outcome = spikelearn("precision", tmp_path / "five")
    assert outcome.returncode == 1
    assert "must be trained in floating point" in outcome.stderr
    other = tmp_path / "bits-5"
    (tmp_path / "five").rename(other)
    assert (
        spikelearn("train", *TINY, "--seed", 1, "--out", tmp_path / "r").returncode == 0
    )
    outcome = spikelearn("precision", tmp_path / "r", "--bits", 5, "--out", tmp_path)
    assert outcome.returncode == 1
    assert "must have the configuration of the run" in outcome.stderr


def test_runs_from_older_weights_are_refused(run, tmp_path):
    arguments = ("precision", run, "--bits", 6, "--iterations", 2, "--out", tmp_path)
    assert spikelearn(*arguments).returncode == 0
    (run / "checkpoint.h5").touch()
    outcome = spikelearn(*arguments)
    assert outcome.returncode == 1
    assert "must be younger than the run they start from" in outcome.stderr
