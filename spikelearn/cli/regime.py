"""`regime`: what training changed in a run, rich or lazy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hardware.training import from_config
from spikelearn.analysis.jacobians import kernel_rule
from spikelearn.analysis.regime import Regime, learning_steps, regime
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    figure_of,
    print_json,
    print_table,
    progress_bar,
)
from spikelearn.errors import InvalidValue, unknown_name
from spikelearn.files import write_json
from spikelearn.learning.rules import BPTT, EProp, Rule
from spikelearn.network import RecurrentNetwork
from spikelearn.report.regime import write_regime_figure
from spikelearn.runs import Run, load_run
from spikelearn.runs.build import build_rule
from spikelearn.runs.run import new_trainer
from spikelearn.tasks import Batch

__all__ = ["register"]

STEPS = ("decision", "all", "last")
Snapshots = list[tuple[int, RecurrentNetwork]]


def regime_of_run(
    run: RunArgument,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Rule whose local Jacobian is compared besides that of BPTT.",
            show_default="that of the run; e-prop if that has none, or is BPTT",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Validation trials to measure on.")
    ] = 320,
    steps: Annotated[
        str,
        typer.Option(
            help="Outputs that the kernels are of: decision (where the loss counts), "
            "all steps, or the last one where it counts."
        ),
    ] = "decision",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Figure as FILE.svg or FILE.png; a folder also gets the numbers."
        ),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Measure how far training moved weights, activity and the tangent kernel of a run.

    Compares the weights that the run kept on the way (training.snapshots) with those at
    its start; where it kept none, the best weights with the start drawn anew (of which
    JSON has "start" and "later"). All similarities are 1 for what did not change
    (lazy), and small in rich learning.
    Kernels are J J^T of the recurrent weights: of BPTT, of the local rule, and mixed.
    """
    figure = figure_of(out, "regime")
    if steps not in STEPS:
        raise unknown_name("choice of steps", steps, STEPS)
    loaded = load_run(run)
    if loaded.task.kind == "reward":
        raise InvalidValue(
            f"regime must be asked about a task with targets; got a reward task in "
            f"{str(run)!r}. (Its trials depend on the actions that are taken.)"
        )
    compared = _rule(loaded, rule)
    batch = next(iter(loaded.task.evaluation("validation", trials, trials)))
    chosen = _steps(steps, batch)
    start, later, kept = _weights(loaded, threads)
    rows: list[tuple[int, Regime]] = []
    with progress_bar(len(later), "comparing", "snapshot", memory=600.0) as update:
        for iteration, network in later:
            row = regime(
                start, network, batch, rule=compared, steps=chosen, threads=threads
            )
            rows.append((iteration, row))
            update(len(rows), f"iteration {iteration}")
    if figure is not None:
        write_regime_figure(figure, rows)
    answer = kept | _answer(rows)
    if out is not None and figure != out:
        write_json(out / "regime.json", answer)
    if as_json:
        print_json(answer)
    else:
        _print(rows, kept, out)


def _rule(run: Run, name: str | None) -> Rule:
    """Return the rule to compare; errors are those of building it."""
    learning = run.config.learning
    own = build_rule(learning.rule, **learning.options)
    if name is None:
        try:
            rule = kernel_rule(own)
        except InvalidValue:
            return EProp()
        return EProp() if isinstance(rule, BPTT) else rule
    return own if name == learning.rule else build_rule(name)


def _steps(choice: str, batch: Batch) -> tuple[int, ...]:
    window = learning_steps(batch)
    return {
        "decision": window,
        "all": tuple(range(len(batch.x))),
        "last": window[-1:],
    }[choice]


def _weights(
    run: Run, threads: int
) -> tuple[RecurrentNetwork, Snapshots, dict[str, str]]:
    """Return the network at the start, the later ones, and what these are in words."""
    kept = dict(run.snapshots())
    start = kept.pop(0, None)
    what = {
        "start": "drawn anew" if start is None else "kept",
        "later": "snapshots" if kept else "best weights",
    }
    if start is None:
        trainer = new_trainer(run.config, threads=threads, hardware=from_config)
        start = trainer.running()
    return start, sorted(kept.items()) or [(run.best_iteration, run.network)], what


def _answer(rows: list[tuple[int, Regime]]) -> dict[str, Any]:
    last = rows[-1][1]
    common = {name: getattr(last, name) for name in ("rule", "cell", "trials", "steps")}
    return common | {
        "snapshots": [
            {"iteration": iteration}
            | {k: v for k, v in row.to_dict().items() if k not in common}
            for iteration, row in rows
        ]
    }


def _print(
    rows: list[tuple[int, Regime]], kept: dict[str, str], out: Path | None
) -> None:
    last = rows[-1][1]
    n = len(last.steps)
    title = f"{last.cell} cells, {last.trials} trials"
    columns = ["iteration", "|W - W0|", "|W - W0| / |W0|", "signs"]
    table = [
        [
            iteration,
            f"{row.weight_change:.4g}",
            *map(_number, (row.relative_weight_change, row.sign_similarity)),
            *map(_number, (row.representation_alignment, row.cka)),
        ]
        for iteration, row in rows
    ]
    print_table(title, [*columns, "representations", "CKA"], table)
    kernels = [f"K {name}" for name in last.kernel_alignment]
    columns = ["iteration", *kernels, "K and target", f"bptt and {last.rule}"]
    table = [
        [
            iteration,
            *map(_number, row.kernel_alignment.values()),
            _number(row.kernel_target_alignment["after"]),
            _number(row.rule_alignment["after"]),
        ]
        for iteration, row in rows
    ]
    steps = f"step{'s' if n > 1 else ''}"
    print_table(f"tangent kernels of the outputs of {n} {steps}", columns, table)
    start = _number(last.kernel_target_alignment["before"])
    between = _number(last.rule_alignment["before"])
    console.print(
        f"at the start: K and target {start}, bptt and {last.rule} {between}. "
        "Similarities to the start: 1 is lazy, small is rich. Start: "
        f"{kept['start']}; later: {kept['later']}.",
        highlight=False,
    )
    if out is not None:
        console.print(f"written: {out}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn regime runs/dms --rule e-prop --out regime.svg"
    app.command("regime", epilog=example)(regime_of_run)
