"""The files of a run.

config.toml       resolved configuration
environment.json  versions and machine
metrics.jsonl     one line per iteration and per evaluation
checkpoint.h5     everything needed to continue, replaced atomically
snapshots/        weights on the way (`spikelearn.runs.snapshots`)
result.json       final scores; a run is finished when it is there
report.html       and figures/, written by `spikelearn report`
.lock             held by the process that trains

Every file is written to a temporary name and renamed, except the metrics, which grow.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import BaseModel, Field, ValidationError

from spikelearn.errors import FileAccessError, FileFormatError
from spikelearn.files import locked, read_json, write_json, write_text
from spikelearn.runs.arrays import read_arrays, write_arrays
from spikelearn.runs.config import (
    RunConfig,
    load_config,
    resolve_config,
    validation_message,
)

__all__ = ["RunFolder"]

CHECKPOINT_KIND = "spikelearn checkpoint"
CHECKPOINT_VERSION = 1


class _Scores(BaseModel):
    split: str
    samples: int = Field(ge=1)
    loss: float
    accuracy: float | None
    rate_hz: float | None


class _Result(BaseModel):
    iterations: int
    best_iteration: int
    seconds: float
    splits: dict[str, str]
    validation: _Scores
    test: _Scores


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run folder."""

    path: Path

    @classmethod
    @contextlib.contextmanager
    def create(cls, path: str | Path, config: dict[str, Any]) -> Iterator[RunFolder]:
        """Make a run folder, which is locked inside the block; see `locked`.

        Raises
        ------
        FileAccessError
            If the folder cannot be written, holds a run already, or is not free.
        """
        folder = cls(Path(path))
        with folder.locked():
            if folder.config_path.exists():
                raise FileAccessError(
                    f"run folder {str(path)!r} must be new; it holds a run already. "
                    f"(Continue it with: spikelearn resume {path})"
                )
            write_json(folder.path / "environment.json", environment())
            write_text(folder.config_path, tomli_w.dumps(config))
            yield folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open an existing run folder.

        Raises
        ------
        FileAccessError
            If there is no run in it.
        """
        folder = cls(Path(path))
        if not folder.config_path.is_file():
            raise FileAccessError(
                f"run folder {str(path)!r} must hold a config.toml; got none. "
                "(Make a run with: spikelearn train.)"
            )
        return folder

    @property
    def config_path(self) -> Path:
        """Resolved configuration."""
        return self.path / "config.toml"

    @property
    def checkpoint_path(self) -> Path:
        """Newest checkpoint."""
        return self.path / "checkpoint.h5"

    @property
    def metrics_path(self) -> Path:
        """Metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def result_path(self) -> Path:
        """Final scores."""
        return self.path / "result.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training into the folder inside the block.

        Raises
        ------
        FileAccessError
            If another process does so already, or the folder cannot be written.
        """
        busy = (
            f"run folder {str(self.path)!r} must be free; another process trains into "
            "it. (Wait for it, or choose another folder.)"
        )
        with locked(self.path, busy):
            yield

    def read_config(self) -> RunConfig:
        """Return the configuration.

        Raises
        ------
        SpikelearnError
            If it cannot be read or is wrong.
        """
        return resolve_config(load_config(self.config_path))

    def result(self) -> dict[str, Any] | None:
        """Return the final scores, or None where there are none yet.

        Raises
        ------
        FileFormatError
            If a value is missing or of another type.
        """
        if not self.result_path.exists():
            return None
        content = read_json(self.result_path)
        where = f"file {str(self.result_path)!r}"
        if not isinstance(content, dict):
            raise FileFormatError(
                f"{where} must hold a JSON object; got {content!r:.60}."
            )
        try:
            return _Result.model_validate(content, strict=True).model_dump()
        except ValidationError as error:
            messages = "\n".join(map(validation_message, error.errors()))
            raise FileFormatError(f"{where} is wrong:\n{messages}") from None

    def write_checkpoint(self, state: dict[str, np.ndarray]) -> None:
        """Replace the checkpoint."""
        write_arrays(self.checkpoint_path, CHECKPOINT_KIND, CHECKPOINT_VERSION, state)

    def read_checkpoint(self, like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return arrays of the newest checkpoint.

        Parameters
        ----------
        like
            Arrays of the type and shape that each must have, by name. No other is
            read, and none that is larger.

        Raises
        ------
        FileAccessError
            If there is no checkpoint.
        FileFormatError
            If it is corrupt or of a newer version, or an array is missing or different.
        """
        path = self.checkpoint_path
        return read_arrays(path, CHECKPOINT_KIND, CHECKPOINT_VERSION, like)

    def append_metrics(self, *records: dict[str, Any]) -> None:
        """Append lines to the metrics.

        Raises
        ------
        FileAccessError
            If the file cannot be written.
        """
        try:
            with open(self.metrics_path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
        except OSError as error:
            raise FileAccessError(
                f"file {str(self.metrics_path)!r} must be writable; got: "
                f"{error.strerror}."
            ) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the metrics; a last line cut by a crash is left out.

        Raises
        ------
        FileAccessError
            If the file cannot be read.
        FileFormatError
            If another line is not a JSON object with an iteration.
        """
        where = f"file {str(self.metrics_path)!r}"
        if not self.metrics_path.exists():
            return []
        try:
            lines = self.metrics_path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise FileAccessError(
                f"{where} must be readable; got: {error.strerror}."
            ) from error
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{where} is not UTF-8 text: {error}.") from error
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if number == len(lines):
                    break
                raise FileFormatError(
                    f"{where} line {number} is not JSON: {error}."
                ) from error
            if not isinstance(record, dict) or type(record.get("iteration")) is not int:
                raise FileFormatError(
                    f"{where} line {number} must be an object with an integer "
                    f"'iteration'; got {line:.60}"
                )
            records.append(record)
        return records

    def cut_metrics(self, iteration: int) -> None:
        """Drop what was logged after `iteration`, which a resumed run does again."""
        kept = [r for r in self.read_metrics() if r["iteration"] <= iteration]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_text(self.metrics_path, text)


def environment() -> dict[str, Any]:
    """Return versions and machine, without paths or names of people."""
    packages = ("spikelearn", "numpy", "numba", "llvmlite", "h5py", "pydantic")
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": {name: metadata.version(name) for name in packages},
    }
