"""Run networks in Lava, in a child process: Lava can hang or crash, we must not."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware._child import run_child
from hardware.description import NetworkDescription
from hardware.emulator import check_input
from hardware.lava_processes import _lava
from spikelearn.errors import OracleFailure, require

__all__ = ["LavaStates", "run_lava", "time_limit"]

STARTUP_SECONDS = 60.0
SAMPLE_SECONDS = 5.0
STEP_SECONDS = 0.05
_GRACE_SECONDS = 10.0
_LONGEST_SOCKET_FOLDER = 60  # a socket has at most 104 characters on some systems
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, eq=False)
class LavaStates:
    """States that Lava computed, time first and aligned with the emulator.

    Attributes
    ----------
    u, v, b, r
        int32 `(T, S, n_rec)`; `b` and `r` are 0 for neurons without them.
    spikes
        uint8 `(T, S, n_rec)`, int8 of ternary neurons.
    y
        int32 `(T, S, n_out)`.
    run_seconds
        float64 `(S,)`: time of Lava for the steps of the input, without its start.
    """

    u: np.ndarray
    v: np.ndarray
    b: np.ndarray
    r: np.ndarray
    spikes: np.ndarray
    y: np.ndarray
    run_seconds: np.ndarray


def time_limit(inputs: Sequence[np.ndarray]) -> float:
    """Return a generous limit in seconds for inputs `(T, S, n_in)`, see `run_lava`."""
    work = sum(
        x.shape[1] * (SAMPLE_SECONDS + STEP_SECONDS * x.shape[0]) for x in inputs
    )
    return STARTUP_SECONDS + work


def run_lava(
    jobs: Sequence[tuple[NetworkDescription, np.ndarray]], timeout: float | None = None
) -> list[LavaStates]:
    """Run networks on inputs in Lava, every sample in a fresh Lava network.

    Parameters
    ----------
    jobs
        Pairs of a network and its input, integers `(T, S, n_in)`.
    timeout
        Seconds for all jobs together; None takes `time_limit`.

    Raises
    ------
    MissingDependency
        If Lava is not installed.
    InvalidValue
        If an input is wrong.
    OracleFailure
        If Lava fails or runs out of time; all its processes are gone then.
    """
    _lava.require_installed()
    inputs = [check_input(network, x) for network, x in jobs]
    for x in inputs:
        size = f"shape {x.shape}"
        require(min(x.shape[:2]) >= 1, "x", "must have a step and a sample", size)
    limit = time_limit(inputs) if timeout is None else timeout
    require(limit > 0, "timeout", "must be > 0 s", limit)
    with tempfile.TemporaryDirectory(prefix="spikelearn-lava-") as name:
        folder = Path(name)
        paths = [folder / f"job_{k:06d}" for k in range(len(jobs))]
        for path, (network, _), x in zip(paths, jobs, inputs, strict=True):
            path.mkdir()
            network.save(path / "network.h5")
            np.save(path / "x.npy", x, allow_pickle=False)
        module = "hardware.lava_processes.worker"
        about = [str(folder), str(limit + _GRACE_SECONDS), str(os.getpid())]
        command = [sys.executable, "-m", module, *about]
        run_child(
            command, "Lava (a child process)", limit, folder, _environment(folder)
        )
        return [_result(path) for path in paths]


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of the child: our packages, one thread, plain warnings.

    Its temporary files, Lava's sockets among them, go to `folder`, which is removed.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    package_parent = str(Path(__file__).resolve().parents[2])
    inherited = env.get("PYTHONPATH")
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [package_parent, inherited]))
    env |= dict.fromkeys(_ONE_THREAD, "1")
    if len(str(folder)) <= _LONGEST_SOCKET_FOLDER:
        env["TMPDIR"] = str(folder)
    return env


def _result(folder: Path) -> LavaStates:
    try:
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            return LavaStates(**{name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError) as error:
        raise OracleFailure(
            f"Lava (a child process) must write its result; got: {error}."
        ) from error
