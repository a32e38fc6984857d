"""Long trials in pieces: the same gradients from checkpoints as from a whole record."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import BPTT, MDGL, EProp, ModProp, SnAp1
from spikelearn.network import ALIF, LIF, LeakyRate
from tests.helpers import (
    delays,
    make_full_signal,
    make_input,
    make_network,
    relative_error,
)

CELLS = {
    "LIF": LIF(tau_m=10.0, t_ref=3.0, reset="zero"),
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=3.0),
    "rate": LeakyRate(tau_m=10.0, activation="tanh"),
}
RULES = {
    "e-prop": EProp(),
    "bptt": BPTT(reset=True),
    "snap-1": SnAp1(),
    "mdgl": MDGL(variant="one-hop"),
    "modprop": ModProp(),
}
N_REC, N_STEPS = 9, 41


def _case(cell, delay):
    kinds = np.arange(N_REC) % 3
    options = {"cell_types": kinds, "delay": delay, "drive": 1.5}
    network = make_network(n_rec=N_REC, cell=CELLS[cell], **options)
    x = make_input(n_steps=N_STEPS, n_samples=3)
    return network, x, make_full_signal(network, x)


@pytest.mark.parametrize("chunk_steps", [1, 7, 20, 100])
@pytest.mark.parametrize("delay", [1, 4, "per synapse"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_forward_pass_in_pieces_is_the_whole(cell, delay, chunk_steps):
    delay = delays(N_REC, 5) if delay == "per synapse" else delay
    network, x, _ = _case(cell, delay)
    whole = network.run(x)
    pieces = network.run_checkpointed(x, chunk_steps)
    assert np.array_equal(pieces.y, whole.y)
    assert all(map(np.array_equal, pieces.final, whole.final))
    assert len(pieces.states) == -(-N_STEPS // chunk_steps)
    if network.spiking:
        assert np.array_equal(pieces.spike_counts, whole.spike_counts)
    replayed = list(pieces.pieces_backwards(network, ("v",), 1))[::-1]
    distance = np.concatenate([piece.distance for _, piece in replayed])
    assert np.array_equal(distance, whole.distance)


@pytest.mark.parametrize("chunk_steps", [1, 7, 20])
@pytest.mark.parametrize("delay", [1, 4, "per synapse"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("rule", RULES)
def test_gradients_from_checkpoints(rule, cell, delay, chunk_steps):
    delay = delays(N_REC, 5) if delay == "per synapse" else delay
    network, x, signal = _case(cell, delay)
    rule = RULES[rule]
    whole = rule.gradients(network, network.run(x, record=rule.needs(network)), signal)
    record = network.run_checkpointed(x, chunk_steps)
    pieces = rule.gradients(network, record, signal, threads=2)
    for name, expected in whole.arrays().items():
        assert np.abs(expected).max() > 1e-6, name
        assert relative_error(getattr(pieces, name), expected) < 1e-12, name


def test_a_carry_that_is_lost_would_be_seen():
    """Negative control: pieces on their own do not add up to the trial."""
    network, x, signal = _case("ALIF", 1)
    whole = EProp().gradients(network, network.run(x), signal)
    record = network.run_checkpointed(x, 20)
    alone = 0.0
    for first, piece in record.pieces_backwards(network, (), 1):
        steps = slice(first, first + piece.n_steps)
        part = signal.__class__(
            signal.error[steps],
            signal.feedback,
            signal.neuron,
            direct=None if signal.direct is None else signal.direct[steps],
        )
        alone = alone + EProp().gradients(network, piece, part).w_rec
    assert relative_error(alone, whole.w_rec) > 1e-3


def test_pieces_have_steps():
    network, x, _ = _case("LIF", 1)
    with pytest.raises(InvalidValue, match="chunk_steps must be >= 1; got 0"):
        network.run_checkpointed(x, 0)


def test_a_batch_that_does_not_fit_says_what_would(monkeypatch):
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "1MB")
    network = make_network(n_rec=N_REC, cell=CELLS["LIF"])
    x = make_input(n_steps=2000, n_samples=8)
    fits = "record of a run must fit.*got 8 samples.*[1-7] samples at a time fit"
    with pytest.raises(InvalidValue, match=fits):
        network.run(x)
    assert network.run(x, keep_distance=False).y.shape[:2] == (2000, 8)
