"""HTML in which everything is escaped that is not markup of our own."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from importlib import resources

from spikelearn.report.charts import Chart

__all__ = [
    "NARROW",
    "Markup",
    "beside",
    "card",
    "figure",
    "integer",
    "page",
    "percent",
    "plural",
    "section",
    "significant",
    "table",
    "tag",
    "value",
]

NARROW = "\u202f"  # no-break space between digits and units
ABSENT = "not known"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: str) -> Markup:
    """Return an element; plain text in it and in its attributes is escaped.

    A trailing underscore in the name of an attribute is dropped (`class_`).
    """
    inner = "".join(c if isinstance(c, Markup) else html.escape(c) for c in content)
    written = "".join(
        f' {key.rstrip("_")}="{html.escape(text)}"' for key, text in attributes.items()
    )
    return Markup(f"<{name}{written}>{inner}</{name}>")


def value(number: float | None, shown: str) -> Markup:
    """Return a number as people read it, with its exact value for programs."""
    if number is None or not math.isfinite(number):
        return tag("span", ABSENT)
    return tag("data", shown, value=repr(number))


def integer(number: int) -> str:
    """Return a whole number in groups of three digits."""
    return f"{number:,}".replace(",", NARROW)


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{integer(number)} {noun}{'' if number == 1 else 's'}"


def percent(fraction: float | None, digits: int = 2) -> Markup:
    """Return a fraction in per cent."""
    shown = "" if fraction is None else f"{100.0 * fraction:.{digits}f}{NARROW}%"
    return value(fraction, shown)


def significant(number: float | None, digits: int = 4, unit: str = "") -> Markup:
    """Return a number with so many significant digits."""
    tail = f"{NARROW}{unit}" if unit else ""
    shown = "" if number is None else f"{number:#.{digits}g}".rstrip(".") + tail
    return value(number, shown)


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()
) -> Markup:
    """Return a table whose first column names the rows; `numeric` columns are right."""
    right = set(numeric)

    def cell(index: int, content: str, head: bool) -> Markup:
        extra = {"class_": "number"} if index in right else {}
        if head:
            return tag("th", content, scope="col", **extra)
        if index == 0:
            return tag("th", content, scope="row", **extra)
        return tag("td", content, **extra)

    top = tag("tr", *(cell(k, text, True) for k, text in enumerate(header)))
    body = [
        tag("tr", *(cell(k, text, False) for k, text in enumerate(row))) for row in rows
    ]
    whole = tag("table", tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="scroll")


def card(title: str, shown: str, *notes: str, mood: str = "") -> Markup:
    """Return a headline number with what it is."""
    lines = [tag("p", note) for note in notes]
    big = tag("p", shown, class_="value")
    return tag("div", tag("h3", title), big, *lines, class_=f"card {mood}".strip())


def figure(chart: Chart) -> Markup:
    """Return a chart with its caption."""
    plot = tag("div", Markup(chart.inline()), class_="plot")
    return tag("figure", plot, tag("figcaption", chart.caption), id=chart.name)


def beside(*parts: Sequence[Markup]) -> Markup:
    """Return parts next to each other where there is room."""
    return tag("div", *(tag("div", *part) for part in parts), class_="pair")


def section(title: str, *content: str) -> Markup:
    """Return a part of the page."""
    return tag("section", tag("h2", title), *content)


def page(title: str, *content: str) -> str:
    """Return a whole document that needs nothing else."""
    style = resources.files("spikelearn.report").joinpath("page.css")
    head = tag(
        "head",
        Markup('<meta charset="utf-8">\n'),
        Markup('<meta name="viewport" content="width=device-width">\n'),
        tag("title", title),
        tag("style", Markup("\n" + style.read_text(encoding="utf-8"))),
    )
    body = tag("body", *(Markup(f"\n{part}\n") for part in content))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
