"""Run a study, or go on with it; say how far it is; collect its table."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from spikelearn.errors import OracleFailure
from spikelearn.files import write_json
from spikelearn.studies.base import Claim, Row, Study
from spikelearn.studies.executors import processes
from spikelearn.studies.store import StudyFolder, rows
from spikelearn.studies.tables import write_tables
from spikelearn.studies.unit import Outcome, perform

__all__ = ["StudyResult", "StudyStatus", "collect", "run_study", "status"]

Progress = Callable[[int, int], None]
"""Called with the number of units that are done and that failed."""


@dataclass(frozen=True)
class StudyResult:
    """What a study has found so far.

    Attributes
    ----------
    folder
        Where everything is.
    rows
        Units that are done with their results, in the order of the study.
    claims
        Of the whole table; empty while a unit is missing.
    failures
        File with the traceback of each unit that failed.
    seconds
        Duration of this call.
    """

    folder: Path
    rows: list[Row]
    claims: list[Claim]
    failures: list[Path]
    seconds: float

    @property
    def units_done(self) -> int:
        """Number of units that are done."""
        return len(self.rows)

    @property
    def units_failed(self) -> int:
        """Number of units that failed."""
        return len(self.failures)


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Attributes
    ----------
    name, title
        Of the study.
    units, units_done
        Numbers of units.
    failures
        File with the traceback of each unit that failed.
    unit_seconds
        Time that the units which are done took, one after the other.
    """

    name: str
    title: str
    units: int
    units_done: int
    failures: list[Path]
    unit_seconds: float


def run_study(
    study: Study,
    out: str | Path,
    executor: AbstractContextManager[Executor] | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Run all units of a study that are not done yet, and collect its table.

    A call that was interrupted or killed is continued by the same call again. Units
    that failed are kept with their traceback, stop no others, and are tried again by
    the next call.

    Parameters
    ----------
    study
        What to run.
    out
        Folder, new or of the same study.
    executor
        From `executors.processes` (the default) or `executors.dask`; it is opened if
        there is anything to run.
    progress
        Called at the beginning and after every unit.

    Raises
    ------
    FileAccessError
        If the folder is in use, or belongs to something else; nothing is changed then.
    OracleFailure
        If the connection to the scheduler is lost.
    """
    started = time.perf_counter()
    with StudyFolder.create(out, study) as folder:
        done = folder.results()
        waiting = [unit_id for unit_id in folder.record.units if unit_id not in done]
        if progress is not None:
            progress(len(done), 0)
        if waiting:
            with executor or processes() as pool:
                _run_units(study, folder, waiting, pool, progress)
            done = folder.results()
        write_tables(folder, done)
        table = rows(done)
        failed = [unit_id for unit_id in folder.record.units if unit_id not in done]
        claims = [] if failed else study.claims(table)
        write_json(folder.path / "claims.json", [c.to_dict() for c in claims])
    return StudyResult(
        folder=folder.path,
        rows=table,
        claims=claims,
        failures=[folder.error_path(unit_id) for unit_id in failed],
        seconds=time.perf_counter() - started,
    )


def _run_units(
    study: Study,
    folder: StudyFolder,
    waiting: list[str],
    pool: Executor,
    progress: Progress | None,
) -> None:
    """Run units and store what becomes of each as soon as it is known."""
    before = len(folder.record.units) - len(waiting)
    failed = 0
    units = folder.record.units
    running = {
        pool.submit(perform, study.reference, units[unit_id]): unit_id
        for unit_id in waiting
    }
    for n, future in enumerate(as_completed(running), 1):
        unit_id, outcome = running[future], _outcome(future)
        if outcome.result is None:
            folder.write_error(unit_id, outcome.error or "")
            failed += 1
        else:
            folder.write_result(unit_id, outcome.result, outcome.seconds)
        if progress is not None:
            progress(before + n - failed, failed)


def _outcome(future: Future[Outcome]) -> Outcome:
    """Return what a worker gave back; that it died is a failure of the unit."""
    try:
        return future.result()
    except CancelledError:
        raise OracleFailure(
            "Dask scheduler must stay until the study is done; the connection was "
            "lost. (The same command continues the study.)"
        ) from None
    except Exception as error:
        return Outcome(None, f"{type(error).__name__}: {error}\n", 0.0)


def status(path: str | Path) -> StudyStatus:
    """Say how far the study in a folder is; it may be running.

    Raises
    ------
    FileAccessError, FileFormatError
        If there is no study in the folder, or it cannot be read.
    """
    folder = StudyFolder.open(path)
    done = folder.results()
    paths = [folder.error_path(u) for u in folder.record.units if u not in done]
    return StudyStatus(
        name=folder.record.name,
        title=folder.record.title,
        units=len(folder.record.units),
        units_done=len(done),
        failures=[path for path in paths if path.exists()],
        unit_seconds=sum(found.seconds for found in done.values()),
    )


def collect(path: str | Path) -> tuple[Path, Path]:
    """Write the table of what is done so far, as CSV and as SQLite; return the paths.

    Raises
    ------
    FileAccessError, FileFormatError
        If there is no study in the folder, or it cannot be read or written.
    """
    folder = StudyFolder.open(path)
    return write_tables(folder, folder.results())
