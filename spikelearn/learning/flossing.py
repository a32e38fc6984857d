"""Gradient flossing: pull Lyapunov exponents to where credit neither dies nor explodes.

A network whose largest exponents are near 0 carries changes of its state, and the
credit for them, over many steps (Engelken 2023, arXiv:2312.17306; for spiking networks
by backpropagation Engelken & Abbott 2024). Here the gradient of an exponent is one that
a synapse can compute: a neuromodulator that all receive, times an eligibility of its
own. This local form is spikelearn's derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.learning.terms import TermInfo
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.cells import LeakyRate, Surrogate
from spikelearn.network.tangent import Jacobian, Linearised, TangentRecord
from spikelearn.network.tangent_gradient import exact_gradient

__all__ = ["FLOSSING_TERMS", "Flossing", "FlossingStep"]

REFERENCE = "Engelken 2023, arXiv:2312.17306"
TINY = 1e-30
SMALLEST_SLOPE = 0.01  # of an exponent in log gain that scaling divides by
SHADOW = "its tangent: a linear copy of itself, driven by the same synapses"

FLOSSING_TERMS = {
    "tangent": TermInfo(
        name="tangent",
        synapse="the tangent of its neurons before and after, a broadcast number",
        neuron=f"{SHADOW}, and its gate psi or f'",
        network="the length r of the tangent, the exponent as the mean of log r, the "
        "norm of all eligibilities",
        reference=f"spikelearn's truncation of {REFERENCE}",
    ),
    "tangent-trace": TermInfo(
        name="tangent-trace",
        synapse="a trace of the presynaptic tangent, that of the neuron behind",
        neuron=f"{SHADOW}, its gate, and one trace more",
        network="the length r of the tangent, the exponent as the mean of log r, the "
        "norm of all eligibilities",
        reference=f"spikelearn's truncation of {REFERENCE}, with the leak of e-prop",
    ),
    "spectrum": TermInfo(
        name="spectrum",
        synapse="k tangents of its neurons before and after, k broadcast numbers",
        neuron="k tangents and its gate",
        network="k (k + 1) / 2 sums over neurons that keep tangents orthogonal, the "
        "norms of k eligibilities",
        reference=f"spikelearn's truncation of {REFERENCE}",
    ),
    "scaling": TermInfo(
        name="scaling",
        synapse="its weight and a broadcast number",
        neuron=SHADOW,
        network="the length r of the tangent, and how it follows the gain",
        reference="synaptic scaling, Turrigiano et al. 1998, doi:10.1038/36103",
    ),
    "exact": TermInfo(
        name="exact",
        synapse="what comes back through all later steps",
        neuron="the same",
        network="the whole trajectory: not local, not online, the reference",
        reference=REFERENCE,
    ),
}


@dataclass(frozen=True)
class FlossingStep:
    """One step of flossing, and what it was made of.

    `move` (n_rec, n_rec) is to be added to w_rec. `exponents` (k,) is the estimate,
    `modulator` (k,) the signal lambda - lambda* after dead zone and clipping. `growth`
    (T, B, k) is log r of every step.
    """

    move: np.ndarray
    exponents: np.ndarray
    modulator: np.ndarray
    growth: np.ndarray
    tangents: TangentRecord

    def eligibility(self, post: int, pre: int, vector: int = 0) -> np.ndarray:
        """Return the tangent eligibility of one synapse at every step, (T, B).

        G_ij[t] = post_i pre_j, the derivative of log r at that step.

        Raises
        ------
        InvalidValue
            If there are no factors: the term is "exact".
        """
        kept = self.tangents.post.shape[1] > 0
        where, rule = "FlossingStep.eligibility", "needs a local term"
        require(kept, where, rule, "the term 'exact'")
        factors = self.tangents.post[:, :, vector, post]
        product: np.ndarray = factors * self.tangents.pre[:, :, vector, pre]
        return product.T


@dataclass(frozen=True)
class Flossing:
    """Move the k largest Lyapunov exponents to a target.

        dW = - rate sum_b M_b G_b / |G_b|^2,   M_b = clip(lambda_b - lambda*)

    with lambda_b the running estimate of <log R_bb>, and by `term` (`FLOSSING_TERMS`)

        tangent        G_ij = < q_i[t+1] psi_j[t] q_j[t] / r[t+1] >
        tangent-trace  G_ij = < q_i[t+1] e_j[t+1] / r[t+1] >,
                       e_j[t+1] = (alpha_m / r[t]) e_j[t] + psi_j[t] q_j[t]
        spectrum       G_ij = < q_bi[t+1] psi_j[t] (Q R^-1)_jb >,  D Q = Q[t+1] R
        scaling        G_ij = W_ij / <dlambda/dlog gain>, for the mean of the M_b
        exact          G_ij = dlambda_b/dW_ij by a reverse sweep, for f inside of the
                       leak with the dependence of the trajectory on W; the trajectory
                       of spiking cells is held fixed

    where q is the tangent, zeta and synaptic currents enter as `kernels.tangent` says,
    and psi is f' for rate units. Averages are over steps and samples of a trial. With
    the squared norm of the eligibilities, a number that all synapses share, `rate` is
    the part of the way that a step goes: a step along G_b moves lambda_b by its length,
    as the adjoint of a tangent has product 1 with it. Without (`normalised` false) it
    is dW = - 2 rate sum_b M_b G_b. Spiking cells use the voltage sub-space without
    reset.

    Parameters
    ----------
    term
        A name of `FLOSSING_TERMS`.
    k
        Number of exponents; "tangent-trace" has one.
    target
        lambda*, per step.
    rate
        Part of the way to the target that one step goes, in (0, 1]; if not
        `normalised`, the step size, > 0.
    normalised
        Whether moves are divided by the squared norm of the eligibilities.
    dead_zone
        Nothing is done where |lambda - lambda*| is smaller, per step.
    clip
        Largest |lambda - lambda*| that is acted on, per step.
    max_step
        Largest Frobenius norm of a move.
    smoothing
        Weight of the newest trial in the running estimate, in (0, 1].
    surrogate
        Pseudo-derivative in the Jacobian of spiking cells. The default has a heavy
        tail: the triangle is 0 far from threshold, where it says nothing to silent and
        epileptic networks.
    pre_episodes
        Trials of flossing alone before training.
    every, inter_episodes, times
        `inter_episodes` more after every `every` iterations, `times` times at most.
    continuous
        Whether each iteration of training flosses too, by less as its step sizes fall.

    Raises
    ------
    UnknownName, InvalidValue
        If there is no such term, or a number is out of range.

    References
    ----------
    Engelken 2023, arXiv:2312.17306 (flossing by backpropagation); Liu, Zhang & Liu
    2024, arXiv:2410.11164 (its use before learning by local rules).
    """

    term: str = "tangent"
    k: int = 1
    target: float = 0.0
    rate: float = 0.3
    normalised: bool = True
    dead_zone: float = 0.0
    clip: float = 0.1
    max_step: float = 3.0
    smoothing: float = 1.0
    surrogate: Surrogate | None = field(
        default_factory=lambda: Surrogate("fast-sigmoid")
    )
    pre_episodes: int = 0
    every: int = 0
    inter_episodes: int = 0
    times: int = 1
    continuous: bool = False

    def __post_init__(self) -> None:
        if self.term not in FLOSSING_TERMS:
            raise unknown_name("flossing term", self.term, FLOSSING_TERMS)
        require(self.k >= 1, "Flossing.k", "must be >= 1", self.k)
        one = self.term != "tangent-trace" or self.k == 1
        require(one, "Flossing.k", "must be 1 with 'tangent-trace'", self.k)
        finite = bool(np.isfinite(self.target))
        require(finite, "Flossing.target", "must be finite", self.target)
        for name in ("rate", "smoothing"):
            value = getattr(self, name)
            bounded = 0 < value <= 1 or (name == "rate" and not self.normalised)
            require(bounded, f"Flossing.{name}", "must be in (0, 1]", value)
        for name in ("rate", "clip", "max_step"):
            value = getattr(self, name)
            require(value > 0, f"Flossing.{name}", "must be > 0", value)
        for name in ("dead_zone", "pre_episodes", "every", "inter_episodes", "times"):
            value = getattr(self, name)
            require(value >= 0, f"Flossing.{name}", "must be >= 0", value)

    @property
    def jacobian(self) -> Jacobian:
        """The Jacobian whose exponents are moved."""
        return Jacobian(subspace="voltage", surrogate=self.surrogate)

    def check(self, network: RecurrentNetwork) -> None:
        """Refuse networks that the term is not defined for.

        Raises
        ------
        InvalidValue
            If delays are longer than a step, k is larger than the state, or a term
            needs what the cells do not have.
        """
        size = Linearised(network, self.jacobian).size
        rule = f"must be 1 to {size}, the dimension of the state"
        require(self.k <= size, "Flossing.k", rule, self.k)
        cell = network.cell
        where = f"flossing term {self.term!r}"
        if self.term == "tangent-trace":
            constants = network.cell_constants
            same = np.ptp(constants.alpha_m) == 0 and not constants.alpha_s.any()
            rule = "must be used with one tau_m and without synaptic current"
            require(bool(same), where, rule, cell.kind)
        if self.term == "exact" and isinstance(cell, LeakyRate):
            known = cell.placement == "inside" or cell.activation == "relu"
            rule = "must be used with f inside of the leak, or with 'relu'"
            require(known, where, rule, f"{cell.activation!r} outside")

    def episodes_before(self, iteration: int) -> int:
        """Return how many trials of flossing come before an iteration, from 0 on."""
        if iteration == 0:
            return self.pre_episodes
        due = self.every > 0 and iteration % self.every == 0
        in_time = due and iteration // self.every <= self.times
        return self.inter_episodes if in_time else 0

    def start(
        self, network: RecurrentNetwork, n_samples: int, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the state: tangents of every sample, and the running estimate."""
        vectors = Linearised(network, self.jacobian).start(n_samples, self.k, rng)
        none = np.full(self.k, np.nan)
        return {"vectors": vectors, "exponents": none}

    def step(
        self,
        network: RecurrentNetwork,
        record: Record,
        state: Mapping[str, np.ndarray],
        *,
        threads: int = 1,
    ) -> FlossingStep:
        """Return the move for a trial. Mutates `state`.

        Raises
        ------
        InvalidValue
            If the trajectory is not finite, or no neuron passes a change on.
        """
        linearised = Linearised(network, self.jacobian)
        exact = self.term == "exact"
        before = state["vectors"].copy() if exact else state["vectors"]
        tangents = linearised.run(
            record, state["vectors"], factors=not exact, keep=exact, threads=threads
        )
        measured = tangents.log_r.mean(axis=(0, 1), dtype=np.float64)
        known = state["exponents"]
        new = self.smoothing * measured + (1 - self.smoothing) * known
        known[...] = np.where(np.isnan(known), measured, new)
        excess = known - self.target
        modulator = np.clip(excess, -self.clip, self.clip)
        modulator[np.abs(excess) <= self.dead_zone] = 0.0
        if exact:
            gradient = exact_gradient(linearised, record, before, tangents, modulator)
            size = float(np.sum(gradient**2)) / float(np.sum(modulator**2) or 1.0)
            gradient *= 1 / max(size, TINY) if self.normalised else 2.0
        elif self.term == "scaling":
            gradient = self._scaled(linearised, tangents, modulator, threads)
        else:
            gradient = self._local(linearised, tangents, modulator, threads)
        move = -self.rate * np.where(network.masks["w_rec"], gradient, 0.0)
        norm = float(np.linalg.norm(move))
        if norm > self.max_step:
            move *= self.max_step / norm
        return FlossingStep(move, known.copy(), modulator, tangents.log_r, tangents)

    def _local(
        self,
        linearised: Linearised,
        tangents: TangentRecord,
        modulator: np.ndarray,
        threads: int,
    ) -> np.ndarray:
        """Return sum_b M_b G_b / |G_b|^2, or twice sum_b M_b G_b."""
        post, pre = tangents.post, tangents.pre
        traced = None
        if self.term == "tangent-trace":
            traced = _trace(pre, tangents.log_r, linearised.cell.alpha_m[0])
        n = post.shape[0] * post.shape[1]
        total = np.zeros(linearised.network.params.w_rec.shape)
        for b in range(self.k):
            some = slice(b, b + 1)
            mean = linearised.outer(post[:, :, some] / n, pre[:, :, some], threads)
            used = mean
            if traced is not None:
                used = linearised.outer(post / n, traced, threads)
            size = np.sum(mean.astype(np.float64) * used) if self.normalised else 0.5
            total += modulator[b] / max(size, TINY) * used
        return total

    def _scaled(
        self,
        linearised: Linearised,
        tangents: TangentRecord,
        modulator: np.ndarray,
        threads: int,
    ) -> np.ndarray:
        """Return the mean M times W / (dlambda / dlog gain)."""
        post, pre = tangents.post, tangents.pre
        w_rec = linearised.network.params.w_rec.astype(np.float64)
        n = post.shape[0] * post.shape[1] * self.k
        total = linearised.outer(post, pre, threads)
        slope = float(np.sum(w_rec * total)) / n
        return modulator.mean() / max(slope, SMALLEST_SLOPE) * w_rec


def _trace(pre: np.ndarray, log_r: np.ndarray, alpha: float) -> np.ndarray:
    """Return e[t] = pre[t] + alpha / r[t] e[t-1], (B, T, 1, n_pad)."""
    out = np.empty_like(pre)
    state = np.zeros_like(pre[:, 0])
    decay = alpha * np.exp(-log_r.transpose(1, 0, 2))[..., None]
    for t in range(pre.shape[1]):
        state = pre[:, t] + decay[:, t] * state
        out[:, t] = state
    return out
