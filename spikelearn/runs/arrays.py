"""HDF5 files of a run: arrays by name, checked for type and shape when read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from spikelearn.errors import FileFormatError
from spikelearn.files import open_hdf5, read_array, write_hdf5

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(
    path: Path, kind: str, version: int, arrays: dict[str, np.ndarray]
) -> None:
    """Write arrays by name, atomically.

    Raises
    ------
    FileAccessError
        If the file cannot be written.
    """

    def fill(file: h5py.File) -> None:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)

    write_hdf5(path, kind, version, fill)


def read_arrays(
    path: Path, kind: str, version: int, like: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return arrays of a file.

    Parameters
    ----------
    like
        Arrays of the type and shape that each must have, by name. No other is read, and
        none that is larger.

    Raises
    ------
    FileAccessError
        If there is no such file.
    FileFormatError
        If it is corrupt or of a newer version, or an array is missing or different.
    """
    where = f"file {str(path)!r}"
    arrays: dict[str, np.ndarray] = {}
    with open_hdf5(path, kind, version) as file:
        for name, array in like.items():
            found = read_array(
                where, file, name, ndim=array.ndim, kinds="iuf", most=array.size
            )
            if (found.shape, found.dtype) != (array.shape, array.dtype):
                raise FileFormatError(
                    f"{where}: {name} must have shape {array.shape} of "
                    f"{array.dtype}; got {found.shape} of {found.dtype}."
                )
            arrays[name] = found
    return arrays
