"""The smoothed network of a spiking one, its exact gradient and its true Hessian.

The step of the spike is replaced by the integral of the surrogate, scaled to go from 0
to 1, so that the loss has derivatives of any order (almost everywhere):

    z[t] = S(v[t] - A[t]) prod_(k = 1 .. n_ref - 1) (1 - z[t-k]),
    S(d) = integral of psi up to d / integral of psi

and everything else is as in the spiking network: the reset takes z v_th off, or
multiplies v by 1 - z. Narrow surrogates come back to spikes. The gradient is
backpropagation through time, the reset included, written for complex numbers; then

    H v = Im g(w + i h v) / h,   h = 1e-20

is exact to rounding, without a difference (complex step: Squire & Trapp 1998,
doi:10.1137/S003614459631241X).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.second_derivatives import (
    check_finite,
    check_loss,
    error_of_loss,
    leak_back,
    leak_forward,
    outer,
)
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.memory import require_fits
from spikelearn.network import LIF, RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["Smoothed", "smooth_spike"]

ROWS = 10  # complex arrays (T, B, n_rec) that a product keeps
STEP = 1e-20


def smooth_spike(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the integral of a surrogate from 0 to 1, and its derivative.

    Parameters
    ----------
    name
        A name of `Surrogate`.
    x
        (v - A) / width, real or complex; the derivative is that with respect to x.
    """
    positive = x.real >= 0
    m = np.where(positive, x, -x)
    if name == "triangular":
        rest = np.where(m.real < 1, 1 - m, 0.0)
        tail, density = rest**2 / 2, rest
    elif name == "fast-sigmoid":
        tail = 0.5 / (1 + m)
        density = 2 * tail**2
    elif name == "exponential":
        tail = density = np.exp(-m) / 2
    else:
        tail, density = 0.5 - np.arctan(m) / np.pi, 1 / (np.pi * (1 + m**2))
    return np.where(positive, 1 - tail, tail), density


@dataclass
class _Path:
    """What a forward pass keeps, (T, B, n)."""

    v: np.ndarray
    s: np.ndarray
    slope: np.ndarray
    z: np.ndarray
    y: np.ndarray


