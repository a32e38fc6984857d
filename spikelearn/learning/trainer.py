"""The training loop: one object, one step at a time, a state that can be saved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.learning.backend import Backend, Constraint
from spikelearn.learning.evaluation import Evaluation, evaluate_network, mean_rate
from spikelearn.learning.flossing import Flossing, FlossingStep
from spikelearn.learning.gradients import Gradients, global_norm
from spikelearn.learning.homeostasis import FiringRate, IntrinsicPlasticity
from spikelearn.learning.losses import Loss, LossResult
from spikelearn.learning.optimizers import Optimizer, clip_gradients
from spikelearn.learning.rules import OnlineRule, Rule
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.signals import Feedback, LearningSignal
from spikelearn.learning.terms import PlasticityTerm
from spikelearn.memory import fits_surely, memory_limit_bytes
from spikelearn.network import AnyRecord, Params, Record, RecurrentNetwork
from spikelearn.tasks import Batch, Task

__all__ = ["SCHEDULES", "StepMetrics", "Trainer", "learning_rate_scale"]

SCHEDULES = ("constant", "cosine")
# Entropy beside the seed: of the feedback matrix, of actions, of noisy signals.
FEEDBACK_STREAM, ACTION_STREAM, NOISE_STREAM = 0xFEED, 0xAC7, 0x2015E
FLOSSING_STREAM = 0xF1055


@dataclass(frozen=True)
class StepMetrics:
    """What one iteration reports, measured on its training batch as it was learned.

    `rate_hz` is None for rate units; `loss` of a reward task is minus the mean reward.
    `exponents` are the largest Lyapunov exponents, per step, of all trials of flossing
    that belong to the iteration, in order.
    """

    iteration: int
    loss: float
    accuracy: float | None
    rate_hz: float | None
    gradient_norm: float
    exponents: tuple[float, ...] = ()


@dataclass
class Trainer:
    """Trains a network on a task with one rule and its learning signal.

    An iteration is: draw a batch, run it, error of the readout, gradients of the rule
    (with the firing-rate term), weight decay, clipping, optimiser step, plasticity
    terms, and the projection onto masks and Dale's law. With `update_every`, rules that
    can do all of this in the middle of a trial, on what happened since the last update.

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
    terms
        Displacements of weights that are added at the end of each iteration.
    flossing
        Gradient flossing of the recurrent weights: trials of it before an iteration,
        or within each, as it says. They see the input of training and no target.
    intrinsic
        Homeostasis of the biases, in every trial of flossing and of training, also
        where "bias" is not learned by the rule. In training it follows the schedule.
    backend
        Runs the network in place of the simulator, with weights of its own making
        (`learning.backend`); its gradients move the weights of `network`.
    constraint
        Projects the weights after every update, after masks and Dale's law.
    update_every
        Steps between two updates within a trial; 0: one update at its end, which costs
        least. Credit is exact for any number: long pieces are windows, and with 1 the
        traces of every step exist (`PathRule.step`). Decays of the optimiser and of
        adaptive feedback are per update.
    batch_size, iterations
        `iterations` is the length of the learning-rate schedule.
    trainable
        Names of the parameters that learn.
    weight_decay
        Adds weight_decay * w to the gradients of w_in, w_rec and w_out.
    clip_norm
        Largest global norm of the gradients; 0 switches clipping off.
    schedule
        Learning rate over iterations: "constant", or "cosine" down to 0. Within an
        iteration, flossing and homeostasis of the biases follow it.
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
    terms: tuple[PlasticityTerm, ...] = ()
    flossing: Flossing | None = None
    intrinsic: IntrinsicPlasticity | None = None
    backend: Backend | None = None
    constraint: Constraint | None = None
    update_every: int = 0
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
    flossing_state: dict[str, np.ndarray] = field(init=False, repr=False)
    flossed: list[float] = field(default_factory=list, init=False, repr=False)

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
        for name in ("weight_decay", "clip_norm", "update_every"):
            value = getattr(self, name)
            require(value >= 0, f"Trainer.{name}", "must be >= 0", value)
        rule = f"must be one of {SCHEDULES}"
        require(self.schedule in SCHEDULES, "Trainer.schedule", rule, self.schedule)
        unknown = sorted(set(self.trainable) - set(Params.names))
        rule = f"must be names from {Params.names}"
        require(not unknown, "Trainer.trainable", rule, unknown)
        self.rule.check(network)
        if self.rate.strength > 0:
            where, rule = "FiringRate.strength", "must be 0 for cells without spikes"
            hint = "In a configuration: learning.rate_strength = 0."
            require(network.spiking, where, rule, self.rate.strength, hint)
        self._check_signal()
        if self.update_every:
            self._check_online()
        if self.backend is not None:
            self._check_backend()
        if self.feedback.kind != "symmetric" and not self.feedback.matrix.size:
            stream = np.random.SeedSequence([self.seed, FEEDBACK_STREAM])
            rng = np.random.default_rng(stream)
            self.feedback.draw(network.n_rec, network.n_out, rng, network.dtype)
        self.optimizer_state = self.optimizer.init(self._learned())
        self.flossing_state = self._start_flossing()

    def _start_flossing(self) -> dict[str, np.ndarray]:
        """Check the terms that have no target; return the state of flossing."""
        if self.intrinsic is not None:
            where, rule = "Trainer.intrinsic", "must be used with spiking cells"
            require(self.network.spiking, where, rule, "rate units")
        if self.flossing is None:
            return {}
        self.flossing.check(self.network)
        stream = np.random.SeedSequence([self.seed, FLOSSING_STREAM])
        rng = np.random.default_rng(stream)
        return self.flossing.start(self.network, self.batch_size, rng)

    def _check_signal(self) -> None:
        """Refuse signals that would teach the neurons nothing, or what they cannot be.

        A reward is that of the action taken: no target is shown, and local readouts
        would be told the reward of actions of their own.
        """
        kind, info = self.feedback.kind, self.rule.info
        rewarded = self.task.kind == "reward"
        if rewarded:
            where, rule = "Feedback.kind", "must be one that carries a reward"
            hint = "Use 'symmetric', 'random' or 'adaptive' with a reward task."
            require(kind not in ("target", "local"), where, rule, kind, hint)
        self._check_layers()
        if info.signal == "local":
            where, rule = "Feedback.kind", f"must be 'local' with rule {info.name!r}"
            hint = "In a configuration: learning.feedback = 'local'."
            require(kind == "local", where, rule, kind, hint)
        if info.signal == "reward":
            where = f"rule {info.name!r}"
            hint = "Rules for tasks with a target: e-prop and others."
            rule = "must be used with a reward task"
            require(rewarded, where, rule, self.task.kind, hint)
            where, rule = "FiringRate.strength", f"must be 0 with rule {info.name!r}"
            hint = "In a configuration: learning.rate_strength = 0."
            require(self.rate.strength == 0, where, rule, self.rate.strength, hint)

    def _check_layers(self) -> None:
        """Refuse to leave a whole layer without any learning signal."""
        network, kind, info = self.network, self.feedback.kind, self.rule.info
        mask_out = cast(np.ndarray, network.mask_out)
        ends = np.cumsum(network.layers)
        heard = [
            mask_out[:, e - n : e].any()
            for e, n in zip(ends, network.layers, strict=True)
        ]
        deaf = [layer for layer, hears in enumerate(heard) if not hears]
        teaches = kind not in ("symmetric", "adaptive") or info.hops != "none"
        teaches = teaches or info.signal != "error"
        rule = f"must reach every layer with rule {info.name!r}"
        got = f"{kind!r}, and no readout at layer {deaf[0] if deaf else 0}"
        hint = "Use learning.feedback = 'random' or 'local', or rule mdgl or bptt."
        require(teaches or not deaf, "Feedback.kind", rule, got, hint)

    def _check_online(self) -> None:
        where, rule = "Trainer.update_every", "must be 0 with {}"
        online = isinstance(self.rule, OnlineRule)
        name = f"the rule {self.rule.info.name!r}"
        hint = "It is credited at the end of a trial."
        require(online, where, rule.format(name), self.update_every, hint)
        cast(OnlineRule, self.rule).start(self.network, 1)
        reward = self.task.kind == "reward"
        hint = "An action is known at the end of a trial."
        require(
            not reward, where, rule.format("a reward task"), self.update_every, hint
        )

    def _check_backend(self) -> None:
        """Refuse what looks at the weights that learn as if they had run."""
        where, rule = "Trainer.update_every", "must be 0 with a backend"
        require(not self.update_every, where, rule, self.update_every)
        continuous = self.flossing is not None and self.flossing.continuous
        where, rule = "Flossing.continuous", "must be false with a backend"
        require(not continuous, where, rule, continuous)

    def running(self) -> RecurrentNetwork:
        """Return the network with the weights that are run and scored."""
        if self.backend is None:
            return self.network
        return self.backend.running(self.network)

    def _learned(self) -> dict[str, np.ndarray]:
        arrays = self.network.params.arrays()
        return {name: arrays[name] for name in self.trainable}

    def _rng(self, stream: int) -> np.random.Generator:
        """Return the generator of one stream of this iteration."""
        entropy = [self.seed, stream, self.iteration]
        return np.random.default_rng(np.random.SeedSequence(entropy))

    def step(self) -> StepMetrics:
        """Do one iteration.

        Raises
        ------
        InvalidValue
            If the loss or a gradient stops being finite; weights are left as they were
            at the last update.
        """
        self.flossed.clear()
        if self.flossing is not None:
            for episode in range(self.flossing.episodes_before(self.iteration)):
                self.floss(episode)
        batch = self.task.train_batch(self.iteration, self.batch_size, self.seed)
        trial = self._step_within if self.update_every else self._step_at_end
        result, rate_hz, norm = trial(batch)
        self.iteration += 1
        is_class = self.task.kind == "classification"
        accuracy = result.n_correct / batch.size if is_class else None
        exponents = tuple(self.flossed)
        return StepMetrics(
            self.iteration, result.value, accuracy, rate_hz, norm, exponents
        )

    def floss(self, episode: int = 0) -> FlossingStep:
        """Do one trial of flossing alone, without a target.

        Its input is that of the training batch `episode` iterations later.

        Raises
        ------
        InvalidValue
            If there is no flossing, or the trajectory is not finite.
        """
        where, rule = "Trainer.flossing", "must be given to floss"
        require(self.flossing is not None, where, rule, self.flossing)
        at = self.iteration + episode
        batch = self.task.train_batch(at, self.batch_size, self.seed)
        return self._apply_flossing(self.network.run(batch.x, threads=self.threads))

    def _apply_flossing(self, record: Record, scale: float = 1.0) -> FlossingStep:
        """Move the weights by the flossing of a trial, and the biases with them."""
        network, flossing = self.network, cast(Flossing, self.flossing)
        threads = self.threads
        step = flossing.step(network, record, self.flossing_state, threads=threads)
        network.params.w_rec[...] += (scale * step.move).astype(network.dtype)
        self.flossed.append(float(step.exponents[0]))
        self._apply_intrinsic(record, scale)
        self._constrain()
        return step

    def _apply_intrinsic(self, record: AnyRecord, scale: float) -> None:
        if self.intrinsic is not None:
            move = self.intrinsic.displacement(self.network, record)
            self.network.params.bias[...] += scale * move["bias"]

    def _stabilise(self, record: AnyRecord) -> None:
        """Do what flossing and homeostasis do all along, slower as the schedule says.

        Else they would go on to shift a network that cannot learn to follow any more.
        """
        scale = learning_rate_scale(self.schedule, self.iteration, self.iterations)
        if self.flossing is not None and self.flossing.continuous:
            self._apply_flossing(cast(Record, record), scale)
        else:
            self._apply_intrinsic(record, scale)

    def _step_at_end(self, batch: Batch) -> tuple[LossResult, float | None, float]:
        """Run a whole batch and update once."""
        network, record = self._run(batch.x)

        def loss_of(y: np.ndarray) -> LossResult:
            rng = self._rng(ACTION_STREAM)
            return self.loss(y, batch.target, batch.mask, rng=rng)

        result = loss_of(record.y)
        neuron = None
        if self.rate.strength > 0:
            neuron = self.rate.modulator(record, network.dt)
        rng = self._rng(NOISE_STREAM)
        feedback, direct = self.feedback, None
        if feedback.kind == "local":
            output, layers = cast(Record, record).output, network.layers
            direct = feedback.direct(output, layers, lambda y: loss_of(y).error)
        signal = LearningSignal(
            error=result.error,
            feedback=feedback.weights(network.params.w_out),
            neuron=neuron,
            broadcast=feedback.broadcast(result.error, result.projection, rng),
            direct=direct,
            reward=result.reward,
        )
        # Rules that need a whole record get one: see `_run`.
        whole = cast(Record, record)
        estimate = self.rule.gradients(network, whole, signal, threads=self.threads)
        norm = self._update(estimate, result.value)
        if self.terms:
            self._apply_terms(whole.output)
        self._stabilise(record)
        return result, mean_rate(record, network.dt), norm

    def _run(self, x: np.ndarray) -> tuple[RecurrentNetwork, AnyRecord]:
        """Run a batch, with checkpoints if a whole record would take too much memory.

        Half of the memory limit is for it; the sweep then runs the batch once more.
        """
        network, threads = self.network, self.threads
        needs, n_steps = self.rule.needs(network), len(x)
        if self.backend is not None:
            return self.backend.run(network, x, needs, threads=threads)
        n_bytes = network.record_bytes(n_steps, x.shape[1], needs)
        outputs_needed = bool(self.terms) or self.feedback.kind == "local"
        outputs_needed |= self.flossing is not None and self.flossing.continuous
        in_pieces = isinstance(self.rule, PathRule) and not outputs_needed
        if in_pieces and not fits_surely(n_bytes):
            room = memory_limit_bytes() // 2
            if n_bytes > room:
                chunk_steps = max(n_steps * room // n_bytes, 1)
                return network, network.run_checkpointed(
                    x, chunk_steps, threads=threads
                )
        return network, network.run(x, record=needs, threads=threads)

    def _step_within(self, batch: Batch) -> tuple[LossResult, float | None, float]:
        """Run a batch in pieces of `update_every` steps, with an update after each."""
        network, threads = self.network, self.threads
        rule = cast(OnlineRule, self.rule)
        needs = rule.needs(network)
        n_steps, n_samples = batch.x.shape[:2]
        traces = rule.start(network, n_samples)
        state = None
        y = np.zeros((n_steps, n_samples, network.n_out), network.dtype)
        counts = np.zeros((n_samples, network.n_rec))
        outputs = np.zeros((n_steps, n_samples, network.n_rec), network.dtype)
        rng = self._rng(NOISE_STREAM)
        norm = 0.0

        def result_of(readout: np.ndarray) -> LossResult:
            return self.loss(readout, batch.target, batch.mask)

        for begin in range(0, n_steps, self.update_every):
            piece = slice(begin, min(begin + self.update_every, n_steps))
            record = network.run(
                batch.x[piece], record=needs, state=state, threads=threads
            )
            state = record.final
            y[piece] = record.y
            outputs[piece] = record.output
            result = result_of(y)
            neuron = None
            if self.rate.strength > 0:
                counts += record.spike_counts
                neuron = self.rate.running(counts, piece.stop, n_steps, network.dt)
            direct = self.feedback.direct(
                outputs, network.layers, lambda readout: result_of(readout).error
            )
            error, projection = result.error[piece], result.projection[piece]
            signal = LearningSignal(
                error=error,
                feedback=self.feedback.weights(network.params.w_out),
                neuron=neuron,
                broadcast=self.feedback.broadcast(error, projection, rng),
                direct=None if direct is None else direct[piece],
            )
            estimate = rule.step(network, record, signal, traces, threads=threads)
            norm = self._update(estimate, result.value)
            self._stabilise(record)
        if self.terms:
            self._apply_terms(outputs)
        rate = None
        if network.spiking:
            rate = float(1000.0 * outputs.mean() / network.dt)
        return result, rate, norm

    def _update(self, estimate: Gradients, loss: float) -> float:
        """Move the weights; return the norm of the gradient."""
        network = self.network
        learned = self._learned()
        gradients = {name: estimate.arrays()[name] for name in learned}
        self._decay_weights(learned, gradients)
        norm = global_norm(gradients)
        self._check_finite(loss, norm)
        if self.clip_norm > 0:
            clip_gradients(gradients, self.clip_norm)
        scale = learning_rate_scale(self.schedule, self.iteration, self.iterations)
        before = network.params.w_out.copy()
        state, threads = self.optimizer_state, self.threads
        self.optimizer.step(learned, gradients, state, scale, threads)
        if "w_out" in learned:
            self.feedback.follow(before, network.params.w_out, scale)
        self._constrain()
        return norm

    def _constrain(self) -> None:
        self.network.constrain()
        if self.constraint is not None:
            self.constraint(self.network)

    def _apply_terms(self, output: np.ndarray) -> None:
        """Add the displacements of the plasticity terms, once per trial.

        `output` is what the neurons sent in the whole trial, (T, B, n_rec).
        """
        learned = self._learned()
        moves = [term.displacement(self.network, output) for term in self.terms]
        for move in moves:
            for name in learned.keys() & move.keys():
                learned[name] += move[name]
        self._constrain()

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

    def evaluate(self, split: str, size: int | None = None) -> Evaluation:
        """Score the present weights on a split of the task."""
        if self.backend is not None:
            given = (self.network, self.task, self.loss, split)
            return self.backend.evaluate(*given, size=size, threads=self.threads)
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
        state |= {f"flossing/{k}": v for k, v in self.flossing_state.items()}
        if self.backend is not None:
            state |= {f"backend/{k}": v for k, v in self.backend.state().items()}
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
        for name, array in self.flossing_state.items():
            array[...] = state[f"flossing/{name}"]
        if self.backend is not None:
            names = self.backend.state()
            self.backend.load_state({k: state[f"backend/{k}"] for k in names})
        self.feedback.matrix = np.array(state["feedback"])
        self.iteration = int(state["iteration"])


def learning_rate_scale(schedule: str, iteration: int, iterations: int) -> float:
    """Return the factor of the learning rate: 1, or (1 + cos(pi progress)) / 2."""
    if schedule == "constant":
        return 1.0
    progress = min(iteration / iterations, 1.0)
    return 0.5 * (1.0 + float(np.cos(np.pi * progress)))
