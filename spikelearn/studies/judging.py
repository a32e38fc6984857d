"""From numbers by part and seed to a claim: what the claims of all studies share.

A part is a combination of values, such as a task with a cell, within which a claim can
be looked at alone. Effects are averaged over the parts within a seed, and intervals are
over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from spikelearn.studies.base import Claim, Row, Verdict
from spikelearn.studies.statistics import mean_over_seeds

__all__ = [
    "AGREEING",
    "BySeed",
    "Part",
    "best_and_worst",
    "judged",
    "minus",
    "over_parts",
    "part_name",
    "parts_of",
]

AGREEING = 0.75  # share of parts with the sign of the claim

Part = dict[str, Any]
BySeed = dict[int, float]


def parts_of(rows: Iterable[Row], *names: str) -> list[Part]:
    """Return the combinations of values that rows have under these names, in order."""
    distinct = {tuple(row[name] for name in names): None for row in rows}
    return [dict(zip(names, values, strict=True)) for values in distinct]


def part_name(part: Part) -> str:
    """Return a part in words: its values."""
    return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in part.values())


def minus(one: Mapping[int, float], other: Mapping[int, float]) -> BySeed:
    """Return the differences of the seeds that both have."""
    return {seed: one[seed] - other[seed] for seed in one if seed in other}


def best_and_worst(
    table: Mapping[float, Mapping[int, float]], seed: int
) -> tuple[float, float]:
    """Return the best and the worst gain by the mean loss of all other seeds."""
    means = {
        gain: float(np.mean([v for s, v in column.items() if s != seed]))
        for gain, column in table.items()
    }
    return min(means, key=means.__getitem__), max(means, key=means.__getitem__)


def over_parts(
    parts: Iterable[Part], value: Callable[[Part], Mapping[int, float]]
) -> tuple[dict[int, float], dict[str, float]]:
    """Return the mean over parts by seed, and over seeds by part.

    Parameters
    ----------
    parts
        What to average over.
    value
        Part -> a number by seed; a part may lack seeds, or have none.
    """
    tables = {part_name(part): value(part) for part in parts}
    seeds = sorted({seed for table in tables.values() for seed in table})
    means = {
        seed: float(np.mean([t[seed] for t in tables.values() if seed in t]))
        for seed in seeds
    }
    by_part = {n: float(np.mean(list(t.values()))) for n, t in tables.items() if t}
    return means, by_part


def judged(
    id: str,
    statement: str,
    means: Mapping[int, float],
    parts: Mapping[str, float],
    bound: float,
    *,
    above: bool,
    test: str,
    **detail: Any,
) -> Claim:
    """Return a claim on the mean of a number over seeds; without two, none is shown.

    It is "reproduced" if the whole 95 % interval lies above (or below) the bound and
    three quarters of the parts do, and "depends" if only the first holds.

    Parameters
    ----------
    id, statement, test
        As in `Claim`.
    means, parts
        What `over_parts` returned.
    bound, above
        Where the claim puts the number.
    detail
        What else to keep with the claim.
    """
    detail |= {"parts": dict(parts)}
    if len(means) < 2:
        nothing = (None, None, None, len(means), f"{test}: too few seeds have it")
        return Claim(id, statement, "not reproduced", *nothing, detail)
    estimate = mean_over_seeds(means)
    side = {"above": bound} if above else {"below": bound}
    verdict: Verdict = estimate.verdict(**side)
    agree = np.mean([v > bound if above else v < bound for v in parts.values()])
    if verdict == "reproduced" and agree < AGREEING:
        verdict = "depends"
    return Claim(
        id,
        statement,
        verdict,
        estimate.effect,
        estimate.ci_low,
        estimate.ci_high,
        estimate.n,
        f"{test}; Student's 95 % interval over seeds",
        detail | {"parts_agreeing": float(agree), "d_z": estimate.size},
    )
