"""Scaling the recurrent weights of a network until its largest exponent has a value.

The third way to make families of connectivity comparable, beside the norm and the
spectral radius (`connectivity.match`): the same growth of small changes under the same
input. It is flossing with the term "scaling", which changes one number, so that rank,
signs, balance and masks stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.kernels.vector import aligned_empty
from spikelearn.learning.flossing import Flossing
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.tangent import Linearised

__all__ = ["LyapunovMatch", "largest_exponent", "match_lyapunov"]

UNCOUNTED, PASSES = 4, 12  # of tangents through the trials, to settle and in all
FEWEST_STEPS = 50  # of a pass, which takes short trials several times
MOST_STEPS = 30  # of flossing
OCTAVES = 8  # factors that are tried lie within 2^-8 and 2^8
BISECTIONS = 20
ACROSS = 5  # tolerances by which an exponent that jumps may miss
RATE = 0.7  # part of the way that a step goes
NEWEST = 1e-9  # weight of one more pass in what all passes measured
LARGEST_STEP = 0.3  # of the norm of the weights
Point = tuple[float, float]  # a factor and the exponent that it gives


@dataclass(frozen=True)
class LyapunovMatch:
    """What came out: weights times `factor` have the exponent `exponent` per step."""

    factor: float
    exponent: float


def largest_exponent(
    network: RecurrentNetwork,
    x: np.ndarray,
    *,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> float:
    """Return the exponent that flossing moves, per step.

    That of the voltages, without reset and with the pseudo-derivative of `Flossing`,
    as the mean over trials x (T, B, n_in) that each begin at the zero state. Tangents
    are carried from the end of a trial to its beginning, twelve times or more if it is
    short; all but the first third counts, because the growth of one trial may swing for
    ever.

    Raises
    ------
    InvalidValue
        If the trajectory is not finite, no neuron passes a change on, or a delay is
        longer than a step.
    """
    linearised = Linearised(network, Flossing().jacobian)
    vectors = linearised.start(x.shape[1], 1, np.random.default_rng(rng))
    return _growth(linearised, _trials(network, x, threads), vectors, threads)


def _growth(
    linearised: Linearised, record: Record, vectors: np.ndarray, threads: int
) -> float:
    """Return the mean of log r over the passes that count. Mutates `vectors`."""
    means = [
        linearised.run(record, vectors, threads=threads).log_r.mean(dtype=np.float64)
        for _ in range(PASSES)
    ]
    return float(np.mean(means[UNCOUNTED:]))


def _trials(network: RecurrentNetwork, x: np.ndarray, threads: int) -> Record:
    """Return the record of trials, for tangents several times if they are short."""
    record = network.run(x, threads=threads)
    times = -(-FEWEST_STEPS // record.n_steps)
    if times == 1:
        return record
    once = record.trajectory.distance
    distance = aligned_empty(
        (len(once), times * once.shape[1], once.shape[2]), once.dtype
    )
    distance[...] = np.tile(once, (1, times, 1))
    trajectory = record.trajectory._replace(distance=distance)
    return replace(record, y=np.tile(record.y, (times, 1, 1)), trajectory=trajectory)


def match_lyapunov(
    network: RecurrentNetwork,
    x: np.ndarray,
    target: float,
    *,
    tolerance: float = 1e-3,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LyapunovMatch:
    """Scale the recurrent weights until `largest_exponent` is the target.

    It flosses with the term "scaling"; where that does not arrive, because the exponent
    falls with the gain or jumps, factors from 2^-8 to 2^8 are tried, the closest to
    where flossing came first, until two enclose the target; these are bisected. Where
    the exponent jumps over the target (units change sides together), the nearer side
    does within five tolerances.

    Parameters
    ----------
    network
        Its `params.w_rec` are changed in place.
    x : (T, B, n_in) array
        Input of trials.
    target
        Exponent per step.
    tolerance
        Largest difference that counts as reached.
    rng
        Draws the first tangents.
    threads
        Threads over samples. Results do not depend on it.

    Raises
    ------
    InvalidValue
        If no factor reaches the target: the message names the exponents that can be
        reached, and the weights are as they were. Also as `largest_exponent`, and if
        all weights are 0.
    """
    require(np.isfinite(target), "match.lyapunov", "must be finite", target)
    good = 0 < tolerance < np.inf
    require(good, "match.tolerance", "must be > 0 and finite", tolerance)
    weights = network.params.w_rec.astype(np.float64)
    norm = float(np.linalg.norm(weights))
    rule = "must be asked of weights that are not all 0"
    require(norm > 0, "match.lyapunov", rule, norm, "There is nothing to scale.")
    Flossing(term="scaling").check(network)
    seed = rng if isinstance(rng, int) else int(rng.integers(2**63))

    def exponent(factor: float) -> float | None:
        network.params.w_rec[...] = factor * weights
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return largest_exponent(network, x, rng=seed, threads=threads)
        except InvalidValue:  # runs away, or nothing passes
            return None

    with np.errstate(over="ignore", invalid="ignore"):
        found = _flossed(network, x, target, weights, tolerance, seed, threads)
    if not _close(exponent(found), target, tolerance):
        try:
            found = _searched(exponent, found, target, tolerance)
        except InvalidValue:
            network.params.w_rec[...] = weights
            raise
    reached = exponent(found)
    assert reached is not None
    return LyapunovMatch(found, reached)


def _close(value: float | None, target: float, tolerance: float) -> bool:
    return value is not None and abs(value - target) <= tolerance


def _flossed(
    network: RecurrentNetwork,
    x: np.ndarray,
    target: float,
    weights: np.ndarray,
    tolerance: float,
    seed: int,
    threads: int,
) -> float:
    """Return the factor at which flossing came closest to the target."""
    norm, factor = float(np.linalg.norm(weights)), 1.0
    flossing = Flossing(
        term="scaling", target=target, rate=RATE, max_step=np.inf, smoothing=NEWEST
    )
    state = flossing.start(network, x.shape[1], np.random.default_rng(seed))
    closest, found = np.inf, factor
    for _ in range(MOST_STEPS):
        network.params.w_rec[...] = factor * weights
        linearised = Linearised(network, flossing.jacobian)
        try:
            record = _trials(network, x, threads)
            reached = _growth(linearised, record, state["vectors"], threads)
            state["exponents"][0] = reached
            step = flossing.step(network, record, state, threads=threads)
        except InvalidValue:  # runs away, or nothing passes
            break
        if abs(reached - target) < closest:
            closest, found = abs(reached - target), factor
        relative = float(np.sum(step.move * weights)) / (factor * norm**2)
        factor *= 1 + min(max(relative, -LARGEST_STEP), LARGEST_STEP)
        if closest <= tolerance or abs(np.log2(factor)) > OCTAVES:
            break
    return found


def _searched(
    exponent: Callable[[float], float | None],
    start: float,
    target: float,
    tolerance: float,
) -> float:
    """Return a factor that reaches the target, found by trial and bisection."""
    octaves = sorted(
        range(-OCTAVES, OCTAVES + 1), key=lambda k: abs(k - float(np.log2(start)))
    )
    tried: dict[int, Point] = {}
    jumps = []
    for k in octaves:
        reached = exponent(2.0**k)
        if reached is None:
            continue
        tried[k] = point = 2.0**k, reached
        if _close(reached, target, tolerance):
            return point[0]
        for other in (tried.get(k - 1), tried.get(k + 1)):
            if other is None or (other[1] - target) * (reached - target) > 0:
                continue
            ends = _bisected(exponent, (other, point), target, tolerance)
            nearer = min(ends, key=lambda end: abs(end[1] - target))
            if _close(nearer[1], target, ACROSS * tolerance):
                return nearer[0]
            jumps.append(ends)
    raise _out_of_reach(sorted(tried.values()), jumps, target)


def _bisected(
    exponent: Callable[[float], float | None],
    pair: tuple[Point, Point],
    target: float,
    tolerance: float,
) -> tuple[Point, Point]:
    """Return two factors, with exponents, that enclose the target closely."""
    low, high = pair
    for _ in range(BISECTIONS):
        factor = float(np.sqrt(low[0] * high[0]))
        reached = exponent(factor)
        if reached is None:
            break
        if (reached - target) * (low[1] - target) > 0:
            low = factor, reached
        else:
            high = factor, reached
        if _close(reached, target, tolerance):
            break
    return low, high


def _out_of_reach(
    tried: list[Point], jumps: list[tuple[Point, Point]], target: float
) -> InvalidValue:
    hint = "Scaling keeps all else: change the family, the cells or the input."
    where = "match.lyapunov target"
    if not tried:
        rule = "must be asked of a network through which a change passes"
        return InvalidValue(f"{where} {rule}; got one that passes none. ({hint})")
    found = [reached for _, reached in tried]
    factors = f"for weights times {tried[0][0]:.3g} to {tried[-1][0]:.3g}"
    rule = f"{min(found):+.4f} to {max(found):+.4f} per step {factors}"
    if jumps:
        below, above = sorted(reached for _, reached in jumps[0])
        rule += f", but for {below:+.4f} to {above:+.4f}, over which it jumps"
    return InvalidValue(
        f"{where} must be within reach, {rule}; got {target:g}. ({hint})"
    )
