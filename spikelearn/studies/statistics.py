"""The few statistics that claims rest on; the independent repetition is the seed.

Means have Student's intervals. Bootstrap intervals of a mean are too narrow for the few
seeds that studies have: at a nominal 95 %, for 5, 10 and 20 normal differences, the BCa
interval covered 85, 90 and 93 % in 800 simulations, Student's 96, 95 and 96 % (for
exponential ones 83, 87, 91 % and 90, 91, 91 %).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.errors import InvalidValue, optional_import, require
from spikelearn.studies.base import Row, Verdict

__all__ = ["Estimate", "by_seed", "paired_difference"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % confidence interval.

    Attributes
    ----------
    effect, ci_low, ci_high
        The effect and its interval.
    n
        Number of seeds.
    size
        Effect in standard deviations (Cohen's d_z; None if they are all the same).
    test
        What was done, in words.
    """

    effect: float
    ci_low: float
    ci_high: float
    n: int
    size: float | None
    test: str

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


def paired_difference(
    treated: Mapping[int, float | None], control: Mapping[int, float | None]
) -> Estimate:
    """Return the mean of treated - control over seeds, with Student's interval.

        mean(d) +- t_(n-1) sd(d) / sqrt(n),    d_z = mean(d) / sd(d)

    Parameters
    ----------
    treated, control
        Values by seed, see `by_seed`. Seeds that lack either value (None: it was not
        finite) are left out; n counts the others.

    Raises
    ------
    InvalidValue
        If there are fewer than two pairs.
    """
    pairs = [(treated[s], control[s]) for s in treated if s in control]
    d = [a - b for a, b in pairs if a is not None and b is not None]
    require(len(d) >= 2, "paired_difference", "must have two pairs or more", len(d))
    mean, half, sd = _student(d)
    return Estimate(
        effect=mean,
        ci_low=mean - half,
        ci_high=mean + half,
        n=len(d),
        size=mean / sd if sd > 0 else None,
        test="mean of differences paired by seed, Student's 95 % interval",
    )


def _student(values: Sequence[float]) -> tuple[float, float, float]:
    """Return mean, half of the confidence interval, and standard deviation."""
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    n, sd = len(values), float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    return float(np.mean(values)), half, sd
