"""Train, resume, evaluate and load runs on disk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn import tasks
from spikelearn.errors import require, unknown_name
from spikelearn.files import write_json
from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Classification, Loss, Regression
from spikelearn.learning.optimizers import SGD, Adam, Optimizer
from spikelearn.learning.rules import RULES
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import (
    Evaluation,
    StepMetrics,
    Trainer,
    evaluate_network,
)
from spikelearn.network import ALIF, LIF, LeakyReadout, Params, Surrogate
from spikelearn.network.connectivity import no_self_connections, random_mask
from spikelearn.network.model import RecurrentNetwork
from spikelearn.runs.config import RunConfig, load_config, resolve_config
from spikelearn.runs.folder import RunFolder
from spikelearn.tasks import Task

__all__ = [
    "Run",
    "build_network",
    "build_trainer",
    "evaluate",
    "load_run",
    "resume",
    "train",
]

FEEDBACK_STREAM = 0xFEED  # entropy of the feedback draw, beside the seed

Progress = Callable[[StepMetrics], None]


@dataclass(frozen=True)
class Run:
    """A run read from disk: the network holds the weights that are evaluated.

    These are the weights with the best validation score so far (`best_iteration`).
    """

    folder: RunFolder
    config: RunConfig
    task: Task
    loss: Loss
    network: RecurrentNetwork
    iteration: int
    best_iteration: int

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.folder.result_path.exists()


def build_network(config: RunConfig, task: Task) -> RecurrentNetwork:
    """Return the network of a configuration, with its initial weights."""
    section = config.network
    n = section.n_rec
    names = ("tau_m", "tau_syn", "v_th", "t_ref")
    common: dict[str, Any] = {
        name: np.asarray(getattr(section, name), np.float64) for name in names
    }
    common |= {
        "reset": section.reset,
        "input_scaling": section.input_scaling,
        "surrogate": Surrogate(section.surrogate, section.gamma, section.width),
    }
    cell: LIF
    if section.cell == "ALIF":
        n_adaptive = round(section.adaptive_fraction * n)
        adaptive = np.arange(n) >= n - n_adaptive
        beta = np.asarray(section.beta, np.float64)
        where, rule = "network.beta", f"must be a number or a list of {n}"
        require(beta.shape in ((), (n,)), where, rule, f"a list of {beta.size}")
        tau_a = np.asarray(section.tau_a, np.float64)
        cell = ALIF(**common, tau_a=tau_a, beta=np.where(adaptive, beta, 0.0))
    else:
        cell = LIF(**common)
    streams = np.random.SeedSequence(config.training.seed).spawn(2)
    mask = no_self_connections(n)
    if section.density < 1:
        rng = np.random.default_rng(streams[1])
        mask &= random_mask(n, n, section.density, rng)
    network = RecurrentNetwork(
        task.n_in,
        n,
        task.n_out,
        cell=cell,
        readout=LeakyReadout(section.tau_out, section.readout_scaling),
        dt=task.dt,
        mask=mask,
        dtype=section.dtype,
    )
    rng = np.random.default_rng(streams[0])
    network.initialise(rng, section.gain, section.gain_in, section.gain_out)
    return network


def build_trainer(config: RunConfig, threads: int = 1) -> Trainer:
    """Return the trainer of a configuration, at iteration 0.

    Raises
    ------
    UnknownName, InvalidValue
        If a name or value of the configuration is wrong.
    """
    task = tasks.make(config.task.name, **config.task.parameters())
    network = build_network(config, task)
    learning, optimizer = config.learning, config.optimizer
    if learning.rule not in RULES:
        raise unknown_name("rule", learning.rule, RULES)
    feedback = Feedback(
        learning.feedback, learning.feedback_scale, learning.feedback_decay
    )
    stream = np.random.SeedSequence([config.training.seed, FEEDBACK_STREAM])
    rng = np.random.default_rng(stream)
    feedback.draw(network.n_rec, network.n_out, rng, network.dtype)
    return Trainer(
        network,
        task,
        build_loss(config, task),
        RULES[learning.rule](),
        _optimizer(config),
        feedback,
        rate=FiringRate(learning.rate_target_hz, learning.rate_strength),
        batch_size=config.training.batch_size,
        iterations=config.training.iterations,
        trainable=tuple(learning.trainable),
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm,
        schedule=optimizer.schedule,
        seed=config.training.seed,
        threads=threads,
    )


def build_loss(config: RunConfig, task: Task) -> Loss:
    """Return the loss of a task."""
    if task.kind == "classification":
        return Classification()
    return Regression(config.learning.reduction)


def _optimizer(config: RunConfig) -> Optimizer:
    o = config.optimizer
    if o.name == "sgd":
        return SGD(o.lr, o.momentum)
    return Adam(o.lr, o.beta1, o.beta2, o.eps, o.form)


def train(
    config: RunConfig,
    out: str | Path,
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Run:
    """Train a new run into folder `out`.

    Parameters
    ----------
    progress
        Called after every iteration.

    Raises
    ------
    FileAccessError
        If the folder holds a run already or cannot be written.
    SpikelearnError
        If the configuration cannot be built; nothing is written then.
    """
    trainer = build_trainer(config, threads)
    task = trainer.task  # its data must be there before the folder is made
    task.train_batch(0, 1, config.training.seed)
    next(iter(task.evaluation("validation", 1, 1)))
    folder = RunFolder.create(out, config.to_dict())
    with folder.locked():
        session = _Session(folder, config, trainer)
        session.evaluate_validation()
        session.save()
        return session.run_to_end(progress)


def resume(
    path: str | Path, *, threads: int = 1, progress: Progress | None = None
) -> Run:
    """Continue a run from its newest checkpoint; a finished run is only loaded.

    The numbers are the same, bit for bit, as those of a run that was not interrupted.
    """
    folder = RunFolder.open(path)
    config = resolve_config(load_config(folder.config_path))
    if folder.result() is not None:
        return load_run(path)
    with folder.locked():
        session = _Session(folder, config, build_trainer(config, threads))
        if folder.checkpoint_path.exists():
            session.load()
        else:
            session.evaluate_validation()
            session.save()
        return session.run_to_end(progress)


def load_run(path: str | Path) -> Run:
    """Read a run and its best weights."""
    folder = RunFolder.open(path)
    config = resolve_config(load_config(folder.config_path))
    task = tasks.make(config.task.name, **config.task.parameters())
    network = build_network(config, task)
    state = folder.read_checkpoint()
    where = "checkpoint"
    for name in (*(f"best/{n}" for n in Params.names), "iteration", "best_iteration"):
        require(name in state, where, f"must hold {name!r}", sorted(state))
    network.params.load({name: state[f"best/{name}"] for name in Params.names})
    iteration, best = int(state["iteration"]), int(state["best_iteration"])
    loss = build_loss(config, task)
    return Run(folder, config, task, loss, network, iteration, best)


def evaluate(
    path: str | Path, split: str = "test", *, size: int | None = None, threads: int = 1
) -> Evaluation:
    """Score the best weights of a run on a split of its task."""
    run = load_run(path)
    return evaluate_network(
        run.network, run.task, run.loss, split, size=size, threads=threads
    )


class _Session:
    """One process working on one run folder."""

    def __init__(self, folder: RunFolder, config: RunConfig, trainer: Trainer) -> None:
        self.folder = folder
        self.config = config
        self.trainer = trainer
        self.best_score = -np.inf
        self.best_iteration = 0
        self.best: dict[str, np.ndarray] = {}
        self.pending: list[dict[str, Any]] = []
        self.seconds_before = 0.0
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def evaluate_validation(self) -> None:
        """Score on validation data and keep the weights if they are the best so far."""
        trainer = self.trainer
        size = self.config.training.evaluate_samples
        scores = trainer.evaluate("validation", size)
        self.pending.append(
            {"iteration": trainer.iteration} | dataclasses.asdict(scores)
        )
        score = -scores.loss if scores.accuracy is None else scores.accuracy
        if score > self.best_score:
            self.best_score = score
            self.best_iteration = trainer.iteration
            arrays = trainer.network.params.arrays()
            self.best = {name: array.copy() for name, array in arrays.items()}

    def save(self) -> None:
        """Write metrics, then the checkpoint that accounts for them."""
        self.folder.append_metrics(*self.pending)
        self.pending.clear()
        state = self.trainer.state()
        state |= {f"best/{name}": array for name, array in self.best.items()}
        state["best_score"] = np.asarray(self.best_score)
        state["best_iteration"] = np.asarray(self.best_iteration)
        state["seconds"] = np.asarray(self.seconds)
        self.folder.write_checkpoint(state)

    def load(self) -> None:
        """Continue from the checkpoint; later lines of the metrics are dropped."""
        state = self.folder.read_checkpoint()
        self.trainer.load_state(state)
        self.best = {name: state[f"best/{name}"] for name in Params.names}
        self.best_score = float(state["best_score"])
        self.best_iteration = int(state["best_iteration"])
        self.seconds_before = float(state["seconds"])
        self.folder.cut_metrics(self.trainer.iteration)

    def run_to_end(self, progress: Progress | None) -> Run:
        """Iterate to the end, then write the result."""
        training, trainer = self.config.training, self.trainer
        while trainer.iteration < training.iterations:
            metrics = trainer.step()
            self.pending.append(
                {"split": "train"}
                | dataclasses.asdict(metrics)
                | {"seconds": round(self.seconds, 4)}
            )
            if progress is not None:
                progress(metrics)
            last = trainer.iteration == training.iterations
            if last or trainer.iteration % training.evaluate_every == 0:
                self.evaluate_validation()
            if last or trainer.iteration % training.checkpoint_every == 0:
                self.save()
        return self._finish()

    def _finish(self) -> Run:
        trainer = self.trainer
        trainer.network.params.load(self.best)
        scores = {
            split: dataclasses.asdict(trainer.evaluate(split))
            for split in ("validation", "test")
        }
        result = {
            "iterations": trainer.iteration,
            "best_iteration": self.best_iteration,
            "seconds": round(self.seconds, 3),
            "splits": trainer.task.splits,
            **scores,
        }
        write_json(self.folder.result_path, result)
        return load_run(self.folder.path)
