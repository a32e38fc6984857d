"""Where compiled kernels are kept: files that many processes and machines may share.

Numba's own cache has an index per function that every process reads, changes and writes
back. Processes that start cold at the same time, or nodes that share a home folder,
lose each other's entries, and two signatures can end up under one name: the index of
the one points to the code of the other. (numba#7952 and numba#10128 are kin of this;
numba#10434 is the crash that a truncated file causes.)

Here every signature of every kernel has a file of its own, named by what it was
compiled from and for. There is no index, hence nothing to lose; a file appears whole
(written aside, then renamed) and is believed only if its checksum holds. Writers that
race write the same code twice, and either copy will do, so that no lock is needed:
locks are what network file systems are worst at. Whatever cannot be read is compiled
again, and whatever cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import hashlib
import inspect
import logging
import os
import pickle
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

__all__ = ["SUFFIX", "KernelCache", "cache_root", "kernel_counts", "on_network"]

SUFFIX = ".kernel"
FORGOTTEN_DAYS = 60  # folders of kernels that nobody has used for so long are removed

logger = logging.getLogger("spikelearn")

_counts = {"loaded": 0, "compiled": 0}

NETWORK_SYSTEMS = {
    "9p", "afs", "afp", "beegfs", "ceph", "cifs", "fhgfs", "glusterfs",
    "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "pvfs2", "smb2",
    "smb3", "smbfs", "wekafs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs",
    "fuse.sshfs",
}  # fmt: skip


def cache_root() -> Path:
    """Return the folder of compiled kernels.

    It is `SPIKELEARN_CACHE_DIR`, else `spikelearn` in the user's cache folder, else (if
    that is on a network file system or cannot be written) a folder of the user in the
    temporary folder of this machine. Sharing a folder over a network is safe too, so a
    cluster that would rather compile once than once per node may choose one; by default
    thousands of jobs do not lean on one file server.
    """
    chosen = os.environ.get("SPIKELEARN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        candidate = base / "spikelearn"
        if not on_network(candidate):
            candidate.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=candidate):
                return candidate
    except (OSError, RuntimeError):  # not writable, or a user without a home
        pass
    return _temporary_root(tempfile.gettempdir())


@functools.cache
def _temporary_root(parent: str) -> Path:
    """Return a folder of this user alone below a folder that everybody may write to.

    Cached kernels are code: a folder that somebody else has put there is not used.
    """
    posix = os.name == "posix"
    user = os.getuid() if posix else getpass.getuser()
    folder = Path(parent) / f"spikelearn-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        own = status.st_uid == user and not status.st_mode & 0o022
        if stat.S_ISDIR(status.st_mode) and (own or not posix):
            return folder
    return Path(tempfile.mkdtemp(prefix="spikelearn-", dir=parent))


def on_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Return whether a folder lies on a network file system, as far as can be known.

    The list of mounts is that of Linux; without it the answer is no.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    folder = Path(os.path.realpath(folder))
    system, longest = "", -1
    for line in lines:
        _, place, kind = line.split()[:3]
        point = Path(place.replace("\\040", " "))
        # Of several mounts at one place the last one is seen.
        if folder.is_relative_to(point) and len(point.parts) >= longest:
            system, longest = kind, len(point.parts)
    return system in NETWORK_SYSTEMS


def kernel_counts() -> dict[str, int]:
    """Return how many kernels this process has loaded and compiled so far."""
    return dict(_counts)


class KernelCache(_Cache):
    """The compiled signatures of one kernel, in `folder`.

    It takes the place of Numba's cache in a dispatcher and speaks its protocol:
    `load_overload` before compiling, `save_overload` after it.
    """

    def __init__(self, function: Callable, folder: Path) -> None:
        code = function.__code__
        source = Path(inspect.getfile(function)).stem
        self._folder = folder
        self._name = f"{source}.{function.__qualname__}-{code.co_firstlineno}"
        self._started = 0.0
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder of the files."""
        return str(self._folder)

    def enable(self) -> None:
        """Use the files (the default)."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Remove the files of this kernel."""
        for path in self._folder.glob(f"{self._name}.*{SUFFIX}"):
            path.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None, upon which it will be compiled."""
        target_context.refresh()
        key = (sig, target_context.codegen().magic_tuple())
        if self._enabled:
            content = self._read(key)
            if content is not None:
                _touch(self._folder)
                _counts["loaded"] += 1
                return CompileResult._rebuild(target_context, *content)
        self._started = time.perf_counter()
        _announce(self._folder)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled signature, if it can be kept."""
        _counts["compiled"] += 1
        seconds = time.perf_counter() - self._started
        logger.debug("compiled %s in %.1f s", self._name, seconds)
        if not self._enabled or data.lifted or data.library.has_dynamic_globals:
            return
        key = (sig, data.codegen.magic_tuple())
        payload = dumps((key, data._reduce()))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._path(key), hashlib.sha256(payload).digest() + payload)
        except OSError as error:  # a full or read-only disk
            logger.debug("kernel %s is not kept: %s", self._name, error)
        else:
            _forget_old_folders(self._folder)

    def _path(self, key: Any) -> Path:
        digest = hashlib.sha256(str(key).encode()).hexdigest()
        return self._folder / f"{self._name}.{digest[:20]}{SUFFIX}"

    def _read(self, key: Any) -> Any:
        """Return what was stored under a key, or None if it is not there and whole."""
        try:
            content = self._path(key).read_bytes()
        except OSError:  # not there, or a stale handle of a network file system
            return None
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            logger.debug("kernel %s: a damaged file is replaced", self._name)
            return None
        try:
            stored, reduced = pickle.loads(payload)
        except Exception as error:  # names of classes that are no longer there, ...
            logger.debug("kernel %s cannot be read: %s", self._name, error)
            return None
        return reduced if stored == key else None


def _write(path: Path, content: bytes) -> None:
    """Let a file appear whole: written aside under a name of its own, then renamed."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


@functools.cache
def _touch(folder: Path) -> None:
    """Note, once per process, that a folder is in use."""
    with contextlib.suppress(OSError):
        os.utime(folder)


@functools.cache
def _forget_old_folders(folder: Path) -> None:
    """Remove the neighbours that have not been used for a long time, best effort."""
    oldest = time.time() - FORGOTTEN_DAYS * 24 * 3600
    with contextlib.suppress(OSError):
        for other in folder.parent.glob("kernels-*"):
            if other != folder and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)


@functools.cache
def _announce(folder: Path) -> None:
    """Say, once per process, why the first call takes its time.

    It is a message of the logger `spikelearn` at level INFO. Where a person is waiting
    at a terminal or a prompt and has set up no logging, it goes to standard error.
    """
    message = "compiling kernels (once on this machine, up to a minute; kept in %s)"
    logger.info(message, folder.parent)
    person = hasattr(sys, "ps1") or (sys.stderr is not None and sys.stderr.isatty())
    if person and not logger.hasHandlers():
        print(message % folder.parent, file=sys.stderr, flush=True)
