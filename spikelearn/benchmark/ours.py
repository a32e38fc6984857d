"""Workloads as spikelearn runs them, through its public names only."""

from __future__ import annotations

import functools

import numpy as np

from spikelearn.benchmark.check import (
    RULES,
    CheckBatch,
    draw_check_batch,
    gradients,
    reference,
    relative_error,
)
from spikelearn.benchmark.workloads import LEARNING_RATE, Data, Workload, draw
from spikelearn.learning.optimizers import Adam
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import RecurrentNetwork

__all__ = ["Recurrent"]


class Recurrent:
    """W1-W3: the forward pass, or a whole training step, of one batch at a time.

    A training step is a forward pass, the gradient of 1/2 sum (y - target)^2 by the
    rule of the workload, and Adam on `w_in`, `w_rec` and `w_out`.

    Parameters
    ----------
    workload
        What to run.
    threads
        Threads of the forward pass and of the gradient.
    dtype
        "float32" or "float64".
    """

    def __init__(
        self, workload: Workload, threads: int = 1, dtype: str = "float32"
    ) -> None:
        self.workload = workload
        self.threads = threads
        self.dtype = dtype
        self.data: Data = draw(workload)
        self.network: RecurrentNetwork = workload.network(dtype)
        self.data.load_into(self.network)
        params = self.network.params
        self._weights = {n: getattr(params, n) for n in ("w_in", "w_rec", "w_out")}
        self._adam = Adam(LEARNING_RATE)
        self._state = self._adam.init(self._weights)
        # In memory like readouts, sample by sample.
        by_sample = np.array(self.data.target.swapaxes(1, 2), dtype, order="C")
        self._target = by_sample.swapaxes(1, 2)
        self._next = 0

    @functools.cached_property
    def check_batch(self) -> CheckBatch:
        """The batch that gradients are compared on."""
        return draw_check_batch(self.workload, self.data)

    def step(self) -> None:
        """Do the work once, on the next batch of the cycle."""
        k = self._next
        self._next = (k + 1) % self.workload.n_batches
        network, threads = self.network, self.threads
        learns = self.workload.kind != "inference"
        record = network.run(self.data.x[k], keep_distance=learns, threads=threads)
        if not learns:
            return
        rule = RULES[self.workload.kind]
        signal = LearningSignal(record.y - self._target[k], network.params.w_out.T)
        found = rule.gradients(network, record, signal, threads=threads)
        self._adam.step(self._weights, found.arrays(), self._state, threads=threads)

    def check_gradients(self) -> dict[str, np.ndarray] | None:
        """Return our gradients of the check batch, None for inference.

        Call it before `step`, which moves the weights.
        """
        kind = self.workload.kind
        if kind == "inference":
            return None
        found, _ = gradients(self.network, kind, self.check_batch, self.threads)
        return found.arrays()

    def check(self) -> dict[str, object]:
        """Compare our gradients with float64 ones, before any `step`.

        Returns `gradient_error`, None for inference, and `gradient_reference`, what it
        was compared with.
        """
        found = self.check_gradients()
        if found is None:
            return {"gradient_error": None, "gradient_reference": None}
        batch, threads = self.check_batch, self.threads
        expected, name = reference(self.workload, self.data, batch, threads)
        error = relative_error(found, expected)
        return {"gradient_error": error, "gradient_reference": name}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what others need to run the workload: weights, data, check batch."""
        data, batch = self.data, self.check_batch
        arrays = data.weights() | {"x": data.x, "target": data.target}
        return arrays | {"check_x": batch.x, "check_target": batch.target}

    def expected_spikes(self) -> int:
        """Return the spikes of the check batch in float64."""
        return self.check_batch.spikes

    def facts(self) -> dict[str, object]:
        """Return what a row of results says about the workload."""
        w = self.workload
        sizes = ("kind", "cell", "n_in", "n_rec", "n_out", "n_steps", "n_samples")
        facts: dict[str, object] = {name: getattr(w, name) for name in sizes}
        facts |= {"threads": self.threads, "dtype": self.dtype}
        return facts | {"spike_rate": self.data.rate, "seed": self.data.seed}
