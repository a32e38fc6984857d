"""How much memory a sparse network takes, asked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spikelearn.errors import require
from spikelearn.memory import memory_limit_bytes
from spikelearn.network.sparse.rules import PAIRS_AT_ONCE, Explicit
from spikelearn.network.sparse.specs import Population, Projection

__all__ = ["check_memory", "memory_needed", "steps", "width"]

MOST_SYNAPSES = 2**32 - 1  # pointers are uint32
BYTES_PER_PAIR = 48  # while pairs are drawn
BYTES_PER_ROW = 24  # pointers, and counts while building
BYTES_PER_NEURON = 64  # state and spikes of a few steps
BISECTIONS = 40


def width(largest: int) -> int:
    """Return the bytes of the narrowest unsigned integer used for 0..largest."""
    return next(size for size in (1, 2, 4) if largest < 256**size)


def steps(projection: Projection, dt: float) -> tuple[int, int]:
    """Return the shortest and the longest delay of a projection in time steps."""
    low, high = projection.delays
    return round(low / dt), round(high / dt)


def expected_synapses(
    populations: Mapping[str, Population], projections: Sequence[Projection]
) -> list[float]:
    """Return the mean number of synapses of each projection."""
    return [
        p.rule.expected(populations[p.pre].n, sum(populations[q].n for q in p.targets))
        for p in projections
    ]


def memory_needed(
    populations: Mapping[str, Population],
    projections: Sequence[Projection],
    dt: float,
    float_bytes: int = 4,
) -> int:
    """Return the bytes that building and running the network takes at most.

    Recorded spikes come on top, 12 bytes each and twice that while they are joined.
    """
    n = sum(population.n for population in populations.values())
    total = BYTES_PER_PAIR * PAIRS_AT_ONCE + BYTES_PER_NEURON * n
    target, slots = max(width(n - 1), 2), 0
    counts = expected_synapses(populations, projections)
    for projection, count in zip(projections, counts, strict=True):
        low, high = steps(projection, dt)
        extra = width(high - low) if high > low else 0
        slots = max(slots, high - low + 1 if extra else 0)
        total += int((target + extra) * (count + 6.0 * count**0.5))
        total += BYTES_PER_ROW * populations[projection.pre].n
        if isinstance(projection.rule, Explicit):
            total += 40 * int(count)  # sorting
    return total + 2 * slots * n * float_bytes


def check_memory(
    populations: Mapping[str, Population],
    projections: Sequence[Projection],
    dt: float,
    float_bytes: int,
    limit: int | None,
) -> None:
    """Refuse a network that does not fit, and say which size would.

    Raises
    ------
    InvalidValue
        If it needs more than `limit` bytes (None: what the machine has), or has more
        synapses than pointers can tell apart.
    """
    allowed = memory_limit_bytes() if limit is None else limit

    def fits(scale: float) -> bool:
        smaller = {
            name: replace(population, n=max(int(scale * population.n), 1))
            for name, population in populations.items()
        }
        if sum(expected_synapses(smaller, projections)) > 0.999 * MOST_SYNAPSES:
            return False
        return memory_needed(smaller, projections, dt, float_bytes) <= allowed

    if fits(1.0):
        return
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    sizes = {name: int(low * population.n) for name, population in populations.items()}
    needed = memory_needed(populations, projections, dt, float_bytes)
    count = sum(expected_synapses(populations, projections))
    hint = "Not even one neuron per population would fit."
    if all(sizes.values()):
        hint = "With the same rules, populations of " + ", ".join(
            f"{name}: {n}" for name, n in sizes.items()
        )
        hint += " would fit."
    require(
        False,
        "SparseNetwork",
        f"must fit {allowed / 1e9:.3g} GB (memory_limit) and {MOST_SYNAPSES} synapses",
        f"{needed / 1e9:.3g} GB for {count:.3g} synapses",
        hint,
    )
