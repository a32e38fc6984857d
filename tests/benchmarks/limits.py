"""The least that a training step can take here: `python -m tests.benchmarks.limits`.

At batch 1 a step of e-prop reads the weight row of every spike in the forward pass and
reads and writes its gradient row in the sweep; then Adam goes through all weights. This
measures how long that alone takes, for the very events of a workload and without any
arithmetic of neurons, and prints it beside the whole step and a step without spikes
(arithmetic, Adam and Python). A peer has to take `bar` times the floor before the bar
can be reached at all. Names of workloads may follow.
"""

from __future__ import annotations

import itertools
import json
import sys

import numpy as np

from spikelearn.benchmark import prepare, select
from spikelearn.benchmark.measure import measure
from spikelearn.kernels import kernel
from spikelearn.kernels.adjoint import spread
from spikelearn.kernels.paths import LOCAL
from spikelearn.kernels.spiking import sum_block
from spikelearn.kernels.threads import run_groups
from spikelearn.kernels.vector import BLOCK, LANES, aligned_zeros, bare, load, store
from spikelearn.learning.optimizers import Adam
from spikelearn.learning.rules.sweep import columns_of
from spikelearn.network.buffers import zeros
from tests.benchmarks.bars import BARS

DEFAULT = ("w2_pat", "w3_lif_1000_b1", "w3_alif_1000_b1")
COLUMNS = BLOCK * LANES  # of float32, for which panels of gradients stay in a cache
THREADS = 2


@kernel
def read_rows(w, row, start, total):
    """Add the rows of every step to `total`, as a forward pass does."""
    _read_rows(bare(w), bare(row), bare(start), bare(total))


@kernel
def _read_rows(w, row, start, total):
    for t in range(start.size - 1):
        for j in range(0, w.shape[1], COLUMNS):
            before = load(total, j, BLOCK)
            after = sum_block(before, w, 0, row, start[t], start[t + 1], j)
            store(total, j, after)


@kernel
def change_rows(w, row, start, g, low, high):
    """Add g to the rows of every step, some columns at a time, as a sweep does."""
    _change_rows(bare(w), bare(row), bare(start), bare(g), low, high)


@kernel
def _change_rows(w, row, start, g, low, high):
    for j in range(low, high, COLUMNS):
        for t in range(start.size - 1):
            spread(w, load(g, j, BLOCK), 0, row, start[t], start[t + 1], j)


def rows_by_step(network, x, record):
    """Return (rows, start): the weight rows of the spikes that arrive at each step."""
    steps, units = record.spike_events(0)
    arrives = steps + network.delay < len(x)
    input_steps, inputs = np.nonzero(x[:, 0])
    steps = np.concatenate([steps[arrives] + network.delay, input_steps])
    rows = np.concatenate([network.n_in + units[arrives], inputs])
    order = np.argsort(steps, kind="stable")
    start = np.searchsorted(steps[order], np.arange(len(x) + 1))
    return rows[order].astype(np.int32), start.astype(np.int64)


def floor(name):
    """Measure a workload; return its row."""
    ours = prepare(select([name])[0], THREADS)
    network, x = ours.network, ours.data.x
    step_ms = measure(ours.step).median_ms
    events = [rows_by_step(network, batch, network.run(batch)) for batch in x]
    w = network.params.rows
    gradient = zeros(w.shape, w.dtype)
    total = aligned_zeros((w.shape[1],), w.dtype)
    adam, weights = Adam(1e-9), {"w": w}
    state = adam.init(weights)
    edges = columns_of(network, network.run(x[0]), LOCAL, THREADS)
    later = itertools.cycle(events)

    def reading():
        read_rows(w, *next(later), total)

    def changing():
        row, start = next(later)

        def part(_, first, last):
            low, high = edges[first], edges[last]
            change_rows(gradient, row, start, total, low, high)

        run_groups(part, len(edges) - 1, THREADS)

    def adapting():
        adam.step(weights, {"w": gradient}, state, threads=THREADS)

    parts = {"rows read": reading, "rows changed": changing, "Adam": adapting}
    row = {"workload": name, "row bytes": w.shape[1] * w.itemsize}
    row["rows a step"] = len(events[0][0]) / len(x[0])
    for part, work in parts.items():
        row[f"{part}, ms"] = measure(work).median_ms
    row["floor, ms"] = sum(row[f"{part}, ms"] for part in parts)
    row["step, ms"] = step_ms
    ours.data.x[...], w[...] = 0, 0
    row["silent step, ms"] = measure(ours.step).median_ms
    bar = max(b.at_least or 0 for b in BARS if b.workload == name and not b.against)
    return row | {"bar": bar, "a peer has to take, ms": bar * row["floor, ms"]}


def main():
    """Print a row for every workload; return the exit status."""
    for name in sys.argv[1:] or DEFAULT:
        row = floor(name)
        print(
            json.dumps(
                {k: v if isinstance(v, str) else round(v, 3) for k, v in row.items()}
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
