"""What compiled code makes of the names of `kernels.vector`, against their NumPy twins.

Each function below is run twice on the same arrays: compiled, and as the Python that it
is. All that it returns or changes has to be equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from spikelearn.kernels import FASTMATH, _llvm
from spikelearn.kernels.vector import (
    BLOCK,
    BYTES,
    LANES,
    aligned_zeros,
    bare,
    emit,
    exp,
    load,
    padded,
    select,
    store,
    total,
    width,
)

FLOATS = ("float32", "float64")
DTYPES = (*FLOATS, "int32")
SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40, -1e30, 1.0)
N = 2 * BLOCK * LANES


def numbers(dtype, seed):
    """Draw numbers of all sizes; special ones stand at random places."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(N) * 10.0 ** rng.integers(0, 4, N)
    if dtype in FLOATS:
        places = rng.choice(N, 4 * len(SPECIAL), replace=False)
        values[places] = np.tile(SPECIAL, 4)
    return values.astype(dtype)


def pairs(dtype):
    """Draw two arrays that agree in some places."""
    x, y = numbers(dtype, 1), numbers(dtype, 2)
    same = np.random.default_rng(3).random(N) < 0.2
    return x, np.where(same, x, y)


def compare(function, *arrays, tolerance=0.0):
    """Run a function in both ways; return what the compiled one changed."""
    compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)(function)
    assert compiled.py_func is function, "the comparison needs the compiler"
    mine, twins = ([np.copy(a) for a in arrays] for _ in range(2))
    got = compiled(*mine)
    with np.errstate(all="ignore"):
        expected = function(*twins)
    pairs = list(zip(mine, twins, strict=True))
    if expected is not None:
        pairs.append((np.array(got), np.array(expected)))
    for one, other in pairs:
        if tolerance:
            np.testing.assert_allclose(one, other, rtol=tolerance)
        else:
            np.testing.assert_array_equal(one, other)
    return mine


