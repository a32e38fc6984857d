"""The race against Lava runs, and its network is what it says."""

from __future__ import annotations

import pytest

from hardware import emulator
from tests.benchmarks import lava


def test_the_network_of_the_race():
    net, x = lava.network()
    assert (net.n_rec, x.shape) == (500, (1000, 1, 100))
    assert (net.w_rec.weights != 0).mean() > 0.4
    assert net.neurons.plain_lif and net.w_rec.process == "dense"
    record = emulator.run(net, x)
    assert 0.015 < record.n_spikes / record.v.size < 0.03


@pytest.mark.lava
def test_both_run_and_agree(monkeypatch):
    net, x = lava.network()
    monkeypatch.setattr(lava, "network", lambda: (net, x[:50]))
    ours, theirs, with_start, record = lava.race(1)
    assert len(ours) == lava.REPEATS and len(theirs) == len(with_start) == 1
    assert max(ours) > 0 and 0 < theirs[0] < with_start[0]
    assert record.v.shape == (50, 1, 500)
