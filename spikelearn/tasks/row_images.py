"""Images shown row by row: what the digit tasks share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.data.encoders import graded, grey_levels, thermometer
from spikelearn.data.images import LabelledImages, Split, stratified_split
from spikelearn.errors import require, unknown_name
from spikelearn.tasks.base import (
    Batch,
    check_batch_request,
    check_count,
    check_number,
    check_split,
    train_rng,
)

__all__ = ["ENCODINGS", "RowImages", "eprop_settings"]

ENCODINGS = ("graded", "spikes")


@dataclass(frozen=True)
class RowImages:
    """Classify an image whose rows are shown one after another, top to bottom.

    Row r is the input during steps r * steps_per_row, ... of the trial; the loss counts
    while the last row is shown. Grey values are reduced to 2^bits levels, 16 unless a
    task says otherwise (see `spikelearn.data.encoders.grey_levels`), so that graded
    input fits the integers of neuromorphic chips. Validation and test images are
    fixed, stratified by class, and disjoint from each other and from training.

    Parameters
    ----------
    steps_per_row
        Time steps for which a row is shown.
    encoding
        "graded": one float32 channel per column, 0 to 1. "spikes": `levels` uint8
        channels per column, a thermometer code of the same values.
    levels
        Thresholds per column of encoding "spikes".
    validation
        Number of images held out of training for validation, a multiple of 10.
    shift
        Training images are moved by up to this many pixels in both directions, filled
        with background; evaluation images never.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    UnknownName
        If the encoding is unknown.
    """

    steps_per_row: int = 1
    encoding: str = "graded"
    levels: int = 4
    validation: int = 0
    shift: int = 0
    dt: float = 1.0

    name: ClassVar[str]
    kind: ClassVar[str] = "classification"
    n_out: ClassVar[int] = 10
    source: ClassVar[str]
    shape: ClassVar[tuple[int, int, int]]
    test_size: ClassVar[int]
    split_seed: ClassVar[int] = 0
    bits: ClassVar[int] = 4
    load: ClassVar[Callable[[], LabelledImages]]

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_count(f"{where}.steps_per_row", self.steps_per_row)
        check_count(f"{where}.levels", self.levels)
        check_count(f"{where}.validation", self.validation, least=0)
        check_count(f"{where}.shift", self.shift, least=0)
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        if self.encoding not in ENCODINGS:
            raise unknown_name(f"encoding of {self.name}", self.encoding, ENCODINGS)
        n, height, _ = self.shape
        largest, classes = (n - self.test_size) // 2, self.n_out
        rule = f"must be a multiple of {classes} and <= {largest}"
        allowed = self.validation <= largest and self.validation % classes == 0
        require(allowed, f"{where}.validation", rule, self.validation)
        rule = f"must be <= {height // 2} pixels"
        require(self.shift <= height // 2, f"{where}.shift", rule, self.shift)

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        width = self.shape[2]
        return width * self.levels if self.encoding == "spikes" else width

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return self.shape[1] * self.steps_per_row

    @property
    def input_bits(self) -> int | None:
        """0 for spikes; k = bits for graded input: x * (2^k - 1) is an integer."""
        return 0 if self.encoding == "spikes" else self.bits

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        n_train = self.shape[0] - self.test_size - self.validation
        fixed = f"held out, stratified, fixed (split seed {self.split_seed})"
        held = f"{self.validation} images, {fixed}" if self.validation else "none"
        moved = f", moved by up to {self.shift} pixels" if self.shift else ""
        return {
            "train": f"{n_train} of {self.shape[0]} images of {self.source}{moved}",
            "validation": held,
            "test": f"{self.test_size} images, {fixed}, never trained on",
        }

    def indices(self, split: str) -> np.ndarray:
        """Return the image numbers of "train", "validation" or "test" (read-only)."""
        known = ("train", "validation", "test")
        if split not in known:
            raise unknown_name("split", split, known)
        parts = _split(
            type(self).load, self.validation, self.test_size, self.split_seed
        )
        chosen: np.ndarray = getattr(parts, split)
        return chosen

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return images iteration * size, ... of an endless sequence of permutations.

        Every epoch shows every training image once; a batch may cross into the next.
        """
        check_batch_request(iteration, size, seed)
        chosen = self._stream(iteration * size, size, seed)
        levels = _levels(type(self).load, self.bits)[chosen]
        if self.shift:
            rng = train_rng("augmentation", seed, iteration)
            offsets = rng.integers(-self.shift, self.shift, (size, 2), endpoint=True)
            levels = _moved(levels, offsets, self.shift)
        return self._batch(levels, chosen)

    def evaluation(
        self, split: str, size: int | None, batch_size: int
    ) -> Iterator[Batch]:
        """Iterate over the first `size` images (None: all) of a split, in fixed order.

        Raises
        ------
        UnknownName, InvalidValue
            If the split is unknown or empty, or a size is not a positive integer.
        """
        check_split(split)
        chosen = self.indices(split)
        hint = "The task was made with validation=0."
        require(len(chosen) > 0, f"{self.name} {split} set", "must exist", "none", hint)
        if size is not None:
            check_count("evaluation.size", size)
            chosen = chosen[:size]
        check_count("evaluation.batch_size", batch_size)
        levels = _levels(type(self).load, self.bits)
        parts = np.split(chosen, range(batch_size, len(chosen), batch_size))
        return (self._batch(levels[part], part) for part in parts)

    def _stream(self, first: int, size: int, seed: int) -> np.ndarray:
        """Return the image numbers at `size` positions of the stream of a seed."""
        train = self.indices("train")
        last = first + size - 1
        epochs = range(first // len(train), last // len(train) + 1)
        orders = [train_rng("order", seed, e).permutation(train) for e in epochs]
        start = first - epochs.start * len(train)
        return np.concatenate(orders)[start : start + size]

    def _batch(self, levels: np.ndarray, chosen: np.ndarray) -> Batch:
        rows = np.repeat(levels.transpose(1, 0, 2), self.steps_per_row, axis=0)
        if self.encoding == "spikes":
            x = thermometer(rows, self.bits, self.levels)
        else:
            x = graded(rows, self.bits)
        mask = np.zeros(self.n_steps, np.float32)
        mask[-self.steps_per_row :] = 1.0
        return Batch(np.ascontiguousarray(x), type(self).load().labels[chosen], mask)


def eprop_settings(
    n_rec: int, tau_a: float, weight_decay: float, iterations: int
) -> dict[str, dict[str, Any]]:
    """Return a recommended configuration, chosen by hand among about a dozen.

    Parameters
    ----------
    n_rec
        Cells, half of them adaptive with time constant `tau_a` (ms).
    weight_decay, iterations
        As in `[optimizer]` and `[training]`.
    """
    return {
        "network": {
            "cell": "ALIF",
            "n_rec": n_rec,
            "adaptive_fraction": 0.5,
            "tau_m": 20.0,
            "tau_a": tau_a,
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
            "weight_decay": weight_decay,
        },
        "training": {"iterations": iterations, "batch_size": 64},
    }


def _moved(levels: np.ndarray, offsets: np.ndarray, most: int) -> np.ndarray:
    """Move image b of (B, h, w) down and right by offsets[b], at most `most` pixels."""
    n, height, width = levels.shape
    padded = np.pad(levels, ((0, 0), (most, most), (most, most)))
    rows = np.arange(height) + most - offsets[:, :1]
    columns = np.arange(width) + most - offsets[:, 1:]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


@functools.cache
def _levels(load: Callable[[], LabelledImages], bits: int) -> np.ndarray:
    data = load()
    return grey_levels(data.images, data.white, bits)


@functools.lru_cache(maxsize=8)
def _split(
    load: Callable[[], LabelledImages], validation: int, test: int, seed: int
) -> Split:
    return stratified_split(load().labels, validation, test, seed)
