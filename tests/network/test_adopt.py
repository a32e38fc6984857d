"""Records of runs that another machine did: learning rules see no difference."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn import ALIF, BPTT, LIF, EProp, LeakyRate
from spikelearn.errors import InvalidValue
from tests.helpers import make_input, make_network, make_signal

CELLS = {
    "alif": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, t_ref=3.0),
    "zero": LIF(tau_m=10.0, reset="zero"),
    "synaptic": ALIF(tau_syn=5.0, beta=0.1),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("rule", [EProp(), BPTT()], ids=["e-prop", "bptt"])
def test_gradients_are_those_of_the_own_record(name, graded, rule):
    network = make_network(n_rec=7, cell=CELLS[name], drive=1.5)
    x = make_input(graded=graded)
    record = network.run(x, record=("v", "a", "i"))
    assert record.spikes.sum() > 20
    states = {key: record.state(key).copy() for key in "vai"}
    other = network.adopt(
        x, record.spikes, record.distance.copy(), record.y.copy(), states
    )
    np.testing.assert_array_equal(other.spikes, record.spikes)
    np.testing.assert_array_equal(other.spike_counts, record.spike_counts)
    signal = make_signal(network, x)
    first, second = (rule.gradients(network, r, signal) for r in (record, other))
    for key, array in first.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[key], err_msg=key)


def test_one_other_spike_changes_the_gradient():
    network, x = make_network(n_rec=7, drive=1.5), make_input()
    record = network.run(x)
    spikes = record.spikes
    spikes[5, 1, 3] ^= 1
    other = network.adopt(x, spikes, record.distance, record.y)
    signal = make_signal(network, x)
    first, second = (
        EProp().gradients(network, r, signal).arrays()["w_rec"] for r in (record, other)
    )
    assert not np.array_equal(first, second)


def test_wrong_shapes_and_rate_units_are_refused():
    network, x = make_network(), make_input()
    record = network.run(x)
    with pytest.raises(InvalidValue, match=r"adopt\.distance must have shape"):
        network.adopt(x, record.spikes, record.distance[1:], record.y)
    rates = make_network(cell=LeakyRate())
    with pytest.raises(InvalidValue, match="needs spiking cells"):
        rates.adopt(x, record.spikes, record.distance, record.y)
