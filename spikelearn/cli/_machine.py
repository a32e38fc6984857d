"""What `doctor` tells about the machine: CPU, vectors, cores, kernel cache, BLAS."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.errors import MissingDependency, optional_import
from spikelearn.kernels import (
    cache_root,
    compiled_files,
    describe_path,
    host_cpu,
    on_network,
)
from spikelearn.kernels.threads import usable_cores
from spikelearn.memory import as_text, memory_limit_bytes

__all__ = ["describe_machine"]


def describe_machine() -> dict[str, Any]:
    """Return, by what it is, what decides how fast kernels run here."""
    root = cache_root()
    files = compiled_files()
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return {
        "cpu": f"{_cpu_name()} ({host_cpu()[0]})",
        "kernel_path": describe_path(),
        "cores": usable_cores(),
        "cores_of_machine": os.cpu_count(),
        "memory_limit": as_text(memory_limit_bytes()),
        "blas": _blas(),
        "kernel_cache": str(root),
        "kernel_cache_on": "network" if on_network(root) else "local disk",
        "kernels_cached": len(files),
        "kernel_cache_mb": round(megabytes, 1),
    }


def _cpu_name() -> str:
    """Return what the maker calls the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(names, "").strip() or platform.processor() or platform.machine()


def _blas() -> str:
    """Return the BLAS of NumPy; its threads too if threadpoolctl is there."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = f"{built['name']} {built['version']}"
    try:
        threadpoolctl = optional_import("threadpoolctl", "data", "the BLAS threads")
    except MissingDependency:
        return name
    pools = threadpoolctl.threadpool_info()
    threads = [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]
    return f"{name}, {threads[0]} threads" if threads else name
