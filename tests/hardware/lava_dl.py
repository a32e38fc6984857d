"""lava-dl as a child process: which interpreter, and a netx file run by it."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np

from hardware._child import run_child

NAMED = "SPIKELEARN_LAVA_DL_PYTHON"
OWN = Path(__file__).parents[2] / ".venv-lava-dl" / "bin" / "python"
DRIVER = Path(__file__).with_name("lava_dl_driver.py")
EXPORT = Path(__file__).with_name("lava_dl_export.py")
WEIGHTS = Path(__file__).with_name("lava_dl_weights.py")
TIME_LIMIT = 180.0  # seconds


@functools.cache
def find_python() -> str | None:
    """Return the interpreter to run lava-dl with, or None.

    The one that SPIKELEARN_LAVA_DL_PYTHON names, else that of `make lava-dl`. It is
    never this one: lava-dl wants other versions of half of it.
    """
    if os.environ.get(NAMED):
        return os.environ[NAMED]
    return str(OWN) if OWN.exists() else None


def run_in_lava_dl(path, x, folder, message_bits=0):
    """Return {"0/u": (T, n), ...} of the layers of a netx file for `x` (T, n_in)."""
    case, answer = folder / "case.npz", folder / "answer.npz"
    np.savez(case, x=x, message_bits=message_bits)
    _run(folder, DRIVER, path, case, answer)
    with np.load(answer) as arrays:
        return dict(arrays)


def export_by_lava_dl(path, folder):
    """Let slayer write the netx file of `lava_dl_export.py`."""
    _run(folder, EXPORT, path)


def weights_kept_by_lava_dl(layers, folder):
    """Return for each layer, a list of blocks, whether lava-dl uses it as it is."""
    case, answer = folder / "case.npz", folder / "answer.npz"
    blocks = {
        f"{number}/{name}": block
        for number, layer in enumerate(layers)
        for name, block in zip("ab", layer, strict=False)
    }
    np.savez(case, **blocks)
    _run(folder, WEIGHTS, case, answer)
    with np.load(answer) as arrays:
        return arrays["kept"]


def _run(folder, script, *arguments):
    python = find_python()
    if python is None:
        raise RuntimeError("no Python with lava-dl was found. (make lava-dl)")
    command = [python, "-I", str(script), *(str(Path(a).resolve()) for a in arguments)]
    variables = ("PATH", "HOME", "LANG")
    env = {name: os.environ[name] for name in variables if name in os.environ}
    env |= {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    run_child(command, "lava-dl (a child process)", TIME_LIMIT, folder, env)
