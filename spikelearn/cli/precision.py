"""`precision`: what fewer bits of weights cost, rounded after or in training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from hardware.evaluation import evaluate_description
from hardware.trained import evaluate_run, quantise_run
from hardware.training import from_config
from spikelearn import runs
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    print_json,
    print_table,
    training_progress,
)
from spikelearn.errors import InvalidValue
from spikelearn.files import ensure_folder, write_json
from spikelearn.learning.evaluation import Evaluation

__all__ = ["register"]

FEWEST, MOST = 2, 8


@dataclass(frozen=True)
class Precision:
    """One number of bits: errors of rounding after training, and scores of both ways.

    `weight_error` is that of the layer with the largest one; `spike_error` that of
    `hardware.spike_trains.spike_train_error` on the calibration data.
    """

    bits: int
    weight_error: float
    spike_error: float
    after: Evaluation
    aware: Evaluation | None


def precision(
    run: RunArgument,
    bits: Annotated[
        list[int] | None,
        typer.Option(
            min=FEWEST,
            max=MOST,
            help="Bits of a weight; repeat it.",
            show_default="all",
        ),
    ] = None,
    rounding: Annotated[
        str, typer.Option(help="After training: nearest, floor or stochastic.")
    ] = "nearest",
    aware: Annotated[
        bool, typer.Option(help="Also train with the rounded weights, once per number.")
    ] = True,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Begin with initial weights, not RUN's.")
    ] = False,
    iterations: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Iterations with rounded weights.",
            show_default="a quarter of RUN's; from scratch all of them",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of these runs.", show_default="RUN/precision"),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Score a run with fewer bits on test data: rounded after training, or in it.

    Runs with rounded weights begin with the weights of RUN and have its configuration
    otherwise. They are continued if they were interrupted.
    """
    loaded = runs.load_run(run)
    section = loaded.config.hardware
    if section is not None and section.weight_bits is not None:
        raise InvalidValue(
            f"run {str(run)!r} must be trained in floating point; got "
            f"hardware.weight_bits = {section.weight_bits}. (Compare the float run.)"
        )
    folder = loaded.folder.path / "precision" if out is None else out
    chosen = sorted(set(bits or range(FEWEST, MOST + 1)))
    ensure_folder(folder)  # before the work, not after it
    reference = evaluate_run(loaded, "test", threads=threads)
    changes = _changes(loaded, scratch, iterations)
    rows = [
        _row(loaded, each, rounding, folder if aware else None, changes, threads)
        for each in chosen
    ]
    answer = {
        "run": str(loaded.folder.path),
        "rounding": rounding,
        "float": asdict(reference),
        "bits": [asdict(row) for row in rows],
    }
    write_json(folder / "precision.json", answer)
    if as_json:
        print_json(answer)
        return
    _print(reference, rows, rounding)
    console.print(f"written: {folder / 'precision.json'}")


def _changes(run: runs.Run, scratch: bool, iterations: int | None) -> list[str]:
    """Return what is different in the configuration of runs with rounded weights."""
    all_of_them = run.config.training.iterations
    default = all_of_them if scratch else max(all_of_them // 4, 1)
    changes = [f"training.iterations={iterations or default}"]
    if not scratch:
        changes.append(f"training.start={json.dumps(str(run.folder.path.resolve()))}")
    return changes


def _row(
    run: runs.Run,
    bits: int,
    rounding: str,
    folder: Path | None,
    changes: list[str],
    threads: int,
) -> Precision:
    description, report = quantise_run(
        run, bits=bits, rounding=rounding, strict=False, threads=threads
    )
    return Precision(
        bits=bits,
        weight_error=max(layer.weight_error for layer in report.layers),
        spike_error=report.spike_error,
        after=evaluate_description(
            description, run.task, run.loss, "test", threads=threads
        ),
        aware=None if folder is None else _aware(run, bits, folder, changes, threads),
    )


def _aware(
    run: runs.Run, bits: int, folder: Path, changes: list[str], threads: int
) -> Evaluation:
    """Train the configuration of a run with rounded weights, and score that run."""
    overrides = [f"hardware.weight_bits={bits}", *changes]
    config = runs.resolve_config(run.config.to_dict(), overrides)
    path = folder / f"bits-{bits}"
    with training_progress(config.training.iterations) as progress:
        if path.exists():
            _check_same(runs.RunFolder.open(path).read_config(), config)
            if config.training.start is not None:
                _check_newer(run, path)
            trained = runs.resume(
                path, threads=threads, progress=progress, hardware=from_config
            )
        else:
            trained = runs.train(
                config, path, threads=threads, progress=progress, hardware=from_config
            )
    return evaluate_run(trained, "test", threads=threads)


def _check_newer(run: runs.Run, path: Path) -> None:
    """Refuse runs that began with weights which are not those of the run any more."""
    begun = (path / "config.toml").stat().st_mtime
    if run.folder.checkpoint_path.stat().st_mtime > begun:
        raise InvalidValue(
            f"runs in {str(path.parent)!r} must be younger than the run they start "
            "from; got older ones. (Choose another folder with --out.)"
        )


def _check_same(found: runs.RunConfig, wanted: runs.RunConfig) -> None:
    if found != wanted:
        raise InvalidValue(
            "the folder of runs with rounded weights must have the configuration of "
            "the run; got another one. (Choose another folder with --out.)"
        )


def _print(reference: Evaluation, rows: list[Precision], rounding: str) -> None:
    def score(scores: Evaluation | None) -> str:
        if scores is None:
            return "-"
        if scores.accuracy is None:
            return f"{scores.loss:.4g}"
        return f"{scores.accuracy:.2%}"

    kind = "loss" if reference.accuracy is None else "accuracy"
    columns = (
        "bits",
        "weights off",
        "spike trains off",
        f"rounded after ({rounding})",
        "rounded in training",
    )
    values = [
        (
            row.bits,
            f"{row.weight_error:.1%}",
            f"{row.spike_error:.0%}",
            score(row.after),
            score(row.aware),
        )
        for row in rows
    ]
    title = f"Test {kind}; float {score(reference)}, {reference.samples} samples"
    print_table(title, columns, values)


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn precision runs/digits --bits 4 --bits 8"
    app.command(epilog=example)(precision)
