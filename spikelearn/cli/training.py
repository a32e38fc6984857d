"""`train`, `resume`, `evaluate`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from hardware.trained import evaluate_run
from hardware.training import from_config
from spikelearn import runs
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    evaluation_line,
    print_json,
    training_progress,
)
from spikelearn.cli._configuration import (
    SeedOption,
    TaskOption,
    ValuesArgument,
    configuration,
)
from spikelearn.learning.evaluation import Evaluation
from spikelearn.report.material import integer_obstacles

__all__ = ["register"]


def train(
    values: ValuesArgument = None,
    task: TaskOption = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New run folder.", show_default="runs/TASK-seedN"),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Train a network; everything about the run goes into one folder."""
    config = configuration("train", values or [], task, seed)
    if out is None:
        out = Path("runs") / f"{config.task.name}-seed{config.training.seed}"
    with training_progress(config.training.iterations) as progress:
        run = runs.train(
            config, out, threads=threads, progress=progress, hardware=from_config
        )
    _print_result(run, as_json)


def resume(
    run: RunArgument,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Continue an interrupted run, with the same bits as if it had not been."""
    folder = runs.RunFolder.open(run)
    config = folder.read_config()
    with training_progress(config.training.iterations) as progress:
        finished = runs.resume(
            run,
            config=config,
            threads=threads,
            progress=progress,
            hardware=from_config,
        )
    _print_result(finished, as_json)


def _print_result(run: runs.Run, as_json: bool) -> None:
    result = run.folder.result() or {}
    if as_json:
        print_json({"run": str(run.folder.path)} | result)
        return
    console.print(
        f"{result['iterations']} iterations in {result['seconds']:.1f} s; best "
        f"validation at iteration {result['best_iteration']}"
    )
    for split in ("validation", "test"):
        scores = Evaluation(**result[split])
        console.print(evaluation_line(scores, run.task.kind))
    path = run.folder.path
    verb = "report" if integer_obstacles(run) else "export"
    console.print(f"run folder: {path}\nnext: spikelearn {verb} {path}")


def evaluate(
    run: RunArgument,
    split: Annotated[str, typer.Option(help="validation or test")] = "test",
    samples: Annotated[
        int | None, typer.Option(min=1, help="Use only so many samples.")
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Score the best weights of a run on data it was not trained on."""
    loaded = runs.load_run(run)
    scores = evaluate_run(loaded, split, size=samples, threads=threads)
    if as_json:
        print_json(dataclasses.asdict(scores))
    else:
        console.print(evaluation_line(scores, loaded.task.kind))


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    example = "Example: spikelearn train --task digits-rows n_rec=64 --out runs/digits"
    app.command(epilog=example)(train)
    app.command(epilog="Example: spikelearn resume runs/digits")(resume)
    app.command(epilog="Example: spikelearn evaluate runs/digits --split test")(
        evaluate
    )
