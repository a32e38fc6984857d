"""The answer of `curvature`: as JSON, and as tables."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from spikelearn.analysis.curvature import KINDS, Eigenvalue, FieldShape
from spikelearn.analysis.curvature_points import CurvaturePoint
from spikelearn.analysis.generalisation import Generalisation, Scores
from spikelearn.analysis.loss_slices import LossSlice
from spikelearn.analysis.sharpness import RoundingSharpness
from spikelearn.analysis.surrogate_field import STEP
from spikelearn.cli._common import console, print_table

__all__ = ["CurvatureAnswer", "answer_json", "print_answer"]


@dataclass(frozen=True)
class CurvatureAnswer:
    """All that is measured of a run; what is not along training is at `best`."""

    points: list[CurvaturePoint]
    best: CurvaturePoint
    by_bits: list[RoundingSharpness]
    field: FieldShape | None
    slices: dict[str, LossSlice]
    generalisation: Generalisation
    missing: dict[str, str]
    feedback: str
    l2: float

    @property
    def kinds(self) -> list[str]:
        """Names of the kinds that were measured."""
        noise = ["weight-noise"] if self.best.noise is not None else []
        rounding = ["rounding-noise", "rounding"] if self.by_bits else []
        return [*self.best.ends, *noise, *rounding]


def answer_json(answer: CurvatureAnswer, sigma: float) -> dict[str, Any]:
    """Return plain values; what is not finite is None."""
    gaps = answer.generalisation
    field = None
    if answer.field is not None:
        field = dataclasses.asdict(answer.field) | {"step": STEP}
    values = {
        "best_iteration": answer.best.iteration,
        "parameters": list(next(iter(_vectors(answer.best)), ("w_rec",))),
        "kinds": {kind: KINDS[kind] for kind in answer.kinds},
        "not_defined": answer.missing,
        "feedback": answer.feedback,
        "sigma": sigma,
        "l2": answer.l2,
        "points": [_point(point) for point in answer.points],
        "bits": [
            {
                "bits": one.bits,
                "noise": dataclasses.asdict(one.noise),
                "rounded": one.rounded,
            }
            for one in answer.by_bits
        ],
        "surrogate_field": field,
        "slices": {
            name: {"steps": one.steps.tolist(), "losses": one.losses.tolist()}
            for name, one in answer.slices.items()
        },
        "generalisation": dataclasses.asdict(gaps)
        | {
            "gap": gaps.gap,
            "accuracy_gap": gaps.accuracy_gap,
            "shifted_gap": gaps.shifted_gap,
            "shifted_accuracy_gap": gaps.shifted_accuracy_gap,
        },
    }
    finite: dict[str, Any] = _finite(values)
    return finite


def _vectors(point: CurvaturePoint) -> list[dict[str, Any]]:
    return [largest.vector for largest, _ in point.ends.values()]


def _point(point: CurvaturePoint) -> dict[str, Any]:
    return {
        "iteration": point.iteration,
        "loss": point.loss,
        "gradient_norm": point.gradient_norm,
        "eigenvalues": {
            kind: {"largest": _eigenvalue(high), "smallest": _eigenvalue(low)}
            for kind, (high, low) in point.ends.items()
        },
        "rules": {
            label: dataclasses.asdict(component)
            | {"bound_of_rule": point.bound_of(label)}
            for label, component in point.rules.items()
        },
        "bound": point.bound,
        "noise": None if point.noise is None else dataclasses.asdict(point.noise),
    }


def _eigenvalue(found: Eigenvalue) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("value", "residual", "iterations")}


def _finite(value: Any) -> Any:
    """Return a value with None for every number that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_answer(answer: CurvatureAnswer) -> None:
    """Print tables for people."""
    _print_points(answer)
    if answer.field is not None:
        field = answer.field
        console.print(
            f"surrogate-field: asymmetry {field.asymmetry:.2g} (0: a Hessian, 1: "
            f"independent entries), largest singular value >= {field.singular:.4g}, "
            f"step {STEP:g} of the weights"
        )
    if answer.by_bits:
        rows = [
            [
                str(one.bits),
                f"{_number(one.noise.mean)} ({_number(one.noise.error)})",
                _number(one.rounded),
            ]
            for one in answer.by_bits
        ]
        columns = ["bits", "noise (s.e.)", "rounded"]
        print_table("Growth of the loss by bits of all weights", columns, rows)
    _print_scores(answer.generalisation)
    rows = [[kind, KINDS[kind]] for kind in answer.kinds]
    rows += [[kind, f"not defined for {why}"] for kind, why in answer.missing.items()]
    print_table("Kinds", ["kind", "meaning"], rows)


def _print_points(answer: CurvatureAnswer) -> None:
    """Print what is along training: the loss, then a table per kind and per rule."""
    some = answer.best.bound is not None
    columns = ["iteration", "loss", "|gradient|"]
    columns += [] if answer.best.noise is None else ["growth under noise (s.e.)"]
    rows = []
    for point in answer.points:
        row = [_number(point.loss), _number(point.gradient_norm)]
        if point.noise is not None:
            error = _number(point.noise.error)
            row.append(f"{_number(point.noise.mean)} ({error})")
        rows.append(row)
    _print_along("Loss along training", columns, answer, rows)
    for kind in answer.best.ends:
        rows = []
        for point in answer.points:
            ends = [end.value for end in point.ends[kind]]
            rows.append([_number(n) for n in (*ends, *[point.bound] * some)])
        columns = ["iteration", "largest", "smallest", *["bound"] * some]
        _print_along(f"Curvature over w_rec: {kind}", columns, answer, rows)
    for label in answer.best.rules:
        rows = []
        for point in answer.points:
            one, of_rule = point.rules[label], point.bound_of(label)
            kept = (one.rho, one.cosine, *[of_rule] * some)
            rows.append([_number(n) for n in kept])
        columns = ["iteration", "rho", "cosine", *["bound / rho"] * some]
        _print_along(f"Gradient kept by {label}", columns, answer, rows)
    if some:
        console.print(
            "bound: the largest eigenvalue at which the optimiser is stable, "
            "2 (1 + momentum) / eta; of a rule it is bound / rho.",
            highlight=False,
        )


def _print_along(
    title: str, columns: list[str], answer: CurvatureAnswer, rows: list[list[str]]
) -> None:
    marks = [" (best)" if point is answer.best else "" for point in answer.points]
    points = zip(answer.points, marks, rows, strict=True)
    found = [[f"{point.iteration}{mark}", *row] for point, mark, row in points]
    print_table(title, columns, found)


def _print_scores(gaps: Generalisation) -> None:
    sets: dict[str, Scores | None] = {
        "train": gaps.train,
        gaps.split: gaps.held_out,
        f"{gaps.split}, shifted by {gaps.sigma:g}": gaps.shifted,
    }
    rows = []
    for name, scores in sets.items():
        if scores is not None:
            accuracy = "-" if scores.accuracy is None else f"{scores.accuracy:.2%}"
            gap = _number(scores.loss - gaps.train.loss)
            row = [name, str(scores.samples), _number(scores.loss), accuracy, gap]
            rows.append(row)
    columns = ["trials", "samples", "loss", "accuracy", "loss - training"]
    print_table("Generalisation", columns, rows)


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"
