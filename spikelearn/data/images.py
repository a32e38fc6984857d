"""Labelled grey images out of installed packages, and their fixed splits."""

from __future__ import annotations

import gzip
import importlib.util
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    optional_import,
    require,
)

__all__ = [
    "LabelledImages",
    "Split",
    "packaged_file",
    "read_images",
    "read_only",
    "stratified_split",
]


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Grey images and their classes; the arrays are read-only.

    Attributes
    ----------
    images
        Shape (n, height, width), uint8, 0 (background) to `white` (full ink).
    labels
        Shape (n,), int64, 0 to n_classes - 1.
    white
        Largest grey value.
    n_classes
        Number of classes.
    """

    images: np.ndarray
    labels: np.ndarray
    white: int
    n_classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", read_only(self.images))
        object.__setattr__(self, "labels", read_only(self.labels))


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint sample numbers, each in a fixed random order; read-only int64 arrays."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


def packaged_file(package: str, relative: str, purpose: str) -> Path:
    """Return the path of a data file in an installed package, without importing it.

    Raises
    ------
    MissingDependency
        If the package is not installed.
    FileAccessError
        If this version of the package has no such file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        module = optional_import(package, "data", purpose)
        folders = [str(folder) for folder in getattr(module, "__path__", ())]
    else:
        folders = list(spec.submodule_search_locations)
    for folder in folders:
        path = Path(folder, relative)
        if path.is_file():
            return path
    raise FileAccessError(
        f"{purpose} must find {relative!r} in the package {package!r}; got no such "
        "file. (Install the pinned version of the package.)"
    )


def read_images(
    path: Path, shape: tuple[int, int, int], white: int, n_classes: int
) -> LabelledImages:
    """Read images from a CSV file: one image a row, its class in the last column.

    Parameters
    ----------
    path
        Comma-separated integers, optionally gzip-compressed.
    shape
        Expected (n, height, width).
    white
        Largest grey value allowed.
    n_classes
        Classes are 0 to n_classes - 1.

    Raises
    ------
    FileAccessError
        If the file cannot be opened.
    FileFormatError
        If it is no such table, has another shape, holds NaN, or a grey value or a class
        is not an integer within its range.
    """
    where = f"data file {path.name!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file fails on its shape below
            table = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{where} must be a CSV of numbers; {error}.") from error
    except OSError as error:
        raise FileAccessError(f"{where} must be readable; got: {error}.") from error
    n, height, width = shape
    expected = (n, height * width + 1)
    if table.shape != expected:
        raise FileFormatError(
            f"{where} must have shape {expected}; got {table.shape}. "
            "(Install the pinned version of its package.)"
        )
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise FileFormatError(f"{where} must be finite; got NaN or inf in row {row}.")
    pixels, labels = table[:, :-1], table[:, -1]
    _check_integers(where, "grey values", pixels, white)
    _check_integers(where, "classes", labels, n_classes - 1)
    images = pixels.astype(np.uint8).reshape(shape)
    return LabelledImages(images, labels.astype(np.int64), white, n_classes)


def _check_integers(where: str, what: str, values: np.ndarray, largest: int) -> None:
    wrong = (values < 0) | (values > largest) | (values != np.floor(values))
    if wrong.any():
        raise FileFormatError(
            f"{where} must have {what} that are integers in 0..{largest}; "
            f"got {values[wrong][0]:g}."
        )


def stratified_split(
    labels: np.ndarray, validation: int, test: int, seed: int
) -> Split:
    """Split sample numbers with equally many of each class in validation and test.

    The test set is drawn first, so that it does not depend on `validation`.

    Parameters
    ----------
    labels
        Shape (n,), classes 0 to n_classes - 1, each present.
    validation, test
        Sizes, multiples of the number of classes; the rest is for training.
    seed
        Seed that fixes the split.

    Raises
    ------
    InvalidValue
        If a size is negative, not a multiple of the number of classes, or leaves a
        class without a training sample.
    """
    counts = np.bincount(labels)
    for name, size in (("validation", validation), ("test", test)):
        rule = f"must be >= 0 and a multiple of the {len(counts)} classes"
        require(size >= 0 and size % len(counts) == 0, f"{name} size", rule, size)
    n_test, n_validation = test // len(counts), validation // len(counts)
    left = int(counts.min()) - n_test
    rule = f"must be < {left * len(counts)} to leave training samples of every class"
    require(n_validation < left, "validation size", rule, validation)
    # Each part has an order stream of its own, so that all of test is fixed.
    streams = np.random.SeedSequence(seed).spawn(4)
    rng, *orders = (np.random.default_rng(stream) for stream in streams)
    shuffled = [
        rng.permutation(np.flatnonzero(labels == c)) for c in range(len(counts))
    ]
    cuts = (slice(0, n_test), slice(n_test, n_test + n_validation))
    rest = slice(n_test + n_validation, None)
    picked = [np.concatenate([s[cut] for s in shuffled]) for cut in (*cuts, rest)]
    test_set, validation_set, train_set = (
        order.permutation(indices)
        for order, indices in zip(orders, picked, strict=True)
    )
    return Split(train_set, validation_set, test_set)
