"""Run an integer spiking network with NumPy alone.

    python run_network.py                        the network, and 100 random steps
    python run_network.py x.npy states.npz       inputs from a file, states to a file
    python run_network.py --network other.json x.npy states.npz

`x.npy` holds integers (time, input) or (time, sample, input). `states.npz` gets u, v,
b (current, membrane and adaptation after each step), spikes, y (readout), time first,
and `overflows`, how many u an overflow changed. In Python: `run(load(FILE), x)`.

The network is the JSON file beside this one. Step t, with state zero before the first:

    dec(x, d)  = sign(x) * ((|x| * (4096 - d)) >> 12)
    shift(a,e) = wrap32(a << e) if e >= 0 else a >> -e      of the sum of a block
    a   = shift(w_in x[t-d], e_in) + shift(w_rec s[t-1-d], e_rec)   d: delays, or 0
    u   = wrap24(wrap32(dec(u, du + 1) + wrap32(a << 6)))   one turn of 2**24 at most
    v   = clip(dec(v, dv) + u + (bias_mant << bias_exp) - r)
    r   = s[t-1] * (vth << 6) if reset is "subtract" else 0
    b   = clip(dec(b, db) + s[t-1] * (beta << 6))
    s   = (v > (vth << 6) + b) and rc == 0;   reset "zero": v = 0 where s
    rc  = refractory where s, else max(rc - 1, 0)
    c   = wrap24(wrap32(shift(w_out s[t-d], e_out) << 6))
    y   = clip(dec(y, dv_out) + c + (bias_mant_out << bias_exp_out))
    y   = 0 where y > 131071 << 6

This file was written by spikelearn and needs nothing of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

NETWORK = "network.json"
STATE_MAX = 2**23 - 1
READOUT_MAX = 131_071 << 6
CONNECTIONS = ("w_in", "w_rec", "w_out")
NEW = {"process", "delays"}  # of synapses in format version 2
KEYS = {
    "": {
        "kind",
        "format_version",
        "input_bits",
        "dt",
        "metadata",
        "neurons",
        "readout",
        *CONNECTIONS,
    },
    "neurons": {
        "du",
        "dv",
        "bias_mant",
        "bias_exp",
        "vth",
        "beta",
        "db",
        "refractory",
        "reset",
    },
    "readout": {"dv", "bias_mant", "bias_exp"},
} | {name: {"weights", "exponent", "bits", "sign"} for name in CONNECTIONS}


def load(path: str | Path) -> dict[str, Any]:
    """Read the JSON file of a network; ValueError if it holds anything else."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path} must hold JSON; got too many levels.") from error
    if not isinstance(document, dict) or document.get("kind") != "network_description":
        raise ValueError(f"{path} must hold a network_description of spikelearn.")
    version = document.get("format_version")
    if version not in (1, 2):
        raise ValueError(f"{path} must have format_version 1 or 2; got {version!r}.")
    for name in (*CONNECTIONS, "neurons", "readout"):
        if not isinstance(document.get(name), dict):
            raise ValueError(f"{path}: {name} must be an object.")
    cell = document["neurons"]
    if cell.pop("kind", "lif") != "lif" or cell.pop("reset_interval", 0):
        raise ValueError(f"{path} must have LIF neurons without a periodic reset.")
    cell.pop("reset_offset", 0)
    for name, wanted in KEYS.items():
        found = set(document[name] if name else document)
        if version == 2 and name in CONNECTIONS:
            wanted = wanted | NEW
        if found != wanted:
            what = ", ".join(sorted(found ^ wanted))
            raise ValueError(
                f"{path}: {name or 'the network'}: unknown or missing {what}."
            )
    if cell["reset"] not in ("zero", "subtract"):
        raise ValueError(
            f"{path}: reset must be zero or subtract; got {cell['reset']!r:.60}."
        )
    try:
        check_arrays(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return document


def check_arrays(document: dict[str, Any]) -> None:
    """Turn lists into arrays; ValueError if one has another shape or no integers."""
    w_in, w_out = (integers(document[n]["weights"], n) for n in ("w_in", "w_out"))
    if w_in.ndim != 2 or w_out.ndim != 2 or not w_in.size or not w_out.size:
        raise ValueError("w_in and w_out must have two axes and some weights.")
    n_rec, n_out = len(w_in), len(w_out)
    shapes = {"w_in": w_in.shape, "w_rec": (n_rec, n_rec), "w_out": (n_out, n_rec)}
    whole(document["input_bits"], "input_bits", 0, 24)
    for name, shape in shapes.items():
        block = document[name]
        whole(block["exponent"], f"{name}.exponent", -8, 7)
        block["weights"] = integers(block["weights"], f"{name}.weights", shape)
        if block.get("delays") is not None:
            block["delays"] = integers(block["delays"], f"{name}.delays", shape)
            if block["delays"].min() < 0 or block["delays"].max() > 62:
                raise ValueError(f"{name}.delays must lie in 0..62.")
    for name, size in (("neurons", n_rec), ("readout", n_out)):
        for key in set(document[name]) - {"reset"}:
            values = integers(document[name][key], f"{name}.{key}", (size,))
            document[name][key] = values


def whole(value: Any, name: str, low: int, high: int) -> None:
    """Check one integer."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer {low}..{high}; got {value!r:.60}.")


def integers(value: Any, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return lists as an array of integers."""
    array = np.array(value)
    if array.dtype.kind != "i":
        raise ValueError(f"{name} must hold integers; got {array.dtype}.")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}; got {array.shape}.")
    return array.astype(np.int64)


