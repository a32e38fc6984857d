"""Steps of optimisers, in one pass over the memory of a weight array.

Arrays are (rows, columns) with neighbouring columns; rows may be padded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.vector import bare_rows, load, sqrt, store, width


class Moments(NamedTuple):
    """Coefficients of Adam at one step, as Python numbers."""

    beta1: Any
    rest1: Any  # 1 - beta1
    beta2: Any
    rest2: Any
    eps: Any
    rate: Any


@kernel
def adam(moments, n_columns, w, g, m, v):
    """Do one step of Adam.

        m := b1 m + (1 - b1) g,  v := b2 v + (1 - b2) g^2
        w := w - rate m / (sqrt(v) + eps)

    Mutates
    -------
    w, m, v : (rows, columns) float arrays
    """
    _adam(moments, n_columns, bare_rows(w), bare_rows(g), bare_rows(m), bare_rows(v))


@kernel
def _adam(moments, n_columns, w, g, m, v):
    lanes, number = width(w), w.dtype.type
    rounded = Moments(
        number(moments.beta1),
        number(moments.rest1),
        number(moments.beta2),
        number(moments.rest2),
        number(moments.eps),
        number(moments.rate),
    )
    for i in range(w.shape[0]):
        whole = n_columns - n_columns % lanes
        for j in range(0, whole, lanes):
            g_ij = load(g, (i, j))
            m_ij, v_ij = load(m, (i, j)), load(v, (i, j))
            m_ij, v_ij, step = _moments(rounded, g_ij, m_ij, v_ij)
            store(m, (i, j), m_ij)
            store(v, (i, j), v_ij)
            store(w, (i, j), load(w, (i, j)) - step)
        for j in range(whole, n_columns):
            m_ij, v_ij, step = _moments(rounded, g[i, j], m[i, j], v[i, j])
            m[i, j] = m_ij
            v[i, j] = v_ij
            w[i, j] -= step


@inlined
def _moments(moments, g, m, v):
    m = moments.beta1 * m + moments.rest1 * g
    v = moments.beta2 * v + moments.rest2 * (g * g)
    return m, v, moments.rate * m / (sqrt(v) + moments.eps)


@kernel
def sum_of_squares(n_columns, g):
    """Return the sum of the squares of all entries, in float64."""
    return _sum_of_squares(n_columns, bare_rows(g))


@kernel
def _sum_of_squares(n_columns, g):
    # Four sums, so that an addition need not wait for the one before.
    total = 0.0
    for i in range(g.shape[0]):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        whole = n_columns - n_columns % 4
        for j in range(0, whole, 4):
            a += np.float64(g[i, j]) ** 2
            b += np.float64(g[i, j + 1]) ** 2
            c += np.float64(g[i, j + 2]) ** 2
            d += np.float64(g[i, j + 3]) ** 2
        for j in range(whole, n_columns):
            a += np.float64(g[i, j]) ** 2
        total += (a + b) + (c + d)
    return total
