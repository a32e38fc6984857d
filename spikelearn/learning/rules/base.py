"""What every learning rule offers, and what its users may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from spikelearn.errors import InvalidValue
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["Rule", "RuleInfo", "check_cell"]


@dataclass(frozen=True)
class RuleInfo:
    """What a rule is, in the words that `spikelearn rules` prints.

    `local`: a synapse needs only what its two neurons know, and a learning signal.
    `online`: traces that run forward in time can compute it; `credit` says when this
    implementation does. `cells` are the kinds of cells that it is defined for.
    """

    name: str
    title: str
    exact: bool
    local: bool
    online: bool
    credit: str
    cells: tuple[str, ...]
    kept: str
    dropped: str
    reference: str


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


def check_cell(info: RuleInfo, network: RecurrentNetwork) -> None:
    """Raise `InvalidValue`, naming rules that would do, for a cell that does not suit.
    """
    from spikelearn.learning.rules import RULES

    kind = network.cell.kind
    if kind not in info.cells:
        others = [name for name, rule in RULES.items() if kind in rule.info.cells]
        raise InvalidValue(
            f"rule {info.name!r} must be used with cells {' or '.join(info.cells)}; got "
            f"{kind}. (Rules for {kind} cells: {', '.join(others)}.)"
        )
