"""`export` and `verify`: from a trained run to checked integers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware import emulator
from hardware.description import NetworkDescription
from hardware.evaluation import evaluate_description
from hardware.export.lava import write_script
from hardware.export.runner import RUNNER, write_numpy_runner
from hardware.quantization import integer_input
from hardware.quantization_report import QuantizationReport
from hardware.trained import quantise_run, samples_within
from hardware.verification import VerificationReport, verify
from spikelearn import runs
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    evaluation_line,
    print_json,
    print_table,
)
from spikelearn.cli._export import (
    DESCRIPTION,
    JSON,
    Scores,
    check_target,
    find_description,
    replaced_folder,
    verification_dict,
    write_scores,
    write_verification,
)
from spikelearn.cli._fuzz import run_fuzz
from spikelearn.errors import InvalidValue, require
from spikelearn.files import write_text
from spikelearn.learning.evaluation import Evaluation, evaluate_network

__all__ = [
    "DESCRIPTION",
    "Export",
    "export_run",
    "print_export",
    "print_verification",
    "register",
    "verify_file",
]

DEFAULT_VECTORS = 50


@dataclass(frozen=True)
class Export:
    """An exported network and how it compares with the float one."""

    folder: Path
    description: NetworkDescription
    report: QuantizationReport
    float_scores: Evaluation
    fixed_scores: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Return what `quantization.json` holds."""
        return self.scores().to_dict()

    def scores(self) -> Scores:
        """Return report and scores with the digest of the network that they are of."""
        digest = self.description.sha256()
        return Scores(self.report, self.float_scores, self.fixed_scores, digest)


def export_run(
    run: runs.Run,
    out: Path | None = None,
    *,
    bits: int | None = None,
    rounding: str = "nearest",
    vectors: int | None = None,
    strict: bool = True,
    threads: int = 1,
) -> Export:
    """Quantise a run, score it by the emulator and write the export folder.

    Calibration uses training data; the test vectors are inputs of the test split. The
    folder is replaced as a whole: on any error an older export stays as it was. A run
    that was trained as integers keeps their scales; `bits` is then the number that it
    was trained with, and else 8.

    Raises
    ------
    FileAccessError
        If `out` is a file, holds anything but an export, or cannot be written.
    HardwareError
        If `strict` and integers do not represent the network.
    """
    folder = run.folder.path / "export" if out is None else out
    check_target(folder)
    task, network = run.task, run.network
    metadata: dict[str, Any] = {
        "task": task.name,
        "kind": task.kind,
        "rule": run.config.learning.rule,
        "seed": run.config.training.seed,
        "iteration": run.best_iteration,
    }
    description, report = quantise_run(
        run,
        bits=bits,
        rounding=rounding,
        strict=strict,
        metadata=metadata,
        threads=threads,
    )
    arguments = (task, run.loss, "test")
    float_scores = evaluate_network(network, *arguments, threads=threads)
    fixed_scores = evaluate_description(description, *arguments, threads=threads)
    if vectors is None:
        possible = samples_within(task.n_steps * network.n_rec * 13)
        vectors = min(DEFAULT_VECTORS, possible)
    description = _with_vectors(description, run, vectors, threads)

    exported = Export(folder, description, report, float_scores, fixed_scores)
    with replaced_folder(folder) as new:
        write_scores(new, exported.scores())
        write_text(new / JSON, description.to_json())
        write_numpy_runner(JSON, new / RUNNER)
        write_script(description, new / Path(DESCRIPTION).with_suffix(".py").name)
    return exported


def _with_vectors(
    description: NetworkDescription, run: runs.Run, vectors: int, threads: int
) -> NetworkDescription:
    batches = list(run.task.evaluation("test", vectors, vectors))
    x = np.concatenate([batch.x for batch in batches], axis=1)
    label = None
    if all(batch.target.ndim == 1 for batch in batches):  # one class per sample
        label = np.concatenate([batch.target for batch in batches])
    integers = integer_input(x, description.input_bits)
    record = emulator.run(description, integers, threads=threads)
    return dataclasses.replace(description, vectors=record.vectors(integers, label))


def verify_file(
    path: Path,
    against: str = "lava",
    *,
    samples: int | None = None,
    timeout: float | None = None,
    threads: int = 1,
) -> VerificationReport:
    """Verify a description file and write `verification.json` beside it."""
    description = NetworkDescription.load(path)
    report = verify(
        description, against=against, samples=samples, timeout=timeout, threads=threads
    )
    if against == "lava":
        write_verification(path.parent, report, description)
    return report


