"""Claims of the study `generalization`, and how a table of it answers them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikelearn.studies.base import Claim, Row
from spikelearn.studies.generalization_curvature import (
    curvature_of_rules,
    edge_of_stability,
)
from spikelearn.studies.generalization_gaps import gaps_and_curvature, gaps_of_rules
from spikelearn.studies.generalization_parts import BASE, belongs
from spikelearn.studies.generalization_steps import (
    decaying_steps,
    larger_steps,
    steps_too_large,
)
from spikelearn.studies.matched_loss import at_matched_loss, at_the_end

__all__ = ["claims"]

CELLS = {"rate": "rate cells", "LIF": "spiking cells"}


def claims(rows: list[Row]) -> list[Claim]:
    """Return the verdicts on C1 to C5, of rate and of spiking cells separately.

    A gap is the loss of a test set, held-out or shifted, minus that of training. Runs
    are compared where their training loss first comes down to what all rules reach
    with the step of the problem (`matched_loss`); `detail["at_the_end"]` has the same
    numbers at the end of training. C4 is on minima, so it is the other way round
    (`detail["at_matched_loss"]`).

    A part is a problem with, where it says so, a test set and a rule. Effects are
    averaged over parts within a seed, and intervals are Student's over seeds, but for
    "C2 within": its correlations are over seeds, and their interval is Fisher's. The
    seed is the independent repetition everywhere. A claim is "reproduced" if the whole
    interval lies where it says and three quarters of the parts have its sign, and
    "depends" if only the first holds. One seed alone gives no verdict.

    The curvature of spiking cells is that of what stands for the Hessian, which the
    rows name (`lam_kind`).
    """
    if len({row["seed"] for row in rows}) < 2:
        return []
    views = {"at_matched_loss": at_matched_loss(rows), "at_the_end": at_the_end(rows)}
    found = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        some = [row for row in rows if row["cell"] == cell]
        both = {
            name: _claims([row for row in view if row["cell"] == cell], some)
            for name, view in views.items()
        }
        for matched, end in zip(*both.values(), strict=True):
            first = end if matched.id.startswith("C4") else matched
            name, other = (
                ("at_matched_loss", matched) if first is end else ("at_the_end", end)
            )
            words = f"{first.statement[:-1]} ({CELLS.get(cell, cell)})."
            detail = first.detail | {name: _numbers(other)}
            id = f"{first.id} {cell}"
            found.append(replace(first, id=id, statement=words, detail=detail))
    return found


def _numbers(claim: Claim) -> dict[str, Any]:
    """Return what a claim says elsewhere in training."""
    names = ("verdict", "effect", "ci_low", "ci_high", "n")
    return {name: getattr(claim, name) for name in names} | claim.detail


def _claims(view: list[Row], rows: list[Row]) -> list[Claim]:
    """Return the claims of one kind of cells; `rows` is the table itself."""
    base = [row for row in view if belongs(row, BASE)]
    found = [*gaps_of_rules(base), *gaps_and_curvature(view, base)]
    found += [*curvature_of_rules(base), *edge_of_stability(base)]
    if len({row["factor"] for row in rows}) > 1:
        found += [*larger_steps(view), *decaying_steps(view), steps_too_large(rows)]
    return found
