"""What there is, and whether it works: doctor, warm-up, tasks, cells, rules, ..."""

from __future__ import annotations

import dataclasses
import platform
import time
from importlib import metadata
from typing import Annotated, Any

import numpy as np
import typer

from hardware import chips as hardware_chips
from hardware.lava_processes._lava import is_installed
from spikelearn import citations
from spikelearn.cli._common import JsonOption, console, print_json, print_table
from spikelearn.cli._machine import describe_machine
from spikelearn.errors import MissingDependency
from spikelearn.kernels import kernel_counts
from spikelearn.learning.flossing import FLOSSING_TERMS
from spikelearn.learning.homeostasis import IntrinsicPlasticity
from spikelearn.learning.oja import PLASTICITY_TERMS
from spikelearn.learning.rules import RULES, EProp
from spikelearn.learning.signals import FEEDBACKS, LearningSignal
from spikelearn.network import CELLS, RecurrentNetwork
from spikelearn.tasks import TASKS
from spikelearn.warmup import DTYPES, warm_up

__all__ = ["register"]

PACKAGES = {
    "core": ("numpy", "numba", "h5py", "pydantic", "typer", "rich", "tomli-w"),
    "optional": (
        "lava-nc",
        "matplotlib",
        "scikit-learn",
        "mlxtend",
        "brian2",
        "torch",
        "norse",
        "neurogym",
        "nir",
        "dask",
    ),
}


def _summary(thing: Any) -> str:
    """Return the first line of a docstring."""
    return (thing.__doc__ or "").strip().splitlines()[0]


def _input(bits: int | None) -> str:
    if bits is None:
        return "real values"
    return f"{bits} bits" if bits else "spikes"


def tasks(as_json: JsonOption = False) -> None:
    """List the tasks with their sizes and parameters."""
    rows = []
    for name, kind in TASKS.items():
        try:
            task = kind()
        except MissingDependency:
            task = None  # its sizes are those of a package that is not installed
        row: dict[str, Any] = {"name": name}
        for column in ("kind", "n_in", "n_out", "n_steps"):
            row[column] = getattr(task, column, None)
        row["dt_ms"] = getattr(task, "dt", None)
        row["input"] = _input(getattr(task, "input_bits", None))
        row["parameters"] = {
            field.name: {} if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(kind)
        }
        rows.append(row | {"summary": _summary(kind)})
    if as_json:
        print_json({"tasks": rows})
        return
    for row in rows:
        row["parameters"] = ", ".join(f"{k}={v}" for k, v in row["parameters"].items())
    columns = ("name", "kind", "n_in", "n_out", "n_steps", "input", "summary")
    shown = [["" if row[c] is None else row[c] for c in columns] for row in rows]
    print_table("Tasks", columns, shown)
    for row in rows:
        console.print(f"[bold]{row['name']}[/bold]: {row['parameters']}")


def cells(as_json: JsonOption = False) -> None:
    """List the cells with their parameters (times in ms)."""
    rows = []
    for name, kind in CELLS.items():
        default = kind()
        names = [field.name for field in dataclasses.fields(kind)]
        parameters = {field: getattr(default, field) for field in names}
        rows.append((name, _summary(kind), parameters))
    if as_json:
        keys = ("name", "summary", "parameters")
        print_json({"cells": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    for name, summary, parameters in rows:
        listed = ", ".join(f"{k}={v}" for k, v in parameters.items())
        console.print(f"[bold]{name}[/bold]  {summary}\n  {listed}")


def rules(as_json: JsonOption = False) -> None:
    """List the learning rules, learning signals and plasticity terms."""
    infos = [dataclasses.asdict(rule.info) for rule in RULES.values()]
    shown = [term.info for term in PLASTICITY_TERMS.values()]
    shown.append(IntrinsicPlasticity.info)
    terms = [dataclasses.asdict(info) for info in shown]
    flossing = [dataclasses.asdict(info) for info in FLOSSING_TERMS.values()]
    if as_json:
        known = {"rules": infos, "feedback": FEEDBACKS, "terms": terms}
        print_json(known | {"flossing": flossing})
        return
    rows = []
    for info in infos:
        traits = ", ".join(t for t in ("exact", "local", "online") if info[t])
        cells = ", ".join(info["cells"])
        rows.append([info["name"], traits, cells, info["kept"], info["dropped"]])
    columns = ("rule", "is", "cells", "kept", "dropped")
    print_table("Learning rules", columns, rows)
    sources = [[info["name"], info["title"], info["reference"]] for info in infos]
    print_table("References", ("rule", "title", "reference"), sources)
    print_table("Learning signals", ("feedback", "what B is"), list(FEEDBACKS.items()))
    heads = ("term", "a synapse knows", "a neuron", "the network", "source")
    print_table("Plasticity terms", heads, [list(term.values()) for term in terms])
    listed = [list(term.values()) for term in flossing]
    print_table("Flossing of Lyapunov exponents", heads, listed)
    console.print("BibTeX: spikelearn cite NAME ...; measured: spikelearn gradcheck")


def cite(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME ...]",
            help="Rules, plasticity terms and tasks; spikelearn itself without one.",
        ),
    ] = None,
) -> None:
    """Print BibTeX entries for what was used."""
    print(citations.cite(*(names or [])), end="")


