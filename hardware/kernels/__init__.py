"""Numba kernels in integer arithmetic. The only place of hardware with Numba."""

from pathlib import Path

from spikelearn.kernels import kernel_decorator

__all__ = ["kernel"]

kernel = kernel_decorator(Path(__file__).parent)
