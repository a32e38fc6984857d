"""Claims of the study `oja`, and how a table of it answers them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikelearn.studies.base import Claim, Row
from spikelearn.studies.judging import (
    BySeed,
    Part,
    best_and_worst,
    judged,
    over_parts,
    parts_of,
)
from spikelearn.studies.statistics import by_seed, mean_over_seeds

__all__ = ["CONTROL", "FORMS", "MEASURES", "WORST_LOSS", "claims"]

WORST_LOSS = {
    "gains": 10 * float(np.log(2.0)),
    "delays": 10 * float(np.log(2.0)),
    "stack": 10 * float(np.log(10.0)),
}
"""Where losses are cut, by part of the study: ten times that of a guess."""
GUESS = {"delays": 0.5, "stack": 0.1}  # accuracy, also of a network that diverged
SOLVED = 0.75  # accuracy half-way from a guess to no error
CONTROL = "weight-decay"
FORMS = ("rescaled", "subspace")

Effects = tuple[BySeed, dict[str, float], dict[str, Any]]
"""Means over parts by seed, means over seeds by part, and further detail."""


@dataclass(frozen=True)
class Pair:
    """Rows of one kind of cell, a form of plasticity, and what it is compared to."""

    rows: list[Row]
    form: str
    other: str

    def kept(self, *parts: str, layers: range = range(1, 1000)) -> Pair:
        """Return the pair with the rows of these parts of the study alone."""
        rows = [r for r in self.rows if r["part"] in parts and r["layers"] in layers]
        return dataclasses.replace(self, rows=rows)

    def effect(
        self,
        column: str,
        part: Mapping[str, Any],
        effect: Callable[[float, float], float],
        missing: float | None = None,
    ) -> BySeed:
        """Return effect(of the form, of the other) by seed.

        Seeds for which one of both has no value are left out, unless `missing` says
        what stands for it.
        """
        mine, theirs = (
            by_seed(self.rows, column, form=form, **part)
            for form in (self.form, self.other)
        )
        result = {}
        for seed in sorted(mine.keys() & theirs.keys()):
            one, two = mine[seed], theirs[seed]
            one, two = (missing if value is None else value for value in (one, two))
            if one is not None and two is not None:
                result[seed] = effect(one, two)
        return result

    def over_gains(
        self,
        column: str,
        effect: Callable[[float, float], float],
        missing: float | None = None,
    ) -> Effects:
        """Return the effect with every initial gain as a part."""
        parts = parts_of(self.rows, "gain")

        def value(part: Part) -> BySeed:
            return self.effect(column, part, effect, missing)

        return (*over_parts(parts, value), {})


def _log_ratio(mine: float, theirs: float) -> float:
    return float(np.log(theirs / mine))


def _more(mine: float, theirs: float) -> float:
    return mine - theirs


def _less(mine: float, theirs: float) -> float:
    return theirs - mine


def _online(pair: Pair) -> Effects:
    return pair.kept("gains").over_gains("training_loss", _log_ratio)


def _divergences(pair: Pair) -> Effects:
    means, by_gain, _ = pair.kept("gains").over_gains("diverged", _less)
    overall = {"all gains": float(np.mean(list(means.values())))} if means else {}
    return means, overall, {"by_gain": by_gain}


def _robust(pair: Pair) -> Effects:
    """Return by how much the gap from the best to the worst gain is narrower.

    The best and the worst gain of a form for a seed are those of the mean loss of all
    other seeds.
    """
    mine, theirs = (
        _losses(pair.kept("gains").rows, form) for form in (pair.form, pair.other)
    )
    narrower, better, cost = {}, {}, {}
    for seed in next(iter(mine.values()), {}):
        (best, worst), (their_best, their_worst) = (
            [table[gain][seed] for gain in best_and_worst(table, seed)]
            for table in (mine, theirs)
        )
        narrower[seed] = (their_worst - their_best) - (worst - best)
        better[seed], cost[seed] = their_worst - worst, best - their_best
    parts = {"gap": float(np.mean(list(narrower.values())))} if narrower else {}
    detail = {"worst": _estimate(better), "cost_at_best": _estimate(cost)}
    return narrower, parts, detail


def _losses(rows: list[Row], form: str) -> dict[float, BySeed]:
    """Return the test loss by gain and seed."""
    gains = sorted({row["gain"] for row in rows})
    table = {g: by_seed(rows, "test_loss", form=form, gain=g) for g in gains}
    return {
        gain: {seed: loss for seed, loss in column.items() if loss is not None}
        for gain, column in table.items()
    }


def _estimate(values: BySeed) -> dict[str, float] | None:
    if len(values) < 2:
        return None
    found = mean_over_seeds(values)
    return {n: getattr(found, n) for n in ("effect", "ci_low", "ci_high")}


def _dimension(pair: Pair) -> Effects:
    some = pair.kept("gains")
    rank = over_parts(
        parts_of(some.rows, "gain"),
        lambda part: some.effect("effective_rank", part, _log_growth),
    )
    means, parts, _ = some.over_gains("participation_ratio", _log_growth)
    return means, parts, {"effective_rank": _estimate(rank[0])}


def _log_growth(mine: float, theirs: float) -> float:
    return -_log_ratio(mine, theirs)


def _deep_accuracy(pair: Pair) -> Effects:
    some = pair.kept("stack", layers=range(2, 1000))
    means, parts, _ = some.over_gains("test_accuracy", _more, GUESS["stack"])
    shallow = [r["test_accuracy"] for r in pair.kept("stack").rows if r["layers"] == 1]
    known = [value for value in shallow if value is not None]
    detail = {"accuracy_of_one_layer": float(np.mean(known)) if known else None}
    return means, parts, detail


def _angle(pair: Pair) -> Effects:
    some = pair.kept("stack", layers=range(2, 1000))
    return some.over_gains("cosine", _more)


def _memory(pair: Pair) -> Effects:
    """Return the difference of accuracies, averaged over delays; parts are gains."""
    of_delays = pair.kept("delays")
    gains = {row["gain"] for row in of_delays.rows}
    rows = [row for row in pair.kept("gains", "delays").rows if row["gain"] in gains]
    some = dataclasses.replace(pair, rows=rows)

    def mean_over_delays(part: dict[str, Any]) -> BySeed:
        inside = [row for row in rows if row["gain"] == part["gain"]]
        means, _ = over_parts(
            [{**part, **delay} for delay in parts_of(inside, "delay")],
            lambda p: some.effect("test_accuracy", p, _more, GUESS["delays"]),
        )
        return means

    means, parts = over_parts(parts_of(of_delays.rows, "gain"), mean_over_delays)
    solved = {form: _longest(rows, form) for form in (pair.form, pair.other)}
    return means, parts, {"longest_delay_solved": solved}


def _longest(rows: list[Row], form: str) -> dict[str, int]:
    """Return by gain the longest delay at which the mean accuracy is `SOLVED`."""
    found = {}
    for gain in sorted({row["gain"] for row in rows}):
        longest = 0
        for delay in sorted({row["delay"] for row in rows}):
            column = by_seed(rows, "test_accuracy", form=form, gain=gain, delay=delay)
            known = [GUESS["delays"] if v is None else v for v in column.values()]
            if known and np.mean(known) >= SOLVED:
                longest = delay
        found[f"{gain:g}"] = longest
    return found


@dataclass(frozen=True)
class Measure:
    """A claim: what it says, and its effect, > 0 where the form does what it says."""

    statement: str
    test: str
    effects: Callable[[Pair], Effects]


MEASURES = {
    "D1": Measure(
        "It makes learning from single trials faster.",
        "logarithm of the ratio of mean losses over training, by gain",
        _online,
    ),
    "D1 divergences": Measure(
        "Fewer networks diverge in learning from single trials.",
        "fewer networks that diverged, as a share of all gains",
        _divergences,
    ),
    "D2": Measure(
        "Learning depends less on the initial gain.",
        "gap of test losses from the best to the worst gain, each chosen by other "
        "seeds, without minus with the form",
        _robust,
    ),
    "D3": Measure(
        "Activity has more dimensions.",
        "logarithm of the ratio of participation ratios in test trials, by gain, of "
        "pairs whose numbers stayed finite",
        _dimension,
    ),
    "D4": Measure(
        "Deep stacks with random feedback generalise better.",
        "difference of accuracies on held-out digits, by gain",
        _deep_accuracy,
    ),
    "D4 angle": Measure(
        "Updates of deep stacks point more along the true gradient.",
        "difference of cosines with the gradient of backpropagation through time, "
        "averaged over training, by gain",
        _angle,
    ),
    "D5": Measure(
        "Networks remember for longer.",
        "difference of accuracies on new trials, averaged over delays, by gain",
        _memory,
    ),
}


def claims(rows: list[Row]) -> list[Claim]:
    """Return the verdicts on D1 to D5, for rate cells and spiking ones by themselves.

    Every claim is made of the rescaled and of the subspace form of Oja's rule, compared
    with nothing and, a second time, with weight decay ("beyond decay"): what decay does
    as well is mere shrinkage. Controls are weight decay compared with nothing, and the
    textbook form, which is expected to collapse the activity.

    Effects are averaged over the parts (initial gains) within a seed; intervals are
    over seeds. A claim is "reproduced" if the whole interval is above 0 and three
    quarters of the parts are, and "depends" if only the first holds. D2 also depends
    where the gap is narrower but the loss at the worst gain is not shown to be lower.
    Intervals are those of each claim alone, and there are many claims. One seed alone
    gives no verdict.
    """
    if len({row["seed"] for row in rows}) < 2:
        return []
    forms = {row["form"] for row in rows}
    compared = [(form, other) for other in ("none", CONTROL) for form in FORMS]
    compared.append((CONTROL, "none"))
    found = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        some = [row for row in rows if row["cell"] == cell]
        for name, measure in MEASURES.items():
            for form, other in compared:
                if {form, other} <= forms:
                    found.append(_claim(name, measure, cell, Pair(some, form, other)))
        if {"neuron", "none"} <= forms:
            found.append(_collapse(cell, Pair(some, "neuron", "none")))
    return found


def _claim(name: str, measure: Measure, cell: str, pair: Pair) -> Claim:
    means, parts, detail = measure.effects(pair)
    against = "nothing" if pair.other == "none" else "weight decay"
    beyond = " beyond decay" if pair.other == CONTROL else ""
    claim = judged(
        f"{name} {pair.form} {cell}{beyond}",
        f"{measure.statement} ({cell} cells: {pair.form} against {against})",
        means,
        parts,
        0.0,
        above=True,
        test=measure.test,
        measure=name,
        cell=cell,
        form=pair.form,
        other=pair.other,
        **detail,
    )
    worst = detail.get("worst")
    if claim.verdict == "reproduced" and worst and worst["ci_low"] <= 0:
        return dataclasses.replace(claim, verdict="depends")
    return claim


def _collapse(cell: str, pair: Pair) -> Claim:
    means, parts, detail = _dimension(pair)
    return judged(
        f"collapse neuron {cell}",
        f"The textbook form collapses the activity ({cell} cells, against nothing).",
        means,
        parts,
        0.0,
        above=False,
        test=MEASURES["D3"].test,
        measure="collapse",
        cell=cell,
        form="neuron",
        other="none",
        **detail,
    )
