"""Naive twin of the integer emulator: Python integers, one neuron at a time."""

from __future__ import annotations

import numpy as np

STATE_MAX = 2**23 - 1


def dec(x: int, d: int) -> int:
    size = (abs(x) * (4096 - d)) // 4096
    return size if x >= 0 else -size


def wrap32(x: int) -> int:
    x %= 2**32
    return x - 2**32 if x >= 2**31 else x


def wrap24_once(x: int) -> int:
    if x > 2**23:
        return x - 2**24
    if x <= -(2**23):
        return x + 2**24
    return x


def clip(x: int) -> int:
    return max(-STATE_MAX, min(STATE_MAX, x))


def block(connection, row: int, source) -> int:
    total = sum(
        int(w) * int(s) for w, s in zip(connection.weights[row], source, strict=True)
    )
    total = wrap32(total)
    exponent = connection.exponent
    if exponent >= 0:
        return wrap32(total * 2**exponent)
    return total // 2**-exponent


def run(net, x):
    """Return u, v, b, spikes, y, each a (T, S, n) array of Python integers."""
    steps, samples, _ = x.shape
    results = [
        np.zeros((steps, samples, width), object)
        for width in (net.n_rec, net.n_rec, net.n_rec, net.n_rec, net.n_out)
    ]
    cells = {
        name: [int(value) for value in getattr(net.neurons, name)]
        for name in (
            "du",
            "dv",
            "bias_mant",
            "bias_exp",
            "vth",
            "beta",
            "db",
            "refractory",
        )
    }
    for k in range(samples):
        u = [0] * net.n_rec
        v = [0] * net.n_rec
        b = [0] * net.n_rec
        s = [0] * net.n_rec
        rc = [0] * net.n_rec
        y = [0] * net.n_out
        for t in range(steps):
            previous = list(s)
            for j in range(net.n_rec):
                cell = {name: values[j] for name, values in cells.items()}
                a = block(net.w_in, j, x[t, k]) + block(net.w_rec, j, previous)
                u[j] = dec(u[j], cell["du"] + 1) + wrap32(wrap32(a) * 64)
                u[j] = wrap24_once(wrap32(u[j]))
                v[j] = dec(v[j], cell["dv"]) + u[j]
                v[j] += cell["bias_mant"] * 2 ** cell["bias_exp"]
                if net.neurons.reset == "subtract":
                    v[j] -= previous[j] * cell["vth"] * 64
                v[j] = clip(v[j])
                b[j] = dec(b[j], cell["db"]) + previous[j] * cell["beta"] * 64
                b[j] = max(0, clip(b[j]))
                s[j] = int(v[j] > cell["vth"] * 64 + b[j] and rc[j] == 0)
                rc[j] = cell["refractory"] if s[j] else max(rc[j] - 1, 0)
                if s[j] and net.neurons.reset == "zero":
                    v[j] = 0
            for i in range(net.n_out):
                c = wrap24_once(wrap32(block(net.w_out, i, s) * 64))
                bias = int(net.readout.bias_mant[i]) * 2 ** int(net.readout.bias_exp[i])
                y[i] = clip(dec(y[i], int(net.readout.dv[i])) + c + bias)
                if y[i] > 131071 * 64:
                    y[i] = 0
            for result, state in zip(results, (u, v, b, s, y), strict=True):
                result[t, k] = state
    return results
