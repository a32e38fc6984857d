"""Vectors and bare arrays: what kernels compute with.

A vector is what `load` takes from an array: 16 neighbouring float32, int32 or uint8, or
8 float64; or several times as many in one value. It knows `+ - * /`, `abs`
and comparisons, with another vector or with a number, so that a kernel reads like its
equations:

    alpha, v = bare(alpha), bare(v)
    for j in range(0, v.size, width(v)):
        voltage = load(alpha, j) * load(v, j)
        store(v, j, select(voltage > 1.0, 0.0, voltage))

LLVM cuts a vector into what the CPU has: one register with AVX-512, two with AVX2, four
with SSE or NEON. There are no bounds checks: rows are whole vectors (`padded`).

A bare array is an array without its owner: taking it out of a tuple or handing it to a
function counts no reference, which costs more than a vector of arithmetic. An index is
complete and not negative.

Here every function is ordinary NumPy, its portable twin, on which the `py_func` of a
kernel runs. `kernels._llvm`, `_tiles` and `elementary` teach them to compiled code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "BLOCK",
    "LANES",
    "acquire",
    "add_products",
    "aligned_empty",
    "aligned_zeros",
    "bare",
    "bare_rows",
    "emit",
    "exp",
    "fetch_add",
    "give_way",
    "load",
    "load_rows",
    "log1p",
    "nearest",
    "padded",
    "power_of_two",
    "power_series",
    "prefetch",
    "release",
    "select",
    "sqrt",
    "store",
    "store_rows",
    "stream",
    "tanh",
    "total",
    "width",
    "zero_rows",
    "zeros_like",
]

BYTES = 64
LANES = BYTES // 4
"""Rows are padded to a multiple of this many numbers, of either float type."""
BLOCK = 4
"""Vectors that kernels keep in registers at a time, where a row has so many."""
PAGE = 4096 // 4
"""Numbers of float32 in a page of memory."""


def padded(n: int) -> int:
    """Return n, rounded up to whole vectors, and from 49 on to whole blocks of them.

    Rows of whole pages get a block more: the same column of all rows would else share
    a few sets of the caches, which hold a fraction of it.
    """
    unit = LANES if n <= (BLOCK - 1) * LANES else BLOCK * LANES
    size = -(-n // unit) * unit
    return size if size % PAGE else size + unit


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros that start at a whole vector: unaligned rows cost a fifth."""
    return _aligned(np.zeros, shape, dtype)


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of any content, for what is written before it is read."""
    return _aligned(np.empty, shape, dtype)


def _aligned(new: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = new(size + BYTES, np.uint8)
    skip = -raw.__array_interface__["data"][0] % BYTES
    return raw[skip : skip + size].view(dtype).reshape(shape)


def bare(value: Any) -> Any:
    """Return an array (C order) without its owner, or a named tuple with bare arrays.

    Somebody else has to keep the array alive: kernels do it for what their caller owns.
    """
    return value


def bare_rows(array: np.ndarray) -> np.ndarray:
    """Return a matrix without its owner, whose rows need not follow each other.

    Entries of a row are neighbours. What the caller counts as columns it has to bring:
    compiled, `shape[1]` is the distance of two rows.
    """
    return array


def width(array: np.ndarray) -> int:
    """Return how many numbers of this array a vector holds: 16, or 8 float64."""
    return min(BYTES // array.dtype.itemsize, LANES)


def load(array: np.ndarray, index: Any, size: Any = 1) -> np.ndarray:
    """Return what starts at an index (a number, or a tuple of them).

    `size` is a number of vectors, written out, or another value of the same size.
    """
    *rows, j = index if isinstance(index, tuple) else (index,)
    n = size.size if isinstance(size, np.ndarray) else size * width(array)
    return array[(*rows, slice(j, j + n))].copy()


def store(array: np.ndarray, index: Any, value: Any) -> None:
    """Write a vector, or a number into all lanes of one. Mutates `array`."""
    *rows, j = index if isinstance(index, tuple) else (index,)
    n = value.size if isinstance(value, np.ndarray) else width(array)
    array[(*rows, slice(j, j + n))] = value


def stream(array: np.ndarray, index: Any, value: Any) -> None:
    """Write a vector past the caches: nobody reads it before much else was written.

    It has to start at a whole vector in memory. Mutates `array`.
    """
    store(array, index, value)


def zeros_like(like: Any) -> Any:
    """Return a vector of zeros of the same size (0 times a vector may be NaN)."""
    return np.zeros_like(like)


def select(mask: np.ndarray, yes: Any, no: Any) -> np.ndarray:
    """Return `yes` where the mask is true, else `no`; both may be numbers."""
    kinds = [value.dtype for value in (yes, no) if isinstance(value, np.ndarray)]
    return np.where(mask, yes, no).astype(kinds[0]) if kinds else yes if mask else no


def exp(x: Any) -> Any:
    """Return the exponential of a vector or a number (`kernels.elementary`)."""
    return np.exp(x)


def sqrt(x: Any) -> Any:
    """Return the square root of a vector or a number."""
    return np.sqrt(x)


def prefetch(array: np.ndarray, index: Any) -> None:
    """Ask the memory for what is needed soon; an index outside does no harm."""


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of a vector or a number."""
    return np.tanh(x)


