from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.data import graded, grey_levels, poisson_spikes, thermometer
from spikelearn.errors import InvalidValue


def test_grey_levels_of_the_two_data_sets():
    wide = np.arange(256, dtype=np.uint8)
    naive = [math.floor(v / 17 + 0.5) for v in range(256)]
    assert grey_levels(wide, 255, 4).tolist() == naive
    narrow = np.arange(17, dtype=np.uint8)
    assert grey_levels(narrow, 16, 4).tolist() == [min(v, 15) for v in range(17)]


@given(bits=st.integers(1, 8), white=st.integers(1, 255))
def test_grey_levels_rise_from_zero_to_at_most_the_top(bits, white):
    top = 2**bits - 1
    if white < top:
        with pytest.raises(InvalidValue, match="white must be >="):
            grey_levels(np.zeros(1, np.uint8), white, bits)
        return
    levels = grey_levels(np.arange(white + 1), white, bits).astype(int)
    assert levels[0] == 0 and levels.max() <= top
    assert (np.diff(levels) >= 0).all() and levels[-1] >= 2 * top // 3


def test_graded_is_on_the_grid():
    x = graded(np.arange(16, dtype=np.uint8), 4)
    assert x.dtype == np.float32 and x[0] == 0.0 and x[-1] == 1.0
    np.testing.assert_allclose(x * 15, np.arange(16), atol=1e-5)


@given(channels=st.integers(1, 20), bits=st.integers(1, 8))
def test_thermometer_equals_its_rational_definition(channels, bits):
    top = 2**bits - 1
    levels = np.arange(top + 1, dtype=np.uint8).reshape(1, -1)
    z = thermometer(levels, bits, channels)
    assert z.dtype == np.uint8 and z.shape == (1, (top + 1) * channels)
    for level in range(top + 1):
        for c in range(channels):
            on = level * (channels + 1) > (c + 1) * top
            assert z[0, level * channels + c] == on
    counts = z.reshape(-1, channels).sum(axis=1).astype(int)
    assert counts[0] == 0 and counts[-1] == channels
    assert (np.diff(counts) >= 0).all()


def test_poisson_rate_and_independence():
    rng = np.random.default_rng(5)
    rates = np.broadcast_to(np.array([0.0, 20.0, 400.0, 1000.0]), (100_000, 4))
    z = poisson_spikes(rates, 1.0, rng)
    assert z.dtype == np.uint8
    expected = np.array([0.0, 0.02, 0.4, 1.0])
    bound = 5 * np.sqrt(expected * (1 - expected) / len(z))
    assert (np.abs(z.mean(axis=0) - expected) <= bound).all()
    correlation = np.corrcoef(z[:-1, 2], z[1:, 2])[0, 1]
    assert abs(correlation) < 5 / math.sqrt(len(z))
    halved = poisson_spikes(rates, 0.5, rng).mean(axis=0)
    assert abs(halved[2] - 0.2) < 5 * math.sqrt(0.16 / len(z))


@pytest.mark.parametrize("rate", [-1.0, 1001.0, float("nan")])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(InvalidValue, match=r"0\.\.1000 Hz"):
        poisson_spikes(np.array([1.0, rate]), 1.0, np.random.default_rng(0))


def test_impossible_codes_are_refused():
    levels = np.zeros((2, 2), np.uint8)
    with pytest.raises(InvalidValue, match="bits must be in"):
        grey_levels(levels, 255, 9)
    with pytest.raises(InvalidValue, match="bits must be in"):
        thermometer(levels, 0, 3)
    with pytest.raises(InvalidValue, match="channels must be >= 1"):
        thermometer(levels, 4, 0)
