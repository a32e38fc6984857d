"""Credit while a trial runs is credit at its end, cut into pieces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RTRL,
    STLLR,
    EProp,
    ModProp,
    OnlineRule,
    SnAp1,
)
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout
from tests.helpers import (
    copy_spec,
    delays,
    make_full_signal,
    make_input,
    make_network,
)

N_REC, T, B = 6, 21, 3
OWN = np.random.default_rng(1).random((N_REC, N_REC)) < 0.6
OWN[np.diag_indices(4)] = True
OTHERS = ~np.eye(N_REC, dtype=bool)
CELLS = {
    "LIF": LIF(tau_m=10.0),
    "LIF zero": LIF(tau_m=10.0, reset="zero", t_ref=3.0),
    "ALIF": ALIF(tau_m=10.0, tau_a=40.0, beta=0.3, tau_syn=4.0),
    "ALIF zero": ALIF(tau_m=8.0, tau_a=40.0, beta=0.3, reset="zero", tau_syn=3.0),
    "inside": LeakyRate(tau_m=8.0, tau_syn=4.0, activation="tanh"),
    "outside": LeakyRate(8.0, 4.0, "softplus", "outside"),
    "no leak": LeakyRate(tau_m=0.0, activation="tanh"),
}
RATE = ("inside", "outside", "no leak")
DELAYS = {"1": 1, "4": 4, "per synapse": delays(N_REC, 5)}
RULES = {
    "e-prop": EProp(),
    "rflo": RFLO(),
    "snap-1": SnAp1(),
    "decolle": DECOLLE(),
    "mdgl": MDGL("online"),
}
CASES = [
    (rule, cell, delay)
    for rule in RULES
    for cell in CELLS
    for delay in DELAYS
    if (rule != "rflo" or cell in RATE) and (rule != "mdgl" or delay == "1")
]


def make_case(cell, delay="1", mask=OWN, dtype="float64"):
    network = make_network(
        n_rec=N_REC,
        cell=CELLS[cell],
        delay=DELAYS[delay],
        mask=mask,
        cell_types=np.arange(N_REC) % 2,
        readout=LeakyReadout(6.0),
        drive=0.8 if cell in RATE else 1.5,
        bias=0.05,
        dtype=dtype,
    )
    return network, make_input(n_steps=T, n_samples=B, graded=True)


def piece_of(signal, piece):
    parts = ("error", "broadcast", "direct")
    return dataclasses.replace(signal, **{p: getattr(signal, p)[piece] for p in parts})


def online(rule, network, x, signal, length, threads=1):
    """Add up the gradients of pieces of `length` steps."""
    traces, state, total = rule.start(network, x.shape[1]), None, None
    for begin in range(0, len(x), length):
        piece = slice(begin, begin + length)
        record = network.run(x[piece], state=state, record=rule.needs(network))
        state = record.final
        part = rule.step(network, record, piece_of(signal, piece), traces, threads)
        total = part if total is None else total + part
    return total.arrays()


def offline(rule, network, x, signal):
    record = network.run(x, record=rule.needs(network))
    return rule.gradients(network, record, signal).arrays()


@pytest.mark.parametrize("length", [1, 7, T])
@pytest.mark.parametrize(("rule", "cell", "delay"), CASES)
def test_pieces_add_up_to_the_trial(rule, cell, delay, length):
    late = rule == "snap-1" and delay != "1"
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-6)):
        network, x = make_case(cell, delay, OTHERS if late else OWN, dtype)
        signal = make_full_signal(network, x)
        expected = offline(RULES[rule], network, x, signal)
        got = online(RULES[rule], network, x, signal, length)
        for name, gradient in expected.items():
            scale = np.abs(gradient).max()
            assert scale > 1e-3, f"{name}: a dead gradient proves nothing"
            assert np.abs(got[name] - gradient).max() < tolerance * scale, name
            assert got[name].dtype == dtype


@pytest.mark.parametrize("rule", RULES)
def test_every_piece_matters(rule):
    """Negative control: without the traces of earlier pieces the sum is another."""
    network, x = make_case("inside")
    signal, rule = make_full_signal(network, x), RULES[rule]
    expected = offline(rule, network, x, signal)
    whole = network.run(x[:10])
    record = network.run(x[10:], state=whole.final)
    fresh = rule.start(network, B)
    first = rule.step(network, whole, piece_of(signal, slice(10)), fresh)
    again = rule.start(network, B)
    second = rule.step(network, record, piece_of(signal, slice(10, T)), again)
    lost = (first + second).arrays()
    for name, gradient in expected.items():
        assert np.abs(lost[name] - gradient).max() > 1e-3 * np.abs(gradient).max()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_change_the_pieces(rule, dtype):
    network, _ = make_case("outside", dtype=dtype)
    x = make_input(n_steps=T, n_samples=11, graded=True)
    signal = make_full_signal(network, x)
    one, two = (online(RULES[rule], network, x, signal, 5, n) for n in (1, 2))
    for name, gradient in one.items():
        assert np.abs(gradient).max() > 1e-3
        assert np.array_equal(two[name], gradient)


def test_credit_of_a_piece_uses_the_weights_of_the_moment():
    """Feedback and paths may change between pieces; the past stays as it was."""
    network, x = make_case("ALIF")
    signal = make_full_signal(network, x)
    traces = SnAp1().start(network, B)
    needs = SnAp1().needs(network)
    first = network.run(x[:10], record=needs)
    SnAp1().step(network, first, piece_of(signal, slice(10)), traces)
    kept = [array.copy() for array in traces]
    results = []
    for factor in (1.0, 0.5):
        network.params.w_rec[...] *= factor
        record = network.run(x[10:], state=first.final, record=needs)
        again = type(traces)(*(array.copy() for array in kept))
        part = piece_of(signal, slice(10, T))
        results.append(SnAp1().step(network, record, part, again).w_in)
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert all(map(np.array_equal, traces, kept))


@pytest.mark.parametrize(
    "rule", [BPTT(), MDGL(), MDGL("one-hop"), ModProp()], ids=lambda rule: str(rule)
)
def test_rules_that_need_the_future_refuse(rule):
    network, _ = make_case("LIF")
    name = rule.info.name
    message = rf"^rule '{name}' must be credited at the end of a trial.*e-prop.*online"
    with pytest.raises(InvalidValue, match=message):
        rule.start(network, 1)


@pytest.mark.parametrize("rule", [RTRL(), STLLR()], ids=lambda rule: rule.info.name)
def test_rules_without_traces_are_no_online_rules(rule):
    assert not isinstance(rule, OnlineRule)
    assert isinstance(EProp(), OnlineRule)


@pytest.mark.parametrize("delay", ["4", "per synapse"])
def test_own_paths_with_longer_delays_refuse(delay):
    late = np.where(np.eye(N_REC, dtype=bool), 2, DELAYS[delay])
    network = copy_spec(make_case("LIF")[0], delay=late)
    message = r"^rule 'snap-1' online must have delays of 1 step .*; got longer ones"
    with pytest.raises(InvalidValue, match=message):
        SnAp1().start(network, 1)
    SnAp1().start(copy_spec(network, mask=OTHERS), 1)
    early = np.where(np.eye(N_REC, dtype=bool), 1, late)
    SnAp1().start(copy_spec(network, delay=early), 1)
    with pytest.raises(InvalidValue, match=r"^rule 'mdgl' online must have del"):
        MDGL("online").start(network, 1)
    EProp().start(network, 1)


def test_rules_check_the_network_first():
    network, _ = make_case("LIF")
    with pytest.raises(InvalidValue, match="rule 'rflo' must be used with cells rate"):
        RFLO().start(network, 1)
    with pytest.raises(InvalidValue, match="rule 'mdgl' must have cell types"):
        MDGL("online").start(copy_spec(network, cell_types=None), 1)


def test_the_voltage_must_be_recorded_where_it_is_needed():
    network, x = make_case("LIF zero")
    traces, signal = SnAp1().start(network, B), make_full_signal(network, x)
    assert SnAp1().needs(network) == ("v",)
    with pytest.raises(InvalidValue, match=r"^Record\.state\('v'\) must be recorded"):
        SnAp1().step(network, network.run(x), signal, traces)


@pytest.mark.parametrize("other", ["samples", "neurons", "delay"])
def test_the_traces_of_another_trial_are_refused(other):
    network, x = make_case("LIF")
    signal = make_full_signal(network, x)
    traces = EProp().start(network, B)
    if other == "samples":
        traces = EProp().start(network, B - 1)
    elif other == "neurons":
        traces = EProp().start(make_network(n_rec=N_REC - 1), B)
    else:
        traces = EProp().start(copy_spec(network, delay=3), B)
    with pytest.raises(InvalidValue, match=r"^Traces\.\w+ must have shape .*; got "):
        EProp().step(network, network.run(x), signal, traces)
