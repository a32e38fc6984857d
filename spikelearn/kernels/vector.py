"""Vectors and bare arrays: what kernels compute with.

A vector is what `load` takes from an array: 64 bytes, so 16 neighbouring float32 or
int32, or 8 float64; or several times as many in one value. It knows `+ - * /`, `abs`
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
kernel runs. `kernels._llvm` teaches them to compiled code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "BLOCK",
    "LANES",
    "aligned_zeros",
    "bare",
    "bare_rows",
    "emit",
    "exp",
    "load",
    "padded",
    "prefetch",
    "select",
    "sqrt",
    "store",
    "total",
    "width",
]

BYTES = 64
LANES = BYTES // 4
"""Rows are padded to a multiple of this many numbers, of either float type."""
BLOCK = 4
"""Vectors that kernels keep in registers at a time, where a row has so many."""


def padded(n: int) -> int:
    """Return n, rounded up to whole vectors, and from 49 on to whole blocks of them."""
    unit = LANES if n <= (BLOCK - 1) * LANES else BLOCK * LANES
    return -(-n // unit) * unit


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros that start at a whole vector: unaligned rows cost a fifth."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + BYTES, np.uint8)
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
    """Return how many numbers of this array a vector holds."""
    return BYTES // array.dtype.itemsize


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


def select(mask: np.ndarray, yes: Any, no: Any) -> np.ndarray:
    """Return `yes` where the mask is true, else `no`; both may be numbers."""
    kinds = [value.dtype for value in (yes, no) if isinstance(value, np.ndarray)]
    return np.where(mask, yes, no).astype(kinds[0]) if kinds else yes if mask else no


def exp(x: Any) -> Any:
    """Return the exponential of a vector or a number."""
    return np.exp(x)


def sqrt(x: Any) -> Any:
    """Return the square root of a vector or a number."""
    return np.sqrt(x)


def prefetch(array: np.ndarray, index: Any) -> None:
    """Ask the memory for what is needed soon; an index outside does no harm."""


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
