"""Statistics of initial connectivity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.connectivity import (
    gaussian_weights,
    no_self_connections,
    random_mask,
)
from spikelearn.errors import InvalidValue
from tests.helpers import examples


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_eigenvalues_fill_a_disc_of_radius_gain(gain):
    w = gaussian_weights(200, 200, gain, np.random.default_rng(0))
    radius = np.abs(np.linalg.eigvals(w)) / gain
    assert 0.93 < radius.max() < 1.15
    # A uniform disc has P(|z| < r) = r^2.
    for r in (0.4, 0.6, 0.8):
        assert np.mean(radius < r) == pytest.approx(r**2, abs=0.06)


@pytest.mark.parametrize(("n_post", "n_pre"), [(200, 50), (50, 200)])
def test_variance_is_set_by_the_presynaptic_side(n_post, n_pre):
    w = gaussian_weights(n_post, n_pre, 1.5, np.random.default_rng(1))
    assert w.shape == (n_post, n_pre)
    assert w.var() * n_pre == pytest.approx(1.5**2, rel=0.06)
    assert abs(w.mean()) < 4 * w.std() / np.sqrt(w.size)


@examples
@given(st.floats(1e-6, 10.0))
def test_the_gain_scales_one_draw(gain):
    unit = gaussian_weights(4, 6, 1.0, np.random.default_rng(2))
    scaled = gaussian_weights(4, 6, gain, np.random.default_rng(2))
    np.testing.assert_allclose(scaled, gain * unit, rtol=1e-14)


@pytest.mark.parametrize("gain", [-1.0, np.nan, np.inf])
def test_bad_gain(gain):
    with pytest.raises(InvalidValue, match=r"gain must be finite and >= 0; got "):
        gaussian_weights(2, 2, gain, np.random.default_rng(0))


@examples
@given(st.integers(1, 30))
def test_only_the_diagonal_is_left_out(n):
    mask = no_self_connections(n)
    assert not mask.diagonal().any()
    assert mask.sum() == n * (n - 1)


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_density_of_a_random_mask(density):
    mask = random_mask(200, 100, density, np.random.default_rng(3))
    assert mask.shape == (200, 100)
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(density, abs=0.02)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.01, np.nan])
def test_bad_density(density):
    with pytest.raises(InvalidValue, match=r"^random_mask\.density must be in \(0, 1"):
        random_mask(2, 2, density, np.random.default_rng(0))
