"""The public names of spikelearn, and how little importing it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import spikelearn

HEAVY = {
    "brian2",
    "dask",
    "jax",
    "lava",
    "matplotlib",
    "mlxtend",
    "nest",
    "nir",
    "norse",
    "pandas",
    "sklearn",
    "torch",
}
# Only the command line and files on disk need these.
OF_RUNS = {"h5py", "pydantic", "rich", "tomli_w", "typer"}


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after a statement."""
    code = (
        f"{statement}\nimport sys\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return set(child.stdout.split())


def test_public_names_are_distinct():
    names = spikelearn.__all__
    assert names
    assert len(names) == len(set(names))


def test_public_names_can_be_imported_and_are_documented():
    for name in spikelearn.__all__:
        value = getattr(spikelearn, name)
        if callable(value):
            assert value.__doc__, f"{name} has no docstring"


def test_star_import_gives_exactly_the_public_names():
    space: dict[str, object] = {}
    exec("from spikelearn import *", space)
    del space["__builtins__"]
    assert set(space) == set(spikelearn.__all__)


def test_names_for_type_checkers_are_those_that_are_there():
    tree = ast.parse(Path(spikelearn.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.asname or alias.name: (
            alias.name
            if node.module == "spikelearn"
            else node.module.removeprefix("spikelearn.")
        )
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == spikelearn._HOME
    assert sorted(homes) == sorted(spikelearn.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'spikelearn' has no attribute 'Nope'"):
        spikelearn.Nope  # noqa: B018
    assert spikelearn.__version__
    assert set(spikelearn.__all__) < set(dir(spikelearn))


def test_importing_spikelearn_loads_nothing_before_it_is_used():
    loaded = loaded_by("import spikelearn")
    assert "spikelearn" in loaded
    assert loaded & (HEAVY | OF_RUNS | {"numba", "numpy"}) == set()


def test_the_network_and_training_load_no_package_of_runs():
    names = "RecurrentNetwork, EProp, Adam, Trainer, make_task, cite"
    loaded = loaded_by(f"from spikelearn import {names}")
    assert "numba" in loaded
    assert loaded & (HEAVY | OF_RUNS) == set()


def test_all_of_spikelearn_loads_no_optional_package():
    loaded = loaded_by("from spikelearn import *")
    assert OF_RUNS - {"rich", "typer"} <= loaded
    assert loaded & (HEAVY | {"rich", "typer"}) == set()


def test_an_optional_package_would_be_seen():
    assert "sqlite3" in loaded_by("import sqlite3")
    assert "sqlite3" not in loaded_by("pass")
