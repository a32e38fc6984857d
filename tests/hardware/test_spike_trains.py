"""Distances of spike trains: by hand, and against a naive convolution."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.spike_trains import spike_drift, spike_train_error, squared_errors


def raster(shape, *places):
    spikes = np.zeros(shape, np.uint8)
    for place in places:
        spikes[place] = 1
    return spikes


def test_the_error_is_that_of_filtered_trains():
    rng = np.random.default_rng(0)
    wanted, got = (rng.random((2, 50, 3, 4)) < 0.1).astype(np.uint8)
    kernel = np.exp(-np.arange(50) * 0.5 / 10.0)

    def filtered(spikes):
        flat = spikes.reshape(50, -1).T
        rows = [np.convolve(row, kernel)[:50] for row in flat.astype(float)]
        return np.array(rows).T.reshape(spikes.shape)

    f, g = filtered(wanted), filtered(got)
    expected = np.sqrt(np.sum((g - f) ** 2) / np.sum(f**2))
    assert spike_train_error(wanted, got, 0.5) == pytest.approx(expected, rel=1e-12)
    each = squared_errors(wanted, got, 0.5)
    one = np.sum((g - f)[:, 1] ** 2) / np.sum(f**2) * 3
    assert each[1] == pytest.approx(one, rel=1e-12)
    assert spike_train_error(wanted, wanted, 0.5) == 0.0


def test_without_wanted_spikes_the_error_is_what_came():
    nothing = raster((10, 2, 3))
    assert spike_train_error(nothing, nothing, 1.0) == 0.0
    assert spike_train_error(nothing, raster((10, 2, 3), (9, 0, 0)), 1.0) > 0


def test_drift_by_hand():
    shape = (100, 2, 3)
    wanted = raster(shape, (10, 0, 0), (50, 0, 0), (30, 1, 2), (60, 1, 1))
    got = raster(shape, (13, 0, 0), (49, 0, 0), (30, 1, 2), (99, 1, 1), (5, 1, 0))
    drift = spike_drift(wanted, got, dt=1.0)
    assert drift.shift == pytest.approx((3 + 1 + 0) / 3)
    assert drift.lost == pytest.approx(1 / 4), "60 has none within 20 steps"
    assert drift.extra == pytest.approx(2 / 5), "99, and a neuron that was silent"
    assert drift.first_difference == (10 + 5) / 2
    longer = spike_drift(wanted, got, dt=0.5)  # 40 steps
    assert longer.lost == 0
    assert longer.shift == pytest.approx((3 + 1 + 0 + 39) / 4 * 0.5)


def test_equal_and_empty_trains_do_not_drift():
    spikes = raster((20, 3, 2), (4, 1, 1))
    same = spike_drift(spikes, spikes, dt=1.0)
    assert (same.shift, same.lost, same.extra) == (0.0, 0.0, 0.0)
    assert same.first_difference is None
    nothing = spike_drift(raster((20, 3, 2)), raster((20, 3, 2)), dt=1.0)
    assert (nothing.shift, nothing.lost, nothing.extra) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("n_steps", [1, 8, 20, 21])
def test_a_spike_of_a_short_trial_is_lost_where_none_came(n_steps):
    nothing, one = raster((n_steps, 1, 1)), raster((n_steps, 1, 1), (0, 0, 0))
    drift = spike_drift(one, nothing, dt=1.0)
    assert (drift.lost, drift.extra, drift.shift) == (1.0, 0.0, 0.0)
    drift = spike_drift(nothing, one, dt=1.0)
    assert (drift.lost, drift.extra, drift.shift) == (0.0, 1.0, 0.0)
