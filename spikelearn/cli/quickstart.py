"""`quickstart`: the whole road on real digits, in about a minute."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hardware.lava_processes import _lava
from spikelearn import runs
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    ThreadsOption,
    console,
    evaluation_line,
    print_json,
    training_progress,
)
from spikelearn.cli.deployment import (
    DESCRIPTION,
    export_run,
    print_export,
    print_verification,
    verify_file,
)
from spikelearn.cli.reporting import make_report
from spikelearn.errors import FileAccessError, optional_import
from spikelearn.learning.evaluation import evaluate_network

__all__ = ["register"]

OVERRIDES = ("task.name=digits-rows",)


def quickstart(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/quickstart"),
    lava: Annotated[
        bool, typer.Option(help="Verify against Lava (needs lava-nc).")
    ] = True,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Train on real digits, quantise, emulate, verify against Lava, write a report.

    Called again on the same folder it continues where it was, and repeats the rest.
    A folder that holds another run is left as it is.
    """
    started = time.perf_counter()
    optional_import("matplotlib", "plot", "the report")
    if lava:
        _lava.prepare()
    quiet = as_json

    def say(text: str) -> None:
        if not quiet:
            console.print(f"[bold cyan]{text}[/bold cyan]")

    config = runs.resolve_config({}, OVERRIDES)
    there = _holds_run(out, config)
    network, n = config.network, config.training.iterations
    say(
        f"1/5 Train {network.n_rec} {network.cell} cells with {config.learning.rule} "
        f"on {config.task.name}"
    )
    with training_progress(n) as progress:
        if there:
            run = runs.resume(out, config=config, threads=threads, progress=progress)
        else:
            run = runs.train(config, out, threads=threads, progress=progress)

    say("2/5 Evaluate on test data that training never saw")
    scores = evaluate_network(run.network, run.task, run.loss, "test", threads=threads)
    if not quiet:
        console.print(evaluation_line(scores, run.task.kind))

    say("3/5 Quantise to 8-bit weights and run the integer emulator")
    exported = export_run(run, threads=threads)
    if not quiet:
        print_export(exported, run.task.kind)

    say("4/5 Run the same integers in Lava's Loihi processes and compare every value")
    verified = None
    if lava:
        path = exported.folder / DESCRIPTION
        verified = verify_file(path, "lava", threads=threads)
        if not quiet:
            print_verification(verified)

    say("5/5 Write the report")
    page = make_report(run, lava=lava, threads=threads)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "accuracy_float": exported.float_scores.accuracy,
                "accuracy_fixed": exported.fixed_scores.accuracy,
                "lava_samples": verified.samples if verified else 0,
                "lava_differing_values": verified.differing_values
                if verified
                else None,
                "neuron_process": verified.neuron_process if verified else None,
                "seconds": round(seconds, 2),
                "report": str(page),
            }
        )
    else:
        console.print(f"Done in {seconds:.0f} s. Open {page}")
    if verified is not None and not verified.passed:
        raise typer.Exit(1)


def _holds_run(out: Path, config: runs.RunConfig) -> bool:
    """Return whether the folder holds the run of a configuration, and no other."""
    folder = runs.RunFolder(out)
    if not folder.config_path.exists():
        return False
    if folder.read_config() != config:
        raise FileAccessError(
            f"run folder {str(out)!r} must be new or of an earlier quickstart; it "
            "holds another run. (Choose another folder with --out.)"
        )
    return True


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command(epilog="Example: spikelearn quickstart --out runs/quickstart --json")(
        quickstart
    )
