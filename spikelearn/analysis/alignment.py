"""How far the gradient of a rule points along the true one, and where it does not.

With g the gradient of backpropagation through time and g_hat that of a rule,

    cosine = <g_hat, g> / (||g_hat|| ||g||),   rho = <g_hat, g> / ||g||^2

rho is the part of g that g_hat = rho g + e keeps (e orthogonal to g), which scales the
step that a rule takes downhill (Liu et al. 2022, arXiv:2206.00823).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from spikelearn.analysis.definitions import define, obstacle
from spikelearn.errors import InvalidValue, require, unknown_name
from spikelearn.learning.losses import Loss, LossResult
from spikelearn.learning.rules import BPTT, RFLO, Rule
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.signals import Feedback, LearningSignal
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.tasks import Batch

__all__ = [
    "FEEDBACK_CHOICES",
    "RECURRENT_SIDE",
    "Agreement",
    "Alignment",
    "LagAgreement",
    "align",
    "lag_bins",
    "reason_against",
    "rule_label",
]

PARAMETERS = ("w_in", "w_rec", "w_out", "bias")
RECURRENT_SIDE = ("w_in", "w_rec", "bias")
FEEDBACK_CHOICES = {
    "symmetric": "w_out^T for every rule, so that only the paths differ",
    "random": "one fixed random matrix of the default scale, not for the truth",
    "own": "what a rule was published with: random for rflo, symmetric for the rest",
}
FEEDBACK_STREAM, ACTION_STREAM = 0xFEED, 0xAC7


@dataclass(frozen=True)
class Agreement:
    """Cosine and rho; None where a gradient is 0 and they have no value."""

    cosine: float | None
    rho: float | None


@dataclass(frozen=True)
class LagAgreement(Agreement):
    """Agreement of the part of w_rec's gradient that acted `first` to `last` steps ago.

    The lag of a contribution is the number of steps from when a presynaptic output
    arrived to the error that it is credited for.
    """

    first: int
    last: int


@dataclass(frozen=True)
class Alignment(Agreement):
    """How one rule agrees with the true gradient in one network.

    Attributes
    ----------
    cosine, rho
        Over the parameters `over` together.
    rule, cell
        Name of the rule, kind of the cell.
    label
        Name of the rule with the options that are not its defaults.
    options
        Parameters of the rule.
    feedback
        What carried the error: a name of `FEEDBACKS`.
    over
        Names of the parameters that cosine and rho are over.
    parameters
        By name: w_in, w_rec, w_out, bias.
    lags
        Bins of lags; empty for rules that have no credit per step.
    error_to_definition
        max over parameters of max |g_hat - definition| / max |definition|, where the
        definition is evaluated by `analysis.definitions`; None with `note`.
    note
        Why there is no error_to_definition.
    kept, dropped, reference
        Of `RuleInfo`.
    """

    rule: str
    cell: str
    label: str
    options: dict[str, Any]
    feedback: str
    over: tuple[str, ...]
    parameters: dict[str, Agreement]
    lags: tuple[LagAgreement, ...]
    error_to_definition: float | None
    note: str
    kept: str
    dropped: str
    reference: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `first` and `last` of lags as from and to."""
        values = dataclasses.asdict(self)
        for lag in values["lags"]:
            lag["from"], lag["to"] = lag.pop("first"), lag.pop("last")
        head = ("rule", "cell", "cosine", "rho", "error_to_definition")
        return {name: values.pop(name) for name in head} | values


def reason_against(rule: Rule, network: RecurrentNetwork, kind: str) -> str | None:
    """Return why a rule cannot be used in a network on a kind of task, or None."""
    try:
        rule.check(network)
    except InvalidValue as error:
        return str(error)
    if rule.info.signal == "local" and kind == "reward":
        return (
            f"rule {rule.info.name!r} must have a target; got a reward task. (Local "
            "readouts would be told the rewards of actions that were not taken.)"
        )
    if rule.info.signal == "reward" and kind != "reward":
        return (
            f"rule {rule.info.name!r} must have a reward; got a {kind} task. (Use a "
            "task of kind reward, or s-tllr, the spike-timing rule that learns from "
            "errors.)"
        )
    return None


