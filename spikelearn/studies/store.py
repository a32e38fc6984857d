"""The files of a study.

study.json                the study, its settings, and its units in order
environment.json          versions and machine it was begun with
units/ID/result.json      of a unit that is done, with the seconds it took
units/ID/error.txt        of a unit that failed: what it was, and the traceback
table.csv, table.sqlite   the units that are done (see `tables.py`)
claims.json               what the whole table says
.lock                     held by the process that runs the study

Only that process writes, however many workers there are and wherever they run, so
workers need no shared folder and one that outlives it can do no harm. Everything is
written to a temporary name and renamed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikelearn.errors import FileAccessError, FileFormatError, SpikelearnError
from spikelearn.files import locked, read_json, write_json, write_text
from spikelearn.runs.config import validation_message
from spikelearn.runs.folder import environment
from spikelearn.studies.base import NAME, Row, Scalar, Study, plain

__all__ = ["Record", "StudyFolder", "UnitResult"]

FORMAT_VERSION = 1
_OURS = re.compile(r"\.lock|\.study\.json\..*\.tmp")
_Name = Annotated[str, Field(pattern=f"^{NAME}$")]
_Id = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]  # it becomes a path

logger = logging.getLogger("spikelearn")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class UnitResult(_Strict):
    """The content of a result.json."""

    unit: dict[_Name, Scalar]
    result: dict[_Name, Any]
    seconds: float


class Record(_Strict):
    """The content of study.json; reading a folder takes nothing else."""

    kind: str = Field("spikelearn study", pattern="^spikelearn study$")
    format_version: int = FORMAT_VERSION
    name: str
    title: str
    schema_version: int
    settings: dict[str, Any]
    units: dict[_Id, dict[_Name, Scalar]]

    @classmethod
    def of(cls, study: Study) -> Record:
        """Return what is written about a study."""
        return cls(
            name=study.name,
            title=study.title,
            schema_version=study.schema,
            settings=plain(study.settings.model_dump(mode="json")),
            units={study.unit_id(unit): unit for unit in study.units},
        )


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study, as `create` or `open` found it."""

    path: Path
    record: Record

    @classmethod
    @contextlib.contextmanager
    def create(cls, path: str | Path, study: Study) -> Iterator[StudyFolder]:
        """Make the folder of a study, or go on in it; it is locked inside the block.

        Raises
        ------
        FileAccessError
            If the folder holds something else, a study made with other settings, or
            another process runs the study. Nothing is changed then.
        FileFormatError
            If its study.json is damaged.
        """
        folder = cls(Path(path), Record.of(study))
        folder._check()  # before the lock, which would leave a file
        busy = (
            f"study folder {str(path)!r} must be free; another process runs the study "
            "in it. (Wait for it, or choose another folder with --out.)"
        )
        with locked(path, busy):
            if not folder._check():
                write_json(folder._record_path, folder.record.model_dump())
            if not (folder.path / "environment.json").exists():
                write_json(folder.path / "environment.json", environment())
            for leftover in folder.path.glob(
                "units/*/.*.tmp"
            ):  # of one that was killed
                leftover.unlink()
            yield folder

    @classmethod
    def open(cls, path: str | Path) -> StudyFolder:
        """Open the folder of a study for reading.

        Raises
        ------
        FileAccessError
            If there is no study in it.
        FileFormatError
            If its study.json is damaged.
        """
        where = Path(path) / "study.json"
        if not where.is_file():
            raise FileAccessError(
                f"study folder {str(path)!r} must hold a study.json; got none. "
                "(Make one with: spikelearn study NAME.)"
            )
        return cls(Path(path), _read_record(where))

    def result(self, unit_id: str) -> UnitResult | None:
        """Return the result of a unit, or None if it is not done.

        A file that is damaged counts as not done, which is logged.
        """
        path = self._unit(unit_id) / "result.json"
        if not path.exists():
            return None
        try:
            found = UnitResult.model_validate(read_json(path))
            if found.unit != self.record.units[unit_id]:
                raise FileFormatError("it belongs to another unit")
        except (SpikelearnError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            message = "the unit of %s counts as not done, its file is damaged: %s"
            logger.warning(message, path, reason)
            return None
        return found

    def error(self, unit_id: str) -> str | None:
        """Return what is kept of the failure of a unit, or None."""
        path = self.error_path(unit_id)
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileAccessError(
                f"file {str(path)!r} must be readable; got: {error.strerror}."
            ) from error

    def results(self) -> dict[str, UnitResult]:
        """Return the results of the units that are done, in the order of the study."""
        found = ((unit_id, self.result(unit_id)) for unit_id in self.record.units)
        return {unit_id: result for unit_id, result in found if result is not None}

    def error_path(self, unit_id: str) -> Path:
        """Where the failure of a unit is kept."""
        return self._unit(unit_id) / "error.txt"

    def write_result(
        self, unit_id: str, result: dict[str, Any], seconds: float
    ) -> None:
        """Store that a unit is done; an earlier failure is forgotten."""
        unit = self.record.units[unit_id]
        content = UnitResult(unit=unit, result=result, seconds=round(seconds, 3))
        self.error_path(unit_id).unlink(missing_ok=True)
        write_json(self._unit(unit_id) / "result.json", content.model_dump())

    def write_error(self, unit_id: str, text: str) -> None:
        """Store that a unit failed, and why."""
        unit = json.dumps(self.record.units[unit_id])
        write_text(self.error_path(unit_id), f"unit {unit_id}: {unit}\n\n{text}")

    @property
    def _record_path(self) -> Path:
        return self.path / "study.json"

    def _unit(self, unit_id: str) -> Path:
        return self.path / "units" / unit_id

    def _check(self) -> bool:
        """Return whether the study is in the folder already; else it must be empty."""
        where = f"study folder {str(self.path)!r}"
        if self._record_path.exists():
            lines = differences(_read_record(self._record_path), self.record)
            if lines:
                listed = "\n".join(f"  {line}" for line in lines)
                raise FileAccessError(
                    f"{where} must belong to this study; it was made by another "
                    f"configuration:\n{listed}\n(Choose another folder with --out, or "
                    "run with the settings of the folder. Nothing was changed.)"
                )
            return True
        if self.path.is_dir():
            names = sorted(entry.name for entry in self.path.iterdir())
            foreign = [name for name in names if not _OURS.fullmatch(name)]
            if foreign:
                raise FileAccessError(
                    f"{where} must be empty, or hold this study; it holds "
                    f"{foreign[0]!r}. (Choose another folder with --out. Nothing was "
                    "changed.)"
                )
        return False


def rows(results: dict[str, UnitResult]) -> list[Row]:
    """Return units and results as the rows of one table."""
    return [
        {"id": unit_id, **found.unit, **found.result}
        for unit_id, found in results.items()
    ]


def differences(there: Record, asked: Record) -> list[str]:
    """Return a line for each thing in which two studies differ."""
    apart = {"title", "units"}
    old = _flat(there.model_dump(exclude=apart))
    new = _flat(asked.model_dump(exclude=apart))
    lines = [
        f"{name}: {old.get(name, 'none')} in the folder, {new.get(name, 'none')} now"
        for name in old | new
        if old.get(name) != new.get(name)
    ]
    if not lines and list(there.units.items()) != list(asked.units.items()):
        n, m = len(there.units), len(asked.units)
        lines.append(f"units: {n} in the folder, {m} now, or with other values")
    return lines


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted names."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= _flat(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found


def _read_record(path: Path) -> Record:
    content = read_json(path)
    where = f"file {str(path)!r}"
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise FileFormatError(
            f"{where} has format version {version}; this spikelearn reads up to "
            f"{FORMAT_VERSION}. (Install a newer spikelearn.)"
        )
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        messages = "\n".join(map(validation_message, error.errors()))
        raise FileFormatError(f"{where} is wrong:\n{messages}") from None
