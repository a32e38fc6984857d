"""Train 3000 neurons on trials of 10 000 steps, 16 at a time, in less than 4 GiB.

`python -m tests.benchmarks.long_trial` does two iterations within the memory limit of
spikelearn and prints the largest resident memory of the process. The record of such a
batch takes 2 GiB, and its spike lists as much address space.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

os.environ.setdefault("SPIKELEARN_MEMORY_LIMIT", "2GiB")

from spikelearn import ALIF, Adam, EProp, Feedback, RecurrentNetwork, Regression
from spikelearn.learning.trainer import Trainer
from spikelearn.tasks import Batch

N_REC, N_STEPS, N_SAMPLES, N_IN = 3000, 10_000, 16, 100
LIMIT = 4 * 2**30


@dataclass(frozen=True)
class LongTrials:
    """Random spikes, and a slow sine to follow."""

    kind: str = "regression"
    name: str = "long-trials"
    n_steps: int = N_STEPS
    n_in: int = N_IN
    n_out: int = 1
    dt: float = 1.0

    def train_batch(self, iteration, size, seed):
        """Return the batch of an iteration."""
        rng = np.random.default_rng([seed, iteration])
        shape = (self.n_steps, size, self.n_in)
        x = (rng.random(shape, np.float32) < 0.02).astype(np.uint8)
        wave = np.sin(2 * np.pi * np.arange(self.n_steps) / 1000.0)
        target = np.broadcast_to(wave[:, None, None], (self.n_steps, size, 1))
        return Batch(x, target.astype(np.float32), np.ones(self.n_steps, np.float32))

    def evaluation(self, split, size, batch_size):
        """Yield batches to score on."""
        yield self.train_batch(0, size or 1, len(split))


def main():
    """Train, print and judge; return the exit status."""
    network = RecurrentNetwork(N_IN, N_REC, 1, cell=ALIF(tau_m=20.0, beta=0.1))
    network.initialise(0, gain=1.0, gain_in=1.5)
    trainer = Trainer(
        network,
        LongTrials(),
        Regression("mean"),
        EProp(),
        Adam(1e-4),
        Feedback("symmetric"),
        batch_size=N_SAMPLES,
        threads=2,
    )
    seconds, metrics = [], None
    for _ in range(2):
        start = time.perf_counter()
        metrics = trainer.step()
        seconds.append(round(time.perf_counter() - start, 2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row = {"peak_gib": round(peak / 2**30, 2), "seconds": seconds}
    row |= {"loss": metrics.loss, "rate_hz": metrics.rate_hz}
    print(json.dumps(row))
    return 0 if peak < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
