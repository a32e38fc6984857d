"""NEST stays outside: which interpreter is found, and who imports it."""

from __future__ import annotations

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from tests.oracles_nest import interpreter, oracle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No variable, no environment of `make nest`, no NEST in this one."""
    monkeypatch.delenv(interpreter.NAMED, raising=False)
    monkeypatch.setattr(interpreter, "OWN", tmp_path / "python")
    monkeypatch.setattr(interpreter.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(oracle, "find_python", interpreter.find_python.__wrapped__)
    return interpreter.find_python.__wrapped__


def test_without_nest_nothing_is_found_and_the_oracle_says_what_to_do(
    nothing, tmp_path
):
    assert nothing() is None
    with pytest.raises(RuntimeError, match="make nest"):
        oracle.train_with_nest({}, tmp_path)


def test_the_interpreters_are_tried_in_order(nothing, monkeypatch):
    spec = ModuleSpec("nest", None)
    monkeypatch.setattr(interpreter.importlib.util, "find_spec", lambda name: spec)
    assert nothing() == sys.executable
    interpreter.OWN.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    interpreter.OWN.chmod(0o755)
    assert nothing() == sys.executable
    interpreter.OWN.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    assert nothing() == str(interpreter.OWN)
    monkeypatch.setenv(interpreter.NAMED, "elsewhere")
    assert nothing() == "elsewhere"


def test_a_failure_of_the_child_is_reported(nothing, monkeypatch, tmp_path):
    monkeypatch.setenv(interpreter.NAMED, sys.executable)
    with pytest.raises(RuntimeError, match="NEST failed"):
        oracle.train_with_nest({"x": np.zeros(1)}, tmp_path)


def test_only_child_processes_import_nest():
    pattern = re.compile(r"^\s*(import nest|from nest)\b", re.MULTILINE)
    folders = ("spikelearn", "hardware", "tests", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = [path for path in files if pattern.search(path.read_text("utf-8"))]
    peer = ROOT / "tests" / "benchmarks" / "peers" / "in_nest_cuba.py"
    assert set(found) == {oracle.DRIVER, peer}
