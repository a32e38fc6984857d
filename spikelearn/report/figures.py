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
    draw_outputs,
    mask_windows,
    render,
)
from spikelearn.report.html import integer, plural
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
LINE_COLOURS = [*OUTPUT_COLOURS, COLOURS["purple"]]
RIGHT, WRONG = COLOURS["blue"], COLOURS["vermilion"]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value and the `window - 1` before it (fewer at first)."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    means: np.ndarray = (total[end] - total[start]) / (end - start)
    return means


def learning_chart(run: Run, train: History, validation: History) -> Chart:
    """Draw loss and, where there is one, accuracy over iterations; or the reward."""
    window = max(1, len(train.iteration) // 50)
    scored = train.has_accuracy or validation.has_accuracy
    panels = [("loss", "loss")] + [("accuracy", "accuracy (%)")] * scored
    reward = run.task.kind == "reward"
    if reward:
        panels = [("mean_reward", "mean reward")]
    shown = " and ".join(name.replace("_", " ") for name, _ in panels)
    alt = f"{shown} over iterations".capitalize()
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

    second = "mean_reward" if reward else "accuracy"
    rows = [
        (h_name, int(k), loss, score)
        for h_name, h in (("train", train), ("validation", validation))
        for k, loss, score in zip(h.iteration, h.loss, getattr(h, second), strict=True)
    ]
    columns = ("split", "iteration", "loss", second)
    smoothing = (
        f"Blue: training batches, faint as measured and solid as a mean of {window}"
        if window > 1
        else "Blue: training batches"
    )
    caption = (
        f"{smoothing}. Vermilion: the validation split. Dashed line and ring: iteration"
        f" {best}, whose weights scored best on validation and are used on this page."
    )
    if reward:
        caption += (
            " The loss is minus the mean reward. In training an action is drawn from "
            "the policy, on validation the most probable one is taken."
        )
    return Chart(
        "learning",
        render("learning", (WIDTH, 3.0), alt, draw),
        csv_text(columns, rows),
        f"{alt}: training batches and validation points; best at iteration {best}.",
        caption,
    )


def _loss_scale(axes: Any, values: np.ndarray, name: str) -> None:
    """Choose limits: accuracies 0 to 100, losses logarithmic over a wide range.

    A reward may have any sign.
    """
    finite = values[np.isfinite(values)]
    if name == "accuracy":
        axes.set_ylim(0.0, 102.0)
    elif name == "mean_reward":
        axes.margins(y=0.1)
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
    """Draw input, spikes or outputs, and readout of one test sample."""
    n_in, n_rec = sample.x.shape[1], sample.output.shape[1]
    events = sample.x.dtype == np.uint8
    verdict = _verdict(sample)
    n_spikes = int(sample.output.sum(dtype=np.int64)) if sample.spiking else 0
    readout = f"{_readout_words(sample)}, judged {_judged(sample.mask)}"
    if sample.per_step:
        readout += (
            ". Below it the target class of every step (line) and, where it is judged, "
            "the answer (blue: right, vermilion: wrong)"
        )
    caption = (
        f"Test sample {sample.index}: {verdict}. Top: the {n_in} inputs"
        f"{'' if events else _graded_words(sample.x)}. Middle: "
        f"{_middle_words(sample)}. Bottom: {readout}."
    )

    def draw(figure: Any) -> None:
        ratios = [1.0 if n_in <= 40 else 1.4, 2.2, 1.7] + [0.9] * sample.per_step
        axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        for k, ax in enumerate(axes):
            if k != 1 or sample.spiking:  # shades of outputs need a plain ground
                draw_window(ax, sample.mask, dt)
        if events:
            draw_events(axes[0], sample.x, dt, COLOURS["soft"])
        else:
            draw_graded(axes[0], sample.x, dt, COLOURS["ink"])
        if sample.spiking:
            draw_events(axes[1], sample.output, dt)
            if n_spikes == 0:
                axes[1].text(0.5, 0.5, "no spikes", transform=axes[1].transAxes)
        else:
            draw_outputs(axes[1], sample.output, dt)
        _draw_readout(axes[2], sample, dt)
        if sample.per_step:
            _draw_classes(axes[3], sample, dt)
        unit = "neuron" if sample.spiking else "unit"
        labels = ("input", unit, "readout y", "class")
        for ax, label in zip(axes, labels, strict=False):
            ax.set_ylabel(label)
        for ax in axes[:2]:
            ax.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes[-1].set_xlabel("time (ms)")
        axes[2].grid(axis="y")
        for ax in axes[2:]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05))
        figure.align_ylabels(axes)

    what = (
        f"spikes of {n_rec} neurons" if sample.spiking else f"output of {n_rec} units"
    )
    alt = (
        f"Test sample {sample.index}: input, {what} and readout over "
        f"{len(sample.x)} steps; {verdict}."
    )
    svg = render("sample", (WIDTH, 6.6 if sample.per_step else 5.8), alt, draw)
    columns = ("part", "step", "time_ms", "unit", "value")
    return Chart(
        "sample", svg, csv_text(columns, _sample_rows(sample, dt)), alt, caption
    )


