"""Evidence accumulation: name the side with more cues."""

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

__all__ = ["EvidenceAccumulation"]


@dataclass(frozen=True)
class EvidenceAccumulation(GeneratedTask):
    """Count left and right cues, wait, and say at recall which were more.

    Four groups of `n_per_group` Poisson inputs: left, right, recall, noise. A side is
    drawn evenly; each of `n_cues` cues is then on the other side with probability
    `p_group`. Cue c starts at gap_ms + c (cue_ms + gap_ms). After the last cue and the
    delay, the recall group fires for `recall_ms`, where the loss counts. The noise
    group fires throughout; the first step is silent. The class is the side of most
    cues: 0 left, 1 right.

    Source: Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), Methods, with the
    timing of the published code; after Morcos & Harvey 2016 (doi:10.1038/nn.4403).

    Parameters
    ----------
    n_cues
        Number of cues, odd.
    cue_ms, gap_ms, delay_ms, recall_ms
        Durations in ms; multiples of dt.
    f_cue_hz
        Rate of the cued side during a cue, and of the recall group, Hz.
    f_noise_hz
        Rate of the noise group, Hz.
    p_group
        Probability of a cue on the side that was not drawn, 0 to 0.5.
    n_per_group
        Inputs per group.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    n_cues: int = 7
    cue_ms: float = 100.0
    gap_ms: float = 50.0
    delay_ms: float = 1050.0
    recall_ms: float = 150.0
    f_cue_hz: float = 40.0
    f_noise_hz: float = 10.0
    p_group: float = 0.3
    n_per_group: int = 10
    dt: float = 1.0

    name: ClassVar[str] = "evidence-accumulation"
    kind: ClassVar[str] = "classification"
    n_out: ClassVar[int] = 2
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.n_cues", self.n_cues)
        odd = self.n_cues % 2 == 1
        hint = "An even number can end in a tie."
        require(odd, f"{where}.n_cues", "must be odd", self.n_cues, hint)
        check_count(f"{where}.n_per_group", self.n_per_group)
        for field in ("cue_ms", "recall_ms"):
            n_steps_of(f"{where}.{field}", getattr(self, field), self.dt)
        for field in ("gap_ms", "delay_ms"):
            n_steps_of(f"{where}.{field}", getattr(self, field), self.dt, least=0)
        for field in ("f_cue_hz", "f_noise_hz"):
            value, largest = getattr(self, field), 1000.0 / self.dt
            check_number(f"{where}.{field}", value, least=0, most=largest, unit="Hz")
        check_number(f"{where}.p_group", self.p_group, least=0, most=0.5)

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return 4 * self.n_per_group

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        cue, gap, delay, recall = self._steps()
        return self.n_cues * (cue + gap) + delay + recall

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """e-prop with random feedback in the published settings, but for two.

        A weaker rate term (0.5 in place of 2) and a step size that falls like a cosine
        were chosen by hand on seeds 0 and 1, among about a dozen settings. The mean
        training accuracy of the last 50 iterations is then 92.9 to 95.3 % for seeds 0
        to 4, where the published values keep crossing 93 %.
        """
        return alif_settings(self.dt)

    def _steps(self) -> tuple[int, int, int, int]:
        durations = (self.cue_ms, self.gap_ms, self.delay_ms, self.recall_ms)
        cue, gap, delay, recall = (round(ms / self.dt) for ms in durations)
        return cue, gap, delay, recall

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        x = np.empty((self.n_steps, len(rngs), self.n_in), np.uint8)
        target = np.empty(len(rngs), np.int64)
        for b, rng in enumerate(rngs):
            cues = self._draw_cues(rng)
            target[b] = 2 * cues.sum() > self.n_cues
            x[:, b] = poisson_spikes(self._rates(cues), self.dt, rng)
        x[0] = 0
        mask = np.zeros(self.n_steps, np.float32)
        mask[-self._steps()[3] :] = 1.0
        return Batch(x, target, mask)

    def _draw_cues(self, rng: np.random.Generator) -> np.ndarray:
        p_right = self.p_group if rng.random() < 0.5 else 1.0 - self.p_group
        return (rng.random(self.n_cues) < p_right).astype(np.int64)

    def _rates(self, cues: np.ndarray) -> np.ndarray:
        cue, gap, _, recall = self._steps()
        rates = np.zeros((self.n_steps, 4))
        for c, side in enumerate(cues):
            start = gap + c * (cue + gap)
            rates[start : start + cue, side] = self.f_cue_hz
        rates[-recall:, 2] = self.f_cue_hz
        rates[:, 3] = self.f_noise_hz
        return np.repeat(rates, self.n_per_group, axis=1)
