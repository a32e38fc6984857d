"""What the verbs share: options, tables, the progress bar."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from spikelearn.kernels.threads import usable_cores
from spikelearn.learning.evaluation import Evaluation
from spikelearn.learning.trainer import StepMetrics
from spikelearn.report.charts import check_figure

__all__ = [
    "AVAILABLE_CORES",
    "JsonOption",
    "RunArgument",
    "ThreadsOption",
    "Update",
    "console",
    "evaluation_line",
    "figure_of",
    "print_json",
    "print_table",
    "progress_bar",
    "show_messages",
    "training_progress",
]

console = Console()
progress_console = Console(stderr=True)

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]


AVAILABLE_CORES = usable_cores()
ThreadsOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Threads over samples; the numbers do not depend on it.",
        show_default="all cores",
    ),
]


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment: progress bars move it aside."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def show_messages() -> None:
    """Print what spikelearn logs for people, such as why a first call takes time."""
    logger = logging.getLogger("spikelearn")
    logger.setLevel(logging.INFO)
    logger.addHandler(_StandardError())
    logger.propagate = False


def figure_of(out: Path | None, name: str) -> Path | None:
    """Return the figure that `--out` asks for: itself, or NAME.svg in a folder.

    Raises
    ------
    InvalidValue, MissingDependency
        If the file has another ending, or there is nothing to draw with.
    """
    if out is None:
        return None
    figure = out if out.suffix else out / f"{name}.svg"
    check_figure(figure)
    return figure


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    print(json.dumps(value, default=str), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Print a table for people."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def evaluation_line(scores: Evaluation, kind: str) -> str:
    """Return scores in words; `kind` is that of the task."""
    if kind == "reward":  # the loss is minus the mean reward
        text = f"{scores.split}: mean reward {-scores.loss:.4g}"
    else:
        text = f"{scores.split}: loss {scores.loss:.4g}"
    if scores.accuracy is not None:
        text += f", accuracy {scores.accuracy:.2%}"
    rate = "" if scores.rate_hz is None else f", {scores.rate_hz:.1f} Hz"
    return f"{text} ({scores.samples} samples{rate})"


class Update(Protocol):
    """Moves a progress bar."""

    def __call__(self, completed: int, note: str, *, start: bool = False) -> None:
        """Show what is completed; the speed is measured from `start` on."""


@contextlib.contextmanager
def progress_bar(total: int, doing: str, step: str, memory: float) -> Iterator[Update]:
    """Show a progress bar with ETA on standard error; yield its update function.

    Without a terminal it prints a line at every tenth of the total.

    Parameters
    ----------
    total
        Number of steps.
    doing, step
        What is done, and what one step of it is called.
    memory
        Seconds over which the speed is averaged; long enough for a few steps.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=progress_console,
        disable=not progress_console.is_terminal,
        speed_estimate_period=memory,
    )
    stride = max(total // 10, 1)
    with bar:
        task = bar.add_task("starting", total=total, note="")

        def update(completed: int, note: str, *, start: bool = False) -> None:
            if start:
                bar.reset(task, completed=completed, description=doing, note=note)
            else:
                bar.update(task, completed=completed, description=doing, note=note)
            due = start or completed % stride == 0
            if due and not progress_console.is_terminal:
                line = f"{step} {completed}/{total}  {note}".rstrip()
                progress_console.print(line, highlight=False)

        yield update


@contextlib.contextmanager
def training_progress(iterations: int) -> Iterator[Callable[[StepMetrics], None]]:
    """Show the progress of a training; yield the function that takes its metrics."""
    with progress_bar(iterations, "training", "iteration", memory=30.0) as update:

        def show(metrics: StepMetrics) -> None:
            note = f"loss {metrics.loss:.4g}"
            if metrics.accuracy is not None:
                note += f"  accuracy {metrics.accuracy:.1%}"
            if metrics.rate_hz is not None:
                note += f"  {metrics.rate_hz:.1f} Hz"
            update(metrics.iteration, note)

        yield show
