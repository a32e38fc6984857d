"""Damaged copies of a file, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def damaged(content: bytes, copies: int) -> Iterator[bytes]:
    """Yield copies, by turns with a few changed bytes and cut short."""
    rng = np.random.default_rng(5)
    for number in range(copies):
        if number % 2:
            yield content[: rng.integers(len(content))]
            continue
        copy = np.frombuffer(content, np.uint8).copy()
        # the front of an HDF5 file holds its structure
        end = len(copy) if number % 4 else min(len(copy), 4096)
        start = int(rng.integers(end))
        length = int(rng.integers(1, 9))
        copy[start : start + length] ^= np.uint8(rng.integers(1, 256))
        yield copy.tobytes()
