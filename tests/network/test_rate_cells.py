"""Rate units: closed forms, borders, what a record of them offers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.kernels.rate import ACTIVATIONS
from spikelearn.network import LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.network.slopes import output_slopes
from tests.helpers import examples, make_input, make_network
from tests.reference import rate as naive

INF, NAN = math.inf, math.nan
BAD_TIMES = (-1e-9, -3.0, INF, NAN, np.array([0.0, -1.0]), np.array([1.0, NAN]))


@pytest.mark.parametrize("bad", BAD_TIMES)
@pytest.mark.parametrize("name", ["tau_m", "tau_syn"])
def test_a_time_out_of_range_names_itself(name, bad):
    with pytest.raises(InvalidValue, match=rf"^LeakyRate\.{name} must be .*got .*ms"):
        LeakyRate(**{name: bad})


@pytest.mark.parametrize("bad", ["middle", "", None])
@pytest.mark.parametrize("name", ["placement", "input_scaling"])
def test_a_word_out_of_the_list_names_itself(name, bad):
    with pytest.raises(InvalidValue, match=rf"^LeakyRate\.{name} must be one of "):
        LeakyRate(**{name: bad})


def test_an_unknown_activation_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"'softpluss'.*Did you mean 'softplus'\?"):
        LeakyRate(activation="softpluss")


def test_an_array_of_the_wrong_length_is_an_error():
    with pytest.raises(InvalidValue, match=r"^LeakyRate\.tau_m must be .*shape \(2,\)"):
        RecurrentNetwork(1, 3, 1, cell=LeakyRate(tau_m=np.ones(2)))


def single(cell, *, weight=1.0, bias=0.0, own=0.0, dt=1.0, delay=1):
    network = RecurrentNetwork(
        1,
        1,
        1,
        cell=cell,
        dt=dt,
        delay=delay,
        mask=np.ones((1, 1), bool),
        readout=LeakyReadout(0.0),
        dtype="float64",
    )
    network.params.w_in[...] = weight
    network.params.w_rec[...] = own
    network.params.bias[...] = bias
    network.params.w_out[...] = 1.0
    return network


def pulse(n_steps, height=1.0):
    x = np.zeros((n_steps, 1, 1))
    x[0] = height
    return x


@pytest.mark.parametrize("placement", ["inside", "outside"])
@pytest.mark.parametrize("scaling", ["unit", "leak"])
@examples
@given(tau_m=st.floats(0.5, 100.0), dt=st.sampled_from([0.1, 1.0, 2.0]))
def test_after_a_pulse_a_unit_leaks(placement, scaling, tau_m, dt):
    cell = LeakyRate(tau_m=tau_m, placement=placement, input_scaling=scaling)
    r = single(cell, weight=0.5, dt=dt).run(pulse(30)).output[:, 0, 0]
    zeta = 1.0 if scaling == "unit" else -math.expm1(-dt / tau_m)
    expected = 0.5 * zeta * np.exp(-dt * np.arange(30) / tau_m)
    np.testing.assert_allclose(r, expected, rtol=1e-11)


def test_synaptic_current_gives_a_difference_of_exponentials():
    cell = LeakyRate(tau_m=20.0, tau_syn=5.0, input_scaling="unit")
    record = single(cell, weight=0.1).run(pulse(60), record=("v", "i"))
    t = np.arange(60)
    alpha_m, alpha_s = math.exp(-1 / 20), math.exp(-1 / 5)
    voltage = 0.1 * (alpha_m ** (t + 1) - alpha_s ** (t + 1)) / (alpha_m - alpha_s)
    np.testing.assert_allclose(record.state("i")[:, 0, 0], 0.1 * alpha_s**t, rtol=1e-12)
    np.testing.assert_allclose(record.state("v")[:, 0, 0], voltage, rtol=1e-12)


@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("tau_m", [0.0, 7.0])
@pytest.mark.parametrize("placement", ["inside", "outside"])
def test_fixed_point_of_an_active_relu(placement, tau_m, delay):
    """With unit gain of the leak r = w x + own r + bias, where the bias is scaled."""
    cell = LeakyRate(tau_m=tau_m, placement=placement)
    network = single(cell, weight=0.7, own=0.4, bias=0.05, delay=delay)
    r = network.run(np.ones((600, 1, 1))).output[:, 0, 0]
    alpha = math.exp(-1 / tau_m) if tau_m else 0.0
    bias = 0.05 / (1 - alpha) if placement == "inside" else 0.05
    assert r[-1] == pytest.approx((0.7 + bias) / (1 - 0.4), rel=1e-9)
    assert abs(r[5] / r[-1] - 1) > 1e-4, "it takes its time"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_a_leak_both_placements_are_the_function_itself(activation):
    x = np.linspace(-3, 3, 40)[:, None, None]
    function = {
        "relu": lambda u: np.maximum(u, 0),
        "tanh": np.tanh,
        "softplus": lambda u: np.log(1 + np.exp(u)),
    }[activation]
    for placement in ("inside", "outside"):
        for scaling in ("leak", "unit"):
            cell = LeakyRate(0.0, 0.0, activation, placement, scaling)
            r = single(cell, weight=0.8, bias=0.1).run(x).output
            np.testing.assert_allclose(r, function(0.8 * x + 0.1), rtol=1e-13)


def test_with_a_leak_the_placements_differ():
    x = make_input(graded=True)
    outputs = []
    for placement in ("inside", "outside"):
        cell = LeakyRate(tau_m=5.0, activation="tanh", placement=placement)
        outputs.append(make_network(cell=cell, drive=2.0).run(x).output)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("height", [-800.0, -30.0, 30.0, 800.0])
def test_large_arguments_do_not_overflow(activation, height):
    for dtype in ("float32", "float64"):
        network = make_network(cell=LeakyRate(0.0, activation=activation), dtype=dtype)
        network.params.w_in[...] = 0.0
        network.params.w_rec[...] = 0.0
        network.params.bias[...] = height
        record = network.run(make_input(n_steps=3))
        top = {"relu": max(height, 0), "tanh": np.sign(height)}
        expected = top.get(activation, max(height, 0))
        np.testing.assert_allclose(record.output, expected, atol=1e-12)
        slope = output_slopes(network, record)
        flat = activation == "tanh" or height < 0
        np.testing.assert_allclose(slope, 0.0 if flat else 1.0, atol=1e-12)


@pytest.mark.parametrize("placement", ["inside", "outside"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_those_of_the_twin(activation, placement):
    cell = LeakyRate(5.0, activation=activation, placement=placement)
    network, x = make_network(cell=cell, drive=1.5), make_input(n_steps=9)
    record = network.run(x)
    expected = [naive.slope(activation, u) for u in record.distance.ravel()]
    slope = output_slopes(network, record)
    assert np.ptp(slope) > 0.1
    np.testing.assert_allclose(slope.ravel(), expected, rtol=1e-12)


def test_slopes_of_spiking_cells_are_pseudo_derivatives():
    network, x = make_network(cell=LIF(tau_m=10.0, t_ref=4.0), drive=1.5), make_input()
    record = network.run(x)
    slope = output_slopes(network, record)
    refractory = np.isneginf(record.distance)
    assert refractory.any()
    assert not slope[refractory].any()
    expected = 0.3 * np.maximum(1 - np.abs(record.distance[~refractory]), 0)
    np.testing.assert_allclose(slope[~refractory], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["spikes", "spike_counts", "spike_events"])
def test_rates_have_no_spikes(name):
    record = make_network(cell=LeakyRate()).run(make_input())
    assert not record.spiking
    with pytest.raises(
        InvalidValue, match=rf"^Record\.{name} needs spiking cells; got rat"
    ):
        value = getattr(record, name)
        value(0)


def test_the_output_of_spiking_cells_is_their_spikes():
    record = make_network(drive=1.5).run(make_input())
    assert record.spiking
    assert record.spikes.any()
    assert np.array_equal(record.output, record.spikes)
    assert record.output.dtype == np.float64
