"""Statistics of spikes against processes whose statistics are known."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.network.sparse import Spikes

N, T, DT = 200, 40_000, 0.1


def spikes(raster):
    steps, senders = np.nonzero(raster)
    ranges = {"A": (0, 150), "B": (150, N)}
    return Spikes(steps, senders.astype(np.uint32), ranges, DT, 0, len(raster))


@pytest.fixture(scope="module")
def bernoulli():
    return spikes(np.random.default_rng(0).random((T, N)) < 0.004)


def clock(together):
    raster = np.zeros((T, N), bool)
    for j in range(N):
        raster[(0 if together else 5 * j) + 3 :: 250, j] = True
    return spikes(raster)


def test_poisson_like(bernoulli):
    assert bernoulli.rate() == pytest.approx(40.0, rel=0.02)
    assert np.mean(bernoulli.interspike_cv()) == pytest.approx(1.0, abs=0.02)
    assert bernoulli.synchrony(1.0) == pytest.approx(1.0, abs=0.08)
    assert bernoulli.synchrony(5.0, "A") == pytest.approx(1.0, abs=0.15)


def test_clocks():
    apart, together = clock(False), clock(True)
    assert together.rate() == pytest.approx(40.0)
    np.testing.assert_allclose(together.interspike_cv("B"), np.zeros(50))
    assert together.synchrony(1.0) == pytest.approx(N * (1 - 0.04), rel=1e-6)
    assert apart.synchrony(1.0) < 3.0
    rate = together.population_rate(25.0)
    np.testing.assert_allclose(rate, np.full(160, 40.0))


def test_populations_and_time(bernoulli):
    one, other = bernoulli.of("A"), bernoulli.of("B")
    assert one.steps.size + other.steps.size == bernoulli.steps.size
    assert one.senders.max() < 150 <= other.senders.min()
    assert bernoulli.rate("A") == one.rate()
    late = bernoulli.after(1000.0)
    assert late.times.min() >= 1000.0
    assert late.duration == pytest.approx(3000.0)
    assert late.rate() == pytest.approx(40.0, rel=0.02)
    assert late.population_rate(1.0).size == 3000
    for time in (4000.0, -0.1):
        with pytest.raises(InvalidValue, match=r"Spikes.after.time must lie"):
            bernoulli.after(time)


def test_cv_needs_three_spikes():
    raster = np.zeros((100, N), bool)
    raster[[0, 50], 7] = True
    raster[[1, 3, 7], 9] = True
    cv = spikes(raster).interspike_cv()
    np.testing.assert_allclose(cv, [1.0 / 3.0])


def test_nothing_spiked():
    silent = spikes(np.zeros((100, N), bool))
    assert silent.rate() == 0.0
    assert silent.interspike_cv().size == 0
    assert np.isnan(silent.synchrony())
    for width in (0.01, 11.0):
        with pytest.raises(InvalidValue, match=r"bin_ms must be from 0.1 to 10 ms"):
            silent.population_rate(width)
