"""The UCI digits of scikit-learn, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from spikelearn.data.digits import DIGITS_SHAPE, load_digits
from spikelearn.data.images import LabelledImages
from spikelearn.tasks.row_images import RowImages, eprop_settings

__all__ = ["DigitsRows"]


@dataclass(frozen=True)
class DigitsRows(RowImages):
    """1797 digits of 8 x 8 pixels in 8 rows: 1197 train, 300 validation, 300 test.

    The data set does not say who wrote which digit: the same writers may be in all
    three parts. Parameters as in `RowImages`; data as in `load_digits`.
    """

    validation: int = 300

    name: ClassVar[str] = "digits-rows"
    source: ClassVar[str] = "the UCI digits (scikit-learn)"
    shape: ClassVar[tuple[int, int, int]] = DIGITS_SHAPE
    test_size: ClassVar[int] = 300
    load: ClassVar[Callable[[], LabelledImages]] = staticmethod(load_digits)

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Settings for e-prop."""
        return eprop_settings(128, tau_a=20.0, weight_decay=3e-3, iterations=1000)
