"""Statistics of claims, against scipy and by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from spikelearn.errors import InvalidValue
from spikelearn.studies.statistics import by_seed, mean_over_seeds


def table(n_seeds=6, slope=1.0, noise=0.3, rng=0):
    rng = np.random.default_rng(rng)
    return [
        {"gain": gain, "seed": seed, "loss": slope * gain + noise * rng.normal()}
        for gain in (0.5, 1.0, 1.5, 2.0)
        for seed in range(n_seeds)
    ]


def test_a_mean_of_differences_is_that_of_the_paired_t_test():
    rows = table()
    treated, control = by_seed(rows, "loss", gain=2.0), by_seed(rows, "loss", gain=0.5)
    found = mean_over_seeds({seed: treated[seed] - control[seed] for seed in treated})
    expected = stats.ttest_rel(list(treated.values()), list(control.values()))
    interval = expected.confidence_interval(0.95)
    assert found.ci_low == pytest.approx(interval.low)
    assert found.ci_high == pytest.approx(interval.high)
    assert found.size == pytest.approx(expected.statistic / np.sqrt(6))
    assert found.n == 6
    assert found.verdict(above=0) == "reproduced"
    assert found.verdict(below=0) == "not reproduced"


def test_equal_numbers_have_no_size():
    found = mean_over_seeds({0: 1.0, 1: 1.0})
    assert (found.effect, found.ci_low, found.ci_high, found.size) == (1, 1, 1, None)


def test_one_seed_has_no_interval():
    with pytest.raises(InvalidValue, match="two seeds or more; got 1"):
        mean_over_seeds({0: 1.0})


def test_a_column_by_seed_is_unambiguous():
    with pytest.raises(InvalidValue, match=r"got two for seed 0.*Given: nothing"):
        by_seed(table(), "loss")
    assert len(by_seed(table(), "loss", gain=1.0)) == 6


def test_a_verdict_needs_a_bound_and_the_whole_interval():
    found = mean_over_seeds({0: 1.0, 1: 2.0})
    touching = dataclasses.replace(found, ci_low=0.0)
    assert touching.verdict(above=0) == "not reproduced"
    with pytest.raises(InvalidValue, match="must have a bound"):
        found.verdict()
