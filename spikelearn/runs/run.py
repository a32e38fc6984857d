"""Train, resume, evaluate and load runs on disk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn import tasks
from spikelearn.errors import FileFormatError, InvalidValue, require
from spikelearn.files import write_json
from spikelearn.learning.evaluation import Evaluation, evaluate_network
from spikelearn.learning.losses import Loss
from spikelearn.learning.trainer import StepMetrics, Trainer
from spikelearn.network import Params
from spikelearn.network.model import RecurrentNetwork
from spikelearn.runs import snapshots
from spikelearn.runs.build import Hardware, build_loss, build_network, build_trainer
from spikelearn.runs.config import RunConfig
from spikelearn.runs.folder import RunFolder
from spikelearn.tasks import Task

__all__ = ["Run", "evaluate", "load_run", "new_trainer", "resume", "train"]

Progress = Callable[[StepMetrics], None]
BEST_BACKEND = "best_backend"
"""Group of a checkpoint: state of `Trainer.backend` when the weights were best."""


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
        """Whether all iterations are done and scored."""
        done = self.iteration >= self.config.training.iterations
        return done and self.folder.result_path.exists()

    def snapshots(self) -> Iterator[tuple[int, RecurrentNetwork]]:
        """Yield (iteration, network) with the weights that were kept on the way.

        They are in order, and none where the run kept none. Each network is a new one.
        Those of a quantisation-aware run are the weights that ran.

        Raises
        ------
        FileAccessError, FileFormatError
            If a file cannot be read, is corrupt or of another network.
        """
        for iteration in snapshots.taken(self.folder):
            network = dataclasses.replace(self.network)
            arrays = snapshots.read(self.folder, iteration, network.params.arrays())
            network.params.load(arrays)
            yield iteration, network


def train(
    config: RunConfig,
    out: str | Path,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    hardware: Hardware | None = None,
) -> Run:
    """Train a new run into folder `out`.

    Parameters
    ----------
    progress
        Called after every iteration.
    hardware
        As in `spikelearn.runs.build.build_trainer`.

    Raises
    ------
    FileAccessError
        If the folder holds a run already or cannot be written.
    SpikelearnError
        If the configuration cannot be built; nothing is written then.
    """
    trainer = new_trainer(config, threads=threads, hardware=hardware)
    task = trainer.task  # its data must be there before the folder is made
    task.train_batch(0, 1, config.training.seed)
    next(iter(task.evaluation("validation", 1, 1)))
    with RunFolder.create(out, config.to_dict()) as folder:
        return _Session(folder, config, trainer).start(progress)


def new_trainer(
    config: RunConfig, *, threads: int = 1, hardware: Hardware | None = None
) -> Trainer:
    """Return the trainer of a run that has not begun, with its first weights.

    Parameters
    ----------
    hardware
        As in `spikelearn.runs.build.build_trainer`.

    Raises
    ------
    SpikelearnError
        If the configuration cannot be built, or the run that it starts from not read.
    """
    return build_trainer(config, threads, hardware, _first_weights(config))


def resume(
    path: str | Path,
    *,
    config: RunConfig | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    hardware: Hardware | None = None,
) -> Run:
    """Continue a run from its newest checkpoint; a finished run is only loaded.

    The numbers are the same, bit for bit, as those of a run that was not interrupted.
    A finished run whose `training.iterations` was raised since goes on, if its learning
    rate is constant; it has then been evaluated once more than a run of the whole
    length if it had ended between two multiples of `training.evaluate_every`.

    Parameters
    ----------
    config
        The configuration of the folder, if it has been read already.
    progress
        Called after every iteration.
    hardware
        As in `spikelearn.runs.build.build_trainer`.

    Raises
    ------
    InvalidValue
        If the configuration is not that of the checkpoint.
    SpikelearnError
        If a file is missing or corrupt, or another process trains into the folder.
    """
    folder = RunFolder.open(path)
    config = config or folder.read_config()
    result = folder.result()
    if result is not None and result["iterations"] >= config.training.iterations:
        return _load(folder, config, unchanged=True)
    weights = None if folder.checkpoint_path.exists() else _first_weights(config)
    trainer = build_trainer(config, threads, hardware, weights)
    with folder.locked():
        session = _Session(folder, config, trainer)
        if not folder.checkpoint_path.exists():
            return session.start(progress)
        session.load()
        return session.run_to_end(progress)


def _first_weights(config: RunConfig) -> dict[str, np.ndarray] | None:
    """Return the best weights of the run that training starts from, if it does.

    Raises
    ------
    InvalidValue
        If that run has another network.
    FileAccessError, FileFormatError
        If it cannot be read.
    """
    start = config.training.start
    if start is None:
        return None
    other = load_run(start)
    arrays = other.network.params.arrays()
    task = tasks.make(config.task.name, **config.task.parameters())
    wanted = (config.network.n_rec, task.n_in, task.n_out)
    got = (*arrays["w_in"].shape, len(arrays["w_out"]))
    rule = f"must have (n_rec, n_in, n_out) = {wanted}"
    require(got == wanted, f"training.start = {start!r}", rule, got)
    for name in ("cell", "layers"):
        mine, theirs = (getattr(c.network, name) for c in (config, other.config))
        rule = f"must have network.{name} = {mine}"
        require(mine == theirs, f"training.start = {start!r}", rule, theirs)
    return arrays


def load_run(path: str | Path) -> Run:
    """Read a run and its best weights."""
    folder = RunFolder.open(path)
    return _load(folder, folder.read_config())


def _load(folder: RunFolder, config: RunConfig, *, unchanged: bool = False) -> Run:
    task = tasks.make(config.task.name, **config.task.parameters())
    network = build_network(config, task, matched=False)
    if unchanged:
        _check_unchanged(folder, config)
    state = _read_state(folder, network)
    network.params.load({name: state[f"best/{name}"] for name in Params.names})
    iteration, best = int(state["iteration"]), int(state["best_iteration"])
    loss = build_loss(config, task)
    return Run(folder, config, task, loss, network, iteration, best)


def _read_state(
    folder: RunFolder,
    network: RecurrentNetwork,
    trainer_state: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the checked checkpoint: the best weights, and all of `trainer_state`."""
    like = {f"best/{k}": array for k, array in network.params.arrays().items()}
    like |= dict.fromkeys(("iteration", "best_iteration"), np.asarray(0))
    like |= dict.fromkeys(("best_score", "seconds"), np.asarray(0.0))
    state = folder.read_checkpoint(like | (trainer_state or {}))
    counted = 0 <= state["best_iteration"] <= state["iteration"]
    if not counted or not np.isfinite([state["best_score"], state["seconds"]]).all():
        raise FileFormatError(
            f"file {str(folder.checkpoint_path)!r} must hold counts and finite scores; "
            "it is corrupt."
        )
    return state


