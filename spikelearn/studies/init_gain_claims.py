"""Claims of the study `init-gain`, and how a table of it answers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikelearn.errors import optional_import
from spikelearn.studies.base import Claim, Row
from spikelearn.studies.judging import (
    best_and_worst,
    judged,
    over_parts,
    part_name,
    parts_of,
)
from spikelearn.studies.statistics import by_seed, mean_over_seeds

__all__ = ["WORST_LOSS", "claims"]

WORST_LOSS = 10 * float(np.log(2.0))  # where losses are cut: ten times that of a guess
RECOVERED = 0.8  # of the loss gap, and the cost that is allowed at the best gain
COST = 0.05


def claims(rows: list[Row]) -> list[Claim]:
    """Return the verdicts on A1 to A5, and how much of the loss flossing recovers.

    A part is a task with a cell and, where it says so, a rule. The best and the worst
    gain for a seed are those of the mean test loss of all *other* seeds, so that the
    choice does not use what it is judged by. Effects are averaged over the parts within
    a seed; intervals are over seeds. A claim is "reproduced" if the whole interval lies
    where it says and three quarters of the parts have its sign, and "depends" if only
    the first holds. One seed alone gives no verdict.

    Flossing is judged where there is something to recover: a part has a gap if the 95 %
    interval of the loss at the worst minus that at the best gain is above 0. (Of five
    gains and five seeds without any difference 6 % have one, not 2.5 %, in simulations:
    the choices for two seeds share the others.) Costs at the best gain are logarithms
    of a ratio of losses, in all parts.

    Verdicts are on the test loss at the end. The same numbers for the mean loss of all
    training batches, none of which has been learned from before, say how fast networks
    learn: `detail["on_the_way"]`.
    """
    if len({row["seed"] for row in rows}) < 2:
        return []
    on_the_way = _claims([r | {"test_loss": r["training_loss"]} for r in rows])
    return [
        replace(claim, detail=claim.detail | {"on_the_way": _numbers(other)})
        for claim, other in zip(_claims(rows), on_the_way, strict=True)
    ]


def _numbers(claim: Claim) -> dict[str, Any]:
    """Return what a claim says of another loss."""
    names = ("verdict", "effect", "ci_low", "ci_high")
    detail = {
        n: v for n, v in claim.detail.items() if n in ("parts", "gaps", "recovered")
    }
    return {name: getattr(claim, name) for name in names} | detail


def _claims(rows: list[Row]) -> list[Claim]:
    return [
        _a1(rows),
        _a2(rows),
        _a3(rows),
        *(
            claim
            for flossing in dict.fromkeys(row["flossing"] for row in rows)
            if flossing != "none"
            for claim in _a4_a5(rows, flossing)
        ),
        *_beyond_homeostasis(rows),
    ]


def _losses(rows: list[Row], **where: Any) -> dict[float, dict[int, float]]:
    """Return the test loss by gain and seed; what is not a number counts as the cut."""
    gains = sorted({row["gain"] for row in rows})
    table = {gain: by_seed(rows, "test_loss", gain=gain, **where) for gain in gains}
    return {
        gain: {s: WORST_LOSS if v is None else v for s, v in column.items()}
        for gain, column in table.items()
    }


def _plain(rows: list[Row], *rules: str) -> list[Row]:
    return [r for r in rows if r["flossing"] == "none" and r["rule"] in rules]


def _a1(rows: list[Row]) -> Claim:
    some = _plain(rows, "e-prop", "rflo")

    def gap(part: dict[str, Any]) -> dict[int, float]:
        table = _losses(some, **part)
        result = {}
        for seed in next(iter(table.values())):
            best, worst = best_and_worst(table, seed)
            result[seed] = table[worst][seed] - table[best][seed]
        return result

    means, parts = over_parts(parts_of(some, "task", "cell", "rule"), gap)
    return judged(
        "A1",
        "The initial gain strongly affects what e-prop and RFLO learn.",
        means,
        parts,
        0.0,
        above=True,
        test="test loss at the worst minus that at the best gain, which other seeds "
        "choose",
    )


def _a2(rows: list[Row]) -> Claim:
    some = _plain(rows, "bptt", "e-prop", "rflo")
    local = _plain(rows, "e-prop", "rflo")

    def correlation(part: dict[str, Any]) -> dict[int, float]:
        mine = _losses(some, **part)
        theirs = _losses(some, **{**part, "rule": "bptt"})
        return _correlations(mine, theirs)

    means, parts = over_parts(parts_of(local, "task", "cell", "rule"), correlation)
    return judged(
        "A2",
        "The dependence on the gain mirrors that of BPTT.",
        means,
        parts,
        0.0,
        above=True,
        test="Spearman correlation over gains of the test losses of a local rule and "
        "of BPTT, within a seed",
    )


def _correlations(
    one: dict[float, dict[int, float]], other: dict[float, dict[int, float]]
) -> dict[int, float]:
    """Return Spearman's correlation over gains, by seed; 0 where one is constant."""
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    result = {}
    for seed in next(iter(one.values())):
        pairs = [[one[gain][seed], other[gain][seed]] for gain in one]
        varies = bool(np.all(np.ptp(pairs, axis=0) > 0))
        result[seed] = float(stats.spearmanr(pairs).statistic) if varies else 0.0
    return result


