"""Tasks to learn: what goes in, what should come out, and when the loss counts."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from spikelearn.errors import unknown_name
from spikelearn.tasks.base import Batch, Task
from spikelearn.tasks.context_decision import ContextDecision
from spikelearn.tasks.cue_bandit import CueBandit
from spikelearn.tasks.delay_match_sample import DelayMatchSample
from spikelearn.tasks.delayed_copy import DelayedCopy
from spikelearn.tasks.delayed_xor import DelayedXor
from spikelearn.tasks.delayed_xor_cues import DelayedXorCues
from spikelearn.tasks.digits_rows import DigitsRows
from spikelearn.tasks.evidence_accumulation import EvidenceAccumulation
from spikelearn.tasks.handwriting import Handwriting
from spikelearn.tasks.mnist5k_rows import Mnist5kRows
from spikelearn.tasks.neurogym import NeurogymTask
from spikelearn.tasks.pattern_generation import PatternGeneration
from spikelearn.tasks.perceptual_decision import PerceptualDecision
from spikelearn.tasks.smnist_rows import SmnistRows
from spikelearn.tasks.store_recall import StoreRecall

__all__ = [
    "TASKS",
    "Batch",
    "ContextDecision",
    "CueBandit",
    "DelayMatchSample",
    "DelayedCopy",
    "DelayedXor",
    "DelayedXorCues",
    "DigitsRows",
    "EvidenceAccumulation",
    "Handwriting",
    "Mnist5kRows",
    "NeurogymTask",
    "PatternGeneration",
    "PerceptualDecision",
    "SmnistRows",
    "StoreRecall",
    "Task",
    "make",
]

TASKS: dict[str, type] = {
    task.name: task
    for task in (
        ContextDecision,
        CueBandit,
        DelayMatchSample,
        DelayedCopy,
        DelayedXor,
        DelayedXorCues,
        DigitsRows,
        EvidenceAccumulation,
        Handwriting,
        Mnist5kRows,
        NeurogymTask,
        PatternGeneration,
        PerceptualDecision,
        SmnistRows,
        StoreRecall,
    )
}


def make(name: str, /, **parameters: Any) -> Task:
    """Make a task by its name.

    Parameters
    ----------
    name
        A key of `TASKS`.
    **parameters
        Fields of the task.

    Raises
    ------
    UnknownName
        If there is no such task or the task has no such parameter.
    InvalidValue
        If a value is out of range.
    """
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    kind = TASKS[name]
    known = [field.name for field in fields(kind)]
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of {name}", parameter, known)
    task: Task = kind(**parameters)
    return task
