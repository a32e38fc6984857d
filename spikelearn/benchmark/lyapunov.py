"""Lyapunov exponents: one sample from its input to k exponents.

Everyone gets the same weights, inputs and first vectors: the forward pass, k tangent
vectors along it and their orthonormalisation at every step are timed together. Spiking
cells have the pseudo-derivative of the other workloads in their Jacobian, and no reset.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.lyapunov import lyapunov_spectrum
from spikelearn.benchmark.check import relative_error
from spikelearn.benchmark.workloads import (
    ALPHA,
    GAMMA,
    INPUT_RATE,
    V_TH,
    Workload,
    draw,
    draw_batch,
    time_constant,
)
from spikelearn.network import LIF, LeakyRate, RecurrentNetwork
from spikelearn.network.tangent import Jacobian, Linearised

__all__ = ["LYAPUNOV_SPECIFICATIONS", "Lyapunov", "LyapunovWorkload"]

SEED = 0
GAIN = math.sqrt(2.0)  # of the weights of rate units: about the edge of chaos
N_BATCHES = 4
TOLERANCES = {"float64": 1e-8, "float32": 0.02}  # a spike may flip in float32


@dataclass(frozen=True)
class LyapunovWorkload:
    """One network and the number of its exponents.

    Parameters
    ----------
    name
        Unique; what stands before the first underscore is its family.
    cell
        "ReLU" (f inside of the leak) or "LIF" (2 % spikes a step).
    dtype
        "float64", in which analyses are done, or "float32".
    n_rec, n_in, n_steps, k
        Sizes; a step is 1 ms.
    """

    name: str
    cell: str
    dtype: str = "float64"
    n_rec: int = 300
    n_in: int = 100
    n_steps: int = 1000
    k: int = 10
    kind: str = "lyapunov"

    @property
    def family(self) -> str:
        """What stands before the first underscore of the name."""
        return self.name.partition("_")[0]

    @property
    def transient(self) -> int:
        """First steps that are not counted."""
        return self.n_steps // 10

    def network(self, dtype: str | None = None) -> RecurrentNetwork:
        """Return the network with its weights."""
        tau_m, sizes = time_constant(ALPHA), (self.n_in, self.n_rec, 1)
        rate = LeakyRate(tau_m=tau_m, activation="relu")
        cell = rate if self.cell == "ReLU" else LIF(tau_m=tau_m, v_th=V_TH)
        network = RecurrentNetwork(*sizes, cell=cell, dtype=dtype or self.dtype)
        network.params.load(network.params.arrays() | self.weights())
        return network

    def weights(self) -> dict[str, np.ndarray]:
        """Draw `w_in` and `w_rec`, float32."""
        if self.cell == "LIF":
            data = draw(self._shape(), SEED)
            return {"w_in": data.w_in, "w_rec": data.w_rec}
        rng, n_in, n_rec = np.random.default_rng([SEED, 0]), self.n_in, self.n_rec
        w_in = rng.standard_normal((n_rec, n_in)) / math.sqrt(n_in * INPUT_RATE)
        w_rec = GAIN * rng.standard_normal((n_rec, n_rec)) / math.sqrt(n_rec)
        np.fill_diagonal(w_rec, 0.0)
        return {"w_in": w_in.astype(np.float32), "w_rec": w_rec.astype(np.float32)}

    def inputs(self) -> np.ndarray:
        """Draw the input of all batches, (K, T, 1, n_in) spikes."""
        shape = self._shape()
        return np.stack([draw_batch(shape, SEED, k)[0] for k in range(N_BATCHES)])

    def _shape(self) -> Workload:
        sizes = (self.n_in, self.n_rec, 1, self.n_steps, 1)
        return Workload(self.name, "inference", "LIF", *sizes)

    def to_dict(self) -> dict[str, object]:
        """Return all that another implementation has to know, as plain values."""
        zeta = 1.0 - ALPHA if self.cell == "ReLU" else 1.0
        constants = {"alpha": ALPHA, "zeta": zeta, "v_th": V_TH, "gamma": GAMMA}
        checked = {"tolerance": TOLERANCES[self.dtype], "n_batches": N_BATCHES}
        values = dataclasses.asdict(self) | {"transient": self.transient}
        return values | constants | checked


class Lyapunov:
    """Exponents as spikelearn computes them.

    Parameters
    ----------
    workload
        What to run.
    threads
        Threads of the forward pass and of the tangent vectors.
    """

    def __init__(self, workload: LyapunovWorkload, threads: int = 1) -> None:
        self.workload = workload
        self.threads = threads
        self.network = workload.network()
        self.x = workload.inputs()
        self._next = 0

    def _exponents(self, network: RecurrentNetwork, batch: int) -> np.ndarray:
        w = self.workload
        found = lyapunov_spectrum(
            network,
            self.x[batch],
            w.k,
            transient=w.transient,
            threads=self.threads,
        )
        return found.exponents

    def step(self) -> None:
        """Go from the next input of the cycle to its exponents."""
        batch = self._next
        self._next = (batch + 1) % N_BATCHES
        self._exponents(self.network, batch)

    def check_gradients(self) -> dict[str, np.ndarray]:
        """Return the exponents of the first input."""
        return {"exponents": self._exponents(self.network, 0)}

    def check(self) -> dict[str, object]:
        """Compare the exponents of the first input with their definition in NumPy."""
        error = relative_error(self.check_gradients(), {"exponents": self.definition})
        return {"gradient_error": error, "gradient_reference": "float64 QR"}

    @functools.cached_property
    def vectors(self) -> np.ndarray:
        """The first vectors, (k, n_rec) in float64."""
        linearised = Linearised(self.workload.network("float64"), Jacobian())
        rng = np.random.default_rng(0)
        return linearised.start(1, self.workload.k, rng)[0, :, : self.workload.n_rec]

    @functools.cached_property
    def definition(self) -> np.ndarray:
        """Exponents of the first input, with the QR of LAPACK at every step."""
        w, network = self.workload, self.workload.network("float64")
        record, w_rec = network.run(self.x[0]), network.params.w_rec
        values, q = w.to_dict(), self.vectors.T
        local = np.empty((w.n_steps, w.k))
        for t in range(w.n_steps):
            d = record.distance[t, 0]
            gate = GAMMA / V_TH * np.maximum(0.0, 1.0 - np.abs(d) / V_TH)
            gate = (d > 0).astype(float) if w.cell == "ReLU" else gate
            q, r = np.linalg.qr(
                values["alpha"] * q + values["zeta"] * w_rec @ (gate[:, None] * q)
            )
            local[t] = np.log(np.abs(np.diagonal(r)))
        return -np.sort(-local[w.transient :].mean(axis=0))

    def facts(self) -> dict[str, object]:
        """Return what a row of results says about the workload."""
        facts = dataclasses.asdict(self.workload)
        del facts["name"]
        tolerance = TOLERANCES[self.workload.dtype]
        return facts | {"threads": self.threads, "seed": SEED, "tolerance": tolerance}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return weights, inputs and first vectors."""
        return self.workload.weights() | {"x": self.x, "vectors": self.vectors}

    def expected_spikes(self) -> int:
        """Return the spikes of the first input in float64."""
        network = self.workload.network("float64")
        return int(network.run(self.x[0]).spike_counts.sum()) if network.spiking else 0


LYAPUNOV_SPECIFICATIONS = {
    name: LyapunovWorkload(name, cell, dtype)
    for cell in ("ReLU", "LIF")
    for dtype, suffix in (("float64", ""), ("float32", "_float32"))
    for name in (f"lyapunov_{cell.lower()}_300{suffix}",)
}
