"""The training loop at its barest, for comparisons with other simulators."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal

LEARNED = ("w_in", "w_rec", "w_out")


class Iteration(NamedTuple):
    """Loss and spikes (T, B, n_rec) of a batch, and the weights that produced them."""

    loss: float
    spikes: np.ndarray
    weights: dict[str, np.ndarray]


def train(network, loss, mask, optimizer, firing_rate, feedback, batches):
    """Train in place with e-prop, one update per batch, and return all iterations."""
    weights = {name: network.params.arrays()[name] for name in LEARNED}
    state = optimizer.init(weights)
    iterations = []
    for x, target in batches:
        record = network.run(x)
        result = loss(record.y, target, mask)
        used = {name: w.copy() for name, w in weights.items()}
        iterations.append(Iteration(result.value, record.spikes, used))
        neuron = firing_rate.modulator(record, network.dt)
        signal = LearningSignal(result.error, feedback, neuron)
        gradients = EProp().gradients(network, record, signal).arrays()
        optimizer.step(weights, {name: gradients[name] for name in LEARNED}, state)
    return iterations
