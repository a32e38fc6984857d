"""Curvature: closed forms, finite differences, dense matrices, noise, components."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.coordinates import Coordinates
from spikelearn.analysis.curvature import (
    KINDS,
    curvature_of,
    extreme_eigenvalues,
    leading_eigenvalue,
)
from spikelearn.analysis.hessian import Hessian
from spikelearn.analysis.rule_component import rule_component
from spikelearn.analysis.sharpness import loss_at, sharpness, sharpness_by_bits
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.reward import ActorCritic
from spikelearn.learning.rules import BPTT, RFLO, RSTDP, RULES, EProp
from spikelearn.learning.signals import Feedback, LearningSignal
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.tasks import Batch
from tests.analysis.curvature_cases import (
    ALL,
    CELLS,
    LOSSES,
    make_batch,
    make_rate,
)
from tests.helpers import copy_spec, relative_error

CROSS_ENTROPY = Classification()

# Hessian ----------------------------------------------------------------------------


def linear_step(n_samples=6):
    """Return a network and batch in which y is linear in w_rec, and r[0].

    Two steps: r[0] = x[0] through the identity, r[1] = w_rec r[0] + b > 0, y = w_out
    r[1], and only the last step counts.
    """
    rng = np.random.default_rng(0)
    cell = LeakyRate(0.0, input_scaling="unit")
    network = RecurrentNetwork(
        4,
        4,
        3,
        cell=cell,
        readout=LeakyReadout(0.0),
        mask=np.ones((4, 4), bool),
        dtype="float64",
    )
    network.params.w_in[...] = np.eye(4)
    network.params.w_rec[...] = 0.1 * rng.standard_normal((4, 4))
    network.params.w_out[...] = rng.standard_normal((3, 4))
    network.params.bias[...] = 5.0
    x = np.zeros((2, n_samples, 4), np.float32)
    x[0] = rng.standard_normal((n_samples, 4))
    target = rng.standard_normal((2, n_samples, 3))
    batch = Batch(x, target, np.array([0, 1], np.float32))
    return network, batch, x[0].astype(float) + 5.0


def test_the_hessian_of_a_linear_network_is_known():
    """H = (w_out^T w_out) (x) mean r r^T, whatever the target."""
    network, batch, r = linear_step()
    left = network.params.w_out.T @ network.params.w_out
    expected = np.kron(left, r.T @ r / len(r))
    hessian = Hessian(network, batch, Regression())
    np.testing.assert_allclose(hessian.dense(), expected, atol=1e-10)
    largest = np.linalg.eigvalsh(left)[-1] * np.linalg.eigvalsh(r.T @ r / len(r))[-1]
    for method in ("power", "lanczos"):
        found = leading_eigenvalue(network, batch, Regression(), method=method)
        assert found.value == pytest.approx(largest, abs=1e-5)
    with_l2 = leading_eigenvalue(network, batch, Regression(), l2=0.25)
    assert with_l2.value == pytest.approx(largest + 0.25, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell", CELLS)
def test_products_are_differences_of_the_gradients_of_bptt(cell, loss):
    network, batch, e = make_rate(cell), make_batch(loss), LOSSES[loss]
    hessian = Hessian(network, batch, e, parameters=ALL)
    coordinates = hessian.coordinates
    weights, other = coordinates.read(network), copy_spec(network)
    vector = np.random.default_rng(0).standard_normal(hessian.size)

    def gradient(at):
        coordinates.write(other, at)
        record = other.run(batch.x)
        error = e(record.y, batch.target, batch.mask).error
        signal = LearningSignal(error, other.params.w_out.T)
        return coordinates.join(BPTT().gradients(other, record, signal).arrays())

    assert relative_error(hessian.gradient, gradient(weights)) < 1e-12
    h = 1e-5
    ahead, back = gradient(weights + h * vector), gradient(weights - h * vector)
    assert relative_error(hessian.product(vector), (ahead - back) / (2 * h)) < 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_the_hessian_is_symmetric(cell):
    hessian = Hessian(make_rate(cell), make_batch(), CROSS_ENTROPY, parameters=ALL)
    u, v = np.random.default_rng(1).standard_normal((2, hessian.size))
    one, other = u @ hessian.product(v), v @ hessian.product(u)
    assert abs(one) > 1e-3
    assert one == pytest.approx(other, rel=1e-10)


def test_absent_connections_have_no_row():
    mask = np.random.default_rng(0).random((5, 5)) < 0.5
    network = make_rate(mask=mask)
    hessian = Hessian(network, make_batch(), CROSS_ENTROPY, l2=1.0)
    assert hessian.size == mask.sum()
    vector = np.arange(hessian.size, dtype=float)
    arrays = hessian.coordinates.split(vector)
    assert not arrays["w_rec"][~mask].any()
    np.testing.assert_array_equal(hessian.coordinates.join(arrays), vector)


# Eigenvalues ------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["relu", "tanh", "softplus outside"])
def test_eigenvalues_are_those_of_the_dense_matrix(cell):
    network, batch = make_rate(cell), make_batch()
    dense = Hessian(network, batch, CROSS_ENTROPY, l2=0.01).dense()
    values = np.linalg.eigvalsh(dense)
    largest, smallest = extreme_eigenvalues(network, batch, CROSS_ENTROPY, l2=0.01)
    assert largest.value == pytest.approx(values[-1], abs=1e-8)
    assert smallest.value == pytest.approx(values[0], abs=1e-8)
    assert smallest.value < 0 < largest.value
    expected = values[np.argmax(np.abs(values))]
    for method, close in (("power", 1e-4), ("lanczos", 1e-8)):
        options = {"l2": 0.01, "method": method}
        found = leading_eigenvalue(network, batch, CROSS_ENTROPY, **options)
        assert found.value == pytest.approx(expected, abs=close)
        assert (found.kind, 1 < found.iterations <= 500) == ("hessian", True)
        v = Coordinates(network, ("w_rec",)).join(found.vector)
        assert np.linalg.norm(v) == pytest.approx(1.0)
        residual = np.linalg.norm(dense @ v - found.value * v)
        assert found.residual == pytest.approx(residual, abs=1e-10)
        assert found.residual < 0.05


def test_a_negative_eigenvalue_leads_with_its_sign():
    """Far from a minimum, where errors are large, the loss bends down."""
    network, batch = make_rate("tanh"), make_batch("sum")
    target = np.full(batch.target.shape, -50.0)
    batch = Batch(batch.x, target, batch.mask)
    values = np.linalg.eigvalsh(Hessian(network, batch, Regression()).dense())
    assert abs(values[0]) > 1.2 * abs(values[-1])
    for method in ("power", "lanczos"):
        found = leading_eigenvalue(network, batch, Regression(), method=method)
        assert found.value == pytest.approx(values[0], rel=1e-4)
    largest, _ = extreme_eigenvalues(network, batch, Regression())
    assert largest.value == pytest.approx(values[-1], rel=1e-6)


def test_eigenvalues_repeat_and_stop():
    network, batch = make_rate(), make_batch()
    again = [leading_eigenvalue(network, batch, CROSS_ENTROPY) for _ in range(2)]
    assert again[0].value == again[1].value
    short = leading_eigenvalue(network, batch, CROSS_ENTROPY, max_iterations=2)
    assert short.iterations == 2
    assert short.residual > again[0].residual
    single = make_rate(dtype="float32")
    value = leading_eigenvalue(single, batch, CROSS_ENTROPY).value
    assert value == pytest.approx(again[0].value, rel=1e-3)


@pytest.mark.parametrize("method", ["power", "lanczos"])
def test_a_silent_network_is_flat(method):
    network = make_rate("relu")
    network.params.bias[...] = -100.0
    found = leading_eigenvalue(network, make_batch(), CROSS_ENTROPY, method=method)
    assert (found.value, found.residual) == (0.0, 0.0)


def test_a_matrix_too_small_for_lanczos():
    mask = np.zeros((5, 5), bool)
    mask[0, 1] = mask[1, 0] = True
    network = make_rate(mask=mask)
    values = np.linalg.eigvalsh(Hessian(network, make_batch(), CROSS_ENTROPY).dense())
    largest, smallest = extreme_eigenvalues(network, make_batch(), CROSS_ENTROPY)
    assert [smallest.value, largest.value] == pytest.approx(list(values))


# Sharpness --------------------------------------------------------------------------


def test_small_noise_measures_the_trace_of_the_hessian():
    """S = s^2 / 2 tr H, exact for a quadratic loss with noise in w_rec alone."""
    network, batch, _ = linear_step()
    trace = np.trace(Hessian(network, batch, Regression()).dense())
    w = network.params.w_rec
    for given, s2 in (
        ({"sigma": 0.02}, 0.02**2 * (w**2).mean()),
        ({"bits": 5}, (np.ptp(w) / 31) ** 2 / 12),
    ):
        found = sharpness(
            network, batch, Regression(), draws=200, parameters=("w_rec",), **given
        )
        assert abs(found.mean - s2 / 2 * trace) < 3 * found.error
        assert found.error < 0.15 * found.mean
        assert found.loss == pytest.approx(loss_at(network, batch, Regression()))


def test_noise_of_a_size():
    """E ||xi||^2 = sigma^2 ||W||_F^2, by a loss that is the squared change of y."""
    network, batch, r = linear_step(1)
    target = network.run(batch.x).y
    batch = Batch(batch.x, target, batch.mask)
    options = {"draws": 300, "parameters": ("w_out",)}
    found = sharpness(network, batch, Regression(), sigma=0.1, **options)
    state = network.run(batch.x).output[-1, 0]
    per_weight = (0.1 * np.linalg.norm(network.params.w_out)) ** 2 / 12
    expected = 0.5 * 3 * per_weight * (state @ state)
    assert abs(found.mean - expected) < 3 * found.error
    assert len(r) == 1


@pytest.mark.parametrize("cell", [LIF(10.0), ALIF(10.0), LeakyRate(5.0)])
def test_sharpness_of_any_cell_repeats_and_leaves_the_network_alone(cell):
    network, batch = make_rate(cell, gain=3.0), make_batch()
    before = {name: a.copy() for name, a in network.params.arrays().items()}
    once = sharpness(network, batch, CROSS_ENTROPY, sigma=0.3, draws=6)
    again = sharpness(network, batch, CROSS_ENTROPY, sigma=0.3, draws=6, threads=2)
    assert once == again
    other = sharpness(network, batch, CROSS_ENTROPY, sigma=0.3, draws=6, rng=1)
    assert other.mean != once.mean
    assert once.kind == "weight-noise"
    for name, array in network.params.arrays().items():
        np.testing.assert_array_equal(array, before[name])
    still = sharpness(network, batch, CROSS_ENTROPY, sigma=0.0)
    assert (still.mean, still.error) == (0.0, 0.0)


def test_fewer_bits_cost_more():
    network, batch = make_rate(n_rec=12), make_batch("sum", n_samples=12)
    target = network.run(batch.x).y  # a minimum
    batch = Batch(batch.x, target, batch.mask)
    found = sharpness_by_bits(network, batch, Regression())
    assert [f.bits for f in found] == [2, 3, 4, 5, 6, 7, 8]
    means = np.array([f.noise.mean for f in found])
    assert (np.diff(means) < 0).all()
    ratio = means[-2] / means[-1]
    assert ratio == pytest.approx((255 / 127) ** 2, rel=0.02), "S is of step^2"
    rounded = np.array([f.rounded for f in found])
    assert (rounded > 0).all()
    assert rounded[-1] < 1e-2 * rounded[0]
    alone = sharpness(network, batch, Regression(), bits=4)
    assert alone == found[2].noise


def test_rounding_by_hand():
    network, batch, _ = linear_step()
    w = network.params.w_rec
    step = np.ptp(w) / 3
    other = copy_spec(network)
    other.params.w_rec[...] = w.min() + step * np.round((w - w.min()) / step)
    assert len(np.unique(np.round(other.params.w_rec, 9))) <= 4
    grown = loss_at(other, batch, Regression()) - loss_at(network, batch, Regression())
    found = sharpness_by_bits(
        network, batch, Regression(), [2], parameters=("w_rec",), draws=2
    )
    assert found[0].rounded == pytest.approx(grown, rel=1e-9)


# Rules ------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [LeakyRate(5.0, activation="tanh"), ALIF(10.0)])
def test_components_of_rules_by_hand(cell):
    network, batch = make_rate(cell, gain=3.0), make_batch("steps")
    exact = rule_component(network, batch, CROSS_ENTROPY, BPTT())
    assert (exact.rho, exact.cosine) == pytest.approx((1.0, 1.0))
    assert exact.orthogonal < 1e-9 * exact.size
    found = rule_component(network, batch, CROSS_ENTROPY, EProp())
    record = network.run(batch.x)
    error = CROSS_ENTROPY(record.y, batch.target, batch.mask).error
    signal = LearningSignal(error, network.params.w_out.T)
    g, mine = (
        rule.gradients(network, record, signal).w_rec for rule in (BPTT(), EProp())
    )
    rho = np.sum(mine * g) / np.sum(g * g)
    assert found.rho == pytest.approx(rho)
    assert found.orthogonal == pytest.approx(np.linalg.norm(mine - rho * g))
    length = np.linalg.norm(mine)
    assert found.cosine == pytest.approx(rho * found.size / length)
    assert length**2 == pytest.approx((rho * found.size) ** 2 + found.orthogonal**2)
    assert found.cosine < 0.999


@pytest.mark.parametrize("cell", [LIF(10.0), LeakyRate(5.0, activation="tanh")])
def test_every_rule_has_a_component(cell):
    types = np.array([0, 0, 1, 1, 1])
    network = make_rate(cell, gain=3.0, cell_types=types)
    batch = make_batch("steps")
    rules = [rule for rule in RULES.values() if cell.kind in rule.info.cells]
    for rule in rules:
        if rule.info.signal != "reward":
            found = rule_component(network, batch, CROSS_ENTROPY, rule())
            assert found.rho is not None, rule.info.name


def test_rules_without_a_component():
    network, batch = make_rate(LIF(10.0), gain=3.0), make_batch("steps")
    with pytest.raises(InvalidValue, match="must have a reward"):
        rule_component(network, batch, CROSS_ENTROPY, RSTDP())
    with pytest.raises(InvalidValue, match="must be used with cells rate"):
        rule_component(network, batch, CROSS_ENTROPY, RFLO())


def test_the_feedback_of_a_run_is_used():
    network, batch = make_rate(), make_batch()
    matrix = np.random.default_rng(0).standard_normal((5, 3))
    runs_own = Feedback("random", matrix=matrix)
    found = rule_component(network, batch, CROSS_ENTROPY, EProp(), runs_own)
    drawn = rule_component(network, batch, CROSS_ENTROPY, EProp(), "random")
    symmetric = rule_component(network, batch, CROSS_ENTROPY, EProp())
    assert len({found.rho, drawn.rho, symmetric.rho}) == 3
    network.params.w_out[...] = matrix.T
    same = rule_component(network, batch, CROSS_ENTROPY, EProp(), runs_own)
    assert same == rule_component(network, batch, CROSS_ENTROPY, EProp())


def test_no_gradient_no_component():
    network = make_rate("relu")
    network.params.bias[...] = -100.0
    found = rule_component(network, make_batch(), CROSS_ENTROPY, EProp())
    assert (found.rho, found.cosine, found.orthogonal) == (None, None, 0.0)


# Errors -----------------------------------------------------------------------------


def leading(**options):
    network = options.pop("network", None) or make_rate()
    loss = options.pop("loss", CROSS_ENTROPY)
    return leading_eigenvalue(network, make_batch(), loss, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": ("w_rec", "w_rec")}, "parameters must be different names"),
        ({"parameters": ("w_wrong",)}, "parameters must be different names"),
        ({"l2": -1.0}, "l2 must be >= 0 and finite; got -1"),
        ({"tolerance": 0.0}, "tolerance must be > 0"),
        ({"max_iterations": 0}, "max_iterations must be >= 1"),
        ({"loss": ActorCritic()}, "must be Classification or Regression; got Actor"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InvalidValue, match=message):
        leading(**options)


def test_no_convergence():
    options = {"max_iterations": 1, "tolerance": 1e-15}
    with pytest.raises(InvalidValue, match="must converge to a relative 1e-15"):
        extreme_eigenvalues(make_rate(n_rec=20), make_batch(), CROSS_ENTROPY, **options)


def test_unknown_names():
    with pytest.raises(UnknownName, match=r"unknown kind .*Did you mean 'hessian'"):
        leading(kind="hesian")
    with pytest.raises(UnknownName, match="Did you mean 'lanczos'"):
        leading(method="lanczoz")


def test_networks_that_run_away():
    network, batch = make_rate("relu", gain=1e40), make_batch()
    network.params.w_rec[...] = np.abs(network.params.w_rec)
    with pytest.raises(InvalidValue, match="readout must be finite; got NaN"):
        leading_eigenvalue(network, batch, CROSS_ENTROPY)
    network.params.w_rec[...] *= 1e-40
    found = sharpness(network, batch, CROSS_ENTROPY, sigma=1e60, draws=2)
    assert (found.mean, found.error) == (np.inf, np.inf)
    assert np.isfinite(found.loss)


def test_too_much_memory(monkeypatch):
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "10kB")
    with pytest.raises(
        InvalidValue, match=r"Hessian must fit .* samples at a time fit"
    ):
        Hessian(make_rate(), make_batch(), CROSS_ENTROPY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "must be given with either sigma or bits"),
        ({"sigma": 0.1, "bits": 3}, "must be given with either sigma or bits"),
        ({"sigma": -0.1}, "sigma must be >= 0"),
        ({"bits": 0}, "bits must be a whole number from 1 to 32"),
        ({"sigma": 0.1, "draws": 1}, "draws must be >= 2"),
    ],
)
def test_refused_noise(options, message):
    with pytest.raises(InvalidValue, match=message):
        sharpness(make_rate(), make_batch(), CROSS_ENTROPY, **options)


def test_every_kind_says_what_it_means():
    for kind, meaning in KINDS.items():
        assert len(meaning) > 20, kind
    assert curvature_of(make_rate(), make_batch(), CROSS_ENTROPY).kind in KINDS