def chips(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="Show one chip in full, or one of your own from a TOML file.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List chips and their limits, each number with its source."""
    known = hardware_chips.CHIPS.values()
    chosen = [hardware_chips.chip(name)] if name else list(known)
    tables = {spec.name: hardware_chips.limits_table(spec) for spec in chosen}
    if as_json:
        columns = ("limit", "value", "source")
        print_json(
            {
                each: [dict(zip(columns, row, strict=True)) for row in rows]
                for each, rows in tables.items()
            }
        )
        return
    for spec in chosen:
        title = f"{spec.name}: {spec.title}" if spec.title else spec.name
        print_table(title, ("limit", "value", "source"), tables[spec.name])
        if spec.note:
            console.print(spec.note, highlight=False)


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, machine and caches, and check a known answer of the kernels."""
    started = time.perf_counter()
    problem = _check_kernels()
    seconds = time.perf_counter() - started
    versions = {
        group: {name: _version(name) for name in names}
        for group, names in PACKAGES.items()
    }
    answer = {
        "ok": problem is None,
        "problem": problem,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": versions["core"],
        "optional": versions["optional"],
        "lava_importable": is_installed(),
        "kernel_seconds": round(seconds, 2),
        "kernels_compiled": kernel_counts()["compiled"],
    }
    answer |= describe_machine()
    if as_json:
        print_json(answer)
    else:
        rows = [(k, v) for k, v in answer.items() if not isinstance(v, dict)]
        print_table("spikelearn doctor", ("what", "value"), rows)
        packages = {**versions["core"], **versions["optional"]}
        listed = [(k, v or "not installed") for k, v in packages.items()]
        print_table("Packages", ("package", "version"), listed)
    if problem is not None:
        raise typer.Exit(1)


def warm_up_kernels(as_json: JsonOption = False) -> None:
    """Compile the kernels of every cell and rule, once for all processes to come.

    Do this before many jobs start on a machine, or while a container is built. Kernels
    that are in the cache already are not compiled again.
    """
    started = time.perf_counter()
    compiled = warm_up(DTYPES)
    seconds = round(time.perf_counter() - started, 2)
    machine = describe_machine()
    if as_json:
        print_json({"compiled": compiled, "seconds": seconds} | machine)
        return
    console.print(
        f"{compiled} kernels compiled in {seconds} s; {machine['kernels_cached']} "
        f"({machine['kernel_cache_mb']} MB) are in {machine['kernel_cache']}",
        highlight=False,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check_kernels() -> str | None:
    """Run one neuron whose spikes are known; return what is wrong, or None.

    With almost no memory, v is the input 2, less the threshold 1 after a spike: 2, 1,
    2, 1, and only v > 1 spikes.
    """
    network = RecurrentNetwork(1, 1, 1, cell=CELLS["LIF"](tau_m=1e-3))
    network.params.w_in[...] = 2.0
    network.params.w_out[...] = 1.0
    x = np.ones((4, 1, 1), np.uint8)
    record = network.run(x)
    spikes = record.spikes[:, 0, 0].tolist()
    if spikes != [1, 0, 1, 0]:
        return f"forward kernel: spikes must be [1, 0, 1, 0]; got {spikes}"
    signal = LearningSignal(np.ones((4, 1, 1)), np.ones((1, 1)))
    gradient = EProp().gradients(network, record, signal)
    if not np.isfinite(gradient.w_out).all() or gradient.w_out[0, 0] <= 0:
        return f"credit kernel: gradient must be > 0; got {gradient.w_out[0, 0]}"
    return None


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(epilog="Example: spikelearn doctor --json")(doctor)
    app.command("warm-up", epilog="Example: spikelearn warm-up")(warm_up_kernels)
    app.command(epilog="Example: spikelearn tasks")(tasks)
    app.command(epilog="Example: spikelearn cells")(cells)
    app.command(epilog="Example: spikelearn rules --json")(rules)
    app.command(epilog="Example: spikelearn cite mdgl oja")(cite)
    app.command(epilog="Example: spikelearn chips loihi1")(chips)
