"""Matrix products in register blocks: a few rows by a few vectors of columns at a time.

Every number of a product is one sum over its terms in ascending order. So its bits do
not depend on the block that it is computed in: nor on the size of a batch, nor on the
samples of a thread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels._tiles import TILE_ROWS, TILE_VECTORS
from spikelearn.kernels.vector import (
    BYTES,
    add_outer,
    load,
    load_rows,
    store,
    store_rows,
    width,
    zero_rows,
)


class Panels(NamedTuple):
    """A matrix cut into panels of columns, each in one piece: row k after row k - 1.

    A panel is as wide as a register block; what is left are panels of one vector. The
    panel that begins at column j begins at number j n_rows.
    """

    values: Any  # (n_rows * n_columns,)
    n_rows: int


@inlined
def aligned_empty(size, like):
    """Return a flat array of the dtype of another one that starts at a whole vector."""
    raw = np.empty(size + BYTES, like.dtype)
    skip = (-raw.ctypes.data % BYTES) // like.itemsize
    return raw[skip : skip + size]


@kernel
def pack(matrix, sample, first, low, high, panels):
    """Copy rows first ... first + n_rows of a matrix (B, R, n). Mutates `panels`."""
    lanes, values = width(matrix), panels.values
    whole = _whole_blocks(low, high, lanes)
    for j in range(low, whole, TILE_VECTORS * lanes):
        for k in range(panels.n_rows):
            row = load(matrix, (sample, first + k, j), TILE_VECTORS)
            store(values, j * panels.n_rows + k * (TILE_VECTORS * lanes), row)
    for j in range(whole, high, lanes):
        for k in range(panels.n_rows):
            row = load(matrix, (sample, first + k, j))
            store(values, j * panels.n_rows + k * lanes, row)


@inlined
def _whole_blocks(low, high, lanes):
    """Return where the columns of register blocks end."""
    return high - (high - low) % (TILE_VECTORS * lanes)


@kernel
def multiply(left, begin, at, n_terms, panels, first, n_rows, low, high, out):
    """Set out[r, 0, j] = sum_k left[begin + r, at, k] panels[first + k, j].

    Mutates
    -------
    out : (n_rows, 1, n) array
        In columns low to high.
    """
    lanes = width(out)
    whole = _whole_blocks(low, high, lanes)
    (wide,), (narrow,) = zero_rows(out, 1, TILE_VECTORS), zero_rows(out, 1, 1)
    for j in range(low, whole, TILE_VECTORS * lanes):
        _columns(wide, left, begin, at, n_terms, panels, first, n_rows, j, out)
    for j in range(whole, high, lanes):
        _columns(narrow, left, begin, at, n_terms, panels, first, n_rows, j, out)


@inlined
def _columns(size, left, begin, at, n_terms, panels, first, n_rows, j, out):
    blocks = n_rows - n_rows % TILE_ROWS
    for r in range(0, blocks, TILE_ROWS):
        rows = zero_rows(out, TILE_ROWS, size)
        _block(rows, left, begin, at, n_terms, panels, first, r, j, out)
    pairs = n_rows - n_rows % 2
    for r in range(blocks, pairs, 2):
        rows = zero_rows(out, 2, size)
        _block(rows, left, begin, at, n_terms, panels, first, r, j, out)
    if pairs < n_rows:
        rows = zero_rows(out, 1, size)
        _block(rows, left, begin, at, n_terms, panels, first, pairs, j, out)


@inlined
def _block(rows, left, begin, at, n_terms, panels, first, r, j, out):
    columns = rows[0].size
    start = j * panels.n_rows + first * columns
    for k in range(n_terms):
        right = load(panels.values, start + k * columns, rows[0])
        rows = add_outer(rows, left, (begin + r, at, k), 0, right)
    store_rows(out, (r, 0, j), 0, rows)


@kernel
def add_transposed(left, sample, first, n_terms, n_rows, panels, low, high, out, offset):
    """Add to out[offset + m, j] the sum_k left[sample, first + k, m] panels[k, j].

    Mutates
    -------
    out : (R, n) array
        n_rows rows, in columns low to high.
    """
    lanes = width(out)
    whole = _whole_blocks(low, high, lanes)
    (wide,), (narrow,) = zero_rows(out, 1, TILE_VECTORS), zero_rows(out, 1, 1)
    for j in range(low, whole, TILE_VECTORS * lanes):
        _add_columns(
            wide, left, sample, first, n_terms, n_rows, panels, j, out, offset
        )
    for j in range(whole, high, lanes):
        _add_columns(
            narrow, left, sample, first, n_terms, n_rows, panels, j, out, offset
        )


@inlined
def _add_columns(size, left, sample, first, n_terms, n_rows, panels, j, out, offset):
    blocks = n_rows - n_rows % TILE_ROWS
    for m in range(0, blocks, TILE_ROWS):
        like = zero_rows(out, TILE_ROWS, size)
        _add_block(like, left, sample, first, n_terms, panels, m, j, out, offset)
    for m in range(blocks, n_rows):
        like = zero_rows(out, 1, size)
        _add_block(like, left, sample, first, n_terms, panels, m, j, out, offset)


@inlined
def _add_block(like, left, sample, first, n_terms, panels, m, j, out, offset):
    columns = like[0].size
    start = j * panels.n_rows
    rows = load_rows(out, (offset + m, j), 0, like)
    for k in range(n_terms):
        right = load(panels.values, start + k * columns, rows[0])
        rows = add_outer(rows, left, (sample, first + k, m), 2, right)
    store_rows(out, (offset + m, j), 0, rows)
