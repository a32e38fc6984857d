"""Where units run: processes of this machine, or Dask workers anywhere.

An executor is opened by `with` and speaks `concurrent.futures`; at the end of the block
nothing of it runs any more, and what is not done is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType
from typing import Any

from spikelearn.errors import FileAccessError, InvalidValue, optional_import, require
from spikelearn.kernels.threads import usable_cores
from spikelearn.studies.processes import ONE_THREAD, ProcessExecutor

__all__ = ["dask", "processes"]

CONNECT_SECONDS = 30
SATURATION = "distributed.scheduler.worker-saturation"
"""Calls that a worker is given per thread. A worker that dies puts the blame on all of
them, and Dask gives up those that were blamed four times."""
IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@contextlib.contextmanager
def processes(workers: int | None = None) -> Iterator[Executor]:
    """Run units in processes of this machine, by default one for each usable core."""
    executor = ProcessExecutor(workers or usable_cores())
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def dask(
    workers: int | None = None,
    *,
    address: str | None = None,
    scheduler_file: str | Path | None = None,
) -> Iterator[Executor]:
    """Run units on the workers of a Dask scheduler.

    Parameters
    ----------
    workers
        Number of processes of this machine, if there is no scheduler yet; by default
        one for each usable core.
    address
        Of a scheduler, such as "tcp://node7:8786"; by default that of Dask's own
        configuration (`DASK_SCHEDULER_ADDRESS`), if it has one.
    scheduler_file
        What `dask scheduler --scheduler-file` wrote.

    Raises
    ------
    FileAccessError, InvalidValue
        If the scheduler does not answer, or a worker has several threads.
    MissingDependency
        If Dask is not installed.
    """
    places = [place for place in (address, scheduler_file) if place is not None]
    rule = "must be one place: an address or a scheduler file"
    require(len(places) < 2, "Dask scheduler", rule, " and ".join(map(str, places)))
    rule = "must not be given for a scheduler that has its own"
    require(not places or workers is None, "workers", rule, workers)
    distributed = optional_import("distributed", "dask", "the executor 'dask'")
    config = optional_import("dask.config", "dask", "the executor 'dask'")
    address = address or config.get("scheduler-address", None)
    with contextlib.ExitStack() as stack:
        if scheduler_file is not None:
            _wait_for(Path(scheduler_file))
        elif address is None:
            stack.enter_context(config.set({SATURATION: 1.0}))
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers or usable_cores(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    env=ONE_THREAD,
                    preload=[IGNORE_CTRL_C],
                    silence_logs=logging.CRITICAL,
                )
            )
        client = stack.enter_context(_connected(distributed, address, scheduler_file))
        most = max(client.nthreads().values(), default=1)
        hint = "Start them with --nthreads 1."
        require(most == 1, "Dask workers", "must have one thread each", most, hint)
        executor = client.get_executor(pure=False)
        stack.callback(executor.shutdown, wait=False)
        yield executor


def _connected(
    distributed: ModuleType, address: Any, scheduler_file: str | Path | None
) -> Any:
    """Return a client of the scheduler."""
    try:
        return distributed.Client(
            None if scheduler_file else address,
            scheduler_file=scheduler_file,
            timeout=CONNECT_SECONDS,
        )
    except (OSError, ValueError) as error:
        place = str(scheduler_file or address)
        raise InvalidValue(
            f"Dask scheduler must answer at {place!r}; got: {error}. (Is it running?)"
        ) from error


def _wait_for(path: Path) -> None:
    """Wait for the file of a scheduler that is starting; Dask would wait for ever."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise FileAccessError(
                f"scheduler file {str(path)!r} must exist; got no such file after "
                f"{CONNECT_SECONDS} s. (Is the scheduler running?)"
            )
        time.sleep(0.1)
