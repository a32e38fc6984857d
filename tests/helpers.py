"""Small networks and comparisons that several test files share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import settings

from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork
from spikelearn.tasks import TASKS

# Every task; the one that needs an optional package is skipped without it.
TASK_NAMES = [
    pytest.param(name, marks=pytest.mark.neurogym) if name == "neurogym" else name
    for name in TASKS
]

# Kernels load or compile in the first example, so examples have no deadline.
examples = settings(deadline=None, max_examples=40)


def make_network(
    seed=0, *, n_in=4, n_rec=6, n_out=2, bias=0.0, drive=1.0, gain=1.0, **spec
):
    """Build a network with Gaussian weights and biases; float64 unless told."""
    spec.setdefault("cell", ALIF(tau_m=10.0, tau_a=60.0, beta=0.2))
    spec.setdefault("readout", LeakyReadout(8.0))
    spec.setdefault("dtype", "float64")
    network = RecurrentNetwork(n_in, n_rec, n_out, **spec)
    network.initialise(seed, gain=gain * drive, gain_in=drive)
    rng = np.random.default_rng(seed + 1)
    network.params.bias[...] = bias * rng.random(n_rec)
    network.params.b_out[...] = bias * rng.standard_normal(n_out)
    return network


def make_input(seed=0, *, n_steps=40, n_samples=3, n_in=4, graded=False):
    """Draw input (T, B, n_in): uint8 spikes or floats with some zeros."""
    rng = np.random.default_rng(seed + 2)
    spikes = (rng.random((n_steps, n_samples, n_in)) < 0.4).astype(np.uint8)
    return spikes * rng.uniform(0.2, 1.8, spikes.shape) if graded else spikes


def make_signal(network, x, seed=0):
    """Draw a learning signal with every part switched on."""
    rng = np.random.default_rng(seed + 3)
    n_steps, n_samples = x.shape[:2]
    return LearningSignal(
        error=rng.standard_normal((n_steps, n_samples, network.n_out)),
        feedback=rng.standard_normal((network.n_rec, network.n_out)),
        neuron=rng.standard_normal((n_samples, network.n_rec)),
    )


def make_full_signal(network, x, seed=0):
    """Draw a learning signal with every part that rules of paths read."""
    rng = np.random.default_rng(seed + 5)
    shape = x.shape[:2]
    return dataclasses.replace(
        make_signal(network, x, seed),
        broadcast=rng.standard_normal((*shape, network.n_out)),
        direct=rng.standard_normal((*shape, network.n_rec)),
    )


def delays(n, longest, seed=0):
    """Draw a delay for each synapse, from 1 to `longest`, with both ends present."""
    drawn = np.random.default_rng(seed + 7).integers(1, longest, (n, n), endpoint=True)
    drawn[0, -1], drawn[-1, 0] = 1, longest
    return drawn


def eprop_gradients(network, x, signal, **options):
    """Run a network and return its e-prop gradients by name."""
    record = network.run(x, **options)
    return EProp().gradients(network, record, signal, **options).arrays()


def copy_spec(network, **changes):
    """Return a network with some fields changed and the same parameters."""
    other = dataclasses.replace(network, **changes)
    other.params.load(network.params.arrays())
    return other


def relative_error(got, expected):
    """Return max |got - expected| in units of max |expected|."""
    scale = np.abs(expected).max()
    return float(np.abs(got - expected).max() / scale)


def silent_network(**spec):
    """Build a network whose input cannot reach threshold."""
    network = make_network(cell=LIF(tau_m=10.0), **spec)
    network.params.w_in[...] *= 1e-3
    return network
