"""What a report is made of: histories, one sample, activity, the hardware part."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.analysis import firing_rates, interspike_cv
from spikelearn.errors import FileFormatError, require
from spikelearn.network import Params, Record
from spikelearn.runs import Run
from spikelearn.runs.build import build_network

__all__ = [
    "Activity",
    "HardwareComparison",
    "History",
    "Sample",
    "integer_obstacles",
]

ACTIVITY_SAMPLES = 200
ACTIVITY_STATES = 20_000_000  # neuron-steps held in memory at once
LONGEST_INTEGER_DELAY = 63  # steps, of `hardware` descriptions


@dataclass(frozen=True, eq=False)
class HardwareComparison:
    """One network as floats, as integers in the emulator, and in Lava: plain data.

    Parameters
    ----------
    quantization
        `QuantizationReport.to_dict()`.
    accuracy_float, accuracy_fixed
        Accuracies on the first `n_test` test samples; None for regression.
    loss_float, loss_fixed
        Losses on the same samples.
    n_test
        Number of those samples.
    x : (T, n_in) array
        One test sample.
    spikes_float, spikes_emulator : (T, n_rec) uint8 arrays
        Its spikes.
    y_float, y_emulator : (T, n_out) arrays
        Its readout, both in the units of the float network.
    bits
        Bits of a weight.
    spikes_lava, y_lava
        The same from Lava, or None.
    verification
        Result of the comparison with Lava, or None: `samples`, `steps` (of a sample),
        `differing_u`, `differing_v`, `differing_b`, `differing_spikes`, `differing_y`
        (absent or None where not compared), `seconds`, `neuron_process` (which neuron
        model ran in Lava).

    Raises
    ------
    InvalidValue
        If shapes do not fit together.
    """

    quantization: dict[str, Any]
    accuracy_float: float | None
    accuracy_fixed: float | None
    loss_float: float
    loss_fixed: float
    n_test: int
    x: np.ndarray
    spikes_float: np.ndarray
    spikes_emulator: np.ndarray
    y_float: np.ndarray
    y_emulator: np.ndarray
    bits: int
    spikes_lava: np.ndarray | None = None
    y_lava: np.ndarray | None = None
    verification: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("x", "spikes_float", "y_float"):
            array = getattr(self, name)
            where = f"HardwareComparison.{name}"
            rule = f"must have shape ({len(self.x)}, n)"
            fits = array.ndim == 2 and len(array) == len(self.x)
            require(fits, where, rule, array.shape)
        for kind in ("spikes", "y"):
            shape = getattr(self, f"{kind}_float").shape
            for machine in ("emulator", "lava"):
                array = getattr(self, f"{kind}_{machine}")
                if array is not None:
                    where = f"HardwareComparison.{kind}_{machine}"
                    rule = f"must have shape {shape}"
                    require(array.shape == shape, where, rule, array.shape)

    def spikes(self) -> dict[str, np.ndarray]:
        """Return the rasters there are by the name of the machine."""
        rasters = {"float": self.spikes_float, "emulator": self.spikes_emulator}
        if self.spikes_lava is not None:
            rasters["Lava"] = self.spikes_lava
        return rasters

    def readouts(self) -> dict[str, np.ndarray]:
        """Return the readouts there are by the name of the machine."""
        readouts = {"float": self.y_float, "emulator": self.y_emulator}
        if self.y_lava is not None:
            readouts["Lava"] = self.y_lava
        return readouts

    def lava_counts(self) -> tuple[int, int] | None:
        """Return (differing, compared) values of the comparison with Lava, or None.

        The adaptation counts only where there is one: of a LIF network it is 0 anyway.
        """
        if self.verification is None:
            return None
        found: dict[str, int | None] = {
            name: self.verification.get(f"differing_{name}")
            for name in ("u", "v", "b", "spikes", "y")
        }
        n_rec, n_out = self.spikes_float.shape[1], self.y_float.shape[1]
        if self.quantization["tau_a"] is None and not found["b"]:
            found["b"] = None
        present = {k: int(v) for k, v in found.items() if v is not None}
        per_step = sum(n_out if name == "y" else n_rec for name in present)
        steps = int(self.verification["samples"]) * int(self.verification["steps"])
        return sum(present.values()), per_step * steps


@dataclass(frozen=True, eq=False)
class History:
    """Scores over iterations of one split; accuracy is NaN where there is none."""

    iteration: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def read(cls, run: Run, split: str) -> History:
        """Read the metrics of a run.

        Raises
        ------
        FileFormatError
            If one is not a number.
        """
        rows = [r for r in run.folder.read_metrics() if r.get("split") == split]
        path = run.folder.metrics_path
        columns = [
            [number(r.get(name), path, name) for r in rows]
            for name in ("iteration", "loss", "accuracy")
        ]
        return cls(*np.array(columns, np.float64).reshape(3, len(rows)))

    @property
    def mean_reward(self) -> np.ndarray:
        """Minus the loss: of a reward task, the mean reward."""
        return -self.loss

    @property
    def has_accuracy(self) -> bool:
        """Whether there is any accuracy."""
        return bool(np.isfinite(self.accuracy).any())


def number(value: Any, path: Path, name: str) -> float:
    """Return a value read from a file as a float; None becomes NaN.

    Raises
    ------
    FileFormatError
        If it is not a number.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise FileFormatError(
            f"{str(path)!r}: {name} must be a number; got {value!r:.60}."
        )
    return float(value)


