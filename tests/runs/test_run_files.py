"""Files of a run: locked, tied to their configuration, checked when they are read."""

import contextlib
import json
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    SpikelearnError,
)
from spikelearn.runs import RunFolder, evaluate, load_run, resume
from spikelearn.runs import train as train_run
from tests.damage import damaged
from tests.runs.test_runs import assert_same_numbers, config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train_run(config(), tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished.folder.path, tmp_path / "copy")
    return RunFolder.open(tmp_path / "copy")


def edit_config(folder, old, new):
    text = folder.config_path.read_text()
    assert old in text
    folder.config_path.write_text(text.replace(old, new))


def unfinish(folder):
    folder.result_path.unlink()
    return folder


class Stop(Exception):
    pass


def stop_at(iteration):
    def stop(metrics):
        if metrics.iteration == iteration:
            raise Stop

    return stop


def test_two_processes_started_together_do_not_share_a_folder(tmp_path):
    code = (
        "import sys, time\n"
        "from spikelearn.runs import RunFolder\n"
        "with RunFolder.create(sys.argv[1], {}):\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    out = tmp_path / "shared"
    command = [sys.executable, "-c", code, str(out)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as child:
        assert child.stdout.readline() == "locked\n"
        # a second `train` that looked before the first had written anything
        (out / "config.toml").unlink()
        with pytest.raises(FileAccessError, match="another process"):
            train_run(config(), out)
        assert not (out / "config.toml").exists()
    train_run(config("iterations=1"), out)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr = 0.005", "lr = 0.5"),
        ("n_rec = 16", "n_rec = 17"),
        ("shift = 0", "shift = 1"),
        ("batch_size = 64", "batch_size = 32"),
    ],
)
@pytest.mark.parametrize("prepare", [unfinish, lambda folder: folder])
def test_a_changed_configuration_is_not_resumed(copy, old, new, prepare):
    edit_config(prepare(copy), old, new)
    before = copy.checkpoint_path.read_bytes()
    with pytest.raises(InvalidValue, match=r"config\.toml must be as it was"):
        resume(copy.path)
    assert copy.checkpoint_path.read_bytes() == before


def test_a_finished_run_can_be_prolonged(tmp_path):
    constant = "schedule=constant"
    long = train_run(config(constant, "iterations=40"), tmp_path / "long")
    short = train_run(config(constant, "iterations=20"), tmp_path / "short")
    edit_config(short.folder, "iterations = 20", "iterations = 40")
    assert not load_run(short.folder.path).finished
    with pytest.raises(Stop):
        resume(short.folder.path, progress=stop_at(33))
    assert short.folder.result()["iterations"] == 20, "until the new one is written"
    prolonged = resume(short.folder.path)
    assert prolonged.finished
    assert_same_numbers(long, prolonged)


def test_a_falling_learning_rate_is_not_prolonged(copy):
    edit_config(copy, "iterations = 30", "iterations = 40")
    assert 'schedule = "cosine"' in copy.config_path.read_text()
    with pytest.raises(InvalidValue, match="constant"):
        resume(copy.path)


def test_metrics_without_a_checkpoint_are_dropped(finished, tmp_path):
    out = tmp_path / "early"
    with pytest.raises(Stop):
        train_run(config(), out, progress=stop_at(3))
    (out / "checkpoint.h5").unlink()
    assert_same_numbers(finished, resume(out))


def replaced(name, value):
    def edit(file):
        del file[name]
        file[name] = value

    return edit


def behind_a_link(file):
    file.move("best", "hidden")
    file["best"] = h5py.SoftLink("/hidden")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (replaced("best/w_rec", np.zeros((3, 3), np.float32)), "best/w_rec"),
        (replaced("best/w_rec", np.zeros((16, 16))), "float64"),
        (replaced("best/w_in", np.zeros((99, 99), np.float32)), "at most 128 values"),
        (replaced("best/bias", np.array([b"a"] * 16)), "must hold numbers"),
        (replaced("iteration", np.zeros(2, np.int64)), "iteration"),
        (replaced("iteration", -1), "counts and finite scores"),
        (replaced("best_iteration", 31), "counts and finite scores"),
        (replaced("seconds", float("nan")), "counts and finite scores"),
        (lambda file: file.pop("seconds"), "seconds"),
        (lambda file: file.pop("best_score"), "best_score"),
        (lambda file: file.pop("iteration"), "iteration"),
        (behind_a_link, "best"),
    ],
)
def test_a_wrong_checkpoint_is_refused_by_all_readers(copy, edit, message):
    with h5py.File(copy.checkpoint_path, "r+") as file:
        edit(file)
    for read in (load_run, evaluate, lambda path: resume(unfinish(copy).path)):
        with pytest.raises(FileFormatError, match=message):
            read(copy.path)


