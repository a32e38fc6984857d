"""One unit, as a worker runs it: plain data in, plain data out, and no files."""

from __future__ import annotations

import importlib
import time
import traceback
from typing import Any, NamedTuple

from spikelearn.errors import require
from spikelearn.studies.base import Unit, check_name, plain

__all__ = ["Outcome", "perform"]


class Outcome(NamedTuple):
    """What became of a unit: its results, or else the traceback."""

    result: dict[str, Any] | None
    error: str | None
    seconds: float


def perform(reference: str, unit: Unit) -> Outcome:
    """Run a unit; what it raises is returned.

    Parameters
    ----------
    reference
        Function of the study, as "module:name"; it is imported here.
    unit
        What the function receives.
    """
    started = time.perf_counter()
    result = error = None
    try:
        module, _, name = reference.partition(":")
        run = getattr(importlib.import_module(module), name)
        result = _checked(run(dict(unit)), unit)
    except (Exception, SystemExit):
        error = traceback.format_exc()
    return Outcome(result, error, time.perf_counter() - started)


def _checked(result: Any, unit: Unit) -> dict[str, Any]:
    kind = type(result).__name__
    require(isinstance(result, dict), "result", "must be a dictionary", kind)
    for name in result:
        check_name("result name", name)
        require(name not in unit, "result name", "must not be that of the unit", name)
    return plain(result)
