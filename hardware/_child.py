"""A child process with a time limit that leaves nothing behind.

The child leads a session of its own. However it ends, its whole process group is ended
with it, and the shared memory that only this group had mapped is removed. A parent that
is killed cannot do this; a child that calls `end_with_parent` then does it by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from spikelearn.errors import OracleFailure

__all__ = ["abandon", "end_with_parent", "run_child"]

_SHARED_MEMORY = Path("/dev/shm")
_SHARED_PREFIXES = ("psm_", "sem.mp-")
_STDERR_LINES = 20
_END_SECONDS = 5.0
_WATCH_SECONDS = 0.5


def run_child(
    command: Sequence[str], what: str, timeout: float, folder: Path, env: dict[str, str]
) -> None:
    """Run a command and return when it has ended well.

    Parameters
    ----------
    command
        Program and arguments.
    what
        Name for messages.
    timeout
        Seconds until the child and all its descendants are killed.
    folder
        Working folder; `stderr.txt` is written to it.
    env
        The whole environment of the child.

    Raises
    ------
    OracleFailure
        If it cannot be started, ends with a status other than 0, or runs out of time;
        the message quotes its last lines on stderr.
    """
    stderr = folder / "stderr.txt"
    try:
        with stderr.open("wb") as sink:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=sink,
                cwd=folder,
                env=env,
                start_new_session=True,
            )
    except OSError as error:
        raise OracleFailure(f"{what} must start; got: {error}.") from error
    try:
        status = child.wait(timeout)
    except subprocess.TimeoutExpired:
        raise OracleFailure(
            f"{what} must end within {timeout:g} s; it was killed. (Allow more time or "
            f"verify fewer samples.){_tail(stderr)}"
        ) from None
    finally:
        _end_group(child.pid)
        child.wait()
    if status != 0:
        shown = f"signal {-status}" if status < 0 else f"status {status}"
        raise OracleFailure(f"{what} must end well; got {shown}.{_tail(stderr)}")


def _tail(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not text:
        return ""
    lines = "\n".join(f"  | {line}" for line in text.splitlines()[-_STDERR_LINES:])
    return f"\nIts last lines were:\n{lines}"


def end_with_parent(parent: int, folder: Path) -> None:
    """Watch the parent from a thread, and `abandon` the work when it is gone.

    Parameters
    ----------
    parent
        Process id of the parent, as the parent gave it.
    folder
        As in `abandon`.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        abandon(folder)

    threading.Thread(target=watch, daemon=True, name="parent watch").start()


def abandon(folder: Path) -> None:
    """End the process group of the caller, which leads it, and remove what it had.

    A forked process outside of the group ends it, as the parent would have done.

    Parameters
    ----------
    folder
        Working folder of the group; it is removed.
    """
    group = os.getpgrp()
    if os.fork() == 0:
        try:
            os.setsid()
            _end_group(group)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os._exit(0)


def _end_group(group: int) -> None:
    """Kill a process group, then remove the shared memory that it had."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGSTOP)
    leftovers = set().union(*(_mapped(pid) for pid in _members(group)))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _END_SECONDS
    while _members(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    for path in leftovers:
        path.unlink(missing_ok=True)


def _members(group: int) -> list[int]:
    """Return the living processes of a process group (on Linux; elsewhere none)."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        state, _, pgrp = text.rpartition(")")[2].split()[:3]
        if int(pgrp) == group and state != "Z":
            members.append(int(entry.name))
    return members


def _mapped(pid: int) -> set[Path]:
    """Return the shared memory and semaphores that a process has mapped or open."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
        names += [line.split(maxsplit=5)[-1] for line in lines]
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            names.append(os.readlink(link))
    paths = {Path(name) for name in names}
    return {
        path
        for path in paths
        if path.parent == _SHARED_MEMORY and path.name.startswith(_SHARED_PREFIXES)
    }
