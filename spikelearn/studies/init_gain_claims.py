"""Claims of the study `init-gain`, and how a table of it answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikelearn.errors import optional_import
from spikelearn.studies.base import Claim, Row, Verdict
from spikelearn.studies.statistics import by_seed, mean_over_seeds

__all__ = ["WORST_LOSS", "claims"]

WORST_LOSS = 10 * float(np.log(2.0))  # where losses are cut: ten times that of a guess
AGREEING = 0.75  # share of parts with the sign of the claim
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


def _parts(rows: Iterable[Row], *names: str) -> list[dict[str, Any]]:
    distinct = {tuple(row[name] for name in names): None for row in rows}
    return [dict(zip(names, values, strict=True)) for values in distinct]


def _losses(rows: list[Row], **where: Any) -> dict[float, dict[int, float]]:
    """Return the test loss by gain and seed; what is not a number counts as the cut."""
    gains = sorted({row["gain"] for row in rows})
    table = {gain: by_seed(rows, "test_loss", gain=gain, **where) for gain in gains}
    return {
        gain: {s: WORST_LOSS if v is None else v for s, v in column.items()}
        for gain, column in table.items()
    }


def _chosen(table: dict[float, dict[int, float]], seed: int) -> tuple[float, float]:
    """Return the best and the worst gain by the mean loss of all other seeds."""
    means = {
        gain: float(np.mean([v for s, v in column.items() if s != seed]))
        for gain, column in table.items()
    }
    return min(means, key=means.__getitem__), max(means, key=means.__getitem__)


def _by_part(
    parts: list[dict[str, Any]], value: Callable[[dict[str, Any]], dict[int, float]]
) -> tuple[dict[int, float], dict[str, float]]:
    """Return the mean over parts by seed, and over seeds by part."""
    tables = {" ".join(part.values()): value(part) for part in parts}
    seeds = sorted({seed for table in tables.values() for seed in table})
    means = {
        seed: float(np.mean([t[seed] for t in tables.values() if seed in t]))
        for seed in seeds
    }
    by_part = {n: float(np.mean(list(t.values()))) for n, t in tables.items() if t}
    return means, by_part


def _judged(
    id: str,
    statement: str,
    means: dict[int, float],
    parts: dict[str, float],
    bound: float,
    *,
    above: bool,
    test: str,
    **detail: Any,
) -> Claim:
    """Return a claim on the mean of a number over seeds; without any, none is shown."""
    detail |= {"parts": parts}
    if not means:
        nothing = (None, None, None, 0, f"{test}: there are none")
        return Claim(id, statement, "not reproduced", *nothing, detail)
    estimate = mean_over_seeds(means)
    side = {"above": bound} if above else {"below": bound}
    verdict: Verdict = estimate.verdict(**side)
    agree = np.mean([v > bound if above else v < bound for v in parts.values()])
    if verdict == "reproduced" and agree < AGREEING:
        verdict = "depends"
    return Claim(
        id,
        statement,
        verdict,
        estimate.effect,
        estimate.ci_low,
        estimate.ci_high,
        estimate.n,
        f"{test}; Student's 95 % interval over seeds",
        detail | {"parts_agreeing": float(agree), "d_z": estimate.size},
    )


def _plain(rows: list[Row], *rules: str) -> list[Row]:
    return [r for r in rows if r["flossing"] == "none" and r["rule"] in rules]


def _a1(rows: list[Row]) -> Claim:
    some = _plain(rows, "e-prop", "rflo")

    def gap(part: dict[str, Any]) -> dict[int, float]:
        table = _losses(some, **part)
        result = {}
        for seed in next(iter(table.values())):
            best, worst = _chosen(table, seed)
            result[seed] = table[worst][seed] - table[best][seed]
        return result

    means, parts = _by_part(_parts(some, "task", "cell", "rule"), gap)
    return _judged(
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

    means, parts = _by_part(_parts(local, "task", "cell", "rule"), correlation)
    return _judged(
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

    parts = _parts(some, "task", "cell", "rule")
    means, by_part = _by_part(parts, correlation)
    spread = {
        name: _spread([row[name] for row in some if row[name] is not None])
        for name in ("lam_start", "lam_end")
    }
    return _judged(
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
    parts = _parts([r for r in some if r["flossing"] == flossing], "task", "cell")
    found = {" ".join(part.values()): _compare(some, part, flossing) for part in parts}
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

    def judged(name: str, statement: str, column: str, **given: Any) -> Claim:
        chosen = [p for p in parts if column == "cost" or " ".join(p.values()) in wide]
        means, by_part = _by_part(
            chosen, lambda part: getattr(found[" ".join(part.values())], column)
        )
        return _judged(f"{name} {flossing}", statement, means, by_part, **given)

    return [
        judged(
            "A4",
            f"Flossing ({flossing}) improves e-prop at the worst gain.",
            "gain",
            bound=0.0,
            above=True,
            test="test loss without minus with flossing at the worst gain, which other "
            "seeds choose, of parts with a gap",
            **detail,
        ),
        judged(
            "A4 gap",
            f"Flossing ({flossing}) recovers {RECOVERED:.0%} of the loss gap to the "
            "best gain.",
            "beyond",
            bound=0.0,
            above=True,
            test=f"gain of flossing at the worst gain minus {RECOVERED} of the gap, of "
            "parts with a gap",
        ),
        judged(
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
        best, worst = _chosen(plain, seed)
        gap = found.gap[seed] = plain[worst][seed] - plain[best][seed]
        gain = found.gain[seed] = plain[worst][seed] - flossed[worst][seed]
        found.beyond[seed] = gain - RECOVERED * gap
        found.cost[seed] = float(np.log(flossed[best][seed] / plain[best][seed]))
    return found


def _beyond_homeostasis(rows: list[Row]) -> list[Claim]:
    """Return whether it is flossing that helps, or the homeostasis beside it."""
    some = [row for row in rows if row["rule"] == "e-prop"]
    ways = "pre-homeostasis", "pre-local"
    parts = _parts([r for r in some if r["flossing"] == ways[0]], "task", "cell")
    if not parts:
        return []

    def difference(part: dict[str, Any]) -> dict[int, float]:
        plain, alone, both = (
            _losses(some, **part, flossing=way) for way in ("none", *ways)
        )
        worst = {seed: _chosen(plain, seed)[1] for seed in next(iter(plain.values()))}
        return {seed: alone[g][seed] - both[g][seed] for seed, g in worst.items()}

    means, by_part = _by_part(parts, difference)
    return [
        _judged(
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
