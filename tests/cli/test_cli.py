"""The command line as a user meets it: verbs, JSON, errors without tracebacks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from spikelearn.cli import app, main
from spikelearn.tasks import TASKS

VERBS = (
    "quickstart",
    "doctor",
    "warm-up",
    "tasks",
    "cells",
    "rules",
    "cite",
    "chips",
    "gradcheck",
    "lyapunov",
    "connectivity",
    "regime",
    "curvature",
    "train",
    "resume",
    "evaluate",
    "export",
    "precision",
    "convert",
    "verify",
    "check",
    "cost",
    "report",
    "bench",
)
TINY = ("--task", "digits-rows", "n_rec=16", "iterations=40", "evaluate_samples=50")


def spikelearn(*arguments, **environment):
    command = [sys.executable, "-m", "spikelearn", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100", **environment}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment
    )


def answer(*arguments):
    outcome = spikelearn(*arguments, "--json")
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    result = answer("train", *TINY, "--out", folder)
    assert result["test"]["samples"] == 300
    return folder


@pytest.fixture(scope="module")
def exported(run):
    result = answer("export", run, "--vectors", 4)
    assert result["fixed"]["samples"] == 300
    return run


def test_all_verbs_are_there():
    names = [c.name or c.callback.__name__ for c in app.registered_commands]
    assert set(names) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb):
    outcome = CliRunner().invoke(app, [verb, "--help"])
    assert outcome.exit_code == 0
    assert "Example: spikelearn" in outcome.stdout


def test_lists_answer_programs():
    tasks = {task["name"]: task for task in answer("tasks")["tasks"]}
    assert tasks.keys() == TASKS.keys()
    assert tasks["digits-rows"]["input"] == "4 bits"
    assert tasks["dms"]["input"] == tasks["neurogym"]["input"] == "real values"
    assert tasks["dms"]["n_steps"] == 8
    assert {c["name"] for c in answer("cells")["cells"]} == {"LIF", "ALIF", "rate"}
    lists = answer("rules")
    references = {rule["name"]: rule["reference"] for rule in lists["rules"]}
    assert references["e-prop"].startswith("Bellec") and len(references) == 10
    assert "local" in lists["feedback"]
    assert [t["name"] for t in lists["terms"]] == ["oja", "weight-decay", "intrinsic"]
    known = [term["name"] for term in lists["flossing"]]
    assert known == ["tangent", "tangent-trace", "spectrum", "scaling", "exact"]
    assert "loihi1" in answer("chips")
    machine = answer("doctor")
    assert machine["ok"] is True
    for what in ("cpu", "kernel_path", "memory_limit", "blas", "kernel_cache"):
        assert machine[what], what
    assert 1 <= machine["cores"] <= machine["cores_of_machine"]
    assert machine["kernel_cache_on"] in ("local disk", "network")
    assert machine["kernels_cached"] > 0
    assert machine["kernel_cache_mb"] > 0


def test_after_a_warm_up_there_is_nothing_to_compile():
    first, again = answer("warm-up"), spikelearn("warm-up")
    assert first["kernels_cached"] >= first["compiled"] >= 0
    assert again.stdout.startswith("0 kernels compiled in ")
    assert again.stderr == "", "nothing is said when everything is there"


def test_lists_are_readable():
    for verb in ("tasks", "cells", "rules", "chips", "doctor"):
        outcome = spikelearn(verb)
        assert outcome.returncode == 0
        assert len(outcome.stdout) > 200


def test_the_table_of_rules_names_rules_signals_and_terms():
    text = spikelearn("rules", COLUMNS="200").stdout
    for word in ("modprop", "arXiv:2206.01338", "weight-decay", "adaptive", "kept"):
        assert word in text


def test_cite_prints_bibtex():
    assert spikelearn("cite").stdout.startswith("@software{spikelearn,")
    text = spikelearn("cite", "mdgl", "oja").stdout
    assert text.count("\n@") == 3 and "10.1073/pnas.2111821118" in text


def test_train_reads_a_file_and_overrides(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text('[task]\nname = "digits-rows"\n[network]\nn_rec = 8\n')
    options = ("iterations=2", "evaluate_samples=10", "--seed", 3)
    answer("train", path, *options, "--out", tmp_path / "run")
    written = (tmp_path / "run" / "config.toml").read_text()
    assert "n_rec = 8" in written and "seed = 3" in written


def test_evaluate_and_resume_of_a_finished_run(run):
    scores = answer("evaluate", run, "--split", "validation", "--samples", 20)
    assert scores["samples"] == 20
    assert answer("resume", run)["iterations"] == 40


@pytest.mark.parametrize(
    ("task", "verb", "score"),
    [
        (("cue-bandit", "task.delay_ms=50"), "export", "test: mean reward 0."),
        (("dms",), "report", "test: loss "),
        (("digits-rows", "delay=2"), "export", "test: loss "),
        (("digits-rows", "delay=64"), "report", "test: loss "),
    ],
)
def test_train_says_what_can_be_done_next(tmp_path, task, verb, score):
    folder = tmp_path / "run"
    values = (*task, "n_rec=8", "iterations=1", "evaluate_samples=10")
    trained = spikelearn("train", "--task", *values, "--out", folder, COLUMNS="300")
    assert trained.returncode == 0, trained.stderr
    assert f"next: spikelearn {verb} {folder}" in trained.stdout
    evaluated = spikelearn("evaluate", folder, COLUMNS="300")
    for outcome in (trained, evaluated):
        assert score in outcome.stdout


def test_export_leaves_a_checkable_folder(exported):
    names = {path.name for path in (exported / "export").iterdir()}
    assert {"network.h5", "network.json", "network.py", "quantization.json"} <= names
    result = answer("verify", exported, "--against", "emulator")
    assert result["samples"] == 4
    assert result["differing_values"] == 0


@pytest.mark.lava
def test_verify_against_lava_answers_programs(exported):
    result = answer("verify", exported / "export", "--against", "lava", "--samples", 2)
    assert result["samples"] == 2 and result["steps"] == 8
    for name in ("differing_u", "differing_v", "differing_spikes"):
        assert result[name] == 0
    assert (exported / "export" / "verification.json").exists()


@pytest.mark.lava
def test_verify_fuzz_answers_programs():
    result = answer("verify", "--fuzz", 5, "--seed", 4)
    assert (result["networks"], result["differing"], result["seed"]) == (5, 0, 4)
    assert result["passed"] and result["failures"] == [] and result["values"] > 0
    assert set(result["models"]) == {"lif", "adaptive", "reset", "ternary", "atrlif"}


def test_a_differing_random_network_fails_the_fuzzing(monkeypatch, capsys):
    """Negative control: one value that the other computation has otherwise."""
    import typer

    from hardware import emulator, fuzz
    from spikelearn.cli._fuzz import run_fuzz

    def wrong(cases, timeout):
        records = [emulator.run(case.description, case.x) for case in cases]
        records[1].y[3, 0, 0] += 1
        return records

    monkeypatch.setattr(fuzz, "run_cases", wrong)
    with pytest.raises(typer.Exit) as ended:
        run_fuzz(3, 5, None, 1, as_json=True)
    assert ended.value.exit_code == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["networks"], result["differing"], result["passed"]) == (3, 1, False)
    failure = result["failures"][0]
    assert (failure["seed"], failure["index"], failure["differing_values"]) == (5, 1, 1)
    assert failure["first"]["quantity"] == "y" and failure["first"]["step"] == 3
    with pytest.raises(typer.Exit):
        run_fuzz(3, 5, None, 1, as_json=False)
    text = " ".join(capsys.readouterr().out.split())
    assert "DIFFERENT: 1 of 3 random networks" in text
    assert "seed 5, index 1 (adaptive): 1 values, first Difference(" in text


def test_a_changed_network_fails_verification(exported, tmp_path):
    changed = tmp_path / "network.h5"
    changed.write_bytes((exported / "export" / "network.h5").read_bytes())
    with h5py.File(changed, "a") as file:
        weights = next(
            item
            for name, item in _datasets(file)
            if "w_in" in name and name.endswith("weights")
        )
        weights[...] = 0
    outcome = spikelearn("verify", changed, "--against", "emulator")
    assert outcome.returncode == 1
    assert "DIFFERENT" in outcome.stdout


def _datasets(file):
    found = []
    file.visititems(lambda name, item: found.append((name, item)))
    return [(name, item) for name, item in found if hasattr(item, "shape")]


def test_report_is_written(exported):
    path = answer("report", exported, "--no-lava")["report"]
    assert path.endswith("report.html")
    assert "<html" in Path(path).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--task", "digit-rows"), "Did you mean 'digits-rows'?"),
        (("train", "--task", "digits-rows", "n_recc=3"), "Did you mean 'n_rec'?"),
        (
            ("train", "--task", "digits-rows", "tau_m=-3"),
            "tau_m must be > 0 ms; got -3",
        ),
        (("train", "--task", "digits-rows", "--out", "/proc/none"), "must be writable"),
        (("train", "absent.toml"), "must be readable"),
        (("train",), "--task"),
        (("train", "a.toml", "b.toml"), "one configuration file"),
        (("evaluate", "absent"), "must hold a config.toml"),
        (("verify", "absent"), "no network in it"),
        (("verify",), "needs a path or --fuzz N"),
        (("verify", "absent", "--fuzz", "3"), "takes a path or --fuzz, not both"),
        (("chips", "loihi9"), "unknown chip"),
        (("cite", "mdlg"), "Did you mean 'mdgl'?"),
    ],
)
def test_mistakes_get_one_clear_error(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = spikelearn(*arguments)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: ")
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_a_corrupt_description_is_named(exported, tmp_path):
    path = tmp_path / "network.h5"
    path.write_bytes((exported / "export" / "network.h5").read_bytes()[:5000])
    outcome = spikelearn("verify", path, "--against", "emulator")
    assert outcome.returncode == 1
    assert "corrupt" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_weights_that_cannot_be_represented_leave_no_export(run, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(run, broken, ignore=shutil.ignore_patterns("export"))
    with h5py.File(broken / "checkpoint.h5", "a") as file:
        file["best/w_rec"][0, 1] = 1e9
    outcome = spikelearn("export", broken)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: ")
    assert not (broken / "export").exists()


def test_a_missing_optional_package_says_how_to_install_it(exported, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    outcome = spikelearn("report", exported, PYTHONPATH=str(tmp_path))
    assert outcome.returncode == 1
    assert "pip install -e '.[plot]'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_quickstart_leaves_other_runs_alone(run):
    before = (run / "config.toml").read_bytes()
    outcome = spikelearn("quickstart", "--out", run, "--no-lava")
    assert outcome.returncode == 1
    assert "holds another run" in outcome.stderr
    assert (run / "config.toml").read_bytes() == before


@pytest.mark.parametrize("arguments", [("trian",), ("train", "--sed", "3")])
def test_wrong_usage_is_status_2(arguments):
    outcome = spikelearn(*arguments)
    assert outcome.returncode == 2
    assert "No such" in outcome.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_stopped_run_says_how_to_go_on(tmp_path, number, status):
    options = ("iterations=100000", "evaluate_samples=10", "n_rec=8")
    out = tmp_path / "run"
    command = [sys.executable, "-m", "spikelearn", "train", "--task", "digits-rows"]
    command += [*options, "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 60
        while not (out / "checkpoint.h5").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(number)
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == status
    assert "spikelearn resume continues a run" in stderr
    assert "Traceback" not in stderr
    assert not list(out.glob(".*tmp"))


def in_process(monkeypatch, capsys, verb):
    """Run `main` with one verb and return its exit status and standard error."""
    monkeypatch.setattr("spikelearn.cli.app", verb)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return stop.value.code, capsys.readouterr().err


def test_finally_blocks_run_when_terminated(monkeypatch, capsys):
    ended = []

    def verb():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            ended.append(True)

    status, stderr = in_process(monkeypatch, capsys, verb)
    assert status == 143 and ended and stderr.startswith("interrupted")


def test_lack_of_memory_is_one_line(monkeypatch, capsys):
    def verb():
        raise MemoryError("Unable to allocate 7 TiB")

    status, stderr = in_process(monkeypatch, capsys, verb)
    assert status == 1
    assert stderr.startswith("error: memory must suffice")
    assert stderr.count("\n") == 1 and "7 TiB" in stderr


@pytest.mark.lava
def test_quickstart_goes_the_whole_road_and_can_be_repeated(tmp_path):
    first = answer("quickstart", "--out", tmp_path / "quick")
    assert first["lava_samples"] == 50
    assert first["lava_differing_values"] == 0
    assert first["accuracy_float"] > 0.8
    assert abs(first["accuracy_fixed"] - first["accuracy_float"]) < 0.05
    assert (tmp_path / "quick" / "report.html").exists()
    again = answer("quickstart", "--out", tmp_path / "quick")
    assert again["accuracy_float"] == first["accuracy_float"]
