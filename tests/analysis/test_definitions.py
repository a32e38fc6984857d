"""The definitions of the rules agree with the kernels, and notice what differs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.analysis.definitions import define, obstacle
from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RSTDP,
    RTRL,
    STLLR,
    EProp,
    ModProp,
    SnAp1,
)
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, Surrogate
from tests.helpers import make_input, make_network, make_signal, relative_error

TYPES = np.array([0, 0, 1, 0, 1, 2])
CELLS = {
    "LIF": LIF(tau_m=10.0),
    "LIF-zero": LIF(tau_m=10.0, tau_syn=4.0, reset="zero", input_scaling="leak"),
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, t_ref=3.0),
    "ALIF-arctan": ALIF(tau_syn=5.0, beta=0.1, surrogate=Surrogate("arctan")),
    "relu": LeakyRate(tau_m=10.0),
    "tanh": LeakyRate(tau_m=10.0, tau_syn=5.0, activation="tanh"),
    "softplus": LeakyRate(activation="softplus", placement="outside", tau_syn=3.0),
}
DELAYS = {
    "one": 1,
    "three": 3,
    "mixed": np.random.default_rng(5).integers(1, 5, (6, 6)),
}
RULES = {
    "bptt": BPTT(),
    "bptt-reset": BPTT(reset=True),
    "rtrl": RTRL(),
    "e-prop": EProp(),
    "rflo": RFLO(),
    "snap-1": SnAp1(),
    "mdgl": MDGL(),
    "mdgl-non-local": MDGL(non_local=True),
    "mdgl-one-hop": MDGL("one-hop"),
    "mdgl-online": MDGL("online"),
    "modprop": ModProp(),
    "modprop-0": ModProp(mu=0.0),
    "decolle": DECOLLE(),
    "s-tllr": STLLR(),
    "r-stdp": RSTDP(tau_plus=5.0, tau_minus=8.0, tau_e=30.0),
}


def case(cell, delay, *, n_steps=30, graded=True, rule=None):
    """Return a network with self-connections, its input, record and full signal."""
    spiking = not isinstance(cell, LeakyRate)
    network = make_network(
        cell=cell,
        delay=delay,
        mask=np.random.default_rng(9).random((6, 6)) < 0.7,
        cell_types=TYPES,
        readout=LeakyReadout(8.0),
        drive=2.0 if spiking else 1.0,
        gain=0.5,
        bias=0.2,
    )
    x = make_input(n_steps=n_steps, n_samples=2, graded=graded)
    rng = np.random.default_rng(4)
    signal = dataclasses.replace(
        make_signal(network, x),
        broadcast=rng.standard_normal((n_steps, 2, network.n_out)),
        direct=rng.standard_normal((n_steps, 2, network.n_rec)),
        reward=rng.standard_normal((n_steps, 2)),
    )
    record = network.run(x, record=() if rule is None else rule.needs(network))
    return network, x, record, signal


def worst(rule, parts, other=None):
    """Return the largest relative error of `rule` against the definition of `other`."""
    network, x, record, signal = parts
    got = rule.gradients(network, record, signal).arrays()
    expected = define(other or rule, network, x, record, signal).arrays()
    assert got.keys() == expected.keys()
    errors = []
    for name, array in expected.items():
        if np.any(array):
            errors.append(relative_error(got[name], array))
        else:
            assert name == "bias" and rule.info.name == "r-stdp", f"{name} is dead"
            assert not got[name].any()
    return max(errors)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", RULES)
def test_the_kernels_compute_the_definition(name, cell, delay):
    rule = RULES[name]
    if CELLS[cell].kind not in rule.info.cells:
        with pytest.raises(InvalidValue, match=r"Rules for .* cells"):
            define(rule, *case(CELLS[cell], DELAYS[delay]))
        return
    parts = case(CELLS[cell], DELAYS[delay], rule=rule)
    if name == "mdgl-online" and delay != "one":
        assert "delays of 1 step" in obstacle(rule, parts[0], 30)
        return
    assert parts[2].output.any(), "the network must be active"
    assert worst(rule, parts) < 1e-10


WRONG = {
    "mu": (ModProp(), ModProp(mu=0.3), "ALIF"),
    "non-local": (MDGL(), MDGL(non_local=True), "LIF"),
    "one hop": (EProp(), MDGL("one-hop"), "tanh"),
    "averages": (MDGL("one-hop"), MDGL(), "relu"),
    "own paths": (EProp(), SnAp1(), "LIF"),
    "reset": (BPTT(), BPTT(reset=True), "ALIF"),
    "all hops": (EProp(), BPTT(), "softplus"),
    "trace": (STLLR(), STLLR(lambda_pre=0.8), "LIF"),
    "order": (STLLR(), STLLR(alpha_post=1.0), "LIF"),
    "tag": (RSTDP(), RSTDP(tau_e=900.0), "LIF"),
    "pairs": (RSTDP(), RSTDP(tau_minus=19.0), "LIF"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_rule_is_noticed(name):
    """Control: the comparison above fails for a rule that is slightly wrong."""
    rule, other, cell = WRONG[name]
    parts = case(CELLS[cell], DELAYS["mixed"], rule=BPTT(reset=True))
    assert worst(rule, parts, other) > 1e-4


@pytest.mark.parametrize(
    "change",
    [{"readout": LeakyReadout(9.0)}, {"delay": 2}, {"cell": LIF(tau_m=11.0)}],
    ids=("kappa", "delay", "leak"),
)
def test_another_network_is_noticed(change):
    network, x, record, signal = case(CELLS["LIF"], DELAYS["three"])
    other = dataclasses.replace(network, **change)
    other.params.load(network.params.arrays())
    got = EProp().gradients(network, record, signal).arrays()
    expected = define(EProp(), other, x, record, signal).arrays()
    assert relative_error(got["w_rec"], expected["w_rec"]) > 1e-4


def test_what_is_too_large_is_said():
    network = make_network(n_rec=70)
    assert obstacle(EProp(), network, 100) is None
    assert "too large for rtrl" in obstacle(BPTT(), network, 100)
    assert "trace at every synapse" in obstacle(EProp(), network, 10**6)
    x = make_input(n_steps=3)
    parts = (network, x, network.run(x), make_signal(network, x))
    with pytest.raises(InvalidValue, match=r"definition of 'bptt': n_rec = 70"):
        define(BPTT(), *parts)


def test_a_rule_from_elsewhere_has_no_definition():
    class Foreign(STLLR.__base__):
        info = STLLR.info

    assert "no definition" in obstacle(Foreign(), make_network(), 10)
