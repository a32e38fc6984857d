"""From a configuration to a network and its trainer, if they fit into memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from spikelearn import tasks
from spikelearn.connectivity import random_mask, stack
from spikelearn.errors import require, unknown_name
from spikelearn.kernels.threads import N_GROUPS
from spikelearn.kernels.traces import n_traces
from spikelearn.kernels.vector import padded
from spikelearn.learning.backend import Backend, Constraint
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.homeostasis import FiringRate, IntrinsicPlasticity
from spikelearn.learning.losses import Classification, Loss, Regression
from spikelearn.learning.oja import Oja, WeightDecay
from spikelearn.learning.optimizers import SGD, Adam, Optimizer
from spikelearn.learning.reward import ActorCritic
from spikelearn.learning.rules import RULES, Rule
from spikelearn.learning.signals import Feedback
from spikelearn.learning.terms import PlasticityTerm
from spikelearn.learning.trainer import Trainer
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, Surrogate
from spikelearn.network.cells import Cells
from spikelearn.network.model import RecurrentNetwork
from spikelearn.runs.config import RunConfig
from spikelearn.runs.connecting import draw_connectivity, match_network
from spikelearn.tasks import Task

__all__ = ["Hardware", "build_loss", "build_network", "build_rule", "build_trainer"]

GIB = 2**30
Hardware = Callable[
    [RunConfig, RecurrentNetwork, Task], tuple[Backend | None, Constraint | None]
]
"""Makes backend and constraint of a network from the section [hardware]."""


def _itemsize(config: RunConfig) -> int:
    return 8 if config.network.dtype == "float64" else 4


def _weights(config: RunConfig, task: Task) -> int:
    n = config.network.n_rec
    return n * (task.n_in + n + task.n_out)


def _weight_bytes(config: RunConfig, task: Task) -> int:
    """Return the bytes of weights, their float64 draws, the masks and the delays."""
    pairs = config.network.n_rec**2
    weights = _weights(config, task)
    delays = 0 if config.network.longest_delay is None else 12 * pairs
    draws = 0 if config.network.connectivity is None else 5 * 8 * pairs
    return weights * (_itemsize(config) + 1) + 8 * pairs + delays + draws


def _training_bytes(config: RunConfig, task: Task) -> int:
    """Return the bytes of weights, their copies, and one batch, to a factor of 2.

    Copies of the weights are the best ones, two temporary ones, those of the optimiser,
    and the gradient of every group of samples.
    """
    network, learning = config.network, config.learning
    item, n = _itemsize(config), network.n_rec
    size = config.training.batch_size
    kept = {"adam": 2, "sgd": int(config.optimizer.momentum > 0)}
    copies = 3 + kept[config.optimizer.name] + min(size, N_GROUPS)
    weights = _weight_bytes(config, task) + copies * _weights(config, task) * item
    # of one neuron at one step: distance, and spikes or output
    neuron = item + (item if network.cell == "rate" else 4)
    if network.reset == "zero" and learning.rule in ("bptt", "rtrl", "snap-1"):
        neuron += 3 * item  # v, a and i
    if learning.feedback == "local" or learning.update_every:
        neuron += 3 * item
    if learning.oja_form is not None:
        neuron += 4 * 8
    if config.hardware is not None and config.hardware.weight_bits is not None:
        neuron += 3 * 4 + 1 + item  # u, v, b and spikes as integers, distance
    if config.flossing is not None:  # gates, two factors of each vector
        neuron += item * (1 + 2 * config.flossing.k)
    # readout, its error in float64, and the input with its events
    step = n * neuron + task.n_out * (2 * item + 4 * 8) + task.n_in * 4
    traces = 0
    if learning.update_every:
        each = _traces_per_synapse(config)
        traces = each * size * (task.n_in + n + 1) * padded(n) * item
    elif learning.rule == "rtrl":
        traces = 8 * (task.n_in + n + 1) * n * n * 8
    return weights + size * task.n_steps * step + traces


def _traces_per_synapse(config: RunConfig) -> int:
    """Return how many traces credit within a trial keeps of every synapse."""
    network = config.network
    uniform = all(np.ptp(tau) == 0 for tau in (network.tau_m, network.tau_syn))
    spiking = network.cell != "rate"
    cut = network.reset == "zero" if spiking else network.placement == "outside"
    return n_traces(
        shared=uniform and not cut and network.longest_delay is None,
        own=config.learning.rule == "snap-1",
        adapts=network.cell == "ALIF",
        synaptic=bool(np.any(network.tau_syn)),
    )


def _require_memory(where: str, needed: int) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    rule = f"must fit into the memory of this machine, {memory / GIB:.1f} GiB"
    hint = "Lower one of these numbers."
    require(needed <= memory, where, rule, f"{needed / GIB:.1f} GiB", hint)


def build_network(
    config: RunConfig, task: Task, *, matched: bool = True
) -> RecurrentNetwork:
    """Return the network of a configuration, with its initial weights.

    Parameters
    ----------
    matched
        Whether the exponent is matched, if asked for: others are loaded else.

    Raises
    ------
    UnknownName, InvalidValue
        If a value is wrong, a weight is not finite, or memory does not suffice.
    """
    section = config.network
    where = f"network.n_rec = {section.n_rec}"
    _require_memory(where, _weight_bytes(config, task))
    n = section.n_rec
    streams = np.random.SeedSequence(config.training.seed).spawn(3)
    drawn = draw_connectivity(config, task)
    if drawn is None:
        structure, w_rec = _structure(config, task, streams[1:]), None
    else:
        structure, w_rec = drawn.structure(), drawn.weights
    network = RecurrentNetwork(
        task.n_in,
        n,
        task.n_out,
        cell=_cell(config),
        readout=LeakyReadout(section.tau_out, section.readout_scaling),
        dt=task.dt,
        dtype=section.dtype,
        **structure,
    )
    rng = np.random.default_rng(streams[0])
    with np.errstate(over="ignore", invalid="ignore"):
        gains = (section.gain, section.gain_in, section.gain_out)
        network.initialise(rng, *gains, w_rec=w_rec)
    for gain, name in (("gain", "w_rec"), ("gain_in", "w_in"), ("gain_out", "w_out")):
        finite = bool(np.isfinite(getattr(network.params, name)).all())
        rule = f"must give weights that are finite in {network.dtype}"
        require(finite, f"network.{gain}", rule, getattr(section, gain))
    if matched:
        match_network(config, network, task)
    return network


def _cell(config: RunConfig) -> Cells:
    """Return the cell specification of a configuration."""
    section = config.network
    n = section.n_rec

    def numbers(*names: str) -> dict[str, Any]:
        return {k: np.asarray(getattr(section, k), np.float64) for k in names}

    common: dict[str, Any] = numbers("tau_m", "tau_syn")
    if section.input_scaling is not None:  # else the cell's own default
        common["input_scaling"] = section.input_scaling
    if section.cell == "rate":
        return LeakyRate(
            **common, activation=section.activation, placement=section.placement
        )
    common |= numbers("v_th", "t_ref")
    common["reset"] = section.reset
    common["surrogate"] = Surrogate(section.surrogate, section.gamma, section.width)
    if section.cell == "LIF":
        return LIF(**common)
    n_adaptive = round(section.adaptive_fraction * n)
    adaptive = np.arange(n) >= n - n_adaptive
    beta = np.asarray(section.beta, np.float64)
    where, rule = "network.beta", f"must be a number or a list of {n}"
    require(beta.shape in ((), (n,)), where, rule, f"a list of {beta.size}")
    tau_a = np.asarray(section.tau_a, np.float64)
    return ALIF(**common, tau_a=tau_a, beta=np.where(adaptive, beta, 0.0))


def _structure(
    config: RunConfig, task: Task, streams: list[np.random.SeedSequence]
) -> dict[str, Any]:
    """Return masks, delays, signs and cell types of a configuration."""
    section = config.network
    n = section.n_rec
    layers = [n] if section.layers is None else section.layers
    where, rule = "network.layers", f"must have the sum n_rec = {n}"
    require(sum(layers) == n, where, rule, layers)
    given = stack(task.n_in, layers, task.n_out, section.recurrent)
    if section.density < 1:
        rng = np.random.default_rng(streams[0])
        given["mask"] = given["mask"] & random_mask(n, n, section.density, rng)
    given["delay"] = section.delay
    if section.longest_delay is not None:
        low, high = section.delay, section.longest_delay
        where, rule = "network.longest_delay", f"must be >= delay = {low}"
        require(high >= low, where, rule, high)
        rng = np.random.default_rng(streams[1])
        given["delay"] = rng.integers(low, high, (n, n), endpoint=True)
    if section.excitatory_fraction is not None:
        sizes = section.layers or [n]
        counts = [round(section.excitatory_fraction * size) for size in sizes]
        each = zip(sizes, counts, strict=True)
        excitatory = np.concatenate([np.arange(size) < count for size, count in each])
        given["signs"] = np.where(excitatory, 1, -1)
        given["cell_types"] = np.where(excitatory, 0, 1)
    if section.cell_types is not None:
        given["cell_types"] = np.asarray(section.cell_types)
    return given


def build_trainer(
    config: RunConfig,
    threads: int = 1,
    hardware: Hardware | None = None,
    weights: dict[str, np.ndarray] | None = None,
) -> Trainer:
    """Return the trainer of a configuration, at iteration 0.

    Parameters
    ----------
    hardware
        Makes what the section [hardware] asks for: `hardware.training.from_config`.
    weights
        Weights to begin with, in place of drawn ones.

    Raises
    ------
    UnknownName, InvalidValue
        If a name or value of the configuration is wrong, memory does not suffice, or
        there is a section [hardware] and nothing to make it of.
    """
    where, rule = "hardware", "must be given for a section [hardware]"
    hint = "Pass hardware.training.from_config."
    missing = config.hardware is not None and hardware is None
    require(not missing, where, rule, hardware, hint)
    task = tasks.make(config.task.name, **config.task.parameters())
    size = config.training.batch_size
    where = (
        f"network.n_rec = {config.network.n_rec} with training.batch_size = {size} and "
        f"{task.n_steps} time steps"
    )
    _require_memory(where, _training_bytes(config, task))
    network = build_network(config, task, matched=weights is None)
    if weights is not None:
        network.params.load(weights)
        network.constrain()
    backend, constraint = hardware(config, network, task) if hardware else (None, None)
    learning, optimizer = config.learning, config.optimizer
    feedback = Feedback(
        learning.feedback,
        learning.feedback_scale,
        learning.feedback_decay,
        learning.feedback_noise,
    )
    return Trainer(
        network,
        task,
        build_loss(config, task),
        build_rule(learning.rule, **learning.options),
        _optimizer(config),
        feedback,
        rate=FiringRate(learning.rate_target_hz, learning.rate_strength),
        terms=_terms(config),
        flossing=_flossing(config),
        intrinsic=_intrinsic(config),
        backend=backend,
        constraint=constraint,
        update_every=learning.update_every,
        batch_size=config.training.batch_size,
        iterations=config.training.iterations,
        trainable=tuple(learning.trainable),
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm,
        schedule=optimizer.schedule,
        seed=config.training.seed,
        threads=threads,
    )


def build_rule(name: str, /, **options: Any) -> Rule:
    """Return a learning rule by its name.

    Raises
    ------
    UnknownName
        If there is no such rule, or it has no such option.
    InvalidValue
        If a value of an option is wrong.
    """
    if name not in RULES:
        raise unknown_name("rule", name, RULES)
    kind = RULES[name]
    defaults = {f.name: f.default for f in dataclasses.fields(cast(Any, kind))}
    words = {bool: "true or false", float: "a number", str: "a string"}
    for option, value in options.items():
        if option not in defaults:
            raise unknown_name(f"option of rule {name}", option, defaults)
        wanted = type(defaults[option])
        got: type = float if type(value) is int else type(value)
        where, rule = f"option {option!r} of rule {name!r}", f"must be {words[wanted]}"
        require(got is wanted, where, rule, repr(value))
    return kind(**options)


def _terms(config: RunConfig) -> tuple[PlasticityTerm, ...]:
    """Return the plasticity terms beside the rule."""
    learning = config.learning
    terms: list[PlasticityTerm] = []
    if learning.oja_form is not None:
        strength, norm = learning.oja_strength, learning.oja_row_norm
        terms.append(Oja(learning.oja_form, strength, norm, learning.oja_max_step))
    if learning.recurrent_decay != 0:
        terms.append(WeightDecay(learning.recurrent_decay))
    return tuple(terms)


def _flossing(config: RunConfig) -> Flossing | None:
    if config.flossing is None:
        return None
    own = {"intrinsic_target_hz", "intrinsic_strength"}
    given = config.flossing.model_dump(exclude=own)
    name, width = given.pop("jacobian_surrogate"), given.pop("jacobian_width")
    surrogate = Surrogate(name, config.network.gamma, width)
    return Flossing(**given, surrogate=surrogate)


def _intrinsic(config: RunConfig) -> IntrinsicPlasticity | None:
    section = config.flossing
    if section is None or section.intrinsic_target_hz is None:
        return None
    return IntrinsicPlasticity(section.intrinsic_target_hz, section.intrinsic_strength)


def build_loss(config: RunConfig, task: Task) -> Loss:
    """Return the loss of a task."""
    if task.kind == "classification":
        return Classification()
    if task.kind == "reward":
        learning = config.learning
        return ActorCritic(learning.gamma, learning.value_weight, learning.entropy)
    return Regression(config.learning.reduction)


def _optimizer(config: RunConfig) -> Optimizer:
    o = config.optimizer
    if o.name == "sgd":
        return SGD(o.lr, o.momentum)
    return Adam(o.lr, o.beta1, o.beta2, o.eps, o.form)
