"""e-prop: exact readout gradient, liveness, silence, linearity, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.rules import RULES, EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, CELLS, LIF, LeakyReadout
from tests.helpers import (
    copy_spec,
    eprop_gradients,
    make_input,
    make_network,
    make_signal,
    relative_error,
    silent_network,
)


def _loss_case(kind, n_steps=40, n_samples=3, n_out=2):
    rng = np.random.default_rng(8)
    mask = (rng.random(n_steps) < 0.6).astype(float)
    if kind == "regression":
        return Regression(), rng.standard_normal((n_steps, n_samples, n_out)), mask
    return Classification(), rng.integers(0, n_out, n_samples), mask


def _finite_difference(evaluate, array, step=1e-5):
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        high = evaluate()
        array[index] = kept - step
        gradient[index] = (high - evaluate()) / (2 * step)
        array[index] = kept
    return gradient


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize(
    "readout", [LeakyReadout(8.0), LeakyReadout(15.0, "unit"), LeakyReadout(0.0)]
)
def test_readout_gradient_equals_finite_differences(kind, readout):
    network = make_network(drive=1.5, bias=0.1, readout=readout)
    x = make_input()
    loss, target, mask = _loss_case(kind)
    record = network.run(x)
    error = loss(record.y, target, mask).error
    feedback = np.zeros((6, 2))
    got = EProp().gradients(network, record, LearningSignal(error, feedback))

    def evaluate():
        return loss(network.run(x).y, target, mask).value

    for name in ("w_out", "b_out"):
        expected = _finite_difference(evaluate, getattr(network.params, name))
        assert np.abs(expected).max() > 1e-3
        assert relative_error(getattr(got, name), expected) < 1e-7, name
    assert not got.w_in.any(), "without feedback no credit reaches the neurons"
    assert not got.w_rec.any()


def test_every_gradient_of_a_live_network_is_alive():
    network, x = make_network(drive=1.5), make_input()
    assert 0.02 < network.run(x).spikes.mean() < 0.6
    for name, gradient in eprop_gradients(network, x, make_signal(network, x)).items():
        assert np.isfinite(gradient).all()
        assert np.linalg.norm(gradient) > 0.1, name
        assert gradient.shape == network.params.arrays()[name].shape
        assert gradient.dtype == network.dtype


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_without_spikes_there_is_no_recurrent_and_no_readout_credit(factor):
    network, x = silent_network(), make_input()
    assert not network.run(x).spikes.any()
    gradients = eprop_gradients(network, factor * x, make_signal(network, x))
    assert not gradients["w_rec"].any()
    assert not gradients["w_out"].any()
    assert bool(gradients["w_in"].any()) == bool(factor)


def test_far_below_threshold_only_the_readout_bias_learns():
    """The triangle is 0 beyond its width: silent neurons get no credit at all."""
    network, x = silent_network(), make_input()
    network.params.bias[...] = -1.0
    assert network.run(x[1:]).distance.max() < -1.0
    gradients = eprop_gradients(network, x[1:], make_signal(network, x[1:]))
    for name, gradient in gradients.items():
        assert bool(gradient.any()) == (name == "b_out"), name


def test_no_error_no_gradient():
    network, x = make_network(drive=1.5), make_input()
    signal = LearningSignal(np.zeros((40, 3, 2)), np.ones((6, 2)))
    for gradient in eprop_gradients(network, x, signal).values():
        assert not gradient.any()


def test_gradients_are_linear_in_the_signal():
    network, x = make_network(drive=1.5), make_input()
    first, second = make_signal(network, x, 1), make_signal(network, x, 2)
    second = dataclasses.replace(second, feedback=first.feedback)
    both = LearningSignal(
        2 * first.error - second.error,
        first.feedback,
        2 * first.neuron - second.neuron,
    )
    a, b, c = (eprop_gradients(network, x, s) for s in (first, second, both))
    for name in a:
        assert relative_error(c[name], 2 * a[name] - b[name]) < 1e-11, name


def test_without_a_neuron_signal_it_is_zero():
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    none = dataclasses.replace(signal, neuron=None)
    zero = dataclasses.replace(signal, neuron=np.zeros((3, 6)))
    plain = eprop_gradients(network, x, none)
    for name, gradient in eprop_gradients(network, x, zero).items():
        assert np.array_equal(gradient, plain[name])
    full = eprop_gradients(network, x, signal)
    assert relative_error(plain["w_in"], full["w_in"]) > 1e-2


def test_the_error_acts_on_the_past_only():
    """An error at step t credits no input after t, and does credit earlier ones."""
    network, x = make_network(drive=1.5), make_input()
    record = network.run(x)
    signal = make_signal(network, x)
    error = np.zeros_like(signal.error)
    error[20] = signal.error[20]
    late = LearningSignal(error, signal.feedback)
    whole = EProp().gradients(network, record, late)
    cut = EProp().gradients(
        network, network.run(x[:21]), LearningSignal(error[:21], signal.feedback)
    )
    earlier = EProp().gradients(
        network, network.run(x[10:21]), LearningSignal(error[10:21], signal.feedback)
    )
    for name in ("w_in", "w_rec", "w_out", "bias"):
        expected = cut.arrays()[name]
        np.testing.assert_allclose(whole.arrays()[name], expected, rtol=1e-12)
        assert relative_error(earlier.arrays()[name], expected) > 1e-3


@pytest.mark.parametrize("part", ["kappa", "beta", "tau_m", "feedback", "error"])
def test_credit_for_one_record_depends_on(part):
    """Negative control: same trajectory, one ingredient changed by a little."""
    network, x = make_network(drive=1.5), make_input()
    record, signal = network.run(x), make_signal(network, x)
    other, other_signal = network, signal
    if part == "kappa":
        other = copy_spec(network, readout=LeakyReadout(8.1))
    elif part == "beta":
        other = copy_spec(network, cell=ALIF(tau_m=10.0, tau_a=60.0, beta=0.205))
    elif part == "tau_m":
        other = copy_spec(network, cell=ALIF(tau_m=10.1, tau_a=60.0, beta=0.2))
    else:
        changed = getattr(signal, part).copy()
        changed.flat[0] += 0.1
        other_signal = dataclasses.replace(signal, **{part: changed})
    before = EProp().gradients(network, record, signal)
    after = EProp().gradients(other, record, other_signal)
    assert relative_error(after.w_in, before.w_in) > 1e-5


@pytest.mark.parametrize("name", ["w_in", "w_rec", "bias"])
def test_one_weight_changes_the_gradient(name):
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    before = eprop_gradients(network, x, signal)
    getattr(network.params, name).flat[1] += 0.05
    after = eprop_gradients(network, x, signal)
    assert relative_error(after["w_in"], before["w_in"]) > 1e-6


def test_credit_does_not_depend_on_the_readout_weights():
    """They act through feedback and error only, which are given."""
    network, x = make_network(drive=1.5), make_input()
    signal = make_signal(network, x)
    before = eprop_gradients(network, x, signal)
    network.params.w_out[...] *= -3.0
    after = eprop_gradients(network, x, signal)
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        ("error", (3, 40, 2)),
        ("error", (40, 3, 1)),
        ("feedback", (2, 6)),
        ("neuron", (6, 3)),
        ("neuron", (6,)),
    ],
)
def test_signals_of_the_wrong_shape(part, shape):
    network, x = make_network(), make_input()
    signal = dataclasses.replace(make_signal(network, x), **{part: np.zeros(shape)})
    with pytest.raises(InvalidValue, match=rf"^LearningSignal\.{part} must have shape"):
        eprop_gradients(network, x, signal)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_recurrent_credit_lowers_the_loss(sign):
    """Input and recurrent weights learn alone; the opposite feedback unlearns."""
    network = make_network(cell=LIF(tau_m=10.0), drive=1.5, n_rec=20)
    x = make_input()
    target = np.sin(np.arange(40) / 6)[:, None, None] * np.ones((1, 3, 2))
    losses = []
    for _ in range(60):
        record = network.run(x)
        result = Regression("mean")(record.y, target, np.ones(40))
        losses.append(result.value)
        signal = LearningSignal(result.error, sign * network.params.w_out.T)
        gradients = EProp().gradients(network, record, signal)
        network.params.w_in[...] -= 0.1 * gradients.w_in
        network.params.w_rec[...] -= 0.1 * gradients.w_rec
    ratio = losses[-1] / losses[0]
    assert ratio < 0.7 if sign > 0 else ratio > 1.2


def test_rules_describe_themselves():
    for name, rule in RULES.items():
        assert rule.info.name == name
        assert rule.info.reference
        assert set(rule.info.cells) <= set(CELLS)
    assert RULES["e-prop"] is EProp
    assert not EProp.info.exact
