"""Rich or lazy: how far training moved a network, its activity and its tangent kernel.

Definitions of Liu et al. 2024 (arXiv:2310.08513) and of their released code; 1 is lazy
and small is rich for every similarity here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.analysis.jacobians import (
    Factors,
    check_steps,
    factor_bytes,
    jacobian_factors,
    kernel_rule,
)
from spikelearn.analysis.similarity import (
    centred_cka,
    centred_targets,
    hidden_states,
    learning_steps,
    ratio_of,
    representation_alignment,
    sign_similarity,
    weight_change,
)
from spikelearn.analysis.tangent_kernel import inner_products
from spikelearn.errors import require
from spikelearn.learning.rules import BPTT, EProp, Rule
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.signals import LearningSignal
from spikelearn.memory import require_fits
from spikelearn.network import RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = ["Regime", "learning_steps", "regime"]

SCRATCH = 1 << 28  # bytes of tiles, of rows that are formed, and of sweeps


@dataclass(frozen=True)
class Regime:
    """What changed between two states of a network.

    None stands where a measure has no value, as for the kernel of a silent network.

    Attributes
    ----------
    rule
        Name of the local rule.
    cell, trials, steps
        Kind of the cells, number of trials, steps whose outputs the kernels are of.
    weight_change, relative_weight_change
        |W - W_0|_F of the recurrent weights, and divided by |W_0|_F.
    sign_similarity
        Share of (step, trial, unit) at which the output, a rate or a spike, has the
        sign (1, 0 or -1) that it had. Spikes are where v is above the threshold; where
        they are rare this is near 1 by chance.
    representation_alignment, cka
        Of the hidden states at the last of the steps (`hidden_states`).
    kernel_alignment
        <K, K_0> / (|K| |K_0|) by kernel: "bptt" for J J^T, the name of the rule for its
        local Jacobian, "mixed" for J_bptt J_rule^T.
    rule_alignment
        The same between the kernels of BPTT and of the rule, "before" and "after".
    kernel_target_alignment
        y^T K y / (|y|^2 tr K) with K of BPTT and y the centred targets, "before" and
        "after".
    """

    rule: str
    cell: str
    trials: int
    steps: tuple[int, ...]
    weight_change: float
    relative_weight_change: float | None
    sign_similarity: float
    representation_alignment: float | None
    cka: float | None
    kernel_alignment: dict[str, float | None]
    rule_alignment: dict[str, float | None]
    kernel_target_alignment: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def regime(
    before: RecurrentNetwork,
    after: RecurrentNetwork,
    batch: Batch,
    *,
    rule: Rule | None = None,
    steps: Sequence[int] | None = None,
    threads: int = 1,
) -> Regime:
    """Compare two states of a network on one batch.

    Parameters
    ----------
    before, after
        Networks of the same shape, for example with the weights of the start and of the
        end of training.
    batch
        Trials of a classification or regression task.
    rule
        The rule whose local Jacobian is compared besides that of BPTT; None: e-prop. It
        gets symmetric feedback.
    steps
        Steps whose outputs the kernels are of; None: those of the learning window. The
        published measure takes the whole sequence where the loss counts at every step,
        and the last step where it counts there.
    threads
        For runs and sweeps; matrix products use those of NumPy.

    Raises
    ------
    InvalidValue
        If the networks differ in shape, the batch does not suit them or is that of a
        reward task, a step is wrong, the rule has no Jacobian or does not suit the
        network, or the kernels would not fit into memory; the number of trials that
        would is named.

    References
    ----------
    Liu et al. 2024, arXiv:2310.08513; alignment of kernels: Cristianini et al. 2001,
    Advances in Neural Information Processing Systems 14; CKA: Kornblith et al. 2019,
    arXiv:1905.00414.
    """
    shapes = [(net.n_in, net.n_rec, net.n_out) for net in (before, after)]
    rule_text = f"must have (n_in, n_rec, n_out) = {shapes[0]}"
    require(shapes[0] == shapes[1], "regime.after", rule_text, shapes[1])
    rule = kernel_rule(EProp() if rule is None else rule)
    for network in (before, after):
        rule.check(network)
    chosen = check_steps(
        learning_steps(batch) if steps is None else steps, len(batch.x)
    )
    targets = centred_targets(batch, before.n_out, chosen)
    rules: list[PathRule] = [BPTT()] if rule == BPTT() else [BPTT(), rule]
    _require_fits(before, batch, chosen, len(rules))
    states = [_State(net, batch, rules, chosen, threads) for net in (before, after)]
    alignment, between, traces = _kernels([state.factors for state in states], rule)
    moved = weight_change(before.params.w_rec, after.params.w_rec)
    records = [state.record for state in states]
    hidden = [
        hidden_states(net, record, chosen[-1])
        for net, record in zip((before, after), records, strict=True)
    ]
    target_alignment = [
        ratio_of(
            state.target_energy(targets, chosen, threads), np.sum(targets**2), trace
        )
        for state, trace in zip(states, traces, strict=True)
    ]
    return Regime(
        rule=rule.info.name,
        cell=before.cell.kind,
        trials=batch.size,
        steps=chosen,
        weight_change=moved[0],
        relative_weight_change=moved[1],
        sign_similarity=sign_similarity(*(record.output for record in records)),
        representation_alignment=representation_alignment(*hidden),
        cka=centred_cka(*hidden),
        kernel_alignment=alignment,
        rule_alignment=between,
        kernel_target_alignment=_before_after(target_alignment),
    )


class _State:
    """One network: its record, and the factors of its Jacobians, BPTT's first."""

    def __init__(
        self,
        network: RecurrentNetwork,
        batch: Batch,
        rules: Sequence[PathRule],
        steps: tuple[int, ...],
        threads: int,
    ) -> None:
        self.network = network
        needs = {name for rule in rules for name in rule.needs(network)}
        self.record = network.run(batch.x, record=needs, threads=threads)
        self.factors = [
            jacobian_factors(network, self.record, rule, steps, threads)
            for rule in rules
        ]

    def target_energy(
        self, targets: np.ndarray, steps: Sequence[int], threads: int
    ) -> float:
        """Return y^T K y = |J^T y|^2, and J^T y is the gradient with the error y."""
        network, record = self.network, self.record
        error = np.zeros((record.n_steps, *targets.shape[1:]), network.dtype)
        error[list(steps)] = targets
        signal = LearningSignal(error=error, feedback=network.params.w_out.T)
        w_rec = BPTT().gradients(network, record, signal, threads).w_rec
        return float(np.sum(np.square(w_rec, dtype=np.float64)))


