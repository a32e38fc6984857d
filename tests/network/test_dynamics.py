"""Closed forms that a run must obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork
from tests.helpers import examples


def _single(cell, *, weight=0.0, bias=0.0, dt=1.0, readout=None):
    network = RecurrentNetwork(
        1, 1, 1, cell=cell, readout=readout or LeakyReadout(), dt=dt, dtype="float64"
    )
    network.params.w_in[...] = weight
    network.params.bias[...] = bias
    network.params.w_out[...] = 1.0
    return network


def _pulse(n_steps, at=0, height=1.0):
    x = np.zeros((n_steps, 1, 1))
    x[at] = height
    return x


def _spike_steps(network, x):
    return np.flatnonzero(network.run(x).spikes[:, 0, 0])


@pytest.mark.parametrize("scaling", ["unit", "leak"])
@examples
@given(tau_m=st.floats(0.5, 100.0), dt=st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_subthreshold_voltage_decays_exponentially(scaling, tau_m, dt):
    network = _single(LIF(tau_m=tau_m, input_scaling=scaling), weight=0.5, dt=dt)
    v = network.run(_pulse(30), record=("v",)).state("v")[:, 0, 0]
    zeta = 1.0 if scaling == "unit" else -math.expm1(-dt / tau_m)
    expected = 0.5 * zeta * np.exp(-dt * np.arange(30) / tau_m)
    np.testing.assert_allclose(v, expected, rtol=1e-11)


def test_synaptic_current_gives_a_difference_of_exponentials():
    network = _single(LIF(tau_m=20.0, tau_syn=5.0), weight=0.1)
    record = network.run(_pulse(60), record=("v", "i"))
    t = np.arange(60)
    alpha_m, alpha_s = math.exp(-1 / 20), math.exp(-1 / 5)
    current = 0.1 * alpha_s**t
    voltage = 0.1 * (alpha_m ** (t + 1) - alpha_s ** (t + 1)) / (alpha_m - alpha_s)
    np.testing.assert_allclose(record.state("i")[:, 0, 0], current, rtol=1e-12)
    np.testing.assert_allclose(record.state("v")[:, 0, 0], voltage, rtol=1e-12)


@pytest.mark.parametrize("source", ["input", "bias"])
@pytest.mark.parametrize("t_ref", [0.0, 1.0, 6.0, 25.0])
@pytest.mark.parametrize("current", [0.055, 0.07, 0.1, 0.3, 1.01])
def test_rate_curve_of_reset_to_zero(current, t_ref, source):
    """From 0, v[k] = I (1 - alpha^k) / (1 - alpha): solve v > v_th for k.

    The voltage integrates on while refractory, so the interval is the longer of the
    two.
    """
    cell = LIF(tau_m=20.0, reset="zero", t_ref=t_ref)
    weight, bias = (current, 0.0) if source == "input" else (0.0, current)
    network = _single(cell, weight=weight, bias=bias)
    steps = _spike_steps(network, np.ones((400, 1, 1)))
    alpha = math.exp(-1 / 20)
    free = math.floor(math.log(1 - (1 - alpha) / current) / math.log(alpha)) + 1
    assert steps[0] == free - 1
    assert steps.size > 3
    assert set(np.diff(steps)) == {max(free, round(t_ref))}


def test_no_spike_below_rheobase():
    alpha = math.exp(-1 / 20)
    x = np.ones((3000, 1, 1))
    for reset in ("zero", "subtract"):
        cell = LIF(tau_m=20.0, reset=reset)
        assert not _spike_steps(_single(cell, weight=0.999 * (1 - alpha)), x).size
        assert _spike_steps(_single(cell, weight=1.001 * (1 - alpha)), x).size > 3


@examples
@given(current=st.floats(0.06, 0.9), tau_m=st.floats(15.0, 60.0))
def test_charge_balance_of_subtractive_reset(current, tau_m):
    """Sum the voltage equation over time: what comes in leaks out or is reset."""
    network = _single(LIF(tau_m=tau_m, v_th=0.8), weight=current)
    record = network.run(np.ones((200, 1, 1)), record=("v",))
    v, z = record.state("v")[:, 0, 0], record.spikes[:, 0, 0]
    leaked = -math.expm1(-1 / tau_m) * v[:-1].sum()
    reset = 0.8 * z[:-1].sum()
    assert 200 * current == pytest.approx(v[-1] + leaked + reset, rel=1e-11)


@pytest.mark.parametrize("dt", [1.0, 0.5])
@pytest.mark.parametrize("t_ref", [0.0, 1.0, 2.0, 5.0])
def test_refractory_time_leaves_one_silent_step_less(t_ref, dt):
    network = _single(LIF(v_th=0.1, t_ref=t_ref), weight=100.0, dt=dt)
    record = network.run(np.ones((100, 1, 1)))
    steps = np.flatnonzero(record.spikes[:, 0, 0])
    n_ref = round(t_ref / dt)
    assert steps[0] == 0
    assert set(np.diff(steps)) == {max(n_ref, 1)}
    silent = np.isneginf(record.distance[:, 0, 0])
    assert silent[: max(n_ref, 1)].sum() == max(n_ref - 1, 0)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_adaptation_sums_past_spikes(reset):
    cell = ALIF(tau_m=20.0, tau_a=70.0, beta=0.3, reset=reset)
    network = _single(cell, weight=0.2)
    record = network.run(np.ones((300, 1, 1)), record=("v", "a"))
    steps = np.flatnonzero(record.spikes[:, 0, 0])
    assert steps.size > 5
    age = np.arange(300)[:, None] - 1 - steps
    kernel = np.where(age >= 0, np.exp(-np.maximum(age, 0) / 70.0), 0.0)
    a = record.state("a")[:, 0, 0]
    np.testing.assert_allclose(a, kernel.sum(axis=1), rtol=1e-12)
    v = record.state("v")[:, 0, 0]
    distance = record.distance[:, 0, 0]
    np.testing.assert_allclose(distance, v - (1.0 + 0.3 * a), atol=1e-13)
    assert np.diff(steps)[-1] > np.diff(steps)[0], "adaptation slows the neuron"


def test_zero_beta_is_a_lif_neuron():
    x = np.ones((200, 1, 1))
    plain = _spike_steps(_single(LIF(), weight=0.2), x)
    flat = _spike_steps(_single(ALIF(beta=0.0), weight=0.2), x)
    adaptive = _spike_steps(_single(ALIF(beta=0.05), weight=0.2), x)
    assert np.array_equal(plain, flat)
    assert adaptive.size < plain.size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threshold_is_strict(dtype):
    network = RecurrentNetwork(1, 2, 1, cell=LIF(), dtype=dtype)
    above = np.nextafter(np.dtype(dtype).type(1), np.dtype(dtype).type(2))
    network.params.w_in[:, 0] = [1.0, above]
    assert network.run(_pulse(1)).spikes[0, 0].tolist() == [0, 1]


def test_input_acts_at_once_and_a_spike_one_step_later():
    network = RecurrentNetwork(1, 2, 1, cell=LIF(tau_m=10.0), dtype="float64")
    network.params.w_in[0] = 1.5
    network.params.w_rec[1, 0] = 0.25
    record = network.run(_pulse(6, at=2), record=("i",))
    assert record.spikes[:, 0, 0].tolist() == [0, 0, 1, 0, 0, 0]
    assert record.state("i")[:, 0, 1].tolist() == [0, 0, 0, 0.25, 0, 0]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_the_reset_acts_when_it_should(reset):
    network = _single(LIF(tau_m=10.0, v_th=0.5, reset=reset), weight=0.8)
    v = network.run(_pulse(3), record=("v",)).state("v")[:, 0, 0]
    alpha = math.exp(-1 / 10)
    second = alpha * 0.8 - 0.5 if reset == "subtract" else 0.0
    np.testing.assert_allclose(v, [0.8, second, alpha * second], atol=1e-15)


@pytest.mark.parametrize("scaling", ["unit", "leak"])
@pytest.mark.parametrize("tau_out", [0.0, 12.0])
def test_readout_filters_the_spikes(scaling, tau_out):
    network = RecurrentNetwork(
        3, 5, 2, cell=LIF(), readout=LeakyReadout(tau_out, scaling), dtype="float64"
    )
    network.initialise(0, gain_in=2.0)
    network.params.b_out[...] = [0.3, -0.1]
    x = (np.random.default_rng(1).random((50, 2, 3)) < 0.4).astype(np.uint8)
    record = network.run(x)
    assert record.spikes.mean() > 0.01
    kappa = math.exp(-1 / tau_out) if tau_out else 0.0
    gain = 1 - kappa if scaling == "leak" else 1.0
    drive = gain * record.spikes @ network.params.w_out.T + network.params.b_out
    age = np.subtract.outer(np.arange(50), np.arange(50))
    kernel = np.where(age >= 0, kappa ** np.maximum(age, 0.0), 0.0)
    expected = np.einsum("ts,sbk->tbk", kernel, drive)
    np.testing.assert_allclose(record.y, expected, rtol=1e-11, atol=1e-13)
