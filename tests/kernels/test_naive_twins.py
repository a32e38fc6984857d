"""Forward pass and e-prop against naive twins over a table of cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikelearn.kernels.surrogate import SURROGATES
from spikelearn.learning.rules import EProp
from spikelearn.network import ALIF, LIF, LeakyReadout, Surrogate
from tests.helpers import (
    copy_spec,
    make_input,
    make_network,
    make_signal,
    relative_error,
)
from tests.reference import spiking as naive

N_REC = 6
PER_NEURON = {
    "tau_m": np.array([6.0, 9.0, 12.0, 15.0, 20.0, 30.0]),
    "v_th": np.array([0.8, 1.0, 1.2, 0.9, 1.1, 0.7]),
}
CELL_TABLE = list(
    itertools.product(
        ("LIF", "ALIF"),
        ("subtract", "zero"),
        ("unit", "leak"),
        (0.0, 5.0),  # tau_syn
        (0.0, 3.0),  # t_ref
        (False, True),  # heterogeneous
        SURROGATES,
    )
)
# Readout scaling, graded input, bias: every combination meets every surrogate.
BORDERS = list(itertools.product(("unit", "leak"), (False, True), (0.0, 0.1)))


def _case(number, dtype):
    kind, reset, scaling, tau_syn, t_ref, mixed, surrogate = CELL_TABLE[number]
    readout, graded, bias = BORDERS[(number + number // 4) % len(BORDERS)]
    spec = {"tau_m": 12.0, "tau_syn": tau_syn, "t_ref": t_ref}
    if kind == "ALIF":
        spec |= {"tau_a": 50.0, "beta": 0.25}
    if mixed:
        spec |= PER_NEURON
        if tau_syn:
            spec["tau_syn"] = np.array([0.0, 2.0, 4.0, 6.0, 0.5, 8.0])
        if t_ref:
            spec["t_ref"] = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        if kind == "ALIF":
            spec["tau_a"] = np.array([20.0, 40.0, 80.0, 160.0, 320.0, 10.0])
            spec["beta"] = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.0])
    cell = {"LIF": LIF, "ALIF": ALIF}[kind](
        **spec,
        reset=reset,
        input_scaling=scaling,
        surrogate=Surrogate(surrogate, gamma=0.4, width=1.3),
    )
    network = make_network(
        number,
        n_rec=N_REC,
        cell=cell,
        readout=LeakyReadout(7.0, readout),
        dt=0.5 if mixed else 1.0,
        dtype=dtype,
        drive=1.4 * (8.0 if scaling == "leak" else 1.0) / (2.0 if tau_syn else 1.0),
        bias=bias,
    )
    network.params.w_in[:, :2] = np.abs(network.params.w_in[:, :2])
    return network, make_input(number, n_steps=26, n_samples=2, graded=graded)


@pytest.mark.parametrize("number", range(len(CELL_TABLE)), ids=lambda n: str(n))
def test_spikes_readout_and_gradients_equal_the_twin(number):
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        network, x = _case(number, dtype)
        signal = make_signal(network, x, number)
        record = network.run(x, record=("v", "a", "i"))
        run = naive.forward(network, x)
        assert 0.01 < run.z.mean() < 0.9, "the comparison needs a live network"
        assert np.array_equal(record.spikes, run.z)
        assert relative_error(record.y, run.y) < tolerance
        assert relative_error(record.state("v"), run.v) < tolerance
        assert relative_error(record.state("i"), run.i) < tolerance
        if isinstance(network.cell, ALIF):
            adapting = np.broadcast_to(network.cell.beta, N_REC) > 0
            a = record.state("a")[..., adapting]
            assert relative_error(a, run.a[..., adapting]) < tolerance
        assert np.array_equal(np.isneginf(record.distance), run.refractory)

        got = EProp().gradients(network, record, signal).arrays()
        expected = naive.eprop(
            network, x, run, signal.error, signal.feedback, signal.neuron
        )
        for name, gradient in expected.items():
            assert np.abs(gradient).max() > 1e-3, "a dead gradient proves nothing"
            assert relative_error(got[name], gradient) < tolerance, name


def test_every_border_case_meets_every_surrogate():
    met = {
        (CELL_TABLE[n][-1], (n + n // 4) % len(BORDERS)) for n in range(len(CELL_TABLE))
    }
    assert len(met) == len(SURROGATES) * len(BORDERS)


@pytest.mark.parametrize(
    "change",
    [
        {"readout": LeakyReadout(9.0)},
        {"readout": LeakyReadout(8.0, "unit")},
        {"cell": ALIF(tau_m=10.0, tau_a=60.0, beta=0.21)},
        {"cell": ALIF(tau_m=10.0, tau_a=61.0, beta=0.2)},
        {"cell": ALIF(tau_m=10.5, tau_a=60.0, beta=0.2)},
        {"cell": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=1.0)},
        {"cell": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, reset="zero")},
        {"cell": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, input_scaling="leak")},
        {
            "cell": ALIF(
                tau_m=10.0, tau_a=60.0, beta=0.2, surrogate=Surrogate("exponential")
            )
        },
    ],
)
def test_credit_depends_on_every_constant(change):
    """Negative control: the twin of a slightly different cell must disagree."""
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    record = network.run(x)
    got = EProp().gradients(network, record, signal).arrays()
    run = naive.forward(network, x)
    arguments = (signal.error, signal.feedback, signal.neuron)
    same = naive.eprop(network, x, run, *arguments)
    other = naive.eprop(copy_spec(network, **change), x, run, *arguments)
    assert relative_error(got["w_rec"], same["w_rec"]) < 1e-12
    assert relative_error(got["w_rec"], other["w_rec"]) > 1e-4


def test_reset_and_delay_are_visible_to_the_comparison():
    """Negative control of the forward twin: one weight changes the spikes."""
    network, x = make_network(drive=1.5), make_input()
    spikes = network.run(x).spikes
    network.params.w_rec[1, 0] += 0.5
    assert not np.array_equal(naive.forward(network, x).z, spikes)
    assert np.array_equal(naive.forward(network, x).z, network.run(x).spikes)
