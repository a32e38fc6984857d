"""The table of a study: one SQLite file and a CSV of the same rows.

SQLite has the tables `units` (a row for each unit that is done: id, values, results),
`timing` (id, seconds) and `failures` (id, error). The CSV is `units` alone. Both come
in the order of the study, and times are kept apart, so that the table of a study is the
same wherever and in however many pieces it ran. Lists, and integers beyond 64 bits,
are stored as JSON text, true and false as 1 and 0.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from spikelearn.files import atomic_path, write_text
from spikelearn.studies.base import Row
from spikelearn.studies.store import StudyFolder, UnitResult, rows

__all__ = ["write_tables"]


def write_tables(
    folder: StudyFolder, results: dict[str, UnitResult]
) -> tuple[Path, Path]:
    """Write the tables of a study and return their paths: CSV and SQLite."""
    columns, cells = _cells(folder, rows(results))
    csv_path, sqlite_path = folder.path / "table.csv", folder.path / "table.sqlite"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *cells])
    write_text(csv_path, text.getvalue())
    timing = [(unit_id, found.seconds) for unit_id, found in results.items()]
    errors = ((i, folder.error(i)) for i in folder.record.units if i not in results)
    failures = [(unit_id, error) for unit_id, error in errors if error is not None]
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        _fill(database, "units", columns, cells)
        _fill(database, "timing", ("id", "seconds"), timing)
        _fill(database, "failures", ("id", "error"), failures)
        database.commit()
        content = database.serialize()
    with atomic_path(sqlite_path) as temporary:
        temporary.write_bytes(content)
    return csv_path, sqlite_path


def _cells(folder: StudyFolder, table: list[Row]) -> tuple[list[str], list[list]]:
    """Return the columns in order of appearance, and the cells of every row."""
    names = dict.fromkeys(["id"])
    for each in (*folder.record.units.values(), *table):
        names |= dict.fromkeys(each)
    return list(names), [[_cell(row.get(name)) for name in names] for row in table]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    too_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return json.dumps(value) if too_large or isinstance(value, list | dict) else value


def _fill(
    database: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    cells: Iterable[Sequence],
) -> None:
    """Make a table; the names of columns are words, see `base.check_name`."""
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" for _ in columns)
    database.execute(f'CREATE TABLE "{table}" ({names})')
    database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', cells)
