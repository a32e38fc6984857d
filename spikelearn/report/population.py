"""Figures of the population: firing rates, weights, eigenvalues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikelearn.analysis import eigenvalues
from spikelearn.report.charts import COLOURS, WIDTH, Chart, csv_text, render
from spikelearn.report.html import plural
from spikelearn.report.material import Activity
from spikelearn.runs import Run

__all__ = ["eigenvalue_chart", "rate_chart", "weight_chart"]

BINS = 40
WEIGHTS = {"w_in": "input", "w_rec": "recurrent", "w_out": "readout"}


def rate_chart(activity: Activity) -> Chart:
    """Draw histograms of firing rates and of the irregularity of spike trains."""
    rates, before = activity.rates, activity.initial_rates
    cv = activity.cv[np.isfinite(activity.cv)]
    silent = int((rates == 0).sum())

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        _histograms(left, before, rates)
        left.set_xlabel("firing rate (Hz)")
        left.set_ylabel("neurons")
        left.legend()
        if cv.size:
            edges = np.linspace(0.0, max(1.2, float(cv.max())), BINS)
            right.hist(cv, edges, color=COLOURS["blue"], alpha=0.75)
            right.axvline(1.0, color=COLOURS["soft"], lw=0.9, ls=(0, (3, 2)))
        else:
            text = "no neuron has two intervals"
            right.text(0.5, 0.5, text, ha="center", transform=right.transAxes)
        right.yaxis.get_major_locator().set_params(integer=True)
        right.set_xlabel("variation of interspike intervals (CV)")
        right.set_ylabel("neurons")

    alt = (
        f"Histograms of the firing rates of {rates.size} neurons (mean "
        f"{rates.mean():.1f} Hz trained, {before.mean():.1f} Hz initially) and of the "
        "variation of their interspike intervals."
    )
    caption = (
        f"{plural(activity.n_samples, 'test sample')}. Left: firing rates, mean "
        f"{rates.mean():.1f} Hz trained and {before.mean():.1f} Hz initially; {silent} "
        f"of {rates.size} neurons silent after training. Right: standard deviation over"
        f" mean of the interspike intervals of {cv.size} trained neurons with at least "
        "two intervals; 0 is a clock, 1 (dashed) a Poisson process."
    )
    rows = zip(range(rates.size), before, rates, activity.cv, strict=True)
    columns = ("neuron", "initial_rate_hz", "trained_rate_hz", "trained_isi_cv")
    return Chart(
        "rates",
        render("rates", (WIDTH, 2.5), alt, draw),
        csv_text(columns, rows),
        alt,
        caption,
    )


def _edges(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the edges of bins that hold both."""
    both = np.concatenate([before, after])
    low, high = float(both.min()), float(both.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _bin_counts(before: np.ndarray, after: np.ndarray) -> Iterator[tuple]:
    if after.size:
        edges = _edges(before, after)
        counts = [np.histogram(values, edges)[0] for values in (before, after)]
        yield from zip(edges[:-1], edges[1:], *counts, strict=True)


def _histograms(axes: Any, before: np.ndarray, after: np.ndarray) -> None:
    if not after.size:
        return
    edges = _edges(before, after)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.hist(after, edges, color=COLOURS["blue"], alpha=0.75, label="trained")
    axes.hist(
        before,
        edges,
        histtype="step",
        color=COLOURS["ink"],
        lw=1.1,
        label="initial",
    )


def weight_chart(run: Run, activity: Activity) -> Chart:
    """Draw histograms of the weights, initial and trained."""
    trained = run.network.params.arrays()
    initial = activity.initial.arrays()
    keep = {name: np.ones(trained[name].shape, bool) for name in WEIGHTS}
    keep["w_rec"] = np.asarray(run.network.mask)
    pairs = {name: (initial[name][k], trained[name][k]) for name, k in keep.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 3)
        for ax, (name, (before, after)) in zip(axes, pairs.items(), strict=True):
            _histograms(ax, before, after)
            ax.set_title(f"{WEIGHTS[name]} weights")
            ax.set_xlabel(f"{name} (no unit)")
            ax.set_ylabel("weights")
        axes[0].legend()

    changes = ", ".join(
        f"{name} {_relative_change(*pair):.2g}" for name, pair in pairs.items()
    )
    alt = f"Histograms of initial and trained weights. Relative change: {changes}."
    caption = (
        "Initial (outline) and trained (filled) weights that exist. Relative change "
        f"|trained - initial| / |initial|, Frobenius norms: {changes}."
    )
    rows = ((name, *row) for name, pair in pairs.items() for row in _bin_counts(*pair))
    columns = ("block", "from", "to", "initial_count", "trained_count")
    return Chart(
        "weights",
        render("weights", (WIDTH, 2.5), alt, draw),
        csv_text(columns, rows),
        alt,
        caption,
    )


def _relative_change(before: np.ndarray, after: np.ndarray) -> float:
    size = float(np.linalg.norm(before.astype(np.float64)))
    change = float(np.linalg.norm(after.astype(np.float64) - before))
    return change / size if size > 0 else change


def eigenvalue_chart(run: Run, activity: Activity) -> Chart:
    """Draw the eigenvalues of the recurrent matrix, initial and trained."""
    section = run.config.network
    radius = section.gain * float(np.sqrt(section.density))
    spectra = {
        "initial": eigenvalues(activity.initial.w_rec),
        "trained": eigenvalues(run.network.params.w_rec),
    }
    everything = np.concatenate([[radius, -radius], *spectra.values()])
    up = 1.1 * float(np.abs(everything.imag).max(initial=radius)) or 1.0
    middle = 0.5 * float(everything.real.max() + everything.real.min())
    side = 0.55 * float(np.ptp(everything.real)) or 1.0
    height = float(np.clip(4.0 * up / side, 1.6, 3.5)) + 1.0
    largest = {name: float(np.abs(s[0])) for name, s in spectra.items()}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        angle = np.linspace(0.0, 2.0 * np.pi, 200)
        for ax, (name, values) in zip(axes, spectra.items(), strict=True):
            ax.axhline(0.0, color=COLOURS["grid"], lw=0.7)
            ax.axvline(0.0, color=COLOURS["grid"], lw=0.7)
            ax.plot(
                radius * np.cos(angle),
                radius * np.sin(angle),
                color=COLOURS["vermilion"],
                lw=1.1,
            )
            colour = COLOURS["soft"] if name == "initial" else COLOURS["blue"]
            ax.plot(values.real, values.imag, "o", color=colour, ms=3.2, mew=0)
            ax.set_title(f"{name}: largest modulus {largest[name]:.2f}")
            ax.set_aspect("equal")
            ax.set_xlim(middle - side, middle + side)
            ax.set_ylim(-up, up)
            ax.set_xlabel("real part")
        axes[0].set_ylabel("imaginary part")

    shown = f"{largest['initial']:.3g} initially, {largest['trained']:.3g} trained"
    alt = (
        f"Eigenvalues of the {section.n_rec} by {section.n_rec} recurrent matrix in the"
        f" complex plane with a circle of radius {radius:.3g}; largest modulus {shown}."
    )
    law = "gain" if section.density == 1 else "gain * sqrt(density)"
    caption = (
        "Eigenvalues of w_rec, initial and trained. Circle: radius "
        f"{law} = {radius:.3g}, which they fill initially as the network grows. Largest"
        f" modulus {shown}. They describe the matrix alone: leak, thresholds and resets"
        " are not in it."
    )
    rows = (
        (name, index, value.real, value.imag)
        for name, values in spectra.items()
        for index, value in enumerate(values)
    )
    columns = ("weights", "index", "real", "imaginary")
    return Chart(
        "eigenvalues",
        render("eigenvalues", (WIDTH, height), alt, draw),
        csv_text(columns, rows),
        alt,
        caption,
    )
