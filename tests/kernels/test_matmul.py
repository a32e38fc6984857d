"""Products in register blocks: equal to NumPy's, and the same bits in every block."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.kernels import kernel
from spikelearn.kernels.adjoint import Part
from spikelearn.kernels.matmul import (
    Panels,
    add_transposed,
    list_terms,
    multiply,
    pack,
)
from spikelearn.kernels.vector import (
    LANES,
    add_products,
    aligned_zeros,
    bare,
    load_rows,
    nearest,
    power_of_two,
    power_series,
    store,
    store_rows,
    zero_rows,
)

DTYPES = ("float32", "float64")
COLUMNS = (16, 48, 64, 192)  # whole blocks, single vectors, both
COEFFICIENTS = (0.5, -1.0, 0.25, 2.0)


def _random(shape, dtype, seed):
    array = aligned_zeros(shape, dtype)
    array[...] = np.random.default_rng(seed).normal(size=shape)
    return array


def _panels(matrix, first, n_rows, low=0, high=None):
    panels = Panels(aligned_zeros((n_rows * matrix.shape[1],), matrix.dtype), n_rows)
    pack(matrix, first, low, high or matrix.shape[1], panels)
    return panels


@kernel
def _multiply(left, begin, at, n_terms, panels, first, n_rows, out):
    panels = bare(panels)
    multiply(bare(left), begin, at, n_terms, panels, first, n_rows, bare(out))


@kernel
def _add_transposed(left, sample, first, n_rows, panels, skip, part, out, offset):
    panels, out = bare(panels), bare(out)
    add_transposed(bare(left), sample, first, n_rows, panels, skip, part, out, offset)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_columns", COLUMNS)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 6, 8, 15])
def test_multiply(n_rows, n_columns, dtype):
    left = _random((n_rows + 2, 3, 37), dtype, 1)
    right = _random((40, n_columns), dtype, 2)
    out = _random((n_rows + 1, 1, n_columns), dtype, 3)
    behind = out[-1].copy()
    _multiply(left, 2, 1, 35, _panels(right, 0, 40), 4, n_rows, out)
    expected = left[2:, 1, :35].astype(float) @ right[4:39].astype(float)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(out[:-1, 0], expected, rtol=0, atol=tolerance)
    assert np.array_equal(out[-1], behind), "rows that nobody asked for"


@kernel
def _multiply_some(x, n, left, panels, active, out):
    panels, left, out, active = bare(panels), bare(left), bare(out), bare(active)
    terms = (active, 0, list_terms(bare(x), (0,), n, active))
    multiply(left, 0, 0, terms, panels, 0, left.shape[0], out)
    return terms[2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_columns", COLUMNS)
def test_terms_that_are_0_can_be_left_out(n_columns, dtype):
    n = 37
    x = _random((1, 48), dtype, 5)  # as long as a row: its padding is no term
    x[0, [0, 3, 4, 16, 36]] = 0.0
    x[0, 9] = np.nan
    left, right = _random((11, 1, n), dtype, 1), _random((n, n_columns), dtype, 2)
    left[..., x[0, :n] == 0.0] = 0.0
    panels, active = _panels(right, 0, n), np.empty(48 + LANES, np.int32)
    whole, some = (aligned_zeros((11, 1, n_columns), dtype) for _ in range(2))
    _multiply(left, 0, 0, n, panels, 0, 11, whole)
    n_terms = _multiply_some(x, n, left, panels, active, some)
    assert n_terms == n - 5
    assert np.array_equal(active[:n_terms], np.flatnonzero(x[0, :n]))
    assert np.array_equal(some, whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_columns", COLUMNS)
def test_a_row_has_the_same_bits_in_every_block(n_columns, dtype):
    left, right = _random((15, 1, 50), dtype, 1), _random((50, n_columns), dtype, 2)
    panels, out = _panels(right, 0, 50), aligned_zeros((15, 1, n_columns), dtype)
    _multiply(left, 0, 0, 50, panels, 0, 15, out)
    for begin in range(15):
        for n_rows in (1, 2, 3, 7):
            some = aligned_zeros((n_rows, 1, n_columns), dtype)
            n = min(n_rows, 15 - begin)
            _multiply(left, begin, 0, 50, panels, 0, n, some)
            assert np.array_equal(some[:n], out[begin : begin + n]), (begin, n_rows)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_columns", COLUMNS)
@pytest.mark.parametrize("n_rows", [1, 5, 6, 13])
def test_add_transposed(n_rows, n_columns, dtype):
    left = _random((2, 30, n_rows + 3), dtype, 1)
    right = _random((25, n_columns), dtype, 2)
    out = _random((n_rows + 4, n_columns), dtype, 3)
    low = 16 if n_columns > 16 else 0
    part, skip, before = Part(0, 1, low, n_columns), 4, out.copy()
    panels = _panels(right, 2, 20, low)
    _add_transposed(left, 1, 7, n_rows, panels, skip, part, out, 3)
    terms = left[1, 7:23, :n_rows].astype(float)
    expected = before.astype(float)
    expected[3 : 3 + n_rows, low:] += terms.T @ right[6:22, low:].astype(float)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)


@kernel
def _rows(left, right, some, out):
    left, right, some, out = bare(left), bare(right), bare(some), bare(out)
    rows = load_rows(out, (1, 0), 0, zero_rows(out, 3, 1))
    rows = add_products(rows, left, (1, 2), 0, 1, 4, right, 16)
    rows = add_products(rows, left, (1, 2), 0, 1, (some, 1, 3), right, 16)
    store_rows(out, (1, 0), 0, rows)


@kernel
def _elements(x, out):
    x, out = bare(x), bare(out)
    (vector,) = load_rows(x, (0, 0), 0, zero_rows(x, 1, 1))
    whole = nearest(vector)
    store(out, (0, 0), whole)
    store(out, (1, 0), power_of_two(whole))
    store(out, (2, 0), power_series(vector, COEFFICIENTS))


@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_rows_are_those_of_numpy(dtype):
    left, right = _random((5, 7), dtype, 1), _random((128,), dtype, 2)
    mine = _random((5, 16), dtype, 3)
    theirs = mine.copy()
    before = mine.copy()
    some = np.array([9, 1, 4, 9], np.int32)
    _rows(left, right, some, mine)
    _rows.py_func(left, right, some, theirs)
    assert (mine != before).any(axis=1).tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(mine, theirs, rtol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_elements_are_those_of_numpy(dtype):
    n = 64 // np.dtype(dtype).itemsize
    x = aligned_zeros((1, 16), dtype)
    x[0] = np.linspace(-20.3, 20.1, 16)
    x[0, :3] = 0.5, 1.5, -126.0
    mine, theirs = aligned_zeros((3, 16), dtype), aligned_zeros((3, 16), dtype)
    _elements(x, mine)
    _elements.py_func(x, theirs)
    assert np.array_equal(mine[:2], theirs[:2])
    assert (mine[1, :n] == 2.0 ** np.rint(x[0, :n])).all()
    np.testing.assert_allclose(mine[2], theirs[2], rtol=100 * np.finfo(dtype).eps)
