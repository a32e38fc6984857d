"""Measures of activity against closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis import (
    active_fraction,
    activity_dimensions,
    firing_rates,
    interspike_cv,
)
from spikelearn.errors import InvalidValue
from spikelearn.network import LIF, LeakyReadout, RecurrentNetwork
from tests.helpers import make_input, make_network


def relay(spikes, dt=1.0):
    """Record of a network whose neurons repeat their own input, spike for spike."""
    n = spikes.shape[2]
    cell = LIF(tau_m=1e-3, v_th=0.5, reset="zero")
    network = RecurrentNetwork(n, n, 1, cell=cell, readout=LeakyReadout(5.0), dt=dt)
    network.params.w_in[...] = np.eye(n)
    record = network.run(spikes)
    np.testing.assert_array_equal(record.spikes, spikes)
    return record


def test_rates_of_clocks_are_their_frequencies():
    spikes = np.zeros((100, 2, 3), np.uint8)
    spikes[::5, :, 1] = 1
    spikes[::10, 0, 2] = 1
    rates = firing_rates(relay(spikes, dt=2.0), 2.0)
    np.testing.assert_allclose(rates, [0.0, 100.0, 25.0], rtol=1e-12)


def test_rates_equal_a_loop_over_a_network():
    network = make_network(drive=2.0)
    record = network.run(make_input())
    rates = [
        1000.0 * np.mean([record.spikes[:, b, j].mean() for b in range(3)]) / 0.5
        for j in range(6)
    ]
    assert max(rates) > 0
    np.testing.assert_allclose(firing_rates(record, 0.5), rates, rtol=1e-12)


def test_rates_need_a_positive_step():
    with pytest.raises(InvalidValue, match=r"firing_rates\.dt must be > 0 ms; got 0"):
        firing_rates(relay(np.ones((4, 1, 1), np.uint8)), 0)


def test_active_fraction_counts_neurons_that_spike_in_any_sample():
    spikes = np.zeros((10, 2, 4), np.uint8)
    spikes[3, 0, 0] = spikes[4, 1, 2] = 1
    assert active_fraction(relay(spikes)) == 0.5


def test_cv_of_a_clock_is_zero_and_of_two_alternating_intervals_known():
    spikes = np.zeros((60, 1, 3), np.uint8)
    spikes[::4, 0, 0] = 1
    steps = np.concatenate([[0], np.cumsum(np.tile([1, 3], 10))])
    spikes[steps, 0, 1] = 1
    spikes[[1, 7], 0, 2] = 1
    cv = interspike_cv(relay(spikes))
    np.testing.assert_allclose(cv[:2], [0.0, 0.5], atol=1e-12)
    assert np.isnan(cv[2])


def test_cv_does_not_join_samples():
    spikes = np.zeros((20, 3, 1), np.uint8)
    spikes[[0, 2, 4, 6], 0, 0] = 1
    spikes[[15, 17], 1, 0] = 1
    assert interspike_cv(relay(spikes))[0] == 0.0


def test_cv_of_independent_steps_is_that_of_a_geometric_law():
    p = 0.2
    spikes = (np.random.default_rng(0).random((20_000, 2, 3)) < p).astype(np.uint8)
    cv = interspike_cv(relay(spikes))
    np.testing.assert_allclose(cv, np.sqrt(1 - p), atol=0.03)


def test_cv_of_a_silent_network_is_nan():
    cv = interspike_cv(relay(np.zeros((5, 2, 3), np.uint8)))
    assert cv.shape == (3,)
    assert np.isnan(cv).all()


def test_dimensions_against_known_spectra():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    three = np.concatenate([np.eye(6)[:3], -np.eye(6)[:3]])
    output = (three @ axes.T)[:, None, :]
    assert activity_dimensions(output) == pytest.approx((3.0, 3.0))
    output = output * np.ones((1, 4, 1))
    assert activity_dimensions(output) == pytest.approx((3.0, 3.0))
    line = np.outer(np.arange(8.0), axes[0])[:, None, :]
    assert activity_dimensions(line) == pytest.approx((1.0, 1.0))
    uneven = np.diag([2.0, 1.0])
    both = np.concatenate([uneven, -uneven])[:, None, :]
    ratio, rank = activity_dimensions(both)
    assert ratio == pytest.approx(25 / 17)
    assert rank == pytest.approx(np.exp(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2))))
    assert activity_dimensions(np.ones((3, 2, 4))) == (None, None)
    assert activity_dimensions(np.full((3, 2, 4), np.inf)) == (None, None)
