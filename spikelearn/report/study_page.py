"""What the pages about studies share: verdicts, effects by part, panels, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelearn.files import write_text
from spikelearn.report.charts import WIDTH, Chart, csv_text, render
from spikelearn.report.html import (
    Markup,
    figure,
    page,
    section,
    significant,
    table,
    tag,
)

__all__ = [
    "Report",
    "Row",
    "chart",
    "crossed",
    "effects",
    "name_axes",
    "name_lines",
    "panels",
    "verdicts",
    "write_study_page",
]

Row = dict[str, Any]
Report = Callable[[Path, str, str, list[Row], list[Row]], Path]
"""Writes figures and a page into the folder of a complete study; returns the page.

It gets the folder, title and command of the study, its table, and its claims as
dictionaries; without Matplotlib it raises `MissingDependency`, and `FileAccessError` if
the folder cannot be written.
"""


def write_study_page(
    folder: Path,
    title: str,
    command: str,
    rows: Sequence[Row],
    charts: Sequence[Chart],
    *sections: Markup,
) -> Path:
    """Write `report.html` and `figures/*.svg` with their data into a study's folder.

    Parameters
    ----------
    folder
        Where to.
    title, command
        What the page is called, and how the study is run again.
    rows
        The table of the study.
    charts
        The figures.
    sections
        What stands before the figures.

    Raises
    ------
    FileAccessError
        If the folder cannot be written.
    """
    seeds = sorted({row["seed"] for row in rows})
    origin = f"{len(rows)} networks, seeds {seeds}"
    text = page(
        title,
        tag("header", tag("h1", title), tag("p", origin)),
        *sections,
        section("Figures", *(figure(chart) for chart in charts)),
        section("Run it again", tag("pre", command)),
    )
    for each in charts:
        write_text(folder / "figures" / f"{each.name}.svg", each.svg)
        write_text(folder / "figures" / f"{each.name}.csv", each.csv)
    path = folder / "report.html"
    write_text(path, text)
    return path


def verdicts(
    claims: Iterable[Row],
    more: Mapping[str, Callable[[Row], Markup | str]] | None = None,
) -> Markup:
    """Return the table of claims, given as dictionaries.

    Parameters
    ----------
    more
        Further numeric columns after the interval: head -> what stands there.
    """
    more = more or {}
    start = ("claim", "statement", "verdict", "effect", "95 % interval")
    lines = []
    for claim in claims:
        effect, low, high = (_shown(claim[n]) for n in ("effect", "ci_low", "ci_high"))
        words = [claim[name] for name in ("id", "statement", "verdict")]
        numbers = [effect, tag("span", low, " to ", high)]
        others = [value(claim) for value in more.values()]
        lines.append([*words, *numbers, *others, str(claim["n"]), claim["test"]])
    numeric = (3, *range(len(start), len(start) + len(more) + 1))
    return table((*start, *more, "seeds", "test"), lines, numeric=numeric)


def crossed(lines: Mapping[str, Mapping[str, float | None]], first: str) -> Markup:
    """Return a table of numbers; a line may lack some."""
    heads = list(dict.fromkeys(name for line in lines.values() for name in line))

    def cell(number: float | None) -> Markup | str:
        return "" if number is None else _shown(number)

    body = [[name, *(cell(line.get(h)) for h in heads)] for name, line in lines.items()]
    return table([first, *heads], body, numeric=range(1, len(heads) + 1))


def _shown(number: float | None) -> Markup:
    """Return a number with three digits; what only rounding keeps from 0 is 0."""
    return significant(None if number is None else round(number, 12), 3)


def effects(claims: Iterable[Row]) -> Markup:
    """Return the effects of claims in every part, a line for each part."""
    by_claim = {claim["id"]: claim["detail"]["parts"] for claim in claims}
    names = dict.fromkeys(name for parts in by_claim.values() for name in parts)
    return crossed(
        {n: {id: parts.get(n) for id, parts in by_claim.items()} for n in names}, "part"
    )


def panels(
    figure: Any, rows: Sequence[Row], down: str, across: str
) -> Iterator[tuple[Any, list[Row]]]:
    """Yield axes with their rows, of a grid of panels by the values of two columns."""
    lines = list(dict.fromkeys(row[down] for row in rows))
    columns = list(dict.fromkeys(row[across] for row in rows))
    grid = figure.subplots(
        len(lines), len(columns), squeeze=False, sharex=True, sharey="row"
    )
    for line, one in zip(grid, lines, strict=True):
        for axes, other in zip(line, columns, strict=True):
            axes.set_title(f"{one}, {other}")
            yield axes, [r for r in rows if r[down] == one and r[across] == other]


def name_lines(figure: Any, size: float) -> None:
    """Name the lines of all panels in the last one: it may lack some."""
    lines: Row = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        lines = dict(zip(labels, handles, strict=True)) | lines
    figure.axes[-1].legend(lines.values(), lines.keys(), fontsize=size)


def name_axes(figure: Any, across: str, up: str) -> None:
    """Name the axes that all panels share."""
    figure.supxlabel(across, fontsize=8.5)
    figure.supylabel(up, fontsize=8.5)


def chart(
    name: str,
    rows: Sequence[Row],
    draw: Callable[[Any], None],
    columns: Sequence[str],
    caption: str,
    grid: tuple[str, str],
) -> Chart:
    """Return a figure with the columns of the table that it shows.

    Its size is that of a grid of panels, by the values of the columns `grid` (down,
    across).
    """
    data = csv_text(columns, ([row[key] for key in columns] for row in rows))
    down, across = (len({row[key] for row in rows}) for key in grid)
    size = (min(WIDTH, 1.4 + 2.6 * across), 0.6 + 2.0 * down)
    return Chart(name, render(name, size, caption, draw), data, caption, caption)
