"""`report`: one HTML page about a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware import emulator
from hardware.description import NetworkDescription
from hardware.lava_processes._lava import is_installed
from hardware.lava_processes.runner import run_lava
from hardware.quantization import (
    PARAMETERS_DIGEST,
    integer_input,
    output_scale,
    parameters_digest,
)
from spikelearn import runs
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    print_json,
)
from spikelearn.cli._export import (
    DESCRIPTION,
    Scores,
    VerifiedNetwork,
    read_scores,
    read_verification,
)
from spikelearn.errors import FileFormatError, HardwareError
from spikelearn.report import HardwareComparison, write_report

__all__ = ["make_report", "register"]

STALE = "The export is of other weights than this run holds now: export again."
MIXED = "The scores of the export are of another network.h5: export again."
UNVERIFIED = "The verification is of another network.h5: verify again."


def make_report(
    run: runs.Run, *, sample: int = 0, lava: bool = True, threads: int = 1
) -> Path:
    """Write the report of a run, with its export and Lava when they are there."""
    comparison, notice = _comparison(run, sample, lava)
    return write_report(
        run, hardware=comparison, notice=notice, sample=sample, threads=threads
    )


def _comparison(
    run: runs.Run, sample: int, lava: bool
) -> tuple[HardwareComparison | None, str]:
    """Run one test sample through float network, emulator and Lava.

    Returns the comparison, or None without an export of the weights of the run, and
    what the page has to say about files that belong to other weights.
    """
    folder = run.folder.path / "export"
    if not (folder / DESCRIPTION).is_file():
        return None, ""
    description = NetworkDescription.load(folder / DESCRIPTION)
    if description.metadata.get(PARAMETERS_DIGEST) != parameters_digest(run.network):
        return None, STALE
    scores = read_scores(folder)
    digest = description.sha256()
    if scores.network_sha256 != digest:
        return None, MIXED
    verification, notice = read_verification(folder), ""
    if verification is not None and verification.network_sha256 != digest:
        verification, notice = None, UNVERIFIED
    return _compare(run, sample, lava, description, scores, verification), notice


def _compare(
    run: runs.Run,
    sample: int,
    lava: bool,
    description: NetworkDescription,
    scores: Scores,
    verification: VerifiedNetwork | None,
) -> HardwareComparison:
    path = run.folder.path / "export" / DESCRIPTION
    try:
        scale = output_scale(description)
    except HardwareError as error:
        raise FileFormatError(f"file {str(path)!r}: {error}") from error
    batches = run.task.evaluation("test", sample + 1, sample + 1)
    x = np.concatenate([batch.x for batch in batches], axis=1)[:, sample : sample + 1]
    integers = integer_input(x, description.input_bits)
    record = run.network.run(x)
    emulated: Any = emulator.run(description, integers)
    lava_record = None
    if lava and is_installed():
        lava_record = run_lava([(description, integers)], None)[0]
    return HardwareComparison(
        quantization=scores.quantization.to_dict(),
        accuracy_float=scores.float.accuracy,
        accuracy_fixed=scores.fixed.accuracy,
        loss_float=scores.float.loss,
        loss_fixed=scores.fixed.loss,
        n_test=scores.fixed.samples,
        x=x[:, 0],
        spikes_float=record.spikes[:, 0],
        spikes_emulator=emulated.spikes[:, 0],
        spikes_lava=None if lava_record is None else lava_record.spikes[:, 0],
        y_float=record.y[:, 0],
        y_emulator=emulated.y[:, 0] / scale,
        y_lava=None if lava_record is None else lava_record.y[:, 0] / scale,
        verification=None if verification is None else asdict(verification),
        bits=scores.quantization.bits,
    )


def report(
    run: RunArgument,
    sample: Annotated[
        int, typer.Option(min=0, help="Test sample that the rasters show.")
    ] = 0,
    lava: Annotated[
        bool, typer.Option(help="Run the sample in Lava too, if it is installed.")
    ] = True,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Write report.html: one self-contained page, readable without a network."""
    path = make_report(runs.load_run(run), sample=sample, lava=lava, threads=threads)
    if as_json:
        print_json({"report": str(path)})
    else:
        console.print(f"report: {path}")


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command(epilog="Example: spikelearn report runs/digits --sample 3")(report)