def _a3(rows: list[Row]) -> Claim:
    some = _plain(rows, "bptt", "e-prop", "rflo")
    moved = [
        row | {"test_loss": _distance(row["lam_end"], row["lam_start"])} for row in some
    ]

    def correlation(part: dict[str, Any]) -> dict[int, float]:
        return _correlations(_losses(some, **part), _losses(moved, **part))

    parts = parts_of(some, "task", "cell", "rule")
    means, by_part = over_parts(parts, correlation)
    spread = {
        name: _spread([row[name] for row in some if row[name] is not None])
        for name in ("lam_start", "lam_end")
    }
    return judged(
        "A3",
        "Bad initial gains have to move the largest exponent further.",
        means,
        by_part,
        0.0,
        above=True,
        test="Spearman correlation over gains of the test loss and of how far training "
        "moved the largest exponent, within a seed",
        standard_deviation_of_exponents=spread,
    )


def _distance(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else abs(one - other)


def _spread(values: list[float]) -> float:
    return float(np.std(values)) if values else float("nan")


def _a4_a5(rows: list[Row], flossing: str) -> list[Claim]:
    """Return the claims on one way of flossing e-prop: worst gain, gap, best gain."""
    some = [row for row in rows if row["rule"] == "e-prop"]
    parts = parts_of([r for r in some if r["flossing"] == flossing], "task", "cell")
    found = {part_name(part): _compare(some, part, flossing) for part in parts}
    gaps = {name: mean_over_seeds(part.gap) for name, part in found.items()}
    wide = {name for name, gap in gaps.items() if gap.ci_low > 0}
    recovered = {
        name: sum(found[name].gain.values()) / sum(found[name].gap.values())
        for name in found
        if name in wide
    }
    detail = {
        "gaps": {name: gap.effect for name, gap in gaps.items()},
        "recovered": recovered,
        "recovered_enough": sorted(n for n, r in recovered.items() if r >= RECOVERED),
    }

    def of_flossing(name: str, statement: str, column: str, **given: Any) -> Claim:
        chosen = [p for p in parts if column == "cost" or part_name(p) in wide]
        means, by_part = over_parts(
            chosen, lambda part: getattr(found[part_name(part)], column)
        )
        return judged(f"{name} {flossing}", statement, means, by_part, **given)

    return [
        of_flossing(
            "A4",
            f"Flossing ({flossing}) improves e-prop at the worst gain.",
            "gain",
            bound=0.0,
            above=True,
            test="test loss without minus with flossing at the worst gain, which other "
            "seeds choose, of parts with a gap",
            **detail,
        ),
        of_flossing(
            "A4 gap",
            f"Flossing ({flossing}) recovers {RECOVERED:.0%} of the loss gap to the "
            "best gain.",
            "beyond",
            bound=0.0,
            above=True,
            test=f"gain of flossing at the worst gain minus {RECOVERED} of the gap, of "
            "parts with a gap",
        ),
        of_flossing(
            "A5",
            f"Flossing ({flossing}) costs less than {COST:.0%} of the loss at the best "
            "gain.",
            "cost",
            bound=float(np.log1p(COST)),
            above=False,
            test="logarithm of the ratio of test losses with and without flossing at "
            "the best gain, which other seeds choose",
        ),
    ]


@dataclass(frozen=True)
class _Comparison:
    """What a way of flossing does to a part, by seed."""

    gap: dict[int, float]  # from the worst to the best gain, without flossing
    gain: dict[int, float]  # less loss at the worst gain
    beyond: dict[int, float]  # the same minus what has to be recovered
    cost: dict[int, float]  # log ratio of losses at the best gain


def _compare(rows: list[Row], part: dict[str, Any], flossing: str) -> _Comparison:
    plain = _losses(rows, **part, flossing="none")
    flossed = _losses(rows, **part, flossing=flossing)
    found = _Comparison({}, {}, {}, {})
    for seed in next(iter(plain.values())):
        best, worst = best_and_worst(plain, seed)
        gap = found.gap[seed] = plain[worst][seed] - plain[best][seed]
        gain = found.gain[seed] = plain[worst][seed] - flossed[worst][seed]
        found.beyond[seed] = gain - RECOVERED * gap
        found.cost[seed] = float(np.log(flossed[best][seed] / plain[best][seed]))
    return found


def _beyond_homeostasis(rows: list[Row]) -> list[Claim]:
    """Return whether it is flossing that helps, or the homeostasis beside it."""
    some = [row for row in rows if row["rule"] == "e-prop"]
    ways = "pre-homeostasis", "pre-local"
    parts = parts_of([r for r in some if r["flossing"] == ways[0]], "task", "cell")
    if not parts:
        return []

    def difference(part: dict[str, Any]) -> dict[int, float]:
        plain, alone, both = (
            _losses(some, **part, flossing=way) for way in ("none", *ways)
        )
        worst = {
            seed: best_and_worst(plain, seed)[1] for seed in next(iter(plain.values()))
        }
        return {seed: alone[g][seed] - both[g][seed] for seed, g in worst.items()}

    means, by_part = over_parts(parts, difference)
    return [
        judged(
            "A4 beyond homeostasis",
            "Local flossing of spiking cells helps more than homeostasis alone.",
            means,
            by_part,
            0.0,
            above=True,
            test="test loss with homeostasis alone minus with pre-local, at the worst "
            "gain, which other seeds choose",
        )
    ]
