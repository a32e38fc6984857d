"""Learning from reward alone: an actor and a critic on the readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.losses import (
    LossResult,
    check_mask,
    check_target,
    step_weights,
)

__all__ = ["ActorCritic"]


@dataclass(frozen=True)
class ActorCritic:
    """One action per trial, learned from its reward (reward-based e-prop).

    The readout has n_actions policy units and, last, the critic V. The mask is the
    decision window, with steps first to last and n kept steps. At its end

        u_k = 1/n sum_t m[t] y_k[t],   pi = softmax(u),   a drawn from pi

    and the reward r of this action, the only one that is looked at, arrives at that
    step. With V = 0 after it, the critic gives the reward prediction errors

        delta[t] = [t = last] r + gamma V[t+1] - V[t],     first <= t <= last

    Reward-based e-prop (Bellec et al. 2020) sums delta[t] F_gamma(L ebar)[t] over a
    trial, with F_gamma(x)[t] = sum_{s<=t} gamma^(t-s) x[s]. Exchanging the sums puts
    the advantage A of step s in front of its learning signal,

        sum_t delta[t] F_gamma(x)[t] = sum_s A[s] x[s]
        A[s] = sum_{t>=s} gamma^(t-s) delta[t] = gamma^(last-s) r - V[s]

    so that learning from reward is learning from an error of the readout, averaged over
    the B samples. The policy acts at the last step, on the mean over its window; the
    critic predicts at every step of the window:

        error_k[s] = 1/B m[s]/n  A[last] (pi_k - [k = a])
        error_V[s] = 1/B m[s]/n  (-value_weight) A[s]

    Averaged over actions, error_k is the derivative of minus the expected reward (the
    score-function estimate with the baseline V[last]). error_V is the derivative of
    value_weight / 2 times the mean of (gamma^(last-s) r - V[s])^2.

    Parameters
    ----------
    gamma
        Discount per time step, in [0, 1].
    value_weight
        Weight of the critic's error.
    entropy
        Reward per nat of the entropy of pi, which keeps the policy from settling early:
        adds 1/B m[s]/n entropy pi_k (log pi_k + H) to error_k.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, methods, "Reward-based e-prop".
    """

    gamma: float = 0.99
    value_weight: float = 0.5
    entropy: float = 0.0

    def __post_init__(self) -> None:
        where, rule = "ActorCritic.gamma", "must be in [0, 1]"
        require(0 <= self.gamma <= 1, where, rule, self.gamma)
        for name in ("value_weight", "entropy"):
            value, rule = getattr(self, name), "must be >= 0 and finite"
            require(0 <= value < np.inf, f"ActorCritic.{name}", rule, value)

    def __call__(
        self,
        y: np.ndarray,
        target: np.ndarray,
        mask: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> LossResult:
        """Act in every trial, and return the error of the readout.

        Parameters
        ----------
        y : (T, B, n_actions + 1) array
            Readout: policy units, then the critic.
        target : (B, n_actions) array
            Reward that each action would bring.
        mask : (T,) or (T, B) array
            Decision window.
        rng
            Draws the actions, one number per trial. None: the most probable action.

        Returns
        -------
        LossResult
            `value` is minus the mean reward, `n_correct` the sum of rewards (the
            "accuracy" is the mean reward), `prediction` the actions (B,), `reward` the
            prediction errors delta / B of all steps, 0 outside of first to last, and
            `projection` is 0: no target is shown.

        Raises
        ------
        InvalidValue
            If shapes do not fit or a reward is not finite.
        """
        n_steps, n_samples, n_out = y.shape
        hint = "n_out is the number of actions, and 1 for the critic."
        require(n_out >= 2, "readout", "must have >= 2 units", n_out, hint)
        check_target(target, (n_samples, n_out - 1))
        finite = bool(np.isfinite(target).all())
        require(finite, "loss target", "must be finite", "NaN or infinity")
        check_mask(mask, n_steps, n_samples)

        weight = step_weights(mask, n_samples, mean=True)  # m / (n B)
        policy, critic = y[:, :, :-1].astype(np.float64), y[:, :, -1].astype(np.float64)
        logits = n_samples * np.einsum("tb,tbk->bk", weight, policy)
        choice = _choose(logits, rng)
        samples = np.arange(n_samples)
        reward = target[samples, choice.action].astype(np.float64)
        window = _window(weight > 0)
        value = np.where(window.inside, critic, 0.0)
        following = np.vstack([value[1:], np.zeros(n_samples)])
        delta = np.where(window.inside, self.gamma * following - value, 0.0)
        delta[window.last, samples] += reward
        advantage = self.gamma**window.to_go * reward - value

        score = choice.probability.copy()
        score[samples, choice.action] -= 1.0
        push = advantage[window.last, samples][:, None] * score
        entropy = -(choice.probability * choice.log_probability).sum(axis=1)
        push += self.entropy * (
            choice.probability * (choice.log_probability + entropy[:, None])
        )
        error = np.empty(y.shape, y.dtype)
        error[:, :, :-1] = weight[:, :, None] * push
        error[:, :, -1] = -self.value_weight * weight * advantage
        return LossResult(
            value=-float(reward.mean()),
            error=error,
            n_correct=float(reward.sum()),
            prediction=choice.action,
            projection=np.zeros(y.shape, y.dtype),
            reward=(delta / n_samples).astype(y.dtype),
        )


class _Choice(NamedTuple):
    action: np.ndarray  # (B,) int64
    probability: np.ndarray  # (B, n_actions)
    log_probability: np.ndarray


def _choose(logits: np.ndarray, rng: np.random.Generator | None) -> _Choice:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probability = np.exp(log_probability)
    if rng is None:
        action = logits.argmax(axis=1)
    else:
        cumulative = probability.cumsum(axis=1)
        point = rng.random(len(logits))[:, None] * cumulative[:, -1:]
        action = (cumulative <= point).sum(axis=1)
    return _Choice(action, probability, log_probability)


class _Window(NamedTuple):
    inside: np.ndarray  # (T, B) bool: from the first to the last kept step
    last: np.ndarray  # (B,)
    to_go: np.ndarray  # (T, B): steps to the last one, 0 after it


def _window(kept: np.ndarray) -> _Window:
    n_steps = len(kept)
    steps = np.arange(n_steps)[:, None]
    first = kept.argmax(axis=0)
    last = n_steps - 1 - kept[::-1].argmax(axis=0)
    inside = (steps >= first) & (steps <= last)
    return _Window(inside, last, np.maximum(last - steps, 0))
