"""Where a Python with NEST is; NEST is never imported here."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

NAMED = "SPIKELEARN_NEST_PYTHON"
OWN = Path(__file__).parents[2] / ".venv-nest" / "bin" / "python"
ASK = "import importlib.util, sys; sys.exit(importlib.util.find_spec('nest') is None)"


@functools.cache
def find_python() -> str | None:
    """Return the interpreter to run NEST with, or None.

    The one that SPIKELEARN_NEST_PYTHON names (not tried: a wrong name is an error, not
    a reason to skip), else the one that `make nest` installs, else this one.
    """
    if os.environ.get(NAMED):
        return os.environ[NAMED]
    if OWN.exists() and _has_nest(OWN):
        return str(OWN)
    return sys.executable if importlib.util.find_spec("nest") else None


def _has_nest(python: Path) -> bool:
    command = [str(python), "-I", "-c", ASK]
    return subprocess.run(command, check=False, timeout=60).returncode == 0
