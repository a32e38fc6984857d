"""W4: a large sparse network of current-based cells, one second of it.

The network of Brette et al. 2007 (doi:10.1007/s10827-007-0038-6, benchmark 2, after
Vogels & Abbott 2005): 80 % excitatory cells, connection probability 2 %, a time step of
0.1 ms, weights scaled with 4000 / N so that the summed input stays. Everyone gets the
same synapses and initial voltages. Nothing is learned: what is checked are the spikes
of the first 50 ms, in float64, after which rounding decides.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from spikelearn.network.sparse import (
    Bernoulli,
    CubaLIF,
    Population,
    Projection,
    SparseNetwork,
    Spikes,
)

__all__ = ["CUBA_SPECIFICATIONS", "Cuba", "CubaWorkload"]

CHECKED = 50.0  # ms
SEED = 0


@dataclass(frozen=True)
class CubaWorkload:
    """One size of the network.

    Parameters
    ----------
    name
        Unique; what stands before the first underscore is its family.
    n
        Number of neurons.
    duration
        ms.
    """

    name: str
    n: int
    duration: float = 1000.0
    dt: float = 0.1
    p: float = 0.02
    excitatory: float = 0.8
    w_exc: float = 1.62
    w_inh: float = -9.0
    kind: str = "simulation"

    @property
    def family(self) -> str:
        """What stands before the first underscore of the name."""
        return self.name.partition("_")[0]

    @property
    def n_exc(self) -> int:
        """Number of excitatory neurons; they come first."""
        return round(self.excitatory * self.n)

    @property
    def weights(self) -> tuple[float, float]:
        """Excitatory and inhibitory weight, mV."""
        scale = 4000 / self.n
        return self.w_exc * scale, self.w_inh * scale

    def network(self, dtype: str = "float32") -> SparseNetwork:
        """Draw the network; the same synapses for both widths of floats."""
        cell, rule = CubaLIF(), Bernoulli(self.p, self_connections=True)
        sizes = {"E": self.n_exc, "I": self.n - self.n_exc}
        return SparseNetwork(
            {name: Population(n, cell) for name, n in sizes.items()},
            [
                Projection(pre, ("E", "I"), rule, weight, self.dt)
                for pre, weight in zip("EI", self.weights, strict=True)
            ],
            dt=self.dt,
            dtype=dtype,
            rng=SEED,
        )

    def to_dict(self) -> dict[str, object]:
        """Return all that another implementation has to know, as plain values."""
        w_exc, w_inh = self.weights
        cell = dataclasses.asdict(CubaLIF())
        sizes = {"n_exc": self.n_exc, "w_exc": w_exc, "w_inh": w_inh}
        checked = {"check_duration": CHECKED, "n_batches": 1}
        return dataclasses.asdict(self) | sizes | cell | checked


class Cuba:
    """W4 as spikelearn runs it.

    Parameters
    ----------
    workload
        What to run.
    threads
        Not used: with a delay of one step threads would meet at every step.
    """

    def __init__(self, workload: CubaWorkload, threads: int = 1) -> None:
        self.workload = workload
        self.network = workload.network()
        cell = CubaLIF()
        rng = np.random.default_rng([SEED, 1])
        self.v_init = rng.uniform(cell.v_reset, cell.v_th, workload.n)
        spikes = self._run(self.network, workload.duration)
        self.rate = spikes.rate()
        self.n_spikes = spikes.steps.size

    def _run(self, network: SparseNetwork, duration: float) -> Spikes:
        return network.run(duration, v_init=self.v_init)

    def step(self) -> None:
        """Simulate once, from the same start."""
        self._run(self.network, self.workload.duration)

    def check(self) -> dict[str, object]:
        """Return that there is no gradient."""
        return {"gradient_error": None, "gradient_reference": None}

    def check_gradients(self) -> None:
        """Return None: there is no gradient."""

    def facts(self) -> dict[str, object]:
        """Return what a row of results says about the workload."""
        names = ("kind", "n", "duration", "dt", "p")
        facts: dict[str, object] = {n: getattr(self.workload, n) for n in names}
        facts |= {"threads": 1, "dtype": str(self.network.dtype)}
        return facts | {
            "n_synapses": self.network.n_synapses,
            "rate_hz": self.rate,
            "seed": SEED,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the synapses, sorted by `pre`, and the initial voltages."""
        made = self.network.connectivity
        outdegree = np.diff(made.pointers.astype(np.int64))
        pre = np.repeat(np.arange(self.workload.n, dtype=np.int32), outdegree)
        post = made.targets.astype(np.int32)
        n_spikes = np.array(self.n_spikes)
        return {"pre": pre, "post": post, "v_init": self.v_init, "n_spikes": n_spikes}

    def expected_spikes(self) -> int:
        """Return the spikes of the first 50 ms in float64."""
        double = self.workload.network("float64")
        return int(self._run(double, CHECKED).steps.size)


CUBA_SPECIFICATIONS = {
    f"w4_cuba_{n}": CubaWorkload(f"w4_cuba_{n}", n) for n in (4000, 20_000)
}
