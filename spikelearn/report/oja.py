"""The page about the study `oja`: losses, dimensions, stacks, memory and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.report.charts import COLOURS, Chart
from spikelearn.report.html import Markup, section, significant, table, tag
from spikelearn.report.study_page import (
    Row,
    chart,
    effects,
    name_axes,
    name_lines,
    panels,
    verdicts,
    write_study_page,
)

__all__ = ["write_oja"]

SHADES = {
    "none": "ink",
    "neuron": "purple",
    "rescaled": "blue",
    "subspace": "green",
    "weight-decay": "vermilion",
}
KEYS = ("part", "cell", "form", "gain", "delay", "layers", "seed")
COMPARED = {
    "rescaled": ("rescaled", "none"),
    "rescaled beyond decay": ("rescaled", "weight-decay"),
    "subspace": ("subspace", "none"),
    "subspace beyond decay": ("subspace", "weight-decay"),
    "weight decay": ("weight-decay", "none"),
    "textbook": ("neuron", "none"),
}
"""Columns of the overview: a form, and what it is compared to."""

OVERVIEW = (
    "Effects with their 95 % intervals over seeds, above 0 where a form does what the "
    "claim says; bold where the claim is reproduced. “Beyond decay” compares with "
    "weight decay in place of nothing: what decay does as well is mere shrinkage."
)


def write_oja(
    folder: Path, title: str, command: str, rows: Sequence[Row], claims: Sequence[Row]
) -> Path:
    """Write the page of the study `oja` and its figures.

    It is a `study_page.Report`.
    """
    deep = [row for row in rows if row["part"] == "stack" and row["layers"] > 1]
    gains = [row for row in rows if row["part"] == "gains"]
    charts = [
        _by("loss", gains, "gain", "training_loss", _LOSS, log=True),
        _by("test-loss", gains, "gain", "test_loss", _TEST, log=True),
        _curves(gains),
        _by("dimensions", gains, "gain", "participation_ratio", _DIMENSIONS),
        _memory(rows),
        _by("stacks", deep, "gain", "test_accuracy", _STACKS),
        _by("layers", deep, "gain", "participation_ratio", _LAYERS),
        _angles(deep),
    ]
    return write_study_page(
        folder,
        title,
        command,
        rows,
        charts,
        *_overviews(claims),
        section("Verdicts", verdicts(claims)),
        section("Effects in every part", *_effects(claims)),
    )


def _overviews(claims: Sequence[Row]) -> Iterator[Markup]:
    """Yield what holds for each kind of cell: claims by what is compared."""
    note = tag("p", OVERVIEW)
    for cell in dict.fromkeys(claim["detail"]["cell"] for claim in claims):
        some = [claim for claim in claims if claim["detail"]["cell"] == cell]
        found = {
            (c["detail"]["measure"], c["detail"]["form"], c["detail"]["other"]): c
            for c in some
        }
        lines = [
            [
                measure,
                *(_cell(found.get((measure, *pair))) for pair in COMPARED.values()),
            ]
            for measure in dict.fromkeys(c["detail"]["measure"] for c in some)
        ]
        heads = ("claim", *COMPARED)
        yield section(f"What holds for {cell} cells", note, table(heads, lines))


def _cell(claim: Row | None) -> Markup | str:
    if claim is None:
        return ""
    effect, low, high = (
        significant(claim[name], 2) for name in ("effect", "ci_low", "ci_high")
    )
    mark = "strong" if claim["verdict"] == "reproduced" else "span"
    note = " (depends)" if claim["verdict"] == "depends" else ""
    return tag(mark, effect, " [", low, ", ", high, "]", note)


def _effects(claims: Sequence[Row]) -> Iterator[Markup]:
    for measure in dict.fromkeys(claim["detail"]["measure"] for claim in claims):
        some = [claim for claim in claims if claim["detail"]["measure"] == measure]
        yield effects(some)


_LOSS = "Mean loss over training, of each trial before it is learned from"
_TEST = "Loss in test trials at the end"
_DIMENSIONS = "Participation ratio of the activity in test trials"
_LAYERS = "Participation ratio of stacks, mean of the layers"
_STACKS = "Accuracy of stacks on held-out digits"
_SEEDS = "; a dot is a seed, lines are means. Where numbers ran away: {}."


def _by(
    name: str,
    rows: Sequence[Row],
    across: str,
    column: str,
    caption: str,
    *,
    log: bool = False,
    grid: tuple[str, str] = ("part", "cell"),
) -> Chart:
    """Draw a column by form against another, in panels."""

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, rows, *grid):
            for form in dict.fromkeys(row["form"] for row in part):
                _dots(axes, [r for r in part if r["form"] == form], across, column)
            if log:
                axes.set_yscale("log")
        name_lines(figure, 6.5)
        name_axes(figure, across, column.replace("_", " "))

    cut = "losses are cut" if column.endswith("loss") else "left out"
    text = caption + _SEEDS.format(cut)
    return chart(name, rows, draw, (*KEYS, column), text, grid)


def _dots(axes: Any, rows: Sequence[Row], across: str, column: str) -> None:
    """Draw one form: seeds as dots, their means as a line, over values in order."""
    places = sorted({row[across] for row in rows})
    form = rows[0]["form"]
    colour = COLOURS[SHADES[form]]
    shift = 0.07 * (list(SHADES).index(form) - 2)
    rows = [row for row in rows if row[column] is not None]
    at = [places.index(row[across]) + shift for row in rows]
    values = [row[column] for row in rows]
    axes.plot(at, values, ".", color=colour, markersize=3, alpha=0.6)
    known = [p for p in places if any(row[across] == p for row in rows)]
    means = [np.mean([r[column] for r in rows if r[across] == p]) for p in known]
    axes.plot([places.index(p) for p in known], means, color=colour, lw=1.2, label=form)
    axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])


def _memory(rows: Sequence[Row]) -> Chart:
    gains = {row["gain"] for row in rows if row["part"] == "delays"}
    some = [
        row
        for row in rows
        if row["part"] in ("gains", "delays") and row["gain"] in gains
    ]
    some.sort(key=lambda row: row["gain"])
    some = [row for row in some if row["form"] != "neuron"]
    caption = "Accuracy in test trials against the delay, by initial gain"
    return _by("memory", some, "delay", "test_accuracy", caption, grid=("gain", "cell"))


def _curves(rows: Sequence[Row]) -> Chart:
    """Draw the loss against trials at a good, a middle and the largest gain."""
    gains = sorted({row["gain"] for row in rows})
    some = [row for row in rows if row["gain"] in (gains[0], 1.0, gains[-1])]

    def value(row: Row) -> list[float]:
        return list(row["curve"])

    caption = (
        "Loss of trials before they are learned from, along training, by initial gain; "
        "mean over seeds, cut at ten times that of a guess."
    )
    return _along("curves", some, value, "loss", caption, ("gain", "cell"), "curve")


def _angles(rows: Sequence[Row]) -> Chart:
    def value(row: Row) -> list[float]:
        known = row["angles"] if None not in row["angles"] else []
        return list(known)

    caption = (
        "Cosine of the updates of stacks with the gradient of backpropagation through "
        "time, along training, by initial gain; mean over seeds with finite numbers."
    )
    return _along("angles", rows, value, "cosine", caption, ("gain", "cell"), "angles")


def _along(
    name: str,
    rows: Sequence[Row],
    value: Any,
    label: str,
    caption: str,
    grid: tuple[str, str],
    column: str,
) -> Chart:
    """Draw means over seeds of lists along training, by form."""

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, rows, *grid):
            for form in dict.fromkeys(row["form"] for row in part):
                lists = [value(row) for row in part if row["form"] == form]
                longest = max(map(len, lists))
                whole = [one for one in lists if one and len(one) == longest]
                if whole:
                    mean = np.mean(whole, axis=0)
                    time = (np.arange(longest) + 1) / longest
                    colour = COLOURS[SHADES[form]]
                    axes.plot(time, mean, color=colour, lw=1.2, label=form)
        name_lines(figure, 6.5)
        name_axes(figure, "part of training", label)

    return chart(name, rows, draw, (*KEYS, column), caption, grid)
