"""A trained network that Lava computes with neurons of its own, not with ours."""

from __future__ import annotations

import json

import pytest

from hardware.description import LAVA_ADAPTIVE, LAVA_LIF, NetworkDescription
from hardware.verification import verify
from spikelearn.cli._export import VERIFICATION
from spikelearn.cli.deployment import (
    DESCRIPTION,
    export_run,
    print_verification,
    verify_file,
)
from spikelearn.runs import resolve_config, train

SMALL = ("n_rec=32", "iterations=60", "evaluate_samples=50")


def trained(folder, *overrides):
    config = resolve_config({}, ["task.name=digits-rows", *SMALL, *overrides])
    return train(config, folder)


@pytest.mark.lava
def test_a_trained_plain_lif_network_runs_in_neurons_of_lava(tmp_path, capsys):
    run = trained(tmp_path / "run", "reset=zero", "cell=LIF", "t_ref=0")
    exported = export_run(run, vectors=4)
    neurons = NetworkDescription.load(exported.folder / DESCRIPTION).neurons
    assert neurons.plain_lif and neurons.reset == "zero"
    report = verify_file(exported.folder / DESCRIPTION)
    assert report.neuron_process == LAVA_LIF == "lava.proc.lif.LIF"
    assert report.differing_values == 0
    assert report.samples == 4 and report.n_spikes > 50
    written = json.loads((exported.folder / VERIFICATION).read_text())
    assert written["neuron_process"] == LAVA_LIF
    print_verification(report)
    assert LAVA_LIF in " ".join(capsys.readouterr().out.split())


@pytest.mark.lava
@pytest.mark.parametrize("change", ["cell=ALIF", "cell=LIF"])
def test_other_networks_say_that_the_neurons_are_ours(tmp_path, capsys, change):
    run = trained(tmp_path / "run", change, "reset=subtract", "iterations=2")
    report = verify(export_run(run, vectors=1).description)
    assert report.neuron_process == LAVA_ADAPTIVE
    assert report.passed
    print_verification(report)
    out = " ".join(capsys.readouterr().out.split())
    assert "hardware AdaptiveLIF run by Lava" in out


def test_stored_vectors_name_no_process_of_lava(tmp_path):
    run = trained(tmp_path / "run", "iterations=2")
    report = verify(export_run(run, vectors=1).description, against="emulator")
    assert report.passed and report.neuron_process is None
