"""Curvature, sharpness and the components of rules at one set of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikelearn.analysis.curvature import (
    MATRICES,
    Eigenvalue,
    extreme_eigenvalues,
)
from spikelearn.analysis.rule_component import RuleComponent, rule_component
from spikelearn.analysis.sharpness import Sharpness, loss_at, sharpness
from spikelearn.errors import require
from spikelearn.learning.losses import Loss
from spikelearn.learning.rules import Rule
from spikelearn.learning.signals import Feedback
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["LEAST_SAMPLES", "CurvaturePoint", "curvature_point", "stability_bound"]

LEAST_SAMPLES = 2


@dataclass(frozen=True)
class CurvaturePoint:
    """What the loss looks like at the weights of one iteration.

    Attributes
    ----------
    iteration
        Iteration of a training.
    loss, gradient_norm
        Loss of the batch, and norm of its true gradient.
    ends
        By kind of matrix: (largest, smallest) eigenvalue.
    rules
        Components by the label of the rule.
    noise
        Sharpness under Gaussian noise; None if it was not asked for.
    bound
        Largest curvature at which the optimiser is stable (`stability_bound`); None
        where the optimiser has no such number.
    """

    iteration: int
    loss: float
    gradient_norm: float
    ends: dict[str, tuple[Eigenvalue, Eigenvalue]]
    rules: dict[str, RuleComponent]
    noise: Sharpness | None
    bound: float | None

    def bound_of(self, label: str) -> float | None:
        """Return bound / rho of a rule; None if rho <= 0 or there is no bound."""
        rho = self.rules[label].rho
        if self.bound is None or rho is None or rho <= 0:
            return None
        return self.bound / rho


def stability_bound(lr: float, momentum: float = 0.0) -> float:
    """Return the largest curvature that gradient descent with momentum can stand.

        2 (1 + momentum) / lr

    for m := momentum m + g, w := w - lr m (Polyak 1964); infinite for lr = 0.
    """
    return 2.0 * (1.0 + momentum) / lr if lr > 0 else math.inf


def curvature_point(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    *,
    kinds: Sequence[str],
    rules: Mapping[str, Rule],
    iteration: int = 0,
    feedback: str | Feedback = "symmetric",
    bound: float | None = None,
    parameters: Sequence[str] = ("w_rec",),
    l2: float = 0.0,
    sigma: float = 0.05,
    draws: int = 20,
    rng: int = 0,
    threads: int = 1,
) -> CurvaturePoint:
    """Measure one set of weights.

    Parameters
    ----------
    network, batch, loss
        As in `leading_eigenvalue`.
    kinds
        Names of `KINDS`: matrices and "weight-noise"; those of rounding are left out.
    rules
        Rules by label; at least one, for the norm of the true gradient.
    iteration, bound
        Kept in the answer.
    feedback
        As in `rule_component`.
    parameters, l2
        What is differentiated, and the strength of its decay, which is a part of the
        eigenvalues alone.
    sigma, draws
        As in `sharpness`.
    rng
        Seed of first directions, feedback and noise.
    threads
        Threads over samples.

    Raises
    ------
    InvalidValue
        If a kind is not defined for the network, there are fewer than 2 samples, or a
        rule cannot be used.
    UnknownName
        For another kind.
    """
    least, hint = f"must be >= {LEAST_SAMPLES}", "Curvature is a mean over samples."
    require(batch.size >= LEAST_SAMPLES, "samples", least, batch.size, hint)
    require(len(rules) > 0, "curvature_point.rules", "must not be empty", "none")
    ends = {
        kind: extreme_eigenvalues(
            network,
            batch,
            loss,
            kind=kind,
            l2=l2,
            parameters=parameters,
            rng=rng,
            tolerance=1e-5,
        )
        for kind in kinds
        if kind in MATRICES
    }
    components = {
        label: rule_component(
            network,
            batch,
            loss,
            rule,
            feedback,
            parameters=parameters,
            rng=rng,
            threads=threads,
        )
        for label, rule in rules.items()
    }
    noise = None
    if "weight-noise" in kinds:
        noise = sharpness(
            network,
            batch,
            loss,
            sigma=sigma,
            draws=draws,
            rng=rng,
            threads=threads,
        )
    first = next(iter(components.values()))
    return CurvaturePoint(
        iteration=iteration,
        loss=loss_at(network, batch, loss, threads=threads),
        gradient_norm=first.size,
        ends=ends,
        rules=components,
        noise=noise,
        bound=bound,
    )
