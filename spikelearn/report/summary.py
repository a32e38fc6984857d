"""Head of the page: what was run, the numbers that count, which split is which."""

from __future__ import annotations

import math
from typing import Any

from spikelearn.report.html import (
    NARROW,
    Markup,
    card,
    integer,
    percent,
    plural,
    section,
    significant,
    table,
    tag,
)
from spikelearn.report.material import HardwareComparison, History
from spikelearn.runs import Run

__all__ = ["accuracy_interval", "header", "lava_card", "splits_section"]


def accuracy_interval(accuracy: float, samples: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a fraction p of n independent samples.

        (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n),   z = 1.96

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    z2 = 1.959964**2
    middle = accuracy + z2 / (2 * samples)
    spread = math.sqrt(
        z2 * accuracy * (1 - accuracy) / samples + (z2 / (2 * samples)) ** 2
    )
    scale = 1 + z2 / samples
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


def header(
    run: Run,
    result: dict[str, Any] | None,
    validation: History,
    hardware: HardwareComparison | None,
) -> Markup:
    """Return title, one line on the network, and the headline numbers."""
    cards = _score_cards(run, result, validation)
    if hardware is not None:
        cards.append(_fixed_card(hardware))
        cards.append(lava_card(hardware))
    parts = [
        tag("p", f"Report of a spikelearn run: {run.folder.path.name}", class_="kind"),
        tag("h1", run.task.name),
        tag("p", _network_line(run), class_="lead"),
        tag("p", _rule_line(run)),
    ]
    if result is None:
        state = f"{integer(run.iteration)} of {integer(run.config.training.iterations)}"
        text = f"Not finished: iteration {state}. No test score yet. "
        hint = tag("code", f"spikelearn resume {run.folder.path.name}")
        parts.append(tag("p", text, Markup("Continue with "), hint, class_="notice"))
    parts.append(tag("p", _weights_line(run, result)))
    parts.append(tag("div", *cards, class_="cards"))
    return tag("header", *parts)


def _network_line(run: Run) -> str:
    network, section = run.network, run.config.network
    kind = f"{integer(network.n_rec)} {section.cell} neurons"
    if section.cell == "ALIF":
        kind += f" ({round(section.adaptive_fraction * network.n_rec)} adaptive)"
    n_weights = sum(
        array.size for name, array in network.params.arrays().items() if name != "w_rec"
    )
    n_weights += int(network.mask.sum()) if network.mask is not None else 0
    duration = run.task.n_steps * network.dt
    return (
        f"{kind}, {integer(network.n_in)} inputs, {integer(network.n_out)} outputs, "
        f"{integer(n_weights)} parameters; {integer(run.task.n_steps)} steps of "
        f"{network.dt:g}{NARROW}ms ({duration:g}{NARROW}ms) per sample."
    )


def _rule_line(run: Run) -> str:
    learning, optimizer = run.config.learning, run.config.optimizer
    training = run.config.training
    return (
        f"Learning rule {learning.rule} with {learning.feedback} feedback; "
        f"{optimizer.name}, learning rate {optimizer.lr:g}; batches of "
        f"{training.batch_size}; seed {training.seed}."
    )


def _weights_line(run: Run, result: dict[str, Any] | None) -> str:
    best = integer(run.best_iteration)
    so_far = " so far" if result is None else ""
    total = integer(run.config.training.iterations)
    return (
        f"All numbers and figures below use the weights of iteration {best} of {total},"
        f" which scored best on the validation split{so_far}."
    )


def _score_cards(
    run: Run, result: dict[str, Any] | None, validation: History
) -> list[Markup]:
    if result is not None:
        scores = _scores(result, "test")
        samples = int(scores["samples"])
        cards = []
        if math.isfinite(scores["accuracy"]):
            low, high = accuracy_interval(scores["accuracy"], samples)
            note = f"{integer(round(scores['accuracy'] * samples))} of "
            note += f"{integer(samples)} test samples right"
            interval = (
                f"95{NARROW}% interval: {100 * low:.1f} to {100 * high:.1f}{NARROW}%"
            )
            shown = percent(scores["accuracy"])
            cards.append(card("Test accuracy", shown, note, interval))
        note = f"on {plural(samples, 'test sample')}"
        cards.append(card("Test loss", significant(scores["loss"]), note))
        return cards
    at_best = validation.iteration == run.best_iteration
    note = f"validation, iteration {integer(run.best_iteration)}"
    cards = []
    if at_best.any():
        accuracy = float(validation.accuracy[at_best][-1])
        if math.isfinite(accuracy):
            title = "Validation accuracy so far"
            cards.append(card(title, percent(accuracy), note))
        loss = float(validation.loss[at_best][-1])
        cards.append(card("Validation loss so far", significant(loss), note))
    return cards


def _scores(result: dict[str, Any], split: str) -> dict[str, float]:
    """Return the scores of a split, NaN where there are none."""
    names = ("samples", "loss", "accuracy", "rate_hz")
    given = {k: v for k, v in result.get(split, {}).items() if v is not None}
    return {name: float(given.get(name, math.nan)) for name in names}


def _fixed_card(hardware: HardwareComparison) -> Markup:
    samples = f"on {plural(hardware.n_test, 'test sample')}"
    if hardware.accuracy_fixed is None or hardware.accuracy_float is None:
        shown = significant(hardware.loss_fixed)
        note = f"loss {samples}; float {hardware.loss_float:.4g}"
        return card(f"{hardware.bits}-bit emulator", shown, note)
    points = 100 * (hardware.accuracy_fixed - hardware.accuracy_float)
    note = f"accuracy {samples}"
    other = (
        f"float {100 * hardware.accuracy_float:.2f} % on the same: {points:+.2f} points"
    )
    title = f"{hardware.bits}-bit emulator"
    return card(title, percent(hardware.accuracy_fixed), note, other)


def lava_card(hardware: HardwareComparison) -> Markup:
    """Return the verdict of the comparison with Lava, computed from its counts."""
    counts = hardware.lava_counts()
    if counts is None or hardware.verification is None:
        hint = tag("code", "spikelearn verify")
        return card("Emulator against Lava", "not run", Markup(f"Run {hint}."))
    differing, compared = counts
    verification = hardware.verification
    size = f"{plural(int(verification['samples']), 'sample')} \u00d7 "
    size += plural(int(verification["steps"]), "step")
    note = f"{integer(differing)} of {integer(compared)} values differ over {size}"
    good = differing == 0
    shown = "bit for bit equal" if good else "not equal"
    notes = [note]
    if process := verification.get("neuron_process"):
        notes.append(f"neurons: {process}; synapses and readout: Lava's Dense and LIF")
    mood = "good" if good else "bad"
    return card("Emulator against Lava", shown, *notes, mood=mood)


def splits_section(
    run: Run, result: dict[str, Any] | None, hardware: HardwareComparison | None
) -> Markup:
    """Return which split is which, what it was used for, and its scores."""
    training = run.config.training
    limit = training.evaluate_samples
    part = f"its first {integer(limit)} samples" if limit else "all of it"
    integers = ""
    if hardware is not None:
        integers = ", as floats and as integers"
        if result is None or result["test"]["samples"] != hardware.n_test:
            integers = f"; {plural(hardware.n_test, 'sample')} of it as integers too"
    uses = {
        "train": "The weights learn from it.",
        "validation": (
            f"Scored every {integer(training.evaluate_every)} iterations ({part}); "
            "chooses the iteration whose weights are kept. Nothing learns from it."
        ),
        "test": (
            f"Scored at the end{integers}. The run learns and chooses nothing by it."
            if result is not None
            else "Not scored yet."
        ),
    }
    rows = []
    for split, words in run.task.splits.items():
        row = [split, words, uses.get(split, "")]
        scores = _scores(result or {}, split)
        known = math.isfinite(scores["loss"])
        row.append(integer(int(scores["samples"])) if known else "")
        row.append(significant(scores["loss"]) if known else "")
        row.append(percent(scores["accuracy"]) if scores["accuracy"] >= 0 else "")
        rows.append(row)
    header = ["split", "what it is", "what it was used for", "samples", "loss"]
    if run.task.kind == "classification":
        header.append("accuracy")
    if result is None:
        header = header[:3]
    rows = [row[: len(header)] for row in rows]
    return section("Data", table(header, rows, numeric=(3, 4, 5)))
