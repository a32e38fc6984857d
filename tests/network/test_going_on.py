"""A run in pieces is the run at once, bit for bit; `Record.final`."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.network import ALIF, LIF, LeakyRate
from tests.helpers import delays, make_input, make_network

N_REC = 7
CELLS = {
    "LIF": LIF(tau_m=10.0),
    "refractory": LIF(tau_m=10.0, t_ref=6.0, reset="zero"),
    "ALIF": ALIF(tau_m=10.0, tau_a=50.0, beta=0.2, tau_syn=4.0, t_ref=4.0),
    "inside": LeakyRate(tau_m=8.0, tau_syn=3.0, activation="tanh"),
    "outside": LeakyRate(tau_m=8.0, placement="outside", activation="softplus"),
    "no memory": LeakyRate(tau_m=0.0),
}
DELAYS = {"1": 1, "4": 4, "per synapse": delays(N_REC, 6)}
STATES = ("v", "a", "i")


def _case(cell, delay, dtype="float64"):
    rate = isinstance(CELLS[cell], LeakyRate)
    network = make_network(
        n_rec=N_REC,
        cell=CELLS[cell],
        delay=DELAYS[delay],
        drive=0.5 if rate else 1.6,
        dtype=dtype,
        bias=0.05,
    )
    return network, make_input(n_steps=24, n_samples=3, graded=True)


def _pieces(network, x, length, **options):
    state, records = None, []
    for begin in range(0, len(x), length):
        piece = x[begin : begin + length]
        records.append(network.run(piece, state=state, record=STATES, **options))
        state = records[-1].final
    return records


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [1, 2, 3, 7, 24])
def test_pieces_are_the_whole(length, cell, delay, dtype):
    network, x = _case(cell, delay, dtype)
    whole = network.run(x, record=STATES)
    assert (whole.output != 0).mean() > 0.03
    parts = _pieces(network, x, length)
    for name in STATES:
        joined = np.concatenate([part.state(name) for part in parts])
        assert np.array_equal(joined, whole.state(name)), name
    for name in ("y", "output", "distance"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(joined, getattr(whole, name)), name
    for mine, theirs in zip(parts[-1].final, whole.final, strict=True):
        assert np.array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


@pytest.mark.parametrize("cell", CELLS)
def test_every_part_of_the_state_matters(cell):
    """Negative control: without one of them the rest of the run is another one."""
    network, x = _case(cell, "4")
    first = network.run(x[:12])
    whole = network.run(x).y[12:]
    parts = {"y", "pending"}
    if cell != "no memory":
        parts.add("v")
    if cell in ("ALIF", "inside"):
        parts.add("i")
    if cell == "ALIF":
        parts |= {"a", "refractory", "reset"}
    if cell == "refractory":
        parts.add("refractory")
    if cell == "LIF":
        parts.add("reset")
    zero = network.zero_state(3)
    for name in parts:
        assert getattr(first.final, name).any(), name
        state = first.final._replace(**{name: getattr(zero, name)})
        assert not np.array_equal(network.run(x[12:], state=state).y, whole), name
    assert np.array_equal(network.run(x[12:], state=first.final).y, whole)


def test_a_state_is_not_changed_by_going_on():
    network, x = _case("ALIF", "per synapse")
    first = network.run(x[:12])
    before = [array.copy() for array in first.final]
    once = network.run(x[12:], state=first.final).y
    assert np.array_equal(network.run(x[12:], state=first.final).y, once)
    assert all(map(np.array_equal, first.final, before))


@pytest.mark.parametrize("delay", ["1", "per synapse"])
def test_threads_do_not_change_the_pieces(delay):
    network, x = _case("ALIF", delay)
    one, two = (_pieces(network, x, 5, threads=threads) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.y, b.y)
        assert all(map(np.array_equal, a.final, b.final))


def test_weights_may_change_between_pieces():
    """What is under way was sent with the old weights; later spikes use the new."""
    network, x = _case("LIF", "4")
    first = network.run(x[:12])
    network.params.w_rec[...] = 0.0
    second = network.run(x[12:], state=first.final, record=("i",))
    drive = x[12:] @ network.params.w_in.T
    under_way = np.abs(second.state("i") - drive).max(axis=(1, 2))
    assert first.final.pending.any()
    assert under_way[:4].max() > 1e-3
    assert under_way[4:].max() < 1e-12


@pytest.mark.parametrize("other", ["samples", "neurons", "delay", "outputs"])
def test_the_state_of_another_network_is_refused(other):
    network, x = _case("LIF", "4")
    spec = {
        "samples": {},
        "neurons": {"n_rec": 8},
        "delay": {"n_rec": N_REC, "delay": 3},
        "outputs": {"n_rec": N_REC, "n_out": 5},
    }[other]
    theirs = make_network(cell=CELLS["LIF"], **{"delay": 4} | spec)
    n_samples = 2 if other == "samples" else 3
    state = theirs.run(x[:, :n_samples]).final
    with pytest.raises(InvalidValue, match=r"^run\.state\.\w+ must have shape .*; got"):
        network.run(x, state=state)


def test_the_state_of_another_type_is_refused():
    network, x = _case("LIF", "4", "float32")
    double, _ = _case("LIF", "4", "float64")
    with pytest.raises(InvalidValue, match=r"^run\.state\.v must .*float32.*float64"):
        network.run(x, state=double.run(x).final)
