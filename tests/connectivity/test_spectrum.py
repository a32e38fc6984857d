"""Eigenvalues of recurrent weights."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.connectivity import eigenvalues, gaussian_weights, spectral_radius
from spikelearn.errors import InvalidValue


def test_eigenvalues_of_a_rotation_and_scaling():
    angle = 0.3
    block = 2.0 * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    matrix = np.zeros((3, 3))
    matrix[:2, :2], matrix[2, 2] = block, -1.0
    values = eigenvalues(matrix)
    np.testing.assert_allclose(np.abs(values), [2.0, 2.0, 1.0], rtol=1e-12)
    expected = 2.0 * np.exp(1j * np.array([-angle, angle]))
    np.testing.assert_allclose(
        values[:2][np.argsort(values[:2].imag)], expected, rtol=1e-12
    )
    assert spectral_radius(matrix) == pytest.approx(2.0)


def test_eigenvalues_fill_the_disc_of_the_gain():
    matrix = gaussian_weights(300, 300, 1.4, np.random.default_rng(1))
    modulus = np.abs(eigenvalues(matrix))
    assert spectral_radius(matrix) == pytest.approx(1.4, rel=0.1)
    inside = np.mean(modulus < 1.4 * np.sqrt(0.5))
    assert inside == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3)), r"must have shape \(n, n\); got \(2, 3\)"),
        (np.zeros((0, 0)), "must have shape"),
        (np.array([[np.nan]]), "must be finite"),
    ],
)
def test_eigenvalues_refuse_what_is_not_a_matrix(matrix, message):
    with pytest.raises(InvalidValue, match=message):
        eigenvalues(matrix)
