"""A look at the text heaps of an HDF5 file before the HDF5 library reads them.

The library (HDF5 1.14) walks through the objects of a global heap by their sizes and
does not end where a damaged size wraps around: a process would hang. Format: "HDF5 File
Format Specification 3.0", III.E Global Heap.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from spikelearn.errors import FileFormatError

__all__ = ["check_heaps"]

SIGNATURE, VERSION = b"GCOL", b"\1"
HEADER = 16  # bytes before the first object, and before the data of an object
ALIGNMENT = 8


def check_heaps(path: str | Path) -> None:
    """Check the sizes of all objects of all global heaps of a file.

    Raises
    ------
    FileFormatError
        If an object does not end inside its heap, or a heap not inside the file.
    """
    with open(path, "rb") as file:
        if not Path(path).stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.find(SIGNATURE)
            while start >= 0:
                whole = (
                    start % ALIGNMENT == 0 and content[start + 4 : start + 5] == VERSION
                )
                if whole and not _ends_well(content, start):
                    raise FileFormatError(
                        f"file {str(path)!r} is corrupt: a heap of texts at byte "
                        f"{start} does not end where it must."
                    )
                start = content.find(SIGNATURE, start + 1)


def _ends_well(content: mmap.mmap, start: int) -> bool:
    """Return whether the objects of a heap fill it and no more."""
    stop = start + int.from_bytes(content[start + 8 : start + HEADER], "little")
    place = start + HEADER
    if stop > len(content) or stop < place:
        return False
    while place + HEADER <= stop:
        number = int.from_bytes(content[place : place + 2], "little")
        size = int.from_bytes(content[place + 8 : place + HEADER], "little")
        if number == 0:  # what is free, up to the end
            return place + size == stop
        place += HEADER + -(-size // ALIGNMENT) * ALIGNMENT
    return place <= stop
