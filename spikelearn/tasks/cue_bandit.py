"""A contextual bandit with a delay: learn from reward which action a cue calls for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from spikelearn.data.encoders import poisson_spikes
from spikelearn.errors import require
from spikelearn.tasks.base import (
    Batch,
    check_count,
    check_number,
    n_steps_of,
    train_rng,
)
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import alif_settings

__all__ = ["CueBandit"]


@dataclass(frozen=True)
class CueBandit(GeneratedTask):
    """Choose an action after a cue and a delay; only the reward tells what was right.

    n_cues + 2 groups of `n_per_group` Poisson inputs: one per cue, go, noise. A cue,
    drawn evenly, fires during `cue_ms`; after the delay the go group fires during
    `decision_ms`, where the mask is 1. The noise group fires throughout. The right
    action of cue c is c modulo n_actions: it brings reward 1 with probability
    p_correct, any other with 1 - p_correct, else 0.

    The target (B, n_actions) holds the reward that each action would bring. Training
    draws it trial by trial. Validation and test hold its expectation instead, so that a
    score depends on the actions and not on luck. The network has n_actions + 1
    outputs: the last is for a critic that predicts the reward.

    Parameters
    ----------
    n_cues
        Number of cues, a multiple of n_actions.
    n_actions
        Number of actions, at least 2.
    p_correct
        Probability of a reward for the right action, 0.5 to 1.
    cue_ms, delay_ms, decision_ms
        Durations, ms; multiples of dt.
    f_cue_hz, f_noise_hz
        Rates of a cue or go, and of the noise group, Hz.
    n_per_group
        Inputs per group.
    dt
        Time step, ms.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    n_cues: int = 4
    n_actions: int = 2
    p_correct: float = 0.9
    cue_ms: float = 100.0
    delay_ms: float = 300.0
    decision_ms: float = 100.0
    f_cue_hz: float = 50.0
    f_noise_hz: float = 10.0
    n_per_group: int = 10
    dt: float = 1.0

    name: ClassVar[str] = "cue-bandit"
    kind: ClassVar[str] = "reward"
    input_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_number(f"{where}.dt", self.dt, above=0, unit="ms")
        check_count(f"{where}.n_actions", self.n_actions, least=2)
        check_count(f"{where}.n_cues", self.n_cues)
        even = self.n_cues % self.n_actions == 0
        hint = "Every action is then right equally often."
        rule = f"must be a multiple of n_actions = {self.n_actions}"
        require(even, f"{where}.n_cues", rule, self.n_cues, hint)
        check_count(f"{where}.n_per_group", self.n_per_group)
        check_number(f"{where}.p_correct", self.p_correct, least=0.5, most=1)
        for field in ("cue_ms", "decision_ms"):
            n_steps_of(f"{where}.{field}", getattr(self, field), self.dt)
        n_steps_of(f"{where}.delay_ms", self.delay_ms, self.dt, least=0)
        for field in ("f_cue_hz", "f_noise_hz"):
            value, largest = getattr(self, field), 1000.0 / self.dt
            check_number(f"{where}.{field}", value, least=0, most=largest, unit="Hz")

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return (self.n_cues + 2) * self.n_per_group

    @property
    def n_out(self) -> int:
        """Number of outputs: the actions and, last, the critic."""
        return self.n_actions + 1

    @property
    def n_steps(self) -> int:
        """Number of time steps T of a trial."""
        return sum(self._steps())

    @property
    def splits(self) -> dict[str, str]:
        """What train, validation and test are, and their sizes, in words."""
        texts = super().splits
        for split in self.evaluation_sizes:
            texts[split] += ", with expected in place of drawn rewards"
        return texts

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """e-prop with random feedback; adaptation as slow as a trial is long."""
        tau_a = float(self.cue_ms + self.delay_ms + self.decision_ms)
        return alif_settings(self.dt, tau_a=tau_a, iterations=2000)

    def train_batch(self, iteration: int, size: int, seed: int) -> Batch:
        """Return trials iteration * size, ... of the stream of `seed`."""
        trials = super().train_batch(iteration, size, seed)
        rngs = (train_rng("reward", seed, iteration * size + b) for b in range(size))
        draws = np.stack([rng.random(self.n_actions) for rng in rngs])
        reward = (draws < trials.target).astype(np.float32)
        return Batch(trials.x, reward, trials.mask)

    def _steps(self) -> tuple[int, int, int]:
        durations = (self.cue_ms, self.delay_ms, self.decision_ms)
        cue, delay, decision = (round(ms / self.dt) for ms in durations)
        return cue, delay, decision

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        n_cue, _, n_decision = self._steps()
        x = np.empty((self.n_steps, len(rngs), self.n_in), np.uint8)
        expected = np.full((len(rngs), self.n_actions), 1.0 - self.p_correct)
        for b, rng in enumerate(rngs):
            cue = int(rng.integers(self.n_cues))
            expected[b, cue % self.n_actions] = self.p_correct
            rates = np.zeros((self.n_steps, self.n_cues + 2))
            rates[:n_cue, cue] = self.f_cue_hz
            rates[-n_decision:, -2] = self.f_cue_hz
            rates[:, -1] = self.f_noise_hz
            x[:, b] = poisson_spikes(rates.repeat(self.n_per_group, 1), self.dt, rng)
        mask = np.zeros(self.n_steps, np.float32)
        mask[-n_decision:] = 1.0
        return Batch(x, expected.astype(np.float32), mask)
