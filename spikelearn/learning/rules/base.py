"""What every learning rule offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from spikelearn.learning.gradients import Gradients
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["Rule", "RuleInfo"]


@dataclass(frozen=True)
class RuleInfo:
    """What a rule is, in the words that `spikelearn rules` prints.

    `local`: a synapse needs only what its two neurons know, and a learning signal.
    `online`: traces that run forward in time can compute it; whether this
    implementation does so while a trial runs is said by `credit`.
    """

    name: str
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

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the rule's estimate of dE/dw for a recorded batch."""
