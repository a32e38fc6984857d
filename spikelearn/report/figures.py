"""Figures of a run: learning curves, and one sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikelearn.report.charts import (
    COLOURS,
    WIDTH,
    Chart,
    csv_text,
    draw_events,
    draw_graded,
    mask_windows,
    render,
)
from spikelearn.report.html import integer
from spikelearn.report.material import History, Sample
from spikelearn.runs import Run

__all__ = [
    "draw_window",
    "learning_chart",
    "running_mean",
    "sample_chart",
]

MANY_OUTPUTS = 3  # with more, only the output that counts is coloured
OUTPUT_COLOURS = [COLOURS[name] for name in ("blue", "vermilion", "green")]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value and the `window - 1` before it (fewer at first)."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    means: np.ndarray = (total[end] - total[start]) / (end - start)
    return means


def learning_chart(run: Run, train: History, validation: History) -> Chart:
    """Draw loss and, where there is one, accuracy over iterations."""
    window = max(1, len(train.iteration) // 50)
    scored = train.has_accuracy or validation.has_accuracy
    panels = [("loss", "loss")] + [("accuracy", "accuracy (%)")] * scored
    alt = f"{' and '.join(name for name, _ in panels)} over iterations".capitalize()
    best = run.best_iteration

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (name, label) in zip(axes, panels, strict=True):
            factor = 100.0 if name == "accuracy" else 1.0
            raw = factor * getattr(train, name)
            points = factor * getattr(validation, name)
            if window > 1:
                ax.plot(train.iteration, raw, color=COLOURS["blue"], alpha=0.4, lw=0.7)
            smooth = running_mean(raw, window)
            ax.plot(train.iteration, smooth, color=COLOURS["blue"], label="training")
            ax.plot(
                validation.iteration,
                points,
                "o-",
                color=COLOURS["vermilion"],
                markersize=3.5,
                lw=1.0,
                label="validation",
            )
            ax.axvline(best, color=COLOURS["soft"], lw=0.9, ls=(0, (3, 2)))
            chosen = validation.iteration == best
            ax.plot(
                validation.iteration[chosen],
                points[chosen],
                "o",
                markersize=9,
                markerfacecolor="none",
                markeredgecolor=COLOURS["ink"],
                label=f"best on validation (iteration {best})",
            )
            last = float(train.iteration.max(initial=max(run.iteration, 1)))
            ax.set_xlim(-0.02 * last, 1.02 * last)
            ax.set_xlabel("iteration")
            ax.set_ylabel(label)
            ax.grid(axis="y")
            _loss_scale(ax, np.concatenate([raw, points]), name)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3)

    rows = [
        (h_name, int(k), loss, accuracy)
        for h_name, h in (("train", train), ("validation", validation))
        for k, loss, accuracy in zip(h.iteration, h.loss, h.accuracy, strict=True)
    ]
    columns = ("split", "iteration", "loss", "accuracy")
    smoothing = (
        f"Blue: training batches, faint as measured and solid as a mean of {window}"
        if window > 1
        else "Blue: training batches"
    )
    caption = (
        f"{smoothing}. Vermilion: the validation split. Dashed line and ring: iteration"
        f" {best}, whose weights scored best on validation and are used on this page."
    )
    return Chart(
        "learning",
        render("learning", (WIDTH, 3.0), alt, draw),
        csv_text(columns, rows),
        f"{alt}: training batches and validation points; best at iteration {best}.",
        caption,
    )


def _loss_scale(axes: Any, values: np.ndarray, name: str) -> None:
    """Choose limits: accuracies 0 to 100, losses logarithmic over a wide range."""
    finite = values[np.isfinite(values)]
    if name == "accuracy":
        axes.set_ylim(0.0, 102.0)
    elif finite.size and finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
    elif finite.size and finite.min() >= 0:
        axes.set_ylim(0.0, 1.05 * max(float(finite.max()), 1e-9))


def draw_window(axes: Any, mask: np.ndarray, dt: float) -> None:
    """Shade the learning window, unless it is the whole sample."""
    if mask.all():
        return
    for begin, end in mask_windows(mask, dt):
        axes.axvspan(begin, end, color=COLOURS["window"], lw=0, zorder=0)


def sample_chart(sample: Sample, dt: float) -> Chart:
    """Draw input, spikes and readout of one test sample."""
    n_in, n_rec = sample.x.shape[1], sample.spikes.shape[1]
    spiking = sample.x.dtype == np.uint8
    verdict = _verdict(sample)
    n_spikes = int(sample.spikes.sum(dtype=np.int64))
    caption = (
        f"Test sample {sample.index}: {verdict}. Top: the {n_in} inputs"
        f"{'' if spiking else ', stronger for larger values'}. Middle: "
        f"{integer(n_spikes)} spikes of the {n_rec} recurrent neurons. Bottom: the "
        f"readout, judged {_judged(sample.mask)}."
    )

    def draw(figure: Any) -> None:
        ratios = [1.0 if n_in <= 40 else 1.4, 2.2, 1.7]
        axes = figure.subplots(3, 1, sharex=True, height_ratios=ratios)
        for ax in axes:
            draw_window(ax, sample.mask, dt)
        if spiking:
            draw_events(axes[0], sample.x, dt, COLOURS["soft"])
        else:
            draw_graded(axes[0], sample.x, dt, COLOURS["ink"])
        draw_events(axes[1], sample.spikes, dt)
        if n_spikes == 0:
            axes[1].text(0.5, 0.5, "no spikes", transform=axes[1].transAxes)
        _draw_readout(axes[2], sample, dt)
        for ax, label in zip(axes, ("input", "neuron", "readout y"), strict=True):
            ax.set_ylabel(label)
        axes[2].set_xlabel("time (ms)")
        axes[2].grid(axis="y")
        axes[2].legend(loc="upper left", bbox_to_anchor=(1.0, 1.05))
        figure.align_ylabels(axes)

    alt = (
        f"Test sample {sample.index}: input, spikes of {n_rec} neurons and readout over"
        f" {len(sample.x)} steps; {verdict}."
    )
    svg = render("sample", (WIDTH, 5.8), alt, draw)
    columns = ("part", "step", "time_ms", "unit", "value")
    return Chart(
        "sample", svg, csv_text(columns, _sample_rows(sample, dt)), alt, caption
    )


def _judged(mask: np.ndarray) -> str:
    return "at every step" if mask.all() else "in the learning window only (shaded)"


def _verdict(sample: Sample) -> str:
    if sample.label is not None:
        right = "right" if sample.label == sample.prediction else "wrong"
        return f"class {sample.label}, recognised as {sample.prediction} ({right})"
    on = sample.mask != 0
    difference = (sample.y - sample.target)[on]
    error = float(np.sqrt(np.mean(difference**2)))
    return f"root-mean-square error {error:.3g} in the learning window"


def _draw_readout(axes: Any, sample: Sample, dt: float) -> None:
    time = np.arange(len(sample.y)) * dt
    marker = "." if len(time) <= 64 else ""
    n_out = sample.y.shape[1]
    label, predicted = sample.label, sample.prediction
    if label is None:
        for k in range(n_out):
            name = f" {k}" if n_out > 1 else ""
            colour = OUTPUT_COLOURS[k % 3]
            axes.plot(time, sample.y[:, k], color=colour, label=f"readout{name}")
            axes.plot(
                time,
                sample.target[:, k],
                color=COLOURS["ink"] if n_out == 1 else colour,
                ls=(0, (3, 2)),
                lw=1.1,
                label=f"target{name}",
            )
        return
    others = [k for k in range(n_out) if k not in (label, predicted)]
    for k in others:
        rest = "other classes" if k == others[0] else None
        axes.plot(time, sample.y[:, k], color=COLOURS["soft"], lw=0.8, label=rest)
    if predicted != label:
        axes.plot(
            time,
            sample.y[:, predicted],
            marker=marker,
            color=COLOURS["vermilion"],
            lw=1.8,
            label=f"class {predicted} (answer)",
        )
    axes.plot(
        time,
        sample.y[:, label],
        marker=marker,
        color=COLOURS["blue"],
        lw=1.8,
        label=f"class {label} (label)",
    )


def _sample_rows(sample: Sample, dt: float) -> Iterator[tuple]:
    sequences = {"input": sample.x, "spike": sample.spikes}
    for part, array in sequences.items():
        for step, unit in np.argwhere(array):
            yield part, step, step * dt, unit, array[step, unit]
    sequences = {"readout": sample.y}
    if sample.label is None:
        sequences["target"] = sample.target
    else:
        yield "label", "", "", "", sample.label
    for part, array in sequences.items():
        for (step, unit), value in np.ndenumerate(array):
            yield part, step, step * dt, unit, value
