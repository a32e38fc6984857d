"""Matrix products in register blocks: a few rows by a few vectors of columns at a time.

Every number of a product is one sum over its terms in ascending order. So its bits do
not depend on the block that it is computed in: nor on the size of a batch, nor on the
samples of a thread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels._tiles import TILE_ROWS, TILE_VECTORS
from spikelearn.kernels.vector import (
    add_products,
    bare,
    emit,
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
    panel that begins at column j begins at number j n_rows of `values`.
    """

    values: Any  # (n_rows * n_columns,)
    n_rows: int


@kernel
def pack(matrix, first, low, high, panels):
    """Copy the rows of a matrix (R, n) from `first` on. Mutates `panels`."""
    matrix, panels = bare(matrix), bare(panels)
    lanes, values = width(matrix), panels.values
    whole = _whole_blocks(low, high, lanes)
    for j in range(low, whole, TILE_VECTORS * lanes):
        for k in range(panels.n_rows):
            row = load(matrix, (first + k, j), TILE_VECTORS)
            store(values, j * panels.n_rows + k * (TILE_VECTORS * lanes), row)
    for j in range(whole, high, lanes):
        for k in range(panels.n_rows):
            row = load(matrix, (first + k, j))
            store(values, j * panels.n_rows + k * lanes, row)


@inlined
def _whole_blocks(low, high, lanes):
    """Return where the columns of register blocks end."""
    return high - (high - low) % (TILE_VECTORS * lanes)


@inlined
def list_terms(x, at, n, out):
    """List the k < n for which x[*at, k] is not 0 (NaN is not); return how many.

    What they are left out of has the same bits as with them.

    Mutates
    -------
    out : (>= padded n + LANES,) int32 array
    """
    n_terms = 0
    for j in range(0, n, width(x)):
        n_terms = emit(load(x, (*at, j)) != 0, j, out, n_terms)
    while n_terms > 0 and out[n_terms - 1] >= n:  # padding
        n_terms -= 1
    return n_terms


@kernel
def multiply(left, begin, at, terms, panels, first, n_rows, out):
    """Set out[r, 0, j] = sum_k left[begin + r, at, k] panels[first + k, j].

    `terms` are all or some k, as in `add_products`.

    Mutates
    -------
    out : (>= n_rows, 1, n) array
    """
    n, lanes = out.shape[2], width(out)
    whole = _whole_blocks(0, n, lanes)
    (wide,), (narrow,) = zero_rows(out, 1, TILE_VECTORS), zero_rows(out, 1, 1)
    for j in range(0, whole, TILE_VECTORS * lanes):
        start = j * panels.n_rows + first * wide.size
        _set(wide, left, begin, at, terms, panels.values, start, n_rows, j, out)
    for j in range(whole, n, lanes):
        start = j * panels.n_rows + first * lanes
        _set(narrow, left, begin, at, terms, panels.values, start, n_rows, j, out)


@inlined
def _set(size, left, begin, at, terms, right, start, n_rows, j, out):
    r = 0
    while r + TILE_ROWS <= n_rows:
        rows = zero_rows(out, TILE_ROWS, size)
        rows = add_products(rows, left, (begin + r, at, 0), 0, 2, terms, right, start)
        store_rows(out, (r, 0, j), 0, rows)
        r += TILE_ROWS
    while r + 4 <= n_rows:
        four = zero_rows(out, 4, size)
        four = add_products(four, left, (begin + r, at, 0), 0, 2, terms, right, start)
        store_rows(out, (r, 0, j), 0, four)
        r += 4
    while r + 2 <= n_rows:
        two = zero_rows(out, 2, size)
        two = add_products(two, left, (begin + r, at, 0), 0, 2, terms, right, start)
        store_rows(out, (r, 0, j), 0, two)
        r += 2
    if r < n_rows:
        one = zero_rows(out, 1, size)
        one = add_products(one, left, (begin + r, at, 0), 0, 2, terms, right, start)
        store_rows(out, (r, 0, j), 0, one)


@kernel
def add_transposed(left, sample, first, n_rows, panels, skip, part, out, offset):
    """Add the product of a transposed matrix and panels to rows of `out`.

        out[offset + m, j] += sum_k left[sample, first + k, m] panels[skip + k, j]

    Mutates
    -------
    out : (R, n) array
        n_rows rows, in columns part.low to part.high.
    """
    lanes, low, high = width(out), part.low, part.high
    whole = _whole_blocks(low, high, lanes)
    (wide,), (narrow,) = zero_rows(out, 1, TILE_VECTORS), zero_rows(out, 1, 1)
    for j in range(low, whole, TILE_VECTORS * lanes):
        _add(wide, left, sample, first, n_rows, panels, skip, j, out, offset)
    for j in range(whole, high, lanes):
        _add(narrow, left, sample, first, n_rows, panels, skip, j, out, offset)


@inlined
def _add(size, left, sample, first, n_rows, panels, skip, j, out, offset):
    right, n_terms = panels.values, panels.n_rows - skip
    start = j * panels.n_rows + skip * size.size
    m = 0
    while m + TILE_ROWS <= n_rows:
        rows = load_rows(out, (offset + m, j), 0, zero_rows(out, TILE_ROWS, size))
        at = (sample, first, m)
        rows = add_products(rows, left, at, 2, 1, n_terms, right, start)
        store_rows(out, (offset + m, j), 0, rows)
        m += TILE_ROWS
    while m < n_rows:
        one = load_rows(out, (offset + m, j), 0, zero_rows(out, 1, size))
        at = (sample, first, m)
        one = add_products(one, left, at, 2, 1, n_terms, right, start)
        store_rows(out, (offset + m, j), 0, one)
        m += 1