def _kernels(
    states: Sequence[list[Factors]], rule: PathRule
) -> tuple[dict[str, float | None], dict[str, float | None], list[float]]:
    """Return alignments over training and of the rule, and traces of BPTT's kernels."""
    own = [(factors, factors) for state in states for factors in state]
    products, traces = inner_products(own)
    n = len(states[0])  # kernels of a state: before at [0, n), after at [n, 2 n)
    alignment = {"bptt": _aligned(products, 0, n)}
    between: list[float | None] = [1.0, 1.0]
    if n > 1:
        alignment[rule.info.name] = _aligned(products, 1, n + 1)
        between = [_aligned(products, k, k + 1) for k in (0, n)]
        mixed = [(state[0], state[1]) for state in states]
        alignment["mixed"] = _aligned(inner_products(mixed)[0], 0, 1)
    return alignment, _before_after(between), [traces[0], traces[n]]


def _aligned(products: np.ndarray, a: int, b: int) -> float | None:
    return ratio_of(products[a, b], np.sqrt(products[a, a]), np.sqrt(products[b, b]))


def _before_after(values: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(("before", "after"), values, strict=True))


def _require_fits(
    network: RecurrentNetwork, batch: Batch, steps: Sequence[int], n_rules: int
) -> None:
    n_steps = len(batch.x)
    per_trial = 2 * n_rules * factor_bytes(network, n_steps, steps)
    per_trial += 2 * network.record_bytes(n_steps, 1)
    n_bytes = SCRATCH + per_trial * batch.size
    advice = "Outputs of fewer steps take less: --steps last." if len(steps) > 1 else ""
    require_fits(n_bytes, "tangent kernels", per_trial, batch.size, "trials", advice)
