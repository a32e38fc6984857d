"""Memory for records: whole vectors, used again when nobody looks at it any more.

Fresh memory costs a page fault for every 4 KiB when it is first written, which for a
record takes longer than the simulation that fills it.
"""

from __future__ import annotations

import math
import os
import threading
from collections import defaultdict
from typing import Any

import numpy as np

from spikelearn.kernels.vector import BYTES

__all__ = ["KEPT_BYTES", "empty", "zeros"]

KEPT_BYTES = 1 << 28
"""At most so much unused memory is kept."""
SMALL_BYTES = 1 << 14  # the allocator of NumPy is as good for less

_free: dict[int, list[np.ndarray]] = defaultdict(list)
_kept = 0
_lock = threading.RLock()  # a collection of garbage may return memory in between


class _Block:
    """Memory that goes back to the free list when the last array on it is gone."""

    def __init__(self, size: int) -> None:
        global _kept
        self.size = size
        with _lock:
            if _free[size]:
                _kept -= size
                self.memory = _free[size].pop()
            else:
                self.memory = np.empty(size + BYTES, np.uint8)
        own = self.memory.__array_interface__
        start = own["data"][0]
        start += -start % BYTES
        self.__array_interface__ = own | {"data": (start, False), "shape": (size,)}

    def __del__(self) -> None:
        global _kept
        if _lock is None:  # the interpreter ends
            return
        with _lock:
            if _kept + self.size <= KEPT_BYTES:
                _kept += self.size
                _free[self.size].append(self.memory)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array with arbitrary content; a large one starts at a whole vector."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    # Few sizes, so that blocks are found again: eighths of powers of two.
    unit = max(1 << max(n_bytes.bit_length() - 4, 0), BYTES)
    if n_bytes <= SMALL_BYTES:
        return np.empty(shape, dtype)
    block = np.asarray(_Block(-(-n_bytes // unit) * unit))
    return block[:n_bytes].view(dtype).reshape(shape)


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros; a large array starts at a whole vector."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
