"""Claims C1 and C2 of the study `generalization`: gaps of rules, gaps and curvature."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from spikelearn.studies.base import Claim, Row
from spikelearn.studies.generalization_parts import (
    ORDER,
    Pair,
    correlation,
    gap_of,
    judge,
    judge_over_seeds,
    values_of,
    with_sets,
)
from spikelearn.studies.judging import BySeed, Part, minus, part_name, parts_of
from spikelearn.studies.matched_loss import GAPS
from spikelearn.studies.statistics import mean_over_seeds

__all__ = ["gaps_and_curvature", "gaps_of_rules"]


def gaps_of_rules(base: list[Row]) -> list[Claim]:
    """Return C1: how large gaps are, and how much they vary (`base`: one view)."""
    parts = with_sets(parts_of(base, "problem"))

    def by_rule(part: Part) -> dict[str, BySeed]:
        return {rule: gap_of(base, part, rule=rule) for rule in ORDER}

    def worse(part: Part) -> BySeed:
        gaps = by_rule(part)
        return minus(gaps["e-prop"], gaps["bptt"])

    def order(part: Part) -> BySeed:
        gaps = by_rule(part)
        seeds = [s for s in gaps["bptt"] if all(s in gaps[rule] for rule in ORDER)]
        places = range(len(ORDER))
        return {
            s: correlation(places, [gaps[rule][s] for rule in ORDER]) for s in seeds
        }

    def sum_and_difference(part: Part) -> Pair:
        """Return what correlates if one of the two varies more (Pitman, Morgan)."""
        local, truth = (gap_of(base, part, rule=r) for r in ("e-prop", "bptt"))
        both = {seed: local[seed] + truth[seed] for seed in local if seed in truth}
        return both, minus(local, truth)

    tables = {part_name(part): by_rule(part) for part in parts}
    detail = {
        "gaps": {n: _by_rule(t, np.mean) for n, t in tables.items()},
        "deviations": {n: _by_rule(t, _spread) for n, t in tables.items()},
    }
    return [
        judge(
            "C1 worse",
            "E-prop generalises worse than BPTT.",
            parts,
            worse,
            test="gap of e-prop minus that of BPTT",
            detail=detail | {"accuracy": _accuracies(base, parts)},
        ),
        judge(
            "C1 order",
            "The gap grows from BPTT over ModProp and MDGL to e-prop.",
            parts,
            order,
            test="Spearman correlation of the gap with that order, within a seed",
            detail={"steps": _steps(tables)},
        ),
        judge_over_seeds(
            "C1 variable",
            "The gap of e-prop varies more over seeds than that of BPTT.",
            {part_name(part): sum_and_difference(part) for part in parts},
            test="Pitman and Morgan's correlation over seeds of sum and difference of "
            "the gaps of e-prop and BPTT",
        ),
    ]


def _by_rule(
    table: dict[str, BySeed], function: Callable[[list[float]], Any]
) -> dict[str, float | None]:
    return {
        rule: float(function(list(gaps.values()))) if len(gaps) > 1 else None
        for rule, gaps in table.items()
    }


def _spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1))


def _steps(tables: dict[str, dict[str, BySeed]]) -> dict[str, list[float]]:
    """Return the growth of the gap from rule to rule, each with its interval."""
    found = {}
    for one, other in itertools.pairwise(ORDER):
        parts = [minus(table[other], table[one]) for table in tables.values()]
        seeds = {seed for part in parts for seed in part}
        means = {s: float(np.mean([p[s] for p in parts if s in p])) for s in seeds}
        if len(means) > 1:
            estimate = mean_over_seeds(means)
            interval = [estimate.effect, estimate.ci_low, estimate.ci_high]
            found[f"{other} - {one}"] = interval
    return found


def _accuracies(base: list[Row], parts: list[Part]) -> dict[str, dict[str, Any]]:
    """Return the mean gap in accuracy by part and rule."""
    names = [f"{GAPS[part['set']]}_accuracy" for part in parts]
    return {
        part_name(part): _by_rule(
            {
                rule: values_of(base, name, problem=part["problem"], rule=rule)
                for rule in ORDER
            },
            np.mean,
        )
        for part, name in zip(parts, names, strict=True)
    }


def gaps_and_curvature(view: list[Row], base: list[Row]) -> list[Claim]:
    """Return C2: over all runs of a seed, and over seeds with the usual step."""
    parts = with_sets(parts_of(base, "problem"))

    def pooled(part: Part) -> BySeed:
        found = {}
        for seed in dict.fromkeys(row["seed"] for row in view):
            runs = [
                (row["lam"], row[GAPS[part["set"]]])
                for row in view
                if row["seed"] == seed and row["problem"] == part["problem"]
            ]
            known = [run for run in runs if None not in run]
            if len(known) > 2:
                lams, gaps = zip(*known, strict=True)
                found[seed] = correlation(lams, gaps)
        return found

    return [
        judge(
            "C2 pooled",
            "The gap grows with the leading eigenvalue, over rules and steps.",
            parts,
            pooled,
            test="Spearman correlation of gap and eigenvalue over all runs of a seed",
        ),
        judge_over_seeds(
            "C2 within",
            "The gap grows with the leading eigenvalue, over seeds.",
            _within_rules(base, parts),
            test="Pearson correlation of gap and eigenvalue over the seeds of a rule",
        ),
    ]


def _within_rules(base: list[Row], parts: list[Part]) -> dict[str, Pair]:
    """Return gap and eigenvalue of seeds, by problem, test set and rule."""
    found = {}
    for part in (one | {"rule": rule} for one in parts for rule in ORDER):
        where = {"problem": part["problem"], "rule": part["rule"]}
        found[part_name(part)] = gap_of(base, part), values_of(base, "lam", **where)
    return found
