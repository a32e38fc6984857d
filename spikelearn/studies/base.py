"""What a study is: a grid of independent units, and claims about their results."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from pydantic import BaseModel

from spikelearn.errors import require

__all__ = ["Claim", "Row", "Study", "StudyFactory", "Unit", "Verdict", "grid", "plain"]

Scalar = str | int | float | bool | None
Unit = dict[str, Scalar]
Row = dict[str, Any]
Verdict = Literal["reproduced", "not reproduced", "depends"]

NAME = "[a-z][a-z0-9_]*"
_NAME_RULE = "must be a lower-case name such as loss_end, and not id"


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, and what the study found.

    Parameters
    ----------
    id
        Short name.
    statement
        The claim in words.
    verdict
        "reproduced", "not reproduced", or "depends" where parts of it differ.
    effect, ci_low, ci_high
        Size of the effect and its confidence interval; None if there is none.
    n
        How many independent repetitions (seeds) it rests on.
    test
        The statistical test in words.
    detail
        What else is worth keeping, such as verdicts of parts.
    """

    id: str
    statement: str
    verdict: Verdict
    effect: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    test: str
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        verdicts = get_args(Verdict)
        rule = f"must be one of {verdicts}"
        require(self.verdict in verdicts, "Claim.verdict", rule, self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; numbers that are not finite become None."""
        return plain(dataclasses.asdict(self))


@dataclass(frozen=True)
class Study:
    """A grid of units that can run anywhere, in any order, and be run again.

    Parameters
    ----------
    name
        As on the command line.
    title
        One line for people.
    schema
        Version of what the results mean. Raise it whenever the same unit would give
        other numbers, so that an old folder is not continued.
    settings
        Everything that defines the study: sizes, seeds, quick or not.
    units
        For each unit the values that `run` needs, all of them, "seed" among them. The
        table has a column for each, and rows in this order.
    run
        Function at the top of a module: unit -> results by name. Numbers, texts and
        lists; those that are not finite are stored as None. It has to give the same
        results each time; all randomness comes from unit["seed"].
    claims
        Rows of the whole table (unit and results merged) -> claims.

    Raises
    ------
    InvalidValue
        If a unit is not flat, has no seed or is there twice, or workers could not
        import `run`.
    """

    name: str
    title: str
    schema: int
    settings: BaseModel
    units: Sequence[Unit]
    run: Callable[[Unit], dict[str, Any]]
    claims: Callable[[list[Row]], list[Claim]]

    def __post_init__(self) -> None:
        require(self.units, f"study {self.name!r}", "must have units", "none")
        for unit in self.units:
            _check_unit(f"study {self.name!r}: unit", unit)
        distinct = len({self.unit_id(unit) for unit in self.units})
        rule = f"must be distinct ({len(self.units)})"
        same = distinct == len(self.units)
        require(same, f"units of study {self.name!r}", rule, f"{distinct} distinct")
        module = sys.modules.get(self.run.__module__)
        found = getattr(module, self.run.__qualname__, None)
        rule = "must be a function at the top of a module"
        hint = "Worker processes import it by its name."
        name = self.run.__qualname__
        require(found is self.run, f"study {self.name!r}: run", rule, name, hint)

    @property
    def reference(self) -> str:
        """Where workers find `run`, as "module:name"."""
        return f"{self.run.__module__}:{self.run.__qualname__}"

    def unit_id(self, unit: Unit) -> str:
        """Return 16 hexadecimal digits of the hash of study, schema and unit."""
        return digest([self.name, self.schema, unit])[:16]


class StudyFactory(Protocol):
    """Makes a study; the first line of its docstring is shown in `study --help`."""

    def __call__(self, *, quick: bool, seeds: int | None) -> Study:
        """Return the study: a quick one, or with another number of seeds, if asked."""


def grid(**axes: Iterable[Any]) -> list[Unit]:
    """Return a unit for every combination of values; the last axis runs fastest.

    >>> grid(gain=[0.5, 1.0], seed=range(2))[1]
    {'gain': 0.5, 'seed': 1}
    """
    combinations = itertools.product(*axes.values())
    return [plain(dict(zip(axes, values, strict=True))) for values in combinations]


def digest(value: Any) -> str:
    """Return the SHA-256 of plain values as canonical JSON, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(where: str, name: Any) -> None:
    """Require that a name can be that of a column, in any database."""
    good = isinstance(name, str) and re.fullmatch(NAME, name) and name != "id"
    require(good, where, _NAME_RULE, repr(name))


def plain(value: Any) -> Any:
    """Return what JSON can hold: arrays become lists, what is not finite None.

    Raises
    ------
    InvalidValue
        If there is something else in it.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    known = value is None or isinstance(value, str | int)
    rule = "must consist of numbers, texts, lists and dictionaries"
    require(known, "result", rule, type(value).__name__)
    return value


def _check_unit(where: str, unit: Unit) -> None:
    for name, value in unit.items():
        check_name(f"{where} key", name)
        scalar = value is None or isinstance(value, str | int | float)
        finite = not isinstance(value, float) or math.isfinite(value)
        rule = "must be a text, a finite number, true, false or None"
        require(scalar and finite, f"{where} {name}", rule, repr(value))
    seed = unit.get("seed")
    require(type(seed) is int, where, 'must have a "seed" that is an integer', unit)
