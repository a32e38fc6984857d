"""The export folder: whole or untouched, and of the weights that it says it is of."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hardware.description import NetworkDescription
from hardware.evaluation import evaluate_description
from hardware.quantization import PARAMETERS_DIGEST, output_scale, parameters_digest
from spikelearn.cli import _export, deployment
from spikelearn.cli._export import DESCRIPTION, FILES, QUANTIZATION, VERIFICATION
from spikelearn.cli.deployment import export_run, verify_file
from spikelearn.cli.reporting import make_report
from spikelearn.errors import FileAccessError, FileFormatError, HardwareError
from spikelearn.runs import load_run
from tests.hardware.networks import random_network
from tests.report.runs import Page, small_run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    run = small_run(tmp_path_factory.mktemp("runs") / "run", "digits-rows")
    export_run(run, vectors=2)
    return run.folder.path


@pytest.fixture
def run(original, tmp_path):
    shutil.copytree(original, tmp_path / "run")
    return load_run(tmp_path / "run")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def train_on(run):
    """Change the weights of a run on disk and in memory, as training goes on."""
    run.network.params.w_out[0, 0] += 0.5
    return run


def test_the_folder_is_replaced_as_a_whole(run):
    folder = run.folder.path / "export"
    (folder / VERIFICATION).write_text("{}")
    exported = export_run(run, vectors=1, bits=6)
    assert set(content(folder)) == FILES - {VERIFICATION}
    assert NetworkDescription.load(folder / DESCRIPTION) == exported.description
    written = json.loads((folder / QUANTIZATION).read_text())
    assert written["quantization"]["bits"] == 6
    assert written["network_sha256"] == exported.description.sha256()
    assert written == json.loads(json.dumps(exported.to_dict()))
    assert _export.read_scores(folder) == exported.scores()
    assert not list(run.folder.path.glob(".export*"))


def test_the_folder_runs_without_this_package(run):
    folder = run.folder.path / "export"
    vectors = NetworkDescription.load(folder / DESCRIPTION).vectors
    np.save(run.folder.path / "x.npy", vectors.x)
    command = [sys.executable, "-I", "run_network.py", "../x.npy", "../states.npz"]
    subprocess.run(command, check=True, cwd=folder, timeout=120, capture_output=True)
    with np.load(run.folder.path / "states.npz") as states:
        for name in ("u", "v", "b", "spikes", "y"):
            np.testing.assert_array_equal(states[name], getattr(vectors, name))
    assert vectors.spikes.any()


@pytest.mark.parametrize(
    "name", ["write_scores", "write_text", "write_script", "write_numpy_runner"]
)
def test_an_older_export_stays_whole_if_anything_fails(run, monkeypatch, name):
    folder = run.folder.path / "export"
    before = content(folder)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deployment, name, fail)
    with pytest.raises(FileAccessError, match="No space left"):
        export_run(run, vectors=1)
    assert content(folder) == before
    with pytest.raises(FileAccessError, match="No space left"):
        export_run(run, run.folder.path / "other", vectors=1)
    names = {path.name for path in run.folder.path.iterdir()}
    assert not [name for name in names if name.startswith(".export")]
    assert "other" not in names


def test_a_failing_rename_puts_the_older_export_back(run, monkeypatch):
    folder = run.folder.path / "export"
    before = content(folder)
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(_export.os, "rename", second_fails)
    with pytest.raises(FileAccessError, match="Input/output error"):
        export_run(run, vectors=1)
    assert len(calls) == 3
    assert content(folder) == before


def test_a_target_that_is_no_export_is_refused_and_left_alone(run, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("mine")
    named = tmp_path / "named"
    named.mkdir()
    (named / "network.json").write_text("mine")
    mixed = tmp_path / "mixed"
    shutil.copytree(run.folder.path / "export", mixed)
    (mixed / "notes.txt").write_text("mine")
    for target, message in (
        (file, "must be a folder"),
        (thesis, "older export; got 'chapter.tex' in it"),
        (named, r"got no network\.h5 beside 'network\.json'"),
        (mixed, "older export; got 'notes.txt' in it"),
    ):
        before = content(target) if target.is_dir() else target.read_text()
        with pytest.raises(FileAccessError, match=message):
            export_run(run, target, vectors=1)
        after = content(target) if target.is_dir() else target.read_text()
        assert after == before
    empty = tmp_path / "empty"
    empty.mkdir()
    export_run(run, empty, vectors=1)
    assert (empty / DESCRIPTION).is_file()


def test_a_link_to_an_export_stays_a_link(run, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(run.folder.path / "export")
    export_run(run, link, vectors=1, bits=5)
    assert link.is_symlink()
    exported = NetworkDescription.load(run.folder.path / "export" / DESCRIPTION)
    assert exported.w_in.bits == 5


def test_the_digest_of_the_parameters_sees_every_number(run):
    digest = parameters_digest(run.network)
    description = NetworkDescription.load(run.folder.path / "export" / DESCRIPTION)
    assert description.metadata[PARAMETERS_DIGEST] == digest
    assert len(digest) == 64
    for array in run.network.params.arrays().values():
        old = array.flat[-1]
        array.flat[-1] = np.nextafter(old, np.inf, dtype=array.dtype)
        assert parameters_digest(run.network) != digest
        array.flat[-1] = old
    assert parameters_digest(run.network) == digest


def test_a_description_keeps_its_digest_on_disk_and_changes_it_with_any_weight(run):
    path = run.folder.path / "export" / DESCRIPTION
    description = NetworkDescription.load(path)
    description.save(path)
    assert NetworkDescription.load(path).sha256() == description.sha256()
    vth = description.neurons.vth.copy()
    vth[3] += 1
    neurons = dataclasses.replace(description.neurons, vth=vth)
    other = dataclasses.replace(description, neurons=neurons)
    assert other.sha256() != description.sha256()


def test_the_report_shows_no_numbers_of_an_export_of_other_weights(run):
    fresh = Page(make_report(run, lava=False))
    scores = _export.read_scores(run.folder.path / "export")
    shown = {scores.quantization.peak_u, scores.quantization.readout_error}
    assert scores.quantization.peak_u in fresh.values()
    assert "export again" not in fresh.text
    page = Page(make_report(train_on(run), lava=False))
    assert "The export is of other weights than this run holds now: export again" in (
        page.text
    )
    assert "spikelearn export run" in page.text
    assert not shown & page.values()
    assert "8-bit emulator" not in page.text
    assert "not been turned into integers" not in page.text
    assert "machines" not in {a["id"] for a in page.all("figure")}
    export_run(run, vectors=1)
    page = Page(make_report(run, lava=False))
    assert "8-bit emulator" in page.text and "export again" not in page.text


def test_an_export_without_a_digest_counts_as_one_of_other_weights(run):
    path = run.folder.path / "export" / DESCRIPTION
    description = NetworkDescription.load(path)
    metadata = dict(description.metadata)
    del metadata[PARAMETERS_DIGEST]
    dataclasses.replace(description, metadata=metadata).save(path)
    assert "export again" in Page(make_report(run, lava=False)).text


def test_scores_of_another_network_are_not_shown(run):
    folder = run.folder.path / "export"
    scores = (folder / QUANTIZATION).read_bytes()
    export_run(run, vectors=1, bits=4, strict=False)
    (folder / QUANTIZATION).write_bytes(scores)
    page = Page(make_report(run, lava=False))
    assert "scores of the export are of another network.h5: export again" in page.text
    assert "emulator4" not in page.text


@pytest.mark.lava
def test_a_verification_of_another_network_is_not_shown(run):
    folder = run.folder.path / "export"
    verify_file(folder / DESCRIPTION, samples=1)
    page = Page(make_report(run, lava=False))
    assert "bit for bit equal" in page.text
    assert "neurons: hardware AdaptiveLIF run by Lava" in page.text
    verification = (folder / VERIFICATION).read_bytes()
    export_run(run, vectors=1, bits=7)
    assert not (folder / VERIFICATION).exists()
    (folder / VERIFICATION).write_bytes(verification)
    page = Page(make_report(run, lava=False))
    assert "bit for bit equal" not in page.text
    assert "verification is of another network.h5: verify again" in page.text
    assert "Emulator against Lavanot run" in page.text


CORRUPT = [
    (QUANTIZATION, "{}", "quantization: Field required"),
    (QUANTIZATION, "[]", "must hold what spikelearn export writes"),
    (QUANTIZATION, '{"quantization": {"bits": "x"}}', r"bits: Input should be a valid"),
    (QUANTIZATION, "{", "not valid JSON"),
    (VERIFICATION, "[]", "must hold what spikelearn verify writes"),
    (VERIFICATION, '{"samples": "x"}', "samples: Input should be a valid integer"),
    (VERIFICATION, "null", "must hold what spikelearn verify writes"),
]


@pytest.mark.parametrize(("name", "text", "message"), CORRUPT)
def test_a_corrupt_file_of_the_export_is_one_clear_error(run, name, text, message):
    (run.folder.path / "export" / name).write_text(text)
    with pytest.raises(FileFormatError, match=message):
        make_report(run, lava=False)


@pytest.mark.parametrize("value", [None, "large", True, -1.0])
def test_metadata_without_a_scale_are_one_clear_error(run, value):
    folder = run.folder.path / "export"
    description = NetworkDescription.load(folder / DESCRIPTION)
    metadata = dict(description.metadata) | {"output_scale": value or "none"}
    if value is None:
        del metadata["output_scale"]
    description = dataclasses.replace(description, metadata=metadata)
    description.save(folder / DESCRIPTION)
    scores = _export.read_scores(folder)
    digest = description.sha256()
    _export.write_scores(folder, dataclasses.replace(scores, network_sha256=digest))
    with pytest.raises(FileFormatError, match=r"network\.h5.*output_scale'\] must be"):
        make_report(run, lava=False)
    with pytest.raises(HardwareError, match=r"output_scale'\] must be a number > 0"):
        evaluate_description(description, run.task, run.loss, "test")


def test_a_description_made_by_hand_has_no_scale():
    with pytest.raises(HardwareError, match="got None"):
        output_scale(random_network(0))