def _graded_words(x: np.ndarray) -> str:
    below = ", vermilion below 0" if x.min() < 0 else ""
    return f", stronger for larger values{below}"


def _middle_words(sample: Sample) -> str:
    n_rec = sample.output.shape[1]
    if sample.spiking:
        n_spikes = int(sample.output.sum(dtype=np.int64))
        return f"{plural(n_spikes, 'spike')} of the {n_rec} recurrent neurons"
    low, high = float(sample.output.min()), float(sample.output.max())
    words = f"output of the {n_rec} rate units, denser for larger values"
    below = " and vermilion below 0" if low < 0 else ""
    return f"{words}, blue above 0{below} ({low:.3g} to {high:.3g})"


def _readout_words(sample: Sample) -> str:
    if sample.kind == "reward":
        return "the readout, one policy unit per action and the critic (dashed)"
    return "the readout"


def _judged(mask: np.ndarray) -> str:
    return "at every step" if mask.all() else "in the learning window only (shaded)"


def _verdict(sample: Sample) -> str:
    on = sample.judged
    if sample.label is not None:
        right = "right" if sample.label == sample.prediction else "wrong"
        return f"class {sample.label}, recognised as {sample.prediction} ({right})"
    if sample.per_step:
        n_right = int((sample.answers == sample.target)[on].sum())
        return f"{integer(n_right)} of {integer(int(on.sum()))} judged steps right"
    if sample.kind == "reward":
        return _reward_verdict(sample.target, sample.prediction)
    difference = (sample.y - sample.target)[on]
    error = float(np.sqrt(np.mean(difference**2)))
    return f"root-mean-square error {error:.3g} in the learning window"


def _reward_verdict(rewards: np.ndarray, action: int) -> str:
    text = f"action {action} chosen, reward {rewards[action]:.3g}"
    best = int(rewards.argmax())
    if rewards[action] == rewards[best]:
        return f"{text} (no action brings more)"
    return f"{text} (action {best} would bring {rewards[best]:.3g})"


def _draw_readout(axes: Any, sample: Sample, dt: float) -> None:
    if sample.label is not None:
        _draw_one_class(axes, sample, sample.label, dt)
    elif sample.per_step:
        _draw_outputs_that_occur(axes, sample, dt)
    elif sample.kind == "reward":
        _draw_policy(axes, sample, dt)
    else:
        _draw_values(axes, sample, dt)


def _time_and_marker(sample: Sample, dt: float) -> tuple[np.ndarray, str]:
    time = np.arange(len(sample.y)) * dt
    return time, "." if len(time) <= 64 else ""


def _draw_values(axes: Any, sample: Sample, dt: float) -> None:
    time, _ = _time_and_marker(sample, dt)
    n_out = sample.y.shape[1]
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


