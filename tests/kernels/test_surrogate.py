"""Pseudo-derivatives against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.kernels.surrogate import SURROGATES, pseudo_derivatives
from spikelearn.network import LIF, Surrogate
from tests.helpers import examples

FORMULAS = {
    "triangular": lambda r: np.maximum(0.0, 1.0 - r),
    "fast-sigmoid": lambda r: 1.0 / (1.0 + r) ** 2,
    "exponential": lambda r: np.exp(-r),
    "arctan": lambda r: 1.0 / (1.0 + r**2),
}


def _evaluate(name, distance, height, width, dtype=np.float64):
    distance = np.asarray(distance, dtype)
    psi = np.empty_like(distance)
    n = distance.size
    heights = np.broadcast_to(np.asarray(height, dtype), n).copy()
    inverse = np.broadcast_to(np.asarray(1.0 / np.asarray(width), dtype), n).copy()
    pseudo_derivatives(SURROGATES[name], distance, heights, inverse, psi)
    return psi


@pytest.mark.parametrize("name", SURROGATES)
@examples
@given(
    distance=st.floats(-5.0, 5.0),
    height=st.floats(0.01, 10.0),
    width=st.floats(0.05, 5.0),
)
def test_formula(name, distance, height, width):
    expected = height * FORMULAS[name](abs(distance) / width)
    got = _evaluate(name, [distance], height, width)[0]
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SURROGATES)
def test_height_at_threshold_and_zero_while_refractory(name, dtype):
    psi = _evaluate(name, [0.0, -np.inf, 0.3, -0.3], 0.7, 0.5, dtype)
    assert psi.dtype == dtype
    assert psi[0] == dtype(0.7)
    assert psi[1] == 0.0
    assert psi[2] == psi[3] > 0.0


def test_the_four_shapes_differ():
    values = {float(_evaluate(name, [0.4], 1.0, 1.0)[0]) for name in SURROGATES}
    assert len(values) == len(SURROGATES) == len(FORMULAS)


def test_height_and_width_follow_the_threshold():
    surrogate = Surrogate("triangular", gamma=0.3, width=2.0)
    cell = LIF(v_th=np.array([0.5, 2.0]), surrogate=surrogate)
    constants = cell.constants(2, 1.0, "float64")
    np.testing.assert_allclose(constants.height, [0.6, 0.15])
    np.testing.assert_allclose(constants.inverse_width, [1.0, 0.25])
