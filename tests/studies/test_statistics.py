"""Statistics of claims, against scipy and by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from spikelearn.errors import InvalidValue
from spikelearn.studies.statistics import (
    by_seed,
    overall,
    paired_difference,
    rank_correlation,
)


def table(n_seeds=6, slope=1.0, noise=0.3, rng=0):
    rng = np.random.default_rng(rng)
    return [
        {"gain": gain, "seed": seed, "loss": slope * gain + noise * rng.normal()}
        for gain in (0.5, 1.0, 1.5, 2.0)
        for seed in range(n_seeds)
    ]


def test_a_paired_difference_is_that_of_the_paired_t_test():
    rows = table()
    treated, control = by_seed(rows, "loss", gain=2.0), by_seed(rows, "loss", gain=0.5)
    found = paired_difference(treated, control)
    expected = stats.ttest_rel(list(treated.values()), list(control.values()))
    interval = expected.confidence_interval(0.95)
    assert found.ci_low == pytest.approx(interval.low)
    assert found.ci_high == pytest.approx(interval.high)
    assert found.size == pytest.approx(expected.statistic / np.sqrt(6))
    assert found.n == 6
    assert found.verdict(above=0) == "reproduced"
    assert found.verdict(below=0) == "not reproduced"


def test_only_whole_pairs_count():
    treated = {0: 1.0, 1: 2.0, 2: None, 3: 5.0}
    control = {1: 1.0, 0: 0.5, 2: 1.0, 4: 0.0}
    found = paired_difference(treated, control)
    assert (found.effect, found.n) == (0.75, 2)
    with pytest.raises(InvalidValue, match="two pairs or more; got 1"):
        paired_difference({0: 1.0, 1: None}, {0: 1.0, 1: 1.0})


def test_equal_differences_have_no_size():
    found = paired_difference({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.0})
    assert (found.effect, found.ci_low, found.ci_high, found.size) == (1, 1, 1, None)


def test_a_column_by_seed_is_unambiguous():
    with pytest.raises(InvalidValue, match=r"got two for seed 0.*Given: nothing"):
        by_seed(table(), "loss")
    assert len(by_seed(table(), "loss", gain=1.0)) == 6


@pytest.mark.parametrize(("slope", "sign"), [(1.0, 1), (-1.0, -1)])
def test_a_rank_correlation_is_the_mean_over_seeds(slope, sign):
    rows = table(slope=slope)
    found = rank_correlation(rows, "gain", "loss")
    each = []
    for seed in range(6):
        values = [(row["gain"], row["loss"]) for row in rows if row["seed"] == seed]
        each.append(stats.spearmanr(values).statistic)
    assert found.effect == pytest.approx(np.mean(each))
    assert -1 <= found.ci_low <= found.effect <= found.ci_high <= 1
    assert found.effect * sign > 0.5
    verdict = found.verdict(above=0) if sign > 0 else found.verdict(below=0)
    assert verdict == "reproduced"


def test_noise_is_not_correlated():
    found = rank_correlation(table(n_seeds=20, slope=0.0), "gain", "loss")
    assert found.verdict(above=0) == found.verdict(below=0) == "not reproduced"
    assert found.verdict(above=-0.5, below=0.5) == "reproduced"


def test_seeds_without_enough_values_are_left_out():
    rows = table(n_seeds=4)
    for row in rows:
        if row["seed"] == 0:
            row["loss"] = 1.0  # constant
        if row["seed"] == 1 and row["gain"] > 0.9:
            row["loss"] = None  # one value is left
    assert rank_correlation(rows, "gain", "loss").n == 2
    with pytest.raises(InvalidValue, match="two seeds or more"):
        rank_correlation(rows[:2], "gain", "loss")


def test_a_verdict_needs_a_bound_and_the_whole_interval():
    found = paired_difference({0: 1.0, 1: 2.0}, {0: 0.0, 1: 0.0})
    touching = dataclasses.replace(found, ci_low=0.0)
    assert touching.verdict(above=0) == "not reproduced"
    with pytest.raises(InvalidValue, match="must have a bound"):
        found.verdict()


def test_parts_that_differ_make_a_verdict_depend():
    assert overall(["reproduced", "reproduced"]) == "reproduced"
    assert overall(["not reproduced"]) == "not reproduced"
    assert overall(["reproduced", "not reproduced"]) == "depends"
