"""`check` and `cost`: whether a network fits a chip, and what it would cost there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware.check import CheckReport, check_report
from hardware.chips import chip as chip_of
from hardware.cost import Cost, Estimate
from hardware.cost import cost as cost_of
from hardware.description import NetworkDescription
from hardware.quantization import (
    PARAMETERS_DIGEST,
    integer_input,
    parameters_digest,
)
from hardware.trained import BITS, quantise_run
from hardware.utilisation import draw_utilisation
from spikelearn import runs, tasks
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    ThreadsOption,
    console,
    print_json,
    print_table,
)
from spikelearn.cli._export import DESCRIPTION, find_description
from spikelearn.errors import InvalidValue, require
from spikelearn.network import RecurrentNetwork
from spikelearn.report.charts import check_figure
from spikelearn.runs.build import build_network
from spikelearn.tasks import Task

__all__ = ["register"]

DEFAULT_SAMPLES = 100
BATCH_VALUES = 4_000_000  # neurons x steps x samples of one run of the emulator

ChipOption = Annotated[
    str,
    typer.Option(
        "--chip", metavar="NAME|FILE", help="A chip of `spikelearn chips`, or TOML."
    ),
]
BitsOption = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=8,
        help="Bits of a weight with its sign.",
        show_default="those it is trained with, or 8",
    ),
]


def check(
    subject: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG|RUN|NETWORK",
            help="A configuration (before training), a run folder, a network.h5 or an "
            "export folder.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE ...]", help="Overrides of a configuration."),
    ] = None,
    chip: ChipOption = "loihi1",
    bits: BitsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that does not fit a chip; exit status 1 if there is anything.

    Limits that are not known are not checked; the answer names them.
    """
    spec = chip_of(chip)  # before a network is built
    given = _subject(subject, overrides or [])
    if isinstance(given.network, NetworkDescription):
        _refuse_bits(bits)
    report = check_report(
        given.network,
        spec,
        bits=bits or given.bits or BITS,
        input_bits=given.input_bits,
        trained=given.trained,
        fan_in=given.fan_in,
    )
    if as_json:
        print_json(_check_answer(report, subject))
    else:
        _print_check(report, subject)
    if not report.fits:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Subject:
    """What is checked; `bits` and `fan_in` are those of `[hardware]`, if any."""

    network: RecurrentNetwork | NetworkDescription
    input_bits: int | None = 0
    bits: int | None = None
    trained: bool = False
    fan_in: int | None = None


def _subject(path: Path, overrides: list[str]) -> _Subject:
    """Return the network of a path: its weights count only once they are trained."""
    is_run = (path / "config.toml").is_file()
    is_config = path.is_file() and path.suffix == ".toml"
    if overrides and not is_config:
        raise InvalidValue(
            f"overrides must follow a configuration; got {overrides} after "
            f"{str(path)!r}. (Give a CONFIG.toml.)"
        )
    if is_run:
        run = runs.load_run(path)
        own = (run.task.input_bits, _of_hardware(run.config)[0])
        return _Subject(run.network, *own, trained=True)
    if is_config or path.suffix == ".toml":
        config = runs.resolve_config(runs.load_config(path), overrides)
        task = tasks.make(config.task.name, **config.task.parameters())
        bits, fan_in = _of_hardware(config)
        network = build_network(config, task)
        return _Subject(network, task.input_bits, bits, fan_in=fan_in)
    return _Subject(NetworkDescription.load(find_description(path)))


def _of_hardware(config: runs.RunConfig) -> tuple[int | None, int | None]:
    """Return the bits of a weight and the synapses of a neuron that training keeps."""
    section = config.hardware
    return (None, None) if section is None else (section.weight_bits, section.fan_in)


def _refuse_bits(bits: int | None) -> None:
    """Refuse other bits of a description, whose weights are integers already."""
    rule = "must be left out for a network.h5 or an export, which has its own bits"
    hint = "Give the run folder, or export it again with other bits."
    require(bits is None, "--bits", rule, bits, hint)


def _check_answer(report: CheckReport, subject: Path) -> dict[str, Any]:
    mapping = report.mapping
    return {
        "chip": report.chip,
        "subject": str(subject),
        "fits": report.fits,
        "findings": [dataclasses.asdict(finding) for finding in report.violations],
        "unchecked": list(report.unchecked),
        "cores": None if mapping is None else mapping.n_cores,
    }


def _print_check(report: CheckReport, subject: Path) -> None:
    verdict = "fits" if report.fits else "does not fit"
    console.print(f"{verdict}: {subject} on {report.chip}", highlight=False)
    if not report.fits:
        rows = [(v.place, v.limit, v.value, v.remedy) for v in report.violations]
        print_table("Findings", ("place", "must be", "got", "remedy"), rows)
    if report.mapping is not None and report.mapping.n_cores is not None:
        console.print(f"cores: {report.mapping.n_cores}", highlight=False)
    if report.unchecked:
        names = ", ".join(name.replace("_", " ") for name in report.unchecked)
        console.print(f"not checked, because not known: {names}", highlight=False)


@dataclass(frozen=True)
class _Workload:
    """A description and the inputs it is run on."""

    description: NetworkDescription
    batches: Iterator[np.ndarray]


