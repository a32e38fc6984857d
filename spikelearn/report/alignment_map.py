"""A heat map of how rules agree with the true gradient, by lag and by parameter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.analysis.alignment import Alignment
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["lag_label", "write_alignment_map"]

ABSENT = "#e6e9ec"
ALT = "Cosine between the gradient of each rule and the true one, by lag and by weight"


def lag_label(first: int, last: int) -> str:
    """Return a bin of lags in words: "3", or "4-7"."""
    return str(first) if first == last else f"{first}-{last}"


def write_alignment_map(path: Path, groups: Sequence[Sequence[Alignment]]) -> None:
    """Draw the cosine of every rule, by lag (left) and by parameter (right).

    Parameters
    ----------
    path
        A file that ends in .svg or .png.
    groups
        Alignments of one network each; a network is a row of panels.

    Raises
    ------
    InvalidValue
        For another ending.
    MissingDependency
        Without Matplotlib.
    FileAccessError
        If the file cannot be written.
    """
    height = sum(1.3 + 0.27 * len(group) for group in groups)

    def draw(figure: Any) -> None:
        _draw(figure, groups)

    write_figure(path, "alignment", (WIDTH, height), ALT, draw)


def _draw(figure: Any, groups: Sequence[Sequence[Alignment]]) -> None:
    ratios = [1.3 + 0.27 * len(group) for group in groups]
    columns = [_lag_columns(group) for group in groups]
    widest = max(map(len, columns))
    grid = figure.subplots(
        len(groups),
        2,
        squeeze=False,
        height_ratios=ratios,
        width_ratios=(max(widest, 4), 6),
    )
    for (left, right), group, lags in zip(grid, groups, columns, strict=True):
        rules = [alignment.label.replace(":", "\n", 1) for alignment in group]
        by_lag = [[_at(a, bin) for bin in lags] for a in group]
        labels = [lag_label(*bin) for bin in lags]
        _heat_map(left, by_lag, rules, labels)
        left.set_title(f"{group[0].cell}: w_rec by lag")
        left.set_xlabel("steps from the arrival of a presynaptic output to the error")
        names = list(group[0].parameters)
        together = ", ".join(group[0].over) + "\ntogether"
        by_name = [
            [a.cosine, *(a.parameters[name].cosine for name in names)] for a in group
        ]
        _heat_map(right, by_name, None, [together, *names])
        right.set_title("by parameter")
    bar = figure.colorbar(left.collections[0], ax=grid, shrink=0.5, pad=0.01)
    bar.set_label("cosine with the true gradient")
    bar.outline.set_visible(False)


def _lag_columns(group: Sequence[Alignment]) -> list[tuple[int, int]]:
    """Return the bins that any rule has."""
    bins = {(lag.first, lag.last) for a in group for lag in a.lags}
    return sorted(bins) or [(0, 0)]


def _at(alignment: Alignment, bin: tuple[int, int]) -> float | None:
    found = [lag.cosine for lag in alignment.lags if (lag.first, lag.last) == bin]
    return found[0] if found else None


def _heat_map(
    axes: Any,
    rows: Sequence[Sequence[float | None]],
    row_labels: list[str] | None,
    column_labels: list[str],
) -> None:
    values = np.array(rows, np.float64)  # None becomes NaN
    mesh = np.ma.masked_invalid(values)
    axes.set_facecolor(ABSENT)
    edges = {"edgecolors": "#ffffff", "linewidth": 1.0}
    axes.pcolormesh(mesh, cmap="RdBu", vmin=-1.0, vmax=1.0, **edges)
    axes.invert_yaxis()
    for (i, j), value in np.ndenumerate(values):
        missing = np.isnan(value)
        dark = not missing and abs(value) > 0.6
        axes.text(
            j + 0.5,
            i + 0.5,
            "-" if missing else f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="#ffffff" if dark else COLOURS["ink"],
        )
    axes.set_xticks(np.arange(len(column_labels)) + 0.5, column_labels)
    axes.set_yticks(np.arange(len(rows)) + 0.5, row_labels or [""] * len(rows))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
