"""The page about the study `init-gain`: losses, exponents and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

__all__ = ["write_init_gain"]

SHADES = [COLOURS[n] for n in ("ink", "blue", "vermilion", "green", "purple", "soft")]
ON_RULES = ("A1", "A2", "A3")
GRID = ("task", "cell")
KEYS = (*GRID, "rule", "flossing", "gain", "seed")
RULES = {"bptt": "ink", "e-prop": "blue", "rflo": "vermilion"}

ON_THE_WAY = (
    "Effects are on the test loss at the end of training; the column “on the way” has "
    "the same effect on the mean loss of all training batches before they are learned "
    "from."
)


def write_init_gain(
    folder: Path, title: str, command: str, rows: Sequence[Row], claims: Sequence[Row]
) -> Path:
    """Write the page of the study `init-gain` and its figures.

    It is a `study_page.Report`.
    """
    charts = [
        _loss_by_gain(rows),
        _flossed_by_gain(rows),
        _exponents_by_gain(rows),
        _curves(rows),
        _spectra(rows),
    ]
    return write_study_page(
        folder,
        title,
        command,
        rows,
        charts,
        section(
            "Verdicts", tag("p", ON_THE_WAY), verdicts(claims, {"on the way": _other})
        ),
        section("Effects in every part", *_effects(claims)),
        section("Part of the loss gap that flossing recovers", *_recovered(claims)),
    )


def _other(claim: Row) -> Markup:
    """Return the effect on the mean loss of training batches."""
    return significant(claim["detail"]["on_the_way"]["effect"], 3)


def _effects(claims: Sequence[Row]) -> Iterator[Markup]:
    """Yield the effects in every part: of claims on rules, and of those on flossing."""
    yield effects(claim for claim in claims if claim["id"] in ON_RULES)
    on_flossing = [claim for claim in claims if claim["id"] not in ON_RULES]
    yield crossed({c["id"]: c["detail"]["parts"] for c in on_flossing}, "claim")


def _recovered(claims: Iterable[Row]) -> Iterator[Markup]:
    """Yield a table for the loss at the end, and one for that on the way."""
    details = {c["id"]: c["detail"] for c in claims if "recovered" in c["detail"]}
    ways = {id: detail["on_the_way"] for id, detail in details.items()}
    for loss, table_of in (("test loss", details), ("mean training loss", ways)):
        gaps = {n: gap for d in table_of.values() for n, gap in d["gaps"].items()}
        text = f"Of the {loss}, from the worst gain (0) to the best (1), where there is"
        yield tag("p", f"{text} a gap between them:")
        shares = {id: detail["recovered"] for id, detail in table_of.items()}
        yield crossed({"gap": gaps} | shares, "claim")


def _dots(axes: Any, rows: Sequence[Row], name: str, colour: str, label: str) -> None:
    """Draw a value against the gain: seeds as dots, their mean as a line."""
    rows = [row for row in rows if row[name] is not None]
    gains = sorted({row["gain"] for row in rows})
    place = {gain: k for k, gain in enumerate(gains)}
    shift = 0.06 * (SHADES.index(colour) - 1.5)
    axes.plot(
        [place[row["gain"]] + shift for row in rows],
        [row[name] for row in rows],
        ".",
        color=colour,
        markersize=3,
        alpha=0.6,
    )
    means = [np.mean([r[name] for r in rows if r["gain"] == g]) for g in gains]
    axes.plot(range(len(gains)), means, color=colour, lw=1.2, label=label)
    axes.set_xticks(range(len(gains)), [f"{gain:g}" for gain in gains])


def _chart(
    name: str, rows: Sequence[Row], draw: Any, columns: Sequence[str], caption: str
) -> Chart:
    return chart(name, rows, draw, (*KEYS, *columns), caption, GRID)


@dataclass(frozen=True)
class _Series:
    """Rows with these values, drawn against the gain."""

    where: Row
    column: str
    colour: str
    label: str

    def of(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that belong to it."""
        return [r for r in rows if all(r[k] == v for k, v in self.where.items())]


