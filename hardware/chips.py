"""What chips can hold, each number with its source.

A value of None means that no public number was found; nothing is estimated. These are
the limits of published documents and of emulators; no statement of this module was
measured on a chip. A chip of your own is a TOML file with any of the same limits:

    title = "Test chip"

    [neurons_per_core]
    value = 256
    source = "data sheet, revision 3"

    [weight_bits]
    value = [4, 8]
    source = "data sheet, revision 3"

Whatever takes the name of a chip also takes the path of such a file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hardware._chip_table import TABLE
from hardware._chip_types import ChipSpec, Limit, kind_problem
from spikelearn.errors import FileAccessError, FileFormatError, unknown_name

__all__ = ["CHIPS", "ChipSpec", "Limit", "chip", "limits_table", "load_chip"]

CHIPS: Mapping[str, ChipSpec] = MappingProxyType({spec.name: spec for spec in TABLE})

WORDS = ("name", "title", "note")
LARGEST_FILE = 2**20


def chip(chosen: str | Path | ChipSpec) -> ChipSpec:
    """Return a chip by its name or from a TOML file.

    Parameters
    ----------
    chosen
        A name of `CHIPS`, or the path of a file (it ends in `.toml`, or there is a file
        of that name). A `ChipSpec` is returned as it is.

    Raises
    ------
    UnknownName
        If there is no such chip.
    FileAccessError, FileFormatError
        As `load_chip`.
    """
    if isinstance(chosen, ChipSpec):
        return chosen
    if str(chosen) in CHIPS:
        return CHIPS[str(chosen)]
    path = Path(chosen)
    if path.suffix == ".toml" or path.is_file():
        return load_chip(path)
    raise unknown_name("chip", str(chosen), CHIPS)


def load_chip(path: str | Path) -> ChipSpec:
    """Read a chip from a TOML file (its form is in the documentation of this module).

    Every limit may be left out, and is then unknown. The name defaults to that of the
    file.

    Raises
    ------
    FileAccessError
        If the file cannot be read.
    FileFormatError
        If it is not TOML, a key is unknown (with a suggestion), a limit has no source,
        or a value is of the wrong kind; all problems at once.
    """
    where = f"chip file {str(path)!r}"
    content = _read(path, where)
    problems: list[str] = []
    values: dict[str, Any] = {"name": Path(path).stem}
    known = [f.name for f in fields(ChipSpec)]
    for key, entry in content.items():
        if key not in known:
            problems.append(str(unknown_name("key", key, known)))
        elif key in WORDS:
            values[key] = entry
            if not isinstance(entry, str):
                problems.append(f"{key} must be a text; got {entry!r}.")
        else:
            limit, found = _limit(key, entry)
            problems += found
            values[key] = limit
    if problems:
        raise FileFormatError("\n".join(f"{where}: {problem}" for problem in problems))
    return ChipSpec(**values)


def _read(path: str | Path, where: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FileAccessError(
            f"{where} must be readable; got: {error.strerror}."
        ) from error
    if len(text) > LARGEST_FILE:
        raise FileFormatError(f"{where} must have at most {LARGEST_FILE} bytes.")
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileFormatError(f"{where} is not valid TOML: {error}.") from error


def _limit(key: str, entry: Any) -> tuple[Limit | None, list[str]]:
    """Return the limit that stands under a key, or what is wrong with it."""
    if not isinstance(entry, dict):
        return None, [
            f"{key} must be a table with value and source; got {entry!r}. (A number "
            "without a source is not accepted.)"
        ]
    parts = ("value", "source")
    unknown = [name for name in entry if name not in parts]
    problems = [str(unknown_name(f"key in [{key}]", name, parts)) for name in unknown]
    source = entry.get("source")
    if not isinstance(source, str) or not source.strip():
        problems.append(
            f"{key}.source must say where the value comes from; got {source!r}. (A "
            "number without a source is not accepted.)"
        )
    value = entry.get("value")
    value = tuple(value) if isinstance(value, list) else value
    if value is None:
        hint = "Leave the whole limit out where it is not known."
        problems.append(f"{key}.value must be given; got none. ({hint})")
    elif rule := kind_problem(key, value):
        problems.append(f"{key}.value must be {rule}; got {entry['value']!r}.")
    if problems:
        return None, problems
    return Limit(value, str(source)), []


def limits_table(chosen: str | Path | ChipSpec) -> list[tuple[str, str, str]]:
    """Return rows (limit, value, source) of one chip; unknown values read `unknown`.

    Raises
    ------
    UnknownName, FileAccessError, FileFormatError
        As `chip`.
    """
    return [
        (
            key.replace("_", " ") + (", bits" if "memory_per" in key else ""),
            str(limit),
            limit.source,
        )
        for key, limit in chip(chosen).limits().items()
    ]
