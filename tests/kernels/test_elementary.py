"""exp, tanh and log1p of vectors against NumPy in a wider type."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.kernels import kernel
from spikelearn.kernels.vector import bare, exp, load, log1p, store, tanh, width


@kernel
def _evaluate(name, x, out):
    x, out = bare(x), bare(out)
    for j in range(0, x.size, width(x)):
        if name == 0:
            y = exp(load(x, j))
        elif name == 1:
            y = tanh(load(x, j))
        else:
            y = log1p(load(x, j))
        store(out, j, y)


NAMES = ("exp", "tanh", "log1p")
ERRORS = {
    ("exp", "float32"): 2e-7,
    ("tanh", "float32"): 4e-7,
    ("log1p", "float32"): 3e-7,
    ("exp", "float64"): 5e-16,
    ("tanh", "float64"): 1e-15,
    ("log1p", "float64"): 5e-16,
}


def _compiled(name, x):
    """Return a function of whole vectors, for any number of arguments."""
    rows = np.zeros(-(-x.size // 16) * 16, x.dtype)
    rows[: x.size] = x
    out = np.empty_like(rows)
    _evaluate(NAMES.index(name), rows, out)
    return out[: x.size]


def _arguments(name, dtype):
    rng = np.random.default_rng(3)
    small = 10.0 ** rng.uniform(-30, 0, 20_000)
    if name == "log1p":
        return np.concatenate((small, rng.random(20_000), [0.0, 1.0])).astype(dtype)
    reach = {"float32": 87.3, "float64": 708.0}[dtype]
    wide = rng.uniform(-reach, reach, 20_000)
    middle = rng.uniform(-3, 3, 40_000)
    return np.concatenate((small, -small, wide, middle, [0.0])).astype(dtype)


@pytest.mark.parametrize(("name", "dtype"), ERRORS)
def test_vectors_equal_numpy_to_the_stated_error(name, dtype):
    x = _arguments(name, dtype)
    exact = getattr(np, name)(x.astype(np.longdouble))
    got = _compiled(name, x)
    assert got.dtype == dtype
    some = exact != 0
    error = np.abs((got[some] - exact[some]) / exact[some])
    assert error.max() < ERRORS[name, dtype]
    assert error.max() > 0, "the exact value is of a wider type"
    assert (got[~some] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends(dtype):
    limits = np.finfo(dtype)
    edges = [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0]
    log_most = np.log(limits.max.astype(np.longdouble))
    edges += [
        float(log_most) * (1 - limits.eps),
        float(log_most) * (1 + 2 * limits.eps),
    ]
    x = np.array(edges, dtype)
    with np.errstate(over="ignore"):
        expected = np.exp(x.astype(np.longdouble)).astype(dtype)
    np.testing.assert_allclose(_compiled("exp", x), expected, rtol=100 * limits.eps)
    np.testing.assert_allclose(_compiled("tanh", x), np.tanh(x), rtol=4 * limits.eps)
    assert np.isnan(_compiled("log1p", x[:1])).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_below_the_normal_numbers(dtype):
    limits = np.finfo(dtype)
    least = np.log(np.longdouble(limits.smallest_subnormal))
    normal = np.log(np.longdouble(limits.smallest_normal))
    x = np.linspace(float(least) - 3, float(normal) + 1, 500).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    got = _compiled("exp", x)
    assert ((got > 0) & (got < limits.smallest_normal)).any()
    allowed = 2 * limits.smallest_subnormal + 4 * limits.eps * exact
    assert (np.abs(got - exact) <= allowed).all()
    assert got[0] == 0
