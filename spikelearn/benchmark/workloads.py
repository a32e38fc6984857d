"""What is timed: networks, inputs and targets that everyone gets bit for bit alike.

One model, with the constants of the time step written as decay factors:

    v[t] = alpha v[t-1] + w_in x[t] + w_rec z[t-1] - v_th z[t-1]
    a[t] = rho a[t-1] + z[t-1]                       (ALIF only)
    z[t] = v[t] > v_th + beta a[t]
    y[t] = kappa y[t-1] + w_out z[t],   E = 1/2 sum_(t,k) (y_k[t] - target_k[t])^2
    psi  = gamma / v_th max(0, 1 - |v - v_th - beta a| / v_th)

without biases and self-connections. The decay factors are fractions with a power of two
below, so that float32 and float64 mean the same number: what then differs between two
implementations is the rounding of their arithmetic, not their constants.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikelearn.errors import require
from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork

__all__ = [
    "LEARNING_RATE",
    "SPECIFICATIONS",
    "Data",
    "Workload",
    "draw",
    "draw_batch",
]

ALPHA = 61 / 64  # 20.8 ms at dt = 1 ms
KAPPA = 61 / 64
V_TH = 1.0
GAMMA = 0.3
INPUT_RATE = 0.05  # input spikes a step
SILENT = 2  # first steps without input: NEST cannot learn from them
SAMPLES = 16  # different ones in a cycle, so that no branch is learned by heart
TUNING_SIZE = 4_000_000  # neurons times steps that a rate is estimated from
MOST_HALVINGS = 60
# So small that hundreds of timed updates leave the rate of the spikes as it is.
LEARNING_RATE = 1e-7


def time_constant(decay: float) -> float:
    """Return the time constant in ms of a decay factor of one step of 1 ms."""
    return -1.0 / math.log(decay)


@dataclass(frozen=True)
class Workload:
    """One network, one kind of work, one size.

    Parameters
    ----------
    name
        Unique; what stands before the first underscore is its family.
    kind
        "inference" (forward pass), "e-prop" or "bptt" (forward pass, gradient, Adam).
    cell
        "LIF" or "ALIF".
    n_in, n_rec, n_out, n_steps, n_samples
        Sizes; a step is 1 ms.
    rate
        Spikes a neuron and step to which the weights are scaled.
    rho, beta
        Decay factor and strength of adaptation; not used by "LIF".
    """

    name: str
    kind: str
    cell: str
    n_in: int
    n_rec: int
    n_out: int
    n_steps: int
    n_samples: int
    rate: float = 0.02
    rho: float = 255 / 256
    beta: float = 1 / 8

    @property
    def family(self) -> str:
        """What stands before the first underscore of the name."""
        return self.name.partition("_")[0]

    @property
    def tolerance(self) -> float:
        """How far the rate may be from the wanted one: 0.1 % at 2 %."""
        return self.rate / 20

    @property
    def n_batches(self) -> int:
        """Number of different batches that are cycled through, at least two."""
        return max(2, -(-SAMPLES // self.n_samples))

    def network(self, dtype: str = "float32") -> RecurrentNetwork:
        """Return the network, all weights zero."""
        tau_m = time_constant(ALPHA)
        cell = LIF(tau_m=tau_m, v_th=V_TH)
        if self.cell == "ALIF":
            tau_a = time_constant(self.rho)
            cell = ALIF(tau_m=tau_m, v_th=V_TH, tau_a=tau_a, beta=self.beta)
        readout = LeakyReadout(time_constant(KAPPA), scaling="unit")
        sizes = (self.n_in, self.n_rec, self.n_out)
        return RecurrentNetwork(*sizes, cell=cell, readout=readout, dtype=dtype)

    def to_dict(self) -> dict[str, object]:
        """Return all that another implementation has to know, as plain values."""
        constants = {"alpha": ALPHA, "kappa": KAPPA, "v_th": V_TH, "gamma": GAMMA}
        constants |= {"lr": LEARNING_RATE, "rate_tolerance": self.tolerance}
        values = dataclasses.asdict(self) | constants | {"n_batches": self.n_batches}
        return values | ({} if self.cell == "ALIF" else {"rho": 0.0, "beta": 0.0})


@dataclass(frozen=True, eq=False)
class Data:
    """Weights, inputs and targets of a workload; what a seed gives is always the same.

    `w_in` (n_rec, n_in), `w_rec` (n_rec, n_rec) and `w_out` (n_out, n_rec) are float32
    as (post, pre); `x` (K, T, B, n_in) are uint8 spikes and `target` (K, T, B, n_out)
    float32 for K batches. `gain` scaled the weights to the `rate` that was reached.
    """

    w_in: np.ndarray
    w_rec: np.ndarray
    w_out: np.ndarray
    x: np.ndarray
    target: np.ndarray
    gain: float
    rate: float
    seed: int

    def weights(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        return {"w_in": self.w_in, "w_rec": self.w_rec, "w_out": self.w_out}

    def load_into(self, network: RecurrentNetwork) -> None:
        """Write the weights into a network."""
        network.params.load(network.params.arrays() | self.weights())


def draw(workload: Workload, seed: int = 0) -> Data:
    """Draw the data of a workload and scale its weights to the wanted rate.

    Input spikes are Bernoulli with 5 % a step, but none in the first two steps; targets
    are sums of three sines with random phases.

    Raises
    ------
    InvalidValue
        If no scale of the weights gives the rate.
    """
    rng = np.random.default_rng([seed, 0])
    n_in, n_rec, n_out = workload.n_in, workload.n_rec, workload.n_out
    w_in = rng.standard_normal((n_rec, n_in)) / math.sqrt(n_in * INPUT_RATE)
    w_rec = rng.standard_normal((n_rec, n_rec)) / math.sqrt(n_rec)
    np.fill_diagonal(w_rec, 0.0)
    w_out = rng.standard_normal((n_out, n_rec)) / math.sqrt(n_rec)
    batches = [draw_batch(workload, seed, k) for k in range(workload.n_batches)]
    x, target = (np.stack(arrays) for arrays in zip(*batches, strict=True))
    network = workload.network()
    samples = np.concatenate(list(x), axis=1)
    size = workload.n_rec * workload.n_steps
    samples = samples[:, : max(1, TUNING_SIZE // size)]

    def scaled(gain: float) -> dict[str, np.ndarray]:
        drawn = {"w_in": gain * w_in, "w_rec": gain * w_rec, "w_out": w_out}
        return {name: w.astype(np.float32) for name, w in drawn.items()}

    def rate_of(gain: float) -> float:
        network.params.load(network.params.arrays() | scaled(gain))
        counts = network.run(samples).spike_counts
        return float(counts.sum()) / (size * samples.shape[1])

    gain, rate = _find_gain(rate_of, workload.rate, workload.tolerance / 5)
    return Data(**scaled(gain), x=x, target=target, gain=gain, rate=rate, seed=seed)


def _find_gain(
    rate_of: Callable[[float], float], wanted: float, tolerance: float
) -> tuple[float, float]:
    """Return a gain by doubling and halving, and the rate that it gives."""
    low, high = 0.0, 0.125
    for _ in range(MOST_HALVINGS):
        rate = rate_of(high)
        if rate >= wanted:
            break
        low, high = high, 2.0 * high
    for _ in range(MOST_HALVINGS):
        gain = 0.5 * (low + high)
        rate = rate_of(gain)
        if abs(rate - wanted) <= tolerance:
            return gain, rate
        low, high = (gain, high) if rate < wanted else (low, gain)
    rule = f"must reach {wanted} spikes a step within {tolerance}"
    require(False, "Workload.rate", rule, rate)
    return gain, rate


def draw_batch(
    workload: Workload, seed: int, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one batch: x (T, B, n_in) uint8 and target (T, B, n_out) float32."""
    rng = np.random.default_rng([seed, 1, batch])
    n_steps, n_samples = workload.n_steps, workload.n_samples
    x = rng.random((n_steps, n_samples, workload.n_in)) < INPUT_RATE
    x[:SILENT] = False
    phase = rng.uniform(0.0, 2.0 * math.pi, (3, 1, n_samples, workload.n_out))
    angle = 2.0 * math.pi * np.arange(n_steps)[:, None, None] / n_steps
    harmonics = np.array([1.0, 2.0, 5.0])[:, None, None, None]
    target = np.sin(harmonics * angle + phase).sum(axis=0)
    return x.astype(np.uint8), target.astype(np.float32)


