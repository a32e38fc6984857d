"""Claims C3 and C4 of the study `generalization`: where rules arrive, and why."""

from __future__ import annotations

import numpy as np

from spikelearn.studies.base import Claim, Row
from spikelearn.studies.generalization_parts import (
    LOCAL,
    belongs,
    judge,
    mapped,
    values_of,
)
from spikelearn.studies.judging import BySeed, Part, minus, part_name, parts_of

__all__ = ["curvature_of_rules", "edge_of_stability"]


def curvature_of_rules(base: list[Row]) -> list[Claim]:
    """Return C3: whether e-prop is where the loss bends more (`base`: one view)."""
    parts = parts_of(base, "problem")

    def pair(part: Part, column: str) -> tuple[BySeed, BySeed]:
        one, other = (
            values_of(base, column, rule=rule, **part) for rule in ("e-prop", "bptt")
        )
        return one, other

    def ratio(part: Part) -> BySeed:
        return minus(*(mapped(v, np.log) for v in pair(part, "lam")))

    errors = {
        part_name(part): float(
            np.mean(list(values_of(base, "lam_error", **part).values()))
        )
        for part in parts_of(base, "problem", "rule")
        if values_of(base, "lam_error", **part)
    }

    return [
        judge(
            "C3 eigenvalue",
            "E-prop is where the leading eigenvalue is larger than with BPTT.",
            parts,
            ratio,
            test="logarithm of the ratio of eigenvalues, e-prop to BPTT",
            detail={"relative_residuals": errors},
        ),
        judge(
            "C3 sharpness",
            "E-prop is where weight noise costs more than with BPTT.",
            parts,
            lambda part: minus(*pair(part, "sharpness")),
            test="growth of the loss by weight noise, e-prop minus BPTT",
        ),
    ]


def edge_of_stability(base: list[Row]) -> list[Claim]:
    """Return C4: the part rho of the gradient that rules keep, and what it explains.

    Gradient descent with step eta is stable at minima with eigenvalues below 2 / eta,
    and a rule that is rho times the gradient below 2 / (rho eta); where rho is not
    above 0 there is no bound, and the run does not count.
    """
    parts = parts_of([row for row in base if row["rule"] in LOCAL], "problem", "rule")
    truth = [part | {"rule": "bptt"} for part in parts_of(base, "problem")]

    def beyond(part: Part, kept: bool = False) -> BySeed:
        """Return log(lam eta / 2), with rho eta in place of eta if asked for."""
        found = {}
        for seed, lam in values_of(base, "lam", **part).items():
            row = next(r for r in base if r["seed"] == seed and belongs(r, part))
            step = row["lr"] * (row["rho_mean"] or 0.0 if kept else 1.0)
            if step > 0:
                found[seed] = float(np.log(lam * step / 2.0))
        return found

    words = "logarithm of the eigenvalue over"
    return [
        judge(
            "C4 part",
            "Local rules keep less than the whole gradient.",
            parts,
            lambda part: values_of(base, "rho_mean", **part),
            bound=1.0,
            above=False,
            test="rho, mean along training",
        ),
        judge(
            "C4 bptt",
            "BPTT ends where the leading eigenvalue is below 2 / eta.",
            truth,
            beyond,
            above=False,
            test=f"{words} 2 / eta, of BPTT",
        ),
        judge(
            "C4 beyond",
            "Local rules end where the leading eigenvalue is above 2 / eta.",
            parts,
            beyond,
            test=f"{words} 2 / eta, of local rules",
        ),
        judge(
            "C4 bound",
            "Local rules end where the leading eigenvalue is below 2 / (rho eta).",
            parts,
            lambda part: beyond(part, kept=True),
            above=False,
            test=f"{words} 2 / (rho eta), with rho the mean along training",
            detail={"without_bound": sum((r["rho_mean"] or 0) <= 0 for r in base)},
        ),
    ]
