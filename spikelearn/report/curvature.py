"""Figures of curvature: along training, by bits, and slices of the loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.analysis.curvature_points import CurvaturePoint
from spikelearn.analysis.loss_slices import LossSlice
from spikelearn.analysis.sharpness import RoundingSharpness
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["write_curvature_figure"]

LINES = [COLOURS[name] for name in ("blue", "vermilion", "green", "purple", "ink")]
STEEP = 30  # largest over smallest loss from which on slices are drawn in logarithms
ALT = (
    "Largest and smallest eigenvalues with the bounds of stability and components of "
    "rules along training, growth of the loss by bits, and slices of the loss"
)


def write_curvature_figure(
    path: Path,
    points: Sequence[CurvaturePoint],
    by_bits: Sequence[RoundingSharpness],
    slices: Mapping[str, LossSlice],
) -> None:
    """Draw curvature and rules along training, sharpness by bits, and slices.

    Parameters
    ----------
    path
        A file that ends in .svg or .png.
    points
        Along training, in order.
    by_bits
        Of the last point; may be empty.
    slices
        By name of the direction; may be empty.

    Raises
    ------
    InvalidValue, MissingDependency, FileAccessError
        As `charts.write_figure`.
    """

    def draw(figure: Any) -> None:
        (one, two), (three, four) = figure.subplots(2, 2)
        _draw_eigenvalues(one, points)
        _draw_rules(two, points)
        _draw_bits(three, by_bits)
        _draw_slices(four, slices)

    write_figure(path, "curvature", (WIDTH, 5.6), ALT, draw)


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    """Return numbers with NaN for what is missing, which is not drawn."""
    return np.array([np.nan if v is None or np.isinf(v) else v for v in values], float)


def _along_training(axes: Any, points: Sequence[CurvaturePoint]) -> np.ndarray:
    iterations = np.array([point.iteration for point in points])
    axes.set_xlabel("iteration")
    if iterations.max() > 10:
        axes.set_xscale("symlog", linthresh=1)
    return iterations


def _draw_eigenvalues(axes: Any, points: Sequence[CurvaturePoint]) -> None:
    at, look = _along_training(axes, points), {"markersize": 3, "lw": 1.0}
    for kind, colour in zip(points[0].ends, LINES, strict=False):
        largest = [point.ends[kind][0].value for point in points]
        smallest = [point.ends[kind][1].value for point in points]
        axes.plot(at, largest, "o-", color=colour, label=f"{kind}, largest", **look)
        axes.plot(at, smallest, "o:", color=colour, label="smallest", **look)
    bound = _numbers([point.bound for point in points])
    if np.isfinite(bound).any():
        axes.plot(at, bound, "--", color=COLOURS["ink"], lw=0.9, label="bound")
        for label, colour in zip(points[0].rules, LINES[2:], strict=False):
            of_rule = _numbers([point.bound_of(label) for point in points])
            name = f"bound / rho, {label}"
            axes.plot(at, of_rule, "--", color=colour, lw=0.9, label=name)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylabel("eigenvalue")
    axes.set_title("curvature")
    _legend(axes)


def _draw_rules(axes: Any, points: Sequence[CurvaturePoint]) -> None:
    at = _along_training(axes, points)
    for label, colour in zip(points[0].rules, LINES, strict=False):
        found = [point.rules[label] for point in points]
        look = {"color": colour, "markersize": 3, "lw": 1.0}
        rho = _numbers([one.rho for one in found])
        axes.plot(at, rho, "o-", label=f"{label}: rho", **look)
        cosine = _numbers([one.cosine for one in found])
        axes.plot(at, cosine, "s:", label="cosine", **look)
    axes.axhline(1, color=COLOURS["soft"], lw=0.7)
    axes.axhline(0, color=COLOURS["soft"], lw=0.7)
    axes.set_ylabel("component along the gradient")
    axes.set_title("what rules keep")
    _legend(axes)


def _draw_bits(axes: Any, by_bits: Sequence[RoundingSharpness]) -> None:
    bits = [one.bits for one in by_bits]
    mean = _numbers([one.noise.mean for one in by_bits])
    error = 2 * _numbers([one.noise.error for one in by_bits])
    look = {"markersize": 4, "lw": 1.0, "capsize": 2}
    blue, vermilion = LINES[:2]
    axes.errorbar(bits, mean, error, fmt="o-", color=blue, label="noise", **look)
    rounded = _numbers([one.rounded for one in by_bits])
    axes.plot(bits, rounded, "s", color=vermilion, markersize=4, label="rounded")
    axes.axhline(0, color=COLOURS["soft"], lw=0.7)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("bits of a weight")
    axes.set_ylabel("growth of the loss (2 s.e.)")
    axes.set_title("sharpness by bits")
    _legend(axes)


def _draw_slices(axes: Any, slices: Mapping[str, LossSlice]) -> None:
    for (name, one), colour in zip(slices.items(), LINES, strict=False):
        axes.plot(one.steps, _numbers(one.losses), color=colour, lw=1.2, label=name)
    losses = [x for one in slices.values() for x in one.losses if np.isfinite(x)]
    if losses and min(losses) > 0 and max(losses) > STEEP * min(losses):
        axes.set_yscale("log")
    axes.axvline(0, color=COLOURS["soft"], lw=0.7)
    axes.set_xlabel("step, relative to the length of the weights")
    axes.set_ylabel("loss")
    axes.set_title("slices")
    _legend(axes)


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=6.5)
