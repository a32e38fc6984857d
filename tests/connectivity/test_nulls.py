"""Null models: what each keeps to the last digit, and what it destroys."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.connectivity import (
    connectome,
    dale,
    degree_preserving,
    erdos_renyi,
    gaussian,
    low_rank,
    motif_excess,
    motifs,
    shuffle,
    spectral_radius,
    spectrum_matched,
)
from spikelearn.errors import InvalidValue

N = 120
WORM = connectome("celegans")


def degrees(mask):
    return mask.sum(axis=0).tolist(), mask.sum(axis=1).tolist()


def singular(weights):
    return np.linalg.svd(weights, compute_uv=False)


@pytest.mark.parametrize("base", [WORM, low_rank(2), dale(base=erdos_renyi(0.2))])
def test_shuffle_keeps_the_numbers(base):
    made, null = base.draw(N, 1), shuffle(base).draw(N, 1)
    assert np.array_equal(np.sort(made.weights, None), np.sort(null.weights, None))
    assert not np.array_equal(made.weights, null.weights)
    assert null.mask.sum() == made.mask.sum()
    assert not null.weights[~null.mask].any()
    assert null.mask.diagonal().any() == made.mask.diagonal().any()
    if made.signs is not None:
        assert (null.weights * null.signs >= 0).all()
    if base != dale(base=erdos_renyi(0.2)):  # which has no structure to lose
        assert singular(null.weights)[0] < singular(made.weights)[0]


def test_shuffle_leaves_no_structure():
    excess = motif_excess(shuffle(WORM).draw(302, 0).mask)
    assert max(map(abs, excess.values())) < 0.3
    assert motif_excess(WORM.draw(302, 0).mask)["reciprocal"] > 5


@pytest.mark.parametrize("base", [WORM, motifs(4.0, density=0.15)], ids=str)
def test_rewiring_keeps_degrees_and_what_neurons_give(base):
    made, null = base.draw(N, 1), degree_preserving(base).draw(N, 1)
    assert degrees(null.mask) == degrees(made.mask)
    assert not null.mask.diagonal().any()
    for column in range(N):
        own = np.sort(made.weights[:, column]), np.sort(null.weights[:, column])
        assert np.array_equal(*own)
    assert (null.mask & made.mask).sum() < 0.6 * made.mask.sum()
    before, after = (motif_excess(m.mask)["reciprocal"] for m in (made, null))
    assert after < before / 2
    control = shuffle(base).draw(N, 1)
    assert degrees(control.mask) != degrees(made.mask)


def test_rewiring_keeps_self_connections():
    mask = np.random.default_rng(0).random((N, N)) < 0.2
    base = gaussian().masked(mask)
    made, null = base.draw(N, 0), degree_preserving(base).draw(N, 0)
    assert np.array_equal(null.weights.diagonal(), made.weights.diagonal())
    assert np.array_equal(null.mask.diagonal(), made.mask.diagonal())
    assert degrees(null.mask) == degrees(made.mask)


def test_rewiring_what_has_no_choice():
    with pytest.raises(
        InvalidValue, match=r"base must leave out some .* got gaussian\("
    ):
        degree_preserving(gaussian()).draw(N)
    one = np.zeros((3, 3), bool)
    one[0, 1] = True
    family = gaussian().masked(one)
    assert np.array_equal(degree_preserving(family).draw(3).mask, one)


@pytest.mark.parametrize("base", [WORM, low_rank(2), gaussian().delayed(2, 3)], ids=str)
def test_singular_values_stay(base):
    made, null = base.draw(N, 1), spectrum_matched(base).draw(N, 1)
    np.testing.assert_allclose(
        singular(null.weights), singular(made.weights), atol=1e-10
    )
    assert null.mask.all()
    assert null.signs is None
    assert spectral_radius(null.weights) != pytest.approx(spectral_radius(made.weights))
    assert np.array_equal(null.delay, made.delay)
