"""Train spiking recurrent networks with local plasticity on a CPU.

The public names are those of `__all__`; everything else may change without notice.
The companion package `hardware` turns trained networks into integers.
"""

from importlib.metadata import version

from spikelearn.citations import cite
from spikelearn.errors import SpikelearnError
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.homeostasis import FiringRate
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
from spikelearn.runs import (
    Run,
    RunConfig,
    evaluate,
    load_run,
    resolve_config,
    resume,
    train,
)
from spikelearn.tasks import TASKS, Batch, Task
from spikelearn.tasks import make as make_task

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
    "Classification",
    "CubaLIF",
    "DeltaLIF",
    "EProp",
    "Explicit",
    "Feedback",
    "FiringRate",
    "FixedIndegree",
    "Gradients",
    "LeakyRate",
    "LeakyReadout",
    "LearningSignal",
    "ModProp",
    "Oja",
    "OnlineRule",
    "Params",
    "PoissonDrive",
    "Population",
    "Projection",
    "Record",
    "RecurrentNetwork",
    "Regression",
    "Rule",
    "RuleInfo",
    "Run",
    "RunConfig",
    "SnAp1",
    "SparseNetwork",
    "SpikelearnError",
    "Spikes",
    "Surrogate",
    "Task",
    "Trainer",
    "WeightDecay",
    "cite",
    "evaluate",
    "load_run",
    "make_task",
    "resolve_config",
    "resume",
    "train",
]

__version__ = version("spikelearn")
