"""Naive twin of tangent vectors: dense Jacobians by differences, Q R by LAPACK.

A state is v, then a and i where they are followed, n numbers each. The Jacobian of a
step is taken by central differences of what the step does to a finite change of the
state, with the activation itself for rate units and the pseudo-derivative, as the slope
of a straight line, for spikes. Constants come from the specification alone.
"""

from __future__ import annotations

import numpy as np

from tests.reference import rate, spiking


class Changes:
    """What one step makes of a change of the state, at recorded arguments."""

    def __init__(self, network, *, reset=False, subspace="full", surrogate=None):
        cell = network.cell
        self.network, self.n = network, network.n_rec
        self.spiking = hasattr(cell, "v_th")
        of = (spiking if self.spiking else rate).constants(network)
        names = ("alpha_m", "alpha_s", "zeta")
        self.alpha_m, self.alpha_s, self.zeta = (
            np.array(getattr(of, k)) for k in names
        )
        self.outside = not self.spiking and cell.placement == "outside"
        self.reset = reset
        self.adapts = False
        if self.spiking:
            self.rho, self.beta, self.v_th = map(np.array, (of.rho, of.beta, of.v_th))
            self.adapts = bool(self.beta.any()) and subspace == "full"
            self.surrogate = surrogate or cell.surrogate
        self.has_i = bool(self.alpha_s.any())
        self.size = self.n * (1 + self.adapts + self.has_i)

    def sent(self, argument, j, change):
        """Return how neuron j answers a change of v - A, or of the argument of f."""
        if not self.spiking:
            f, u = self.network.cell.activation, argument[j]
            return rate.f(f, u + change) - rate.f(f, u)
        shut, th = np.isneginf(argument[j]), self.v_th[j]
        psi = spiking.pseudo_derivative(self.surrogate, th, argument[j], shut)
        return psi * change

    def step(self, argument, change, w_rec):
        """Return the change one step later, (size,)."""
        n = self.n
        v, rest = change[:n], change[n:]
        a, rest = (rest[:n], rest[n:]) if self.adapts else (np.zeros(n), rest)
        i = rest if self.has_i else np.zeros(n)
        if self.outside:
            i = self.alpha_s * i + w_rec @ v
            f = np.array([self.sent(argument, j, i[j]) for j in range(n)])
            v = self.alpha_m * v + self.zeta * f
        else:
            moved = v - self.beta * a if self.adapts else v
            z = np.array([self.sent(argument, j, moved[j]) for j in range(n)])
            i = self.alpha_s * i + w_rec @ z
            if self.spiking and self.network.cell.reset == "zero":
                v = np.where(argument > 0, 0.0, v)
            v = self.alpha_m * v + self.zeta * i
            if self.spiking and self.reset and self.network.cell.reset == "subtract":
                v = v - self.v_th * z
            if self.adapts:
                a = self.rho * a + z
        parts = [v, *([a] if self.adapts else []), *([i] if self.has_i else [])]
        return np.concatenate(parts)

    def jacobian(self, argument, w_rec=None, step=1e-5):
        """Return D of one step, (size, size); `argument` (n,) is v - A or that of f."""
        w_rec = self.network.params.w_rec if w_rec is None else w_rec
        argument, w_rec = argument.astype(np.float64), w_rec.astype(np.float64)
        columns = []
        for direction in step * np.eye(self.size):
            up = self.step(argument, direction, w_rec)
            down = self.step(argument, -direction, w_rec)
            columns.append((up - down) / (2 * step))
        return np.stack(columns, axis=1)


def positive_qr(matrix):
    """Return Q and R with a positive diagonal."""
    q, r = np.linalg.qr(matrix)
    sign = np.sign(np.diag(r))
    return q * sign, sign[:, None] * r


def run(jacobians, q):
    """Return R (T, k, k) and the orthonormal Q (T, size, k) after every step."""
    factors, kept = [], []
    for d in jacobians:
        q, r = positive_qr(d @ q)
        factors.append(r)
        kept.append(q)
    return np.stack(factors), np.stack(kept)
