"""The public names of spikelearn, and how little importing it loads."""

from __future__ import annotations

import subprocess
import sys

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
    "sklearn",
    "torch",
}


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


def test_importing_spikelearn_loads_no_optional_package():
    loaded = loaded_by("import spikelearn")
    assert "spikelearn" in loaded
    assert loaded & HEAVY == set()


def test_an_optional_package_would_be_seen():
    assert "sqlite3" in loaded_by("import sqlite3")
    assert "sqlite3" not in loaded_by("pass")
