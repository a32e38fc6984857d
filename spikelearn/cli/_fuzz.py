"""`verify --fuzz`: random networks, the emulator against Lava."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from hardware.fuzz import FuzzReport, fuzz
from spikelearn.cli._common import console, print_json

__all__ = ["fuzz_dict", "run_fuzz"]


def run_fuzz(
    networks: int, seed: int, timeout: float | None, threads: int, as_json: bool
) -> None:
    """Fuzz, print what was found, and exit with status 1 if a network differs."""
    report = fuzz(networks, seed, timeout=timeout, threads=threads)
    if as_json:
        print_json(fuzz_dict(report))
    else:
        _print(report)
    if not report.passed:
        raise typer.Exit(1)


def fuzz_dict(report: FuzzReport) -> dict[str, Any]:
    """Return a report as plain values."""
    return dataclasses.asdict(report) | {"passed": report.passed}


def _print(report: FuzzReport) -> None:
    verdict = "identical" if report.passed else "DIFFERENT"
    console.print(
        f"{verdict}: {report.differing} of {report.networks} random networks differ "
        f"from Lava ({report.values} values in {report.steps} steps, {report.n_spikes} "
        f"spikes, {report.u_wraps} overflows, {report.v_saturations} saturations, "
        f"{report.seconds:.1f} s)"
    )
    models = ", ".join(f"{n} {name}" for name, n in report.models.items())
    synapses = ", ".join(f"{n} {name}" for name, n in report.synapses.items())
    console.print(f"neurons: {models}; blocks of synapses: {synapses}")
    last = report.networks - 1
    console.print(
        f"seed {report.seed}, indices 0..{last}; one of them again: "
        f"hardware.fuzz.random_case({report.seed}, index)"
    )
    for failure in report.failures:
        console.print(
            f"seed {failure.seed}, index {failure.index} ({failure.model}): "
            f"{failure.differing_values} values, first {failure.first}"
        )
