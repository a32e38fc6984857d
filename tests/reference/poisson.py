"""Naive twin of the Poisson input: Philox 2x32-7 with Python's integers."""

from __future__ import annotations

import math

BLOCK, HALF = 256, 128


def philox(counter, step, key):
    """Return two random words (Salmon et al. 2011, doi:10.1145/2063384.2063405)."""
    left, right = counter, step
    for _ in range(7):
        high, low = divmod(left * 0xD256D193, 2**32)
        left, right = high ^ key ^ right, low
        key = (key + 0x9E3779B9) % 2**32
    return left, right


def count(mean, neuron, step, key):
    """Return the Poisson count of a neuron at a step by walking along P(X <= k)."""
    start, place = divmod(neuron, BLOCK)
    second, offset = divmod(place, HALF)
    u = philox(start * BLOCK + offset, step, key)[second] / 2.0**32
    k, term = 0, math.exp(-mean)
    below = term
    while u >= below:
        k += 1
        term *= mean / k
        below += term
    return k
