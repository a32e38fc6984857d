"""Head of the page: what was run, the numbers that count, which split is which."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

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
from spikelearn.report.material import HardwareComparison, History, Sample
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
    sample: Sample,
) -> Markup:
    """Return title, lines on network and learning, and the headline numbers."""
    reward = run.task.kind == "reward"
    if result is None:
        cards = _cards_so_far(run, validation)
    else:
        cards = _test_cards(_scores(result, "test"), reward, sample.per_step)
    if hardware is not None:
        cards.append(_fixed_card(hardware, reward))
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
    kind = f"{integer(network.n_rec)} {section.cell} "
    kind += "neurons" if network.spiking else "units"
    if section.cell == "ALIF":
        kind += f" ({round(section.adaptive_fraction * network.n_rec)} adaptive)"
    if section.cell == "rate":
        kind += f" ({section.activation} {section.placement} the leak)"
    kind = ", ".join([kind, *_structure(run)])
    masks = network.masks
    n_weights = sum(
        int(masks[name].sum()) if name in masks else array.size
        for name, array in network.params.arrays().items()
    )
    duration = run.task.n_steps * network.dt
    return (
        f"{kind}, {integer(network.n_in)} inputs, {integer(network.n_out)} outputs, "
        f"{integer(n_weights)} parameters; {integer(run.task.n_steps)} steps of "
        f"{network.dt:g}{NARROW}ms ({duration:g}{NARROW}ms) per sample."
    )


def _structure(run: Run) -> list[str]:
    """Return in words what sets the network apart from one dense population."""
    network, section = run.network, run.config.network
    words = []
    if len(network.layers) > 1:
        given = section.recurrent
        flags = given if isinstance(given, list) else [given] * len(network.layers)
        sizes = [
            f"{integer(size)} ({'recurrent' if flag else 'feed-forward'})"
            for size, flag in zip(network.layers, flags, strict=True)
        ]
        words.append(f"in layers of {', '.join(sizes[:-1])} and {sizes[-1]}")
    elif not network.masks["w_rec"].any():
        words.append("without recurrent connections")
    if section.density != 1:
        words.append(f"recurrent density {section.density:g}")
    if section.connectivity is not None:
        words.append(f"recurrent connectivity {section.connectivity:.80}")
    if section.match is not None:
        words.append(f"matched by {section.match.replace('_', ' ')}")
    least, most = int(np.min(network.delay)), int(np.max(network.delay))
    if most > 1:
        steps = str(most) if least == most else f"{least} to {most}"
        words.append(f"recurrent delays of {steps} steps")
    if section.excitatory_fraction is not None:
        share = f"{100 * section.excitatory_fraction:g}{NARROW}%"
        words.append(f"{share} excitatory and the rest inhibitory (Dale's law)")
    return words


def _rule_line(run: Run) -> str:
    learning, optimizer = run.config.learning, run.config.optimizer
    training = run.config.training
    rule = learning.rule
    if learning.options:
        options = (f"{name} {value}" for name, value in learning.options.items())
        rule += f" ({', '.join(options)})"
    if learning.update_every:
        rule += f", weights updated every {plural(learning.update_every, 'step')},"
    return (
        f"Learning rule {rule} with {learning.feedback} feedback; "
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


def _test_cards(scores: dict[str, float], reward: bool, per_step: bool) -> list[Markup]:
    samples = int(scores["samples"])
    on = f"on {plural(samples, 'test sample')}"
    if reward:
        return [card("Mean reward", significant(-scores["loss"]), on)]
    cards = []
    if math.isfinite(scores["accuracy"]):
        if per_step:
            notes = [f"of the judged steps right, {on}"]
        else:
            low, high = accuracy_interval(scores["accuracy"], samples)
            note = f"{integer(round(scores['accuracy'] * samples))} of "
            notes = [f"{note}{integer(samples)} test samples right"]
            limits = f"{100 * low:.1f} to {100 * high:.1f}{NARROW}%"
            notes.append(f"95{NARROW}% interval: {limits}")
        cards.append(card("Test accuracy", percent(scores["accuracy"]), *notes))
    cards.append(card("Test loss", significant(scores["loss"]), on))
    return cards


def _cards_so_far(run: Run, validation: History) -> list[Markup]:
    at_best = validation.iteration == run.best_iteration
    note = f"validation, iteration {integer(run.best_iteration)}"
    cards = []
    if at_best.any():
        accuracy = float(validation.accuracy[at_best][-1])
        if math.isfinite(accuracy):
            title = "Validation accuracy so far"
            cards.append(card(title, percent(accuracy), note))
        loss = float(validation.loss[at_best][-1])
        if run.task.kind == "reward":
            shown = significant(-loss)
            return [card("Validation mean reward so far", shown, note)]
        cards.append(card("Validation loss so far", significant(loss), note))
    return cards


def _scores(result: dict[str, Any], split: str) -> dict[str, float]:
    """Return the scores of a split, NaN where there are none."""
    names = ("samples", "loss", "accuracy", "rate_hz")
    given = {k: v for k, v in result.get(split, {}).items() if v is not None}
    return {name: float(given.get(name, math.nan)) for name in names}


def _fixed_card(hardware: HardwareComparison, reward: bool) -> Markup:
    samples = f"on {plural(hardware.n_test, 'test sample')}"
    if reward:
        shown = significant(-hardware.loss_fixed)
        note = f"mean reward {samples}; float {-hardware.loss_float:.4g}"
        return card(f"{hardware.bits}-bit emulator", shown, note)
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
    reward = run.task.kind == "reward"
    rows = []
    for split, words in run.task.splits.items():
        row = [split, words, uses.get(split, "")]
        scores = _scores(result or {}, split)
        known = math.isfinite(scores["loss"])
        row.append(integer(int(scores["samples"])) if known else "")
        score = -scores["loss"] if reward else scores["loss"]
        row.append(significant(score) if known else "")
        row.append(percent(scores["accuracy"]) if scores["accuracy"] >= 0 else "")
        rows.append(row)
    header = ["split", "what it is", "what it was used for", "samples"]
    header.append("mean reward" if reward else "loss")
    if run.task.kind == "classification":
        header.append("accuracy")
    if result is None:
        header = header[:3]
    rows = [row[: len(header)] for row in rows]
    return section("Data", table(header, rows, numeric=(3, 4, 5)))
