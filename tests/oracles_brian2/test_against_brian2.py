"""Current-based networks spike for spike with Brian2, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.benchmark.cuba import CHECKED, CubaWorkload
from spikelearn.network import (
    Bernoulli,
    CubaLIF,
    Population,
    Projection,
    SparseNetwork,
)
from tests.oracles_brian2.oracle import run_in_brian2

pytestmark = pytest.mark.brian2


def initial(network):
    return np.random.default_rng(3).uniform(-60.0, -50.0, network.n_neurons)


def other_delays():
    """Synapses with their own delays, and time constants that are all others."""
    cell = CubaLIF(tau_m=15.0, tau_exc=3.0, tau_inh=7.0, t_ref=2.0, v_rest=-48.0)
    rule = Bernoulli(0.05)
    return SparseNetwork(
        {"E": Population(800, cell), "I": Population(200, cell)},
        [
            Projection("E", ("E", "I"), rule, 2.0, (0.1, 4.0)),
            Projection("I", ("E", "I"), rule, -9.0, 1.3),
        ],
        dtype="float64",
    )


@pytest.mark.parametrize("name", ["the benchmark", "other delays"])
def test_spikes_are_those_of_brian2(name, tmp_path):
    if name == "the benchmark":
        network = CubaWorkload("w4", 4000).network("float64")
    else:
        network = other_delays()
    v_init = initial(network)
    ours = network.run(CHECKED, v_init=v_init)
    assert ours.steps.size > 500
    steps, senders = run_in_brian2(network, v_init, ours.n_steps, tmp_path)
    np.testing.assert_array_equal(steps, ours.steps)
    np.testing.assert_array_equal(senders, ours.senders)


def test_one_step_more_of_delay_is_noticed(tmp_path):
    """Negative control."""
    network = other_delays()
    v_init = initial(network)
    steps, senders = run_in_brian2(network, v_init, 500, tmp_path)
    network.projections = (
        network.projections[0],
        Projection("I", ("E", "I"), Bernoulli(0.05), -9.0, 1.4),
    )
    ours = network.run(CHECKED, v_init=v_init)
    same = ours.steps.size == steps.size and np.array_equal(ours.senders, senders)
    assert not same
