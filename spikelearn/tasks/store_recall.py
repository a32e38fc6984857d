"""Store and recall: keep a bit on command while other bits pass by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.data.encoders import poisson_spikes
from spikelearn.errors import require
from spikelearn.tasks.base import Batch, check_count, check_number, n_steps_of
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import alif_settings

__all__ = ["StoreRecall"]


@dataclass(frozen=True)
class StoreRecall(GeneratedTask):
    """Keep the bit that was shown with a store command until the recall command.

    A trial has `n_slots` slots. Four groups of `n_per_group` Poisson inputs: bit 0,
    bit 1, store, recall; a group fires at `f_on_hz` or not at all. A random bit is
    shown in every slot but those of a recall. 2 n_events slots, drawn evenly, hold a
    store and a recall command in turn. In the slot of a recall the loss counts, and
    the class of each step is the bit of the store before.

    Source: in the manner of Bellec et al. 2018 (doi:10.48550/arXiv.1803.09574), where
    commands are drawn slot by slot; here every trial has the same number of them.

    Parameters
    ----------
    n_slots
        Slots of a trial.
    n_events
        Pairs of a store and a recall, at most n_slots / 2.
    slot_ms
        Length of a slot, ms; a multiple of dt.
    f_on_hz
        Rate of a group that is on, Hz.
    n_per_group
        Inputs per group.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    n_slots: int = 10
    n_events: int = 2
    slot_ms: float = 100.0
    f_on_hz: float = 50.0
    n_per_group: int = 10
    dt: float = 1.0

    name: ClassVar[str] = "store-recall"
    kind: ClassVar[str] = "classification"
    n_out: ClassVar[int] = 2
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        for field in ("n_slots", "n_events", "n_per_group"):
            check_count(f"{where}.{field}", getattr(self, field))
        fits = 2 * self.n_events <= self.n_slots
        rule = f"must be <= n_slots / 2 = {self.n_slots / 2:g}"
        require(fits, f"{where}.n_events", rule, self.n_events)
        n_steps_of(f"{where}.slot_ms", self.slot_ms, self.dt)
        largest = 1000.0 / self.dt
        check_number(f"{where}.f_on_hz", self.f_on_hz, above=0, most=largest, unit="Hz")

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return 4 * self.n_per_group

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return self.n_slots * round(self.slot_ms / self.dt)

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """e-prop with random feedback; adaptation as slow as a trial is long."""
        tau_a = float(self.n_slots * self.slot_ms)
        return alif_settings(self.dt, tau_a=tau_a, iterations=1000)

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        steps = round(self.slot_ms / self.dt)
        x = np.empty((self.n_steps, len(rngs), self.n_in), np.uint8)
        target = np.zeros((self.n_slots, len(rngs)), np.int64)
        mask = np.zeros((self.n_slots, len(rngs)), np.float32)
        slots = np.arange(self.n_slots)
        for b, rng in enumerate(rngs):
            chosen = rng.choice(self.n_slots, 2 * self.n_events, replace=False)
            store, recall = np.sort(chosen).reshape(self.n_events, 2).T
            bits = rng.integers(2, size=self.n_slots)
            on = np.zeros((self.n_slots, 4))
            on[slots, bits] = 1.0
            on[store, 2] = 1.0
            on[recall] = [0.0, 0.0, 0.0, 1.0]
            target[recall, b] = bits[store]
            mask[recall, b] = 1.0
            rates = on.repeat(steps, axis=0).repeat(self.n_per_group, axis=1)
            x[:, b] = poisson_spikes(self.f_on_hz * rates, self.dt, rng)
        return Batch(x, target.repeat(steps, axis=0), mask.repeat(steps, axis=0))
