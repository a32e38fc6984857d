"""Claims C5 of the study `generalization`: what larger steps do."""

from __future__ import annotations

import numpy as np

from spikelearn.studies.base import Claim, Row
from spikelearn.studies.generalization_parts import (
    BASE,
    belongs,
    correlation,
    judge,
    values_of,
    with_sets,
)
from spikelearn.studies.judging import BySeed, Part, minus, parts_of
from spikelearn.studies.matched_loss import GAPS

__all__ = ["decaying_steps", "larger_steps", "steps_too_large"]


def _swept(view: list[Row]) -> list[Part]:
    return parts_of([row for row in view if row["factor"] != 1], "problem", "rule")


def larger_steps(view: list[Row]) -> list[Claim]:
    """Return what steps that are kept do to eigenvalues and gaps of one view."""
    constant = [row for row in view if row["schedule"] == "constant"]
    parts = _swept(view)

    def slope(part: Part, column: str) -> BySeed:
        found = {}
        where = {name: value for name, value in part.items() if name != "set"}
        for seed in dict.fromkeys(row["seed"] for row in constant):
            runs = [row for row in constant if belongs(row, where | {"seed": seed})]
            known = [(r["lr"], r[column]) for r in runs if r[column] is not None]
            if len(known) > 1:
                steps, values = zip(*known, strict=True)
                found[seed] = correlation(steps, values)
        return found

    return [
        judge(
            "C5 eigenvalue",
            "Larger steps lead to smaller leading eigenvalues.",
            parts,
            lambda part: slope(part, "lam"),
            above=False,
            test="Spearman correlation of eigenvalue and step, within a seed",
        ),
        judge(
            "C5 gap",
            "Larger steps lead to smaller gaps.",
            with_sets(parts),
            lambda part: slope(part, GAPS[part["set"]]),
            above=False,
            test="Spearman correlation of gap and step, within a seed",
        ),
    ]


def decaying_steps(view: list[Row]) -> list[Claim]:
    """Return what larger steps do that decay, against the usual one that is kept."""
    decayed = [row for row in view if row["schedule"] == "cosine"]
    parts = parts_of(decayed, "problem", "rule", "factor")

    def change(part: Part, column: str) -> BySeed:
        here = {name: value for name, value in part.items() if name != "set"}
        one = values_of(decayed, column, **here)
        return minus(one, values_of(view, column, **(here | BASE)))

    def log_change(part: Part) -> BySeed:
        sizes = [r | {"lam": None if not r["lam"] else np.log(r["lam"])} for r in view]
        one = values_of(sizes, "lam", schedule="cosine", **part)
        return minus(one, values_of(sizes, "lam", **(part | BASE)))

    return [
        judge(
            "C5 decay eigenvalue",
            "A larger step that decays leads to a smaller leading eigenvalue.",
            parts,
            log_change,
            above=False,
            test="logarithm of the ratio of eigenvalues, decayed to the usual step",
        ),
        judge(
            "C5 decay gap",
            "A larger step that decays leads to a smaller gap.",
            with_sets(parts),
            lambda part: change(part, GAPS[part["set"]]),
            above=False,
            test="gap with a larger step that decays minus that with the usual step",
        ),
    ]


def steps_too_large(rows: list[Row]) -> Claim:
    """Return whether the largest step is too large; it is the same in every view.

    Runs whose numbers run away, or end with more than they began with, count with the
    loss that they began with.
    """
    constant = [row for row in rows if row["schedule"] == "constant"]
    largest = max(row["factor"] for row in constant)
    ends = [row | {"train_loss": _end(row)} for row in constant]
    parts = parts_of([r for r in rows if r["factor"] == largest], "problem", "rule")

    def growth(part: Part) -> BySeed:
        one, other = (
            values_of(ends, "train_loss", factor=factor, **part)
            for factor in (largest, 1.0)
        )
        return minus(one, other)

    return judge(
        "C5 unstable",
        "Steps that are too large harm training.",
        parts,
        growth,
        test=f"training loss at the end, {largest:g} times the step minus the step",
        detail={"runs_away": sum(not row["finite"] for row in constant)},
    )


def _end(row: Row) -> float:
    first, last = row["train_loss"][0], row["train_loss"][-1]
    return first if not row["finite"] or last is None else min(first, last)
