"""Where units run: processes of this machine, or Dask workers anywhere.

An executor is opened by `with` and speaks `concurrent.futures`; at the end of the block
nothing of it runs any more, and what is not done is dropped.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

from spikelearn.errors import InvalidValue, optional_import, require
from spikelearn.kernels.threads import usable_cores
from spikelearn.studies.processes import ONE_THREAD, ProcessExecutor

__all__ = ["dask", "processes"]

CONNECT_SECONDS = 30
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
    InvalidValue
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
    configuration = optional_import("dask.config", "dask", "the executor 'dask'")
    address = address or configuration.get("scheduler-address", None)
    with contextlib.ExitStack() as stack:
        if address or scheduler_file:
            place = {"address": address, "scheduler_file": scheduler_file}
        else:
            cluster = distributed.LocalCluster(
                n_workers=workers or usable_cores(),
                threads_per_worker=1,
                dashboard_address=None,
                env=ONE_THREAD,
                preload=[IGNORE_CTRL_C],
                silence_logs=logging.ERROR,
            )
            place = {"address": stack.enter_context(cluster)}
        try:
            client = distributed.Client(**place, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise InvalidValue(
                f"Dask scheduler must answer at {address or str(scheduler_file)!r}; "
                f"got: {error}. (Is it running?)"
            ) from error
        stack.enter_context(client)
        most = max(client.nthreads().values(), default=1)
        hint = "Start them with --nthreads 1."
        require(most == 1, "Dask workers", "must have one thread each", most, hint)
        executor = client.get_executor(pure=False)
        stack.callback(executor.shutdown, wait=False)
        yield executor
