"""The arithmetic limit, and what is counted against it."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.benchmark.fma import OPERATIONS, trace_efficiency
from spikelearn.kernels.limits import GROUP, multiply_add
from spikelearn.kernels.vector import BYTES, aligned_zeros


@pytest.mark.parametrize("n_vectors", [GROUP, 2 * GROUP])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_vectors_are_multiplied_and_added_n_times(dtype, n_vectors):
    scalar = np.dtype(dtype).type
    x = aligned_zeros((n_vectors * BYTES // scalar().itemsize,), dtype)
    x[...] = np.arange(x.size)
    expected = x * 0.5**3 + 0.25 * (1 + 0.5 + 0.25)
    multiply_add(3, scalar(0.5), scalar(0.25), x)
    np.testing.assert_array_equal(x, expected.astype(dtype))


@pytest.mark.parametrize("cell", OPERATIONS)
def test_efficiency_is_operations_per_time_and_limit(cell):
    sizes = {"n_in": 3, "n_steps": 40}
    found = trace_efficiency(20, cell=cell, repeats=1, **sizes)
    operations = 2 * OPERATIONS[cell] * 20 * (3 + 20 + 1) * 40
    gflops = operations / found["milliseconds"] * 1e-6
    assert found["n_rec"] == 20
    assert found["gflops"] == pytest.approx(gflops)
    assert found["fraction"] == pytest.approx(gflops / found["limit_gflops"])
    assert 0 < found["fraction"] < 1
