"""Rest of the page: integers, and how to make the run again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import tomli_w

from spikelearn.report.charts import Chart
from spikelearn.report.html import (
    Markup,
    beside,
    figure,
    integer,
    percent,
    plural,
    section,
    significant,
    table,
    tag,
)
from spikelearn.report.machines import differing_spikes
from spikelearn.report.material import HardwareComparison, integer_obstacles
from spikelearn.runs import Run, resolve_config

__all__ = ["commands", "hardware_section", "origin_section"]

STATE_NAMES = {
    "peak_u": "current u",
    "peak_v": "membrane v",
    "peak_threshold": "threshold with adaptation",
}
ERROR_NAMES = {
    "beta_error": "adaptation beta",
    "bias_error": "bias (root mean square)",
    "b_out_error": "b_out (root mean square)",
}
EVENT_NAMES = {
    "u_wraps": "currents that wrapped around",
    "v_saturations": "membranes that saturated",
    "y_wraps": "readout currents that wrapped around",
    "y_saturations": "readouts that saturated",
}
SPIKE_NAMES = {
    "spikes_float": "spikes of the float network",
    "spikes_integer": "spikes of the integer network",
    "spikes_differing": "neuron-steps with a different spike",
    "silent_before": "neurons without a spike, float",
    "silent_after": "neurons without a spike, integer",
    "fell_silent": "neurons that fell silent",
    "new_neurons": "neurons that spike in integers only",
}


def hardware_section(
    run: Run,
    hardware: HardwareComparison | None,
    chart: Chart | None,
    notice: str = "",
) -> Markup:
    """Return what became of the network as integers, or how to find out."""
    title = "As integers"
    warning = [tag("p", notice, class_="notice")] if notice else []
    if hardware is None or chart is None:
        if obstacles := integer_obstacles(run):
            text = f"This network has no form as integers: {'; '.join(obstacles)}."
            return section(title, *warning, tag("p", text))
        name = shlex.quote(run.folder.path.name)
        lines = f"spikelearn export {name}\nspikelearn verify {name}"
        lines += f"\nspikelearn report {name}"
        text = "" if notice else "This network has not been turned into integers yet. "
        text += (
            "Quantise it, compare the result with Lava step by step, and write this "
            "report again:"
        )
        return section(title, *warning, tag("p", text), tag("pre", lines))
    parts = [*warning, tag("p", _scores_line(hardware, run.task.kind)), figure(chart)]
    parts.append(beside(_pair_table(hardware), _lava_table(hardware)))
    parts += _quantization_tables(hardware.quantization)
    return section(title, *parts)


def _scores_line(hardware: HardwareComparison, kind: str) -> str:
    name, sign = ("Mean reward", -1) if kind == "reward" else ("Loss", 1)
    scores = (
        f"{name} on {plural(hardware.n_test, 'test sample')}: "
        f"{sign * hardware.loss_float:#.4g} as floats, "
        f"{sign * hardware.loss_fixed:#.4g} as integers"
    )
    accuracies = (hardware.accuracy_float, hardware.accuracy_fixed)
    shown = [f"{100 * a:.2f} %" for a in accuracies if a is not None]
    if len(shown) == 2:
        scores += f"; accuracy {shown[0]} and {shown[1]}"
    return f"Weights of {hardware.bits} bits. {scores}."


def _pair_table(hardware: HardwareComparison) -> list[Markup]:
    total = hardware.spikes_float.size
    rows = [
        [f"{a} and {b}", integer(count), percent(count / total)]
        for (a, b), count in differing_spikes(hardware).items()
    ]
    header = ["pair", "differing spikes", f"of {integer(total)} neuron-steps"]
    title = tag("h3", "Differing spikes in this sample")
    return [title, table(header, rows, numeric=(1, 2))]


def _lava_table(hardware: HardwareComparison) -> list[Markup]:
    verification = hardware.verification
    if verification is None:
        return []
    names = {
        "u": "current u",
        "v": "membrane v",
        "b": "adaptation b",
        "spikes": "spikes",
        "y": "readout y",
    }
    rows = [
        [words, integer(int(verification[f"differing_{name}"]))]
        for name, words in names.items()
        if verification.get(f"differing_{name}") is not None
    ]
    seconds = verification.get("seconds")
    time = f", {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    samples, steps = int(verification["samples"]), int(verification["steps"])
    size = f"{plural(samples, 'sample')} of {plural(steps, 'step')}{time}."
    title = tag("h3", "Emulator against Lava")
    numbers = table(["state", "differing values"], rows, numeric=(1,))
    first = verification.get("first")
    if isinstance(first, dict):
        where = ", ".join(f"{key} {content}" for key, content in first.items())
        size += f" First difference: {where}."
    return [title, numbers, tag("p", size)]


def _quantization_tables(report: dict[str, Any]) -> list[Markup]:
    blocks = [
        [
            str(block["name"]),
            str(block["exponent"]),
            str(block["bits"]),
            str(block["sign"]),
            integer(int(block["largest_mantissa"])),
            percent(float(block["relative_error"])),
            integer(int(block["lost"])),
            integer(int(block["clipped"])),
        ]
        for block in report["blocks"]
    ]
    header = ["block", "exponent", "bits", "sign", "largest |mantissa|"]
    header += ["relative error", "became zero", "clipped"]
    events, spikes = (
        [[words, integer(int(report[name]))] for name, words in names.items()]
        for names in (EVENT_NAMES, SPIKE_NAMES)
    )
    peaks = [
        [words, percent(float(report[name])), percent(1.0 - float(report[name]))]
        for name, words in STATE_NAMES.items()
    ]
    samples = integer(int(report["calibration_samples"]))
    threshold = percent(float(report["threshold_error"]))
    constants = [*_tau_rows(report), ["threshold v_th", "", "", threshold]]
    constants += [
        [words, "", "", percent(float(report[name]))]
        for name, words in ERROR_NAMES.items()
        if report[name] is not None
    ]
    room = [
        tag("h3", f"Room in 24 bits, on {samples} calibration samples"),
        table(["state", "used at most", "headroom"], peaks, numeric=(1, 2)),
    ]
    header_constants = ["constant", "wanted", "got", "off by"]
    furthest = [
        tag("h3", "Constants, the neuron that is furthest off"),
        table(header_constants, constants, numeric=(1, 2, 3)),
    ]
    return [
        tag("h3", "Weights"),
        table(header, blocks, numeric=(1, 2, 4, 5, 6, 7)),
        beside(furthest, room),
        tag("h3", f"Counts on the same {samples} calibration samples"),
        beside(
            [table(["event", "number"], events, numeric=(1,))],
            [table(["spikes", "number"], spikes, numeric=(1,))],
        ),
        *_spike_tables(report),
    ]


def _spike_tables(report: dict[str, Any]) -> list[Markup]:
    """Show how far spike trains are from the float ones, in all and by layer."""
    drift = report["drift"]
    first = drift["first_difference"]
    rows = [
        ["error of filtered spike trains", percent(float(report["spike_error"]))],
        ["mean shift of a spike, ms", significant(float(drift["shift"]))],
        ["spikes with none near them in integers", percent(float(drift["lost"]))],
        ["integer spikes with none near them", percent(float(drift["extra"]))],
        ["first step that differs (median)", "none" if first is None else f"{first:g}"],
    ]
    layers = [
        [
            str(number),
            significant(float(layer["voltage_scale"])),
            percent(float(layer["weight_error"])),
            percent(float(layer["spike_error"])),
        ]
        for number, layer in enumerate(report["layers"], 1)
    ]
    header = ["layer", "integers per unit of v", "weights off", "spike trains off"]
    return [
        tag("h3", "Spike trains beside the float ones"),
        beside(
            [table(["what", "value"], rows, numeric=(1,))],
            [table(header, layers, numeric=(0, 1, 2, 3))],
        ),
    ]


def _tau_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    for name in ("tau_m", "tau_syn", "tau_a", "tau_out"):
        pair = report[name]
        if pair is not None:
            wanted, got = pair
            shown = significant(float(wanted), 5, "ms")
            if got is None:
                yield [name, shown, "infinite", "no decay at all"]
                continue
            off = abs(got - wanted) / wanted if wanted > 0 else float("nan")
            yield [name, shown, significant(float(got), 5, "ms"), percent(off)]


def commands(run: Run, hardware: HardwareComparison | None) -> list[str]:
    """Return the commands that make the run again, in a new folder of its name."""
    config = run.config
    task = config.task.name
    usual = resolve_config({"task": {"name": task}}).to_dict()
    overrides = [
        shlex.quote(f"{section}.{name}={json.dumps(value)}")
        for section, values in config.to_dict().items()
        for key, given in values.items()
        if usual[section].get(key) != given and key not in ("name", "seed")
        for name, value in _values(key, given)
    ]
    if config.optimizer.name != usual["optimizer"]["name"]:
        overrides.append(shlex.quote(f'optimizer.name="{config.optimizer.name}"'))
    name = shlex.quote(run.folder.path.name)
    seed = f"--seed {config.training.seed}"
    train = ["spikelearn train", f"--task {shlex.quote(task)}", seed, f"--out {name}"]
    lines = [" ".join(train + overrides)]
    if not run.finished:
        lines.append(f"spikelearn resume {name}")
    lines.append(f"spikelearn evaluate {name}")
    if hardware is not None:
        lines.append(f"spikelearn export {name} --bits {hardware.bits}")
        if hardware.verification is not None:
            samples = hardware.verification["samples"]
            lines.append(f"spikelearn verify {name} --samples {samples}")
    return [*lines, f"spikelearn report {name}"]


def _values(key: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value with its name, or those of a table, each by itself."""
    if not isinstance(given, dict):
        yield key, given
        return
    for name, value in given.items():
        yield from _values(f"{key}.{name}", value)


def origin_section(
    run: Run, environment: dict[str, Any], hardware: HardwareComparison | None
) -> Markup:
    """Return commands, configuration and environment."""
    config = [
        tag("pre", tomli_w.dumps({name: values}).strip())
        for name, values in run.config.to_dict().items()
    ]
    rows = [[key, text] for key, text in _flat(environment)]
    return section(
        "How it was made",
        tag("p", "The same numbers again, in a new folder:"),
        tag("pre", "\n".join(commands(run, hardware))),
        tag("h3", "Configuration, every value"),
        tag("div", *config, class_="config"),
        tag("h3", "Environment"),
        table(["part", "version"], rows) if rows else tag("p", "Not recorded."),
    )


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, content in values.items():
        if isinstance(content, dict):
            yield from _flat(content)
        else:
            yield key, str(content)
