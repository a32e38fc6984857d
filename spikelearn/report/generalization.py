"""The page about the study `generalization`: gaps, curvature and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.report.charts import COLOURS, Chart
from spikelearn.report.html import Markup, section, significant, tag
from spikelearn.report.study_page import (
    Row,
    chart,
    crossed,
    effects,
    name_axes,
    name_lines,
    panels,
    verdicts,
    write_study_page,
)

__all__ = ["write_generalization"]

GRID = ("problem", "cell")
KEYS = (*GRID, "rule", "factor", "schedule", "seed")
RULES = {"bptt": "ink", "modprop": "green", "mdgl": "blue", "e-prop": "vermilion"}


@dataclass(frozen=True)
class Words:
    """What a chart of steps is called."""

    name: str
    label: str
    caption: str
    log: bool


AT_THE_END: list[tuple[Callable[[Row], float], Words]] = [
    (
        lambda row: abs(row["lam"][-1]),
        Words("step_lam", "size of the leading eigenvalue", "Curvature", log=True),
    ),
    (
        lambda row: row["test_loss"][-1] - row["train_loss"][-1],
        Words("step_gap", "held-out minus training loss", "Gap", log=False),
    ),
]
ELSEWHERE = (
    "Runs are compared where their training loss first comes down to what all rules "
    "reach; C4 at the end of training. The column “elsewhere” has the effect at the "
    "end, for C4 at the matched loss."
)
SPIKING = (
    "The loss of a spiking network has no Hessian: the eigenvalue is that of the "
    "Jacobian of the surrogate gradient. Weight noise needs no gradient."
)


def write_generalization(
    folder: Path, title: str, command: str, rows: Sequence[Row], claims: Sequence[Row]
) -> Path:
    """Write the page of the study `generalization` and its figures.

    It is a `study_page.Report`.
    """
    base = [r for r in rows if r["factor"] == 1 and r["schedule"] == "constant"]
    swept = {row["problem"] for row in _larger(rows)}
    charts = [
        _gaps(base),
        _along(base, "lam", "eigenvalues", "size of the leading eigenvalue", edge=True),
        _along(base, "sharpness", "sharpness", "growth of the loss by weight noise"),
        _along(base, "rho", "rho", "part of the gradient kept, rho"),
        _gap_by_curvature(rows),
    ]
    if swept:
        some = [row for row in rows if row["problem"] in swept]
        charts += [_steps(some, value, words) for value, words in AT_THE_END]
    return write_study_page(
        folder,
        title,
        command,
        rows,
        charts,
        section(
            "Verdicts",
            tag("p", ELSEWHERE),
            tag("p", SPIKING),
            verdicts(claims, {"elsewhere": _other}),
        ),
        section("Gaps of the rules at matched training loss", *_by_rule(claims)),
        section("Effects in every part", *_effects(claims)),
    )


def _other(claim: Row) -> Markup:
    """Return the effect in the other view."""
    detail = claim["detail"]
    view = "at_the_end" if "at_the_end" in detail else "at_matched_loss"
    return significant(detail[view]["effect"], 3)


def _by_rule(claims: Iterable[Row]) -> Iterator[Markup]:
    """Yield tables of the mean gap and of its spread over seeds."""
    details = {c["id"]: c["detail"] for c in claims if c["id"].startswith("C1 worse")}
    tables = {
        "gaps": "Mean gap in loss:",
        "deviations": "Its standard deviation over seeds:",
        "accuracy": "Mean gap in accuracy:",
    }
    for name, words in tables.items():
        yield tag("p", words)
        lines = {
            f"{id.removeprefix('C1 worse ')}, {part}": by_rule
            for id, detail in details.items()
            for part, by_rule in detail[name].items()
        }
        yield crossed(lines, "cells, part")


def _effects(claims: Sequence[Row]) -> Iterator[Markup]:
    """Yield a table for claims whose parts are alike."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for claim in claims:
        groups.setdefault(tuple(claim["detail"]["parts"]), []).append(claim)
    for parts, some in groups.items():
        if parts:
            yield effects(some)


def _chart(
    name: str, rows: Sequence[Row], draw: Any, columns: Sequence[str], caption: str
) -> Chart:
    return chart(name, rows, draw, (*KEYS, *columns), caption, GRID)


def _curves(
    axes: Any, rows: Sequence[Row], curve: Callable[[Row], tuple[Any, Any]]
) -> None:
    """Draw a line for every row, coloured and named by its rule."""
    for rule, shade in RULES.items():
        some = [curve(row) for row in rows if row["rule"] == rule]
        for k, (across, up) in enumerate(some):
            name = rule if k == 0 else None
            axes.plot(across, up, color=COLOURS[shade], lw=0.8, alpha=0.8, label=name)