def log1p(x: Any) -> Any:
    """Return log(1 + x) of a vector or a number with 0 <= x <= 1."""
    return np.log1p(x)


def nearest(x: np.ndarray) -> np.ndarray:
    """Return the nearest whole numbers of a vector of floats, as floats."""
    return np.rint(x)


def power_of_two(n: np.ndarray) -> np.ndarray:
    """Return 2^n for whole numbers that are neither under- nor overflow."""
    return np.ldexp(np.ones_like(n), n.astype(np.int32))


def fetch_add(array: np.ndarray, index: int, value: int) -> int:
    """Add to an int64 entry that threads share, and return what it was before."""
    before = int(array[index])
    array[index] += value
    return before


def acquire(array: np.ndarray, index: int) -> int:
    """Return an int64 entry; from here on all is seen that its writer wrote before."""
    return int(array[index])


def release(array: np.ndarray, index: int, value: int) -> None:
    """Write an int64 entry after all that was written before. Mutates `array`."""
    array[index] = value


def give_way() -> None:
    """Let other threads of the system run."""


def total(vector: np.ndarray) -> Any:
    """Return the sum of the lanes, halves first: (a + c) + (b + d)."""
    while vector.size > 1:
        half = vector.size // 2
        vector = vector[:half] + vector[half:]
    return vector[0]


def emit(mask: np.ndarray, first: int, array: np.ndarray, end: int) -> int:
    """Append `first` + lane for all true lanes of a mask to a list; return its new end.

    `array` is a flat int32 array with room for a whole vector behind `end`: the entries
    after the new end are arbitrary. Mutates `array`.
    """
    (lanes,) = np.nonzero(mask)
    array[end : end + lanes.size] = first + lanes
    return end + int(lanes.size)


def power_series(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Return c_0 + x (c_1 + x (c_2 + ...)); the tuple is a constant of a module."""
    *others, last = (x.dtype.type(number) for number in coefficients)
    total = np.full_like(x, last)
    for number in reversed(others):
        total = number + x * total
    return total


# Rows of a block: a tuple of vectors, all kept in registers.


def _along(index: Any, axis: int, row: int) -> tuple:
    return tuple(i + row if k == axis else i for k, i in enumerate(index))


def zero_rows(array: np.ndarray, n_rows: int, size: Any) -> tuple:
    """Return rows of zeros of an array's dtype, as long as `load` takes them.

    Numbers of rows and vectors, and axes, are written out or constants of a module.
    """
    n = size.size if isinstance(size, np.ndarray) else size * width(array)
    return tuple(np.zeros(n, array.dtype) for _ in range(n_rows))


def load_rows(array: np.ndarray, index: tuple, axis: int, like: tuple) -> tuple:
    """Return rows that begin at an index and follow each other along an axis.

    `like` is other rows, as many and as long.
    """
    pairs = enumerate(like)
    return tuple(load(array, _along(index, axis, r), row) for r, row in pairs)


def store_rows(array: np.ndarray, index: tuple, axis: int, rows: tuple) -> None:
    """Write rows so that `load_rows` finds them. Mutates `array`."""
    for r, row in enumerate(rows):
        store(array, _along(index, axis, r), row)


def add_products(
    rows: tuple,
    left: np.ndarray,
    index: tuple,
    axis: int,
    along: int,
    terms: Any,
    right: np.ndarray,
    start: int,
) -> tuple:
    """Return rows + sum_k left_k right_k, in the order of k.

    `terms` is their number, or a list (a flat int32 array, its begin and its end).
    left_k is k further than `index` in axis `along`, and for row r also r further in
    `axis`; right_k is vector k, as long as the rows, of a flat array from `start`.
    """
    ks = terms[0][terms[1] : terms[2]] if isinstance(terms, tuple) else range(terms)
    for k in ks:
        at = _along(index, along, k)
        vector = load(right, start + k * rows[0].size, rows[0])
        pairs = enumerate(rows)
        rows = tuple(row + left[_along(at, axis, r)] * vector for r, row in pairs)
    return rows
