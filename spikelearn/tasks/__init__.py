"""Tasks to learn: what goes in, what should come out, and when the loss counts."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from spikelearn.errors import unknown_name
from spikelearn.tasks.base import Batch, Task
from spikelearn.tasks.digits_rows import DigitsRows
from spikelearn.tasks.evidence_accumulation import EvidenceAccumulation
from spikelearn.tasks.mnist5k_rows import Mnist5kRows
from spikelearn.tasks.pattern_generation import PatternGeneration

__all__ = [
    "TASKS",
    "Batch",
    "DigitsRows",
    "EvidenceAccumulation",
    "Mnist5kRows",
    "PatternGeneration",
    "Task",
    "make",
]

TASKS: dict[str, type] = {
    task.name: task
    for task in (DigitsRows, EvidenceAccumulation, Mnist5kRows, PatternGeneration)
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
