"""What the claims of the study `generalization` share: numbers by part and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from spikelearn.errors import optional_import
from spikelearn.studies.base import Claim, Row, Verdict
from spikelearn.studies.judging import AGREEING, BySeed, Part, judged, over_parts
from spikelearn.studies.matched_loss import GAPS
from spikelearn.studies.statistics import by_seed

__all__ = [
    "BASE",
    "LOCAL",
    "ORDER",
    "Pair",
    "belongs",
    "correlation",
    "gap_of",
    "judge",
    "judge_over_seeds",
    "mapped",
    "values_of",
    "with_sets",
]

ORDER = ("bptt", "modprop", "mdgl", "e-prop")  # from the smallest gap, as published
LOCAL = ORDER[1:]
BASE = {"factor": 1.0, "schedule": "constant"}

FEWEST = 4  # seeds for a correlation over them

Pair = tuple[BySeed, BySeed]


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
    """Return a claim on a number by part and seed; arguments as of `judging.judged`."""
    means, by_part = over_parts(parts, value)
    return judged(
        id, statement, means, by_part, bound, above=above, test=test, **(detail or {})
    )


def judge_over_seeds(
    id: str, statement: str, pairs: Mapping[str, Pair], *, test: str
) -> Claim:
    """Return the claim that two numbers correlate over seeds, in every part.

    Parts share their seeds, so that the interval is that of a single correlation over
    them, Fisher's: tanh(mean artanh r +- 1.96 / sqrt(n - 3)).
    """
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    found, fewest = {}, 0
    for name, (one, other) in pairs.items():
        seeds = [seed for seed in one if seed in other]
        if len(seeds) >= FEWEST:
            here, there = ([each[seed] for seed in seeds] for each in (one, other))
            found[name] = correlation(here, there, ranks=False)
            fewest = min(fewest or len(seeds), len(seeds))
    detail: dict[str, Any] = {"parts": found}
    if not found:
        test += f": there are fewer than {FEWEST}"
        nothing = None, None, None
        return Claim(id, statement, "not reproduced", *nothing, 0, test, detail)
    z = float(np.mean(np.arctanh(np.clip(list(found.values()), -0.999, 0.999))))
    half = float(stats.norm.ppf(0.975)) / np.sqrt(fewest - 3)
    effect, low, high = (float(np.tanh(value)) for value in (z, z - half, z + half))
    agree = float(np.mean([r > 0 for r in found.values()]))
    verdict: Verdict = "reproduced" if low > 0 else "not reproduced"
    if verdict == "reproduced" and agree < AGREEING:
        verdict = "depends"
    test += ", mean of Fisher's z; his 95 % interval of one correlation"
    detail["parts_agreeing"] = agree
    return Claim(id, statement, verdict, effect, low, high, fewest, test, detail)


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
