"""What the claims of the study `generalization` share: numbers by part and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from spikelearn.errors import optional_import
from spikelearn.studies.base import Claim, Row
from spikelearn.studies.judging import Part, judged, over_parts
from spikelearn.studies.matched_loss import GAPS
from spikelearn.studies.statistics import by_seed

__all__ = [
    "BASE",
    "LOCAL",
    "ORDER",
    "BySeed",
    "belongs",
    "correlation",
    "gap_of",
    "judge",
    "mapped",
    "minus",
    "values_of",
    "with_sets",
]

ORDER = ("bptt", "modprop", "mdgl", "e-prop")  # from the smallest gap, as published
LOCAL = ORDER[1:]
BASE = {"factor": 1.0, "schedule": "constant"}

BySeed = dict[int, float]


def judge(
    id: str,
    statement: str,
    parts: Iterable[Part],
    value: Callable[[Part], Mapping[int, float]],
    *,
    bound: float = 0.0,
    above: bool = True,
    test: str,
    detail: dict[str, Any] | None = None,
) -> Claim:
    """Return a claim on a number by part and seed; two seeds at least have to have it.

    Arguments are those of `judging.judged`.
    """
    means, by_part = over_parts(parts, value)
    enough = means if len(means) > 1 else {}
    return judged(
        id, statement, enough, by_part, bound, above=above, test=test, **(detail or {})
    )


def with_sets(parts: Iterable[Part]) -> list[Part]:
    """Return every part with each of the test sets."""
    return [part | {"set": name} for part in parts for name in GAPS]


def values_of(view: list[Row], column: str, **where: Any) -> BySeed:
    """Return a column by seed, of the runs that have it."""
    found = by_seed(view, column, **where)
    return {seed: value for seed, value in found.items() if value is not None}


def gap_of(view: list[Row], part: Part, **where: Any) -> BySeed:
    """Return the gap of the part's test set, by seed."""
    values = {name: value for name, value in part.items() if name != "set"}
    return values_of(view, GAPS[part["set"]], **(values | where))


def minus(one: BySeed, other: BySeed) -> BySeed:
    """Return the differences of the seeds that both have."""
    return {seed: one[seed] - other[seed] for seed in one if seed in other}


def mapped(values: BySeed, function: Callable[[float], Any]) -> BySeed:
    """Return a function of every number."""
    return {seed: float(function(value)) for seed, value in values.items()}


def correlation(
    one: Sequence[float], other: Sequence[float], ranks: bool = True
) -> float:
    """Return a correlation, Spearman's or Pearson's; 0 where one is constant."""
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    function = stats.spearmanr if ranks else stats.pearsonr
    return float(function(one, other).statistic)


def belongs(row: Row, part: Part) -> bool:
    """Return whether a row has the values of a part."""
    return all(row[name] == value for name, value in part.items())
