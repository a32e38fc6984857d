"""Files that are either whole or absent: atomic writes and guarded HDF5 reading."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikelearn.errors import FileAccessError, FileFormatError, SpikelearnError
from spikelearn.hdf5_heaps import check_heaps

__all__ = [
    "atomic_path",
    "ensure_folder",
    "locked",
    "open_foreign_hdf5",
    "open_hdf5",
    "read_array",
    "read_group",
    "read_json",
    "write_hdf5",
    "write_json",
    "write_text",
]

MAX_ELEMENTS = 2**26
"""Largest array that is read from a file unless the reader states another limit."""
_KINDS = {"iu": "integers", "iuf": "numbers"}
_READING_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What h5py raises where a file is corrupt."""


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
def locked(path: str | Path, busy: str) -> Iterator[None]:
    """Make a folder and keep other processes from taking it inside the block.

    The lock is on the file `.lock`, which stays, because a file that is removed or
    replaced would let a second process lock another one. It goes with the process,
    however that ends.

    Raises
    ------
    FileAccessError
        If another process has it (then the message is `busy`), or the folder cannot be
        written.
    """
    folder = ensure_folder(path)
    with open(folder / ".lock", "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileAccessError(busy) from error
        yield


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well.

    The temporary file lies beside the target, so that the final rename is atomic; on
    any error it is removed and an older `path` stays as it was.
    """
    target = Path(path)
    ensure_folder(target.parent)
    # process ids of machines and containers that share a folder may be the same
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = target.with_name(f".{target.name}.{own}.tmp")
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
    except (ValueError, RecursionError) as error:
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
    with open_foreign_hdf5(path) as file:
        _check_stamp(f"file {str(path)!r}", file, kind, version)
        yield file


@contextlib.contextmanager
def open_foreign_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open an HDF5 file of any kind for reading; the reader checks what it holds.

    Raises
    ------
    FileAccessError
        If it does not exist or cannot be read.
    FileFormatError
        If it is corrupt, of another kind, or lacks an entry that is read inside the
        block.
    """
    where = f"file {str(path)!r}"
    if not Path(path).is_file():
        raise FileAccessError(f"{where} must exist; got no such file.")
    check_heaps(path)
    try:
        file = h5py.File(path, "r")
    except _READING_ERRORS as error:
        raise FileFormatError(
            f"{where} must be an HDF5 file; it is corrupt or of another kind ({error})."
        ) from error
    try:
        with file:
            yield file
    except SpikelearnError:
        raise
    except _READING_ERRORS as error:
        raise FileFormatError(f"{where} is incomplete or corrupt: {error}.") from error


def _check_stamp(where: str, file: h5py.File, kind: str, version: int) -> None:
    found = file.attrs.get("kind")
    if not isinstance(found, str) or found != kind:
        raise FileFormatError(f"{where} must hold a {kind}; got {found!r:.60}.")
    found_version = file.attrs.get("format_version")
    if not isinstance(found_version, int | np.integer):
        raise FileFormatError(f"{where} must state its format_version.")
    if found_version > version:
        raise FileFormatError(
            f"{where} has format version {found_version}; this spikelearn reads "
            f"up to {version}. (Install a newer spikelearn.)"
        )


def read_group(where: str, parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that is stored in the file itself, not behind a link.

    Raises
    ------
    FileFormatError
        If there is none; `where` begins the message.
    """
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise FileFormatError(f"{where} must hold the group {name!r} itself.")
    group = parent[name]
    if not isinstance(group, h5py.Group):
        raise FileFormatError(f"{where} must hold {name!r} as a group.")
    return group


def read_array(
    where: str,
    group: h5py.Group,
    name: str,
    *,
    ndim: int,
    kinds: str = "iu",
    most: int = MAX_ELEMENTS,
) -> np.ndarray:
    """Read an array whose place, type and size are checked before its values.

    Parameters
    ----------
    where
        Begins the messages.
    group, name
        Where it is; the name may be a path such as "a/b".
    ndim
        Number of axes.
    kinds
        Type codes that are accepted: "iu" (integers) or "iuf" (numbers).
    most
        Largest number of values.

    Raises
    ------
    FileFormatError
        If it is missing, lies outside the file or behind a link, or has another type,
        number of axes or more values.
    """
    *groups, last = name.split("/")
    for step in groups:
        group = read_group(where, group, step)
    place = f"{where}: {group.name.rstrip('/')}/{last}"
    if not isinstance(group.get(last, getlink=True), h5py.HardLink):
        raise FileFormatError(f"{place} must be stored in the file itself.")
    data = group[last]
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
        raise FileFormatError(f"{place} must be an array in the file itself.")
    if data.dtype.kind not in kinds or data.ndim != ndim:
        raise FileFormatError(
            f"{place} must hold {_KINDS[kinds]} on {ndim} axes; got {data.dtype} of "
            f"shape {data.shape}."
        )
    largest = max(data.size, int(np.prod(data.chunks or (0,), dtype=np.float64)))
    if largest > most:
        raise FileFormatError(
            f"{place} must have at most {most} values; got {largest}."
        )
    return np.asarray(data[()])