def cost(
    subject: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|NETWORK",
            help="A run folder (its export is taken if it has the weights of the run "
            "and the bits), a network.h5 or an export folder.",
        ),
    ],
    chip: ChipOption = "loihi1",
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Test samples to run.",
            show_default="all stored test vectors, or 100 of the task",
        ),
    ] = None,
    bits: BitsOption = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw how full the cores are: .svg or .png.")
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Count operations on test data, map to cores, and estimate energy and time.

    Energy comes from published tables of single operations only, with what they assume;
    a chip without one gets none.
    """
    if figure is not None:
        check_figure(figure)
    spec = chip_of(chip)
    workload = _workload(subject, samples, bits, threads)
    answer = cost_of(workload.description, spec, workload.batches, threads=threads)
    if figure is not None:
        draw_utilisation(answer.mapping, figure)
    if as_json:
        print_json({"subject": str(subject)} | answer.to_dict())
    else:
        _print_cost(answer, subject)
        if figure is not None:
            console.print(f"written: {figure}")


def _workload(
    path: Path, samples: int | None, bits: int | None, threads: int
) -> _Workload:
    """Return what is to be run: a run on test data, a network on its test vectors."""
    if (path / "config.toml").is_file():
        run = runs.load_run(path)
        description = _exported(run, bits)
        if description is None:
            description, _ = quantise_run(run, bits=bits, threads=threads)
        size = samples or DEFAULT_SAMPLES
        return _Workload(description, _test_data(description, run.task, size))
    description = NetworkDescription.load(find_description(path))
    _refuse_bits(bits)
    vectors = description.vectors
    if vectors is None:
        raise InvalidValue(
            f"network {str(path)!r} must hold test vectors; got none. (Export it with "
            "`spikelearn export`, or give its run folder.)"
        )
    available = vectors.x.shape[1]
    if samples is not None and samples > available:
        raise InvalidValue(
            f"--samples must be at most {available}, the stored test vectors; got "
            f"{samples}."
        )
    return _Workload(description, _cut(description, vectors.x[:, :samples]))


def _exported(run: runs.Run, bits: int | None) -> NetworkDescription | None:
    """Return the export of a run if it is of these weights, with the wanted bits."""
    path = run.folder.path / "export" / DESCRIPTION
    if not path.is_file():
        return None
    found = NetworkDescription.load(path)
    fresh = found.metadata.get(PARAMETERS_DIGEST) == parameters_digest(run.network)
    blocks = (found.w_in, found.w_rec, found.w_out)
    same_bits = bits is None or all(block.bits == bits for block in blocks)
    return found if fresh and same_bits else None


def _batch_size(description: NetworkDescription, steps: int) -> int:
    return max(1, BATCH_VALUES // (steps * description.n_rec))


def _test_data(
    description: NetworkDescription, task: Task, size: int
) -> Iterator[np.ndarray]:
    largest = _batch_size(description, task.n_steps)
    for batch in task.evaluation("test", size, largest):
        yield integer_input(batch.x, description.input_bits)


def _cut(description: NetworkDescription, x: np.ndarray) -> Iterator[np.ndarray]:
    largest = _batch_size(description, max(len(x), 1))
    for first in range(0, x.shape[1], largest):
        yield x[:, first : first + largest]


def _print_cost(answer: Cost, subject: Path) -> None:
    mapping = answer.mapping
    rows: list[tuple[str, str]] = []
    if mapping.n_cores is None:
        rows.append(("cores", f"unknown: no limit of a core of {answer.chip} is known"))
    else:
        available = f" of {mapping.available}" if mapping.available else ""
        rows.append(("cores", f"{mapping.n_cores}{available}"))
    used = mapping.synapse_bytes
    rows.append(("synapse memory", "unknown" if used is None else f"{used:,} bytes"))
    for name, value in dataclasses.asdict(answer.operations).items():
        shown = "unknown" if value is None else f"{value:,.1f}"
        rows.append((name.replace("_", " "), shown))
    title = f"{subject} on {answer.chip}: one of {answer.samples} test samples, mean"
    print_table(title, ("what", "value"), rows)
    metrics = [(k, _metric(v)) for k, v in answer.neurobench.items()]
    print_table("NeuroBench 2.3.0", ("metric", "value"), metrics)
    for estimate in answer.estimates:
        _print_estimate(estimate)
    if answer.findings:
        places = ", ".join(finding.place for finding in answer.findings)
        console.print(
            f"does not fit {answer.chip} as it is (spikelearn check): {places}",
            highlight=False,
        )
    if answer.reason:
        console.print(f"energy: none ({answer.reason})", highlight=False)


def _metric(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_metric(v)}" for k, v in value.items())
    return "not defined" if value is None else f"{value:,.6g}"


def _print_estimate(estimate: Estimate) -> None:
    time = "" if estimate.seconds is None else f", {estimate.seconds * 1e6:.4g} us"
    parts = ", ".join(
        f"{name.replace('_', ' ')} {joules * 1e6:.3g}"
        for name, joules in estimate.breakdown.items()
    )
    energy = f"{estimate.joules * 1e6:.4g} uJ per sample{time}"
    console.print(
        f"[bold]{estimate.table}[/bold]: {energy} ({parts}); {estimate.source}",
        highlight=False,
    )
    for assumption in estimate.assumptions:
        console.print(f"  - {assumption}", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(epilog="Example: spikelearn check digits.toml --chip loihi1")(check)
    app.command(epilog="Example: spikelearn cost runs/digits --chip loihi1")(cost)
