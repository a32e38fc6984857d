"""What every learning rule offers, and what its users may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from spikelearn.errors import InvalidValue
from spikelearn.kernels.traces import Traces
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["OnlineRule", "Rule", "RuleInfo", "check_cell"]


@dataclass(frozen=True)
class RuleInfo:
    """What a rule is, in the words that `spikelearn rules` prints.

    `hops` says over how many other neurons credit comes back: "none", "one" or "all".
    `local`: a synapse needs only what its two neurons know, and a learning signal.
    `online`: traces that run forward in time can compute it; `credit` says when this
    implementation does. `cells` are the kinds of cells that it is defined for, and
    `signal` is what it learns from: "error", "reward" (of a reward task) or "local"
    (the errors of local readouts, of `Feedback("local")`).
    """

    name: str
    title: str
    exact: bool
    hops: str
    local: bool
    online: bool
    credit: str
    cells: tuple[str, ...]
    kept: str
    dropped: str
    reference: str
    signal: str = "error"


class Rule(Protocol):
    """A learning rule."""

    info: ClassVar[RuleInfo]

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return the states that `RecurrentNetwork.run` has to record."""

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` if the rule is not defined for a network."""

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the rule's estimate of dE/dw for a recorded batch."""


@runtime_checkable
class OnlineRule(Rule, Protocol):
    """A learning rule that can be credited while a trial runs."""

    def start(self, network: RecurrentNetwork, n_samples: int) -> Traces:
        """Return the traces of a trial that has not begun."""

    def step(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        traces: Traces,
        threads: int = 1,
    ) -> Gradients:
        """Return the gradient of the next piece of a trial, and move the traces on."""


def check_cell(info: RuleInfo, network: RecurrentNetwork) -> None:
    """Raise `InvalidValue`, naming rules that would do, if the cell does not suit."""
    from spikelearn.learning.rules import RULES

    kind = network.cell.kind
    if kind not in info.cells:
        others = [name for name, rule in RULES.items() if kind in rule.info.cells]
        raise InvalidValue(
            f"rule {info.name!r} must be used with cells {' or '.join(info.cells)}; "
            f"got {kind}. (Rules for {kind} cells: {', '.join(others)}.)"
        )
