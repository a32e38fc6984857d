"""Rate units: forward pass, e-prop and RFLO against naive twins over a table."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from spikelearn.kernels.adjoint import (
    Accumulators,
    Carry,
    Part,
    credit,
)
from spikelearn.kernels.rate import DENSE
from spikelearn.kernels.rate_credit import credit_rate
from spikelearn.kernels.vector import aligned_zeros, padded
from spikelearn.learning.rules import BPTT, RFLO, EProp
from spikelearn.learning.rules.paths import kernel_signal, no_carry
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


N_BIG, T_BIG, B_BIG = 70, 80, 14
"""More neurons, steps and samples than one register block or one sweep takes."""


INPUTS = list(itertools.product((False, True), (0.1, 1.0)))
"""Whether they are graded, and the share that is kept: listed or multiplied."""


def _big(activation="tanh", placement="inside", delay=1, dtype="float64", inputs=None):
    graded, share = inputs or (True, 1.0)
    cell = LeakyRate(6.0, 3.0, activation, placement)
    network = make_network(
        n_rec=N_BIG, cell=cell, delay=delay, dtype=dtype, drive=0.5, bias=0.1
    )
    x = make_input(n_steps=T_BIG, n_samples=B_BIG, graded=graded)
    x[np.random.default_rng(8).random(x.shape) > share] = 0
    assert (x != 0).mean() > DENSE * 1.2 or share < 1.0
    assert (x != 0).mean() < DENSE * 0.5 or share == 1.0
    return network, x


def _results(network, x, signal, threads=1):
    record = network.run(x, record=("v", "i"), threads=threads)
    results = {"output": record.output, "y": record.y, "u": record.distance}
    for rule in (EProp(), BPTT()):
        gradients = rule.gradients(network, record, signal, threads=threads).arrays()
        results |= {f"{rule.info.name} {k}": v for k, v in gradients.items()}
    return results | {"h": record.state("v"), "i": record.state("i")}


@pytest.mark.parametrize(
    ("delay", "inputs"), list(zip((1, 4, 4, 1), INPUTS, strict=True))
)
def test_a_larger_network_equals_the_twin(delay, inputs):
    network, x = _big(delay=delay, inputs=inputs)
    signal = make_full_signal(network, x)
    record, run = network.run(x), naive.forward(network, x)
    assert np.ptp(run.r) > 0.05
    assert relative_error(record.output, run.r) < 1e-12
    assert relative_error(record.y, run.y) < 1e-12
    got = EProp().gradients(network, record, signal).arrays()
    for name, expected in naive.eprop(network, x, run, signal).items():
        assert relative_error(got[name], expected) < 1e-11, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("delay", [1, 3, "per synapse"])
def test_the_same_bits_for_any_number_of_threads(delay, dtype):
    delay = delays(N_BIG, 4) if delay == "per synapse" else delay
    network, x = _big(delay=delay, dtype=dtype)
    signal = make_full_signal(network, x)
    one = _results(network, x, signal)
    for threads in (2, 3, 16):
        for name, array in _results(network, x, signal, threads).items():
            assert np.array_equal(array, one[name]), (name, threads)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
@pytest.mark.parametrize("inputs", INPUTS)
def test_a_sample_has_the_same_bits_alone(inputs, activation, dtype):
    network, x = _big(activation, dtype=dtype, inputs=inputs)
    x[:, 5] = 0.0  # is alone among those with few inputs
    batch = network.run(x, record=("v", "i"))
    assert np.ptp(batch.output) > 0.05
    for b in range(B_BIG):
        alone = network.run(x[:, b : b + 1], record=("v", "i"))
        for name in ("output", "y", "distance"):
            mine = getattr(batch, name)[:, b : b + 1]
            assert np.array_equal(getattr(alone, name), mine), (name, b)
        for name in ("v", "i"):
            assert np.array_equal(alone.state(name), batch.state(name)[:, b : b + 1])


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("placement", ["inside", "outside"])
@pytest.mark.parametrize("delay", [1, 3, T_BIG + 5])
@pytest.mark.parametrize("rule", [EProp(), BPTT()], ids=lambda rule: rule.info.name)
def test_products_equal_the_sweep_one_sample_at_a_time(rule, delay, placement, inputs):
    """Also in the middle of a trial: with credit that comes from later steps."""
    network, x = _big("softplus", placement, delay, inputs=inputs)
    signal, record = make_full_signal(network, x), network.run(x)
    signals = kernel_signal(network, record, signal)
    weights, paths = network.kernel_weights(), rule.paths(network)
    span = (0, B_BIG)
    rng = np.random.default_rng(5)
    begun, _ = no_carry(network, B_BIG, paths.kind)
    for name in ("gv", "later"):
        part = getattr(begun, name)[..., :N_BIG]
        part[...] = rng.normal(size=part.shape)
    results = []
    for sweep in (credit, credit_rate):
        carry = Carry(*(array.copy() for array in begun))
        out = Accumulators(
            aligned_zeros(network.params.rows.shape, "float64"),
            aligned_zeros(network.params.bias_row.shape, "float64"),
            np.zeros_like(network.params.out_rows),
            np.zeros_like(network.params.b_out),
        )
        credits = np.zeros((B_BIG, T_BIG, padded(N_BIG)))
        sweep(
            network.kernel_cell,
            weights,
            record.events,
            record.trajectory,
            signals,
            paths,
            Part(*span, 0, padded(N_BIG)),
            carry,
            out,
            credits,
        )
        results.append((*out, credits, carry.gv, carry.later))
    for mine, theirs in zip(*results, strict=True):
        assert np.abs(theirs).max() > 1e-3
        assert relative_error(mine, theirs) < 1e-11