def _specifications() -> dict[str, Workload]:
    """Return W1-W3: inference, two tasks with e-prop, and networks of growing size."""
    found = []
    for n_samples in (1, 32):
        for suffix, rate in (("", 0.02), ("_10pct", 0.1)):
            name = f"w1_b{n_samples}{suffix}"
            sizes = (100, 256, 2, 1000, n_samples)
            found.append(Workload(name, "inference", "LIF", *sizes, rate=rate))
    found.append(Workload("w2_pat", "e-prop", "ALIF", 100, 100, 1, 1000, 1))
    slow = {"rho": 2047 / 2048, "beta": 1 / 64}
    found.append(Workload("w2_ev", "e-prop", "ALIF", 40, 100, 2, 2000, 64, **slow))
    for n_rec in (100, 300, 1000, 3000):
        for cell in ("LIF", "ALIF"):
            for n_samples in (1, 16):
                name = f"w3_{cell.lower()}_{n_rec}_b{n_samples}"
                sizes = (100, n_rec, 10, 1000, n_samples)
                found.append(Workload(name, "e-prop", cell, *sizes))
    for n_rec in (100, 300):
        for n_samples in (1, 16):
            name = f"bptt_alif_{n_rec}_b{n_samples}"
            sizes = (100, n_rec, 10, 1000, n_samples)
            found.append(Workload(name, "bptt", "ALIF", *sizes))
    return {workload.name: workload for workload in found}


SPECIFICATIONS = _specifications()
