"""Plasticity without a task: Oja's rules for recurrent weights, and their control.

A term is a displacement that is added to the weights once per trial, after the step of
the optimiser, so that its size means the same whatever the optimiser does to gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.learning.terms import PlasticityTerm, TermInfo
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = [
    "FORMS",
    "PLASTICITY_TERMS",
    "Oja",
    "WeightDecay",
]

FORMS = {
    "neuron": "decay r_i^2 W_ij: rows of norm 1, all along one direction",
    "rescaled": "decay N / c^2 r_i^2 W_ij: rows of norm c / sqrt(N)",
    "subspace": "decay r_i sum_k r_k W_kj: orthonormal rows; sums over neurons",
}


@dataclass(frozen=True)
class Oja:
    """Oja's rule on the recurrent weights, in three forms.

        dW_ij = strength < r_i[t] xbar_ij[t] - D_ij[t] >
        neuron     D_ij = r_i^2 W_ij
        rescaled   D_ij = N / c^2 r_i^2 W_ij
        subspace   D_ij = r_i sum_k r_k W_kj

    averaged over steps and samples, for connections that exist. A row settles on the
    first principal component of its (uncentred) inputs, with norm 1 ("neuron") or
    c / sqrt(N) ("rescaled"); the rows of "subspace" become orthonormal and span the
    first principal components. In a recurrent network the form "neuron" is a negative
    control: all rows align, and the spectral radius grows towards sqrt(N). The
    rescaled form is spikelearn's: rows of norm c / sqrt(N) keep the radius at c or
    below.

    What is correlated has unit gain, so that it is of the size of r itself:

    - spiking cells: r is the spike train through the filters of its own neuron,
      s[t] = alpha_s s[t-1] + (1 - alpha_s) z[t], r[t] = alpha_m r[t-1] +
      (1 - alpha_m) s[t], and xbar_ij[t] = r_j[t - d_ij];
    - rate cells with f inside: r is the output, and xbar_ij[t] = eps_j[t - d_ij] with
      eps the output through the same two filters, as e-prop sees it;
    - rate cells with f outside: r is the output, which the leak has filtered already,
      and xbar_ij[t] = s_j[t - d_ij] with s the output through the synaptic filter.

    d is the delay of the synapse in steps. Traces are 0 before the first step.

    Parameters
    ----------
    form
        "neuron", "rescaled" or "subspace".
    strength
        Learning rate of the term.
    row_norm
        c of the rescaled form: the norm of a row times sqrt(N), N = n_rec.
    max_step
        Largest Frobenius norm of the displacement; a longer one is shortened to it.

    Raises
    ------
    UnknownName
        For another form.
    InvalidValue
        If a number is out of range.

    References
    ----------
    Oja 1982, doi:10.1007/BF00275687 (neuron); Oja 1989, doi:10.1142/S0129065789000475
    (subspace); Shervani-Tabar et al. 2024, arXiv:2408.08408 (Oja's rule beside
    error-driven learning).
    """

    form: str = "rescaled"
    strength: float = 1e-3
    row_norm: float = 1.0
    max_step: float = 0.5

    info: ClassVar[TermInfo] = TermInfo(
        name="oja",
        synapse="its weight, the presynaptic trace and the postsynaptic output",
        neuron="its output",
        network="nothing; form subspace: sum_k r_k W_kj for every presynaptic neuron",
        reference="Oja 1982, doi:10.1007/BF00275687; Oja 1989, "
        "doi:10.1142/S0129065789000475; Shervani-Tabar et al. 2024, arXiv:2408.08408",
    )

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown_name("form of Oja", self.form, FORMS)
        where, rule = "Oja.strength", "must be >= 0 and finite"
        require(0 <= self.strength < np.inf, where, rule, self.strength)
        where, rule = "Oja.row_norm", "must be > 0 and finite"
        require(0 < self.row_norm < np.inf, where, rule, self.row_norm)
        require(self.max_step > 0, "Oja.max_step", "must be > 0", self.max_step)

    def displacement(
        self, network: RecurrentNetwork, output: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return {"w_rec": (n_rec, n_rec)}, what is to be added to the weights."""
        w_rec = network.params.w_rec
        post, trace = _activity(network, output)
        step = _correlation(network.delay, post, trace)
        rows = post.reshape(-1, network.n_rec)
        if self.form == "subspace":
            step -= (rows.T @ rows) @ w_rec / len(rows)
        else:
            scale = 1.0 if self.form == "neuron" else network.n_rec / self.row_norm**2
            step -= scale * np.mean(rows**2, axis=0)[:, None] * w_rec
        step *= self.strength * cast(np.ndarray, network.mask)
        norm = float(np.linalg.norm(step))
        if norm > self.max_step:
            step *= self.max_step / norm
        return {"w_rec": step.astype(w_rec.dtype)}


@dataclass(frozen=True)
class WeightDecay:
    """Decay of the recurrent weights, dW_ij = -strength W_ij.

    The control of Oja's rule: it shrinks weights without looking at activity.

    Parameters
    ----------
    strength
        Fraction that an update removes, in [0, 1].

    Raises
    ------
    InvalidValue
        If it is out of range.
    """

    strength: float = 1e-3

    info: ClassVar[TermInfo] = TermInfo(
        name="weight-decay",
        synapse="its weight",
        neuron="nothing",
        network="nothing",
        reference="Krogh & Hertz 1991, Advances in Neural Information Processing "
        "Systems 4",
    )

    def __post_init__(self) -> None:
        where, rule = "WeightDecay.strength", "must be in [0, 1]"
        require(0 <= self.strength <= 1, where, rule, self.strength)

    def displacement(
        self, network: RecurrentNetwork, output: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return {"w_rec": (n_rec, n_rec)}, what is to be added to the weights."""
        return {"w_rec": -self.strength * network.params.w_rec}


PLASTICITY_TERMS: dict[str, type[PlasticityTerm]] = {
    "oja": Oja,
    "weight-decay": WeightDecay,
}


def _activity(
    network: RecurrentNetwork, output: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return r and the trace at the presynaptic side, both (T, B, n_rec) float64."""
    cell, dt = network.cell, network.dt
    rate = cell.kind == "rate"
    output = output.astype(np.float64)
    trace = _low_pass(output, decay_factor(cell.tau_syn, dt))
    if rate and getattr(cell, "placement", "inside") == "outside":
        return output, trace
    trace = _low_pass(trace, decay_factor(cell.tau_m, dt))
    return (output if rate else trace), trace


def _low_pass(x: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """Return y[t] = decay y[t-1] + (1 - decay) x[t], from y = 0."""
    if not decay.any():
        return x
    filtered = np.empty_like(x)
    state = np.zeros(x.shape[1:])
    for t, now in enumerate(x):
        state = decay * state + (1.0 - decay) * now
        filtered[t] = state
    return filtered


def _correlation(
    delay: int | np.ndarray, post: np.ndarray, trace: np.ndarray
) -> np.ndarray:
    """Return < post_i[t] trace_j[t - delay_ij] > over all steps and samples."""
    n_steps, n_samples, n = post.shape
    total = np.zeros((n, n))
    for d in np.unique(delay):
        if d < n_steps:
            late = post[d:].reshape(-1, n)
            early = trace[: n_steps - d].reshape(-1, n)
            total += np.where(delay == d, late.T @ early, 0.0)
    return total / (n_steps * n_samples)
