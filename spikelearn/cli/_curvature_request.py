"""What `curvature` is asked for, read from its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spikelearn import runs
from spikelearn.analysis.alignment import reason_against, rule_label
from spikelearn.analysis.curvature import KINDS, reason_against_kind
from spikelearn.analysis.curvature_points import LEAST_SAMPLES
from spikelearn.cli._configuration import chosen_rules
from spikelearn.errors import InvalidValue, require, unknown_name
from spikelearn.learning.rules import Rule

__all__ = ["Request", "read_request"]

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Request:
    """What is to be measured, and why the rest is not."""

    kinds: list[str]
    missing: dict[str, str]
    rules: dict[str, Rule]
    bits: list[int]


def read_request(
    path: Path,
    split: str,
    samples: int,
    kinds: str | None,
    rule: str | None,
    bits: str,
) -> tuple[runs.Run, Request]:
    """Return the run and what is to be measured, checked before it is computed.

    Raises
    ------
    SpikelearnError
        If the run cannot be read, has rewards in place of targets, or a name or number
        is wrong.
    """
    widths = _widths(bits)
    hint = "Curvature is a mean over samples."
    require(samples >= LEAST_SAMPLES, "--samples", "must be >= 2", samples, hint)
    if split not in SPLITS:
        raise unknown_name("split of curvature", split, SPLITS)
    names = list(KINDS) if kinds is None else [k.strip() for k in kinds.split(",")]
    for name in names:
        if name not in KINDS:
            raise unknown_name("kind of curvature", name, KINDS)
    run = runs.load_run(path)
    where, fit = f"run {str(path)!r}", "must have a task with targets"
    hint = "The loss of a reward task depends on the answers that are drawn."
    require(run.task.kind != "reward", where, fit, f"reward task {run.task.name}", hint)
    found = {name: reason_against_kind(run.network, name) for name in names}
    missing = {name: reason for name, reason in found.items() if reason is not None}
    if kinds is not None and missing:
        name, why = next(iter(missing.items()))
        require(False, f"kind {name!r}", "must be defined for the network", why)
    chosen = [name for name in names if name not in missing]
    text = run.config.learning.rule if rule is None else rule
    rules = chosen_rules(text, run.config)
    for one in rules:
        against = reason_against(one, run.network, run.task.kind)
        if against is not None:
            raise InvalidValue(against)
    labelled = {rule_label(one): one for one in rules}
    return run, Request(chosen, missing, labelled, widths)


def _widths(text: str) -> list[int]:
    """Return numbers of bits from "2..8" or "2,4,8"."""
    first, dots, last = text.partition("..")
    try:
        if dots:
            widths = list(range(int(first), int(last) + 1))
        else:
            widths = [int(part) for part in text.split(",")]
    except ValueError:
        widths = []
    good = bool(widths) and min(widths) >= 1 and max(widths) <= 32
    require(good, "--bits", "must be like 2..8 or 2,4,8, from 1 to 32", repr(text))
    return widths
