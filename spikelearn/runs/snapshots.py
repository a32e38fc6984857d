"""Weights of a run on the way: `snapshots/NNNNNN.h5` in its folder.

They are written at iterations 0, 1, 2, 4, 8, ... and the last one, at the moment they
are due. A run that was killed and goes on from an older checkpoint writes the later
ones again, with the same bits.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from spikelearn.memory import as_text
from spikelearn.runs.arrays import read_arrays, write_arrays
from spikelearn.runs.config import RunConfig
from spikelearn.runs.folder import RunFolder

__all__ = ["MOST_BYTES", "due", "keeps", "read", "taken", "write"]

logger = logging.getLogger("spikelearn")

KIND = "spikelearn snapshot"
VERSION = 1
MOST_BYTES = 1 << 28
"""Larger sets of snapshots are not written."""
NAME = re.compile(r"(\d{6,})\.h5")


def due(iteration: int, iterations: int) -> bool:
    """Return whether the weights after `iteration` of `iterations` are kept."""
    return iteration & (iteration - 1) == 0 or iteration == iterations


def keeps(config: RunConfig, arrays: dict[str, np.ndarray]) -> bool:
    """Return whether a run keeps snapshots; log why if they would be too large."""
    training = config.training
    if not training.snapshots:
        return False
    last = training.iterations
    count = 1 + len({*(1 << k for k in range(last.bit_length())), last})
    needed = count * sum(array.nbytes for array in arrays.values())
    if needed > MOST_BYTES:
        logger.info(
            "no snapshots: %d of them would take %s, more than %s. (They are what "
            "`spikelearn regime` reads; training.snapshots = false for silence.)",
            count,
            as_text(needed),
            as_text(MOST_BYTES),
        )
    return needed <= MOST_BYTES


def _path(folder: RunFolder, iteration: int) -> Path:
    return folder.path / "snapshots" / f"{iteration:06d}.h5"


def write(folder: RunFolder, iteration: int, arrays: dict[str, np.ndarray]) -> None:
    """Write the weights of an iteration, in place of older ones.

    Raises
    ------
    FileAccessError
        If the file cannot be written.
    """
    write_arrays(_path(folder, iteration), KIND, VERSION, arrays)


def taken(folder: RunFolder) -> list[int]:
    """Return the iterations of which a folder holds weights, in order."""
    names = (NAME.fullmatch(path.name) for path in folder.path.glob("snapshots/*.h5"))
    return sorted(int(name[1]) for name in names if name)


def read(
    folder: RunFolder, iteration: int, like: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the weights of an iteration; `like` as in `RunFolder.read_checkpoint`.

    Raises
    ------
    FileAccessError, FileFormatError
        If there are none, or the file is corrupt, too new or of another network.
    """
    return read_arrays(_path(folder, iteration), KIND, VERSION, like)
