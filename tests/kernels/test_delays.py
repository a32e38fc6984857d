"""Spiking forward pass and e-prop with delays against the naive twin."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.learning.rules import EProp
from spikelearn.network import ALIF, LIF
from tests.helpers import (
    copy_spec,
    delays,
    make_input,
    make_network,
    make_signal,
    relative_error,
)
from tests.reference import spiking as naive

N_REC = 6
CELLS = {
    "LIF": LIF(tau_m=10.0),
    "zero": LIF(tau_m=10.0, t_ref=3.0, reset="zero"),
    "ALIF": ALIF(tau_m=10.0, tau_a=50.0, beta=0.2, tau_syn=4.0),
}
DELAYS = {"2": 2, "5": 5, "longer than the trial": 40, "per synapse": delays(N_REC, 7)}


def _case(cell, delay, dtype):
    network = make_network(
        n_rec=N_REC, cell=CELLS[cell], delay=DELAYS[delay], dtype=dtype, drive=1.5
    )
    return network, make_input(n_steps=26, n_samples=2)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_delayed_spikes_and_gradients_equal_the_twin(cell, delay):
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        network, x = _case(cell, delay, dtype)
        record, signal = network.run(x, record=("i",)), make_signal(network, x)
        run = naive.forward(network, x)
        assert 0.02 < run.z.mean() < 0.9
        assert np.array_equal(record.spikes, run.z)
        assert relative_error(record.y, run.y) < tolerance
        assert relative_error(record.state("i"), run.i) < tolerance
        got = EProp().gradients(network, record, signal).arrays()
        expected = naive.eprop(
            network, x, run, signal.error, signal.feedback, signal.neuron
        )
        for name, gradient in expected.items():
            alive = name != "w_rec" or delay != "longer than the trial"
            assert bool(np.abs(gradient).max() > 1e-3) == alive
            difference = np.abs(got[name] - gradient).max()
            assert difference <= tolerance * np.abs(gradient).max(), name


@pytest.mark.parametrize("delay", ["2", "per synapse"])
def test_the_delay_is_visible_to_the_comparison(delay):
    """Negative control: a twin without delays, or with delays (pre, post), differs."""
    network, x = _case("LIF", delay, "float64")
    spikes = network.run(x).spikes
    others = [1] if delay == "2" else [1, network.delay.T]
    for other in others:
        assert not np.array_equal(
            naive.forward(copy_spec(network, delay=other), x).z, spikes
        )


@pytest.mark.parametrize("cell", CELLS)
def test_equal_delays_as_an_array_are_one_number(cell):
    """Same numbers bit for bit, from other code: one delay of another length more."""
    network, x = _case(cell, "5", "float64")
    array = copy_spec(network, delay=np.full((N_REC, N_REC), 5))
    assert array.delay == 5
    unused = np.full((N_REC, N_REC), 5)
    unused[2, 2] = 8  # there is no such connection
    sparse = copy_spec(network, delay=unused)
    assert isinstance(sparse.delay, np.ndarray)
    first, second = network.run(x, record=("v",)), sparse.run(x, record=("v",))
    assert np.array_equal(first.spikes, second.spikes)
    assert np.array_equal(first.state("v"), second.state("v"))
    signal = make_signal(network, x)
    a = EProp().gradients(network, first, signal).arrays()
    b = EProp().gradients(sparse, second, signal).arrays()
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("delay", [1, 2, 4])
def test_a_spike_arrives_after_the_delay(delay):
    network = make_network(n_in=1, n_rec=2, n_out=1, cell=LIF(tau_m=10.0), delay=delay)
    network.params.w_in[...] = [[1.5], [0.0]]
    network.params.w_rec[...] = [[0.0, 0.0], [0.25, 0.0]]
    x = np.zeros((10, 1, 1))
    x[2] = 1.0
    i = network.run(x, record=("i",)).state("i")[:, 0, 1]
    assert np.flatnonzero(i).tolist() == [2 + delay]
    assert i[2 + delay] == 0.25


def test_two_delays_of_one_neuron():
    delay = np.array([[1, 1, 1], [2, 1, 1], [5, 1, 1]])
    network = make_network(n_in=1, n_rec=3, n_out=1, cell=LIF(tau_m=10.0), delay=delay)
    network.params.w_in[...] = [[1.5], [0.0], [0.0]]
    network.params.w_rec[...] = 0.0
    network.params.w_rec[1:, 0] = 0.25
    x = np.zeros((10, 1, 1))
    x[0] = 1.0
    i = network.run(x, record=("i",)).state("i")[:, 0]
    assert np.argwhere(i[:, 1:]).tolist() == [[2, 0], [5, 1]]
