"""The common currency of learning rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.learning.gradients import Gradients, global_norm
from spikelearn.network import Params


def _filled(value):
    arrays = Params(2, 3, 1, "float32").arrays()
    return Gradients(**{n: np.full_like(a, value) for n, a in arrays.items()})


def test_terms_add_up():
    a, b = _filled(1.0), _filled(2.5)
    total = a + b
    for array in total.arrays().values():
        assert (array == 3.5).all()
        assert array.dtype == np.float32
    assert (a.w_in == 1.0).all(), "the terms are left alone"


def test_names_are_those_of_the_parameters():
    assert tuple(_filled(0.0).arrays()) == Params.names


def test_norm_over_all_entries():
    assert global_norm({"a": np.array([3.0]), "b": np.array([[4.0, 12.0]])}) == 13.0


def test_norm_is_summed_in_double():
    assert math.isfinite(global_norm({"a": np.full(4, 1e25, np.float32)}))
    ones = np.ones(2**12, np.float32)
    assert global_norm({"a": 1e4 * ones, "b": ones}) == pytest.approx(
        math.sqrt(2**12 * (1e8 + 1)), rel=1e-12
    )
