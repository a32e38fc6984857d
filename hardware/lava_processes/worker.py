"""Child process that runs Lava.

    python -m hardware.lava_processes.worker FOLDER SECONDS PARENT

For every `FOLDER/job_*` it reads `network.h5` and `x.npy` `(T, S, n_in)`, runs each
sample in a fresh Lava network, and writes `result.npz`. When the process PARENT is not
its parent any more, and after so many seconds in any case, it ends itself and its
descendants and removes FOLDER and their shared memory: nobody is left to do so.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hardware._child import abandon, end_with_parent
from hardware.description import NetworkDescription
from hardware.export.lava import LavaRecord, build

__all__ = ["STATES", "main", "run_job"]

STATES = ("u", "v", "b", "r", "spikes", "y")


def run_job(folder: Path) -> None:
    """Run all samples of one job folder and write its `result.npz`."""
    network = NetworkDescription.load(folder / "network.h5")
    x = np.load(folder / "x.npy", allow_pickle=False)
    records: list[LavaRecord] = []
    for k in range(x.shape[1]):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            graph = build(network, x[:, k], record_folder=scratch)
            graph.run()
            records.append(graph.record())
    arrays: dict[str, Any] = {
        name: np.stack([getattr(record, name) for record in records], axis=1)
        for name in STATES
    }
    arrays["run_seconds"] = np.array([record.run_seconds for record in records])
    np.savez(folder / "result.npz", **arrays)


def main(arguments: list[str]) -> None:
    """Run every job of a folder in the order of their names."""
    folder, seconds, parent = Path(arguments[0]), float(arguments[1]), arguments[2]
    end_with_parent(int(parent), folder)
    signal.signal(signal.SIGALRM, lambda *_: abandon(folder))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    for job in sorted(folder.glob("job_*")):
        run_job(job)


if __name__ == "__main__":
    main(sys.argv[1:])
