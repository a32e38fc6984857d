"""Claims of the study `rich-lazy`, and how a table of it answers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from spikelearn.errors import optional_import
from spikelearn.studies.base import Claim, Row
from spikelearn.studies.judging import judged, minus, over_parts, parts_of
from spikelearn.studies.statistics import by_seed

__all__ = ["CONTROLS", "MEASURES", "claims"]

CONTROLS = ("gaussian", "erdos_renyi(0.1)", "orthogonal", "lognormal")
"""Families that are not experimentally driven."""
NULL = "shuffle("
IN_WORDS = {
    "frobenius": "norm",
    "spectral_radius": "spectral radius",
    "lyapunov": "largest exponent",
}
FEWEST_RANKS = 3  # of a correlation


@dataclass(frozen=True)
class Measure:
    """A column of the table, and whether it is larger where learning is richer."""

    column: str
    words: str
    rich_is_larger: bool = False

    @property
    def logarithm(self) -> bool:
        """Whether differences are those of logarithms: it is no similarity."""
        return self.rich_is_larger


MEASURES = {
    "weights": Measure("weight_change", "change of the recurrent weights", True),
    "representation": Measure("representation_alignment", "alignment of hidden states"),
    "kernel": Measure("ka_bptt", "alignment of tangent kernels"),
}
RATE, SPIKING = {"cell": "rate"}, {"cell": "LIF"}
GROUPS: dict[str, tuple[str, dict[str, Any]]] = {
    "published": ("BPTT in the published settings", {"part": "published"}),
    "images": ("BPTT, rows of images", {"part": "images"}),
    "radius": (
        "BPTT at equal spectral radius",
        {"part": "matched", "match": "spectral_radius", **RATE},
    ),
    "exponent": (
        "BPTT at equal largest exponent",
        {"part": "matched", "match": "lyapunov", **RATE},
    ),
    "e-prop": ("e-prop, rate units", {"part": "short", "rule": "e-prop", **RATE}),
    "spiking": ("BPTT, spiking", {"part": "short", "rule": "bptt", **SPIKING}),
    "spiking radius": (
        "BPTT, spiking, at equal spectral radius",
        {"part": "matched", "match": "spectral_radius", **SPIKING},
    ),
    "spiking exponent": (
        "BPTT, spiking, at equal largest exponent",
        {"part": "matched", "match": "lyapunov", **SPIKING},
    ),
    "spiking e-prop": (
        "e-prop, spiking",
        {"part": "short", "rule": "e-prop", **SPIKING},
    ),
}


def claims(rows: list[Row]) -> list[Claim]:
    """Return the verdicts on B1 to B5.

    B1 and B2 are Spearman correlations over initial ranks, within a seed and a task, of
    the rank with how far weights moved (B1), and with the alignment of hidden states
    and of tangent kernels (B2); for each group of networks by itself, those with
    another rule, of spiking cells, and matched in spectral radius or Lyapunov exponent
    in place of the norm among them. B3 to B5 are differences between networks of the
    same seed: of a family and the Gaussian matrix, of an aligned matrix and a random
    one of the same rank, of the span between ranks at the two gains. Effects are
    averaged over parts (tasks, or families) within a seed; intervals are Student's over
    seeds. A network that ran away, or could not be matched, does not count:
    correlations are over the other ranks of its seed and task, at least three, and
    there are no differences to it. One seed alone gives no verdict.
    """
    if len({row["seed"] for row in rows}) < 2:
        return []
    found = [
        claim
        for group, (words, where) in GROUPS.items()
        for claim in _by_rank(_where(rows, **where), group, words)
    ]
    for cell in dict.fromkeys(row["cell"] for row in rows):
        own = _where(rows, cell=cell)
        families = _where(own, part="families")
        for match in dict.fromkeys(row["match"] for row in families):
            found += _families(_where(families, match=match), match, _suffix(cell))
        found += [*_aligned(own, _suffix(cell)), *_stable(own, _suffix(cell))]
    return found


def _suffix(cell: str) -> str:
    return "" if cell == "rate" else ", spiking"


def _where(rows: list[Row], **where: Any) -> list[Row]:
    return [row for row in rows if all(row[k] == v for k, v in where.items())]


def _values(rows: list[Row], measure: Measure, **where: Any) -> dict[int, float]:
    """Return a measure by seed, of networks that have it."""
    known = [row | {measure.column: row.get(measure.column)} for row in rows]
    found = by_seed(known, measure.column, **where)
    log = np.log if measure.logarithm else float
    return {
        seed: float(log(value))
        for seed, value in found.items()
        if value is not None and (value > 0 or not measure.logarithm)
    }


def _inits(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["init"] for row in rows))


def _by_rank(rows: list[Row], group: str, words: str) -> list[Claim]:
    """Return B1 and B2 of one group of networks."""
    if not rows:
        return []
    names = {"weights": "B1", "representation": "B2", "kernel": "B2"}
    found = []
    for name, measure in MEASURES.items():
        order = partial(_rank_order, rows, measure)
        means, by_part = over_parts(parts_of(rows, "task"), order)
        more = "falls" if measure.rich_is_larger else "grows"
        claim = judged(
            f"{names[name]} {name}, {group}",
            f"The {measure.words} {more} with the initial rank ({words}).",
            means,
            by_part,
            0.0,
            above=not measure.rich_is_larger,
            test="Spearman correlation over initial ranks, within a seed",
            by_rank=_means(rows, measure.column),
            exponent_by_rank=_means(rows, "exponent_start"),
            radius_by_rank=_means(rows, "spectral_radius"),
            diverged=sum(bool(row["diverged"]) for row in rows),
        )
        found.append(claim)
    return found


def _rank_order(rows: list[Row], measure: Measure, part: Row) -> dict[int, float]:
    """Return Spearman's correlation with the order of the ranks, by seed."""
    stats = optional_import("scipy.stats", "studies", "statistics of a study")
    table = [_values(rows, measure, init=init, **part) for init in _inits(rows)]
    result = {}
    for seed in sorted(set().union(*table)):
        known = [(k, v[seed]) for k, v in enumerate(table) if seed in v]
        if len(known) < FEWEST_RANKS:
            continue
        order, column = zip(*known, strict=True)
        varies = np.ptp(column) > 0
        found = stats.spearmanr(order, column).statistic if varies else 0.0
        result[seed] = float(found)
    return result