def arithmetic(x, y, out):
    x, y, out = bare(x), bare(y), bare(out)
    for j in range(0, x.size, width(x)):
        a, b = load(x, j), load(y, j)
        store(out, (0, j), a + b)
        store(out, (1, j), a - b)
        store(out, (2, j), a * b)
        store(out, (3, j), 3 - a)
        store(out, (4, j), 2 * a - 1)
        c = load(x, j)
        c += b
        store(out, (5, j), c)
        c -= 7
        store(out, (6, j), c)
        c *= b
        store(out, (7, j), c)
        store(out, (8, j), 5)
        # Numbers of an array beside vectors of it.
        store(out, (9, j), y[0] * a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic(dtype):
    out = np.zeros((10, N), dtype)
    _, _, got = compare(arithmetic, *pairs(dtype), out)
    assert all(len(np.unique(row)) > N // 3 for row in got[:8])


def division(x, y, out):
    x, y, out = bare(x), bare(y), bare(out)
    for j in range(0, x.size, width(x)):
        store(out, (0, j), load(x, j) / load(y, j))
        store(out, (1, j), load(x, j) / 3)
        store(out, (2, j), 1 / load(x, j))


@pytest.mark.parametrize("dtype", FLOATS)
def test_division(dtype):
    # Divisions by the same number may become multiplications.
    tolerance = 4 * np.finfo(dtype).eps
    x, y = pairs(dtype)
    normal = np.abs(y) > np.finfo(dtype).tiny  # the inverse of 1e-40 is infinite
    x, y = np.where(normal, x, 1), np.where(normal, y, 1)
    compare(division, x, y.astype(dtype), np.zeros((3, N), dtype), tolerance=tolerance)


def comparisons(x, y, out):
    x, y, out = bare(x), bare(y), bare(out)
    for j in range(0, x.size, width(x)):
        a, b = load(x, j), load(y, j)
        store(out, (0, j), select(a > b, a, b))
        store(out, (1, j), select(a < b, 1, b))
        store(out, (2, j), select(a != b, a, 0))
        store(out, (3, j), select(a > 0, b, -1))
        store(out, (4, j), select(0 < b, a, b))  # noqa: SIM300
        store(out, (5, j), select(x[j] > y[j], x[j], y[j]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_and_select(dtype):
    x, y, got = compare(comparisons, *pairs(dtype), np.zeros((6, N), dtype))
    assert 0.1 < np.mean(x > y) < 0.9
    assert np.mean(x == y) > 0.1
    assert len(np.unique(got[0])) > N // 3


def functions(x, out):
    x, out = bare(x), bare(out)
    for j in range(0, x.size, width(x)):
        store(out, (0, j), abs(load(x, j)))
        store(out, (1, j), exp(load(x, j)))
        store(out, (2, j), exp(x[j]))


@pytest.mark.parametrize("dtype", FLOATS)
def test_abs_and_exp(dtype):
    x = numbers(dtype, 4)
    x = np.where(np.isfinite(x) & (np.abs(x) > 80), x / 1000, x).astype(dtype)
    tolerance = 8 * np.finfo(dtype).eps
    _, got = compare(functions, x, np.zeros((3, N), dtype), tolerance=tolerance)
    assert np.isinf(got[1]).any()
    assert np.isnan(got[1]).any()
    assert (got[1] == 0).any()


def wide(x, y, out, sums):
    x, y, out, sums = bare(x), bare(y), bare(out), bare(sums)
    two, block = 2 * width(x), BLOCK * width(x)
    for j in range(0, x.size, two):
        value = load(x, j, 2)
        store(out, (0, j), value)
        store(out, (1, j), 2 * value + load(y, j, value))
        sums[0, j // two] = total(value)
    for j in range(0, x.size, block):
        value = load(x, j, BLOCK)
        value -= load(y, j, value)
        store(out, (2, j), select(value > 0, value, load(y, j, BLOCK)))
        sums[1, j // block] = total(value)
    for j in range(0, x.size, width(x)):
        sums[2, j // width(x)] = total(load(x, j))


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_vectors_in_one_and_total(dtype):
    x, y = pairs(dtype)
    x[:: N // 4], y[:: N // 4] = 1, 2
    compare(wide, x, y, np.zeros((3, N), dtype), np.zeros((3, N), dtype))
    # Without NaN and infinities, so that the order of a sum shows.
    x, y = (np.where(np.isfinite(a), a, 1).astype(dtype) for a in (x, y))
    got = compare(wide, x, y, np.zeros((3, N), dtype), np.zeros((3, N), dtype))
    sums = got[3]
    assert len(np.unique(sums)) > BLOCK


def unaligned(x, out):
    x, out = bare(x), bare(out)
    store(out, 3, load(x, 1))
    store(out, 50, load(x, 7, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_may_start_anywhere(dtype):
    compare(unaligned, numbers(dtype, 5), np.zeros(N, dtype))


class Pair(NamedTuple):
    array: Any
    number: Any


def elements(array, out):
    pair = bare(Pair(array, 4))
    a, b = pair.array, bare(out)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            b[j, i] = a[i, j] * pair.number
            b[j, i] += a.dtype.type(1)
    return a.size + b.size * width(a)


@pytest.mark.parametrize("dtype", FLOATS)
def test_bare_arrays_have_elements_and_a_shape(dtype):
    array = numbers(dtype, 6)[:105].reshape(7, 15)
    _, out = compare(elements, array, np.zeros((15, 7), dtype))
    np.testing.assert_array_equal(out, array.T * 4 + 1)


def spikes(x, found):
    x, found = bare(x), bare(found)
    end = 2
    for j in range(0, x.size, width(x)):
        end = emit(load(x, j) > 0, j + 5, found, end)
    for k in range(end, found.size):
        found[k] = 0  # behind the end the entries are arbitrary
    return end


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_emit(dtype, compress, monkeypatch):
    if compress and not _llvm.HAS_COMPRESS:
        pytest.skip("needs the compress instruction")
    monkeypatch.setattr(_llvm, "HAS_COMPRESS", compress)
    x = numbers(dtype, 7)
    x[:LANES], x[-LANES:] = 1, -1  # all lanes, and none
    x[LANES : 2 * LANES] = -1
    x[2 * LANES - 1] = 1  # the last lane alone
    _, found = compare(spikes, x, np.full(N + 2 + LANES, 99, np.int32))
    expected = 5 + np.flatnonzero(x > 0)
    assert LANES < expected.size < N - LANES
    np.testing.assert_array_equal(found[2 : 2 + expected.size], expected)
    assert (found[:2] == 99).all()


def test_rows_are_padded_to_vectors_and_blocks():
    sizes = {1: 16, 16: 16, 17: 32, 48: 48, 49: 64, 64: 64, 65: 128, 300: 320}
    sizes |= {960: 960, 961: 1088, 1024: 1088, 2048: 2112}  # no whole pages
    assert {n: padded(n) for n in sizes} == sizes


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_start_at_a_whole_vector(dtype):
    kept = [aligned_zeros((k, 7), dtype) for k in range(1, 7)]
    for array in kept:
        assert array.ctypes.data % BYTES == 0
        assert array.dtype == dtype
        assert not array.any()
        assert array.flags.c_contiguous
    assert kept[3].shape == (4, 7)
    array = aligned_zeros((4,), dtype)
    array[...] = 1  # may be written, and is its own
    assert not aligned_zeros((4,), dtype).any()
