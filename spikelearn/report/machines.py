"""Figure of the hardware part: float, emulator and Lava side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from spikelearn.report.charts import (
    COLOURS,
    WIDTH,
    Chart,
    csv_text,
    draw_events,
    render,
)
from spikelearn.report.figures import MANY_OUTPUTS, OUTPUT_COLOURS, draw_window
from spikelearn.report.html import integer
from spikelearn.report.material import HardwareComparison

__all__ = ["differing_spikes", "machines_chart"]

SIDE_BY_SIDE = 200  # steps; longer rasters are stacked
LINES: dict[str, dict[str, Any]] = {
    "float": {"ls": "-", "lw": 3.6, "alpha": 0.35},
    "emulator": {"ls": "-", "lw": 1.2},
    "Lava": {"ls": (0, (1, 2.5)), "lw": 2.4},
}


def differing_spikes(comparison: HardwareComparison) -> dict[tuple[str, str], int]:
    """Return the number of differing spikes between every pair of machines."""
    pairs = itertools.combinations(comparison.spikes().items(), 2)
    return {(a, b): int((x != y).sum()) for (a, x), (b, y) in pairs}


def machines_chart(
    comparison: HardwareComparison, mask: np.ndarray, dt: float
) -> Chart:
    """Draw the rasters of the machines, what differs in them, and their readouts."""
    rasters = comparison.spikes()
    reference = {"emulator": "float", "Lava": "emulator"}
    n_steps, n_rec = comparison.spikes_float.shape
    stacked = n_steps > SIDE_BY_SIDE
    n = len(rasters)

    def draw(figure: Any) -> None:
        if stacked:
            grid = figure.add_gridspec(n + 1, 1)
            places = [grid[k, 0] for k in range(n)]
        else:
            grid = figure.add_gridspec(2, n, height_ratios=[1.5, 1.0])
            places = [grid[0, k] for k in range(n)]
        first = None
        for place, (name, spikes) in zip(places, rasters.items(), strict=True):
            ax = figure.add_subplot(place, sharex=first, sharey=first)
            draw_window(ax, mask, dt)
            tall = 0.03 if stacked else 0.012
            other = rasters.get(reference.get(name, ""))
            _draw_difference(ax, spikes, other, dt, tall)
            separator = ": " if stacked else "\n"
            counted = _counts(name, spikes, rasters, reference)
            ax.set_title(f"{name}{separator}{counted}")
            if stacked:
                ax.tick_params(labelbottom=False)
            if first is None or stacked:
                ax.set_ylabel("neuron")
            if not stacked:
                ax.set_xlabel("time (ms)")
            first = ax if first is None else first
        below = figure.add_subplot(grid[-1, :], sharex=first if stacked else None)
        draw_window(below, mask, dt)
        _draw_readouts(below, comparison, mask, dt)
        below.set_xlabel("time (ms)")
        below.set_xlim(-0.5 * dt, (n_steps - 0.5) * dt)

    counts = "; ".join(
        f"{a} and {b} {integer(k)}"
        for (a, b), k in differing_spikes(comparison).items()
    )
    names = ", ".join(rasters)
    alt = (
        f"Rasters of {n_rec} neurons over {n_steps} steps in {names}, with their "
        f"readouts overlaid. Differing spikes: {counts}."
    )
    difference = comparison.y_emulator - comparison.y_float
    error = float(np.sqrt(np.mean(difference**2)))
    again = "; in the last raster, the emulator in place of it" if n == 3 else ""
    caption = (
        "The same test sample on every machine. Blue: spikes that the float network "
        "has too. Vermilion: spikes that it has not. Grey: spikes that only it "
        f"has{again}. Bottom: the readouts; emulator minus float has root mean square "
        f"{error:.2g}. Differing spikes: {counts}."
    )
    height = 1.5 * n + 2.0 if stacked else 4.8
    return Chart(
        "machines",
        render("machines", (WIDTH, height), alt, draw),
        csv_text(
            ("machine", "part", "step", "time_ms", "unit", "value"),
            _rows(comparison, dt),
        ),
        alt,
        caption,
    )


def _counts(
    name: str,
    spikes: np.ndarray,
    rasters: dict[str, np.ndarray],
    reference: dict[str, str],
) -> str:
    text = f"{integer(int(spikes.sum(dtype=np.int64)))} spikes"
    if name in reference:
        other = reference[name]
        differing = int((spikes != rasters[other]).sum())
        text += f", {integer(differing)} differ from {other}"
    return text


def _draw_difference(
    axes: Any, spikes: np.ndarray, reference: np.ndarray | None, dt: float, tall: float
) -> None:
    if reference is None:
        draw_events(axes, spikes, dt, tall=tall)
        return
    mine, theirs = spikes != 0, reference != 0
    draw_events(axes, theirs & ~mine, dt, COLOURS["soft"], alpha=0.45, tall=tall)
    draw_events(axes, mine & theirs, dt, tall=tall)
    draw_events(axes, mine & ~theirs, dt, COLOURS["vermilion"], tall=tall)


def _draw_readouts(
    axes: Any, comparison: HardwareComparison, mask: np.ndarray, dt: float
) -> None:
    n_out = comparison.y_float.shape[1]
    time = np.arange(len(comparison.x)) * dt
    strongest = int((comparison.y_float * (mask != 0)[:, None]).sum(axis=0).argmax())
    many = n_out > MANY_OUTPUTS
    for name, y in comparison.readouts().items():
        for k in range(n_out):
            look = dict(LINES[name])
            colour = OUTPUT_COLOURS[k % 3]
            if many:
                colour = COLOURS["blue" if k == strongest else "soft"]
                look["lw"] *= 1.0 if k == strongest else 0.5
            label = name if k == (strongest if many else 0) else None
            axes.plot(time, y[:, k], color=colour, label=label, **look)
    axes.set_ylabel("readout y")
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05))


def _rows(comparison: HardwareComparison, dt: float) -> Iterator[tuple]:
    for step, unit in np.argwhere(comparison.x):
        value = comparison.x[step, unit]
        yield "all", "input", step, step * dt, unit, value
    for name, spikes in comparison.spikes().items():
        for step, unit in np.argwhere(spikes):
            yield name, "spike", step, step * dt, unit, 1
    for name, y in comparison.readouts().items():
        for (step, unit), value in np.ndenumerate(y):
            yield name, "readout", step, step * dt, unit, value