def test_a_checkpoint_without_the_optimizer_is_not_resumed(copy):
    with h5py.File(copy.checkpoint_path, "r+") as file:
        del file["optimizer/w_in/m"]
    assert load_run(copy.path).iteration == 30
    with pytest.raises(FileFormatError, match="w_in/m"):
        resume(unfinish(copy).path)


def test_damaged_checkpoints_give_only_our_errors(copy):
    refused = 0
    for content in damaged(copy.checkpoint_path.read_bytes(), 400):
        copy.checkpoint_path.write_bytes(content)
        with contextlib.suppress(SpikelearnError):
            load_run(copy.path)
            refused -= 1
        refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "iterations"),
        ("[]", "must hold a JSON object"),
        ("3", "must hold a JSON object"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_wrong_result_is_named(copy, content, message):
    copy.result_path.write_text(content)
    with pytest.raises(FileFormatError, match=rf"(?s)result\.json.*{message}"):
        resume(copy.path)


def test_values_of_a_result_are_checked(copy):
    result = json.loads(copy.result_path.read_text())
    for section, name, value in (
        ("test", "loss", "low"),
        ("test", "samples", 0),
        ("validation", "accuracy", []),
    ):
        changed = result | {section: result[section] | {name: value}}
        copy.result_path.write_text(json.dumps(changed))
        with pytest.raises(FileFormatError, match=rf"{section}\.{name}"):
            copy.result()
        del changed[section][name]
        copy.result_path.write_text(json.dumps(changed))
        with pytest.raises(FileFormatError, match=rf"{section}\.{name}"):
            copy.result()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"3", "must be an object"),
        (b"{}", "integer 'iteration'"),
        (b'{"iteration": "1"}', "integer 'iteration'"),
        (b'{"iteration": true}', "integer 'iteration'"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "is not JSON"),
    ],
)
def test_wrong_metrics_are_named(copy, line, message):
    copy.metrics_path.write_bytes(line + b"\n" + copy.metrics_path.read_bytes())
    for read in (copy.read_metrics, lambda: resume(unfinish(copy).path)):
        with pytest.raises(FileFormatError, match=rf"metrics\.jsonl.*{message}"):
            read()


def test_metrics_that_cannot_be_read_or_written(copy):
    copy.metrics_path.unlink()
    copy.metrics_path.mkdir()
    with pytest.raises(FileAccessError, match=r"metrics\.jsonl.*must be writable"):
        copy.append_metrics({"iteration": 1})
    with pytest.raises(FileAccessError, match=r"metrics\.jsonl.*must be readable"):
        copy.read_metrics()


@pytest.mark.parametrize(
    "overrides",
    [
        ("n_rec=100000",),
        ("batch_size=1000000000",),
        ("task.steps_per_row=100000000",),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_at_once(tmp_path, overrides):
    values = re.escape(overrides[0].rpartition(".")[2].replace("=", " = "))
    rule = "must fit into the memory of this machine"
    wanted = rule if "steps" in values else rf"{values}.*{rule}"
    with pytest.raises(InvalidValue, match=wanted):
        train_run(config(*overrides), tmp_path / "big")
    assert not (tmp_path / "big").exists()


@pytest.mark.parametrize("gain", ["gain", "gain_in", "gain_out"])
@pytest.mark.parametrize("value", ["1e300", "1e308", "1e39"])
def test_gains_must_give_finite_weights(tmp_path, gain, value):
    with pytest.raises(InvalidValue, match=rf"network\.{gain} must give .*float32"):
        train_run(config(f"{gain}={value}"), tmp_path / "infinite")
    assert not (tmp_path / "infinite").exists()
