"""Lyapunov exponents: how fast small changes of the state grow, under given input.

With the Jacobian D_t of the step, orthonormal vectors Q and D_t Q_t = Q_(t+1) R_(t+1),

    lambda_b = 1 / T sum_t log R_t,bb                     (natural logarithm, per step)

(Benettin et al. 1980, doi:10.1007/BF02128236; for networks Engelken, Wolf & Abbott
2023, doi:10.1103/PhysRevResearch.5.043044). A spiking network has no Jacobian, so that
several exponents stand side by side, each with what it means (`KINDS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikelearn.errors import require
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.tangent import Jacobian, Linearised

__all__ = [
    "KINDS",
    "LyapunovSpectrum",
    "counted_from",
    "in_float64",
    "lyapunov_spectrum",
    "spectrum_of",
    "trial_exponents",
]

KINDS = {
    "jacobian": "rate units: growth of infinitesimal changes of the state",
    "surrogate": "spiking cells with the pseudo-derivative for the spike, without the "
    "reset: growth of the credit that learning rules follow back through time",
    "surrogate-reset": "the same with the reset of a neuron by its own spike",
    "surrogate-voltage": "the same as surrogate without adaptation, whose slow decay "
    "hides the rest",
    "events": "growth of infinitesimal shifts of spike times, the true dynamics in "
    "continuous time (saltation at every spike)",
    "twin": "growth of a very small change in a second network with the same input: "
    "the true dynamics in discrete time",
    "twin-large": "the same with a change of a tenth of the threshold, which flips "
    "spikes where a very small one decays before it can",
}
BLOCKS = 10  # of a trial, whose means give the standard error
FEWEST_STEPS = 2 * BLOCKS
PIECE = 1 << 22  # numbers of a record that is linearised at a time


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Exponents of one kind, largest first, in natural logarithms per time step.

    Parameters
    ----------
    kind
        A name of `KINDS`.
    exponents, error
        (k,) mean over samples and steps after the transient, and its standard error
        from the means of blocks of steps.
    local
        (T, B, k) growth of every step, the transient included.
    transient
        Steps that are not counted.
    dt
        Time step, ms.
    size
        Dimension of the state: number of all exponents.
    """

    kind: str
    exponents: np.ndarray
    error: np.ndarray
    local: np.ndarray
    transient: int
    dt: float
    size: int

    @property
    def per_ms(self) -> np.ndarray:
        """Exponents per ms, (k,)."""
        return self.exponents / self.dt

    @property
    def drift(self) -> np.ndarray:
        """Difference of the second and the first half of the counted steps, (k,)."""
        counted = self.local[self.transient :]
        first, second = np.array_split(counted, 2)
        return second.mean((0, 1)) - first.mean((0, 1))

    def finite_time(self) -> np.ndarray:
        """Return the exponents of the trial up to every step, (T, B, k).

        Every trial begins with the same vectors and ends with what it did to them.
        """
        steps = np.arange(1, len(self.local) + 1)[:, None, None]
        return np.cumsum(self.local, axis=0) / steps

    @property
    def complete(self) -> bool:
        """Whether the k exponents determine the dimension: their sum is negative."""
        return bool(self.exponents.sum() < 0) or len(self.exponents) == self.size

    @property
    def kaplan_yorke(self) -> float | None:
        """Kaplan-Yorke dimension j + sum_(b<=j) lambda_b / |lambda_(j+1)|.

        j is the largest number of exponents with a sum >= 0. None if more exponents
        than k are needed (Frederickson et al. 1983, doi:10.1016/0022-0396(83)90011-6).
        """
        sums = np.cumsum(self.exponents)
        if sums[0] < 0:
            return 0.0
        below = np.flatnonzero(sums < 0)
        if not below.size:
            return float(self.size) if len(sums) == self.size else None
        j = int(below[0])
        return float(j + sums[j - 1] / abs(self.exponents[j]))

    @property
    def entropy_bound(self) -> float:
        """Sum of the positive exponents, an upper bound of the entropy rate per step.

        Ruelle 1978, doi:10.1007/BF02584795. A lower bound of it if all k are positive.
        """
        return float(self.exponents[self.exponents > 0].sum())


def in_float64(network: RecurrentNetwork) -> RecurrentNetwork:
    """Return a copy of a network in float64, in which analyses are done."""
    other = replace(network, dtype="float64")
    other.params.load(network.params.arrays())
    return other


