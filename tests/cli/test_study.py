"""`spikelearn study` as a user meets it, with the toy study in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spikelearn.cli.study import study_app
from tests.cli.test_cli import spikelearn
from tests.studies.helpers import ROOT, contents, environment, study_command
from tests.studies.toy import make_toy

EXAMPLES = ROOT / "examples"
CLAIM_KEYS = {
    *("id", "statement", "verdict", "effect", "ci_low", "ci_high", "n", "test"),
    "detail",
}


def page(folder, title, command, rows, claims):
    path = folder / "report.html"
    path.write_text(f"{title}: {len(rows)} rows, {len(claims)} claims; {command}")
    return path


def in_process(*arguments, reports=None):
    """Call the verbs in this process, with other reports."""
    app = study_app({"toy": make_toy}, reports or {})
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_lists_the_studies_and_their_options():
    listed = in_process("--help").stdout
    for word in ("toy", "Count something in no time.", "status", "collect"):
        assert word in listed
    options = in_process("toy", "--help").stdout
    for word in ("--quick", "--seeds", "--out", "--workers", "--address"):
        assert word in options
    assert "Example: spikelearn study toy" in options
    assert "Example: spikelearn study" in spikelearn("study", "--help").stdout


def test_the_json_has_claims_and_counts(tmp_path):
    outcome = in_process(
        *("toy", "--quick", "--seeds", 3, "--out", tmp_path, "--workers", 1, "--json")
    )
    assert outcome.exit_code == 0, outcome.stderr
    answer = json.loads(outcome.stdout.splitlines()[-1])
    (claim,) = answer.pop("claims")
    assert set(claim) == CLAIM_KEYS
    assert claim["verdict"] == "depends"
    assert answer.pop("seconds") > 0
    assert answer == {
        "study": "toy",
        "units_done": 6,
        "units_failed": 0,
        "folder": str(tmp_path),
        "report": None,
    }


def test_failures_are_shown_and_the_status_is_1(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    monkeypatch.chdir(tmp_path)
    outcome = study_command("toy")
    assert outcome.returncode == 1
    assert "17 of 18 units done" in outcome.stdout
    assert "1 failed" in outcome.stdout and "error.txt" in outcome.stdout
    assert "unit 18/18  1 failed" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    shown = in_process("status", "runs/toy")
    assert "17 of 18 units done" in shown.stdout and "1 failed" in shown.stdout
    answer = json.loads(in_process("status", "runs/toy", "--json").stdout)
    assert (answer["units"], answer["units_done"]) == (18, 17)
    assert len(answer["failures"]) == 1
    collected = json.loads(in_process("collect", "runs/toy", "--json").stdout)
    assert Path(collected["csv"]).exists() and Path(collected["sqlite"]).exists()


def test_a_complete_study_gets_its_report(tmp_path, monkeypatch):
    options = ("toy", "--quick", "--out", tmp_path, "--workers", 1)
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    failed = in_process(*options, reports={"toy": page})
    assert failed.exit_code == 1
    assert not (tmp_path / "report.html").exists()
    monkeypatch.delenv("TOY_FAILS")
    outcome = in_process(*options, reports={"toy": page})
    assert outcome.exit_code == 0
    assert "The mean is what it is." in outcome.stdout.replace("\n", " ")
    assert "report.html" in outcome.stdout.replace("\n", "")
    assert (tmp_path / "report.html").read_text() == (
        "Units that count: 12 rows, 1 claims; spikelearn study toy --quick"
    )


def test_another_configuration_is_one_clear_error(tmp_path):
    assert in_process("toy", "--quick", "--out", tmp_path).exit_code == 0
    before = contents(tmp_path)
    outcome = study_command("toy", "--quick", "--seeds", 2, "--out", tmp_path)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: study folder")
    assert "settings.seeds: 6 in the folder, 2 now" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "absent"), "must hold a study.json"),
        (("collect", "absent"), "must hold a study.json"),
        (("toy", "--out", "/proc/none"), "must be writable"),
        (("toy", "--address", "tcp://a:1"), "are for --executor dask"),
        (("toy", "--executor", "dask"), "pip install -e '.[dask]'"),
    ],
)
def test_mistakes_are_one_clear_error(tmp_path, monkeypatch, arguments, message):
    (tmp_path / "distributed.py").write_text("raise ImportError('not here')\n")
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    outcome = study_command(*arguments, PYTHONPATH=path)
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1].startswith("error: ")
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_job_script_is_valid_shell():
    for script in EXAMPLES.glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)


@pytest.mark.dask
def test_the_job_script_runs_a_study(tmp_path):
    """With srun and spikelearn replaced by what they would do on one node."""
    commands = {
        "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
        "dask": f'exec {sys.executable} -m dask "$@"',
        "spikelearn": f'exec {sys.executable} -m tests.studies.driver "$@"',
    }
    for name, line in commands.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    outcome = subprocess.run(
        ["bash", EXAMPLES / "study_slurm.sh", "toy", "--out", tmp_path / "study"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(
            PATH=os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
            SLURM_JOB_ID="7",
            SLURM_JOB_NUM_NODES="1",
        ),
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "18 of 18 units done" in outcome.stdout
    assert not (tmp_path / "scheduler-7.json").exists()
