"""What spiking cells have in place of a Hessian: each by its definition, labelled."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.curvature import (
    KINDS,
    curvature_of,
    default_kind,
    extreme_eigenvalues,
    field_shape,
    leading_eigenvalue,
    reason_against_kind,
)
from spikelearn.analysis.hessian import Hessian
from spikelearn.analysis.smoothed import Smoothed, smooth_spike
from spikelearn.analysis.surrogate_field import SurrogateField, arnoldi, asymmetry
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.kernels.surrogate import SURROGATES, pseudo_derivatives
from spikelearn.learning.losses import Classification
from spikelearn.learning.rules import BPTT
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, Surrogate
from tests.analysis.curvature_cases import ALL, LOSSES, make_batch, make_rate
from tests.helpers import copy_spec, delays, make_network, relative_error

CROSS_ENTROPY = Classification()
CELLS = {
    "LIF": LIF(10.0),
    "LIF zero": LIF(10.0, 3.0, reset="zero", surrogate=Surrogate("fast-sigmoid")),
    "ALIF": ALIF(10.0, tau_a=30.0, beta=0.4, surrogate=Surrogate("exponential")),
    "refractory": LIF(10.0, t_ref=4.0, surrogate=Surrogate("arctan")),
    "refractory zero": ALIF(10.0, t_ref=3.0, reset="zero", beta=0.3),
}


AREAS = {"triangular": 1, "fast-sigmoid": 2, "exponential": 2, "arctan": np.pi}


def spiking(cell="LIF", **spec):
    cell = CELLS[cell] if isinstance(cell, str) else cell
    return make_rate(cell, gain=3.0, **spec)


def arrays_of(name, x):
    psi = np.empty_like(x)
    pseudo_derivatives(SURROGATES[name], x, np.ones_like(x), np.ones_like(x), psi)
    return psi


# The smoothed network ---------------------------------------------------------------


@pytest.mark.parametrize("name", SURROGATES)
def test_the_sigmoid_is_the_integral_of_the_surrogate(name):
    x = np.linspace(-6, 6, 4001)
    s, density = smooth_spike(name, x)
    np.testing.assert_allclose(density, arrays_of(name, x) / AREAS[name], atol=1e-12)
    steps = np.diff(s) / np.diff(x)
    middle = (density[1:] + density[:-1]) / 2
    np.testing.assert_allclose(steps, middle, atol=2e-3)
    far = smooth_spike(name, np.array([-1e9, 0.0, 1e9]))[0]
    np.testing.assert_allclose(far, [0.0, 0.5, 1.0], atol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_narrow_sigmoids_are_spikes(cell):
    spec = CELLS[cell]
    narrow = Surrogate("triangular", width=1e-9)
    hard = type(spec)(**{**vars(spec), "surrogate": narrow})
    network, batch = spiking(hard, delay=delays(5, 3)), make_batch("sum", n_steps=25)
    record = network.run(batch.x)
    assert 0.05 < record.spikes.mean() < 0.95
    value = LOSSES["sum"](record.y, batch.target, batch.mask).value
    smooth = Smoothed(network, batch, LOSSES["sum"])
    assert smooth.value == pytest.approx(value, rel=1e-9)
    wide = Smoothed(spiking(spec, delay=delays(5, 3)), batch, LOSSES["sum"])
    assert abs(wide.value - value) > 1e-3 * value


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_and_products_of_the_smoothed_network(cell):
    network, batch = spiking(cell, delay=delays(5, 3)), make_batch("steps")
    options = {"parameters": ALL, "l2": 0.1}
    smooth = Smoothed(network, batch, CROSS_ENTROPY, **options)
    weights = smooth.coordinates.read(network)
    vector = np.random.default_rng(0).standard_normal(smooth.size)

    def at(step):
        other = copy_spec(network)
        smooth.coordinates.write(other, weights + step * vector)
        return Smoothed(other, batch, CROSS_ENTROPY, **options)

    h = 1e-5
    ahead, back = at(h), at(-h)
    l2 = 0.1 * (weights @ vector)
    slope = (ahead.value - back.value) / (2 * h) + l2
    assert smooth.gradient @ vector == pytest.approx(slope, rel=1e-6)
    difference = (ahead.gradient - back.gradient) / (2 * h)
    product = smooth.product(vector)
    assert relative_error(product, difference) < 1e-6
    other = np.random.default_rng(1).standard_normal(smooth.size)
    assert other @ product == pytest.approx(vector @ smooth.product(other), rel=1e-10)


def test_eigenvalues_of_the_smoothed_network():
    network, batch = spiking(), make_batch("steps")
    smooth = Smoothed(network, batch, CROSS_ENTROPY)
    dense = np.stack([smooth.product(row) for row in np.eye(smooth.size)], axis=1)
    values = np.linalg.eigvalsh(dense)
    found = extreme_eigenvalues(network, batch, CROSS_ENTROPY, kind="smoothed")
    assert found[0].value == pytest.approx(values[-1], rel=1e-7)
    assert found[1].value == pytest.approx(values[0], rel=1e-7)
    assert found[0].kind == "smoothed"


# The field of surrogate gradients ---------------------------------------------------


def test_the_field_of_smooth_cells_is_their_hessian():
    network, batch = make_rate("tanh outside"), make_batch("steps")
    field = SurrogateField(network, batch, CROSS_ENTROPY, l2=0.2, step=1e-5)
    hessian = Hessian(network, batch, CROSS_ENTROPY, l2=0.2)
    vector = np.random.default_rng(0).standard_normal(field.size)
    assert relative_error(field.product(vector), hessian.product(vector)) < 1e-6
    rng = np.random.default_rng(0)
    assert asymmetry(field.product, field.size, rng) < 1e-6


def test_the_field_of_spiking_cells_by_hand():
    network, batch = spiking("ALIF"), make_batch("steps")
    field = SurrogateField(network, batch, CROSS_ENTROPY, step=0.05)
    vector = np.random.default_rng(0).standard_normal(field.size)
    weights = network.params.w_rec[network.mask]
    h = 0.05 * np.linalg.norm(weights) / np.linalg.norm(vector)

    def gradient(sign):
        other = copy_spec(network)
        other.params.w_rec[network.mask] += sign * h * vector
        record = other.run(batch.x)
        error = CROSS_ENTROPY(record.y, batch.target, batch.mask).error
        signal = LearningSignal(error, other.params.w_out.T)
        return BPTT().gradients(other, record, signal).w_rec[network.mask]

    expected = (gradient(1) - gradient(-1)) / (2 * h)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(field.product(vector), expected, rtol=1e-9, atol=1e-12)
    assert not field.product(np.zeros(field.size)).any()


def test_the_field_of_spiking_cells_is_not_symmetric():
    shape = field_shape(spiking(), make_batch("steps"), CROSS_ENTROPY)
    assert shape.asymmetry > 0.05
    assert shape.singular > 0


def test_asymmetry_of_known_matrices():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((60, 60))
    many = {"size": 60, "n_vectors": 40}
    assert asymmetry(lambda v: (a + a.T) @ v, rng=rng, **many) < 1e-12
    assert asymmetry(lambda v: (a - a.T) @ v, rng=rng, **many) > 1e6
    odd, even = np.linalg.norm(a - a.T), np.linalg.norm(a + a.T)
    found = asymmetry(lambda v: a @ v, rng=rng, **many)
    assert found == pytest.approx(odd / even, rel=0.15)
    assert asymmetry(lambda v: 0 * v, rng=rng, **many) == 0.0


def test_arnoldi_finds_outer_eigenvalues():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((80, 80)) / 9 + np.diag(np.r_[3.0, -2.0, np.zeros(78)])
    found = arnoldi(lambda v: a @ v, rng.standard_normal(80), 40)
    values = np.linalg.eigvals(a)
    largest = values[np.argmax(np.abs(values))]
    best = np.argmax(np.abs(found.values))
    assert found.values[best] == pytest.approx(largest, rel=1e-8)
    vector = found.vectors[:, best]
    np.testing.assert_allclose(a @ vector, largest * vector, atol=1e-6)
    top = np.linalg.norm(a, 2)
    assert 0.9 * top < found.singular <= top * (1 + 1e-12)
    assert found.products == 40


def test_arnoldi_stops_in_a_closed_space():
    a = np.diag([5.0, 5.0, 1.0, 0.0])
    found = arnoldi(lambda v: a @ v, np.array([1.0, 1.0, 1.0, 0.0]), 4)
    assert found.products == 2
    np.testing.assert_allclose(np.sort(found.values.real), [1.0, 5.0], atol=1e-12)
    whole = arnoldi(lambda v: a @ v, np.ones(4), 9)
    assert whole.products == 3


def test_leading_eigenvalues_of_the_field():
    network, batch = spiking(n_rec=8), make_batch("steps", n_samples=16)
    found = leading_eigenvalue(network, batch, CROSS_ENTROPY, method="lanczos")
    assert found.kind == "surrogate-field"
    assert found.iterations == 41, "one to see whether it is 0, and 40"
    again = leading_eigenvalue(network, batch, CROSS_ENTROPY, method="lanczos")
    assert again.value == found.value
    largest, smallest = extreme_eigenvalues(network, batch, CROSS_ENTROPY)
    assert largest.value >= smallest.value
    assert largest.value > 0
    power = leading_eigenvalue(network, batch, CROSS_ENTROPY, max_iterations=7)
    assert power.iterations == 7


# Kinds ------------------------------------------------------------------------------


def test_the_kinds_of_a_network():
    rate, lif = make_rate(), spiking()
    assert default_kind(rate) == "hessian"
    assert default_kind(lif) == "surrogate-field"
    matrices = ("hessian", "surrogate-field", "smoothed")
    assert [reason_against_kind(rate, k) is None for k in matrices] == [
        True,
        False,
        False,
    ]
    assert [reason_against_kind(lif, k) is None for k in matrices] == [
        False,
        True,
        True,
    ]
    for kind in set(KINDS) - set(matrices):
        assert reason_against_kind(rate, kind) is None
        assert reason_against_kind(lif, kind) is None
    for kind in ("surrogate-field", "smoothed"):
        assert curvature_of(lif, make_batch(), CROSS_ENTROPY, kind=kind).kind == kind


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        ("LIF", "hessian", "kind 'hessian' must be defined .*no second derivative"),
        (None, "smoothed", "must be defined for the network; got rate units"),
        (None, "surrogate-field", "got rate units: they have a Hessian"),
    ],
)
def test_kinds_that_are_not_defined(cell, kind, message):
    network = spiking(cell) if cell else make_rate()
    with pytest.raises(InvalidValue, match=message):
        leading_eigenvalue(network, make_batch(), CROSS_ENTROPY, kind=kind)


def test_kinds_that_are_no_matrix():
    with pytest.raises(UnknownName, match="unknown kind of a matrix 'weight-noise'"):
        leading_eigenvalue(
            make_rate(), make_batch(), CROSS_ENTROPY, kind="weight-noise"
        )


@pytest.mark.parametrize("matrix", [Hessian, Smoothed, SurrogateField])
def test_refused(matrix):
    network = make_network(n_in=3, n_out=3) if matrix is not Hessian else make_rate()
    with pytest.raises(InvalidValue, match="l2 must be >= 0"):
        matrix(network, make_batch(), CROSS_ENTROPY, l2=-1.0)


def test_refused_for_the_other_cells():
    with pytest.raises(
        InvalidValue, match=r"Hessian\.network must have rate units; got"
    ):
        Hessian(spiking(), make_batch(), CROSS_ENTROPY)
    with pytest.raises(
        InvalidValue, match=r"Smoothed\.network must have spiking cells"
    ):
        Smoothed(make_rate(), make_batch(), CROSS_ENTROPY)
    with pytest.raises(InvalidValue, match="step must be > 0"):
        SurrogateField(spiking(), make_batch(), CROSS_ENTROPY, step=0.0)


def test_too_much_memory(monkeypatch):
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "10kB")
    with pytest.raises(InvalidValue, match=r"Smoothed must fit .* samples at a time"):
        Smoothed(spiking(), make_batch(), CROSS_ENTROPY)
    with pytest.raises(InvalidValue, match=r"Arnoldi's method must fit"):
        arnoldi(lambda v: v, np.ones(1000), 20)
