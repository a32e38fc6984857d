"""The few statistics that claims rest on; the independent repetition is the seed.

Means have Student's intervals. Bootstrap intervals of a mean are too narrow for the few
seeds that studies have: at a nominal 95 %, for 5, 10 and 20 normal differences, the BCa
interval covered 85, 90 and 93 % in 800 simulations, Student's 96, 95 and 96 % (for
exponential ones 83, 87, 91 % and 90, 91, 91 %).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.errors import InvalidValue, optional_import, require
from spikelearn.studies.base import Row, Verdict

__all__ = ["Estimate", "by_seed", "mean_over_seeds"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % confidence interval.

    `n` is the number of seeds, `size` the effect in standard deviations (Cohen's d_z);
    None if they are all the same.
    """

    effect: float
    ci_low: float
    ci_high: float
    n: int
    size: float | None

    def verdict(
        self, *, above: float | None = None, below: float | None = None
    ) -> Verdict:
        """Return "reproduced" if the whole interval lies where the claim puts it.

        `above=0` claims a positive effect, `below=0` a negative one, and both bounds
        together that there is none beyond them. An interval that lies across a bound
        shows nothing: it counts as "not reproduced".
        """
        given = above is not None or below is not None
        require(given, "Estimate.verdict", "must have a bound: above, below", "none")
        high_enough = above is None or self.ci_low > above
        low_enough = below is None or self.ci_high < below
        return "reproduced" if high_enough and low_enough else "not reproduced"


def by_seed(rows: Iterable[Row], name: str, **where: Any) -> dict[int, float | None]:
    """Return a column by seed, of the rows that have the given values.

    Raises
    ------
    InvalidValue
        If a seed is there twice: more values have to be given.
    """
    found: dict[int, float | None] = {}
    for row in rows:
        if all(row[key] == value for key, value in where.items()):
            if row["seed"] in found:
                raise InvalidValue(
                    f"by_seed({name!r}) must find one row for each seed; got two for "
                    f"seed {row['seed']}. (Given: {', '.join(where) or 'nothing'}.)"
                )
            found[row["seed"]] = row[name]
    return found


def mean_over_seeds(values: Mapping[int, float]) -> Estimate:
    """Return the mean of a number that every seed has, with Student's interval.

        mean(d) +- t_(n-1) sd(d) / sqrt(n),    d_z = mean(d) / sd(d)

    Of differences between two treatments of the same seeds it is the paired t-test.

    Raises
    ------
    InvalidValue
        If there are fewer than two seeds.
    """
    d = list(values.values())
    require(len(d) >= 2, "mean_over_seeds", "must have two seeds or more", len(d))
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    mean, sd = float(np.mean(d)), float(np.std(d, ddof=1))
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(d) - 1))
    half = quantile * sd / math.sqrt(len(d))
    size = mean / sd if sd > 0 else None
    return Estimate(mean, mean - half, mean + half, len(d), size)
