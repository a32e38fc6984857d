"""A look at the heaps of an HDF5 file before the HDF5 library reads them.

The library (HDF5 1.14) walks through the objects of a global heap, which holds texts,
by their sizes, and does not end where a damaged size wraps around. It follows the free
list of a local heap, which holds names, and does not end where this comes back to
itself: a process would hang, or fill the memory. Format: "HDF5 File Format
Specification 3.0", III.D Local Heaps and III.E Global Heap.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from spikelearn.errors import FileFormatError

__all__ = ["check_heaps"]

FILE_START = b"\x89HDF\r\n\x1a\n"
FIRST_BASE = 512  # a file begins at byte 0, 512, 1024, 2048, ...
TEXTS, NAMES = b"GCOL\1", b"HEAP\0\0\0\0"  # signature and version, reserved bytes
HEADER = 16  # bytes before the first object, and before the data of an object
NAMES_HEADER = 32
FREE_BLOCK = 16  # least bytes of a free block: the next one, and its own size
NO_BLOCK = 1  # ends a free list
ALIGNMENT = 8


def check_heaps(path: str | Path) -> None:
    """Check the objects of all global heaps and the free lists of all local heaps.

    Raises
    ------
    FileFormatError
        If an object does not end inside its heap, or a global heap not inside the file;
        or if a free list leaves its heap or comes back to itself.
    """
    with open(path, "rb") as file:
        if not Path(path).stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            base = _base(content)
            for signature, kind, ends_well in (
                (TEXTS, "texts", _texts_end),
                (NAMES, "names", _names_end),
            ):
                for start in _places(content, signature):
                    if not ends_well(content, start, base):
                        raise FileFormatError(
                            f"file {str(path)!r} is corrupt: a heap of {kind} at byte "
                            f"{start} does not end where it must."
                        )


def _places(content: mmap.mmap, signature: bytes) -> Iterator[int]:
    start = content.find(signature)
    while start >= 0:
        yield start
        start = content.find(signature, start + 1)


def _base(content: mmap.mmap) -> int:
    """Return where the HDF5 file begins, from which its addresses count."""
    base = 0
    while base < len(content):
        if content[base : base + len(FILE_START)] == FILE_START:
            return base
        base = max(2 * base, FIRST_BASE)
    return 0


def _number(content: mmap.mmap, place: int, size: int = 8) -> int:
    return int.from_bytes(content[place : place + size], "little")


def _texts_end(content: mmap.mmap, start: int, _: int) -> bool:
    """Return whether the objects of a global heap fill it and no more."""
    if start % ALIGNMENT:
        return True  # no heap
    stop = start + _number(content, start + 8)
    place = start + HEADER
    if stop > len(content) or stop < place:
        return False
    while place + HEADER <= stop:
        number = _number(content, place, 2)
        size = _number(content, place + 8)
        if number == 0:  # what is free, up to the end
            return place + size == stop
        place += HEADER + -(-size // ALIGNMENT) * ALIGNMENT
    return place <= stop


def _names_end(content: mmap.mmap, start: int, base: int) -> bool:
    """Return whether the free list of a local heap stays inside it and ends.

    The same bytes may be data. What has no segment inside the file is none, or one that
    the library refuses by itself.
    """
    if start + NAMES_HEADER > len(content):
        return True
    size, block, address = (_number(content, start + k) for k in (8, 16, 24))
    address += base
    if size < FREE_BLOCK or address + size > len(content):
        return True
    seen = set()
    while block != NO_BLOCK:
        if block in seen or block + FREE_BLOCK > size:
            return False
        seen.add(block)
        block = _number(content, address + block)
    return True
