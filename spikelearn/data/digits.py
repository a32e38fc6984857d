"""The UCI optical digits that come with scikit-learn."""

from __future__ import annotations

import functools

from spikelearn.data.images import LabelledImages, packaged_file, read_images

__all__ = ["DIGITS_SHAPE", "load_digits"]

DIGITS_SHAPE = (1797, 8, 8)


@functools.cache
def load_digits() -> LabelledImages:
    """Load 1797 handwritten digits of 8 x 8 pixels with grey values 0..16.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository, 1998 (doi:10.24432/C50P49), its test part as shipped in
    scikit-learn. The file is read without importing scikit-learn, once per process.

    Raises
    ------
    MissingDependency
        If scikit-learn is not installed.
    FileAccessError, FileFormatError
        If its data file is missing or not as expected.
    """
    path = packaged_file(
        "sklearn", "datasets/data/digits.csv.gz", "the digits data set"
    )
    return read_images(path, DIGITS_SHAPE, white=16, n_classes=10)
