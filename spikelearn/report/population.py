"""Figures of the population: firing rates, weights, eigenvalues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikelearn.connectivity import eigenvalues
from spikelearn.report.charts import COLOURS, WIDTH, Chart, csv_text, render
from spikelearn.report.html import plural
from spikelearn.report.material import Activity
from spikelearn.runs import Run

__all__ = ["eigenvalue_chart", "rate_chart", "weight_chart"]

BINS = 40
WEIGHTS = {"w_in": "input", "w_rec": "recurrent", "w_out": "readout"}


def rate_chart(activity: Activity) -> Chart:
    """Draw histograms of what the units do.

    Firing rates and the irregularity of spike trains, or, of rate units, mean and
    standard deviation of the output.
    """
    if activity.sample.spiking:
        return _spiking_chart(activity)
    return _output_chart(activity)


def _spiking_chart(activity: Activity) -> Chart:
    rates, before = activity.mean, activity.initial_mean
    cv = activity.spread[np.isfinite(activity.spread)]
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
    rows = zip(range(rates.size), before, rates, activity.spread, strict=True)
    columns = ("neuron", "initial_rate_hz", "trained_rate_hz", "trained_isi_cv")
    return Chart(
        "rates",
        render("rates", (WIDTH, 2.5), alt, draw),
        csv_text(columns, rows),
        alt,
        caption,
    )


def _output_chart(activity: Activity) -> Chart:
    mean, before = activity.mean, activity.initial_mean
    panels = {
        "mean output": (before, mean),
        "standard deviation of the output": (activity.initial_spread, activity.spread),
    }
    silent = int(((mean == 0) & (activity.spread == 0)).sum())

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2)
        for ax, (label, pair) in zip(axes, panels.items(), strict=True):
            _histograms(ax, *pair)
            ax.set_xlabel(f"{label} (no unit)")
            ax.set_ylabel("units")
        axes[0].legend()

    means = f"mean {mean.mean():.3g} trained and {before.mean():.3g} initially"
    alt = (
        f"Histograms of the mean output of {mean.size} rate units ({means}) and of the "
        "standard deviation of their output."
    )
    caption = (
        f"{plural(activity.n_samples, 'test sample')}. Left: output of each rate unit, "
        f"averaged over steps and samples; {means}. Right: its standard deviation over "
        f"steps and samples. The output of {silent} of {mean.size} units is always 0 "
        "after training."
    )
    columns = ("unit", "initial_mean", "trained_mean", "initial_sd", "trained_sd")
    values = (before, mean, activity.initial_spread, activity.spread)
    rows = zip(range(mean.size), *values, strict=True)
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
    masks = run.network.masks
    pairs = {
        name: (initial[name][masks[name]], trained[name][masks[name]])
        for name in WEIGHTS
    }

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
    """Draw the eigenvalues of the recurrent matrix, initial and trained.

    The circle that they fill initially is drawn where its law holds: for independent
    weights of mean 0, so neither for signs by Dale's law nor for a stack of layers.
    """
    section = run.config.network
    structure = _structure(run)
    radius = 0.0 if structure else section.gain * float(np.sqrt(section.density))
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
            if not structure:
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
    circle = "" if structure else f" with a circle of radius {radius:.3g}"
    alt = (
        f"Eigenvalues of the {section.n_rec} by {section.n_rec} recurrent matrix in the"
        f" complex plane{circle}; largest modulus {shown}."
    )
    law = "gain" if section.density == 1 else "gain * sqrt(density)"
    words = (
        f"No circle: the law of a random matrix does not hold for {structure}."
        if structure
        else f"Circle: radius {law} = {radius:.3g}, which they fill initially as the "
        "network grows."
    )
    missing = "leak, thresholds and resets"
    if not run.network.spiking:
        missing = "leak and activation"
    if int(np.max(run.network.delay)) > 1:
        missing = missing.replace(" and ", ", ") + " and delays"
    caption = (
        f"Eigenvalues of w_rec, initial and trained. {words} Largest modulus {shown}. "
        f"They describe the matrix alone: {missing} are not in it."
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


def _structure(run: Run) -> str:
    """Return what makes the recurrent matrix other than independent weights."""
    network = run.network
    found = []
    if run.config.network.connectivity is not None:
        return f"the family {run.config.network.connectivity:.80}"
    if network.signs is not None:
        found.append("signs by Dale's law")
    if len(network.layers) > 1:
        found.append("a stack of layers")
    elif not network.masks["w_rec"].any():
        found.append("a matrix without connections")
    return " and ".join(found)
