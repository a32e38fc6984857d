"""Numba kernels: arrays in, arrays out. The only place of spikelearn with Numba."""

from pathlib import Path

from spikelearn.kernels._jit import host_cpu, kernel_decorator, kernel_folder
from spikelearn.kernels._llvm import describe_path
from spikelearn.kernels._storage import SUFFIX, cache_root, kernel_counts, on_network

__all__ = [
    "cache_root",
    "compiled_files",
    "describe_path",
    "host_cpu",
    "inlined",
    "kernel",
    "kernel_counts",
    "kernel_decorator",
    "on_network",
]

# No nnan/ninf: NaN stays visible. No reassoc: the same bits on every path.
FASTMATH = {"contract", "nsz", "arcp"}
kernel = kernel_decorator(Path(__file__).parent, fastmath=FASTMATH)

# A step of a kernel with a name of its own: a call with many arrays would cost more.
inlined = kernel_decorator(
    Path(__file__).parent, cached=False, fastmath=FASTMATH, forceinline=True
)


def compiled_files() -> list[Path]:
    """Return the files of the kernels of this version, compiled for this machine."""
    return sorted(kernel_folder(Path(__file__).parent).glob(f"*{SUFFIX}"))
