"""Runs compared where they have learned the training trials equally well.

How far a network has come decides its generalisation gap more than anything else, so
that rules are compared at a training loss that all of them reach, and only then at the
end of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelearn.studies.base import Row

__all__ = ["GAPS", "at_matched_loss", "at_the_end", "value_at_loss"]

GAPS = {"held-out": "gap_test", "shifted": "gap_shifted"}
RUN = ("problem", "cell", "rule", "factor", "schedule", "seed", "lr")
CURVED = ("lam", "sharpness", "rho", "cosine")


def value_at_loss(
    losses: Sequence[float], values: Sequence[float | None], level: float
) -> float | None:
    """Return a value where the loss first comes down to a level, on straight lines.

    None if it never does, or a value beside that point is missing.
    """
    low = np.flatnonzero(np.asarray(losses) <= level)
    if low.size == 0:
        return None
    after = int(low[0])
    one, other = values[max(after - 1, 0)], values[after]
    if one is None or other is None:
        return None
    if after == 0:
        return other
    before = losses[after - 1]
    part = (before - level) / (before - losses[after])
    return float(one + part * (other - one))


def at_matched_loss(rows: Sequence[Row]) -> list[Row]:
    """Return gaps and curvature of every run at the loss common to its problem.

    The level is the lowest training loss, at a point with curvature, of the rule that
    comes least far with the step of the problem; each problem, cell and seed has its
    own. Gaps are taken between the same points. Runs that never reach it are left out.
    """
    levels: dict[tuple[Any, ...], float] = {}
    for row in rows:
        if row["factor"] == 1 and row["schedule"] == "constant":
            lowest = min(_curved_losses(row))
            key = _problem(row)
            levels[key] = max(levels.get(key, lowest), lowest)
    found = []
    for row in rows:
        level = levels[_problem(row)]
        at = [row["iteration"].index(point) for point in row["curved_iteration"]]
        gaps = {name: [v[k] for k in at] for name, v in _gaps(row).items()}
        points, columns = _curved_losses(row), gaps | _curved(row)
        values = {n: value_at_loss(points, v, level) for n, v in columns.items()}
        if values["gap_test"] is not None and values["lam"] is not None:
            found.append(_run(row) | {"train_loss": level} | values)
    return found


def at_the_end(rows: Sequence[Row]) -> list[Row]:
    """Return gaps and curvature at the end of every run whose numbers stayed finite."""
    return [
        _run(row)
        | {"train_loss": row["train_loss"][-1]}
        | {name: values[-1] for name, values in (_gaps(row) | _curved(row)).items()}
        for row in rows
        if row["finite"]
    ]


def _problem(row: Row) -> tuple[Any, ...]:
    return row["problem"], row["cell"], row["seed"]


def _run(row: Row) -> Row:
    """Return what a run is, its mean rho after the first step, and `lam_error`.

    That is the median of residual by eigenvalue: how far leading vectors were from
    being eigenvectors.
    """
    rho = [value for value in row["rho"][1:] if value is not None]
    pairs = zip(row["lam_residual"], row["lam"], strict=True)
    errors = [residual / abs(lam) for residual, lam in pairs if residual and lam]
    return {name: row[name] for name in RUN} | {
        "rho_mean": float(np.mean(rho)) if rho else None,
        "lam_error": float(np.median(errors)) if errors else None,
    }


def _curved_losses(row: Row) -> list[float]:
    """Return the training loss at the points with curvature."""
    at = dict(zip(row["iteration"], row["train_loss"], strict=True))
    return [at[iteration] for iteration in row["curved_iteration"]]


def _curved(row: Row) -> dict[str, list[float | None]]:
    """Return what is known at those points; of eigenvalues the size."""
    columns: dict[str, list[float | None]] = {name: row[name] for name in CURVED}
    sizes = [None if value is None else abs(value) for value in columns["lam"]]
    return columns | {"lam": sizes}


def _gaps(row: Row) -> dict[str, list[float | None]]:
    """Return test minus training loss, and training minus test accuracy."""
    gaps: dict[str, list[float | None]] = {}
    for column in GAPS.values():
        name = column.removeprefix("gap_")
        for score, sign in (("loss", 1), ("accuracy", -1)):
            pairs = zip(row[f"{name}_{score}"], row[f"train_{score}"], strict=True)
            label = column if score == "loss" else f"{column}_accuracy"
            gaps[label] = [
                None if a is None or b is None else sign * (a - b) for a, b in pairs
            ]
    return gaps
