"""Learning rules: frozen hyperparameters with `info` and `gradients`."""

from spikelearn.learning.rules.base import Rule, RuleInfo
from spikelearn.learning.rules.eprop import EProp

__all__ = ["RULES", "EProp", "Rule", "RuleInfo"]

RULES: dict[str, type[Rule]] = {"e-prop": EProp}
