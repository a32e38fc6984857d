"""Train spiking recurrent networks with local plasticity on a CPU.

The public names are those of `__all__`; everything else may change without notice.
The companion package `hardware` turns trained networks into integers.

A name is imported when it is first used, because Numba alone takes most of the time
that importing spikelearn may take, and configurations and files need as much again.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read; a test compares it with _HOMES
    from spikelearn import connectivity
    from spikelearn.analysis.curvature import extreme_eigenvalues, leading_eigenvalue
    from spikelearn.analysis.generalisation import generalisation
    from spikelearn.analysis.lyapunov import LyapunovSpectrum, lyapunov_spectrum
    from spikelearn.analysis.regime import Regime, regime
    from spikelearn.analysis.rule_component import rule_component
    from spikelearn.analysis.sharpness import sharpness
    from spikelearn.analysis.tangent_kernel import tangent_kernel
    from spikelearn.analysis.twins import lyapunov_kinds
    from spikelearn.citations import cite
    from spikelearn.errors import SpikelearnError
    from spikelearn.learning.flossing import Flossing
    from spikelearn.learning.gradients import Gradients
    from spikelearn.learning.homeostasis import FiringRate, IntrinsicPlasticity
    from spikelearn.learning.losses import Classification, Regression
    from spikelearn.learning.oja import Oja, WeightDecay
    from spikelearn.learning.optimizers import SGD, Adam
    from spikelearn.learning.reward import ActorCritic
    from spikelearn.learning.rules import (
        BPTT,
        DECOLLE,
        MDGL,
        RFLO,
        RSTDP,
        RTRL,
        RULES,
        STLLR,
        EProp,
        ModProp,
        OnlineRule,
        Rule,
        RuleInfo,
        SnAp1,
    )
    from spikelearn.learning.signals import Feedback, LearningSignal
    from spikelearn.learning.trainer import Trainer
    from spikelearn.network import (
        ALIF,
        CELLS,
        LIF,
        Bernoulli,
        CubaLIF,
        DeltaLIF,
        Explicit,
        FixedIndegree,
        LeakyRate,
        LeakyReadout,
        Params,
        PoissonDrive,
        Population,
        Projection,
        Record,
        RecurrentNetwork,
        SparseNetwork,
        Spikes,
        Surrogate,
    )
    from spikelearn.network.tangent import Jacobian
    from spikelearn.runs import (
        Run,
        RunConfig,
        evaluate,
        load_run,
        resolve_config,
        resume,
        train,
    )
    from spikelearn.studies import Claim, Study, run_study
    from spikelearn.tasks import TASKS, Batch, Task
    from spikelearn.tasks import make as make_task
    from spikelearn.warmup import warm_up

    __version__: str

__all__ = [
    "ALIF",
    "BPTT",
    "CELLS",
    "DECOLLE",
    "LIF",
    "MDGL",
    "RFLO",
    "RSTDP",
    "RTRL",
    "RULES",
    "SGD",
    "STLLR",
    "TASKS",
    "ActorCritic",
    "Adam",
    "Batch",
    "Bernoulli",
    "Claim",
    "Classification",
    "CubaLIF",
    "DeltaLIF",
    "EProp",
    "Explicit",
    "Feedback",
    "FiringRate",
    "FixedIndegree",
    "Flossing",
    "Gradients",
    "IntrinsicPlasticity",
    "Jacobian",
    "LeakyRate",
    "LeakyReadout",
    "LearningSignal",
    "LyapunovSpectrum",
    "ModProp",
    "Oja",
    "OnlineRule",
    "Params",
    "PoissonDrive",
    "Population",
    "Projection",
    "Record",
    "RecurrentNetwork",
    "Regime",
    "Regression",
    "Rule",
    "RuleInfo",
    "Run",
    "RunConfig",
    "SnAp1",
    "SparseNetwork",
    "SpikelearnError",
    "Spikes",
    "Study",
    "Surrogate",
    "Task",
    "Trainer",
    "WeightDecay",
    "cite",
    "connectivity",
    "evaluate",
    "extreme_eigenvalues",
    "generalisation",
    "leading_eigenvalue",
    "load_run",
    "lyapunov_kinds",
    "lyapunov_spectrum",
    "make_task",
    "regime",
    "resolve_config",
    "resume",
    "rule_component",
    "run_study",
    "sharpness",
    "tangent_kernel",
    "train",
    "warm_up",
]

_HOMES = {
    "analysis.curvature": "extreme_eigenvalues leading_eigenvalue",
    "analysis.generalisation": "generalisation",
    "analysis.lyapunov": "LyapunovSpectrum lyapunov_spectrum",
    "analysis.regime": "Regime regime",
    "analysis.rule_component": "rule_component",
    "analysis.sharpness": "sharpness",
    "analysis.tangent_kernel": "tangent_kernel",
    "analysis.twins": "lyapunov_kinds",
    "citations": "cite",
    "errors": "SpikelearnError",
    "learning.flossing": "Flossing",
    "learning.gradients": "Gradients",
    "learning.homeostasis": "FiringRate IntrinsicPlasticity",
    "learning.losses": "Classification Regression",
    "learning.oja": "Oja WeightDecay",
    "learning.optimizers": "SGD Adam",
    "learning.reward": "ActorCritic",
    "learning.rules": "BPTT DECOLLE MDGL RFLO RSTDP RTRL RULES "
    "STLLR EProp ModProp OnlineRule Rule RuleInfo SnAp1",
    "learning.signals": "Feedback LearningSignal",
    "learning.trainer": "Trainer",
    "network": "ALIF CELLS LIF Bernoulli CubaLIF DeltaLIF Explicit FixedIndegree "
    "LeakyRate LeakyReadout Params PoissonDrive Population Projection Record "
    "RecurrentNetwork SparseNetwork Spikes Surrogate",
    "network.tangent": "Jacobian",
    "runs": "Run RunConfig evaluate load_run resolve_config resume train",
    "studies": "Claim Study run_study",
    "tasks": "TASKS Batch Task make_task",
    "warmup": "warm_up",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}
_HOME["connectivity"] = "connectivity"  # a module of many names, public as a whole
_NAMES_AT_HOME = {"make_task": "make"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version(__name__)
    elif name in _HOME:
        module = importlib.import_module(f"{__name__}.{_HOME[name]}")
        value = module
        if name != _HOME[name]:
            value = getattr(module, _NAMES_AT_HOME.get(name, name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
