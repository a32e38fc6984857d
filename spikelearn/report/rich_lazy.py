"""The page about the study `rich-lazy`: measures by initial matrix, and verdicts."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.report.charts import COLOURS, Chart
from spikelearn.report.html import Markup, section, tag
from spikelearn.report.study_page import (
    Row,
    chart,
    crossed,
    name_axes,
    name_lines,
    panels,
    verdicts,
    write_study_page,
)

__all__ = ["write_rich_lazy"]

MEASURES = {
    "weight change": "weight_change",
    "hidden states": "representation_alignment",
    "kernel": "ka_bptt",
}
SHADES = [COLOURS[n] for n in ("ink", "blue", "vermilion", "green", "purple", "soft")]
KEYS = ("measure", "task", "line", "init", "seed", "value")
MEANING = (
    "Low rank is said to make learning rich: weights move far, hidden states and "
    "tangent kernels turn away from where they were (an alignment of 1 is lazy)."
)
Lines = Mapping[str, dict[str, Any]]
PUBLISHED: Lines = {"published": {"part": "published"}, "images": {"part": "images"}}
RATE: Lines = {
    "norm": {"part": "short", "rule": "bptt", "cell": "rate"},
    "spectral radius": {"part": "matched", "match": "spectral_radius", "cell": "rate"},
    "exponent": {"part": "matched", "match": "lyapunov", "cell": "rate"},
    "norm, gain 0.5": {"part": "stable", "cell": "rate"},
    "norm, e-prop": {"part": "short", "rule": "e-prop", "cell": "rate"},
}
SPIKING: Lines = {name: where | {"cell": "LIF"} for name, where in RATE.items()}
FAMILIES: Lines = {
    "norm": {"part": "families", "match": "frobenius", "cell": "rate"},
    "exponent": {"part": "families", "match": "lyapunov", "cell": "rate"},
    "norm, spiking": {"part": "families", "cell": "LIF"},
}
ALIGNED: Lines = {
    "rate units": {"part": "aligned", "cell": "rate"},
    "spiking": {"part": "aligned", "cell": "LIF"},
}


def write_rich_lazy(
    folder: Path, title: str, command: str, rows: Sequence[Row], claims: Sequence[Row]
) -> Path:
    """Write the page of the study `rich-lazy` and its figures.

    It is a `study_page.Report`.
    """
    drawn = [
        _by_init("published", rows, PUBLISHED, "BPTT in the published settings."),
        _by_init(
            "matched",
            rows,
            RATE,
            "Shorter trainings of rate units, matched in norm, radius or exponent.",
        ),
        _by_init("spiking", rows, SPIKING, "Spiking networks."),
        _by_family("families", rows, FAMILIES, "Families on one task."),
        _by_family("aligned", rows, ALIGNED, "Task-aligned low rank."),
    ]
    return write_study_page(
        folder,
        title,
        command,
        rows,
        [each for each in drawn if each is not None],
        section("Verdicts", tag("p", MEANING), verdicts(claims)),
        section("Effects in every part", *_effects(claims)),
        section("The networks before training", _before(rows)),
        *_times(folder),
    )


def _effects(claims: Iterable[Row]) -> Iterator[Markup]:
    """Yield the effects in every part, in a table for each set of parts."""
    tables: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for claim in claims:
        parts = claim["detail"]["parts"]
        if parts:
            tables.setdefault(tuple(parts), {})[claim["id"]] = parts
    for lines in tables.values():
        yield crossed(lines, "claim")


def _times(folder: Path) -> Iterator[Markup]:
    """Yield how long the published trainings took, if the table is there to say it."""
    path = folder / "table.sqlite"
    if not path.exists():
        return
    ask = (
        "SELECT task, SUM(seconds) / COUNT(DISTINCT seed) FROM units "
        "JOIN timing USING (id) WHERE part = 'published' GROUP BY task"
    )
    with contextlib.closing(sqlite3.connect(path)) as database:
        found = database.execute(ask).fetchall()
    if found:
        text = (
            "Minutes of one core for a task, four ranks and one seed, measures "
            "included; the authors say “under 30 minutes” for one task."
        )
        lines = {task: {"minutes": seconds / 60} for task, seconds in found}
        yield section("Time", tag("p", text), crossed(lines, "task"))


def _chosen(rows: Iterable[Row], lines: Lines) -> list[Row]:
    """Return a row for each measure, of the networks of each line."""
    return [
        {
            "measure": words,
            "line": line,
            "value": row[column],
            **{name: row[name] for name in ("task", "init", "seed")},
        }
        for words, column in MEASURES.items()
        for line, where in lines.items()
        for row in rows
        if all(row[k] == v for k, v in where.items()) and row.get(column) is not None
    ]


def _by_init(
    name: str, rows: Sequence[Row], lines: Lines, caption: str
) -> Chart | None:
    """Draw measures against the initial matrix: seeds as dots, means as lines."""
    some = _chosen(rows, lines)
    if not some:
        return None
    inits = sorted({row["init"] for row in some}, key=_rank)

    def draw(figure: Any) -> None:
        for axes, part in panels(figure, some, "measure", "task"):
            for shade, line in zip(SHADES, lines, strict=False):
                one = [row for row in part if row["line"] == line]
                if not one:
                    continue
                place = [inits.index(row["init"]) for row in one]
                values = [row["value"] for row in one]
                axes.plot(place, values, ".", color=shade, markersize=3, alpha=0.6)
                there = sorted(set(place))
                means = [
                    np.mean([v for v, k in zip(values, place, strict=True) if k == at])
                    for at in there
                ]
                axes.plot(there, means, color=shade, lw=1.2, label=line)
            ranks = [_rank(init) for init in inits]
            names = ["full" if rank == np.inf else f"{rank:g}" for rank in ranks]
            axes.set_xticks(range(len(inits)), names)
            if part and part[0]["measure"] == "weight change":
                axes.set_yscale("log")
                axes.set_yticks(*_log_ticks(_changes(some)))
                axes.minorticks_off()
        name_lines(figure, 6.0)
        name_axes(figure, "initial rank", "value; 1 is lazy for the alignments")

    text = f"Measures against the initial rank. {caption} A dot is a seed."
    return chart(name, some, draw, KEYS, text, ("measure", "task"))


def _by_family(
    name: str, rows: Sequence[Row], lines: Lines, caption: str
) -> Chart | None:
    """Draw measures of families, one below the other: a dot is a seed."""
    some = _chosen(rows, lines)
    if not some:
        return None
    inits = list(dict.fromkeys(row["init"] for row in some))[::-1]

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, len(MEASURES), squeeze=False, sharey=True)[0]
        for axes, measure in zip(grid, MEASURES, strict=True):
            axes.set_title(measure)
            for k, (shade, line) in enumerate(zip(SHADES, lines, strict=False)):
                one = [r for r in some if r["measure"] == measure and r["line"] == line]
                axes.plot(
                    [row["value"] for row in one],
                    [inits.index(row["init"]) - 0.2 * k for row in one],
                    ".",
                    color=shade,
                    markersize=4,
                    label=line if one else None,
                )
            if measure == "weight change":
                axes.set_xscale("log")
                axes.set_xticks(*_log_ticks(_changes(some)))
                axes.minorticks_off()
            axes.set_yticks(range(len(inits)), inits, fontsize=5.5)
        name_lines(figure, 6.0)

    text = f"{caption} A dot is a seed."
    return chart(name, some, draw, KEYS, text, ("line", "measure"))


def _changes(rows: Iterable[Row]) -> list[float]:
    return [row["value"] for row in rows if row["measure"] == "weight change"]


def _log_ticks(values: Sequence[float]) -> tuple[list[float], list[str]]:
    """Return ticks within values, with labels: 1, 2, 5, 10, ... or powers of ten."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    tens = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    fine = [
        float(t) for ten in tens for t in (ten, 2 * ten, 5 * ten) if low <= t <= high
    ]
    ticks = fine if len(fine) <= 5 else [float(t) for t in tens if low <= t <= high]
    return ticks, [f"{tick:g}" for tick in ticks]


def _rank(init: str) -> float:
    """Return the rank of an initial matrix; infinity for the full one."""
    low = init.startswith("low_rank(")
    return float(init[len("low_rank(") : -1]) if low else np.inf


def _before(rows: Sequence[Row]) -> Markup:
    """Return what the initial matrices were, by family, matching and gain."""
    columns = {
        "norm": "frobenius",
        "spectral radius": "spectral_radius",
        "eigenvalue rank": "eigenvalue_rank",
        "stable rank": "stable_rank",
        "exponent": "exponent_start",
    }
    lines: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(map(_name, rows)):
        some = [row for row in rows if _name(row) == name]
        known = {
            h: [r[c] for r in some if r.get(c) is not None] for h, c in columns.items()
        }
        lines[name] = {h: float(np.mean(v)) if v else None for h, v in known.items()}
    return crossed(lines, "initial matrix")


def _name(row: Row) -> str:
    spiking = ", spiking" if row["cell"] != "rate" else ""
    return f"{row['init']}, gain {row['gain']:g}, {row['match']}{spiking}"
