"""Learning rules: frozen hyperparameters with `info` and `gradients`."""

from spikelearn.learning.rules.base import OnlineRule, Rule, RuleInfo
from spikelearn.learning.rules.bptt import BPTT
from spikelearn.learning.rules.decolle import DECOLLE
from spikelearn.learning.rules.eprop import EProp
from spikelearn.learning.rules.mdgl import MDGL
from spikelearn.learning.rules.modprop import ModProp
from spikelearn.learning.rules.rflo import RFLO
from spikelearn.learning.rules.rstdp import RSTDP
from spikelearn.learning.rules.rtrl import RTRL
from spikelearn.learning.rules.snap1 import SnAp1
from spikelearn.learning.rules.stllr import STLLR

__all__ = [
    "BPTT",
    "DECOLLE",
    "MDGL",
    "RFLO",
    "RSTDP",
    "RTRL",
    "RULES",
    "STLLR",
    "EProp",
    "ModProp",
    "OnlineRule",
    "Rule",
    "RuleInfo",
    "SnAp1",
]

RULES: dict[str, type[Rule]] = {
    rule.info.name: rule
    for rule in (
        BPTT,
        RTRL,
        EProp,
        RFLO,
        SnAp1,
        MDGL,
        ModProp,
        DECOLLE,
        STLLR,
        RSTDP,
    )
}
