"""Prefetching compiles for every width, and no address is a wrong one."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from spikelearn.kernels import kernel
from spikelearn.kernels.vector import prefetch


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
