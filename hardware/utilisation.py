"""A figure of how full the cores of a chip are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hardware.mapping import Mapping
from spikelearn.errors import HardwareError
from spikelearn.report.charts import COLOURS, WIDTH, write_figure

__all__ = ["draw_utilisation"]

PANELS = (
    ("neurons", ("compartments",)),
    ("synapse memory", ("synapse_bits",)),
    ("axons", ("input_axons", "output_axons")),
)
SHADES = {"input_axons": COLOURS["blue"], "output_axons": COLOURS["green"]}
FEW = 12  # cores whose numbers all stand at the axis


def draw_utilisation(mapping: Mapping, path: Path) -> None:
    """Draw neurons, synapse memory and axons of every core into an SVG or PNG file.

    Shares of a limit are in percent of it; where the limit is not known, the panel
    shows numbers, and where there is no formula for the memory, it says so.

    Raises
    ------
    HardwareError
        If nothing is known about the cores of the chip.
    InvalidValue, MissingDependency, FileAccessError
        As `spikelearn.report.charts.write_figure`.
    """
    cores = mapping.cores
    if cores is None:
        raise HardwareError(
            f"chip {mapping.chip!r} must have a known limit of a core for a figure; got"
            " none. (See: spikelearn chips.)"
        )
    numbers = np.arange(len(cores))
    plural = "core" if len(cores) == 1 else "cores"

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(PANELS))
        for ax, (title, names) in zip(axes, PANELS, strict=True):
            ax.set_title(title)
            ax.set_xlabel(f"core of {mapping.chip}")
            _draw_panel(ax, mapping, names)
            ax.set_xlim(-0.75, max(len(cores), 4) - 0.25)
            if len(cores) <= FEW:
                ax.set_xticks(numbers)
            else:
                ax.xaxis.get_major_locator().set_params(integer=True)
            ax.grid(axis="y")

    alt = f"Use of {len(cores)} {plural} of {mapping.chip}"
    write_figure(path, "utilisation", (WIDTH, 2.7), alt, draw)


def _draw_panel(axes: Any, mapping: Mapping, names: tuple[str, ...]) -> None:
    cores = mapping.cores or ()
    shares = mapping.utilisation()
    known = all(shares[name] is not None for name in names)
    wide = 0.8 / len(names)
    numbers = np.arange(len(cores))
    middle, highest = axes.transAxes, 0.0
    for k, name in enumerate(names):
        heights = [getattr(core, name) for core in cores]
        if None in heights:
            axes.text(0.5, 0.5, "no public formula", ha="center", transform=middle)
            axes.set_yticks([])
            return
        if known:
            heights = [100.0 * share for share in shares[name] or ()]
        place = numbers + (k - (len(names) - 1) / 2) * wide
        words = name.replace("_axons", "")
        colour = SHADES.get(name, COLOURS["blue"])
        axes.bar(place, heights, 0.9 * wide, color=colour, label=words)
        highest = max(highest, *heights)
    if known:
        axes.axhline(100.0, color=COLOURS["vermilion"], lw=0.9, ls=(0, (3, 2)))
        limits = " / ".join(
            f"{mapping.limits[name]:,}" for name in dict.fromkeys(names)
        )
        same = len({mapping.limits[name] for name in names}) == 1
        shown = f"{mapping.limits[names[0]]:,}" if same else limits
        unit = " bits" if names == ("synapse_bits",) else ""
        axes.set_ylabel(f"% of {shown}{unit}")
        axes.set_ylim(0.0, max(108.0, 1.08 * highest))
    else:
        axes.set_ylabel("number (limit unknown)")
        axes.set_ylim(0.0, 1.15 * max(highest, 1.0))
    if len(names) > 1:
        axes.legend(loc="upper right", ncols=len(names), bbox_to_anchor=(1.0, 1.16))
