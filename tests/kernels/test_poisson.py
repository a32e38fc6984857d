"""The counter-based generator: known answers, statistics, no dependence on cuts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.kernels.poisson import (
    BLOCK,
    add_poisson,
    poisson_thresholds,
    poisson_words,
)
from tests.reference.poisson import count, philox

# Random123's known answers of Philox 2x32 with 7 rounds: counter, key, words.
KNOWN = [
    ((0x00000000, 0x00000000), 0x00000000, (0x257A3673, 0xCD26BE2A)),
    ((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, (0xAB302C4D, 0x3DC9D239)),
    ((0x243F6A88, 0x85A308D3), 0x13198A2E, (0xBEDBBE6B, 0xE4C770B3)),
]
WHOLE, HALF = int(BLOCK), int(BLOCK) // 2


def draw(mean, n, *, step=3, key=12345, lo=0, hi=None):
    target = np.zeros(n)
    scratch = (np.empty(WHOLE, np.uint32), np.empty(WHOLE, np.uint32), np.empty(WHOLE))
    lo, hi = np.uint64(lo), np.uint64(n if hi is None else hi)
    thresholds = poisson_thresholds(mean)
    add_poisson(
        target, 1.0, thresholds, np.uint64(key), np.uint64(step), lo, hi, scratch
    )
    return target


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    words = np.empty(WHOLE, np.uint32)
    poisson_words(np.uint64(counter[0]), np.uint64(counter[1]), np.uint64(key), words)
    assert (words[0], words[HALF]) == expected
    assert philox(*counter, key) == expected


def test_every_word_is_that_of_its_counter():
    words = np.empty(WHOLE, np.uint32)
    poisson_words(np.uint64(512), np.uint64(77), np.uint64(9), words)
    expected = np.array([philox(512 + j, 77, 9) for j in range(HALF)])
    np.testing.assert_array_equal(words, expected.T.ravel())


@pytest.mark.parametrize("mean", [0.01, 0.9, 2.0, 7.5, 64.0])
def test_thresholds_are_the_distribution_function(mean):
    thresholds = poisson_thresholds(mean)
    terms = [
        math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        for k in range(thresholds.size)
    ]
    np.testing.assert_allclose(thresholds / 2.0**32, np.cumsum(terms), atol=1e-9)
    assert 1.0 - sum(terms) < 2e-9 * (1 + mean)


@pytest.mark.parametrize("mean", [0.05, 2.0, 20.0])
def test_counts_are_poisson(mean):
    counts = np.concatenate([draw(mean, 50_000, step=step) for step in range(4)])
    n = counts.size
    assert abs(counts.mean() - mean) < 4.5 * math.sqrt(mean / n)
    spread = math.sqrt((mean + 2.0 * mean**2) / n)  # of a sample variance
    assert abs(counts.var() - mean) < 4.5 * spread
    for k in range(int(mean) + 3):
        p = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        assert abs(np.mean(counts == k) - p) < 4.5 * math.sqrt(p / n) + 1e-9


@pytest.mark.parametrize("lag", [1, HALF, WHOLE, "step", "key"])
def test_counts_are_uncorrelated(lag):
    first = draw(2.0, 100_000)
    if lag == "step":
        second = draw(2.0, 100_000, step=4)
    elif lag == "key":
        second = draw(2.0, 100_000, key=12346)
    else:
        first, second = first[:-lag], first[lag:]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4.5 / math.sqrt(first.size)


def test_a_range_gets_what_it_gets_as_part_of_the_whole():
    whole = draw(3.0, 1000)
    for lo, hi in [(0, 1), (255, 257), (300, 900), (256, 512), (999, 1000)]:
        part = draw(3.0, 1000, lo=lo, hi=hi)
        np.testing.assert_array_equal(part[lo:hi], whole[lo:hi])
        assert part[:lo].sum() == part[hi:].sum() == 0


def test_counts_agree_with_a_plain_sum():
    expected = [count(2.0, neuron, 3, 12345) for neuron in range(600)]
    np.testing.assert_array_equal(draw(2.0, 600), expected)
