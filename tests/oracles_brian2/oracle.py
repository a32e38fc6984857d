"""Brian2 as a child process: which interpreter, and a sparse network in its terms."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.reference.sparse import synapse_list

NAMED = "SPIKELEARN_BRIAN2_PYTHON"
OWN = Path(__file__).parents[2] / ".venv-peers-brian2" / "bin" / "python"
DRIVER = Path(__file__).with_name("driver.py")
TIME_LIMIT = 300.0  # seconds


@functools.cache
def find_python() -> str | None:
    """Return the interpreter to run Brian2 with, or None.

    The one that SPIKELEARN_BRIAN2_PYTHON names, else that of `make brian2`, else this.
    """
    if os.environ.get(NAMED):
        return os.environ[NAMED]
    if OWN.exists():
        return str(OWN)
    return sys.executable if importlib.util.find_spec("brian2") else None


def run_in_brian2(network, v_init, n_steps, folder):
    """Return steps and senders of the spikes of a network of one kind of cells."""
    python = find_python()
    if python is None:
        raise RuntimeError("no Python with Brian2 was found. (make brian2)")
    (cell,) = {population.cell for population in network.populations.values()}
    columns = ("pre", "post", "weight", "delay")
    case = dict(zip(columns, synapse_list(network), strict=True))
    case |= dataclasses.asdict(cell)
    case |= {"v_init": v_init, "dt": network.dt, "n_steps": n_steps}
    paths = folder / "case.npz", folder / "answer.npz"
    np.savez(paths[0], **case)
    command = [python, "-I", str(DRIVER), *map(str, paths)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    if done.returncode:
        raise RuntimeError(f"Brian2 failed: {done.stderr[-2000:]}")
    with np.load(paths[1]) as arrays:
        return arrays["steps"], arrays["senders"]
