"""From `[network] connectivity` to a draw, and to the value that it is matched to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikelearn.connectivity import (
    MATCHES,
    Connectivity,
    Ports,
    gaussian_weights,
    match,
    parse,
)
from spikelearn.errors import InvalidValue, require
from spikelearn.learning.matching import largest_exponent, match_lyapunov
from spikelearn.network import RecurrentNetwork
from spikelearn.runs.config import RunConfig
from spikelearn.tasks import Task

__all__ = ["draw_connectivity", "match_network", "task_map"]

TRIALS = 256  # of a task, from which its map is estimated
FEWEST_MATCHED, MOST_MATCHED = 4, 32  # trials that drive it while it is matched
MATCHED_STEPS = 2000  # in all of them
WITHOUT = {
    "density": "masked(..., erdos_renyi(density))",
    "longest_delay": "delayed(..., low, high)",
    "excitatory_fraction": "dale(excitatory, base=...)",
    "cell_types": "cell_types(table)",
    "layers": "layers without connectivity",
}


def draw_connectivity(config: RunConfig, task: Task) -> Connectivity | None:
    """Return the draw of a configuration, times `gain`; None without `connectivity`.

    It takes the stream that recurrent weights else come from, so that "gaussian()" is
    the matrix of the same run without it, but for self-connections. The norm or the
    spectral radius is matched here.

    Raises
    ------
    UnknownName, InvalidValue
        If a value is wrong, or another key describes the connections as well.
    """
    section = config.network
    if section.connectivity is None:
        where, rule = "network.match", "must be used with network.connectivity"
        hint = 'For example connectivity = "gaussian()".'
        require(section.match is None, where, rule, section.match, hint)
        _check_value(config)
        return None
    _check_alone(config)
    _check_value(config)
    n = section.n_rec
    with np.errstate(over="ignore", invalid="ignore"):
        ports = _ports(config, task)
        made = parse(section.connectivity).draw(n, _streams(config)[1], ports)
        made = made.with_weights(section.gain * made.weights)
    if made.delay is not None:
        where, rule = "network.delay", "must not be given beside delays of the family"
        require(section.delay == 1, where, rule, section.delay)
    else:
        made = replace(made, delay=section.delay)
    if section.match in MATCHES:
        value = section.match_value
        if value is None:
            value = MATCHES[section.match](_reference(config))
        made = match(made, section.match, value)
    return made


def match_network(config: RunConfig, network: RecurrentNetwork, task: Task) -> None:
    """Scale the recurrent weights to the exponent that a configuration asks for.

    Without `match_value` it is that of the same network with Gaussian weights of the
    same gain and seed. Validation trials drive it.

    Raises
    ------
    InvalidValue
        If no factor reaches the value, or delays are longer than a step.
    """
    section = config.network
    if section.match != "lyapunov":
        return
    size = int(np.clip(MATCHED_STEPS // task.n_steps, FEWEST_MATCHED, MOST_MATCHED))
    x = next(iter(task.evaluation("validation", size, size))).x
    target = section.match_value
    if target is None:
        everywhere = np.ones((section.n_rec, section.n_rec), bool)
        other = replace(network, mask=everywhere, signs=None, cell_types=None)
        other.params.load(network.params.arrays())
        other.params.w_rec[...] = _reference(config)
        target = largest_exponent(other, x)
    match_lyapunov(network, x, target)


def _streams(config: RunConfig) -> list[np.random.Generator]:
    """Return the generators of input, recurrent and readout weights, unused."""
    own = np.random.SeedSequence(config.training.seed).spawn(3)[0]
    return np.random.default_rng(own).spawn(3)


def _reference(config: RunConfig) -> np.ndarray:
    """Return the Gaussian recurrent weights of the same gain and seed."""
    n, gain = config.network.n_rec, config.network.gain
    return gaussian_weights(n, n, gain, _streams(config)[1])


def _ports(config: RunConfig, task: Task) -> Ports:
    """Return the input and readout weights that the network will have."""
    section, streams = config.network, _streams(config)
    n = section.n_rec
    return Ports(
        gaussian_weights(n, task.n_in, section.gain_in, streams[0]),
        gaussian_weights(task.n_out, n, section.gain_out, streams[2]),
        task_map(task, config.training.seed),
    )


def task_map(task: Task, seed: int) -> np.ndarray:
    """Return the covariance of targets and inputs, (n_out, n_in).

    Over trials of training, of the mean input and the mean target where the loss
    counts; classes are counted. It is the linear part of what the task asks for: of a
    task whose answer depends on no mean input, such as a comparison, only chance is
    left.
    """
    batch = task.train_batch(0, TRIALS, seed)
    x = batch.x.mean(axis=0, dtype=np.float64)
    target = np.asarray(batch.target)
    if task.kind == "classification":
        target = np.eye(task.n_out)[target]
    if target.ndim == 3:
        mask = np.broadcast_to(batch.mask.T, target.shape[1::-1]).T[..., None]
        target = (mask * target).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    teacher = np.zeros((task.n_out, task.n_in))
    centred = target - target.mean(axis=0)
    teacher[: centred.shape[1]] = centred.T @ (x - x.mean(axis=0)) / len(x)
    return teacher


def _check_alone(config: RunConfig) -> None:
    section = config.network
    given = section.model_dump()
    usual = {name: type(section).model_fields[name].default for name in WITHOUT}
    for name, instead in WITHOUT.items():
        if given[name] != usual[name]:
            raise InvalidValue(
                f"network.{name} must not be given beside network.connectivity; got "
                f"{given[name]}. (Say {instead}.)"
            )


def _check_value(config: RunConfig) -> None:
    section = config.network
    good = section.match is not None or section.match_value is None
    where, rule = "network.match_value", "must be used with network.match"
    require(good, where, rule, section.match_value)
