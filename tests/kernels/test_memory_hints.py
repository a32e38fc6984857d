"""Hints about memory: they compile for every width, and change no result."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from spikelearn.kernels import kernel
from spikelearn.kernels.spiking import STREAMED
from spikelearn.kernels.vector import (
    aligned_zeros,
    bare,
    load,
    prefetch,
    stream,
    width,
)
from tests.helpers import make_input, make_network


@kernel
def total(array, ahead):
    result = 0
    for i in range(np.uint64(array.size)):
        prefetch(array, i + ahead)
        result += array[i]
    return result


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float64])
@pytest.mark.parametrize("ahead", [0, 16, 10**15])
def test_prefetching_changes_nothing(dtype, ahead):
    array = np.arange(300).astype(dtype)
    assert total(array, np.uint64(ahead)) == 44850
    np.testing.assert_array_equal(array, np.arange(300))


def test_the_instruction_is_there():
    compiled = numba.njit(total.py_func)  # code from the cache cannot be looked at
    compiled(np.zeros(3, np.uint32), np.uint64(1))
    assert any("prefetch" in code for code in compiled.inspect_llvm().values())


@kernel
def double(x, out):
    x, out = bare(x), bare(out)
    for j in range(0, x.shape[1], width(x)):
        stream(out, (1, j), load(x, (0, j)) + load(x, (0, j)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_goes_past_the_caches_arrives(dtype):
    compiled = numba.njit(double.py_func)
    x = np.arange(64, dtype=dtype)[None]
    for function in (compiled, double.py_func):
        out = aligned_zeros((3, 64), dtype)
        function(x, out)
        np.testing.assert_array_equal(out[1], 2 * x[0])
        assert not out[[0, 2]].any()
    assert any("nontemporal" in code for code in compiled.inspect_llvm().values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_record_that_goes_past_the_caches_is_the_same(dtype):
    network = make_network(n_rec=120, drive=1.5, dtype=dtype)
    x = make_input(n_steps=1000, n_samples=40)
    large, small = network.run(x, threads=2), network.run(x[:, 17:18])
    sizes = [record.trajectory.distance.size for record in (small, large)]
    assert sizes[0] < STREAMED < sizes[1]
    assert np.array_equal(large.distance[:, 17:18], small.distance)
    assert np.array_equal(large.spikes[:, 17:18], small.spikes)
