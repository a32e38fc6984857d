"""The figure of one matrix: its entries, eigenvalues and singular values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.connectivity import eigenvalues
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["write_connectivity_figure"]

ALT = "Matrix of recurrent weights, its eigenvalues in the plane, its singular values"
BRIGHTEST = 99.0  # percentile of absolute weights that has the full colour


def write_connectivity_figure(
    path: Path, weights: np.ndarray, title: str, nulls: dict[str, np.ndarray]
) -> None:
    """Draw weights (n, n), their eigenvalues and singular values, and those of nulls.

    The circle is where the eigenvalues of independent weights with the same norm end,
    |W|_F / sqrt(n).

    Raises
    ------
    InvalidValue, MissingDependency, FileAccessError
        As `charts.write_figure`.
    """

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3)
        _draw_matrix(left, weights)
        left.set_title(title)
        _draw_eigenvalues(middle, weights)
        _draw_singular_values(right, {"family": weights, **nulls})

    write_figure(path, "connectivity", (WIDTH, 3.1), ALT, draw)


def _draw_matrix(axes: Any, weights: np.ndarray) -> None:
    there = np.abs(weights[weights != 0])
    top = float(np.percentile(there, BRIGHTEST)) if there.size else 1.0
    axes.imshow(weights, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    axes.set_xlabel("from neuron")
    axes.set_ylabel("to neuron")


def _draw_eigenvalues(axes: Any, weights: np.ndarray) -> None:
    values = eigenvalues(weights)
    radius = float(np.linalg.norm(weights)) / np.sqrt(len(weights))
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = radius * np.cos(angle), radius * np.sin(angle)
    axes.axhline(0, color=COLOURS["grid"], lw=0.7)
    axes.axvline(0, color=COLOURS["grid"], lw=0.7)
    axes.plot(*circle, color=COLOURS["vermilion"], lw=1.1)
    axes.plot(values.real, values.imag, "o", color=COLOURS["blue"], ms=2.4, mew=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    axes.set_title(f"eigenvalues: largest modulus {abs(values[0]):.2f}")


def _draw_singular_values(axes: Any, matrices: dict[str, np.ndarray]) -> None:
    names = ("blue", "vermilion", "green", "purple", "soft")
    for (name, weights), colour in zip(matrices.items(), names, strict=False):
        s = np.linalg.svd(weights, compute_uv=False)
        index = np.arange(1, len(s) + 1)
        some = s > 1e-9 * max(float(s[0]), 1e-300)
        marker = "o-" if some.sum() < 5 else "-"
        axes.plot(
            index[some], s[some], marker, color=COLOURS[colour], lw=1, ms=3, label=name
        )
    axes.set_yscale("log")
    axes.set_xlabel("index")
    axes.set_title("singular values")
    axes.legend(fontsize=6.5)
