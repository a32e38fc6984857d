"""Second-order motifs: what is asked for is measured, and the rest stays at chance."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from spikelearn.connectivity import erdos_renyi, motif_excess, motifs
from spikelearn.errors import InvalidValue

N = 400
FAMILIES = [
    motifs(reciprocal=3.0),
    motifs(convergent=0.8),
    motifs(divergent=0.8),
    motifs(convergent=0.8, divergent=0.8, chain=0.7),
    motifs(convergent=0.8, divergent=0.8, chain=-0.4),
    motifs(1.5, 0.4, 1.0, 0.5, 0.2),
]


def test_excess_is_what_a_count_gives():
    mask = np.random.default_rng(0).random((7, 7)) < 0.4
    n, there = 7, mask & ~np.eye(7, dtype=bool)
    pairs = list(itertools.permutations(range(n), 2))
    triples = list(itertools.permutations(range(n), 3))
    p = np.mean([there[i, j] for i, j in pairs])
    both = {
        "reciprocal": np.mean([there[i, j] & there[j, i] for i, j in pairs]),
        "chain": np.mean([there[i, j] & there[j, k] for i, j, k in triples]),
        "convergent": np.mean([there[j, i] & there[j, k] for i, j, k in triples]),
        "divergent": np.mean([there[i, j] & there[k, j] for i, j, k in triples]),
    }
    excess = motif_excess(mask)
    for name, value in both.items():
        assert excess[name] == pytest.approx(value / p**2 - 1)
    assert set(motif_excess(np.zeros((3, 3), bool)).values()) == {0.0}


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_what_is_asked_for_is_measured(family):
    draws = [family.draw(N, seed) for seed in range(5)]
    excess = [motif_excess(made.mask) for made in draws]
    density = np.mean([made.mask.mean() for made in draws])
    assert density == pytest.approx(family.density, rel=0.1)
    for name in excess[0]:
        mean = np.mean([each[name] for each in excess])
        asked = getattr(family, name)
        assert mean == pytest.approx(asked, abs=0.1 + 0.05 * abs(asked)), name


def test_chance_without_motifs():
    for family in (motifs(), erdos_renyi(0.1)):
        excess = motif_excess(family.draw(N, 0).mask)
        assert max(map(abs, excess.values())) < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0.0}, "motifs.density must be in (0, 1); got 0"),
        ({"density": 1.0}, "motifs.density must be in (0, 1); got 1"),
        ({"gain": -1.0}, "motifs.gain must be finite and >= 0"),
        ({"reciprocal": 9.5}, "motifs.reciprocal must be in [-1, 9] at density 0.1"),
        ({"convergent": -0.1}, "motifs.convergent must be in [0, 9] at density 0.1"),
        ({"divergent": "1"}, "motifs.divergent must be in [0, 9]"),
        ({"chain": 0.5}, "motifs.chain must be in [0, 0] with this convergent and"),
        (
            {"convergent": 6.0, "divergent": 6.0},
            "motifs.convergent and divergent must have covariances with a sum <= 1",
        ),
        (
            {"convergent": 2.0, "divergent": 2.0, "reciprocal": 8.0},
            "motifs.reciprocal must be in [",
        ),
    ],
)
def test_motifs_that_cannot_be_had(options, message):
    with pytest.raises(InvalidValue, match="^" + re.escape(message)):
        motifs(**options)
