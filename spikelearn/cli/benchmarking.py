"""`bench`: how long the workloads of the benchmark take here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spikelearn.benchmark import WORKLOADS, measure_ours, select
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    ThreadsOption,
    console,
    print_json,
    print_table,
    progress_console,
)

__all__ = ["register"]


def bench(
    workloads: Annotated[
        str | None,
        typer.Option(
            help="Names or families separated by commas, such as w1,w2_pat",
            show_default="all",
        ),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Timed runs of each workload.",
            show_default="what fits into two seconds, 5 to 200",
        ),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Show the workloads and run none.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Time forward passes and training steps; check their gradients first.

    Times are medians in ms of whole steps: forward pass, gradient and Adam, or the
    forward pass alone for inference. gradient_error compares float32 gradients with
    float64 ones, max |g - g64| / max |g64|.
    """
    names = WORKLOADS if workloads is None else workloads.replace(" ", "").split(",")
    chosen = select(names)
    if list_only:
        listed = [w.to_dict() for w in chosen]
        if as_json:
            print_json(listed)
        else:
            _print_list(listed)
        return
    rows = []
    for number, workload in enumerate(chosen, 1):
        line = f"{number}/{len(chosen)}  {workload.name}"
        progress_console.print(line, highlight=False)
        rows.append(measure_ours(workload, threads, repeats))
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)


def _print_list(listed: list[dict[str, Any]]) -> None:
    columns = ("name", "kind", "cell", "n_in", "n_rec", "n_out", "steps", "batch")
    keys = (*columns[:6], "n_steps", "n_samples")
    rows = [[each.get(key, "") for key in keys] for each in listed]
    print_table("Workloads", columns, rows)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    columns = ("workload", "kind", "median ms", "best ms", "runs", "gradient error")
    table = []
    for row in rows:
        error = row["gradient_error"]
        compared = (
            "-" if error is None else f"{error:.0e} ({row['gradient_reference']})"
        )
        times = [f"{row['median_ms']:.3g}", f"{row['best_ms']:.3g}", row["repeats"]]
        table.append([row["workload"], row["kind"], *times, compared])
    print_table(f"{rows[0]['threads']} threads, {rows[0]['dtype']}", columns, table)
    console.print("Compared with other simulators: make bench-peers")


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn bench --workloads w1,w2_pat --threads 2 --json"
    app.command(epilog=example)(bench)