class Smoothed:
    """Hessian of the loss of the smoothed network; the weights are those of now.

    Parameters, attributes and errors are those of `Hessian`, but cells have to spike.
    `value` is the loss of the smoothed network.
    """

    kind = "smoothed"
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
        where, rule = "Smoothed.network", "must have spiking cells"
        require(network.spiking, where, rule, "rate units", "They have a Hessian.")
        check_loss(loss, l2)
        n_steps, n_samples = batch.x.shape[:2]
        per_sample = 16 * n_steps * (ROWS * network.n_rec + 6 * network.n_out)
        n_bytes = per_sample * n_samples
        require_fits(n_bytes, "Smoothed", per_sample, n_samples, "samples")
        self.coordinates = Coordinates(network, parameters)
        self.size = self.coordinates.size
        self.batch, self.loss, self.l2 = batch, loss, l2
        self._read(in_float64(network))
        path = self._forward(self.w)
        check_finite(path.y)
        self.value = loss(path.y, batch.target, batch.mask).value
        self.gradient = self._vector(self.w)

    def _read(self, network: RecurrentNetwork) -> None:
        cell, spec = network.cell_constants, network.cell
        assert isinstance(spec, LIF)
        self.cell, self.surrogate = cell, spec.surrogate.name
        self.kappa, self.gain = network.readout.factors(network.dt)
        delay = np.broadcast_to(network.delay, (network.n_rec, network.n_rec))
        n_steps = len(self.batch.x)
        self.arrives = {int(d): delay == d for d in np.unique(delay) if d < n_steps}
        # Silent steps after a spike; a step of t_ref has no effect.
        self.silent = int(max(cell.n_ref.max() - 1, 0))
        lags = np.arange(1, self.silent + 1)[:, None]
        self.blocks = (lags < cell.n_ref).astype(np.float64)
        self.w: dict[str, Any] = network.params.copy().arrays()
        self.x = self.batch.x.astype(np.float64)

    def product(self, vector: np.ndarray) -> np.ndarray:
        """Return H v, (size,), of a vector (size,)."""
        along = self.coordinates.split(vector * STEP)
        w = {k: a + 1j * along[k] if k in along else a for k, a in self.w.items()}
        result: np.ndarray = self._vector(w).imag / STEP
        return result

    def _vector(self, w: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the gradient at some weights, (size,), complex if they are."""
        arrays = self._gradient(w)
        parts = [
            arrays[name][mask] + self.l2 * w[name][mask]
            for name, mask in self.coordinates.masks.items()
        ]
        return np.concatenate(parts)

    def _forward(self, w: Mapping[str, np.ndarray]) -> _Path:
        """Run the smoothed network."""
        cell, width = self.cell, 1.0 / self.cell.inverse_width
        drive = self.x @ w["w_in"].T
        hops = {d: (w["w_rec"] * at).T for d, at in self.arrives.items()}
        dtype = np.result_type(*w.values())
        v, s, slope, z = (np.zeros(drive.shape, dtype) for _ in range(4))
        i, before, a = (np.zeros(drive.shape[1:], dtype) for _ in range(3))
        for t in range(len(drive)):
            i = cell.alpha_s * i + drive[t]
            for d, hop in hops.items():
                if t >= d:
                    i = i + z[t - d] @ hop
            v[t] = cell.alpha_m * before + cell.zeta * i + w["bias"]
            if t:
                a = cell.rho * a + z[t - 1]
                if not cell.reset_to_zero:
                    v[t] -= cell.v_th * z[t - 1]
            d_t = (v[t] - cell.v_th - cell.beta * a) / width
            s[t], density = smooth_spike(self.surrogate, d_t)
            slope[t] = density / width
            z[t] = s[t] * self._ready(z, t)
            before = v[t] * (1 - z[t]) if cell.reset_to_zero else v[t]
        y = self.gain * z @ w["w_out"].T + w["b_out"]
        return _Path(v, s, slope, z, leak_forward(self.kappa, y))

    def _ready(self, z: np.ndarray, t: int, without: int = 0) -> np.ndarray | float:
        """Return prod_k (1 - z[t-k]) over the steps that silence, but one of them."""
        ready: np.ndarray | float = 1.0
        for k in range(1, min(self.silent, t) + 1):
            if k != without:
                ready = ready * (1 - self.blocks[k - 1] * z[t - k])
        return ready

    def _gradient(self, w: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the gradient of the loss by name; the weights may be complex."""
        cell, path, batch = self.cell, self._forward(w), self.batch
        error = error_of_loss(self.loss, path.y, batch.target, batch.mask)
        error = leak_back(self.kappa, error)
        gz = self.gain * error @ w["w_out"]
        hops = {d: w["w_rec"] * at for d, at in self.arrives.items()}
        gi, bias = np.zeros_like(gz), np.zeros(gz.shape[2], gz.dtype)
        gv, ga, last = np.zeros_like(gz[0]), np.zeros_like(gz[0]), len(gz) - 1
        for t in range(last, -1, -1):
            for d, hop in hops.items():
                if t + d <= last:
                    gz[t] += gi[t + d] @ hop
            leak: np.ndarray = cell.alpha_m * gv
            if cell.reset_to_zero:
                gz[t] -= path.v[t] * leak
                leak = leak * (1 - path.z[t])
            else:
                gz[t] -= cell.v_th * gv
            gz[t] += ga
            for k in range(1, min(self.silent, t) + 1):
                others = self._ready(path.z, t, without=k)
                gz[t - k] -= self.blocks[k - 1] * gz[t] * path.s[t] * others
            gd = gz[t] * self._ready(path.z, t) * path.slope[t]
            gv = gd + leak
            ga = cell.rho * ga - cell.beta * gd
            gi[t] = cell.zeta * gv
            if t < last:
                gi[t] += cell.alpha_s * gi[t + 1]
            bias += gv.sum(axis=0)
        rec = np.zeros(w["w_rec"].shape, gz.dtype)
        for d, at in self.arrives.items():
            rec += at * outer(gi[d:], path.z[:-d])
        return {
            "w_in": outer(gi, self.x),
            "w_rec": rec,
            "w_out": self.gain * outer(error, path.z),
            "b_out": error.sum(axis=(0, 1)),
            "bias": bias,
        }