def _check_unchanged(folder: RunFolder, config: RunConfig) -> None:
    digest = config.digest()
    state = folder.read_checkpoint({"config_digest": digest})
    if not np.array_equal(state["config_digest"], digest):
        raise InvalidValue(
            "config.toml must be as it was when the run began; got other values. "
            "(Undo the changes, or train into a new folder. Only training.iterations "
            "may change, and only with a constant optimizer.schedule.)"
        )


def evaluate(
    path: str | Path, split: str = "test", *, size: int | None = None, threads: int = 1
) -> Evaluation:
    """Score the best weights of a run on a split of its task, in floating point.

    Raises
    ------
    InvalidValue
        If the run was trained as integers: `hardware.trained.evaluate_run` scores it.
    FileAccessError, FileFormatError
        If the run cannot be read.
    """
    run = load_run(path)
    hardware = run.config.hardware
    bits = None if hardware is None else hardware.weight_bits
    hint = "Use hardware.trained.evaluate_run."
    where, rule = f"run {str(path)!r}", "must be trained in floating point"
    require(bits is None, where, rule, f"hardware.weight_bits = {bits}", hint)
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
        self.best_backend: dict[str, np.ndarray] = {}
        self.pending: list[dict[str, Any]] = []
        self.seconds_before = 0.0
        self.keeps = snapshots.keeps(config, trainer.network.params.arrays())
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def start(self, progress: Progress | None) -> Run:
        """Begin at iteration 0."""
        self.folder.cut_metrics(-1)
        self.keep_weights()
        self.evaluate_validation()
        self.save()
        return self.run_to_end(progress)

    def keep_weights(self) -> None:
        """Write a snapshot of the weights that run, if one is due."""
        trainer, last = self.trainer, self.config.training.iterations
        if self.keeps and snapshots.due(trainer.iteration, last):
            arrays = trainer.running().params.arrays()
            snapshots.write(self.folder, trainer.iteration, arrays)

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
            arrays = trainer.running().params.arrays()
            self.best = {name: array.copy() for name, array in arrays.items()}
            self.best_backend = self._backend_state()

    def _backend_state(self) -> dict[str, np.ndarray]:
        backend = self.trainer.backend
        state = {} if backend is None else backend.state()
        return {f"{BEST_BACKEND}/{name}": array for name, array in state.items()}

    def save(self) -> None:
        """Write metrics, then the checkpoint that accounts for them."""
        self.folder.append_metrics(*self.pending)
        self.pending.clear()
        state = self.trainer.state()
        state |= {f"best/{name}": array for name, array in self.best.items()}
        state |= self.best_backend
        state["best_score"] = np.asarray(self.best_score)
        state["best_iteration"] = np.asarray(self.best_iteration)
        state["seconds"] = np.asarray(self.seconds)
        state["config_digest"] = self.config.digest()
        self.folder.write_checkpoint(state)

    def load(self) -> None:
        """Continue from the checkpoint; later lines of the metrics are dropped."""
        trainer = self.trainer
        _check_unchanged(self.folder, self.config)
        expected = trainer.state() | self._backend_state()
        state = _read_state(self.folder, trainer.network, expected)
        trainer.load_state(state)
        self.best_backend = {name: state[name] for name in self._backend_state()}
        self.best = {name: state[f"best/{name}"] for name in Params.names}
        self.best_score = float(state["best_score"])
        self.best_iteration = int(state["best_iteration"])
        self.seconds_before = float(state["seconds"])
        self.folder.cut_metrics(trainer.iteration)

    def run_to_end(self, progress: Progress | None) -> Run:
        """Iterate to the end, then write the result."""
        training, trainer = self.config.training, self.trainer
        while trainer.iteration < training.iterations:
            metrics = trainer.step()
            self.keep_weights()
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
        if trainer.backend is not None:
            own = len(BEST_BACKEND) + 1
            state = {name[own:]: array for name, array in self.best_backend.items()}
            trainer.backend.load_state(state)
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
        return _load(self.folder, self.config)