def _draw_one_class(axes: Any, sample: Sample, label: int, dt: float) -> None:
    time, marker = _time_and_marker(sample, dt)
    predicted = sample.prediction
    others = [k for k in range(sample.y.shape[1]) if k not in (label, predicted)]
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


def _draw_outputs_that_occur(axes: Any, sample: Sample, dt: float) -> None:
    """Draw a readout per class; in colour the first that are asked for or answered."""
    time, marker = _time_and_marker(sample, dt)
    on = sample.judged
    n_out = sample.y.shape[1]
    asked = [int(k) for k in np.unique(sample.target[on])]
    answered = [int(k) for k in np.unique(sample.answers[on]) if k not in asked]
    rest_of_them = [k for k in range(n_out) if k not in asked + answered]
    shown = sorted((asked + answered + rest_of_them)[: len(LINE_COLOURS)])
    others = [k for k in range(n_out) if k not in shown]
    for k in others:
        rest = "other classes" if k == others[0] else None
        axes.plot(time, sample.y[:, k], color=COLOURS["soft"], lw=0.8, label=rest)
    for k, colour in zip(shown, LINE_COLOURS, strict=False):
        axes.plot(time, sample.y[:, k], marker=marker, color=colour, label=f"class {k}")


def _draw_classes(axes: Any, sample: Sample, dt: float) -> None:
    """Draw the class that every step asks for, and the answers that are judged."""
    time, _ = _time_and_marker(sample, dt)
    axes.step(time, sample.target, where="mid", color=COLOURS["ink"], label="target")
    right = sample.answers == sample.target
    size = 5.0 if len(time) <= 64 else 2.5
    for name, chosen, colour in (
        ("right answer", sample.judged & right, RIGHT),
        ("wrong answer", sample.judged & ~right, WRONG),
    ):
        if chosen.any():
            steps, answers = time[chosen], sample.answers[chosen]
            axes.plot(steps, answers, "o", color=colour, ms=size, mew=0, label=name)
    axes.set_ylim(-0.5, sample.y.shape[1] - 0.5)
    axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _draw_policy(axes: Any, sample: Sample, dt: float) -> None:
    time, marker = _time_and_marker(sample, dt)
    action, n_actions = sample.prediction, len(sample.target)
    many = n_actions > len(LINE_COLOURS)
    for k in range(n_actions):
        colour, name = LINE_COLOURS[k % len(LINE_COLOURS)], f"action {k}"
        if many:
            colour = COLOURS["blue" if k == action else "soft"]
        if k == action:
            name += " (chosen)"
        elif many:
            name = "other actions" if k == int(action == 0) else ""
        lw = 1.8 if k == action else 1.1
        label = name or None
        y = sample.y[:, k]
        axes.plot(time, y, marker=marker, color=colour, lw=lw, label=label)
    critic = {"color": COLOURS["ink"], "ls": (0, (3, 2)), "lw": 1.1}
    axes.plot(time, sample.y[:, -1], label="critic", **critic)


def _sample_rows(sample: Sample, dt: float) -> Iterator[tuple]:
    sparse, dense = {"input": sample.x}, {"readout": sample.y}
    if sample.spiking:
        sparse["spike"] = sample.output
    else:
        dense["output"] = sample.output
    for part, array in sparse.items():
        for step, unit in np.argwhere(array):
            yield part, step, step * dt, unit, array[step, unit]
    if sample.label is not None:
        yield "label", "", "", "", sample.label
    elif sample.per_step:
        for step, label in enumerate(sample.target):
            yield "label", step, step * dt, "", label
        for step in np.flatnonzero(sample.judged):
            yield "answer", step, step * dt, "", sample.answers[step]
    elif sample.kind == "reward":
        for action, reward in enumerate(sample.target):
            yield "reward", "", "", action, reward
        yield "action", "", "", "", sample.prediction
    else:
        dense["target"] = sample.target
    for part, array in dense.items():
        for (step, unit), value in np.ndenumerate(array):
            yield part, step, step * dt, unit, value
