"""Numba kernels: arrays in, arrays out. The only place of spikelearn with Numba."""

from pathlib import Path

from spikelearn.kernels import _tiles as _tiles
from spikelearn.kernels import elementary as elementary
from spikelearn.kernels._jit import FASTMATH, cache_root, kernel_decorator
from spikelearn.kernels._llvm import describe_path

__all__ = ["cache_root", "describe_path", "inlined", "kernel", "kernel_decorator"]

kernel = kernel_decorator(Path(__file__).parent, fastmath=FASTMATH)

# A step of a kernel with a name of its own: a call with many arrays would cost more.
inlined = kernel_decorator(Path(__file__).parent, fastmath=FASTMATH, forceinline=True)