def _means(rows: list[Row], column: str) -> dict[str, float]:
    """Return the mean over tasks and seeds by initial matrix."""
    values = {
        init: [r[column] for r in rows if r["init"] == init and r.get(column)]
        for init in _inits(rows)
    }
    return {init: float(np.mean(v)) for init, v in values.items() if v}


def _compared(
    id: str,
    statement: str,
    parts: list[Row],
    difference: Callable[[Row], dict[int, float]],
    above: bool,
    test: str,
) -> Claim:
    means, by_part = over_parts(parts, difference)
    return judged(id, statement, means, by_part, 0.0, above=above, test=test)


def _families(rows: list[Row], match: str, suffix: str) -> list[Claim]:
    """Return B3: families against the Gaussian control, connectomes against nulls."""
    some = [
        part
        for part in parts_of(rows, "init")
        if part["init"] not in CONTROLS and not part["init"].startswith(NULL)
    ]
    nulls = [p for p in some if f"{NULL}{p['init']})" in _inits(rows)]
    matched = f"matched in {IN_WORDS[match]}{suffix}"
    gaussian = "that of the family minus that of the Gaussian matrix of the seed"
    rank = Measure("eigenvalue_rank", "effective rank")
    found = []
    if match == "frobenius":  # another scale has the same rank
        found.append(
            _compared(
                f"B3 rank{suffix}",
                f"Experimentally driven families have a lower effective rank{suffix}.",
                some,
                lambda part: minus(
                    _values(rows, rank, **part), _values(rows, rank, init="gaussian")
                ),
                False,
                f"effective rank, {gaussian}",
            )
        )
    for name, measure in MEASURES.items():
        log = "logarithm of the " if measure.logarithm else ""

        def beyond(
            part: Row, other: str = "gaussian", m: Measure = measure
        ) -> dict[int, float]:
            return minus(_values(rows, m, **part), _values(rows, m, init=other))

        def beyond_null(part: Row, of: Callable = beyond) -> dict[int, float]:
            return of(part, f"{NULL}{part['init']})")

        found += [
            _compared(
                f"B3 {name}, {match}{suffix}",
                "Experimentally driven families learn more richly than the Gaussian "
                f"matrix: {measure.words} ({matched}).",
                some,
                beyond,
                measure.rich_is_larger,
                f"{log}{measure.words}, {gaussian}",
            ),
            _compared(
                f"B3 {name} beyond nulls, {match}{suffix}",
                f"Connectomes learn more richly than when shuffled: {measure.words} "
                f"({matched}).",
                nulls,
                beyond_null,
                measure.rich_is_larger,
                f"{log}{measure.words}, that of the connectome minus that of the "
                "shuffled one",
            ),
        ]
    return found


def _aligned(rows: list[Row], suffix: str) -> list[Claim]:
    """Return B4: aligned low rank against random low rank."""
    some = _where(rows, part="aligned")
    aligned = [r for r in some if r["init"].startswith("aligned")]
    parts = parts_of(aligned, "task", "init")
    found = []
    for name, measure in MEASURES.items() if parts else ():
        log = "logarithm of the " if measure.logarithm else ""

        def difference(part: Row, m: Measure = measure) -> dict[int, float]:
            random = part | {"init": part["init"].removeprefix("aligned_")}
            return minus(_values(some, m, **part), _values(some, m, **random))

        found.append(
            _compared(
                f"B4 {name}{suffix}",
                f"Task-aligned low rank learns lazily: {measure.words}{suffix}.",
                parts,
                difference,
                not measure.rich_is_larger,
                f"{log}{measure.words}, aligned minus random matrix of the same rank",
            )
        )
    return found


def _stable(rows: list[Row], suffix: str) -> list[Claim]:
    """Return B5: the effect of rank shrinks where both ends are stable."""
    stable = _where(rows, part="stable")
    usual = _where(rows, part="short", rule="bptt")
    found = []
    for name, measure in MEASURES.items() if stable and usual else ():
        log = "logarithm of the " if measure.logarithm else ""
        sign = -1 if measure.rich_is_larger else 1

        def span(part: Row, some: list[Row], m: Measure, s: int) -> dict[int, float]:
            inits = _inits(some)
            low, full = (
                _values(some, m, init=i, **part) for i in (inits[0], inits[-1])
            )
            return {k: s * v for k, v in minus(full, low).items()}

        def shrinks(part: Row, m: Measure = measure, s: int = sign) -> dict[int, float]:
            return minus(span(part, usual, m, s), span(part, stable, m, s))

        found.append(
            _compared(
                f"B5 {name}{suffix}",
                f"The effect of rank shrinks at a small gain: {measure.words}{suffix}.",
                parts_of(stable, "task"),
                shrinks,
                True,
                f"span of the {log}{measure.words} between full rank and rank 1, at "
                "gain 1.25 minus at 0.5",
            )
        )
    return found
