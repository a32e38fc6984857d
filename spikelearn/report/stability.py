"""Figures of Lyapunov exponents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.analysis.long_term import LongTermJacobian
from spikelearn.analysis.lyapunov import LyapunovSpectrum
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["write_lyapunov_figure"]

LINES = [COLOURS[name] for name in ("blue", "vermilion", "green", "purple", "ink")]
ALT = "Lyapunov exponents by index, over the trial, and norm and condition of gradients"
LOG_10 = np.log(10.0)


def write_lyapunov_figure(
    path: Path,
    spectra: Mapping[str, LyapunovSpectrum],
    long_term: LongTermJacobian,
) -> None:
    """Draw spectra, the largest exponents over the trial, and the long-term Jacobian.

    Parameters
    ----------
    path
        A file that ends in .svg or .png.
    spectra
        By kind; the first is the one that `long_term` belongs to.
    long_term
        Singular values and gradient norms.

    Raises
    ------
    InvalidValue, MissingDependency, FileAccessError
        As `charts.write_figure`.
    """

    def draw(figure: Any) -> None:
        left, middle, right = figure.subplots(1, 3)
        _draw_spectra(left, spectra)
        _draw_finite_time(middle, spectra)
        _draw_long_term(right, long_term)

    write_figure(path, "lyapunov", (WIDTH, 2.9), ALT, draw)


def _coloured(spectra: Mapping[str, LyapunovSpectrum]) -> list[tuple[str, Any, str]]:
    cycle = (LINES[i % len(LINES)] for i in range(len(spectra)))
    pairs = zip(spectra.items(), cycle, strict=True)
    return [(kind, spectrum, colour) for (kind, spectrum), colour in pairs]


def _draw_spectra(axes: Any, spectra: Mapping[str, LyapunovSpectrum]) -> None:
    for kind, spectrum, colour in _coloured(spectra):
        index = np.arange(1, len(spectrum.exponents) + 1)
        axes.errorbar(
            index,
            spectrum.exponents,
            2 * spectrum.error,
            fmt="o-" if len(index) > 1 else "s",
            markersize=3,
            lw=1.0,
            color=colour,
            label=kind,
        )
    axes.axhline(0, color=COLOURS["soft"], lw=0.7)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("index of the exponent")
    axes.set_ylabel("exponent per step (2 s.e.)")
    axes.set_title("spectrum")
    axes.legend(fontsize=6.5)


def _draw_finite_time(axes: Any, spectra: Mapping[str, LyapunovSpectrum]) -> None:
    late = []
    for _, spectrum, colour in _coloured(spectra):
        over = spectrum.finite_time()[..., 0]
        steps = np.arange(1, len(over) + 1)
        axes.plot(steps, over.mean(axis=1), color=colour, lw=1.0)
        if over.shape[1] > 1:
            low, high = over.min(axis=1), over.max(axis=1)
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)
        late.append(over[len(over) // 10 :])
    low = min(float(part.min()) for part in late)
    high = max(float(part.max()) for part in late)
    margin = 0.05 * (high - low) + 1e-3
    axes.set_ylim(min(low, 0.0) - margin, max(high, 0.0) + margin)
    axes.axhline(0, color=COLOURS["soft"], lw=0.7)
    axes.set_xlabel("step")
    axes.set_ylabel("mean of log r so far")
    axes.set_title("largest exponent over the trial")


def _draw_long_term(axes: Any, long_term: LongTermJacobian) -> None:
    norms = np.log10(np.maximum(long_term.gradient_norm, 1e-300))
    lag = np.arange(len(norms))[::-1]
    axes.plot(lag, norms, color=COLOURS["blue"], lw=0.6, alpha=0.4)
    axes.plot(lag, norms.mean(axis=1), color=COLOURS["blue"], lw=1.2, label="gradient")
    condition = long_term.log_condition / LOG_10
    axes.plot(
        long_term.steps,
        condition.mean(axis=1),
        "o-",
        color=COLOURS["vermilion"],
        markersize=3,
        lw=1.0,
        label="condition",
    )
    axes.axhline(0, color=COLOURS["soft"], lw=0.7)
    axes.set_xlabel("steps (back from the end; from the start)")
    axes.set_ylabel("log10")
    axes.set_title("long-term Jacobian")
    axes.legend(fontsize=6.5)
