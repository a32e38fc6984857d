"""Small runs, made-up hardware comparisons, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from spikelearn.report import HardwareComparison
from spikelearn.runs import resolve_config, train

VOID = {"meta", "br", "img", "hr", "link", "input"}


def small_run(path, task="digits-rows", *overrides):
    """Train a tiny network for a few iterations."""
    usual = ("iterations=6", "n_rec=12", "evaluate_every=2", "evaluate_samples=20")
    config = resolve_config({}, [f"task.name={task}", *usual, *overrides])
    return train(config, path)


def comparison(run, *, lava=True, differing=0, adaptation=True, **changes):
    """Make up integers for a run: the emulator loses one spike, Lava loses none."""
    batch = next(iter(run.task.evaluation("test", 1, 1)))
    record = run.network.run(batch.x)
    spikes, y = record.spikes[:, 0], record.y[:, 0]
    emulated = spikes.copy()
    step, unit = np.argwhere(spikes)[-1]
    emulated[step, unit] = 0
    block = {"exponent": 3, "bits": 8, "sign": "mixed", "largest_mantissa": 254}
    block |= {"relative_error": 0.0123, "lost": 4, "clipped": 0}
    tau = [20.0, 19.976]
    quantization = {
        "bits": 8,
        "dt": 1.0,
        "blocks": [block | {"name": name} for name in ("w_in", "w_rec", "w_out")],
        "tau_m": tau,
        "tau_syn": None,
        "tau_a": tau if adaptation else None,
        "tau_out": tau,
        "threshold_error": 0.0001,
        "beta_error": 0.0021 if adaptation else None,
        "bias_error": 0.0031,
        "bias_drift": 0.0,
        "b_out_error": 0.0041,
        "b_out_drift": 0.0,
        "calibration_samples": 32,
        "peak_u": 0.25,
        "peak_v": 0.5,
        "peak_threshold": 0.125,
        "u_wraps": 0,
        "v_saturations": 0,
        "y_wraps": 0,
        "y_saturations": 0,
        "spikes_float": 1985,
        "spikes_integer": 1996,
        "spikes_differing": 359,
        "silent_before": 11,
        "silent_after": 12,
        "fell_silent": 2,
        "new_neurons": 1,
        "spike_error": 0.21,
        "drift": {"shift": 0.4, "lost": 0.02, "extra": 0.03, "first_difference": None},
        "layers": [
            {"voltage_scale": 2e4, "weight_error": 0.0123, "spike_error": 0.21},
        ],
    }
    classes = run.task.kind == "classification"
    verification = {"samples": 50, "steps": run.task.n_steps, "seconds": 3.2}
    verification |= {f"differing_{q}": 0 for q in ("u", "v", "b", "spikes", "y")}
    verification["differing_v"] = differing
    values = {
        "quantization": quantization,
        "accuracy_float": 0.5 if classes else None,
        "accuracy_fixed": 0.475 if classes else None,
        "loss_float": 1.25,
        "loss_fixed": 1.5,
        "n_test": 40,
        "x": batch.x[:, 0],
        "spikes_float": spikes,
        "spikes_emulator": emulated,
        "y_float": y,
        "y_emulator": y + np.float32(0.01),
        "bits": 8,
    }
    if lava:
        values |= {"spikes_lava": emulated, "y_lava": values["y_emulator"]}
        values["verification"] = verification
    return HardwareComparison(**values | changes)


class Page(HTMLParser):
    """A page read by the rules: its elements, its text, and that tags balance."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.numbers: set[float] = set()
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        """All text, with single spaces."""
        return " ".join("".join(self.words).split())

    def all(self, tag):
        """Attributes of all elements with a tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self):
        """Exact values of the numbers that are shown."""
        return {float(attributes["value"]) for attributes in self.all("data")}
