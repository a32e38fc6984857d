"""Numba kernels: arrays in, arrays out. The only place of spikelearn with Numba."""

from pathlib import Path

from spikelearn.kernels._jit import kernel_decorator
from spikelearn.kernels._storage import cache_root, kernel_counts

__all__ = ["cache_root", "kernel", "kernel_counts", "kernel_decorator"]

# No nnan/ninf: NaN stays visible. No reassoc: the same bits on every path.
kernel = kernel_decorator(Path(__file__).parent, fastmath={"contract", "nsz", "arcp"})
