"""Weights that a run keeps on the way: when, which, bit for bit; what is refused."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pytest

from hardware.training import from_config
from spikelearn.errors import FileFormatError
from spikelearn.network import Params
from spikelearn.runs import load_run, resolve_config, resume, snapshots, train
from spikelearn.runs.run import new_trainer

TINY = (
    *("task.name=digits-rows", "n_rec=16", "iterations=12", "batch_size=8"),
    *("evaluate_every=6", "checkpoint_every=5", "evaluate_samples=20"),
)
KEPT = [0, 1, 2, 4, 8, 12]


def config(*overrides):
    return resolve_config({}, (*TINY, *overrides))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(config(), tmp_path_factory.mktemp("runs") / "whole")


def contents(run):
    files = run.folder.path.glob("snapshots/*")
    return {path.name: path.read_bytes() for path in files}


def test_which_iterations_are_due():
    assert [k for k in range(40) if snapshots.due(k, 37)] == [
        *(0, 1, 2, 4, 8, 16, 32, 37)
    ]
    assert [k for k in range(3) if snapshots.due(k, 1)] == [0, 1, 2]


def test_they_are_the_weights_of_their_iterations(finished):
    found = dict(finished.snapshots())
    assert list(found) == KEPT == snapshots.taken(finished.folder)
    trainer = new_trainer(config())
    for iteration in range(13):
        if iteration in found:
            for name, array in trainer.network.params.arrays().items():
                kept = found[iteration].params.arrays()[name]
                np.testing.assert_array_equal(kept, array, err_msg=name)
        if iteration < 12:
            trainer.step()
    assert not np.array_equal(found[8].params.w_rec, found[12].params.w_rec)
    assert found[8].params.w_rec.base is not found[12].params.w_rec.base


def test_a_run_that_was_stopped_writes_later_ones_again(finished, tmp_path):
    class Stop(Exception):
        pass

    def stop(metrics):
        if metrics.iteration == 9:
            raise Stop

    out = tmp_path / "cut"
    with pytest.raises(Stop):
        train(config(), out, progress=stop)
    assert snapshots.taken(load_run(out).folder) == KEPT[:-1]
    late = out / "snapshots" / "000008.h5"
    assert late.read_bytes() == contents(finished)[late.name]
    late.write_bytes(b"of an iteration after the checkpoint")
    assert contents(resume(out)) == contents(finished)


def test_they_change_no_numbers_and_may_be_left_out(finished, tmp_path):
    run = train(config("snapshots=false"), tmp_path / "none")
    assert not (run.folder.path / "snapshots").exists()
    assert list(run.snapshots()) == []
    assert np.array_equal(run.config.digest(), finished.config.digest())
    assert run.folder.result()["test"] == finished.folder.result()["test"]
    text = run.folder.config_path.read_text()
    run.folder.config_path.write_text(text.replace("snapshots = false", ""))
    assert resume(run.folder.path).config == finished.config


def test_too_large_ones_are_left_out_with_one_message(tmp_path, monkeypatch, caplog):
    size = sum(array.nbytes for array in Params(8, 16, 10, "float32").arrays().values())
    monkeypatch.setattr(snapshots, "MOST_BYTES", len(KEPT) * size)
    options = config()
    with caplog.at_level(logging.INFO, logger="spikelearn"):
        assert snapshots.keeps(options, Params(8, 16, 10, "float32").arrays())
        assert not caplog.messages
        monkeypatch.setattr(snapshots, "MOST_BYTES", len(KEPT) * size - 1)
        run = train(options, tmp_path / "large")
    assert not (run.folder.path / "snapshots").exists()
    (message,) = [text for text in caplog.messages if "snapshots" in text]
    assert message.startswith("no snapshots: 6 of them would take")


def test_quantised_runs_keep_the_weights_that_ran(tmp_path):
    options = config("hardware.weight_bits=4", "iterations=3", "n_rec=8")
    run = train(options, tmp_path / "integers", hardware=from_config)
    trainer = new_trainer(options, hardware=from_config)
    for iteration, network in run.snapshots():
        while trainer.iteration < iteration:
            trainer.step()
        expected = trainer.running().params.w_rec
        np.testing.assert_array_equal(network.params.w_rec, expected)
        assert not np.array_equal(trainer.network.params.w_rec, expected)


@pytest.mark.parametrize("damage", ["cut", "missing", "shape", "type", "newer", "kind"])
def test_damaged_files_are_named(finished, tmp_path, damage):
    run = train(config("iterations=1"), tmp_path / "run")
    path = run.folder.path / "snapshots" / "000001.h5"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        with h5py.File(path, "a") as file:
            shape, dtype = file["w_rec"].shape, file["w_rec"].dtype
            if damage in ("missing", "shape", "type"):
                del file["w_rec"]
            if damage == "shape":
                file["w_rec"] = np.zeros((shape[0], shape[1] + 1), dtype)
            if damage == "type":
                file["w_rec"] = np.zeros(shape, np.int32)
            if damage == "newer":
                file.attrs["format_version"] = 99
            if damage == "kind":
                file.attrs["kind"] = "spikelearn checkpoint"
    found = run.snapshots()
    assert next(found)[0] == 0
    with pytest.raises(FileFormatError, match=r"000001\.h5"):
        next(found)
