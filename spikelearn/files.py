"""Files that are either whole or absent: atomic writes and guarded HDF5 reading."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikelearn.errors import FileAccessError, FileFormatError

__all__ = [
    "atomic_path",
    "ensure_folder",
    "open_hdf5",
    "read_json",
    "write_hdf5",
    "write_json",
    "write_text",
]


def ensure_folder(path: str | Path) -> Path:
    """Create a folder (with parents) and check that it can be written to.

    Raises
    ------
    FileAccessError
        If it is a file, or cannot be created or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileAccessError(
            f"folder {str(folder)!r} must be writable; got: {error.strerror}. "
            "(Choose another folder, for example with --out.)"
        ) from error
    return folder


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well.

    The temporary file lies beside the target, so that the final rename is atomic; on
    any error it is removed and an older `path` stays as it was.
    """
    target = Path(path)
    ensure_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise FileAccessError(
            f"file {str(target)!r} must be writable; got: {error.strerror or error}. "
            "(Nothing was changed.)"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write text atomically (UTF-8)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file atomically; NumPy scalars and arrays become plain values."""
    write_text(path, json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    FileAccessError
        If it cannot be opened.
    FileFormatError
        If it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileAccessError(
            f"file {str(path)!r} must be readable; got: {error.strerror}."
        ) from error
    except ValueError as error:
        raise FileFormatError(
            f"file {str(path)!r} is not valid JSON: {error}."
        ) from error


def write_hdf5(
    path: str | Path, kind: str, version: int, fill: Callable[[h5py.File], None]
) -> None:
    """Write an HDF5 file atomically, stamped with `kind` and format `version`."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["kind"] = kind
        file.attrs["format_version"] = version
        fill(file)


@contextlib.contextmanager
def open_hdf5(path: str | Path, kind: str, version: int) -> Iterator[h5py.File]:
    """Open an HDF5 file of ours for reading.

    Raises
    ------
    FileAccessError
        If it does not exist or cannot be read.
    FileFormatError
        If it is corrupt, of another kind, lacks an entry that is read inside the
        block, or was written by a newer version.
    """
    where = f"file {str(path)!r}"
    if not Path(path).is_file():
        raise FileAccessError(f"{where} must exist; got no such file.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(
            f"{where} must be an HDF5 file; it is corrupt or of another kind ({error})."
        ) from error
    with file:
        found = file.attrs.get("kind")
        if found != kind:
            raise FileFormatError(f"{where} must hold a {kind}; got {found!r}.")
        found_version = file.attrs.get("format_version")
        if not isinstance(found_version, int | np.integer):
            raise FileFormatError(f"{where} must state its format_version.")
        if found_version > version:
            raise FileFormatError(
                f"{where} has format version {found_version}; this spikelearn reads "
                f"up to {version}. (Install a newer spikelearn.)"
            )
        try:
            yield file
        except (KeyError, OSError) as error:
            raise FileFormatError(
                f"{where} is incomplete or corrupt: {error}."
            ) from error