def _gaps(rows: Sequence[Row]) -> Chart:
    def curve(row: Row) -> tuple[Any, Any]:
        test, train = (np.array(row[n][1:], float) for n in ("test_loss", "train_loss"))
        return train, test - train

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, rows, *GRID):
            _curves(axes, part, curve)
        figure.axes[0].invert_xaxis()  # and of all that share it
        name_lines(figure, 6.5)
        name_axes(figure, "training loss", "held-out minus training loss")

    caption = (
        "Generalisation gap on the way down of the training loss (to the right), "
        "without the first point; a line is a seed."
    )
    columns = ("iteration", "train_loss", "test_loss", "shifted_loss")
    return _chart("gaps", rows, draw, columns, caption)


def _along(
    rows: Sequence[Row], column: str, name: str, label: str, *, edge: bool = False
) -> Chart:
    """Draw what is measured along training; `edge` adds 2 / eta."""

    def curve(row: Row) -> tuple[Any, Any]:
        values = np.array(row[column][1:], float)
        return row["curved_iteration"][1:], np.abs(values) if edge else values

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, rows, *GRID):
            _curves(axes, part, curve)
            _logarithmic(axes, [20, 50, 100, 200, 500])
            if column == "sharpness":
                axes.set_yscale("symlog", linthresh=0.01)
            if edge:
                axes.set_yscale("log")
                for step in {row["lr"] for row in part}:
                    axes.axhline(2 / step, color=COLOURS["soft"], lw=0.9, ls="--")
        name_lines(figure, 6.5)
        name_axes(figure, "iteration", label)

    caption = f"{label[0].upper()}{label[1:]} along training; a line is a seed."
    if edge:
        caption += " Dashed: 2 / eta, up to which gradient descent is stable."
    return _chart(name, rows, draw, ("curved_iteration", column, "lr"), caption)


def _gap_by_curvature(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["finite"] and row["lam"][-1]]

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, some, *GRID):
            for rule, shade in RULES.items():
                runs = [row for row in part if row["rule"] == rule]
                axes.plot(
                    [abs(row["lam"][-1]) for row in runs],
                    [row["test_loss"][-1] - row["train_loss"][-1] for row in runs],
                    ".",
                    color=COLOURS[shade],
                    markersize=4,
                    label=rule,
                )
            axes.set_xscale("log")
        name_lines(figure, 6.5)
        label = "size of the leading eigenvalue"
        name_axes(figure, label, "held-out minus training loss")

    caption = "Gap and curvature at the end of training, of all runs (dots)."
    return _chart(
        "correlation", some, draw, ("lam", "train_loss", "test_loss"), caption
    )


def _steps(rows: Sequence[Row], value: Callable[[Row], float], words: Words) -> Chart:
    """Draw a number at the end against the step; decayed steps are dotted."""
    some = [row for row in rows if row["finite"] and row["lam"][-1]]
    some = [row for row in some if row["rule"] in {r["rule"] for r in _larger(rows)}]

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, some, *GRID):
            for rule, shade in RULES.items():
                for schedule, style in (("constant", ".-"), ("cosine", "x:")):
                    runs = [r for r in part if r["rule"] == rule]
                    runs = [r for r in runs if r["schedule"] == schedule]
                    steps = sorted({row["factor"] for row in runs})
                    means = [
                        np.mean([value(row) for row in runs if row["factor"] == step])
                        for step in steps
                    ]
                    if runs:
                        name = rule if schedule == "constant" else f"{rule}, decayed"
                        colour = COLOURS[shade]
                        axes.plot(steps, means, style, color=colour, lw=1, label=name)
            _logarithmic(axes, sorted({row["factor"] for row in some}))
            if words.log:
                axes.set_yscale("log")
        name_lines(figure, 6.5)
        name_axes(figure, "step at the start, times that of the problem", words.label)

    caption = f"{words.caption} at the end of training against the step, mean of seeds."
    columns = ("lr", "lam", "train_loss", "test_loss", "finite")
    return _chart(words.name, some, draw, columns, caption)


def _logarithmic(axes: Any, ticks: Sequence[float]) -> None:
    """Make the axis across logarithmic, with names at these ticks only."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.tick_params(axis="x", which="minor", labelbottom=False)


def _larger(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["factor"] != 1]
