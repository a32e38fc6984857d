"""Compare the emulator with Lava, or with stored test vectors, value by value."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware import emulator
from hardware.description import NetworkDescription
from spikelearn.errors import require, unknown_name

__all__ = ["REFERENCES", "Difference", "VerificationReport", "compare", "verify"]

REFERENCES = ("lava", "emulator")
QUANTITIES = ("u", "v", "b", "r", "spikes", "y")


@dataclass(frozen=True)
class Difference:
    """The place of one differing value.

    Attributes
    ----------
    quantity
        `"u"`, `"v"`, `"b"`, `"r"`, `"spikes"` or `"y"`.
    step, sample, unit
        Where it is.
    expected, got
        The value of the emulator and of what it was compared with.
    """

    quantity: str
    step: int
    sample: int
    unit: int
    expected: int
    got: int


@dataclass(frozen=True)
class VerificationReport:
    """Outcome of `verify`.

    Attributes
    ----------
    against
        What the emulator was compared with: `"lava"` or `"emulator"`, that is its
        stored test vectors.
    samples, steps
        Size of the comparison.
    differing_u, differing_v, differing_b, differing_spikes, differing_y, differing_r
        Numbers of values that are not equal; `r` is compared for ATRLIF neurons.
    n_spikes
        Spikes of the emulator: a silent network would show little.
    first
        The first difference in time, or None.
    seconds
        Wall-clock time.
    neuron_process
        What computed the recurrent neurons in Lava: its own `"lava.proc.lif.LIF"`,
        LIFReset, TernaryLIF or ATRLIF, or `"hardware AdaptiveLIF run by Lava"`, a
        process of this package, for LIF neurons with adaptation, refractoriness or
        reset "subtract", which Lava's LIF has not. Synapses and readout are always
        Lava's own. None against `"emulator"`.
    """

    against: str
    samples: int
    steps: int
    differing_u: int
    differing_v: int
    differing_b: int
    differing_spikes: int
    differing_y: int
    n_spikes: int
    first: Difference | None
    seconds: float
    neuron_process: str | None = None
    differing_r: int = 0

    @property
    def differing_values(self) -> int:
        """All differences together."""
        return (
            self.differing_u
            + self.differing_v
            + self.differing_b
            + self.differing_spikes
            + self.differing_y
            + self.differing_r
        )

    @property
    def passed(self) -> bool:
        """Whether not one value differs."""
        return self.differing_values == 0


def verify(
    description: NetworkDescription,
    x: np.ndarray | None = None,
    against: str = "lava",
    samples: int | None = None,
    timeout: float | None = None,
    threads: int = 1,
) -> VerificationReport:
    """Check that another computation gives exactly the integers of the emulator.

    Parameters
    ----------
    description
        The network.
    x
        Integers `(T, S, n_in)`; None takes the stored test vectors.
    against
        `"lava"`: Lava's fixed-point models, in a child process. `"emulator"`: the
        stored test vectors against a fresh run of the emulator (needs no Lava).
    samples
        Number of samples from the front; None takes all.
    timeout
        Seconds for the child process; None takes a generous estimate.
    threads
        Threads of the emulator.

    Raises
    ------
    UnknownName
        If `against` is unknown.
    InvalidValue
        If there is no input or it does not fit.
    MissingDependency
        If Lava is asked for and not installed.
    OracleFailure
        If Lava fails or runs out of time.
    """
    if against not in REFERENCES:
        raise unknown_name("reference", against, REFERENCES)
    started = time.monotonic()
    inputs = _inputs(description, x, against, samples)
    record = emulator.run(description, inputs, threads=threads)
    other: Any
    if against == "lava":
        from hardware.lava_processes.runner import run_lava

        other = run_lava([(description, inputs)], timeout)[0]
    else:
        other = description.vectors
    report = compare(record, other, against, time.monotonic() - started)
    if against != "lava":
        return report
    return dataclasses.replace(report, neuron_process=description.neurons.lava_process)


def _inputs(
    description: NetworkDescription,
    x: np.ndarray | None,
    against: str,
    samples: int | None,
) -> np.ndarray:
    vectors = description.vectors
    if against == "emulator":
        hint = "they are the reference of against='emulator'"
        require(x is None, "x", "must be left to the test vectors", "an array", hint)
    if x is None:
        where, hint = "description.vectors", "pass x, or store test vectors"
        require(vectors is not None, where, "must be there", None, hint)
        x = vectors.x if vectors is not None else x
    checked = emulator.check_input(description, np.asarray(x))
    available = checked.shape[1]
    wanted = available if samples is None else samples
    rule = f"must be 1..{available}, the samples there are"
    require(1 <= wanted <= available, "samples", rule, wanted)
    return checked[:, :wanted]


def compare(
    record: emulator.IntegerRecord, other: Any, against: str, seconds: float
) -> VerificationReport:
    """Count the differing values of a recorded run and another one.

    Parameters
    ----------
    record
        A run of the emulator with everything recorded.
    other
        An object with `u`, `v`, `b`, `spikes`, `y` of the same shapes, and `r` if the
        record has it; more samples than in `record` are left out.
    against, seconds
        For the report.

    Raises
    ------
    InvalidValue
        If shapes disagree or something was not recorded.
    """
    steps, samples, _ = record.y.shape
    counts: dict[str, int] = {}
    differences: list[Difference] = []
    for name in QUANTITIES:
        expected = getattr(record, name)
        if name == "r" and expected is None:
            continue
        require(expected is not None, f"record.{name}", "must be recorded", None)
        got = getattr(other, name)[:, :samples]
        rule = f"must have the shape {expected.shape}"
        require(got.shape == expected.shape, name, rule, got.shape)
        places = np.argwhere(got != expected)
        counts[f"differing_{name}"] = len(places)
        if len(places):
            step, sample, unit = (int(i) for i in places[0])
            values = (int(array[step, sample, unit]) for array in (expected, got))
            differences.append(Difference(name, step, sample, unit, *values))
    return VerificationReport(
        against=against,
        samples=samples,
        steps=steps,
        **counts,
        n_spikes=record.n_spikes,
        first=min(differences, key=lambda place: place.step, default=None),
        seconds=seconds,
        neuron_process=None,
    )
