"""Poisson input counts from a counter-based generator: no state, no order of drawing.

A 32-bit word is a function of (key, neuron, time step) and of nothing else, so that the
numbers are the same for any number of threads and any cut of a run into chunks. The
function is Philox 2x32 with 7 rounds, the fewest that pass all tests of BigCrush
(Salmon et al. 2011, doi:10.1145/2063384.2063405).
"""

from __future__ import annotations

import numpy as np

from spikelearn.kernels import kernel

__all__ = ["BLOCK", "add_poisson", "poisson_thresholds", "poisson_words"]

HALF = np.uint64(128)
BLOCK = np.uint64(256)  # neurons that share one set of buffers
ROUNDS = 7
MULTIPLIER = np.uint64(0xD256D193)
KEY_STEP = np.uint64(0x9E3779B9)
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def poisson_thresholds(mean: float) -> np.ndarray:
    """Return c with c[k] = P(X <= k) 2^32 for a Poisson variable X of this mean.

    A uniform word u gives the count  X = sum_k [u >= c[k]].

    Parameters
    ----------
    mean
        Expected count, from 0 to 64 (more terms than that make slow sums).

    Returns
    -------
    (n,) uint32 array
        Without the counts that a word of 32 bits cannot reach.
    """
    terms: list[float] = []
    total = 0.0
    term = float(np.exp(-mean))
    while round(total * 2**32) < 2**32 and len(terms) < 400:
        total += term
        terms.append(total)
        term *= mean / len(terms)
    scaled = np.rint(np.array(terms) * 2.0**32)
    return scaled[scaled < 2**32].astype(np.uint32)


@kernel
def poisson_words(start, step, key, words):
    """Fill a block of random words, Philox 2x32-7.

    Word j belongs to neuron start + j: counter (start + j mod HALF, step) gives the
    words of two neurons.

    Mutates
    -------
    words : (BLOCK,) uint32
    """
    for j in range(HALF):
        left = (start + j) & LOW
        right = step & LOW
        round_key = key
        for _ in range(ROUNDS):
            product = left * MULTIPLIER
            left = (product >> SHIFT) ^ round_key ^ right
            right = product & LOW
            round_key = (round_key + KEY_STEP) & LOW
        words[j] = np.uint32(left)
        words[HALF + j] = np.uint32(right)


@kernel
def add_poisson(target, weight, thresholds, key, step, lo, hi, scratch):
    """Add weight times a Poisson count to target[lo:hi].

    Blocks are aligned to multiples of BLOCK, wherever lo and hi are.

    Mutates
    -------
    target : (N,)
    scratch : (BLOCK,) uint32 words, (BLOCK,) uint32 counts, (BLOCK,) amounts
    """
    words, counts, amounts = scratch
    start = lo - lo % BLOCK
    while start < hi:
        poisson_words(start, step, key, words)
        for j in range(BLOCK):
            counts[j] = np.uint32(0)
        for c in range(np.uint64(thresholds.size)):
            threshold = thresholds[c]
            for j in range(BLOCK):
                counts[j] += np.uint32(words[j] >= threshold)
        for j in range(BLOCK):
            amounts[j] = counts[j]  # to floats of the width of the target
        first = max(lo, start) - start
        last = min(hi, start + BLOCK) - start
        for j in range(first, last):
            target[start + j] += weight * amounts[j]
        start += BLOCK