def align(
    network: RecurrentNetwork,
    batch: Batch,
    loss: Loss,
    rules: Sequence[Rule],
    *,
    feedback: str = "symmetric",
    truth: Rule | None = None,
    over: Sequence[str] = RECURRENT_SIDE,
    error_steps: int = 4,
    definition_samples: int = 2,
    seed: int = 0,
    threads: int = 1,
) -> list[Alignment]:
    """Compare the gradients of rules with the true one on one batch.

    Parameters
    ----------
    network
        Best in float64; otherwise error_to_definition shows the rounding of float32.
    batch, loss
        Trials, and the loss whose gradient is wanted.
    feedback
        A name of `FEEDBACK_CHOICES`. DECOLLE always has its local readouts.
    truth
        What counts as the true gradient, with symmetric feedback: BPTT() unless given.
        For spiking cells that is the gradient with the pseudo-derivative, which by
        BPTT's default stops at the reset; BPTT(reset=True) follows it.
    over
        Parameters of the overall cosine and rho. Rules differ in w_in, w_rec and bias;
        the gradient of the readout is exact in all of them.
    error_steps
        Steps of the learning window whose error is followed back for the lags, spread
        evenly and with the last one; their inner products are added up.
    definition_samples
        The first samples of the batch, on which definitions are evaluated; 0: on none.
    seed
        Of random feedback and, in a reward task, of the actions.

    Returns
    -------
    list of Alignment
        One per rule, in order.

    Raises
    ------
    InvalidValue
        If a rule is not defined for the network, or needs a reward and there is none.
    UnknownName
        For another name of feedback.
    """
    if feedback not in FEEDBACK_CHOICES:
        raise unknown_name("feedback of align", feedback, FEEDBACK_CHOICES)
    known = bool(over) and set(over) <= set(PARAMETERS)
    require(known, "align.over", f"must be names from {PARAMETERS}", tuple(over))
    require(error_steps >= 1, "align.error_steps", "must be >= 1", error_steps)
    true_rule = BPTT() if truth is None else truth
    needs = {name for rule in (true_rule, *rules) for name in rule.needs(network)}
    record = network.run(batch.x, record=needs, threads=threads)
    trial = _Trial(network, batch, record, loss, seed, threads)
    true_signal = trial.signal("symmetric")
    true = true_rule.gradients(network, record, true_signal, threads).arrays()
    steps = trial.error_steps(error_steps)
    bins = lag_bins(max(steps, default=0))
    true_lags = trial.lag_gradients(true_rule, true_signal, steps, bins)
    found = []
    for rule in rules:
        kind = _feedback_of(rule, feedback)
        signal = trial.signal(kind)
        mine = rule.gradients(network, record, signal, threads).arrays()
        my_lags = trial.lag_gradients(rule, signal, steps, bins)
        by_lag = zip(bins, my_lags, true_lags, strict=False)  # empty without credit
        error, note = trial.error_to_definition(rule, signal, definition_samples)
        together = (_joined(arrays, over) for arrays in (mine, true))
        alignment = Alignment(
            *_measures(*together),
            rule=rule.info.name,
            cell=network.cell.kind,
            label=rule_label(rule),
            options=dict(vars(rule)),
            feedback=kind,
            over=tuple(over),
            parameters={k: Agreement(*_measures(mine[k], true[k])) for k in PARAMETERS},
            lags=tuple(LagAgreement(*_measures(a, b), *bin) for bin, a, b in by_lag),
            error_to_definition=error,
            note=note,
            kept=rule.info.kept,
            dropped=rule.info.dropped,
            reference=rule.info.reference,
        )
        found.append(alignment)
    return found


def lag_bins(longest: int) -> list[tuple[int, int]]:
    """Return bins of lags (first, last): 0, 1, 2-3, 4-7, ... as far as `longest`."""
    bins = [(0, 0)]
    while bins[-1][1] < longest:
        first = bins[-1][1] + 1
        bins.append((first, min(2 * first - 1, longest)))
    return bins


def _feedback_of(rule: Rule, choice: str) -> str:
    """Return the name of the feedback that a rule gets."""
    if rule.info.signal == "local":
        return "local"
    if choice == "own":
        return "random" if isinstance(rule, RFLO) else "symmetric"
    return choice


def rule_label(rule: Rule) -> str:
    """Return the name of a rule with the options that are not its defaults."""
    changed = [
        f"{field.name}={getattr(rule, field.name)}"
        for field in dataclasses.fields(cast(Any, rule))
        if getattr(rule, field.name) != field.default
    ]
    return ":".join([rule.info.name, *changed])