def export(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Export folder.", show_default="RUN/export")
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=8,
            help="Bits of a weight with its sign.",
            show_default="those it was trained with, or 8",
        ),
    ] = None,
    rounding: Annotated[
        str, typer.Option(help="Of weights: nearest, floor or stochastic.")
    ] = "nearest",
    vectors: Annotated[
        int | None,
        typer.Option(min=1, help="Test vectors to store.", show_default="up to 50"),
    ] = None,
    strict: Annotated[
        bool, typer.Option(help="Fail when integers do not represent the network.")
    ] = True,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Quantise a run: network.h5, .json, scripts for Lava and NumPy, and a report."""
    loaded = runs.load_run(run)
    exported = export_run(
        loaded,
        out,
        bits=bits,
        rounding=rounding,
        vectors=vectors,
        strict=strict,
        threads=threads,
    )
    if as_json:
        print_json({"export": str(exported.folder)} | exported.to_dict())
        return
    print_export(exported, loaded.task.kind)
    console.print(f"next: spikelearn verify {exported.folder} --against lava")


def print_export(exported: Export, kind: str) -> None:
    """Print blocks, peaks and scores; `kind` is that of the task."""
    report = exported.report
    columns = (
        "block",
        "exponent",
        "bits",
        "sign",
        "largest |mantissa|",
        "error",
        "lost",
    )
    rows = [
        (
            block.name,
            block.exponent,
            block.bits,
            block.sign,
            block.largest_mantissa,
            f"{block.relative_error:.2%}",
            block.lost,
        )
        for block in report.blocks
    ]
    print_table("Weights", columns, rows)
    console.print(
        f"peaks of 24 bits: u {report.peak_u:.0%}, v {report.peak_v:.0%}; "
        f"{report.u_wraps} overflows, {report.v_saturations} saturations; "
        f"{report.spikes_float} float and {report.spikes_integer} integer spikes, "
        f"{report.spikes_differing} neuron-steps differ"
    )
    drift = report.drift
    first = drift.first_difference
    console.print(
        f"spike trains: error {report.spike_error:.0%}, shift {drift.shift:.2g} ms, "
        f"{drift.lost:.1%} lost, {drift.extra:.1%} new; first difference at step "
        f"{'-' if first is None else f'{first:g}'}; {report.fell_silent} neurons fell "
        f"silent, {report.new_neurons} are new"
    )
    for layer in report.layers if len(report.layers) > 1 else ():
        console.print(
            f"  layer of scale {layer.voltage_scale:.4g}: weights "
            f"{layer.weight_error:.2%} off, spike trains {layer.spike_error:.0%}"
        )
    console.print(f"float   {evaluation_line(exported.float_scores, kind)}")
    console.print(f"integer {evaluation_line(exported.fixed_scores, kind)}")
    console.print(f"export folder: {exported.folder}")


def verify_command(
    path: Annotated[
        Path | None,
        typer.Argument(help="A network.h5, an export folder or a run folder."),
    ] = None,
    against: Annotated[
        str, typer.Option(help="lava, or emulator (the stored test vectors).")
    ] = "lava",
    samples: Annotated[
        int | None, typer.Option(min=1, help="Number of stored test vectors to use.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1.0, help="Time limit of the child, s.")
    ] = None,
    fuzz: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of PATH: so many random networks."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the networks.")] = 0,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Compare the emulator with Lava, value by value; exit status 1 if one differs."""
    if fuzz is not None:
        require(path is None, "verify", "takes a path or --fuzz, not both", path)
        run_fuzz(fuzz, seed, timeout, threads, as_json)
        return
    if path is None:
        raise InvalidValue("verify needs a path or --fuzz N; got neither.")
    report = verify_file(
        find_description(path),
        against,
        samples=samples,
        timeout=timeout,
        threads=threads,
    )
    if as_json:
        print_json(verification_dict(report))
    else:
        print_verification(report)
    if not report.passed:
        raise typer.Exit(1)


def print_verification(report: VerificationReport) -> None:
    """Print the verdict in one line, and the first difference."""
    verdict = "identical" if report.passed else "DIFFERENT"
    console.print(
        f"{verdict}: {report.samples} samples x {report.steps} steps against "
        f"{report.against}; differing u {report.differing_u}, v {report.differing_v}, "
        f"adaptation {report.differing_b}, spikes {report.differing_spikes}, readout "
        f"{report.differing_y} ({report.n_spikes} spikes, {report.seconds:.1f} s)"
    )
    if report.neuron_process is not None:
        console.print(
            f"neurons: {report.neuron_process}; synapses and readout: Lava's own"
        )
    if report.differing_r:
        console.print(f"differing refractory state: {report.differing_r}")
    if report.first is not None:
        console.print(f"first difference: {report.first}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(epilog="Example: spikelearn export runs/digits --bits 8")(export)
    app.command(
        name="verify",
        epilog="Example: spikelearn verify runs/digits --against lava --json",
    )(verify_command)
