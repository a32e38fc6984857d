"""Tangent vectors against dense Jacobians by differences and LAPACK's Q R."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.kernels.tangent import SHARE, propagate_in_team
from spikelearn.kernels.vector import padded
from spikelearn.network import ALIF, LIF, LeakyRate, tangent
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised
from tests.helpers import make_input, make_network, relative_error
from tests.reference.tangent import Changes, run

HEAVY = Surrogate("fast-sigmoid", 0.4, 0.7)
SLOW = {"tau_a": 60.0, "beta": 0.2}
CELLS = {
    "LIF": (LIF(10.0), {}),
    "LIF reset": (LIF(10.0), {"reset": True}),
    "LIF to zero": (LIF(10.0, reset="zero"), {}),
    "LIF refractory": (LIF(10.0, t_ref=4.0), {"surrogate": HEAVY}),
    "LIF leak": (LIF(10.0, v_th=0.3, input_scaling="leak"), {"reset": True}),
    "LIF synapses": (LIF(10.0, 5.0), {"reset": True}),
    "ALIF": (ALIF(10.0, **SLOW), {}),
    "ALIF reset": (ALIF(10.0, **SLOW), {"reset": True}),
    "ALIF to zero": (ALIF(10.0, reset="zero", **SLOW), {"surrogate": HEAVY}),
    "ALIF synapses": (ALIF(10.0, 5.0, **SLOW), {"reset": True}),
    "ALIF voltage": (ALIF(10.0, **SLOW), {"subspace": "voltage"}),
    "ALIF voltage synapses": (ALIF(10.0, 5.0, **SLOW), {"subspace": "voltage"}),
    "relu": (LeakyRate(6.0), {}),
    "tanh": (LeakyRate(6.0, 0.0, "tanh", input_scaling="unit"), {}),
    "softplus synapses": (LeakyRate(6.0, 3.0, "softplus"), {}),
    "relu outside": (LeakyRate(6.0, 0.0, "relu", "outside"), {}),
    "tanh outside synapses": (LeakyRate(6.0, 3.0, "tanh", "outside"), {}),
}
SIZES = (5, 12, 17, 49, 100)


def case(name, n=12, dtype="float64", n_steps=14, n_samples=2, cell=None):
    given, options = CELLS[name]
    network = make_network(
        n_rec=n,
        cell=cell or given,
        dtype=dtype,
        drive=1.2 if name.startswith(("LIF", "ALIF")) else 0.6,
        bias=0.1,
    )
    x = make_input(n_steps=n_steps, n_samples=n_samples)
    return network, network.run(x), options


def follow(network, record, options, k=3, threads=1, **given):
    """Return the vectors at the start, and what they did."""
    linearised = Linearised(network, Jacobian(**options))
    vectors = linearised.start(record.n_samples, k, np.random.default_rng(4))
    first = vectors.copy()
    given = {"factors": True, "keep": True} | given
    return first, linearised.run(record, vectors, threads=threads, **given)


def true_part(rows, n):
    """Return vectors without padding, as columns: (..., size, k)."""
    n_pad = padded(n)
    parts = rows.reshape(*rows.shape[:-1], -1, n_pad)
    assert not parts[..., n:].any(), "the padding must stay 0"
    flat = parts[..., :n].reshape(*rows.shape[:-1], -1)
    return np.swapaxes(flat, -1, -2).astype(np.float64)


def compare(network, record, options, k=3):
    """Return the largest relative errors of R, of the vectors, and of log r."""
    changes, n = Changes(network, **options), network.n_rec
    first, got = follow(network, record, options, k)
    worst = np.zeros(3)
    for b in range(record.n_samples):
        dense = [changes.jacobian(u) for u in record.distance[:, b]]
        r, kept = run(dense, true_part(first[b], n))
        log_r = np.log(np.diagonal(r, axis1=1, axis2=2))
        assert np.abs(log_r).max() > 0.05
        errors = (
            relative_error(got.r[b], r),
            relative_error(true_part(got.kept[b], n), kept),
            relative_error(got.log_r[:, b], log_r),
        )
        worst = np.maximum(worst, errors)
    return worst


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CELLS)
def test_vectors_equal_the_dense_twin(name, dtype):
    network, record, options = case(name, dtype=dtype)
    if network.spiking:
        assert 0.02 < record.spikes.mean() < 0.7, "the comparison needs spikes"
    worst = compare(network, record, options)
    assert (worst < (2e-7 if dtype == "float64" else 2e-3)).all(), worst


@pytest.mark.parametrize("name", ["ALIF synapses", "tanh outside synapses"])
@pytest.mark.parametrize("n", SIZES)
def test_any_number_of_neurons(n, name):
    network, record, options = case(name, n, n_steps=5, n_samples=1)
    assert (compare(network, record, options, k=min(n, 4)) < 2e-7).all()


@pytest.mark.parametrize("name", ["LIF", "ALIF synapses", "relu"])
def test_all_vectors_of_a_small_state(name):
    network, record, options = case(name, 5, n_steps=6)
    size = Linearised(network, Jacobian(**options)).size
    assert size == Changes(network, **options).size
    assert (compare(network, record, options, k=size) < 1e-6).all()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("LIF", {"reset": True}),
        ("LIF reset", {}),
        ("ALIF", {"surrogate": HEAVY}),
        ("ALIF synapses", {"reset": False}),
    ],
)
def test_the_jacobian_depends_on_its_options(name, changed):
    """Negative control: the twin of another Jacobian disagrees."""
    network, record, options = case(name)
    first, got = follow(network, record, options)
    other = Changes(network, **changed)
    dense = [other.jacobian(u) for u in record.distance[:, 0]]
    r, _ = run(dense, true_part(first[0], network.n_rec))
    assert relative_error(got.r[0], r) > 1e-3


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("LIF to zero", {"reset": "subtract"}),
        ("LIF", {"tau_m": 10.5}),
        ("LIF leak", {"input_scaling": "unit"}),
        ("LIF synapses", {"tau_syn": 5.5}),
        ("ALIF", {"tau_a": 50.0}),
        ("ALIF", {"beta": 0.3}),
        ("relu outside", {"placement": "inside", "activation": "tanh"}),
        ("softplus synapses", {"tau_syn": 3.2}),
    ],
)
def test_the_vectors_depend_on_every_constant(name, change):
    """Negative control: the twin of a slightly different cell disagrees."""
    network, record, options = case(name)
    first, got = follow(network, record, options)
    cell = dataclasses.replace(network.cell, **change)
    other = Changes(case(name, cell=cell)[0], **options)
    dense = [other.jacobian(u) for u in record.distance[:, 0]]
    r, _ = run(dense, true_part(first[0], network.n_rec))
    assert relative_error(got.r[0], r) > 1e-4


@pytest.mark.parametrize("name", CELLS)
def test_factors_are_the_derivative_of_log_r(name):
    """By differences of one weight, with the trajectory and the old vectors fixed."""
    n, k, step = 5, 3, 1e-6
    network, record, options = case(name, n, n_steps=6, n_samples=1)
    changes, w_rec = Changes(network, **options), network.params.w_rec
    first, got = follow(network, record, options, k)
    largest = 0.0
    for t in (1, 5):
        q = true_part(got.kept[0, t - 1], n)
        argument = record.distance[t, 0]
        for i in range(n):
            for j in range(n):
                sides = []
                for sign in (1, -1):
                    moved = w_rec.copy()
                    moved[i, j] += sign * step
                    r, _ = run([changes.jacobian(argument, moved)], q)
                    sides.append(np.log(np.diag(r[0])))
                expected = (sides[0] - sides[1]) / (2 * step)
                product = got.post[0, t, :, i] * got.pre[0, t, :, j]
                np.testing.assert_allclose(product, expected, atol=1e-4, rtol=1e-4)
                largest = max(largest, np.abs(expected).max())
    assert largest > 0.02, "derivatives that vanish prove nothing"
    assert first.any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["ALIF synapses", "LIF", "tanh outside synapses"])
def test_the_same_bits_for_any_number_of_threads_and_alone(name, dtype):
    network, record, options = case(name, 49, dtype, n_samples=13)
    linearised = Linearised(network, Jacobian(**options))
    arrays = ("log_r", "r", "kept", "post", "pre")
    _, one = follow(network, record, options)
    total = linearised.outer(one.post, one.pre, 1)
    for threads in (2, 3):
        _, other = follow(network, record, options, threads=threads)
        for field in arrays:
            assert np.array_equal(getattr(one, field), getattr(other, field)), field
        again = linearised.outer(other.post, other.pre, threads)
        assert np.array_equal(total, again)
    x = make_input(n_steps=14, n_samples=13)
    for b in (0, 6, 12):
        single = network.run(x[:, b : b + 1])
        _, alone = follow(network, single, options)
        assert np.array_equal(alone.log_r[:, 0], one.log_r[:, b])
        for field in arrays[1:]:
            assert np.array_equal(getattr(alone, field)[0], getattr(one, field)[b])
    assert not np.array_equal(one.log_r[:, 0], one.log_r[:, 1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["ALIF synapses", "relu", "tanh outside synapses"])
def test_a_team_gives_the_same_bits(name, dtype, monkeypatch):
    network, record, options = case(name, 100, dtype, n_steps=40, n_samples=1)
    linearised = Linearised(network, Jacobian(**options))

    def follow(threads):
        vectors = linearised.start(1, 12, np.random.default_rng(4))
        asked = {"factors": True, "keep": True, "threads": threads}
        return vars(linearised.run(record, vectors, **asked)) | {"last": vectors}

    one = follow(1)
    monkeypatch.setattr(tangent, "SMALLEST_TEAM", 0)
    members = []

    def watched(*given):
        members.append(given[2])
        propagate_in_team(*given)

    monkeypatch.setattr(tangent, "propagate_in_team", watched)
    for threads, most in ((2, 2), (3, 3), (8, 3)):
        members.clear()
        other = follow(threads)
        assert members == [most] * most, "three blocks of vectors have three members"
        for field, values in one.items():
            assert np.array_equal(values, other[field]), field


@pytest.mark.parametrize("name", ["LIF synapses", "relu"])
@pytest.mark.parametrize("low", [1, SHARE, SHARE + 1])
def test_vectors_that_are_almost_the_same(name, low):
    """The factor of scalar products would not see what tells them apart."""
    network, record, options = case(name, 20, n_steps=1, n_samples=1)
    linearised = Linearised(network, Jacobian(**options))
    vectors = linearised.start(1, 8, np.random.default_rng(0))
    vectors[0, low] = vectors[0, low - 1] + 1e-8 * vectors[0, low]
    columns = true_part(vectors[0], 20)
    got = linearised.run(record, vectors, keep=True)
    dense = Changes(network, **options).jacobian(record.distance[0, 0])
    q, r = np.linalg.qr(dense @ columns)
    expected = np.abs(np.diagonal(r))
    assert expected[low] < 1e-6 * expected[low - 1]
    assert np.diagonal(got.r[0, 0]) == pytest.approx(expected, rel=1e-6)
    kept = true_part(got.kept[0, 0], 20)
    assert kept.T @ kept == pytest.approx(np.eye(8), abs=1e-6)
    assert np.abs(np.sum(kept * q, axis=0)) == pytest.approx(np.ones(8), abs=1e-6)


@pytest.mark.parametrize("n", SIZES)
def test_outer_is_the_sum_of_products(n):
    network, record, options = case("LIF", n, n_samples=5)
    _, got = follow(network, record, options)
    total = Linearised(network, Jacobian(**options)).outer(got.post, got.pre, 2)
    expected = np.einsum("btki,btkj->ij", got.post[..., :n], got.pre[..., :n])
    assert relative_error(total, expected) < 1e-12


@pytest.mark.parametrize("name", CELLS)
def test_backwards_is_the_transposed_step(name):
    network, record, options = case(name, 7)
    n, n_pad = 7, padded(7)
    linearised = Linearised(network, Jacobian(**options))
    changes = Changes(network, **options)
    gate = linearised.gates(record)
    rng = np.random.default_rng(2)
    wide = np.zeros((2, 1, linearised.n_parts, n_pad))
    wide[..., :n] = rng.standard_normal((2, 1, linearised.n_parts, n))
    vectors = wide.reshape(2, 1, -1)
    distance = record.trajectory.distance[:, 3]
    before, _, _ = linearised.backwards(vectors, gate[:, 3], distance)
    for b in range(2):
        dense = changes.jacobian(record.distance[3, b])
        expected = dense.T @ true_part(vectors[b], n)
        assert relative_error(true_part(before[b], n), expected) < 1e-7


def test_nothing_is_kept_that_nobody_asked_for():
    network, record, options = case("LIF")
    _, all_of_it = follow(network, record, options)
    _, bare = follow(network, record, options, factors=False, keep=False)
    assert np.array_equal(all_of_it.log_r, bare.log_r)
    for field in ("r", "kept", "post", "pre"):
        assert getattr(bare, field).shape[1] == 0


def test_a_run_goes_on_where_the_last_one_ended():
    network, _, options = case("ALIF")
    linearised = Linearised(network, Jacobian(**options))
    x = make_input(n_steps=14)
    vectors = linearised.start(3, 2, np.random.default_rng(1))
    pieces, state = vectors.copy(), None
    whole = linearised.run(network.run(x), vectors).log_r
    log_r = []
    for part in (x[:5], x[5:]):
        record = network.run(part, state=state)
        state = record.final
        log_r.append(linearised.run(record, pieces).log_r)
    assert np.array_equal(np.concatenate(log_r), whole)
    assert np.array_equal(pieces, vectors)


def test_bad_names_delays_and_numbers_of_vectors():
    with pytest.raises(InvalidValue, match=r"^Jacobian\.subspace must be one of"):
        Jacobian(subspace="slow")
    late = make_network(delay=2)
    with pytest.raises(InvalidValue, match=r"delay must be 1 step to be linearised"):
        Linearised(late, Jacobian())
    network = case("ALIF")[0]
    for k in (0, 25):
        with pytest.raises(InvalidValue, match=r"^k must be 1 to 24, the dimension"):
            Linearised(network, Jacobian()).start(1, k, np.random.default_rng(0))


@pytest.mark.parametrize(
    "cell", [LeakyRate(0.0), LeakyRate(0.0, 0.0, "relu", "outside")]
)
def test_a_vector_that_vanishes_is_named(cell):
    """Units without leak that are all silent forget every change."""
    network = make_network(n_rec=6, cell=cell)
    network.params.bias[...] = -100.0
    record = network.run(make_input())
    message = r"^tangent vector 1 at step 0 of sample 0 must not vanish"
    with np.errstate(all="ignore"), pytest.raises(InvalidValue, match=message):
        follow(network, record, {})
