"""The training loop: one object, one step at a time, a state that can be saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spikelearn.analysis import firing_rates
from spikelearn.errors import InvalidValue, require
from spikelearn.learning.gradients import global_norm
from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Loss
from spikelearn.learning.optimizers import Optimizer, clip_gradients
from spikelearn.learning.rules import Rule
from spikelearn.learning.signals import Feedback, LearningSignal
from spikelearn.network import Params, RecurrentNetwork
from spikelearn.tasks import Task

__all__ = [
    "SCHEDULES",
    "Evaluation",
    "StepMetrics",
    "Trainer",
    "evaluate_network",
    "evaluate_split",
]

SCHEDULES = ("constant", "cosine")
FEEDBACK_STREAM = 0xFEED  # entropy of the feedback draw, beside the seed


@dataclass(frozen=True)
class StepMetrics:
    """What one iteration reports, measured on its training batch before the update."""

    iteration: int
    loss: float
    accuracy: float | None
    rate_hz: float
    gradient_norm: float


@dataclass(frozen=True)
class Evaluation:
    """Scores on a split; nothing is learned from it."""

    split: str
    samples: int
    loss: float
    accuracy: float | None
    rate_hz: float


def evaluate_network(
    network: RecurrentNetwork,
    task: Task,
    loss: Loss,
    split: str,
    *,
    size: int | None = None,
    batch_size: int = 100,
    threads: int = 1,
) -> Evaluation:
    """Run a split through a network and average its scores over samples."""

    def run_batch(x: np.ndarray) -> tuple[np.ndarray, float]:
        record = network.run(x, threads=threads)
        return record.y, float(firing_rates(record, network.dt).mean())

    return evaluate_split(
        run_batch, task, loss, split, size=size, batch_size=batch_size
    )


def evaluate_split(
    run_batch: Callable[[np.ndarray], tuple[np.ndarray, float]],
    task: Task,
    loss: Loss,
    split: str,
    *,
    size: int | None = None,
    batch_size: int = 100,
) -> Evaluation:
    """Score any machine that turns input (T, B, n_in) into a readout.

    `run_batch` returns the readout (T, B, n_out) and the mean firing rate (Hz).
    """
    total_loss = total_rate = 0.0
    correct = samples = 0
    for batch in task.evaluation(split, size, batch_size):
        y, rate_hz = run_batch(batch.x)
        result = loss(y, batch.target, batch.mask)
        total_loss += result.value * batch.size
        total_rate += rate_hz * batch.size
        correct += result.n_correct
        samples += batch.size
    accuracy = correct / samples if task.kind == "classification" else None
    return Evaluation(
        split, samples, total_loss / samples, accuracy, total_rate / samples
    )


@dataclass
class Trainer:
    """Trains a network on a task with one local rule and its learning signal.

    An iteration is: draw a batch, run it, error of the readout, gradients of the rule
    (with the firing-rate term), weight decay, clipping, optimiser step.

    Parameters
    ----------
    network
        Network with initialised parameters; changed in place.
    task, loss, rule, optimizer
        What to learn, and how: any objects with the members of `Task`, `Loss`, `Rule`
        and `Optimizer`. The `tasks` of the package show how a task is written.
    feedback
        Feedback weights; random ones are drawn from `seed` unless they have been.
    rate
        Firing-rate regularisation.
    batch_size, iterations
        `iterations` is the length of the learning-rate schedule.
    trainable
        Names of the parameters that learn.
    weight_decay
        Adds weight_decay * w to the gradients of w_in, w_rec and w_out.
    clip_norm
        Largest global norm of the gradients; 0 switches clipping off.
    schedule
        Learning rate over iterations: "constant", or "cosine" down to 0.
    seed
        Seed of the order and draws of training data, and of random feedback.
    threads
        Threads over samples. Results do not depend on it.

    Attributes
    ----------
    iteration : int
        Iterations done.
    optimizer_state : dict of arrays

    Raises
    ------
    InvalidValue
        If task and network do not fit, or a parameter is out of range.
    """

    network: RecurrentNetwork
    task: Task
    loss: Loss
    rule: Rule
    optimizer: Optimizer
    feedback: Feedback
    rate: FiringRate = field(default_factory=FiringRate)
    batch_size: int = 32
    iterations: int = 1000
    trainable: tuple[str, ...] = Params.names
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    schedule: str = "constant"
    seed: int = 0
    threads: int = 1
    iteration: int = field(default=0, init=False)
    optimizer_state: dict[str, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        network, task = self.network, self.task
        for name in ("n_in", "n_out"):
            mine, theirs = getattr(network, name), getattr(task, name)
            rule = f"must be {theirs}, the task's"
            require(mine == theirs, f"RecurrentNetwork.{name}", rule, mine)
        same = math.isclose(network.dt, task.dt)
        rule = f"must be {task.dt:g} ms, the task's"
        require(same, "RecurrentNetwork.dt", rule, network.dt)
        for name in ("batch_size", "iterations"):
            value = getattr(self, name)
            require(value >= 1, f"Trainer.{name}", "must be >= 1", value)
        for name in ("weight_decay", "clip_norm"):
            value = getattr(self, name)
            require(value >= 0, f"Trainer.{name}", "must be >= 0", value)
        rule = f"must be one of {SCHEDULES}"
        require(self.schedule in SCHEDULES, "Trainer.schedule", rule, self.schedule)
        unknown = sorted(set(self.trainable) - set(Params.names))
        rule = f"must be names from {Params.names}"
        require(not unknown, "Trainer.trainable", rule, unknown)
        if self.feedback.kind != "symmetric" and not self.feedback.matrix.size:
            stream = np.random.SeedSequence([self.seed, FEEDBACK_STREAM])
            rng = np.random.default_rng(stream)
            self.feedback.draw(network.n_rec, network.n_out, rng, network.dtype)
        self.optimizer_state = self.optimizer.init(self._learned())

    def _learned(self) -> dict[str, np.ndarray]:
        arrays = self.network.params.arrays()
        return {name: arrays[name] for name in self.trainable}

    def step(self) -> StepMetrics:
        """Do one iteration.

        Raises
        ------
        InvalidValue
            If the loss or a gradient stops being finite; weights are left as they were.
        """
        network = self.network
        batch = self.task.train_batch(self.iteration, self.batch_size, self.seed)
        record = network.run(batch.x, threads=self.threads)
        result = self.loss(record.y, batch.target, batch.mask)
        neuron = None
        if self.rate.strength > 0:
            neuron = self.rate.modulator(record, network.dt)
        params = network.params
        feedback = self.feedback.weights(params.w_out)
        signal = LearningSignal(result.error, feedback, neuron)
        estimate = self.rule.gradients(network, record, signal, threads=self.threads)
        learned = self._learned()
        gradients = {name: estimate.arrays()[name] for name in learned}
        self._decay_weights(learned, gradients)
        norm = global_norm(gradients)
        self._check_finite(result.value, norm)
        if self.clip_norm > 0:
            clip_gradients(gradients, self.clip_norm)
        scale = self._learning_rate_scale()
        before = params.w_out.copy()
        self.optimizer.step(learned, gradients, self.optimizer_state, scale)
        if "w_out" in learned:
            self.feedback.follow(before, params.w_out, scale)
        self.iteration += 1
        n = record.n_samples
        accuracy = result.n_correct / n if self.task.kind == "classification" else None
        rate_hz = float(firing_rates(record, network.dt).mean())
        return StepMetrics(self.iteration, result.value, accuracy, rate_hz, norm)

    def _decay_weights(
        self, learned: dict[str, np.ndarray], gradients: dict[str, np.ndarray]
    ) -> None:
        if self.weight_decay == 0:
            return
        for name in ("w_in", "w_rec", "w_out"):
            if name in learned:
                gradients[name] = gradients[name] + self.weight_decay * learned[name]

    def _check_finite(self, loss: float, norm: float) -> None:
        if not (np.isfinite(loss) and np.isfinite(norm)):
            raise InvalidValue(
                f"training iteration {self.iteration + 1} must have a finite loss and "
                f"gradient; got loss {loss:g}, gradient norm {norm:g}. (Lower "
                "optimizer.lr or set optimizer.clip_norm.)"
            )

    def _learning_rate_scale(self) -> float:
        if self.schedule == "constant":
            return 1.0
        progress = min(self.iteration / self.iterations, 1.0)
        return 0.5 * (1.0 + float(np.cos(np.pi * progress)))

    def evaluate(self, split: str, size: int | None = None) -> Evaluation:
        """Score the present weights on a split of the task."""
        return evaluate_network(
            self.network,
            self.task,
            self.loss,
            split,
            size=size,
            threads=self.threads,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that a resumed run needs, as flat names and arrays."""
        state = {f"params/{k}": v for k, v in self.network.params.arrays().items()}
        state |= {f"optimizer/{k}": v for k, v in self.optimizer_state.items()}
        state["feedback"] = self.feedback.matrix
        state["iteration"] = np.asarray(self.iteration)
        return {name: np.array(value) for name, value in state.items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a state returned by `state`.

        Raises
        ------
        InvalidValue
            If an array is missing or has another shape.
        """
        expected = self.state()
        for name, array in expected.items():
            where = f"checkpoint entry {name!r}"
            require(name in state, where, "must be there", "nothing")
            shape = np.shape(state[name])
            rule = f"must have shape {array.shape}"
            require(shape == array.shape, where, rule, f"shape {shape}")
        params = Params.names
        self.network.params.load({name: state[f"params/{name}"] for name in params})
        for name, array in self.optimizer_state.items():
            array[...] = state[f"optimizer/{name}"]
        self.feedback.matrix = np.array(state["feedback"])
        self.iteration = int(state["iteration"])
