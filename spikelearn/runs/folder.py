"""The files of a run.

config.toml       resolved configuration
environment.json  versions and machine
metrics.jsonl     one line per iteration and per evaluation
checkpoint.h5     everything needed to continue, replaced atomically
result.json       final scores; a run is finished when it is there
report.html       and figures/, written by `spikelearn report`

Every file is written to a temporary name and renamed, except the metrics, which grow.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tomli_w

from spikelearn.errors import FileAccessError, FileFormatError, require
from spikelearn.files import (
    ensure_folder,
    open_hdf5,
    read_json,
    write_hdf5,
    write_json,
    write_text,
)

__all__ = ["RunFolder"]

CHECKPOINT_KIND = "spikelearn checkpoint"
CHECKPOINT_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run folder."""

    path: Path

    @classmethod
    def create(cls, path: str | Path, config: dict[str, Any]) -> RunFolder:
        """Make a new run folder with its configuration and environment.

        Raises
        ------
        FileAccessError
            If the folder cannot be written, or holds a run already.
        """
        folder = cls(Path(path))
        if folder.config_path.exists():
            raise FileAccessError(
                f"run folder {str(path)!r} must be new; it holds a run already. "
                f"(Continue it with: spikelearn resume {path})"
            )
        ensure_folder(path)
        write_json(folder.path / "environment.json", environment())
        write_text(folder.config_path, tomli_w.dumps(config))
        return folder

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

    @property
    def description_path(self) -> Path:
        """Quantised network, when it was exported into the run folder."""
        return self.path / "network.h5"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training into the folder inside the block.

        Raises
        ------
        FileAccessError
            If another process does so already.
        """
        with open(self.config_path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FileAccessError(
                    f"run folder {str(self.path)!r} must be free; another process "
                    "trains into it. (Wait for it, or choose another folder.)"
                ) from error
            yield

    def result(self) -> dict[str, Any] | None:
        """Return the final scores, or None while the run is not finished."""
        return read_json(self.result_path) if self.result_path.exists() else None

    def write_checkpoint(self, state: dict[str, np.ndarray]) -> None:
        """Replace the checkpoint."""

        def fill(file: h5py.File) -> None:
            for name, array in state.items():
                file.create_dataset(name, data=array)

        write_hdf5(self.checkpoint_path, CHECKPOINT_KIND, CHECKPOINT_VERSION, fill)

    def read_checkpoint(self) -> dict[str, np.ndarray]:
        """Return the arrays of the newest checkpoint.

        Raises
        ------
        FileAccessError, FileFormatError
            If it is not there, corrupt, or of a newer version.
        """
        state: dict[str, np.ndarray] = {}

        def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                numeric = item.dtype.kind in "iuf" and item.size < 2**31
                where = f"checkpoint entry {name!r}"
                require(numeric, where, "must be a numeric array", item.dtype)
                state[name] = item[()]

        path = self.checkpoint_path
        with open_hdf5(path, CHECKPOINT_KIND, CHECKPOINT_VERSION) as file:
            file.visititems(collect)
        return state

    def append_metrics(self, *records: dict[str, Any]) -> None:
        """Append lines to the metrics."""
        with open(self.metrics_path, "a", encoding="utf-8") as file:
            for record in records:
                file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the metrics; a last line cut by a crash is left out.

        Raises
        ------
        FileFormatError
            If another line is not JSON.
        """
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text(encoding="utf-8").splitlines()
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(json.loads(line))
            except ValueError as error:
                if number == len(lines):
                    break
                raise FileFormatError(
                    f"{str(self.metrics_path)!r} line {number} is not JSON: {error}."
                ) from error
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
