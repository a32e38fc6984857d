"""The picture of the README: time of a training step against the number of neurons."""

from __future__ import annotations

import re

COLOURS = ("#0b6e99", "#b4532a", "#5b8c3a", "#7d5ba6", "#8a8a8a", "#c49a1f")
NAME = re.compile(r"w3_(lif|alif)_(\d+)_b(\d+)")


def series(results, cell, batch):
    """Return {name: [(n_rec, ms)]} for ours and the peers; the better core count."""
    lines = {}
    for name, result in results.items():
        found = NAME.fullmatch(name)
        if not found or found[1] != cell or int(found[3]) != batch:
            continue
        n_rec = int(found[2])
        points = {"spikelearn": result["ours_ms"]}
        for peer, values in result["peers"].items():
            if values["ms"] is None or values["error"] is not None:
                continue
            label = peer.removesuffix(" (1 core)")
            points[label] = min(values["ms"], points.get(label, float("inf")))
        for label, ms in points.items():
            lines.setdefault(label, []).append((n_rec, ms))
    return {label: sorted(points) for label, points in lines.items()}


def draw(results, path, batch=1):
    """Draw both cells side by side, log-log; return whether there was anything."""
    panels = {cell: series(results, cell, batch) for cell in ("lif", "alif")}
    panels = {cell: lines for cell, lines in panels.items() if lines}
    if not panels:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels = sorted({label for lines in panels.values() for label in lines})
    peers = [label for label in labels if label != "spikelearn"]
    for ax, (cell, lines) in zip(axes, panels.items(), strict=True):
        for label, points in sorted(lines.items()):
            ours = label == "spikelearn"
            rank = 0 if ours else 1 + peers.index(label)
            style = {"color": "black" if ours else COLOURS[rank % len(COLOURS)]}
            style |= {"linewidth": 2.4 if ours else 1.2, "marker": "o"}
            style |= {"markersize": 5 if ours else 3}
            style["linestyle"] = ("-", "--", ":")[rank // len(COLOURS)]
            ax.loglog(*zip(*points, strict=True), label=label, **style)
        ax.set_title(f"{cell.upper()}, T = 1000, batch {batch}")
        ax.set_xlabel("neurons")
        ax.grid(alpha=0.3, which="both", linewidth=0.5)
    axes[0].set_ylabel("training step, ms")
    handles = {}
    for ax in axes:
        found = zip(*ax.get_legend_handles_labels(), strict=True)
        handles |= {label: handle for handle, label in found}
    figure.legend(
        handles.values(), handles, loc="outside right upper", fontsize=8, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return True
