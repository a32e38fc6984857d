"""The events whose memory traffic is measured are those of the network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikelearn.network import LIF
from tests.benchmarks.limits import rows_by_step
from tests.helpers import make_input, make_network


@pytest.mark.parametrize("delay", [1, 3])
def test_the_rows_of_a_step_add_up_to_its_current(delay):
    network = make_network(n_rec=60, cell=LIF(tau_m=10.0), drive=1.5, delay=delay)
    x = make_input(n_samples=1)
    record = network.run(x, record=("i",))
    assert 0.01 < record.spikes.mean() < 0.9
    row, start = rows_by_step(network, x, record)
    w = network.params.rows[:, :60]
    pairs = itertools.pairwise(start)
    currents = np.array([w[row[begin:end]].sum(axis=0) for begin, end in pairs])
    np.testing.assert_allclose(currents, record.state("i")[:, 0], atol=1e-12)
