"""How kernels are compiled and cached.

Numba's cache looks at the file that defines a function and not at the files it calls
into. The cache folder is therefore named by a hash of *all* kernel sources of the
package and of the versions that generate code, so that an edited helper never leaves a
stale binary behind.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

__all__ = ["FASTMATH", "cache_root", "kernel_decorator"]

# No nnan/ninf: NaN stays visible. No reassoc: the same bits on every path.
FASTMATH = {"contract", "nsz", "arcp"}


def cache_root() -> Path:
    """Return the folder of compiled kernels.

    It is `SPIKELEARN_CACHE_DIR`, else `spikelearn` in the user's cache folder, else (if
    that cannot be written) a folder of the user in the temporary folder.
    """
    chosen = os.environ.get("SPIKELEARN_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidate = base / "spikelearn"
    try:
        candidate.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=candidate):
            return candidate
    except OSError:
        user = getattr(os, "getuid", lambda: "user")()
        return Path(tempfile.gettempdir()) / f"spikelearn-{user}"


def kernel_decorator(folder: Path, **options: Any) -> Callable[[Callable], Any]:
    """Return the decorator for all kernels of one package folder.

    Parameters
    ----------
    folder
        Folder whose `*.py` files are the kernel sources of the package.
    **options
        Passed to `numba.njit` beside `cache`, `nogil` and `error_model="numpy"`.
    """
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    digest.update("/".join((*versions, np.__version__)).encode())
    cache = str(cache_root() / f"kernels-{digest.hexdigest()[:16]}")

    def decorate(function: Callable) -> Any:
        # The locator of the cache is chosen while decorating: set the folder for just
        # that moment, so that other users of Numba in the process are left alone.
        previous = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = cache
        try:
            return numba.njit(
                function, cache=True, nogil=True, error_model="numpy", **options
            )
        finally:
            numba.config.CACHE_DIR = previous

    return decorate
