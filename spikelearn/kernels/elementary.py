"""exp, tanh and log1p of vectors in compiled code; numbers go to the C library.

    exp(x)     = 2^n exp(r),   n = nearest(x / log 2),   |r| <= log(2) / 2
    exp(r)     = 1 + r (1 + r/2! + r^2/3! + ...)
    tanh |x|   = -e / (2 + e)   with e = exp(-2 |x|) - 1, from the series without its 1
    log(1 + x) = 2 s (1 + s^2/3 + s^4/5 + ...)   with s = x / (2 + x), 0 <= x <= 1

The series end where the rest is below the rounding of the type. Relative errors are
below 2e-7, 4e-7 and 3e-7 in float32, 5e-16, 1e-15 and 5e-16 in float64, also where x
is small. NaN stays NaN, and exp ends in 0 and in infinity; below the smallest normal
number its results are correct to the spacing of floats there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import types
from numba.extending import overload

from spikelearn.kernels import vector
from spikelearn.kernels._jit import FASTMATH
from spikelearn.kernels._llvm import Lanes
from spikelearn.kernels.vector import nearest, power_of_two, power_series, select

OPTIONS = {"fastmath": FASTMATH, "forceinline": True}
LOG2_E = 1 / math.log(2)


class Precision(NamedTuple):
    """What depends on the type: the lengths of series and the ends of exp."""

    log2_high: float  # times a whole number it is exact
    log2_low: float  # the rest of log 2
    n_exp: int
    n_atanh: int
    least: float  # exp of less is 0
    most: float  # exp of more is infinity


PRECISIONS = {
    types.float32: Precision(0.693359375, -0.00021219444005469057, 7, 8, -104, 89),
    types.float64: Precision(
        0.6931471787393093, 1.8206359985041462e-09, 13, 17, -746, 710
    ),
}


def _make(precision: Precision) -> dict[str, Any]:
    """Return the functions of one type of floats."""
    log2_high, log2_low, n_exp, n_atanh, least, most = precision
    over_r = tuple(1 / math.factorial(k + 1) for k in range(n_exp))
    over_s = tuple(2 / (2 * k + 1) for k in range(n_atanh))

    def exp(x):
        inside = select(x > most, most, select(x < least, least, x))
        n = nearest(inside * LOG2_E)
        r = (inside - n * log2_high) - n * log2_low
        half = nearest(n * 0.5)  # 2^n may be out of reach where exp(x) is not
        return (
            (1 + r * power_series(r, over_r))
            * power_of_two(half)
            * power_of_two(n - half)
        )

    def tanh(x):
        y = -2 * abs(x)
        y = select(y < 0.5 * least, 0.5 * least, y)
        n = nearest(y * LOG2_E)
        r = (y - n * log2_high) - n * log2_low
        scale = power_of_two(n)
        e = scale * (r * power_series(r, over_r)) + (scale - 1)
        size = -1 * e / (2 + e)
        return select(x < 0, -1 * size, size)

    def log1p(x):
        s = x / (2 + x)
        return s * power_series(s * s, over_s)

    return {"exp": exp, "tanh": tanh, "log1p": log1p}


FUNCTIONS = {dtype: _make(precision) for dtype, precision in PRECISIONS.items()}
OF_NUMBERS = {
    "exp": lambda x: math.exp(x),
    "tanh": lambda x: math.tanh(x),
    "log1p": lambda x: math.log1p(x),
}


def _choose(name: str, x: Any) -> Any:
    if isinstance(x, Lanes):
        return FUNCTIONS.get(x.dtype, {}).get(name)
    return OF_NUMBERS[name] if isinstance(x, types.Float) else None


@overload(vector.exp, jit_options=OPTIONS)
def _exp(x):
    return _choose("exp", x)


@overload(vector.tanh, jit_options=OPTIONS)
def _tanh(x):
    return _choose("tanh", x)


@overload(vector.log1p, jit_options=OPTIONS)
def _log1p(x):
    return _choose("log1p", x)
