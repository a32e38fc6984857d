"""How kernels are compiled and cached.

The folder of compiled kernels is named by a hash of everything that their code depends
on: *all* kernel sources of the package (an edited helper leaves no stale binary
behind), the versions and switches that generate code, and the CPU, since kernels may
ask for its instructions while they compile. Machines of a cluster that share a folder
therefore neither fight over files nor run each other's code.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from spikelearn.kernels._storage import KernelCache, cache_root

__all__ = ["host_cpu", "kernel_decorator", "kernel_folder"]

SWITCHES = (  # of Numba
    "BOUNDSCHECK",
    "CPU_FEATURES",
    "CPU_NAME",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)


def host_cpu() -> tuple[str, dict[str, bool]]:
    """Return LLVM's name of the CPU, and whether it has a feature, by its name."""
    binding = llvmlite.binding
    return binding.get_host_cpu_name(), dict(binding.get_host_cpu_features())


def _generator() -> str:
    """Return what kernels are compiled by and for, in words."""
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    switches = [f"{name}={getattr(numba.config, name, '')}" for name in SWITCHES]
    cpu, features = host_cpu()
    has = sorted(name for name, there in features.items() if there)
    return "/".join((*versions, np.__version__, *switches, cpu, *has))


def kernel_folder(sources: Path) -> Path:
    """Return the folder of the compiled kernels of one folder of sources."""
    digest = hashlib.sha256(_generator().encode())
    for source in sorted(sources.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return cache_root() / f"kernels-{digest.hexdigest()[:16]}"


def kernel_decorator(
    sources: Path, *, cached: bool = True, **options: Any
) -> Callable[[Callable], Any]:
    """Return the decorator for all kernels of one package folder.

    Parameters
    ----------
    sources
        Folder whose `*.py` files are the kernel sources of the package.
    cached
        False for functions that are only a part of others.
    **options
        Passed to `numba.njit` beside `nogil` and `error_model="numpy"`.
    """
    folder = kernel_folder(sources)

    def decorate(function: Callable) -> Any:
        kernel = numba.njit(function, nogil=True, error_model="numpy", **options)
        if cached and kernel is not function:  # it is with NUMBA_DISABLE_JIT=1
            kernel._cache = KernelCache(function, folder)
        return kernel

    return decorate
