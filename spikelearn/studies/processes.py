"""An executor of local processes that survives their deaths, and leaves none behind.

`ProcessPoolExecutor` breaks as a whole when one of its processes dies, without saying
which call killed it, and its processes stay when their parent is killed. Here every
process runs one call at a time at the end of a pipe of its own: a death fails that call
alone and a new process takes its place, and processes end with their parent.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any

from spikelearn.errors import OracleFailure

__all__ = ["ONE_THREAD", "ProcessExecutor"]

ONE_THREAD = {
    name: "1"
    for name in (
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    )
}
"""Environment of a worker. Libraries read it when they are imported, not later."""

END_SECONDS = 5.0

_context = multiprocessing.get_context("spawn")
_starting = threading.Lock()  # the environment is shared, and who waits for children


class ProcessExecutor(Executor):
    """Run calls in `workers` processes of one thread each.

    Processes are spawned when they are first needed: a script that uses this needs the
    guard `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int) -> None:
        # A thread for each process, which hands it calls and waits for the answers.
        self._threads = ThreadPoolExecutor(workers, "study")
        self._own = threading.local()
        self._children: set[_Child] = set()
        self._changing = threading.Lock()
        self._stopped = False

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Schedule a call; what is passed must be importable or plain.

        The future raises `OracleFailure` if the process dies.
        """
        return self._threads.submit(self._call, functools.partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; without `wait` those that run a call, too."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._changing:
            self._stopped = True
            children = list(self._children)
        for child in children:
            child.kill()
        self._threads.shutdown()

    def _call(self, work: Callable[[], Any]) -> Any:
        child = getattr(self._own, "child", None) or self._new_child()
        try:
            return child.call(work)
        except OracleFailure:
            self._own.child = None
            self._children.discard(child)
            raise

    def _new_child(self) -> _Child:
        with self._changing:
            if self._stopped:
                raise OracleFailure("worker process must live; it was stopped.")
            child = self._own.child = _Child()
            self._children.add(child)
            return child


class _Child:
    """A process and our end of its pipe."""

    def __init__(self) -> None:
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs,), name="study")
        with _environment(ONE_THREAD):
            self._process.start()
        theirs.close()  # else its death would not be seen here

    def call(self, work: Callable[[], Any]) -> Any:
        try:
            self._connection.send(work)
            return self._connection.recv()
        except (EOFError, OSError) as error:
            how = _how(self._wait(END_SECONDS))
            self.kill()
            raise OracleFailure(
                f"worker process must live until its unit is done; it {how}."
            ) from error

    def kill(self) -> None:
        self._process.kill()
        self._wait()

    def _wait(self, seconds: float | None = None) -> int | None:
        if wait([self._process.sentinel], seconds):
            with _starting:  # the system tells a status once, also to who starts one
                self._process.join()
        return self._process.exitcode


def _how(status: int | None) -> str:
    """Say how a process ended."""
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with status {status}"
    hint = " (Was there enough memory?)" if -status == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-status).name}{hint}"


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started inside the block."""
    with _starting:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _serve(connection: Connection) -> None:
    """Run calls until the parent is gone; the life of a worker process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # whole groups get them; we are
        signal.signal(number, lambda *_: None)  # ended by the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError):
        while True:
            connection.send(connection.recv()())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
