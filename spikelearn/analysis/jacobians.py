"""Factors of the Jacobian of a rule, of which `tangent_kernel` makes kernels.

With delta = dE/di of E = y_k[t, b], which the reverse sweep of a rule gives
(`PathRule.credit`), and the outputs r that arrive d steps late,

    J[(b, t, k), (j, i)] = sum_(s <= t) delta_j[s] r_i[s - d_ji]

delta and r are the factors. They are kept, J is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.learning.rules import RULES, Rule
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = [
    "Factors",
    "Tile",
    "check_steps",
    "factor_bytes",
    "factored",
    "jacobian_factors",
    "kernel_rule",
]

TILE_ROWS = 1024  # of a kernel that are computed at a time


@dataclass(frozen=True)
class Tile:
    """Factors of the rows of some trials; a row is an output at a step, (t, k).

    `credit[s]` is the first row that step s has credit for, and an array (rows, trials,
    n_rec). `output` is r, (T + 1, trials, n_rec), with zeros at the end for what never
    arrives. `absent` are the entries of J for connections that do not exist, (rows,
    trials, connections), where they are few.
    """

    n_rows: int
    n_trials: int
    credit: dict[int, tuple[int, np.ndarray]]
    output: np.ndarray
    absent: np.ndarray

    @property
    def n_terms(self) -> int:
        """Number of credit vectors of a trial."""
        return sum(len(piece) for _, piece in self.credit.values())


@dataclass(frozen=True)
class Factors:
    """Factors of a Jacobian: tiles of consecutive trials, mask and delays."""

    tiles: tuple[Tile, ...]
    mask: np.ndarray
    delay: int | np.ndarray


def kernel_rule(rule: Rule) -> PathRule:
    """Return the rule if it has a Jacobian.

    Raises
    ------
    InvalidValue
        If it is not linear in an error of the readout that it is told.
    """
    if isinstance(rule, PathRule) and rule.info.signal == "error":
        return rule
    known = [
        name
        for name, kind in RULES.items()
        if issubclass(kind, PathRule) and kind.info.signal == "error"
    ]
    raise InvalidValue(
        f"rule of a tangent kernel must be one of {', '.join(known)}; got "
        f"{rule.info.name!r}. (Others are not a choice of paths from an error.)"
    )


def check_steps(steps: Sequence[int] | None, n_steps: int) -> tuple[int, ...]:
    """Return the steps of the rows in order; None stands for all.

    Raises
    ------
    InvalidValue
        If there is none, or one is not a step of the trial.
    """
    given = range(n_steps) if steps is None else steps
    chosen = tuple(sorted({int(t) for t in given}))
    good = bool(chosen) and chosen[0] >= 0 and chosen[-1] < n_steps
    rule = f"must be steps from 0 to {n_steps - 1}"
    require(good, "steps of a tangent kernel", rule, list(given))
    return chosen


def factor_bytes(network: RecurrentNetwork, n_steps: int, steps: Sequence[int]) -> int:
    """Return the memory that the factors of a trial take at most, in bytes."""
    earliest = int(np.min(network.delay))
    terms = network.n_out * sum(max(t + 1 - earliest, 0) for t in steps)
    rows = terms + n_steps + 1 + network.n_out * len(steps)
    return rows * network.n_rec * network.params.rows.itemsize


def jacobian_factors(
    network: RecurrentNetwork,
    record: Record,
    rule: Rule,
    steps: Sequence[int] | None = None,
    threads: int = 1,
) -> Factors:
    """Return the factors of the Jacobian of a rule for a recorded batch.

    Feedback is symmetric, so that rules differ in their paths alone.

    Parameters
    ----------
    record
        Of `network.run` with the states that the rule needs.
    steps
        Steps whose outputs are rows; None: all.

    Raises
    ------
    InvalidValue
        If the rule has no Jacobian or does not suit the network, or a step is wrong.
    """
    rule, steps = kernel_rule(rule), check_steps(steps, record.n_steps)
    n_out, n_trials = network.n_out, record.n_samples
    n_rows, earliest = len(steps) * n_out, int(np.min(network.delay))
    size = max(TILE_ROWS // n_rows, 1)
    slices = [slice(b, min(b + size, n_trials)) for b in range(0, n_trials, size)]
    pieces: list[dict[int, np.ndarray]] = [{} for _ in slices]
    for part, trials in zip(pieces, slices, strict=True):
        for s in range(earliest, steps[-1] + 1):
            later = sum(t >= s for t in steps) * n_out
            shape = (later, trials.stop - trials.start, network.n_rec)
            part[s] = np.empty(shape, network.dtype)
    error = np.zeros((record.n_steps, n_trials, n_out), network.dtype)
    feedback = network.params.w_out.T
    for row in range(n_rows):
        t, k = steps[row // n_out], row % n_out
        error[t, :, k] = 1.0
        signal = LearningSignal(error=error, feedback=feedback)
        credit = rule.credit(network, record, signal, threads)
        error[t, :, k] = 0.0
        for part, trials in zip(pieces, slices, strict=True):
            for s in range(earliest, t + 1):
                part[s][row - n_rows] = credit[s, trials]
    output = record.output
    never = np.zeros_like(output[:1])
    output = np.concatenate([output, never])
    mask = network.masks["w_rec"]
    tiles = tuple(
        _tile(n_rows, part, output[:, trials], mask, network.delay)
        for part, trials in zip(pieces, slices, strict=True)
    )
    return Factors(tiles, mask, network.delay)


def _tile(
    n_rows: int,
    pieces: dict[int, np.ndarray],
    output: np.ndarray,
    mask: np.ndarray,
    delay: int | np.ndarray,
) -> Tile:
    """Return a tile without the rows that have no credit at a step."""
    credit = {}
    for s in list(pieces):
        piece = pieces.pop(s)
        some = np.flatnonzero(piece.any(axis=(1, 2)))
        if some.size:
            first, last = int(some[0]), int(some[-1]) + 1
            kept = piece if last - first == len(piece) else piece[first:last].copy()
            credit[s] = (n_rows - len(piece) + first, kept)
    output = np.ascontiguousarray(output)
    n_trials = output.shape[1]
    post, pre = np.nonzero(~mask)
    if not factored(mask, delay):
        post, pre = post[:0], pre[:0]
    absent = np.zeros((n_rows, n_trials, post.size), output.dtype)
    for s, (first, piece) in credit.items():
        arriving = output[max(s - int(np.max(delay)), -1)][:, pre]
        absent[first : first + len(piece)] += piece[..., post] * arriving
    return Tile(n_rows, n_trials, credit, output, absent)


def factored(mask: np.ndarray, delay: int | np.ndarray) -> bool:
    """Return whether rows need not be formed."""
    few = mask.size - int(np.count_nonzero(mask)) <= len(mask)
    return few and not isinstance(delay, np.ndarray)
