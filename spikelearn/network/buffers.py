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
MOST_KINDS = 64  # of shapes of which arrays are kept
STALE = 64  # blocks that came back since one of this size was last used


class _Blocks:
    """Unused memory by size; what was not used for long makes room for other sizes.

    Lists are popped and appended in one piece, so that threads need no lock. Numbers
    may be off by what threads do at the same moment, which does no harm.
    """

    def __init__(self) -> None:
        self.free: defaultdict[int, list[Any]] = defaultdict(list)
        self.last_use: dict[int, int] = {}
        self.n_bytes = 0
        self.now = 0

    def pop(self, size: int) -> Any:
        """Return memory of a size that is not used, or raise IndexError."""
        memory = self.free[size].pop()
        self.n_bytes -= size
        return memory

    def push(self, size: int, memory: Any) -> None:
        """Keep memory, if there is room."""
        self.now += 1
        self.last_use[size] = self.now
        if self.n_bytes + size > KEPT_BYTES:
            self._drop_stale()
        if self.n_bytes + size <= KEPT_BYTES:
            self.n_bytes += size
            self.free[size].append(memory)

    def _drop_stale(self) -> None:
        for size, when in list(self.last_use.items()):
            if self.now - when > STALE:
                self.last_use.pop(size, None)
                self.n_bytes -= size * len(self.free.pop(size, ()))


_blocks = _Blocks()
_arrays: defaultdict[Any, list[np.ndarray]] = defaultdict(list)


class _Block:
    """Memory that goes back to the unused when the last array on it is gone."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, size: int) -> None:
        try:
            self._memory = _blocks.pop(size)
        except IndexError:
            memory = aligned_empty((size,), np.uint8)
            self._memory = (memory, memory.__array_interface__)
        self.__array_interface__ = self._memory[1]

    def __del__(self) -> None:
        if _blocks is not None:  # else the interpreter is shutting down
            _blocks.push(self._memory[0].size, self._memory)


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
        array = _arrays[shape, np.dtype(dtype).char].pop()
    except IndexError:
        array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def give_back(array: np.ndarray) -> None:
    """Keep what `take` returned for its next caller; nobody may look at it any more."""
    if len(_arrays) > MOST_KINDS:
        _arrays.clear()
    waiting = _arrays[array.shape, array.dtype.char]
    if len(waiting) < 4 and array.nbytes <= KEPT_BYTES // 16:
        waiting.append(array)


def forget() -> None:
    """Return all unused memory to the system."""
    global _blocks
    _arrays.clear()
    _blocks = _Blocks()
