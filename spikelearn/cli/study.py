"""`study NAME` runs a study or goes on with it; `study status`, `study collect`."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spikelearn import studies
from spikelearn.cli._common import (
    JsonOption,
    console,
    print_json,
    print_table,
    progress_bar,
)
from spikelearn.errors import require
from spikelearn.report.generalization import write_generalization
from spikelearn.report.init_gain import write_init_gain
from spikelearn.report.oja import write_oja
from spikelearn.report.rich_lazy import write_rich_lazy
from spikelearn.report.study_page import Report
from spikelearn.studies import STUDIES, Claim, Study, StudyFactory, StudyResult

__all__ = ["REPORTS", "register", "study_app"]

REPORTS: dict[str, Report] = {
    "init-gain": write_init_gain,
    "rich-lazy": write_rich_lazy,
    "generalization": write_generalization,
    "oja": write_oja,
}
"""The reports by name of the study; a study need not have one."""

SPEED_SECONDS = 3600.0  # units may take long
FolderArgument = Annotated[
    Path, typer.Argument(help="The folder of a study.", metavar="DIR")
]


class ExecutorName(StrEnum):
    """What runs the units."""

    processes = "processes"
    dask = "dask"


def study_app(
    factories: Mapping[str, StudyFactory], reports: Mapping[str, Report]
) -> typer.Typer:
    """Return the verbs `NAME ...`, one for each study, `status` and `collect`."""
    app = typer.Typer(
        help="Studies of papers: many runs whose table answers claims. They can be "
        "stopped at any time; the same command continues.",
        epilog="Example: spikelearn study status runs/init-gain",
        no_args_is_help=True,
    )
    for name, factory in factories.items():
        example = f"Example: spikelearn study {name} --quick --seeds 3"
        verb = _verb(name, factory, reports.get(name))
        app.command(name, help=inspect.getdoc(factory), epilog=example)(verb)
    example = "Example: spikelearn study status runs/init-gain"
    app.command(epilog=example)(status)
    app.command(epilog=example.replace("status", "collect"))(collect)
    return app


def _verb(
    name: str, factory: StudyFactory, report: Report | None
) -> Callable[..., None]:
    """Return the verb that runs one study."""

    def run(
        quick: Annotated[
            bool, typer.Option("--quick", help="A small version, to try it out.")
        ] = False,
        seeds: Annotated[
            int | None, typer.Option(min=1, help="Number of seeds.")
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                help="Folder, new or of this study.",
                show_default="runs/NAME, or runs/NAME-quick",
            ),
        ] = None,
        executor: Annotated[
            ExecutorName,
            typer.Option(help="Processes of this machine, or Dask workers."),
        ] = ExecutorName.processes,
        workers: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Processes of one thread each.",
                show_default="all cores",
            ),
        ] = None,
        address: Annotated[
            str | None,
            typer.Option(
                help="Dask scheduler, such as tcp://node7:8786.",
                show_default="that of Dask's configuration, or one of this machine",
            ),
        ] = None,
        scheduler_file: Annotated[
            Path | None,
            typer.Option(help="What dask scheduler --scheduler-file wrote."),
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        pool = _executor(executor, workers, address, scheduler_file)
        study = factory(quick=quick, seeds=seeds)
        folder = out or Path("runs") / (f"{name}-quick" if quick else name)
        with _progress(len(study.units)) as progress:
            result = studies.run_study(study, folder, pool, progress)
        page = None
        if report is not None and not result.failures:
            page = _report(report, study, result, quick, seeds)
        if as_json:
            print_json(_to_dict(study, result, page))
        else:
            _print_result(study, result, page)
        if result.failures:
            raise typer.Exit(1)

    return run


def _report(
    report: Report, study: Study, result: StudyResult, quick: bool, seeds: int | None
) -> Path:
    words = ["spikelearn study", study.name, *["--quick"] * quick]
    words += [] if seeds is None else [f"--seeds {seeds}"]
    claims = [claim.to_dict() for claim in result.claims]
    return report(result.folder, study.title, " ".join(words), result.rows, claims)


def _executor(
    name: ExecutorName,
    workers: int | None,
    address: str | None,
    scheduler_file: Path | None,
) -> AbstractContextManager[Executor]:
    """Return the executor that was asked for; the study opens it if it needs one."""
    place = address or scheduler_file
    if name is ExecutorName.dask:
        return studies.dask(workers, address=address, scheduler_file=scheduler_file)
    hint = "These are for --executor dask."
    rule = "must not be given with --executor processes"
    require(place is None, "--address, --scheduler-file", rule, place, hint)
    return studies.processes(workers)


@contextlib.contextmanager
def _progress(units: int) -> Iterator[Callable[[int, int], None]]:
    """Show how many units are done or failed; yield what the study calls."""
    with progress_bar(units, "units", "unit", memory=SPEED_SECONDS) as update:
        first = True

        def show(done: int, failed: int) -> None:
            nonlocal first
            note = f"{failed} failed" if failed else ""
            update(done + failed, note, start=first)
            first = False

        yield show


def _to_dict(study: Study, result: StudyResult, page: Path | None) -> dict[str, Any]:
    return {
        "study": study.name,
        "claims": [claim.to_dict() for claim in result.claims],
        "units_done": result.units_done,
        "units_failed": result.units_failed,
        "seconds": round(result.seconds, 2),
        "folder": str(result.folder),
        "report": None if page is None else str(page),
    }


def _print_result(study: Study, result: StudyResult, page: Path | None) -> None:
    if result.claims:
        columns = ("claim", "verdict", "effect", "95 % interval", "n", "test")
        table = [
            [c.statement, c.verdict, _number(c.effect), _interval(c), c.n, c.test]
            for c in result.claims
        ]
        print_table(study.title, columns, table)
    console.print(
        f"{result.units_done} of {len(study.units)} units done in "
        f"{result.seconds:.1f} s"
    )
    if result.failures:
        console.print(
            f"{result.units_failed} failed, and claims wait for them; the same command "
            f"tries them again. First traceback: {result.failures[0]}"
        )
    console.print(f"study folder: {result.folder} (table.csv, table.sqlite)")
    if page is not None:
        console.print(f"report: {page}")


def _interval(claim: Claim) -> str:
    return f"{_number(claim.ci_low)} ... {_number(claim.ci_high)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Say how many units of a study are done, and what failed."""
    found = studies.status(folder)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    waiting = found.units - found.units_done - len(found.failures)
    console.print(
        f"{found.name}: {found.title}\n{found.units_done} of {found.units} units done "
        f"(in {found.unit_seconds:.1f} s of one core), {len(found.failures)} failed, "
        f"{waiting} to do"
    )
    for path in found.failures:
        console.print(f"failed: {path}")


def collect(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Write the table of the units that are done, as CSV and SQLite."""
    csv, sqlite = studies.collect(folder)
    if as_json:
        print_json({"csv": csv, "sqlite": sqlite})
    else:
        console.print(f"written: {csv}\nwritten: {sqlite}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(study_app(STUDIES, REPORTS), name="study")
