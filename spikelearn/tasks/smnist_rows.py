"""Sequential MNIST, row by row, in real pixels, with a noisy test set if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.tasks.base import Batch, check_number, evaluation_rng
from spikelearn.tasks.mnist5k_rows import Mnist5kRows
from spikelearn.tasks.settings import rate_settings

__all__ = ["SmnistRows"]


@dataclass(frozen=True)
class SmnistRows(Mnist5kRows):
    """Row-wise sequential MNIST: `Mnist5kRows` in all 256 grey levels, x = grey / 255.

    Images, splits and parameters are those of `Mnist5kRows`. The full data set of 70000
    images does not install offline; scores are not those of papers that used it. With
    noise, each test image gets x := clip(x + N(0, noise^2), 0, 1), always the same: a
    test set shifted away from training and validation, as in Liu et al. 2022
    (doi:10.48550/arXiv.2206.00823), where noise = 0.2.

    Parameters
    ----------
    noise
        Standard deviation of the noise of the test set; only for graded encoding. The
        input then has no integer form.
    """

    noise: float = 0.0

    name: ClassVar[str] = "smnist-rows"
    bits: ClassVar[int] = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"{type(self).__name__}.noise"
        check_number(where, self.noise, least=0)
        rule = 'must be 0 unless encoding is "graded"'
        require(self.noise == 0 or self.encoding == "graded", where, rule, self.noise)

    @property
    def input_bits(self) -> int | None:
        """0 for spikes, 8 for graded input; None if the test set is noisy."""
        return None if self.noise else super().input_bits

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        texts = super().splits
        if self.noise:
            texts["test"] += f", with noise of standard deviation {self.noise:g}"
        return texts

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """The published settings of backpropagation through time, batches of 200."""
        return rate_settings(batch_size=200)

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Iterate over the first `size` images (None: all) of a split, in fixed order.

        Raises
        ------
        UnknownName, InvalidValue
            If the split is unknown or empty, or a size is not a positive integer.
        """
        batches = super().evaluation(split, size, batch_size)
        return self._noisy(batches) if self.noise and split == "test" else batches

    def _noisy(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        first = 0
        for batch in batches:
            x = batch.x.copy()
            shape = self.shape[1:]
            for b in range(batch.size):
                noise = evaluation_rng("test", first + b).normal(0.0, self.noise, shape)
                x[:, b] += np.repeat(noise, self.steps_per_row, axis=0)
            first += batch.size
            yield Batch(np.clip(x, 0.0, 1.0), batch.target, batch.mask)