def _joined(arrays: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    return np.concatenate([arrays[name].ravel() for name in names])


def _measures(mine: np.ndarray, true: np.ndarray) -> tuple[float | None, float | None]:
    """Return cosine and rho; None where they have no finite value."""
    a, b = (array.astype(np.float64).ravel() for array in (mine, true))
    size, true_size = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not (np.isfinite(size) and np.isfinite(true_size)) or true_size == 0:
        return None, None
    if size == 0:
        return None, 0.0
    cosine = float((a / size) @ (b / true_size))
    return cosine, cosine * (size / true_size)


class _Trial:
    """A recorded batch, and the learning signals that it gives."""

    def __init__(
        self,
        network: RecurrentNetwork,
        batch: Batch,
        record: Record,
        loss: Loss,
        seed: int,
        threads: int,
    ) -> None:
        self.network, self.batch, self.record = network, batch, record
        self.loss, self.seed, self.threads = loss, seed, threads
        self.result = self._result(record.y)

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream]))

    def _result(self, y: np.ndarray) -> LossResult:
        batch, rng = self.batch, self._rng(ACTION_STREAM)
        return self.loss(y, batch.target, batch.mask, rng=rng)

    def signal(self, kind: str) -> LearningSignal:
        """Return the learning signal of one kind of feedback."""
        network, result = self.network, self.result
        feedback = Feedback(kind)
        rng = self._rng(FEEDBACK_STREAM)
        feedback.draw(network.n_rec, network.n_out, rng, network.dtype)
        return LearningSignal(
            error=result.error,
            feedback=feedback.weights(network.params.w_out),
            broadcast=feedback.broadcast(result.error, result.projection, rng),
            direct=feedback.direct(
                self.record.output, network.layers, lambda y: self._result(y).error
            ),
            reward=result.reward,
        )

    def error_steps(self, most: int) -> list[int]:
        """Return up to `most` steps with an error, spread evenly, with the last one."""
        active = np.flatnonzero(self.result.error.any(axis=(1, 2)))
        if not active.size:
            return []
        last = len(active) * np.arange(1, most + 1) // most - 1
        return [int(t) for t in np.unique(active[np.maximum(last, 0)])]

    def lag_gradients(
        self,
        rule: Rule,
        signal: LearningSignal,
        steps: list[int],
        bins: list[tuple[int, int]],
    ) -> np.ndarray:
        """Return the gradient of w_rec by lag, (bins, steps, N, N).

            dW_ij(lag) = sum_b dE[s]/di_i[s - lag] r_j[s - lag - d_ij]

        with the error of step s alone. No bins for a rule without credit per step.
        """
        network, n = self.network, self.network.n_rec
        if not isinstance(rule, PathRule):
            return np.empty((0, len(steps), n, n))
        gradients = np.zeros((len(bins), len(steps), n, n))
        for k, step in enumerate(steps):
            alone = _at_step(signal, step)
            credit = rule.credit(network, self.record, alone, self.threads)
            for i, (first, last) in enumerate(bins):
                span = range(max(step - last, 0), step - first + 1)
                gradients[i, k] = self._weight_gradient(credit, span)
        return gradients

    def _weight_gradient(self, credit: np.ndarray, span: range) -> np.ndarray:
        """Return sum_(t in span, b) credit_i[t] r_j[t - d_ij], (N, N)."""
        network, n = self.network, self.network.n_rec
        total = np.zeros((n, n))
        for d in np.unique(network.delay):
            times = np.arange(max(span.start, d), span.stop)
            post = credit[times].reshape(-1, n)
            pre = self.record.output[times - d].reshape(-1, n)
            total += np.where(network.delay == d, post.T @ pre, 0.0)
        return total * network.masks["w_rec"]

    def error_to_definition(
        self, rule: Rule, signal: LearningSignal, samples: int
    ) -> tuple[float | None, str]:
        """Return the largest relative error on the first samples, or why not."""
        network, x = self.network, self.batch.x[:, :samples]
        if not samples:
            return None, "not asked for"
        problem = obstacle(rule, network, self.record.n_steps)
        if problem is not None:
            return None, problem
        record = network.run(x, record=rule.needs(network))
        few = LearningSignal(
            error=signal.error[:, :samples],
            feedback=signal.feedback,
            broadcast=_first(signal.broadcast, samples),
            direct=_first(signal.direct, samples),
            reward=_first(signal.reward, samples),
        )
        mine = rule.gradients(network, record, few).arrays()
        defined = define(rule, network, x, record, few).arrays()
        errors = []
        for name, expected in defined.items():
            scale = np.abs(expected).max() or 1.0
            errors.append(float(np.abs(mine[name] - expected).max() / scale))
        if not np.isfinite(errors).all():
            return None, "the gradient is not finite"
        return max(errors), ""


def _first(array: np.ndarray | None, samples: int) -> np.ndarray | None:
    return None if array is None else array[:, :samples]


def _at_step(signal: LearningSignal, step: int) -> LearningSignal:
    """Return the signal with the errors of one step alone."""

    def alone(array: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(array)
        kept[step] = array[step]
        return kept

    broadcast, direct = signal.broadcast, signal.direct
    return dataclasses.replace(
        signal,
        error=alone(signal.error),
        broadcast=None if broadcast is None else alone(broadcast),
        direct=None if direct is None else alone(direct),
    )
