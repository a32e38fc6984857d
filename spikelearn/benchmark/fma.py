"""How close the explicit traces of e-prop come to the arithmetic limit of one core.

The limit is measured, in the same minute, by multiply-adds that wait for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from spikelearn.kernels.limits import GROUP, multiply_add
from spikelearn.kernels.vector import BYTES, aligned_zeros
from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork

__all__ = ["fma_limit", "trace_efficiency"]

OPERATIONS = {"LIF": 3, "ALIF": 5}
"""Multiply-adds that a synapse and step needs, each counted as two operations.

    e = psi m - (psi beta) eps        2, or 1 without adaptation
    eps = (rho - psi beta) eps + psi m    1, or 0; psi m is known
    ebar = kappa ebar + e             1
    dw = dw + L ebar                  1

m is the trace of the presynaptic unit, which all neurons with the same time constants
share; it, psi and L are per unit, not per synapse, and not counted. Nor is what fills
vectors up.
"""

INPUT_RATE = 0.05


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of this thread that the work took."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def fma_limit(dtype: str = "float32", repeats: int = 20) -> float:
    """Return how many GFLOP/s one core does in multiply-adds out of registers."""
    scalar, n = np.dtype(dtype).type, 100_000

    def measure(n_vectors: int) -> float:
        x = aligned_zeros((n_vectors * BYTES // scalar().itemsize,), dtype)
        work = (n, scalar(0.999), scalar(0.001), x)
        multiply_add(*work)
        return 2e-9 * n * x.size / _seconds(lambda: multiply_add(*work), repeats)

    return max(measure(GROUP), measure(2 * GROUP))


def trace_efficiency(
    n_rec: int,
    *,
    cell: str = "ALIF",
    n_in: int = 40,
    n_steps: int = 1000,
    dtype: str = "float32",
    repeats: int = 20,
) -> dict[str, float]:
    """Time explicit e-prop traces through a trial, one sample on one core.

    The network is a homogeneous one with a leaky readout of two units, and inputs that
    spike in 5 % of the steps. All that `EProp.step` does is timed; the traces of all
    synapses are in memory after every 16 steps.

    Parameters
    ----------
    cell
        "LIF" or "ALIF".

    Returns
    -------
    dict
        `n_rec`, `milliseconds`, `gflops` (by `OPERATIONS`), `limit_gflops` and
        `fraction` of the limit.
    """
    cells = {"LIF": LIF(tau_m=20.0), "ALIF": ALIF(tau_m=20.0, tau_a=200.0, beta=0.1)}
    network = RecurrentNetwork(
        n_in, n_rec, 2, cell=cells[cell], readout=LeakyReadout(20.0), dtype=dtype
    )
    network.initialise(0)
    rng = np.random.default_rng(0)
    record = network.run(rng.random((n_steps, 1, n_in)) < INPUT_RATE)
    error = rng.standard_normal((n_steps, 1, 2))
    signal = LearningSignal(error.astype(dtype), network.params.w_out.T)
    rule = EProp()
    traces = rule.start(network, 1)

    def work() -> None:
        rule.step(network, record, signal, traces, explicit=True)

    work()
    limits = [fma_limit(dtype)]
    seconds = _seconds(work, repeats)
    limits.append(fma_limit(dtype))
    synapses = n_rec * (n_in + n_rec + 1)
    gflops = 2e-9 * OPERATIONS[cell] * synapses * n_steps / seconds
    return {
        "n_rec": n_rec,
        "milliseconds": 1e3 * seconds,
        "gflops": gflops,
        "limit_gflops": max(limits),
        "fraction": gflops / max(limits),
    }