def lyapunov_spectrum(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int = 1,
    *,
    jacobian: Jacobian | None = None,
    transient: int | None = None,
    tolerance: float | None = None,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LyapunovSpectrum:
    """Return the k largest exponents along the trajectories that an input drives.

    Parameters
    ----------
    network
        Network; it is computed in its own dtype (`in_float64`).
    x : (T, B, n_in) array
        Input. The state is zero before it.
    k
        Number of exponents.
    jacobian
        Which Jacobian of spiking cells; default: without reset, full state.
    transient
        First steps that are not counted; default T // 10.
    tolerance
        Largest standard error that is accepted; None for any.
    rng
        Draws the first vectors.
    threads
        Threads over samples, or over the vectors of a single one. Results do not
        depend on it.

    Raises
    ------
    InvalidValue
        If k is larger than the state, the run too short, the standard error above the
        tolerance, the trajectory not finite, or a delay longer than a step.
    """
    jacobian = jacobian or Jacobian()
    linearised = Linearised(network, jacobian)
    n_steps, n_samples = x.shape[:2]
    transient = counted_from(transient, n_steps)
    vectors = linearised.start(n_samples, k, np.random.default_rng(rng))
    local = np.empty((n_steps, n_samples, k))
    for first, record in _pieces(network, x, threads):
        steps = slice(first, first + record.n_steps)
        local[steps] = linearised.run(record, vectors, threads=threads).log_r
    kind = _kind(network, jacobian)
    return spectrum_of(kind, local, transient, network.dt, linearised.size, tolerance)


def _kind(network: RecurrentNetwork, jacobian: Jacobian) -> str:
    if not network.spiking:
        return "jacobian"
    if jacobian.events:
        return "events"
    if jacobian.subspace == "voltage" and not jacobian.reset:
        return "surrogate-voltage"
    return "surrogate-reset" if jacobian.reset else "surrogate"


def counted_from(transient: int | None, n_steps: int) -> int:
    """Return how many first steps are not counted; refuse runs that are too short."""
    transient = n_steps // 10 if transient is None else transient
    where, rule = "transient", "must be >= 0 steps"
    require(transient >= 0, where, rule, transient)
    where, rule = "input x", f"must have {FEWEST_STEPS} steps after the transient"
    hint = "Exponents are means over many steps: run longer."
    left = n_steps - transient
    require(left >= FEWEST_STEPS, where, rule, f"{n_steps} - {transient}", hint)
    return transient


def _pieces(
    network: RecurrentNetwork, x: np.ndarray, threads: int
) -> Iterator[tuple[int, Record]]:
    """Yield a run in pieces that fit into memory, each with its first step."""
    n_steps, n_samples = x.shape[:2]
    length = max(PIECE // (n_samples * network.n_rec), 1)
    state = None
    for first in range(0, n_steps, length):
        record = network.run(x[first : first + length], state=state, threads=threads)
        state = record.final
        yield first, record


def spectrum_of(
    kind: str,
    local: np.ndarray,
    transient: int,
    dt: float,
    size: int,
    tolerance: float | None = None,
) -> LyapunovSpectrum:
    """Return the means of (T, B, k) growth, with errors from the means of blocks."""
    counted = local[transient:]
    blocks = np.concatenate([b.mean(axis=0) for b in np.array_split(counted, BLOCKS)])
    error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
    exponents = counted.mean(axis=(0, 1))
    if tolerance is not None:
        where, rule = "exponents", f"must have a standard error <= {tolerance:g}"
        hint = "Run longer, or more samples."
        worst = float(error.max())
        require(worst <= tolerance, where, rule, f"{worst:.2g}", hint)
    order = np.argsort(-exponents, kind="stable")
    return LyapunovSpectrum(
        kind, exponents[order], error[order], local[..., order], transient, dt, size
    )


def trial_exponents(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int = 1,
    *,
    jacobian: Jacobian | None = None,
    passes: int = 3,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> np.ndarray:
    """Return the k largest exponents of trials that each begin at the zero state.

    lambda_b = < log R_bb > over all steps of the last pass: vectors are carried from
    the end of a trial to its beginning, so that short trials need no transient. It is
    what flossing (`learning.flossing`) moves.

    Parameters
    ----------
    passes
        How often the vectors go through the trial, >= 1.

    The others, and the errors, are those of `lyapunov_spectrum`.

    Returns
    -------
    (k,) float64 array, per step, largest first
    """
    require(passes >= 1, "passes", "must be >= 1", passes)
    linearised = Linearised(network, jacobian or Jacobian())
    vectors = linearised.start(x.shape[1], k, np.random.default_rng(rng))
    record = network.run(x, threads=threads)
    for _ in range(passes):
        local = linearised.run(record, vectors, threads=threads).log_r
    means = local.mean(axis=(0, 1), dtype=np.float64)
    ordered: np.ndarray = np.sort(means)[::-1]
    return ordered
