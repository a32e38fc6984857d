"""Which part of the true gradient a rule keeps, and how large the rest is.

With g the gradient of backpropagation through time and g_hat that of a rule,

    g_hat = rho g + e,   rho = <g_hat, g> / ||g||^2,   e orthogonal to g

A rule with rho < 1 takes shorter steps downhill, so that minima with a curvature of up
to 2 / (rho eta) hold it (Liu et al. 2022, arXiv:2206.00823).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.analysis.alignment import reason_against
from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.second_derivatives import check_loss
from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Loss
from spikelearn.learning.rules import BPTT, Rule
from spikelearn.learning.signals import Feedback, LearningSignal
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["RuleComponent", "rule_component"]


@dataclass(frozen=True)
class RuleComponent:
    """How the gradient of a rule lies to the true one.

    Attributes
    ----------
    rho
        <g_hat, g> / ||g||^2; None if g is 0.
    cosine
        <g_hat, g> / (||g_hat|| ||g||); None if one of them is 0.
    orthogonal
        ||g_hat - rho g||; ||g_hat|| if g is 0.
    size
        ||g||.
    """

    rho: float | None
    cosine: float | None
    orthogonal: float
    size: float


def rule_component(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    rule: Rule,
    feedback: str | Feedback = "symmetric",
    *,
    parameters: Sequence[str] = ("w_rec",),
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> RuleComponent:
    """Compare a rule with backpropagation through time on one batch.

    Parameters
    ----------
    network, batch, loss
        Computed in float64; a loss of trials with a target.
    rule
        Learning rule. For spiking cells the true gradient is that of `BPTT()`, with the
        pseudo-derivative and without the reset.
    feedback
        Name of a feedback, of which the matrix is drawn here, or that of a training run
        with its matrix. Rules with local readouts always have "local".
    parameters
        Names of the parameters that are compared, all together.
    rng
        Draws the feedback.
    threads
        Threads over samples.

    Raises
    ------
    InvalidValue
        If the rule is not defined for the network, or needs a reward.
    UnknownName
        For another name of feedback.
    """
    check_loss(loss)
    other = in_float64(network)
    reason = reason_against(rule, other, "classification")
    if reason is not None:
        raise InvalidValue(reason)
    truth, rng = BPTT(), np.random.default_rng(rng)
    record = other.run(batch.x, record=rule.needs(other), threads=threads)

    def error_of(y: np.ndarray) -> np.ndarray:
        return loss(y, batch.target, batch.mask).error

    result = loss(record.y, batch.target, batch.mask)
    symmetric = LearningSignal(result.error, other.params.w_out.T)
    kind = feedback.kind if isinstance(feedback, Feedback) else feedback
    if rule.info.signal == "local" and kind != "local":
        feedback = "local"
    if not isinstance(feedback, Feedback):
        feedback = Feedback(feedback)
        feedback.draw(other.n_rec, other.n_out, rng, other.dtype)
    signal = LearningSignal(
        error=result.error,
        feedback=feedback.weights(other.params.w_out),
        broadcast=feedback.broadcast(result.error, result.projection, rng),
        direct=feedback.direct(record.output, other.layers, error_of),
    )
    join = Coordinates(other, parameters).join
    true = join(truth.gradients(other, record, symmetric, threads).arrays())
    mine = join(rule.gradients(other, record, signal, threads).arrays())
    return component(mine, true)


def component(mine: np.ndarray, true: np.ndarray) -> RuleComponent:
    """Return how one vector lies to another."""
    size, length = float(np.linalg.norm(true)), float(np.linalg.norm(mine))
    if size == 0:
        return RuleComponent(None, None, length, size)
    along = float(mine @ (true / size))
    rho = along / size
    cosine = along / length if length else None
    return RuleComponent(rho, cosine, float(np.linalg.norm(mine - rho * true)), size)
