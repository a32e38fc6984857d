"""The figure of the learning regime over training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spikelearn.analysis.regime import Regime
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["SIMILARITIES", "write_regime_figure"]

ALT = "Similarities to the start and weight change against the iteration"
STYLES = [
    (COLOURS["ink"], "o-"),
    (COLOURS["blue"], "s-"),
    (COLOURS["purple"], "^-"),
    (COLOURS["vermilion"], "o--"),
    (COLOURS["green"], "s--"),
    (COLOURS["soft"], "^--"),
]

Measure = Callable[[Regime], float | None]
SIMILARITIES: dict[str, Measure] = {
    "representations": lambda row: row.representation_alignment,
    "representations, centred (CKA)": lambda row: row.cka,
    "signs": lambda row: row.sign_similarity,
}


def write_regime_figure(path: Path, rows: Sequence[tuple[int, Regime]]) -> None:
    """Draw the measures against the iteration: similarities, weights, targets.

    Parameters
    ----------
    path
        A file that ends in .svg or .png.
    rows
        (iteration, what changed until then), in order; iteration 0 is left out.

    Raises
    ------
    InvalidValue, MissingDependency, FileAccessError
        As `charts.write_figure`.
    """
    shown = [(iteration, row) for iteration, row in rows if iteration > 0]

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3, width_ratios=[1.4, 1, 1])
        names = list(shown[0][1].kernel_alignment) if shown else []
        kernels = {f"kernel, {name}": _kernel(name) for name in names}
        _lines(left, shown, kernels | SIMILARITIES)
        left.set_ylabel("similarity to the start (1: lazy)")
        change = {"weights": lambda row: row.relative_weight_change}
        _lines(middle, shown, change)
        middle.set_ylabel("|W - W0| / |W0|")
        fit = {"kernel of BPTT": lambda row: row.kernel_target_alignment["after"]}
        _lines(right, shown, fit)
        right.set_ylabel("kernel-target alignment")
        for axes, title in (
            (left, "how much stayed"),
            (middle, "recurrent weights"),
            (right, "kernel and task"),
        ):
            axes.set_title(title)
            axes.set_xscale("log", base=2)
            axes.set_xlabel("iteration")
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        left.legend(fontsize=6.5)

    write_figure(path, "regime", (WIDTH, 2.9), ALT, draw)


def _kernel(name: str) -> Measure:
    return lambda row: row.kernel_alignment[name]


def _lines(
    axes: Any, rows: Sequence[tuple[int, Regime]], measures: dict[str, Measure]
) -> None:
    for (name, measure), (colour, form) in zip(
        measures.items(), STYLES[: len(measures)], strict=True
    ):
        points = [(iteration, measure(row)) for iteration, row in rows]
        x = [iteration for iteration, value in points if value is not None]
        y = [value for _, value in points if value is not None]
        axes.plot(x, y, form, color=colour, markersize=3, lw=1.0, label=name)
