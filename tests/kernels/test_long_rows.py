"""A network spread over a large silent one: rows of any length do the same."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.kernels.spiking import SHORT
from spikelearn.kernels.vector import padded
from spikelearn.learning.rules import BPTT, EProp
from spikelearn.network import ALIF, LIF
from tests.helpers import make_input, make_network, make_signal, relative_error

N_REC = 40  # less than a block of vectors
LONG = SHORT * 16 + 70
CELLS = {
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=3.0),
    "plain ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2),
    "LIF": LIF(tau_m=10.0, t_ref=3.0, reset="zero"),
    "plain": LIF(tau_m=10.0),
}


@pytest.mark.parametrize("n_rec", [120, LONG])
@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_network_does_what_it_does_within_a_larger_one(cell, graded, delay, n_rec):
    spec = {"cell": CELLS[cell], "dtype": "float32", "delay": delay}
    small = make_network(n_rec=N_REC, drive=1.5, **spec)
    large = make_network(n_rec=n_rec, drive=0.0, **spec)
    where = np.linspace(0, n_rec - 1, N_REC).astype(int)
    large.params.w_in[where] = small.params.w_in
    large.params.w_rec[np.ix_(where, where)] = small.params.w_rec
    large.params.w_out[:, where] = small.params.w_out
    x = make_input(n_samples=2, graded=graded)
    record, expected = large.run(x), small.run(x)
    assert 0.01 < expected.spikes.mean() < 0.9
    assert record.spikes.sum() == expected.spikes.sum()
    assert np.array_equal(record.distance[..., where], expected.distance)
    assert np.array_equal(record.y, expected.y)
    signal = make_signal(small, x)
    wider = make_signal(large, x)
    wider.feedback[where] = signal.feedback
    wider.neuron[:, where] = signal.neuron
    for rule in (EProp(), BPTT()):
        found = rule.gradients(small, expected, signal)
        within = rule.gradients(large, record, wider)
        w_rec = within.w_rec[np.ix_(where, where)]
        assert np.abs(found.w_rec).max() > 1e-3
        assert relative_error(w_rec, found.w_rec) < 1e-5
        assert relative_error(within.w_in[where], found.w_in) < 1e-5
        assert relative_error(within.w_out[:, where], found.w_out) < 1e-5


def test_rows_are_short_and_long_here():
    assert padded(1000) <= SHORT * 16 < padded(LONG)
