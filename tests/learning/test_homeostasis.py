"""Firing-rate regularisation: the modulator, and what it does to rates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF
from tests.helpers import make_input, make_network


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_modulator_by_hand(dt):
    network = make_network(drive=1.5, dt=dt)
    record = network.run(make_input())
    got = FiringRate(20.0, 3.0).modulator(record, dt)
    expected = np.empty((3, 6))
    for b in range(3):
        for j in range(6):
            per_ms = record.spikes[:, b, j].sum() / (40 * dt)
            expected[b, j] = 3.0 * (per_ms - 0.020) / (40 * 3)
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    assert (got > 0).any()


def test_no_strength_no_signal():
    record = make_network(drive=1.5).run(make_input())
    assert not FiringRate(10.0, 0.0).modulator(record, 1.0).any()


def _rates_under_homeostasis(network, target_hz, n_updates, lr):
    """Mean rate in Hz before each update by the firing-rate term alone."""
    x = make_input(n_steps=200, n_samples=4)
    term = FiringRate(target_hz, 1.0)
    weights = {name: network.params.arrays()[name] for name in ("w_in", "w_rec")}
    rates = []
    for _ in range(n_updates):
        record = network.run(x)
        rates.append(1000 * record.spikes.mean() / network.dt)
        signal = LearningSignal(
            np.zeros(record.y.shape),
            np.zeros((network.n_rec, network.n_out)),
            term.modulator(record, network.dt),
        )
        gradients = EProp().gradients(network, record, signal).arrays()
        assert not gradients["w_out"].any()
        SGD(lr).step(weights, gradients, {})
    return rates


@pytest.mark.parametrize("cell", [LIF(tau_m=10.0), ALIF(tau_m=10.0, beta=0.1)])
@pytest.mark.parametrize("start", ["quiet", "overactive"])
def test_rates_move_to_the_target(cell, start):
    network = make_network(n_rec=15, cell=cell, gain=0.3)
    w_in = network.params.w_in
    w_in[...] = np.abs(w_in) * (0.1 if start == "quiet" else 0.6)
    rates = _rates_under_homeostasis(network, 50.0, 100, 0.3)
    assert (rates[0] < 10.0) if start == "quiet" else (rates[0] > 150.0)
    assert rates[-1] == pytest.approx(50.0, abs=5.0)


def test_a_network_at_its_target_rests():
    network = make_network(n_rec=15, drive=1.5)
    record = network.run(make_input())
    per_neuron = record.spike_counts / record.n_steps
    signal = FiringRate(1000 * per_neuron.max(), 1.0).modulator(record, 1.0)
    np.testing.assert_allclose(signal[per_neuron == per_neuron.max()], 0, atol=1e-15)
    assert (signal[per_neuron < per_neuron.max()] < 0).all()


@pytest.mark.parametrize("bad", [-1.0, math.nan])
@pytest.mark.parametrize("name", ["target_hz", "strength"])
def test_a_parameter_out_of_range_names_itself(name, bad):
    with pytest.raises(InvalidValue, match=rf"^FiringRate\.{name} must be >= 0"):
        FiringRate(**{name: bad})
