"""One sample on several threads: the bits of one thread, and nobody waits in vain."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from spikelearn.kernels.team import APART, CLOSED, forward_in_team, join_team, new_team
from spikelearn.kernels.vector import padded
from spikelearn.network import ALIF, LIF, model
from tests.helpers import make_input, make_network

N_REC = 300
CELLS = {
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=3.0),
    "LIF": LIF(tau_m=10.0, t_ref=3.0, reset="zero"),
    "plain": LIF(tau_m=10.0),
}


@pytest.fixture(autouse=True)
def _teams_for_small_networks(monkeypatch):
    monkeypatch.setattr(model, "SMALLEST_TEAM", 1)


def _everything(record):
    final = {f"final {k}": v for k, v in record.final._asdict().items()}
    return {"z": record.spikes, "y": record.y, "d": record.distance} | final


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("delay", [1, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_as_on_one_thread(cell, dtype, delay, threads):
    spec = {"cell": CELLS[cell], "dtype": dtype, "delay": delay}
    network = make_network(n_rec=N_REC, drive=1.5, **spec)
    x = make_input(n_samples=1, n_steps=60)
    one = _everything(network.run(x))
    assert 0.01 < one["z"].mean() < 0.9
    team = _everything(network.run(x, threads=threads))
    for name, array in one.items():
        assert np.array_equal(team[name], array), name
    first = network.run(x[:25], threads=threads, record=("v",))
    second = network.run(x[25:], threads=threads, state=first.final)
    joined = np.concatenate([first.spikes, second.spikes])
    assert np.array_equal(joined, one["z"])


def _parts(network, x, members):
    x, events = network._events(x)
    model.list_events(x, 0, 1, events)
    team = new_team(members, len(x), padded(network.n_rec))
    state = network._padded_zeros(1)
    out = network._trajectory(len(x), 1, False, True)
    return network.kernel_cell, network.kernel_weights(), events, team, state, out


def test_the_first_does_not_wait_for_who_never_comes():
    network = make_network(n_rec=N_REC, drive=1.5, cell=CELLS["plain"])
    x = make_input(n_samples=1, n_steps=40)
    cell, weights, events, team, state, out = _parts(network, x, 3)
    forward_in_team(cell, weights, events, team, state, out)
    assert team.counters[0] == CLOSED + 1
    forward_in_team(cell, weights, events, team, state, out)  # too late
    join_team(weights, network.n_in, team, state, out)
    n_spikes = out.first[0, -1]
    expected = network.run(x)
    units = np.nonzero(expected.spikes[:, 0])[1]
    assert np.array_equal(out.spike[:n_spikes], units)


def test_members_share_the_neurons():
    network = make_network(n_rec=N_REC, drive=1.5, cell=CELLS["plain"])
    x = make_input(n_samples=1, n_steps=40)
    expected = network.run(x).spikes.sum()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # a busy machine brings the second one too late
        cell, weights, events, team, state, out = _parts(network, x, 2)
        arguments = (cell, weights, events, team, state, out)
        helper = threading.Thread(target=forward_in_team, args=arguments)
        helper.start()
        forward_in_team(*arguments)
        helper.join()
        assert team.counters[0] == CLOSED + 2
        n_members = team.counters[APART]
        shares = [team.first[q, -1] - team.first[q, 0] for q in range(n_members)]
        assert sum(shares) == expected
        assert min(shares) > 0
        if n_members == 2:
            return
    raise AssertionError("no two threads ever met")
