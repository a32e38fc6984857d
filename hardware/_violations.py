"""Broken limits, collected so that one error can name all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.errors import HardwareError

__all__ = ["Violation", "integer_array", "raise_violations", "range_violation"]


@dataclass(frozen=True)
class Violation:
    """One limit that is broken.

    Attributes
    ----------
    place
        What breaks it, for example `neurons.du`.
    limit
        The rule, for example `0..4095`.
    value
        What was found.
    remedy
        What the user can do.
    """

    place: str
    limit: str
    value: str
    remedy: str

    def __str__(self) -> str:
        """Return the standard message: where, rule, got, hint."""
        return f"{self.place} must be {self.limit}; got {self.value}. ({self.remedy})"


class _Violations(HardwareError):
    """A `HardwareError` that keeps its violations."""

    def __init__(self, message: str, violations: tuple[Violation, ...]):
        super().__init__(message)
        self.violations = violations


def raise_violations(subject: str, violations: Iterable[Violation]) -> None:
    """Raise one `HardwareError` with every violation, or return when there is none.

    The error carries the `Violation` objects in its attribute `violations`.
    """
    found = tuple(violations)
    if not found:
        return
    if len(found) == 1:
        raise _Violations(str(found[0]), found)
    lines = "\n".join(f"  - {violation}" for violation in found)
    raise _Violations(f"{subject} breaks {len(found)} limits:\n{lines}", found)


def range_violation(
    place: str, value: np.ndarray, low: int, high: int, remedy: str
) -> list[Violation]:
    """Return a violation if values lie outside `low..high`, with their extremes."""
    outside = (value < low) | (value > high)
    if not outside.any():
        return []
    first = tuple(int(i) for i in np.argwhere(outside)[0])
    shown = (
        f"{int(outside.sum())} of {value.size} outside, {int(value.min())} to "
        f"{int(value.max())}, first at index {first}"
    )
    return [Violation(place, f"{low}..{high}", shown, remedy)]


def integer_array(
    place: str, value: Any, ndim: int, low: int, high: int, dtype: type, remedy: str
) -> tuple[np.ndarray | None, list[Violation]]:
    """Return a read-only copy of an integer array, or what is wrong with it."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        limit = "an array of integers"
        return None, [Violation(place, limit, f"dtype {array.dtype}", "Round it first")]
    if array.ndim != ndim:
        limit = f"an array with {ndim} axes"
        shown = f"shape {array.shape}"
        return None, [Violation(place, limit, shown, "Reshape it")]
    problems = range_violation(place, array, low, high, remedy)
    if problems:
        return None, problems
    copy: np.ndarray = np.array(array, dtype=dtype, order="C")
    copy.flags.writeable = False
    return copy, []
