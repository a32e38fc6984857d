"""Rate units: forward pass, e-prop and RFLO against naive twins over a table."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from spikelearn.learning.rules import RFLO, EProp
from spikelearn.network import LeakyRate, LeakyReadout
from tests.helpers import (
    copy_spec,
    delays,
    make_full_signal,
    make_input,
    make_network,
    relative_error,
)
from tests.reference import rate as naive

N_REC = 6
MIXED = {
    "tau_m": np.array([0.0, 3.0, 6.0, 12.0, 20.0, 30.0]),
    "tau_syn": np.array([0.0, 2.0, 4.0, 6.0, 0.5, 8.0]),
}
DELAYS = {"1": 1, "3": 3, "per synapse": delays(N_REC, 5)}
TABLE = list(
    itertools.product(
        ("relu", "tanh", "softplus"),
        ("inside", "outside"),
        ("leak", "unit"),
        ("none", "both", "mixed"),  # time constants
        DELAYS,
    )
)
TIMES = {
    "none": {"tau_m": 0.0, "tau_syn": 0.0},
    "both": {"tau_m": 6.0, "tau_syn": 3.0},
    "mixed": MIXED,
}


def _case(number, dtype="float64"):
    activation, placement, scaling, times, delay = TABLE[number]
    cell = LeakyRate(
        **TIMES[times],
        activation=activation,
        placement=placement,
        input_scaling=scaling,
    )
    network = make_network(
        number,
        n_rec=N_REC,
        cell=cell,
        readout=LeakyReadout(7.0, ("unit", "leak")[number % 2]),
        dt=(1.0, 0.5)[number // 2 % 2],
        delay=DELAYS[delay],
        dtype=dtype,
        drive=0.5 if scaling == "leak" else 0.15,
        bias=0.1,
    )
    return network, make_input(number, n_steps=16, n_samples=2, graded=number % 3 > 0)


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_rates_readout_and_gradients_equal_the_twin(number):
    for dtype, tolerance in (("float64", 1e-11), ("float32", 1e-4)):
        network, x = _case(number, dtype)
        signal = make_full_signal(network, x, number)
        record = network.run(x, record=("v", "i"))
        run = naive.forward(network, x)
        assert (run.r != 0).mean() > 0.3, "the comparison needs a live network"
        assert np.ptp(run.r) > 0.05
        assert relative_error(record.output, run.r) < tolerance
        assert relative_error(record.y, run.y) < tolerance
        assert relative_error(record.state("v"), run.h) < tolerance
        assert relative_error(record.state("i"), run.i) < tolerance
        assert relative_error(record.distance, run.argument) < tolerance

        expected = naive.eprop(network, x, run, signal)
        for rule in (EProp(), RFLO()):
            got = rule.gradients(network, record, signal).arrays()
            for name, gradient in expected.items():
                assert np.abs(gradient).max() > 1e-3, "a dead gradient proves nothing"
                assert relative_error(got[name], gradient) < tolerance, name
                assert got[name].dtype == network.dtype


@pytest.mark.parametrize(
    "change",
    [
        {"tau_m": 6.1},
        {"tau_syn": 3.1},
        {"activation": "relu"},
        {"placement": "outside"},
        {"input_scaling": "unit"},
        {"delay": 2},
        {"readout": LeakyReadout(7.1)},
    ],
    ids=lambda change: "".join(change),
)
def test_run_and_credit_depend_on_every_constant(change):
    """Negative control: the twin of a slightly different network must disagree."""
    cell = LeakyRate(tau_m=6.0, tau_syn=3.0, activation="tanh")
    network = make_network(cell=cell, drive=0.8, readout=LeakyReadout(7.0))
    x = make_input(n_steps=16)
    of_cell = {k: v for k, v in change.items() if hasattr(cell, k)}
    of_network = {k: v for k, v in change.items() if k not in of_cell}
    other = copy_spec(network, cell=dataclasses.replace(cell, **of_cell), **of_network)
    record, signal = network.run(x), make_full_signal(network, x)
    run, other_run = naive.forward(network, x), naive.forward(other, x)
    assert relative_error(record.y, run.y) < 1e-12
    assert relative_error(record.y, other_run.y) > 1e-4
    got = EProp().gradients(network, record, signal).w_rec
    assert relative_error(got, naive.eprop(network, x, run, signal)["w_rec"]) < 1e-12
    wrong = naive.eprop(other, x, run, signal)["w_rec"]
    assert relative_error(got, wrong) > 1e-4


def test_a_run_in_float32_stays_in_float32():
    network, x = _case(0, "float32")
    record = network.run(x, record=("v", "a", "i"))
    for array in (record.y, record.output, record.distance, *record.final[:4]):
        assert array.dtype == np.float32
