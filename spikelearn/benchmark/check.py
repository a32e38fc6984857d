"""Are the gradients that are timed right? Compared in float64, before any timing.

A spike whose voltage lies within rounding of the threshold may come in float32 and not
in float64; from there on the two networks do different things, and so do their
gradients. No implementation is wrong then, so the batch that gradients are compared on
holds only samples in which every voltage of the float64 network keeps `MARGIN` from its
threshold. They are drawn in order, batch after batch of the same seed, until there are
enough; `CheckBatch.drawn` says how many samples that took.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikelearn.benchmark.workloads import Data, Workload, draw_batch
from spikelearn.errors import require
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules import BPTT, EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import RecurrentNetwork

__all__ = [
    "COMPARED",
    "CheckBatch",
    "draw_check_batch",
    "gradients",
    "reference",
    "relative_error",
]

COMPARED = ("w_in", "w_rec", "w_out", "exponents")
MARGIN = 1e-6  # in units of v
FIRST_BATCH = 1000  # batches of the check are others than those that are timed
MOST_BATCHES = 200
MOST_TRACES = 2e9  # synapses x steps x samples that explicit traces are run for
RULES = {"e-prop": EProp(), "bptt": BPTT()}


@dataclass(frozen=True, eq=False)
class CheckBatch:
    """A batch for gradients: x (T, B, n_in), target (T, B, n_out), spikes in float64.

    `drawn` samples were looked at to find B of them.
    """

    x: np.ndarray
    target: np.ndarray
    spikes: int
    drawn: int


def draw_check_batch(workload: Workload, data: Data) -> CheckBatch:
    """Draw samples in which rounding cannot decide about a spike.

    Raises
    ------
    InvalidValue
        If such samples are too rare.
    """
    network = workload.network("float64")
    data.load_into(network)
    kept, n_kept, spikes, drawn = [], 0, 0, 0
    for batch in range(FIRST_BATCH, FIRST_BATCH + MOST_BATCHES):
        x, target = draw_batch(workload, data.seed, batch)
        record = network.run(x)
        drawn += workload.n_samples
        safe = np.abs(record.distance).min(axis=(0, 2)) > MARGIN
        chosen = np.flatnonzero(safe)[: workload.n_samples - n_kept]
        kept.append((x[:, chosen], target[:, chosen]))
        n_kept += chosen.size
        spikes += int(record.spike_counts[chosen].sum())
        if n_kept == workload.n_samples:
            break
    where, rule = "gradient check", f"must find {workload.n_samples} safe samples"
    require(n_kept == workload.n_samples, where, rule, f"{n_kept} of {drawn}")
    x, target = (np.concatenate(part, axis=1) for part in zip(*kept, strict=True))
    return CheckBatch(x, target, spikes, drawn)


def gradients(
    network: RecurrentNetwork, kind: str, batch: CheckBatch, threads: int = 1
) -> tuple[Gradients, int]:
    """Return the gradients of 1/2 sum (y - target)^2 on a batch, and all spikes."""
    record = network.run(batch.x, threads=threads)
    signal = _signal(network, record.y, batch.target)
    found = RULES[kind].gradients(network, record, signal, threads=threads)
    return found, int(record.spike_counts.sum())


def _signal(
    network: RecurrentNetwork, y: np.ndarray, target: np.ndarray
) -> LearningSignal:
    return LearningSignal(y - target, network.params.w_out.T)


def reference(
    workload: Workload, data: Data, batch: CheckBatch, threads: int = 1
) -> tuple[dict[str, np.ndarray], str]:
    """Return float64 gradients of a batch, and what computed them.

    For e-prop these are explicit eligibility traces, a trace at every synapse that runs
    forward in time ("float64 traces"): they share no code with the reverse sweep that
    is timed. Where they would take minutes, and for BPTT, it is the sweep in float64
    ("float64 sweep"), which shows rounding but not mistakes; `make bench-peers`
    compares all of them with automatic differentiation.
    """
    network = workload.network("float64")
    data.load_into(network)
    synapses = workload.n_rec * (workload.n_in + workload.n_rec)
    traces = synapses * workload.n_steps * workload.n_samples
    if workload.kind != "e-prop" or traces > MOST_TRACES:
        found, _ = gradients(network, workload.kind, batch, threads)
        return found.arrays(), "float64 sweep"
    rule = RULES["e-prop"]
    total: Gradients | None = None
    for sample in range(workload.n_samples):  # the traces of one sample fit the cache
        one = slice(sample, sample + 1)
        record = network.run(batch.x[:, one])
        signal = _signal(network, record.y, batch.target[:, one])
        own = rule.start(network, 1)
        found = rule.step(network, record, signal, own, explicit=True)
        total = found if total is None else total + found
    assert total is not None
    return total.arrays(), "float64 traces"


def relative_error(
    got: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> float:
    """Return the largest max |g - g64| / max |g64| of what is compared."""
    errors = [
        np.abs(got[name] - expected[name]).max() / np.abs(expected[name]).max()
        for name in COMPARED
        if name in expected
    ]
    return float(max(errors))
