"""Scaling to a norm or a spectral radius, and what cannot be scaled."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.connectivity import (
    MATCHES,
    Connectivity,
    dale,
    erdos_renyi,
    gaussian,
    low_rank,
    match,
    spectral_radius,
)
from spikelearn.errors import InvalidValue, UnknownName

N = 40
MEASURES = {"frobenius": np.linalg.norm, "spectral_radius": spectral_radius}


@pytest.mark.parametrize("mode", sorted(MATCHES))
@pytest.mark.parametrize(
    "family", [gaussian(), low_rank(2), dale(base=erdos_renyi(0.2))], ids=str
)
def test_a_match_is_a_factor(family, mode):
    made = family.draw(N, 0)
    matched = match(made, mode, 2.5)
    assert MEASURES[mode](matched.weights) == pytest.approx(2.5)
    factors = matched.weights[made.weights != 0] / made.weights[made.weights != 0]
    assert np.ptp(factors) < 1e-12 * factors[0]
    assert factors[0] > 0
    assert matched.signs is made.signs
    other = next(m for m in MATCHES if m != mode)
    assert MEASURES[other](matched.weights) != pytest.approx(2.5), "a control"


def test_the_spectral_radius_of_a_rotation():
    turn = 0.7 * np.array([[0.0, -1.0], [1.0, 0.0]])
    assert spectral_radius(turn) == pytest.approx(0.7)


def test_norms_that_are_too_large():
    for mode in MATCHES:
        with pytest.raises(InvalidValue, match=rf"^match\.{mode} must leave the Frob"):
            match(gaussian().draw(N, 0), mode, 1e300)


def connected(weights):
    return Connectivity(np.asarray(weights, float), np.asarray(weights) != 0)


def test_nilpotent_matrices_have_no_spectral_radius():
    rng = np.random.default_rng(0)
    order = rng.permutation(N)
    feedforward = np.tril(rng.standard_normal((N, N)), -1)[np.ix_(order, order)]
    u, v = np.linalg.qr(rng.standard_normal((N, 2)))[0].T
    for weights in (feedforward, np.outer(u, v)):
        with pytest.raises(InvalidValue, match=r"nilpotent matrix.*Match 'frobenius'"):
            match(connected(weights), "spectral_radius", 1.0)
        matched = match(connected(weights), "frobenius", 3.0)
        assert np.linalg.norm(matched.weights) == pytest.approx(3.0)


@pytest.mark.parametrize("mode", sorted(MATCHES))
def test_nothing_to_scale(mode):
    with pytest.raises(
        InvalidValue, match=rf"^match\.{mode} must be asked of .* all 0"
    ):
        match(connected(np.zeros((3, 3))), mode, 1.0)
    for bad in (0.0, -1.0, np.nan, np.inf, "1"):
        with pytest.raises(InvalidValue, match=rf"^match\.{mode} must be > 0"):
            match(gaussian().draw(3), mode, bad)


def test_an_unknown_match():
    with pytest.raises(UnknownName, match=r"matching 'frobenios'\. Did you mean"):
        match(gaussian().draw(3), "frobenios", 1.0)
