"""Naive twin of the integer emulator: Python integers, one neuron at a time.

Every neuron is a small object with a method `step`; what arrives is summed from the
whole history of spikes, delay by delay.
"""

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


def wrap_bits(x: int, bits: int) -> int:
    """Two's complement of so many bits and sign."""
    x %= 2 ** (bits + 1)
    return x - 2 ** (bits + 1) if x >= 2**bits else x


def scaled(total: int, exponent: int) -> int:
    return total * 2**exponent if exponent >= 0 else total // 2**-exponent


def block(connection, row: int, history) -> int:
    """What arrives at a neuron; `history[d]` are the values sent d steps ago."""
    weights = [int(w) for w in connection.weights[row]]
    if connection.delays is None:
        total = sum(w * int(s) for w, s in zip(weights, history[0], strict=True))
        return wrap32(scaled(wrap32(total), connection.exponent))
    delays = [int(d) for d in connection.delays[row]]
    arriving = 0
    for lag, sent in enumerate(history):
        pairs = [
            wrap32(w * int(s))
            for w, s, d in zip(weights, sent, delays, strict=True)
            if d == lag
        ]
        arriving += scaled(sum(pairs), connection.exponent)
    return wrap32(arriving)


def chip_block(connection, row: int, history) -> int:
    """The dendritic accumulator of a chip, before its wrap."""
    total = 0
    for k, w in enumerate(connection.weights[row]):
        lag = 0 if connection.delays is None else int(connection.delays[row, k])
        weight = scaled(int(w) * 64, connection.exponent) // 64 * 64
        weight = max(-(2**21) + 64, min(2**21 - 64, weight))
        total += weight * (int(history[lag][k]) if lag < len(history) else 0)
    return total


class Neuron:
    """State and registers of one neuron; `kind` says how it steps."""

    def __init__(self, parameters, j: int):
        for name in parameters.registers:
            setattr(self, name, int(getattr(parameters, name)[j]))
        self.parameters = parameters
        self.u = self.v = self.b = self.r = self.s = self.rc = 0
        self.bias = self.bias_mant * 2**self.bias_exp
        if parameters.kind == "atrlif":
            self.b = self.theta_0 * 64

    def current(self, arriving: int, factor: int) -> None:
        self.u = wrap24_once(wrap32(dec(self.u, factor + 1) + wrap32(arriving * 64)))

    def step(self, t: int, arriving: int) -> None:
        getattr(self, self.parameters.kind)(t, arriving)

    def lif(self, t: int, arriving: int) -> None:
        cell, threshold = self.parameters, self.vth * 64
        if cell.reset_interval and t % cell.reset_interval == cell.reset_offset:
            self.u = self.v = 0
        self.current(arriving, self.du)
        v = dec(self.v, self.dv) + self.u + self.bias
        if cell.reset == "subtract":
            v -= self.s * threshold
        self.v = clip(v)
        self.b = max(0, clip(dec(self.b, self.db) + self.s * self.beta * 64))
        self.s = int(self.v > threshold + self.b and self.rc == 0)
        self.rc = self.refractory if self.s else max(self.rc - 1, 0)
        if self.s and cell.reset == "zero":
            self.v = 0

    def ternary(self, t: int, arriving: int) -> None:
        self.current(arriving, self.du)
        self.v = clip(dec(self.v, self.dv) + self.u + self.bias)
        self.s = 0
        if self.v > self.vth_hi * 64:
            self.s, self.v = 1, 0
        elif self.v < self.vth_lo * 64:
            self.s, self.v = -1, 0

    def atrlif(self, t: int, arriving: int) -> None:
        self.current(arriving, self.delta_i)
        self.v = clip(dec(self.v, self.delta_v) + self.u + self.bias)
        rest = self.theta_0 * 64
        self.b = rest + dec(self.b - rest, self.delta_theta)
        self.r = dec(self.r, self.delta_r)
        self.s = int(self.v - self.r >= self.b)
        if self.s:
            self.r += 2 * self.b
            self.b += self.theta_step * 64

    def chip(self, accumulated: int, on_current: int = 0, on_membrane: int = 0):
        q = wrap_bits(accumulated + on_current, 21)
        self.u = wrap_bits(dec(self.u, self.du + 1) + q, 23)
        drive = wrap_bits(self.u + self.bias + on_membrane, 23)
        self.v = 0 if self.rc > 0 else clip(dec(self.v, self.dv) + drive)
        self.s = int(self.v > self.vth * 64)
        self.rc = self.refractory if self.s else max(self.rc - 1, 0)
        if self.s:
            self.v = 0


def read_out(net, i: int, y: int, history, chip: bool) -> int:
    bias = int(net.readout.bias_mant[i]) * 2 ** int(net.readout.bias_exp[i])
    if chip:
        q = wrap_bits(chip_block(net.w_out, i, history), 21)
        driving = wrap_bits(q + bias, 23)
    else:
        driving = wrap24_once(wrap32(block(net.w_out, i, history) * 64)) + bias
    y = clip(dec(y, int(net.readout.dv[i])) + driving)
    return 0 if y > 131071 * 64 else y


def run(net, x, fidelity="lava", noise=None):
    """Return u, v, b, spikes, y, r, each a (T, S, n) array of Python integers.

    `noise` are two (T, n) arrays, on the current and on the membrane.
    """
    steps, samples, _ = x.shape
    results = [
        np.zeros((steps, samples, width), object)
        for width in (*[net.n_rec] * 4, net.n_out, net.n_rec)
    ]
    chip = fidelity == "chip"
    for k in range(samples):
        cells = [Neuron(net.neurons, j) for j in range(net.n_rec)]
        y = [0] * net.n_out
        inputs, sent = [], [[0] * net.n_rec]  # newest first
        for t in range(steps):
            inputs.insert(0, list(x[t, k]))
            for j, cell in enumerate(cells):
                if chip:
                    q = chip_block(net.w_in, j, inputs) + chip_block(net.w_rec, j, sent)
                    extra = () if noise is None else (int(n[t, j]) for n in noise)
                    cell.chip(q, *extra)
                else:
                    a = block(net.w_in, j, inputs) + block(net.w_rec, j, sent)
                    cell.step(t, wrap32(a))
            sent.insert(0, [cell.s for cell in cells])
            y = [read_out(net, i, y[i], sent[:-1], chip) for i in range(net.n_out)]
            for result, name in zip(
                results, ("u", "v", "b", "s", "", "r"), strict=True
            ):
                result[t, k] = [getattr(cell, name) for cell in cells] if name else y
    return results
