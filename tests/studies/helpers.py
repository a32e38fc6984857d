"""What the tests of studies share."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.studies.driver", "study"]


def threads():
    """Return an executor of this process, for what is not about executors."""
    return ThreadPoolExecutor(2)


def environment(**changes):
    """Return the environment of a process that finds the toy study from anywhere."""
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "COLUMNS": "200"}
    return {**os.environ, **found, **changes}


def study_command(*arguments, **changes):
    """Run the command line with the toy study in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**changes),
    )


def contents(folder):
    """Return every file below a folder with its bytes."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def sql(folder, query):
    """Return the rows that a query finds in the table of a study."""
    with contextlib.closing(sqlite3.connect(folder / "table.sqlite")) as database:
        return database.execute(query).fetchall()


def tables(folder):
    """Return the collected tables as they are compared, without times."""
    rows = [sql(folder, f"SELECT * FROM {name}") for name in ("units", "failures")]
    return (folder / "table.csv").read_bytes(), *rows
