"""`check`, `cost` and chips of one's own on the command line."""

from __future__ import annotations

import dataclasses
import json
import shutil

import h5py
import pytest

from hardware.description import NetworkDescription
from hardware.quantization import PARAMETERS_DIGEST
from tests.cli.test_cli import answer, spikelearn

CONFIG = """
[task]
name = "pattern-generation"
[network]
n_rec = 20
cell = "LIF"
reset = "zero"
"""
OWN = """
title = "Small"
[neurons]
value = 10
source = "data sheet"
[weight_bits]
value = [4]
source = "data sheet"
"""
TINY = ("--task", "digits-rows", "n_rec=16", "iterations=3", "evaluate_samples=20")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(OWN)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chip") / "run"
    answer("train", *TINY, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chip") / "export"
    answer("export", run, "--out", folder, "--vectors", 5)
    return folder


def findings(*arguments):
    outcome = spikelearn("check", *arguments, "--json")
    assert outcome.returncode == 1, outcome.stderr
    return json.loads(outcome.stdout.splitlines()[-1])


def test_a_configuration_that_fits(config):
    result = answer("check", config, "--chip", "loihi1")
    assert result["fits"] is True and result["findings"] == []
    assert result["chip"] == "loihi1" and result["subject"] == str(config)
    assert "fan_in" in result["unchecked"] and result["cores"] == 1
    shown = spikelearn("check", config, "--chip", "loihi1", COLUMNS="300").stdout
    assert shown.startswith("fits: ") and "not checked, because not known" in shown


def test_findings_come_all_at_once_with_status_1(config, own):
    result = findings(config, "delay=70", "t_ref=80.0", "reset=subtract")
    assert result["fits"] is False
    found = {finding["place"]: finding for finding in result["findings"]}
    assert set(found) == {"network.delay", "cell.t_ref", "cell.reset"}
    for finding in result["findings"]:
        assert set(finding) == {"place", "limit", "value", "remedy"}
        assert all(finding.values())
    result = findings(config, "--chip", own)
    assert result["chip"] == "small"
    assert {f["place"] for f in result["findings"]} == {"neurons", "weights"}
    outcome = spikelearn("check", config, "--chip", own, "--bits", 4, COLUMNS="300")
    assert outcome.returncode == 1
    assert outcome.stdout.startswith("does not fit: ")
    assert "at most 10" in outcome.stdout and "at most 4 bits" not in outcome.stdout


def test_runs_and_descriptions_are_checked(run, exported):
    places = {f["place"] for f in findings(run, "--chip", "loihi1")["findings"]}
    assert places == {"input", "cell.reset", "cell.beta"}
    for path in (exported, exported / "network.h5"):
        found = findings(path, "--chip", "loihi1")["findings"]
        assert {f["place"] for f in found} == {
            "input",
            "neurons.reset",
            "neurons.beta",
        }
        assert answer("check", path, "--chip", "lava")["fits"] is True


def test_synapses_that_training_sets_to_0_do_not_count(config, tmp_path):
    few = tmp_path / "few.toml"
    few.write_text('[fan_in]\nvalue = 6\nsource = "data sheet"\n')
    places = [f["place"] for f in findings(config, "--chip", few)["findings"]]
    assert len(places) == 1 and places[0].startswith("fan-in of neuron")
    limited = ("hardware.fan_in=6",)
    assert answer("check", config, *limited, "--chip", few)["fits"] is True
    assert findings(config, "hardware.fan_in=7", "--chip", few)
    answer("train", *TINY, *limited, "--out", tmp_path / "run")
    assert answer("check", tmp_path / "run", "--chip", few)["fits"] is True


def test_cost_of_a_run_and_of_a_description(run, exported, tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "use.svg"
    result = answer("cost", run, "--samples", 10, "--figure", figure)
    assert result["samples"] == 10 and result["cores"] == 1 and result["bytes"] > 0
    assert result["operations"]["synaptic_operations"] > 0
    assert result["energy"]["joules"] > 0 and result["energy"]["assumptions"]
    assert result["neurobench"]["ParameterCount"] == 16 * (8 + 16 + 10) + 16 + 10
    assert "<svg" in figure.read_text()
    stored = answer("cost", exported, "--chip", "loihi1")
    assert stored["samples"] == 5
    assert answer("cost", exported, "--samples", 2)["samples"] == 2
    of_test_split = answer("cost", run, "--samples", 5)
    assert of_test_split["operations"] == stored["operations"]
    without = answer("cost", exported, "--chip", "loihi2")
    assert without["energy"] is None and without["energy_reason"]
    assert stored["fits"] is False
    text = spikelearn("cost", exported, COLUMNS="200").stdout
    for word in (
        "does not fit loihi1",
        "NeuroBench 2.3.0",
        "Davies 2018",
        "lower bound",
        "SANA-FE",
    ):
        assert word in text
    text = spikelearn("cost", exported, "--chip", "loihi2", COLUMNS="200").stdout
    assert "energy: none (loihi2: " in text


def test_cost_takes_the_export_of_a_run(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    answer("export", copy, "--bits", 4, "--vectors", 2)
    first = answer("cost", copy, "--samples", 5)["bytes"]
    assert first < answer("cost", run, "--samples", 5)["bytes"]
    assert first == answer("cost", run, "--samples", 5, "--bits", 4)["bytes"]


def test_cost_takes_no_export_of_other_bits_or_weights(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    wanted = {b: answer("cost", run, "--samples", 5, "--bits", b) for b in (3, 8)}
    answer("export", copy, "--bits", 4, "--vectors", 2)
    for bits, result in wanted.items():
        found = answer("cost", copy, "--samples", 5, "--bits", bits)
        assert found["bytes"] == result["bytes"]
    path = copy / "export" / "network.h5"
    exported = NetworkDescription.load(path)
    stale = exported.metadata | {PARAMETERS_DIGEST: "0" * 64}
    assert answer("cost", copy, "--samples", 5)["bytes"] < wanted[8]["bytes"]
    dataclasses.replace(exported, metadata=stale).save(path)
    assert answer("cost", copy, "--samples", 5)["bytes"] == wanted[8]["bytes"]


def test_bits_of_a_description_are_its_own(exported):
    for verb in ("check", "cost"):
        outcome = spikelearn(verb, exported / "network.h5", "--bits", 3, COLUMNS="300")
        assert outcome.returncode == 1
        assert "--bits must be left out" in outcome.stderr


def test_chips_takes_a_file(own):
    rows = {row["limit"]: row for row in answer("chips", own)["small"]}
    assert rows["neurons"] == {
        "limit": "neurons",
        "value": "10",
        "source": "data sheet",
    }
    assert rows["cores"]["value"] == "unknown"
    assert "small: Small" in spikelearn("chips", own).stdout


def test_mistakes_get_one_clear_error(config, own, exported, tmp_path):
    own.write_text("[core]\nvalue = 3\nsource = 'x'\n[neurons]\nvalue = 3\n")
    cut = tmp_path / "cut.h5"
    cut.write_bytes((exported / "network.h5").read_bytes()[:4000])
    bare = tmp_path / "bare.h5"
    shutil.copy(exported / "network.h5", bare)
    with h5py.File(bare, "a") as file:
        for name in list(file):
            if "vector" in name:
                del file[name]
    cases = [
        (("check", config, "--chip", "loihi3"), "unknown chip 'loihi3'"),
        (("check", config, "--chip", own), "Did you mean 'cores'"),
        (("chips", own), "number without a source is not accepted"),
        (("check", config, "--chip", tmp_path / "no.toml"), "must be readable"),
        (("check", tmp_path / "no.toml"), "must be readable"),
        (("check", tmp_path / "no"), "no network in it"),
        (("check", exported, "delay=3"), "overrides must follow a configuration"),
        (("check", config, "delya=3"), "Did you mean 'delay'"),
        (("check", cut), "corrupt"),
        (("cost", cut), "corrupt"),
        (("cost", bare), "must hold test vectors"),
        (("cost", exported, "--samples", 6), "must be at most 5"),
        (("cost", exported, "--figure", "a.pdf"), "must end in .svg or .png"),
    ]
    for arguments, message in cases:
        outcome = spikelearn(*arguments)
        assert outcome.returncode == 1, arguments
        assert outcome.stderr.startswith("error: "), (arguments, outcome.stdout)
        assert message in outcome.stderr, (arguments, outcome.stderr)
        assert "Traceback" not in outcome.stderr
