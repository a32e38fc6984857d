"""`gradcheck`: how far the gradients of the rules agree with the true one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hardware.training import from_config
from spikelearn import tasks
from spikelearn.analysis.alignment import (
    RECURRENT_SIDE,
    Alignment,
    align,
    reason_against,
)
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    ThreadsOption,
    console,
    figure_of,
    print_json,
    print_table,
    training_progress,
)
from spikelearn.cli._configuration import (
    Given,
    SeedOption,
    TaskOption,
    ValuesArgument,
    chosen_rules,
)
from spikelearn.errors import InvalidValue
from spikelearn.files import write_json
from spikelearn.learning.rules import BPTT
from spikelearn.network import CELLS, RecurrentNetwork
from spikelearn.report.alignment_map import lag_label, write_alignment_map
from spikelearn.runs import RunConfig, resolve_config
from spikelearn.runs.build import (
    build_loss,
    build_network,
    build_trainer,
)
from spikelearn.tasks import Task

__all__ = ["DEFAULT", "register"]

# A network small enough for the definitions, with cell types and delays, so that every
# rule has something to do; for one kind of cell after the other.
DEFAULT: dict[str, dict[str, Any]] = {
    "task": {
        "name": "evidence-accumulation",
        "n_cues": 3,
        "cue_ms": 20.0,
        "gap_ms": 10.0,
        "delay_ms": 50.0,
        "recall_ms": 30.0,
        "f_cue_hz": 100.0,
        "f_noise_hz": 20.0,
        "n_per_group": 5,
    },
    "network": {
        "n_rec": 24,
        "excitatory_fraction": 0.75,
        "delay": 1,
        "longest_delay": 3,
        "tau_a": 100.0,
        "beta": 0.1,
    },
    "learning": {"rate_strength": 0.0},
}


def gradcheck(
    values: ValuesArgument = None,
    task: TaskOption = None,
    rules: Annotated[
        str | None,
        typer.Option(
            help="Names separated by commas, with options after a colon, such as "
            "e-prop,mdgl:variant=one-hop,modprop:mu=0.5",
            show_default="all that are defined for the network",
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(
            min=0, help="Train so long first, with the rule of the configuration."
        ),
    ] = 0,
    samples: Annotated[
        int, typer.Option(min=1, help="Trials in the batch; definitions use two.")
    ] = 8,
    seed: SeedOption = None,
    feedback: Annotated[
        str,
        typer.Option(
            help="symmetric, random, or own: what each rule was published with. "
            "decolle has its local readouts in any case."
        ),
    ] = "symmetric",
    reset: Annotated[
        bool,
        typer.Option(
            "--reset",
            help="The true gradient goes through the reset of spiking cells.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Heat map as FILE.svg or FILE.png; a folder also gets the numbers."
        ),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON list as the only line.")
    ] = False,
) -> None:
    """Compare the gradients of learning rules with backpropagation through time.

    g is the true gradient of one batch, g_hat that of a rule: cosine = <g_hat, g> /
    (||g_hat|| ||g||) and rho = <g_hat, g> / ||g||^2, over those of w_in, w_rec and bias
    that learn, for each parameter, and for w_rec by lag. For spiking cells the true
    gradient has the pseudo-derivative for the spike and stops at the reset (see
    --reset). error_to_definition is the largest relative difference between a rule and
    its equations, evaluated in plain NumPy with a trace at every synapse. Everything is
    computed in float64.

    Without a task it takes a small network of 24 neurons with two cell types and delays
    of 1 to 3 steps on a short evidence-accumulation, for LIF, ALIF and rate cells;
    KEY=VALUE changes it.
    """
    figure = figure_of(out, "alignment")
    given = Given.read("gradcheck", values or [], task, seed)
    configs = _configurations(given)
    several = len(configs) > 1
    groups, skipped = [], []
    for config in configs:
        chosen = chosen_rules(rules, config)
        network, made = _network(config, iterations, threads)
        reasons = [reason_against(rule, network, made.kind) for rule in chosen]
        against = [reason for reason in reasons if reason is not None]
        if against and rules is not None and not several:
            raise InvalidValue(against[0])
        skipped += against
        usable = [r for r, why in zip(chosen, reasons, strict=True) if why is None]
        if not usable:
            continue
        learned = [n for n in RECURRENT_SIDE if n in config.learning.trainable]
        found = align(
            network,
            made.train_batch(iterations, samples, config.training.seed),
            build_loss(config, made),
            usable,
            feedback=feedback,
            truth=BPTT(reset=reset),
            over=learned or RECURRENT_SIDE,
            seed=config.training.seed,
            threads=threads,
        )
        groups.append(found)
    if not groups:
        raise InvalidValue(skipped[0])
    for reason in dict.fromkeys(skipped):
        print(f"left out: {reason}", file=sys.stderr)
    if figure is not None:
        write_alignment_map(figure, groups)
    if out is not None and figure != out:
        write_json(out / "alignment.json", _rows(groups))
    if as_json:
        print_json(_rows(groups))
    else:
        _print(groups, out)


def _configurations(given: Given) -> list[RunConfig]:
    """Return the configuration that was given, or one for every kind of cell."""
    overrides = [*given.overrides, "network.dtype=float64"]
    if given.names_task:
        return [resolve_config(given.content, overrides)]
    configs = []
    for kind in CELLS:
        values = {**DEFAULT, "network": {**DEFAULT["network"], "cell": kind}}
        config = resolve_config(values, overrides)
        if config not in configs:  # an override may name the cell
            configs.append(config)
    return configs


def _network(
    config: RunConfig, iterations: int, threads: int
) -> tuple[RecurrentNetwork, Task]:
    """Return the network of a configuration, trained if asked for, and its task."""
    if not iterations:
        task = tasks.make(config.task.name, **config.task.parameters())
        return build_network(config, task), task
    trainer = build_trainer(config, threads, from_config)
    with training_progress(iterations) as progress:
        for _ in range(iterations):
            progress(trainer.step())
    return trainer.network, trainer.task


def _rows(groups: Sequence[Sequence[Alignment]]) -> list[dict[str, Any]]:
    return [alignment.to_dict() for group in groups for alignment in group]


def _print(groups: Sequence[Sequence[Alignment]], out: Path | None) -> None:
    for group in groups:
        cell, over = group[0].cell, ", ".join(group[0].over)
        names = list(group[0].parameters)
        columns = ["rule", "cosine", "rho", *names, "error to definition"]
        rows = []
        for a in group:
            error = a.error_to_definition
            shown = "-" if error is None else f"{error:.0e}"
            cosines = [_number(a.parameters[name].cosine) for name in names]
            numbers = [_number(a.cosine), _number(a.rho), *cosines]
            rows.append([_label(a), *numbers, shown])
        title = f"{cell} cells: cosine and rho over {over}; cosine by parameter"
        print_table(title, columns, rows)
        for a in group:
            if a.error_to_definition is None:
                console.print(f"{_label(a)}: no error to definition, {a.note}")
        lagged = [a for a in group if a.lags]
        if lagged:
            by_lag = zip(*(a.lags for a in lagged), strict=True)
            rows = []
            for lags in by_lag:
                steps = lag_label(lags[0].first, lags[0].last)
                rows.append([steps, *(_number(lag.cosine) for lag in lags)])
            title = f"{cell} cells: cosine of w_rec by lag"
            print_table(title, ["steps", *map(_label, lagged)], rows)
    by_name = {a.rule: a for group in groups for a in group}
    rows = [[name, a.kept, a.dropped] for name, a in by_name.items()]
    print_table("Terms", ("rule", "kept", "dropped"), rows)
    if out is not None:
        console.print(f"written: {out}")


def _label(alignment: Alignment) -> str:
    """Return the label of a rule, with the feedback where it is not symmetric."""
    symmetric = alignment.feedback == "symmetric"
    return alignment.label if symmetric else f"{alignment.label} ({alignment.feedback})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn gradcheck --rules e-prop,mdgl --out gradcheck.svg"
    app.command(epilog=example)(gradcheck)
