"""Connections in lists (compressed rows) and dense rows are the same network."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.learning.rules import BPTT, MDGL, RFLO, STLLR, EProp, SnAp1
from spikelearn.network import ALIF, LIF, LeakyRate, model
from tests.helpers import (
    make_full_signal,
    make_input,
    make_network,
    relative_error,
)

N_REC = 70
CELLS = {
    "LIF": LIF(tau_m=10.0, t_ref=3.0, reset="zero"),
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=3.0),
    "rate": LeakyRate(tau_m=10.0, activation="tanh"),
}
RULES = {
    "LIF": (EProp(), BPTT(reset=True), SnAp1(), MDGL("one-hop"), STLLR()),
    "ALIF": (EProp(), BPTT(), MDGL("one-hop"), STLLR()),
    "rate": (EProp(), BPTT(), RFLO()),
}


def _network(monkeypatch, cell, few, delay):
    monkeypatch.setattr(model, "FEW_CONNECTIONS", few)
    rng = np.random.default_rng(3)
    network = make_network(
        n_rec=N_REC,
        cell=CELLS[cell],
        delay=delay,
        drive=4.0,
        mask=rng.random((N_REC, N_REC)) < 0.2,
        mask_in=rng.random((N_REC, 4)) < 0.6,
    )
    return network


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_lists_and_dense_rows_agree(cell, delay, graded, monkeypatch):
    listed = _network(monkeypatch, cell, 1.0, delay)
    dense = _network(monkeypatch, cell, 0.0, delay)
    n_connections = listed.mask.sum() + listed.mask_in.sum()
    assert listed.kernel_weights().target.size == n_connections
    assert dense.kernel_weights().target.size == 0
    x = make_input(n_steps=40, n_samples=2, graded=graded)
    signal = make_full_signal(dense, x)
    records = [network.run(x, record=("v",)) for network in (listed, dense)]
    assert np.abs(records[1].output).mean() > 0.01
    if dense.spiking:
        assert np.array_equal(records[0].spikes, records[1].spikes)
    assert relative_error(records[0].y, records[1].y) < 1e-12
    for rule in RULES[cell]:
        got = rule.gradients(listed, records[0], signal).arrays()
        for name, expected in (
            rule.gradients(dense, records[1], signal).arrays().items()
        ):
            assert np.abs(expected).max() > 1e-6, (rule.info.name, name)
            assert relative_error(got[name], expected) < 1e-11, (rule.info.name, name)


def test_few_connections_are_listed_without_being_told():
    rng = np.random.default_rng(0)
    mask_in = rng.random((N_REC, 4)) < 0.1
    few = make_network(
        n_rec=N_REC, mask=rng.random((N_REC, N_REC)) < 0.01, mask_in=mask_in
    )
    many = make_network(n_rec=N_REC, mask=rng.random((N_REC, N_REC)) < 0.5)
    assert few.kernel_weights().target.size
    assert not many.kernel_weights().target.size


def test_a_connection_that_is_not_listed_would_be_missed(monkeypatch):
    """Negative control: the kernels do read the list."""
    listed = _network(monkeypatch, "LIF", 1.0, 1)
    x = make_input(n_steps=40, n_samples=2)
    before = listed.run(x).y
    start = listed.kernel_constants.start.copy()
    start[1:] = np.maximum(start[1:] - 1, 0)
    shorter = listed.kernel_constants._replace(start=start)
    object.__setattr__(listed, "kernel_constants", shorter)
    assert not np.array_equal(listed.run(x).y, before)
