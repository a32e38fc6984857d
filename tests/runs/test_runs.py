"""Run folders: training, resuming bit for bit, evaluating, and what goes wrong."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    UnknownName,
)
from spikelearn.runs import evaluate, load_config, load_run, resolve_config, resume
from spikelearn.runs import train as train_run
from spikelearn.runs.build import build_trainer

TINY = (
    "task.name=digits-rows",
    "n_rec=16",
    "iterations=30",
    "evaluate_every=10",
    "checkpoint_every=7",
    "evaluate_samples=50",
)


def config(*overrides):
    return resolve_config({}, (*TINY, *overrides))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train_run(config(), tmp_path_factory.mktemp("runs") / "whole")


def without_times(folder):
    records = [dict(record) for record in folder.read_metrics()]
    for record in records:
        record.pop("seconds", None)
    return records


def checkpoint(run):
    state = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            state[name] = item[()]

    with h5py.File(run.folder.checkpoint_path) as file:
        file.visititems(collect)
    return state


def assert_same_numbers(run, other):
    mine, theirs = checkpoint(run), checkpoint(other)
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"seconds"}:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert without_times(run.folder) == without_times(other.folder)
    for split in ("validation", "test"):
        assert run.folder.result()[split] == other.folder.result()[split]


def test_a_run_leaves_its_files_and_no_others(finished):
    names = {path.name for path in finished.folder.path.iterdir()}
    wanted = {"config.toml", "environment.json", "metrics.jsonl", ".lock"}
    assert names == wanted | {"checkpoint.h5", "result.json", "snapshots"}


def test_training_learns_and_counts_every_iteration(finished):
    records = finished.folder.read_metrics()
    train = [r for r in records if r["split"] == "train"]
    assert [r["iteration"] for r in train] == list(range(1, 31))
    validation = [r for r in records if r["split"] == "validation"]
    assert [r["iteration"] for r in validation] == [0, 10, 20, 30]
    assert validation[-1]["loss"] < 0.7 * validation[0]["loss"]
    assert finished.finished


def test_the_written_configuration_gives_the_same_run(finished, tmp_path):
    again = resolve_config(load_config(finished.folder.config_path))
    assert again == finished.config
    assert_same_numbers(finished, train_run(again, tmp_path / "again"))


def test_another_seed_gives_other_numbers(finished, tmp_path):
    other = train_run(config("training.seed=1"), tmp_path / "other")
    mine, theirs = finished.network.params, other.network.params
    assert not np.array_equal(mine.w_rec, theirs.w_rec)


def test_threads_do_not_change_the_bits(finished, tmp_path):
    assert_same_numbers(finished, train_run(config(), tmp_path / "two", threads=2))


@pytest.mark.parametrize("form", ["adam", "sgd"])
def test_stopped_and_resumed_is_the_same_as_uninterrupted(form, tmp_path):
    options = (f"optimizer.name={form}", "momentum=0.9", "feedback=adaptive")
    whole = train_run(config(*options), tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(metrics):
        if metrics.iteration == 17:
            raise Stop

    with pytest.raises(Stop):
        train_run(config(*options), tmp_path / "cut", progress=stop)
    seen = []
    resumed = resume(
        tmp_path / "cut", progress=lambda metrics: seen.append(metrics.iteration)
    )
    assert seen[0] == 15, "the newest checkpoint is that of iteration 14"
    assert_same_numbers(whole, resumed)


def test_a_killed_process_resumes_bit_for_bit(finished, tmp_path):
    out = tmp_path / "killed"
    code = (
        "import sys, time\n"
        "from spikelearn.runs import resolve_config, train\n"
        "slow = lambda m: (print(m.iteration, flush=True), time.sleep(0.05))\n"
        "train(resolve_config({}, sys.argv[2:]), sys.argv[1], progress=slow)\n"
    )
    command = [sys.executable, "-c", code, str(out), *TINY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if int(line) == 18:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    assert not (out / "result.json").exists()
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 15, "spl')  # a line that the crash cut
    assert_same_numbers(finished, resume(out))


def test_two_processes_do_not_train_into_one_folder(tmp_path):
    out = tmp_path / "shared"

    def meddle(metrics):
        if metrics.iteration == 3:
            with pytest.raises(FileAccessError, match="another process"):
                resume(out)

    run = train_run(config(), out, progress=meddle)
    assert run.iteration == 30


def test_resuming_a_finished_run_only_loads_it(finished):
    before = finished.folder.checkpoint_path.stat().st_mtime_ns
    seen = []
    again = resume(finished.folder.path, progress=seen.append)
    assert not seen
    assert again.iteration == 30
    assert finished.folder.checkpoint_path.stat().st_mtime_ns == before


def test_a_run_killed_before_its_first_checkpoint_starts_again(finished, tmp_path):
    out = tmp_path / "early"
    train_run(config(), out)
    for name in ("checkpoint.h5", "result.json", "metrics.jsonl"):
        (out / name).unlink()
    assert_same_numbers(finished, resume(out))


def test_the_best_weights_on_validation_are_evaluated(finished):
    records = [r for r in finished.folder.read_metrics() if r["split"] == "validation"]
    best = max(records, key=lambda record: record["accuracy"])
    assert finished.best_iteration == best["iteration"]
    scores = evaluate(finished.folder.path, "validation", size=50)
    assert scores.accuracy == best["accuracy"]
    assert scores.samples == 50


def test_evaluate_agrees_with_the_result(finished):
    scores = evaluate(finished.folder.path, "test")
    assert scores.accuracy == finished.folder.result()["test"]["accuracy"]
    assert scores.samples == 300


def test_a_folder_with_a_run_is_not_overwritten(finished):
    before = finished.folder.config_path.read_bytes()
    with pytest.raises(FileAccessError, match="holds a run already"):
        train_run(config("n_rec=17"), finished.folder.path)
    assert finished.folder.config_path.read_bytes() == before


def test_nothing_is_written_for_a_configuration_that_cannot_be_built(tmp_path):
    for bad in ("tau_m=-1.0", "learning.rule=eprop", "surrogate=box", "gain=-1.0"):
        with pytest.raises((InvalidValue, UnknownName)):
            train_run(config(bad), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_a_corrupt_checkpoint_is_named(finished, tmp_path):
    run = train_run(config(), tmp_path / "corrupt")
    path = run.folder.checkpoint_path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileFormatError, match=r"checkpoint\.h5"):
        resume(run.folder.path)


def test_a_newer_checkpoint_is_refused(tmp_path):
    run = train_run(config(), tmp_path / "newer")
    with h5py.File(run.folder.checkpoint_path, "a") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(FileFormatError, match="99"):
        load_run(run.folder.path)


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    run = train_run(config(), tmp_path / "incomplete")
    with h5py.File(run.folder.checkpoint_path, "a") as file:
        del file["best/w_rec"]
    with pytest.raises(FileFormatError, match="best/w_rec"):
        load_run(run.folder.path)


def test_a_failing_write_keeps_the_old_checkpoint(finished, tmp_path, monkeypatch):
    run = train_run(config(), tmp_path / "full")
    before = run.folder.checkpoint_path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileAccessError, match="No space left"):
        run.folder.write_checkpoint({"iteration": np.asarray(3)})
    assert run.folder.checkpoint_path.read_bytes() == before
    assert not list(run.folder.path.glob(".*tmp"))


def test_environment_holds_versions_and_no_paths(finished):
    environment = json.loads((finished.folder.path / "environment.json").read_text())
    assert environment["packages"]["numpy"] == np.__version__
    assert "/" not in json.dumps(environment)


def test_a_diverging_run_stops_with_a_hint(tmp_path):
    options = ("optimizer.name=sgd", "lr=1e39", "rate_strength=0.0")
    with np.errstate(all="ignore"), pytest.raises(InvalidValue, match=r"optimizer\.lr"):
        train_run(config(*options), tmp_path / "diverged")


def test_trainer_checks_task_and_network():
    trainer = build_trainer(config())
    assert trainer.iteration == 0
    wrong = resolve_config({}, ("task.name=pattern-generation",))
    with pytest.raises(InvalidValue, match=r"RecurrentNetwork\.n_in must be 8"):
        type(trainer)(
            build_trainer(wrong).network,
            trainer.task,
            trainer.loss,
            trainer.rule,
            trainer.optimizer,
            trainer.feedback,
        )


def test_a_time_step_of_another_length_is_refused():
    trainer = build_trainer(config())
    network = dataclasses.replace(trainer.network, dt=5.0)
    with pytest.raises(InvalidValue, match=r"RecurrentNetwork\.dt must be 1 ms"):
        dataclasses.replace(trainer, network=network)


def test_random_feedback_is_drawn_from_the_seed():
    trainers = [
        build_trainer(config("feedback=random", f"seed={k}")) for k in (1, 1, 2)
    ]
    one, same, other = (trainer.feedback.matrix for trainer in trainers)
    assert one.shape == (16, 10) and one.any()
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_trainer_state_of_another_shape_is_refused():
    trainer = build_trainer(config())
    other = build_trainer(config("n_rec=17"))
    with pytest.raises(InvalidValue, match="must have shape"):
        trainer.load_state(other.state())


def test_weight_decay_schedule_and_clipping_act():
    plain = build_trainer(config()).step()
    norms = {}
    for name, options in {
        "plain": (),
        "decay": ("weight_decay=0.1",),
        "clip": ("clip_norm=1e-3", "optimizer.name=sgd", "lr=1.0"),
        "sgd": ("optimizer.name=sgd", "lr=1.0"),
    }.items():
        trainer = build_trainer(config(*options))
        before = trainer.network.params.copy()
        trainer.step()
        norms[name] = np.linalg.norm(trainer.network.params.w_rec - before.w_rec)
    assert plain.gradient_norm > 0
    assert norms["decay"] != norms["plain"]
    assert norms["clip"] <= 1.001e-3 < norms["sgd"]
    cosine = build_trainer(config("schedule=cosine", "iterations=2"))
    cosine.step()
    before = cosine.network.params.copy()
    cosine.iteration = 2
    cosine.step()
    np.testing.assert_array_equal(before.w_rec, cosine.network.params.w_rec)


def test_a_regression_run_has_no_accuracy(tmp_path):
    options = ("task.name=pattern-generation", "iterations=5", "n_rec=20")
    started = time.monotonic()
    run = train_run(resolve_config({}, options), tmp_path / "pattern")
    result = run.folder.result()
    assert result["test"]["accuracy"] is None
    assert result["test"]["loss"] > 0
    assert result["seconds"] <= time.monotonic() - started + 1


def test_a_run_begins_with_the_best_weights_of_another(finished, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(finished.folder.path, folder)
    given = config(f"training.start={str(folder)!r}", "training.seed=5")
    stopped = []

    class Stop(Exception):
        pass

    def stop(metrics):
        stopped.append(metrics.iteration)
        if metrics.iteration == 9:
            raise Stop

    whole = train_run(given, tmp_path / "whole")
    first = whole.folder.read_metrics()[0]
    scores = [r for r in finished.folder.read_metrics() if r["split"] == "validation"]
    best = min(scores, key=lambda r: abs(r["iteration"] - finished.best_iteration))
    assert (first["iteration"], first["loss"]) == (0, best["loss"])
    with pytest.raises(Stop):
        train_run(given, tmp_path / "cut", progress=stop)
    shutil.rmtree(folder)  # needed at the beginning only
    assert_same_numbers(whole, resume(tmp_path / "cut"))
    with pytest.raises(FileAccessError):
        train_run(given, tmp_path / "late")
    assert not (tmp_path / "late").exists()


def test_a_start_with_another_network_is_refused(finished, tmp_path):
    given = config(f"training.start={str(finished.folder.path)!r}", "n_rec=17")
    with pytest.raises(InvalidValue, match=r"must have \(n_rec, n_in, n_out\)"):
        train_run(given, tmp_path / "other")


def test_a_start_has_no_weights_where_no_synapses_are(finished, tmp_path):
    given = config(
        f"training.start={str(finished.folder.path)!r}", "density=0.2", "iterations=1"
    )
    run = train_run(given, tmp_path / "sparse")
    assert (finished.network.params.w_rec[~run.network.mask] != 0).any()
    assert not run.network.params.w_rec[~run.network.mask].any()


def test_a_start_with_other_cells_is_refused(finished, tmp_path):
    given = config(f"training.start={str(finished.folder.path)!r}", "cell=LIF")
    with pytest.raises(InvalidValue, match=r"must have network\.cell = LIF; got ALIF"):
        train_run(given, tmp_path / "other")