def wrap32(value: np.ndarray) -> np.ndarray:
    """Return the low 32 bits as signed numbers."""
    return ((value + 2**31) & (2**32 - 1)) - 2**31


def wrap24(value: np.ndarray) -> np.ndarray:
    """Take off or add one turn of 2**24 where a number has left 24 bits."""
    return value - 2**24 * (value > 2**23) + 2**24 * (value <= -(2**23))


def decay(value: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Leak, rounding towards zero."""
    return np.sign(value) * ((np.abs(value) * (4096 - factor)) >> 12)


def clip(value: np.ndarray) -> np.ndarray:
    """Saturate at 24 bits."""
    return np.clip(value, -STATE_MAX, STATE_MAX)


def shift(value: np.ndarray, exponent: int) -> np.ndarray:
    """Scale by the exponent of a block of synapses."""
    return wrap32(value << exponent) if exponent >= 0 else value >> -exponent


class Synapses:
    """A block of synapses, with what it has under way."""

    def __init__(self, block: dict[str, Any], samples: int) -> None:
        self.weights, self.exponent = block["weights"], block["exponent"]
        self.delays = block.get("delays")
        longest = 0 if self.delays is None else int(self.delays.max())
        shape = (longest + 1, samples, len(self.weights))
        self.under_way = np.zeros(shape, np.int64)  # the first arrives now

    def arriving(self, source: np.ndarray) -> np.ndarray:
        """Send from sources (sample, pre); return what arrives (sample, post)."""
        if self.delays is None:
            return shift(wrap32(source @ self.weights.T), self.exponent)
        for delay in np.unique(self.delays):
            weights = self.weights * (self.delays == delay)
            products = shift(wrap32(source[:, None] * weights), self.exponent)
            self.under_way[delay] += products.sum(axis=2)
        now = self.under_way[0].copy()
        self.under_way[:-1] = self.under_way[1:]
        self.under_way[-1] = 0
        return now


def check_input(network: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """Return inputs as int64 (time, sample, input); ValueError if they do not fit."""
    x = np.asarray(x)
    n_in = network["w_in"]["weights"].shape[1]
    largest = 2 ** network["input_bits"] - 1 if network["input_bits"] else 1
    if x.dtype.kind not in "iub" or x.ndim not in (2, 3) or x.shape[-1] != n_in:
        raise ValueError(
            f"x must hold integers (time, input) or (time, sample, input) with {n_in} "
            f"inputs; got {x.dtype} of shape {x.shape}."
        )
    if x.size and (x.min() < 0 or x.max() > largest):
        raise ValueError(f"x must lie in 0..{largest}; got {x.min()}..{x.max()}.")
    return (x[:, None] if x.ndim == 2 else x).astype(np.int64)


def run(network: dict[str, Any], x: np.ndarray) -> dict[str, np.ndarray]:
    """Run a network that `load` has read; return its states, time first."""
    x = check_input(network, x)
    cell, out = network["neurons"], network["readout"]
    subtract = cell["reset"] == "subtract"
    threshold, jump = cell["vth"] << 6, cell["beta"] << 6
    bias = cell["bias_mant"] << cell["bias_exp"]
    bias_out = out["bias_mant"] << out["bias_exp"]
    steps, samples, n_rec, n_out = *x.shape[:2], bias.size, bias_out.size
    u, v, b, s, rc = (np.zeros((samples, n_rec), np.int64) for _ in range(5))
    y = np.zeros((samples, n_out), np.int64)
    states = {
        name: np.zeros(
            (steps, samples, n_rec), np.uint8 if name == "spikes" else np.int32
        )
        for name in ("u", "v", "b", "spikes")
    }
    states["y"] = np.zeros((steps, samples, n_out), np.int32)
    w_in, w_rec, w_out = (Synapses(network[name], samples) for name in CONNECTIONS)
    overflows = 0
    for t in range(steps):
        a = w_in.arriving(x[t]) + w_rec.arriving(s)
        wanted = decay(u, cell["du"] + 1) + (a << 6)
        u = wrap24(wrap32(wanted))
        overflows += int((u != wanted).sum())
        v = clip(decay(v, cell["dv"]) + u + bias - (s * threshold if subtract else 0))
        b = np.minimum(decay(b, cell["db"]) + s * jump, STATE_MAX)
        s = ((v > threshold + b) & (rc == 0)).astype(np.int64)
        rc = np.where(s, cell["refractory"], np.maximum(rc - 1, 0))
        v = v if subtract else v * (1 - s)
        c = wrap24(wrap32(w_out.arriving(s) << 6))
        y = clip(decay(y, out["dv"]) + c + bias_out)
        y = y * (y <= READOUT_MAX)
        now = {"u": u, "v": v, "b": b, "spikes": s, "y": y}
        for name, value in now.items():
            states[name][t] = value
    return states | {"overflows": np.array(overflows)}


def main(arguments: list[str]) -> None:
    """Run from the command line; the documentation of this file says how.

    A wrong or missing file ends it with one message.
    """
    try:
        run_files(arguments)
    except (OSError, EOFError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error


def run_files(arguments: list[str]) -> None:
    """Read the files that are named, run, and write the states."""
    path = Path(__file__).with_name(NETWORK)
    if arguments[:1] == ["--network"] and len(arguments) > 1:
        path, arguments = Path(arguments[1]), arguments[2:]
    if len(arguments) not in (0, 2) or any(a.startswith("-") for a in arguments):
        raise SystemExit(__doc__)
    network = load(path)
    n_rec, n_in = network["w_in"]["weights"].shape
    if arguments:
        x = np.load(arguments[0], allow_pickle=False)
    else:
        x = np.random.default_rng(0).integers(0, 2, (100, n_in))
    states = run(network, x)
    print(
        f"{n_in} inputs, {n_rec} neurons, {len(network['w_out']['weights'])} readouts: "
        f"{int(states['spikes'].sum())} spikes in {len(x)} steps, "
        f"{int(states['overflows'])} overflows"
    )
    if arguments:
        np.savez_compressed(arguments[1], allow_pickle=False, **states)


if __name__ == "__main__":
    main(sys.argv[1:])
