"""From a configuration to a network and its trainer, if they fit into memory."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from spikelearn import tasks
from spikelearn.errors import require, unknown_name
from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Classification, Loss, Regression
from spikelearn.learning.optimizers import SGD, Adam, Optimizer
from spikelearn.learning.rules import RULES
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import Trainer
from spikelearn.network import ALIF, LIF, LeakyReadout, Surrogate
from spikelearn.network.connectivity import no_self_connections, random_mask
from spikelearn.network.model import RecurrentNetwork
from spikelearn.runs.config import RunConfig
from spikelearn.tasks import Task

__all__ = ["build_loss", "build_network", "build_trainer"]

GIB = 2**30


def _itemsize(config: RunConfig) -> int:
    return 8 if config.network.dtype == "float64" else 4


def _weights(config: RunConfig, task: Task) -> int:
    n = config.network.n_rec
    return n * (task.n_in + n + task.n_out)


def _weight_bytes(config: RunConfig, task: Task) -> int:
    """Return the bytes of weights, their float64 draw and the mask."""
    n = config.network.n_rec
    return _weights(config, task) * _itemsize(config) + n * n * 9


def _training_bytes(config: RunConfig, task: Task) -> int:
    """Return the bytes of weights, gradients, optimiser, best copy and one batch."""
    kept = {"adam": 2, "sgd": int(config.optimizer.momentum > 0)}
    copies = 3 + kept[config.optimizer.name]
    weights = copies * _weights(config, task) * _itemsize(config)
    # of one step: distance and spikes of neurons, readout, input
    step = config.network.n_rec * (_itemsize(config) + 4)
    step += task.n_out * _itemsize(config) + task.n_in
    return weights + config.training.batch_size * task.n_steps * step


def _require_memory(where: str, needed: int) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    rule = f"must fit into the memory of this machine, {memory / GIB:.1f} GiB"
    hint = "Lower one of these numbers."
    require(needed <= memory, where, rule, f"{needed / GIB:.1f} GiB", hint)


def build_network(config: RunConfig, task: Task) -> RecurrentNetwork:
    """Return the network of a configuration, with its initial weights.

    Raises
    ------
    InvalidValue
        If a value is wrong, a weight is not finite, or memory does not suffice.
    """
    section = config.network
    where = f"network.n_rec = {section.n_rec}"
    _require_memory(where, _weight_bytes(config, task))
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
    with np.errstate(over="ignore", invalid="ignore"):
        network.initialise(rng, section.gain, section.gain_in, section.gain_out)
    for gain, name in (("gain", "w_rec"), ("gain_in", "w_in"), ("gain_out", "w_out")):
        finite = bool(np.isfinite(getattr(network.params, name)).all())
        rule = f"must give weights that are finite in {network.dtype}"
        require(finite, f"network.{gain}", rule, getattr(section, gain))
    return network


def build_trainer(config: RunConfig, threads: int = 1) -> Trainer:
    """Return the trainer of a configuration, at iteration 0.

    Raises
    ------
    UnknownName, InvalidValue
        If a name or value of the configuration is wrong, or memory does not suffice.
    """
    task = tasks.make(config.task.name, **config.task.parameters())
    size = config.training.batch_size
    where = (
        f"network.n_rec = {config.network.n_rec} with training.batch_size = {size} and "
        f"{task.n_steps} time steps"
    )
    _require_memory(where, _training_bytes(config, task))
    network = build_network(config, task)
    learning, optimizer = config.learning, config.optimizer
    if learning.rule not in RULES:
        raise unknown_name("rule", learning.rule, RULES)
    feedback = Feedback(
        learning.feedback, learning.feedback_scale, learning.feedback_decay
    )
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
