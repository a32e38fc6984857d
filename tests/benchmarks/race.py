"""One workload, ours and all peers: gradients first, then turns of runs in rounds."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikelearn.benchmark import prepare
from spikelearn.benchmark.check import relative_error
from tests.benchmarks.bars import PEER_TOLERANCE, SPIKE_TOLERANCE
from tests.benchmarks.child import PeerFailed

OUT_OF_THE_RUNNING = 2.0  # times slower than the fastest peer of the environment
FEWEST_ROUNDS = 2


@dataclass
class Effort:
    """How long to measure one workload, times in s.

    A turn has at least one run, and at most `most` runs or about `turn` seconds of a
    peer, `ours` of spikelearn. After `enough` seconds no further round begins; a peer
    that takes longer than `limit` for one run is given up.
    """

    rounds: int = 5
    turn: float = 0.3
    ours: float = 0.1
    most: int = 32
    enough: float = 90.0
    limit: float = 600.0


@dataclass
class Entry:
    """A peer in one environment."""

    name: str
    child: object
    peer: str
    facts: dict
    times: list = field(default_factory=list)
    gradient_error: float | None = None
    spikes: int | None = None
    error: str | None = None

    def to_dict(self):
        """Return what is known of it as plain values."""
        return {
            "ms": statistics.median(self.times) if self.times else None,
            "best_ms": min(self.times, default=None),
            "runs": len(self.times),
            "computes": self.facts["computes"],
            "same_model": self.facts["same_model"],
            "gradient_error": self.gradient_error,
            "spikes": self.spikes,
            "error": self.error,
        }


def race(workload, children, threads, effort, say):
    """Race one workload; return its result as a dict of plain values."""
    ours = prepare(workload, threads)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        np.savez(arrays, **ours.arrays())
        entries = enter(workload, children, arrays, say)
        reference, rest = split_reference(entries)
        expected = reference_gradients(reference, Path(folder), effort, say)
        mine = ours.check_gradients()
        error = None
        if mine is not None and expected is not None:
            error = relative_error(mine, expected)
        spec = workload.to_dict()
        for entry in rest:
            check(entry, spec, expected, ours.expected_spikes(), Path(folder), effort)
            note = entry.error or f"gradient {entry.gradient_error}"
            say(f"    {entry.name}: spikes {entry.spikes}, {note}")
        times = rounds(ours, [e for e in rest if e.error is None], effort)
    for entry in rest:
        if entry.times:
            median = statistics.median(entry.times)
            say(f"    {entry.name}: {median:.3g} ms ({len(entry.times)} runs)")
    missing = mine is not None and expected is None
    return ours.facts() | {
        "workload": workload.name,
        "ours_ms": statistics.median(times),
        "ours_best_ms": min(times),
        "ours_runs": len(times),
        "gradient_error": float("inf") if missing else error,
        "expected_spikes": ours.expected_spikes(),
        "peers": {entry.name: entry.to_dict() for entry in rest},
    }


def enter(workload, children, arrays, say):
    """Send the workload to all environments; return the peers that can do it."""
    entries = []
    for child in children:
        if workload.to_dict()["kind"] not in child.environment.kinds:
            continue
        try:
            found = child.prepare(workload.to_dict(), arrays)
        except PeerFailed as failure:
            say(f"    {child.environment.label}: {failure}")
            continue
        suffix = " (1 core)" if child.environment.one_core else ""
        entries += [
            Entry(peer + suffix, child, peer, facts) for peer, facts in found.items()
        ]
    return entries


def split_reference(entries):
    """Return the float64 reference (or None) and those who race."""
    references = [e for e in entries if e.facts["computes"] == "reference"]
    rest = [e for e in entries if e.facts["computes"] != "reference"]
    return (references[0] if references else None), rest


def reference_gradients(reference, folder, effort, say):
    """Return the float64 gradients by name, or None if there are none."""
    if reference is None:
        return None
    path = folder / "reference.npz"
    try:
        answer = reference.child.run(reference.peer, effort.limit, check=path)
    except PeerFailed as failure:
        say(f"    no reference: {failure}")
        return None
    with np.load(answer["gradients"]) as arrays:
        return dict(arrays)


def check(entry, spec, expected, expected_spikes, folder, effort):
    """Compile a peer, and compare its gradients and spikes with the reference."""
    path = folder / "gradients.npz"
    try:
        answer = entry.child.run(entry.peer, effort.limit, check=path)
        if answer["gradients"] and entry.facts["computes"] == spec["kind"] and expected:
            with np.load(answer["gradients"]) as arrays:
                entry.gradient_error = relative_error(dict(arrays), expected)
        entry.spikes = answer["spikes"]
        entry.child.run(entry.peer, effort.limit)  # warm-up
    except PeerFailed as failure:
        entry.error = str(failure)
        return
    tolerance = spec.get("tolerance", PEER_TOLERANCE)
    wrong = entry.gradient_error is not None and entry.gradient_error > tolerance
    off = abs(entry.spikes - expected_spikes) > SPIKE_TOLERANCE * expected_spikes
    if wrong:
        entry.error = f"wrong gradient: off by {entry.gradient_error:.1e}"
    elif entry.facts["same_model"] and off:
        entry.error = f"wrong spikes: {entry.spikes}, not {expected_spikes}"


def rounds(ours, entries, effort):
    """Take turns; return our times in ms, and leave those of peers in their entries.

    We have a turn before that of every peer, so that a machine that slows down or
    speeds up does so for everyone. After the first round, peers that are much slower
    than the fastest of their environment are not run again: they keep the times of that
    round.
    """
    times = []
    for _ in range(2):
        ours.step()
    running = list(entries)
    start = time.perf_counter()
    for number in range(effort.rounds):
        if number >= FEWEST_ROUNDS and time.perf_counter() - start > effort.enough:
            break
        for entry in list(running):
            times += turn(lambda: timed(ours.step), effort.ours, effort.most)
            try:
                entry.times += turn(
                    lambda e=entry: e.child.run(e.peer, effort.limit)["ms"],
                    effort.turn,
                    effort.most,
                )
            except PeerFailed as failure:
                entry.error = str(failure)
                running.remove(entry)
        if number == 0:
            running = in_the_running(running)
    return times + turn(lambda: timed(ours.step), effort.ours, effort.most)


def in_the_running(entries):
    """Return the entries that may still be the fastest of their environment."""
    best = {}
    for entry in entries:
        name = entry.child.environment.name
        best[name] = min(best.get(name, float("inf")), min(entry.times))
    return [
        entry
        for entry in entries
        if min(entry.times) <= OUT_OF_THE_RUNNING * best[entry.child.environment.name]
    ]


def turn(run, seconds, most):
    """Run again and again for a moment, at least once; return the times in ms."""
    times = [run()]
    while len(times) < most and sum(times) < 1000.0 * seconds:
        times.append(run())
    return times


def timed(step):
    """Return how long a call takes, ms."""
    start = time.perf_counter()
    step()
    return 1000.0 * (time.perf_counter() - start)
