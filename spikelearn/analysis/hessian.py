"""Exact products of the Hessian of the loss with a vector, for rate units.

Forward over reverse (Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147): with R{.} the
derivative along a direction v of the weights, backpropagation through time is taken
along v, so that one product costs about two gradients. For units with f inside

    R{i}[t] = alpha_s R{i}[t-1] + v_in x[t] + v_rec r[t-d] + w_rec R{r}[t-d]
    R{h}[t] = alpha_m R{h}[t-1] + zeta R{i}[t] + v_bias,   R{r}[t] = f'(h) R{h}[t]
    R{y}[t] = kappa R{y}[t-1] + c (v_out r[t] + w_out R{r}[t]) + v_b
    R{gr}[t] = c (v_out^T e[t] + w_out^T R{e}[t]) + v_rec^T gi[t+d] + w_rec^T R{gi}[t+d]
    R{gh}[t] = f'(h) R{gr}[t] + f''(h) R{h}[t] gr[t] + alpha_m R{gh}[t+1]
    R{gi}[t] = zeta R{gh}[t] + alpha_s R{gi}[t+1]
    (H v)_rec = sum_t R{gi}[t] r[t-d]^T + gi[t] R{r}[t-d]^T

where e is dE/dy with the filter of the readout, gr, gh and gi are dE/dr, dE/dh and
dE/di. All in float64. ReLU has f'' = 0 wherever it has a derivative: what bends there
is the loss and the product of weights along a path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.second_derivatives import (
    bend_of_loss,
    check_finite,
    check_loss,
    derivatives,
    leak_back,
    leak_forward,
    outer,
)
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.memory import require_fits
from spikelearn.network import LeakyRate, RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["Hessian"]

ROWS = 12  # arrays (T, B, n_rec) that a product keeps


class Hessian:
    """Hessian of the loss of one batch, with respect to some parameters.

    The trajectory and its errors are computed once, with the weights of that moment.

    Parameters
    ----------
    network
        Rate network.
    batch, loss
        Trials, and `Classification` or `Regression`.
    parameters
        Names of parameters; absent connections have no row.
    l2
        Strength of a term l2/2 |w|^2 of these parameters, which adds l2 v.

    Attributes
    ----------
    size : int
        Number of rows.
    coordinates
        Between vectors (size,) and arrays by name.
    gradient : (size,) array
        Gradient of the loss, with that of the l2 term.

    Raises
    ------
    InvalidValue
        If cells spike, the loss has no second derivative here, a name is unknown, the
        batch does not fit the network, it runs away, or memory does not suffice.
    """

    kind = "hessian"
    symmetric = True

    def __init__(
        self,
        network: RecurrentNetwork,
        batch: Batch,
        loss: Loss,
        *,
        parameters: Sequence[str] = ("w_rec",),
        l2: float = 0.0,
    ) -> None:
        hint = "Spiking cells have the kinds surrogate-field and smoothed instead."
        where, rule = "Hessian.network", "must have rate units"
        require(not network.spiking, where, rule, network.cell.kind, hint)
        check_loss(loss, l2)
        self.coordinates = Coordinates(network, parameters)
        self.size = self.coordinates.size
        n_steps, n_samples = batch.x.shape[:2]
        per_sample = 8 * n_steps * (ROWS * network.n_rec + 6 * network.n_out)
        needed = per_sample * n_samples
        require_fits(needed, "Hessian", per_sample, n_samples, "samples")
        self.loss, self.batch, self.l2 = loss, batch, l2
        self._read(in_float64(network))
        self._credit()

    def _read(self, network: RecurrentNetwork) -> None:
        """Run the network; keep constants, weights and slopes along the trajectory."""
        constants = network.cell_constants
        self.alpha_m, self.alpha_s = constants.alpha_m, constants.alpha_s
        self.zeta, self.outside = constants.zeta, constants.outside
        self.synaptic = constants.has_synaptic_current
        self.kappa, self.gain = network.readout.factors(network.dt)
        self.w = {k: array.copy() for k, array in network.params.arrays().items()}
        delay = np.broadcast_to(network.delay, (network.n_rec, network.n_rec))
        self.n_steps = len(self.batch.x)
        near = np.unique(delay[delay < self.n_steps]).tolist()
        self.arrives = {d: delay == d for d in near}
        self.w_rec = self._by_delay(self.w["w_rec"])
        cell, record = network.cell, network.run(self.batch.x)
        self.x = self.batch.x.astype(np.float64)
        check_finite(record.y)
        self.r = np.ascontiguousarray(record.output)
        self.y = record.y
        assert isinstance(cell, LeakyRate)
        self.slope, self.bend = derivatives(cell.activation, record.distance)

    def _by_delay(self, weights: np.ndarray) -> dict[int, np.ndarray]:
        """Return the weights of every delay that arrives within the trial."""
        return {d: weights * at for d, at in self.arrives.items()}

    def _credit(self) -> None:
        """Take the errors back through time, and keep what products need of them."""
        result = self.loss(self.y, self.batch.target, self.batch.mask)
        self.value = result.value
        self.error = leak_back(self.kappa, result.error.copy())
        g = self.gain * self.error @ self.w["w_out"]
        self.gi, bias, h = self._back(g, None)
        self.bent = None
        if self.bend is not None:
            self.bent = self.bend * (self.zeta * h if self.outside else g)
        arrays = self._products(self.gi, self.r, self.error) | {"bias": bias}
        join = self.coordinates.join
        self.gradient = join(arrays) + self.l2 * join(self.w)

    def _back(
        self, g: np.ndarray, bent: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take g = dE/dr of the readout alone back through cells and weights.

        Returns dE/di (T, B, n_rec), dE/dbias (n_rec,) and dE/dh (T, B, n_rec), or what
        they are along the direction, where `bent` is what the second derivative of f
        adds. All that arrives is added to g.
        """
        gi, gh = np.empty_like(g), np.empty_like(g)
        bias, last = np.zeros(g.shape[2]), self.n_steps - 1
        for t in range(last, -1, -1):
            for d, weights in self.w_rec.items():
                if t + d <= last:
                    g[t] += gi[t + d] @ weights
            np.multiply(1.0 if self.outside else self.slope[t], g[t], out=gh[t])
            if t < last:
                gh[t] += self.alpha_m * gh[t + 1]
            if self.outside:
                np.multiply(self.zeta * self.slope[t], gh[t], out=gi[t])
                if bent is not None:
                    gi[t] += bent[t]
                bias += gi[t].sum(axis=0)
            else:
                if bent is not None:
                    gh[t] += bent[t]
                bias += gh[t].sum(axis=0)
                np.multiply(self.zeta, gh[t], out=gi[t])
            if self.synaptic and t < last:
                gi[t] += self.alpha_s * gi[t + 1]
        return gi, bias, gh

    def _products(
        self, gi: np.ndarray, r: np.ndarray, error: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the sums over steps and samples of post times pre, where wanted."""
        wanted, arrays = self.coordinates.names, {}
        if "w_rec" in wanted:
            arrays["w_rec"] = self._recurrent(gi, r)
        if "w_in" in wanted:
            arrays["w_in"] = outer(gi, self.x)
        if "w_out" in wanted:
            arrays["w_out"] = self.gain * outer(error, r)
        if "b_out" in wanted:
            arrays["b_out"] = error.sum(axis=(0, 1))
        return arrays

    def _recurrent(self, gi: np.ndarray, r: np.ndarray) -> np.ndarray:
        total = np.zeros_like(self.w["w_rec"])
        for d, at in self.arrives.items():
            total += at * outer(gi[d:], r[:-d])
        return total

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return H v, (size,), of a vector (size,)."""
        v = self.coordinates.split(vector)
        r, u, y = self._along(v)
        error = bend_of_loss(self.loss, self.y, self.batch.mask, y)
        error = leak_back(self.kappa, error)
        g = self.gain * error @ self.w["w_out"]
        if "w_out" in v:
            g += self.gain * self.error @ v["w_out"]
        if "w_rec" in v:
            for d, weights in self._by_delay(v["w_rec"]).items():
                g[:-d] += self.gi[d:] @ weights
        gi, bias, _ = self._back(g, None if self.bent is None else self.bent * u)
        arrays = self._products(gi, self.r, error) | {"bias": bias}
        if "w_rec" in v:
            arrays["w_rec"] += self._recurrent(self.gi, r)
        if "w_out" in v:
            arrays["w_out"] += self.gain * outer(self.error, r)
        return self.coordinates.join(arrays) + self.l2 * vector

    def _along(
        self, v: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return R{r}, R{u} (T, B, n_rec) and R{y} (T, B, n_out); u is f's argument."""
        u = self.x @ v["w_in"].T if "w_in" in v else np.zeros_like(self.r)
        if "w_rec" in v:
            for d, weights in self._by_delay(v["w_rec"]).items():
                u[d:] += self.r[:-d] @ weights.T
        bias = v.get("bias", 0.0)
        r, i, h = np.empty_like(u), np.zeros_like(u[0]), np.zeros_like(u[0])
        for t in range(self.n_steps):
            into = u[t]
            for d, weights in self.w_rec.items():
                if t >= d:
                    into += r[t - d] @ weights.T
            if self.synaptic:
                i = into + self.alpha_s * i
                into = i
            if self.outside:
                u[t] = into + bias
                h = self.alpha_m * h + self.zeta * self.slope[t] * u[t]
                r[t] = h
            else:
                h = self.alpha_m * h + self.zeta * into + bias
                u[t] = h
                np.multiply(self.slope[t], h, out=r[t])
        y = self.gain * r @ self.w["w_out"].T
        if "w_out" in v:
            y += self.gain * self.r @ v["w_out"].T
        return r, u, leak_forward(self.kappa, y + v.get("b_out", 0.0))

    def dense(self) -> np.ndarray:
        """Return all of the matrix, (size, size): for small networks."""
        return np.stack([self.product(row) for row in np.eye(self.size)], axis=1)
