"""Memory for records: whole vectors, used again when nobody looks at it any more.

Fresh memory costs a page fault for every 4 KiB when it is first written, which for a
record takes longer than the simulation that fills it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

from spikelearn.kernels.vector import BYTES, aligned_empty

__all__ = ["KEPT_BYTES", "empty", "forget", "give_back", "take", "zeros"]

KEPT_BYTES = 1 << 28
"""About so much unused memory is kept at most."""
SMALL_BYTES = 1 << 10  # the allocator of NumPy is as good for less
MOST_KINDS = 64  # of sizes and shapes of which memory is kept

# Lists are popped and appended in one piece: threads need no lock. The number of kept
# bytes may be off by what threads do at the same moment, which does no harm.
_free: defaultdict[Any, list[Any]] = defaultdict(list)
_kept = 0


class _Block:
    """Memory that goes back to the free list when the last array on it is gone."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, size: int) -> None:
        global _kept
        try:
            self._memory = _free[size].pop()
            _kept -= size
        except IndexError:
            memory = aligned_empty((size,), np.uint8)
            self._memory = (memory, memory.__array_interface__)
        self.__array_interface__ = self._memory[1]

    def __del__(self) -> None:
        global _kept
        size = self._memory[0].size
        if _free is not None and _kept + size <= KEPT_BYTES:
            _kept += size
            _free[size].append(self._memory)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array with arbitrary content; a large one starts at a whole vector."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes <= SMALL_BYTES:
        return np.empty(shape, dtype)
    # Few sizes, so that blocks are found again: eighths of powers of two.
    unit = max(1 << (n_bytes.bit_length() - 4), BYTES)
    block = np.asarray(_Block(-(-n_bytes // unit) * unit))
    return np.ndarray(shape, dtype, block)


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros; a large array starts at a whole vector."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def take(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros at a whole vector, to compute with and to give back."""
    try:
        array: np.ndarray = _free[shape, np.dtype(dtype).char].pop()
    except IndexError:
        array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def give_back(array: np.ndarray) -> None:
    """Keep what `take` returned for its next caller; nobody may look at it any more."""
    if len(_free) > MOST_KINDS:
        _free.clear()
    waiting = _free[array.shape, array.dtype.char]
    if len(waiting) < 4 and array.nbytes <= KEPT_BYTES // 16:
        waiting.append(array)


def forget() -> None:
    """Return all unused memory to the system."""
    global _kept
    _free.clear()
    _kept = 0