def _by_gain(
    name: str,
    rows: Sequence[Row],
    series: Sequence[_Series],
    label: str,
    caption: str,
    *,
    log: bool,
) -> Chart:
    """Draw series against the gain: seeds as dots, in panels of tasks by cells."""
    columns = list(dict.fromkeys(one.column for one in series))

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, rows, *GRID):
            for one in series:
                chosen = one.of(part)
                if chosen:
                    _dots(axes, chosen, one.column, one.colour, one.label)
            if log:
                axes.set_yscale("log")
            else:
                axes.axhline(0, color=COLOURS["soft"], lw=0.7)
        name_lines(figure, 6.5)
        name_axes(figure, "initial gain", label)

    return _chart(name, rows, draw, columns, caption)


def _loss_by_gain(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["flossing"] == "none"]
    series = [
        _Series({"rule": rule}, "test_loss", COLOURS[shade], rule)
        for rule, shade in RULES.items()
    ]
    caption = "Test loss against the initial gain, without flossing; a dot is a seed."
    return _by_gain("loss", some, series, "test loss", caption, log=True)


def _flossed_by_gain(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["rule"] == "e-prop"]
    series = [
        _Series({"flossing": flossing}, "test_loss", colour, flossing)
        for flossing, colour in _flossings(some)
    ]
    caption = "Test loss of e-prop against the initial gain, by flossing."
    label = "test loss of e-prop"
    return _by_gain("flossing", some, series, label, caption, log=True)


def _flossings(rows: Sequence[Row]) -> list[tuple[str, str]]:
    names = list(dict.fromkeys(row["flossing"] for row in rows))
    return list(zip(names, SHADES, strict=False))


def _exponents_by_gain(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["rule"] == "e-prop"]
    some = [row for row in some if row["flossing"] in ("none", "pre-local")]
    shown = [
        ("none", "lam_start", "ink", "before training"),
        ("none", "lam_end", "blue", "after training"),
        ("pre-local", "lam_start", "vermilion", "flossed, before"),
        ("pre-local", "lam_end", "green", "flossed, after"),
    ]
    series = [
        _Series({"flossing": flossing}, column, COLOURS[shade], label)
        for flossing, column, shade, label in shown
    ]
    caption = (
        "Largest Lyapunov exponent (spiking cells: surrogate, voltage sub-space), "
        "before and after training with e-prop."
    )
    label = "largest exponent per step"
    return _by_gain("exponents", some, series, label, caption, log=False)


def _curves(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["rule"] == "e-prop"]
    gains = sorted({row["gain"] for row in some})
    some = [row for row in some if row["gain"] in (gains[0], gains[-1])]

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, some, *GRID):
            for flossing, colour in _flossings(some):
                for gain, style in ((gains[0], "-"), (gains[-1], "--")):
                    curves = [
                        row["curve"]
                        for row in part
                        if row["flossing"] == flossing and row["gain"] == gain
                    ]
                    if curves:
                        mean = np.mean(curves, axis=0)
                        time = (np.arange(len(mean)) + 0.5) / len(mean)
                        label = f"{flossing}, g = {gain:g}"
                        axes.plot(time, mean, style, color=colour, lw=1.0, label=label)
        name_lines(figure, 5.5)
        name_axes(figure, "part of training", "training loss of e-prop")

    caption = "Training loss at the smallest and the largest gain, mean over seeds."
    return _chart("curves", some, draw, ["curve"], caption)


def _spectra(rows: Sequence[Row]) -> Chart:
    some = [row for row in rows if row["rule"] == "e-prop"]
    some = [row for row in some if row["flossing"] == "pre-local"]
    gains = sorted({row["gain"] for row in some})

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, some, *GRID):
            axes.axhline(0, color=COLOURS["soft"], lw=0.7)
            for gain, colour in zip(gains, SHADES, strict=False):
                chosen = [row for row in part if row["gain"] == gain]
                for name, style in (("spectrum_drawn", ":"), ("spectrum_start", "-")):
                    spectra = [row[name] for row in chosen if row[name]]
                    if spectra:
                        mean = np.mean(spectra, axis=0)
                        index = np.arange(1, len(mean) + 1)
                        axes.plot(index, mean, style, color=colour, lw=1.0)
                axes.plot([], [], color=colour, label=f"g = {gain:g}")
        name_lines(figure, 6.5)
        name_axes(figure, "index of the exponent", "exponent per step")

    caption = "Largest exponents as drawn (dotted) and after local flossing (lines)."
    columns = ["spectrum_drawn", "spectrum_start"]
    return _chart("spectrum", some, draw, columns, caption)