@dataclass(frozen=True, eq=False)
class Sample:
    """One test sample and what the float network does with it; arrays are (T, n).

    `kind` is that of the task. `target` is a class (), a class per step (T,), values
    (T, n_out), or what each action would bring (n_actions,). `output` holds spikes
    (0 and 1) if `spiking`, or what rate units send.
    """

    index: int
    kind: str
    x: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    output: np.ndarray
    spiking: bool
    y: np.ndarray

    @property
    def label(self) -> int | None:
        """Class of the sample, or None where it has not just one."""
        return int(self.target) if self.target.ndim == 0 else None

    @property
    def per_step(self) -> bool:
        """Whether every step has a class of its own."""
        return self.kind == "classification" and self.target.ndim == 1

    @property
    def prediction(self) -> int:
        """Class with the largest sum over the learning window, or the action."""
        y = self.y[:, :-1] if self.kind == "reward" else self.y
        return int((y * (self.mask != 0)[:, None]).sum(axis=0).argmax())

    @property
    def answers(self) -> np.ndarray:
        """Output that is largest at each step, (T,)."""
        return self.y.argmax(axis=1)

    @property
    def judged(self) -> np.ndarray:
        """Whether a step counts, (T,)."""
        return self.mask != 0


@dataclass(frozen=True, eq=False)
class Activity:
    """Initial and trained network on test samples.

    Of spiking neurons `mean` is the firing rate (Hz) and `spread` the variation of the
    interspike intervals (CV, NaN without two); of rate units they are mean and standard
    deviation of the output over steps and samples.
    """

    sample: Sample
    n_samples: int
    mean: np.ndarray
    initial_mean: np.ndarray
    spread: np.ndarray
    initial_spread: np.ndarray
    initial: Params

    @classmethod
    def measure(cls, run: Run, index: int, threads: int) -> Activity:
        """Run the trained and the initial network on test samples.

        Raises
        ------
        InvalidValue
            If the test split has no sample `index`.
        """
        network, task = run.network, run.task
        require(index >= 0, "report sample", "must be >= 0", index)
        room = ACTIVITY_STATES // (task.n_steps * network.n_rec)
        size = max(index + 1, min(ACTIVITY_SAMPLES, max(room, 1)))
        batch = next(iter(task.evaluation("test", size, size)))
        rule = f"must be < {batch.size}, the number of test samples"
        require(index < batch.size, "report sample", rule, index)
        record = network.run(batch.x, threads=threads)
        first = build_network(run.config, task)
        before = first.run(batch.x, threads=threads)
        # (T, B) classes or (T, B, n_out) values: time comes first
        in_time = batch.target.ndim == (2 if task.kind == "classification" else 3)
        output = record.spikes if record.spiking else record.output
        sample = Sample(
            index=index,
            kind=task.kind,
            x=batch.x[:, index],
            target=batch.target[:, index] if in_time else batch.target[index, ...],
            mask=batch.mask if batch.mask.ndim == 1 else batch.mask[:, index],
            output=output[:, index],
            spiking=record.spiking,
            y=np.asarray(record.y[:, index], np.float64),
        )
        mean, spread = _mean_and_spread(record, network.dt)
        initial_mean, initial_spread = _mean_and_spread(before, network.dt)
        return cls(
            sample=sample,
            n_samples=batch.size,
            mean=mean,
            initial_mean=initial_mean,
            spread=spread,
            initial_spread=initial_spread,
            initial=first.params,
        )


def _mean_and_spread(record: Record, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what `Activity` holds of one network, (n_rec,) each."""
    if record.spiking:
        return firing_rates(record, dt), interspike_cv(record)
    output = record.output
    mean = output.mean(axis=(0, 1), dtype=np.float64)
    return mean, output.std(axis=(0, 1), dtype=np.float64)


def integer_obstacles(run: Run) -> list[str]:
    """Return why a run cannot be turned into integers; empty if it can.

    These are the cases that `hardware.quantization.quantise` refuses before it looks
    at a number.
    """
    network = run.network
    longest = int(np.max(network.delay))
    most = LONGEST_INTEGER_DELAY
    obstacles = {
        "its rate units do not spike": not network.spiking,
        f"its recurrent delays reach {longest} steps, not {most}": longest > most,
        "its input is real-valued": run.task.input_bits is None,
    }
    return [words for words, holds in obstacles.items() if holds]
