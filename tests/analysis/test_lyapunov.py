"""Lyapunov exponents: systems that are known, transitions, published numbers, twins."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis import lyapunov
from spikelearn.analysis.long_term import long_term_jacobian
from spikelearn.analysis.lyapunov import (
    KINDS,
    LyapunovSpectrum,
    in_float64,
    lyapunov_spectrum,
)
from spikelearn.analysis.twins import lyapunov_kinds, twin_exponent
from spikelearn.errors import InvalidValue
from spikelearn.network import ALIF, LIF, LeakyRate, RecurrentNetwork
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised
from tests.helpers import make_input, make_network, relative_error
from tests.reference.tangent import Changes


def rate_network(gain, seed=0, *, n=100, n_in=20, gain_in=0.3, tau=5.0, **cell):
    network = RecurrentNetwork(n_in, n, 1, cell=LeakyRate(tau, **cell), dtype="float64")
    network.initialise(seed, gain=gain, gain_in=gain_in)
    return network


def white(n_steps, n_samples=1, n_in=20, seed=0):
    return np.random.default_rng(seed).standard_normal((n_steps, n_samples, n_in))


# Linear systems ---------------------------------------------------------------------

LEAK = float(np.exp(-1 / 10.0))


def linear_network(values, tau_syn=0.0, symmetric=True):
    """Return relu units that are all active, and D = leak + (1 - leak) W."""
    n, rng = len(values), np.random.default_rng(3)
    cell = LeakyRate(10.0, tau_syn)
    mask = np.ones((n, n), bool)
    network = RecurrentNetwork(1, n, 1, cell=cell, mask=mask, dtype="float64")
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    if not symmetric:
        basis = basis + 0.3 * rng.standard_normal((n, n))
    d = basis @ np.diag(values) @ np.linalg.inv(basis)
    network.params.w_rec[...] = (d - LEAK * np.eye(n)) / (1 - LEAK)
    network.params.bias[...] = (np.eye(n) - d) @ np.full(n, 50.0)  # rests at 50
    return network


def resting(network, n_steps):
    """Return the exponents of all directions around the fixed point at 50."""
    x = np.zeros((n_steps, 1, 1))
    record = network.run(x)
    assert record.output[1000:].min() > 1.0, "the system must be linear"
    size = Linearised(network, Jacobian()).size
    return lyapunov_spectrum(network, x, size, transient=1000)


VALUES = 0.99 * 0.85 ** np.arange(8) * np.array([1, -1, 1, 1, -1, 1, -1, 1])


@pytest.mark.parametrize("symmetric", [True, False])
def test_exponents_of_a_linear_system_are_those_of_its_eigenvalues(symmetric):
    found = resting(linear_network(VALUES, symmetric=symmetric), 1400)
    expected = np.log(np.abs(VALUES))
    np.testing.assert_allclose(found.exponents, expected, atol=1e-8)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-8)
    assert found.kind == "jacobian"
    assert found.size == 8
    few = lyapunov_spectrum(
        linear_network(VALUES), np.zeros((1400, 1, 1)), 3, transient=1000
    )
    np.testing.assert_allclose(few.exponents, expected[:3], atol=1e-8)


def test_exponents_of_a_linear_system_with_synapses():
    network = linear_network(VALUES[:4], tau_syn=4.0)
    network.params.w_rec[...] = 0.06 * np.random.default_rng(2).standard_normal((4, 4))
    network.params.bias[...] = 5.0
    found = resting(network, 6000)
    dense = Changes(network).jacobian(network.run(np.zeros((50, 1, 1))).distance[-1, 0])
    eigenvalues = np.abs(np.linalg.eigvals(dense))
    expected = np.log(np.sort(eigenvalues)[::-1])
    np.testing.assert_allclose(found.exponents, expected, atol=2e-4)


CELLS = {
    "tanh": (LeakyRate(6.0, 0.0, "tanh"), {}),
    "softplus outside": (LeakyRate(6.0, 3.0, "softplus", "outside"), {}),
    "LIF": (LIF(10.0, 5.0), {"reset": True}),
    "ALIF": (ALIF(10.0, 5.0, tau_a=60.0, beta=0.2), {}),
    "ALIF voltage": (ALIF(10.0, tau_a=60.0, beta=0.2), {"subspace": "voltage"}),
}


@pytest.mark.parametrize("name", CELLS)
def test_all_exponents_together_are_the_growth_of_volumes(name):
    cell, options = CELLS[name]
    network = make_network(cell=cell, drive=1.2)
    x = make_input(n_steps=40, n_samples=2)
    changes, record = Changes(network, **options), network.run(x)
    jacobian = Jacobian(**options)
    found = lyapunov_spectrum(network, x, changes.size, jacobian=jacobian, transient=5)
    for t in range(40):
        for b in range(2):
            dense = changes.jacobian(record.distance[t, b])
            expected = np.linalg.slogdet(dense)[1]
            assert found.local[t, b].sum() == pytest.approx(expected, abs=1e-6)
    volumes = found.local[5:].sum(axis=-1).mean()
    assert found.exponents.sum() == pytest.approx(volumes, abs=1e-12)


# Transitions ------------------------------------------------------------------------


def mean_at_rest(gain, n=300):
    """Return the mean lambda_1 of tanh networks that are left alone after a kick."""
    x = np.zeros((1500, 1, 1))
    x[0] = 1.0
    found = []
    for seed in range(4):
        cell = {"tau": 10.0, "activation": "tanh", "n_in": 1, "gain_in": 10.0}
        network = rate_network(gain, seed, n=n, **cell)
        spectrum = lyapunov_spectrum(network, x, transient=700)
        found.append(spectrum.exponents[0])
    return float(np.mean(found))


def test_tanh_networks_become_chaotic_at_gain_1():
    """h' = (1 - dt) h + dt J tanh(h): Sompolinsky, Crisanti & Sommers 1988."""
    assert -0.020 < mean_at_rest(0.9) < -0.008
    assert abs(mean_at_rest(1.1)) < 0.003
    assert 0.005 < mean_at_rest(2.0) < 0.015


def test_a_quiet_tanh_network_decays_with_its_largest_eigenvalue():
    network = rate_network(0.5, tau=10.0, activation="tanh", n_in=1)
    x = np.zeros((3000, 1, 1))
    found = lyapunov_spectrum(network, x, transient=1000).exponents[0]
    d = LEAK * np.eye(100) + (1 - LEAK) * network.params.w_rec
    expected = np.log(np.abs(np.linalg.eigvals(d)).max())
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("gain", [1.0, 1.3, np.sqrt(2), 1.6])
def test_relu_networks_become_unstable_at_gain_root_2(gain):
    """Half of the units are active: without leak, lambda_1 = log(g / sqrt(2))."""
    x, found = white(500, n_in=100), []
    for seed in range(6):
        network = rate_network(gain, seed, n=300, n_in=100, gain_in=1.0, tau=0.0)
        found.append(lyapunov_spectrum(network, x, transient=200).exponents[0])
    error = np.std(found, ddof=1) / np.sqrt(6)
    assert error < 0.03
    assert np.mean(found) == pytest.approx(np.log(gain / np.sqrt(2)), abs=0.06)


# Twins ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "activation", "placement", "sign"),
    [
        (1.0, "tanh", "inside", -1),
        (2.5, "tanh", "inside", 1),
        (4.0, "tanh", "outside", 1),
        (1.3, "relu", "inside", -1),
        (1.8, "relu", "inside", 1),
        (1.0, "relu", "outside", -1),
    ],
)
def test_twins_and_tangents_grow_alike(gain, activation, placement, sign):
    options = {"activation": activation, "placement": placement}
    network, x = rate_network(gain, 1, **options), white(2500, 2, seed=1)
    if gain == 1.8:
        x = x[:1000]  # runs away, but slowly
    tangent, twin = lyapunov_spectrum(network, x), twin_exponent(network, x)
    assert (tangent.kind, twin.kind) == ("jacobian", "twin")
    both = tangent.error[0] + twin.error[0]
    apart = abs(tangent.exponents[0] - twin.exponents[0])
    assert apart < both
    assert apart < 5e-4
    assert sign * tangent.exponents[0] > 2 * both


def test_twins_of_spiking_cells_forget_unless_a_spike_differs():
    cell = LIF(20.0, v_th=0.6, t_ref=5.0)
    network = make_network(n_in=40, n_rec=50, cell=cell, gain=0.0)
    x = (np.random.default_rng(0).random((600, 1, 40)) < 0.04).astype(np.uint8)
    found = twin_exponent(network, x, size=1e-9)
    assert found.exponents[0] == pytest.approx(-1 / 20.0, abs=1e-6)
    network = make_network(n_in=40, n_rec=50, cell=cell, gain=3.0)
    large = twin_exponent(network, x, size=1e-1).exponents[0]
    assert large > -0.04


# Spiking cells ----------------------------------------------------------------------

# One network each: 100 cells, 40 inputs at 40 Hz, tau_m 20 ms, threshold 0.6.
TABLE = {  # gain: lambda_1 without reset, with reset, mean psi
    0.0: (-0.0500, -0.0502, 0.063),
    0.5: (-0.0101, -0.0502, 0.060),
    1.0: (+0.0043, -0.0407, 0.045),
    2.0: (-0.0076, -0.0373, 0.016),
    5.0: (-0.0228, -0.0400, 0.004),
}
LIF_SPEC = {"tau_m": 20.0, "v_th": 0.6, "t_ref": 5.0}
TUTORIAL_BETA = 1.7 * (1 - np.exp(-1 / 2000)) / (1 - np.exp(-1 / 20))


def measured(cell, gain, seed, n_steps=1000):
    """Return what the table lists, and lambda_1 of the voltage sub-space."""
    network = RecurrentNetwork(40, 100, 2, cell=cell, dtype="float64")
    network.initialise(seed, gain=gain)
    rng = np.random.default_rng(seed + 100)
    x = (rng.random((n_steps, 1, 40)) < 0.04).astype(np.uint8)
    options = ({}, {"reset": True}, {"subspace": "voltage"})
    exponents = [
        lyapunov_spectrum(network, x, jacobian=Jacobian(**given)).exponents[0]
        for given in options
    ]
    psi = Linearised(network, Jacobian()).gates(network.run(x))[..., :100].mean()
    return (*exponents[:2], psi, exponents[2])


def statistics(cell, gain, n_seeds=10):
    rows = np.array([measured(cell, gain, seed) for seed in range(n_seeds)])
    return rows.mean(axis=0), rows.std(axis=0, ddof=1)


def test_beta_is_that_of_the_tutorial():
    assert pytest.approx(0.01742, abs=5e-6) == TUTORIAL_BETA


@pytest.fixture(scope="module")
def lif_statistics():
    return {gain: statistics(LIF(**LIF_SPEC), gain) for gain in TABLE}


@pytest.mark.parametrize("gain", TABLE)
def test_lif_networks_have_the_known_exponents(gain, lif_statistics):
    """The table is one draw, so it lies within the spread of ten."""
    mean, deviation = lif_statistics[gain]
    for value, m, s in zip(TABLE[gain], mean, deviation, strict=False):
        assert abs(value - m) < 4 * s + 5e-4
    assert (deviation[:2] < 0.006).all(), "or anything would agree"


def test_the_exponent_is_not_monotonic_in_the_gain(lif_statistics):
    free, held, psi, _ = np.array([mean for mean, _ in lif_statistics.values()]).T
    assert free[0] == pytest.approx(-0.05, abs=1e-6)
    assert np.argmax(free) == 2
    assert free[2] > 0 > free[4]
    assert (held < -0.02).all(), "with the reset no network expands"
    assert (np.diff(psi) < 0).all()


def test_other_cells_have_other_exponents():
    """Negative control: without refractoriness the table is out of reach."""
    other = {**LIF_SPEC, "t_ref": 0.0}
    mean, deviation = statistics(LIF(**other), 2.0, 4)
    assert abs(TABLE[2.0][0] - mean[0]) > 5 * deviation[0]


@pytest.mark.parametrize("gain", TABLE)
def test_adaptation_hides_the_rest_of_alif_networks(gain):
    """Its slow decay is a floor of the full exponent; the voltage has none."""
    cell = ALIF(**LIF_SPEC, tau_a=2000.0, beta=TUTORIAL_BETA)
    (full, held, _, voltage), _ = statistics(cell, gain, 5)
    assert -0.0020 < full < 0.013
    assert held == pytest.approx(-1 / 2000, abs=6e-4)
    if gain < 1:
        assert voltage < -0.012
    if gain == 0:
        assert voltage == pytest.approx(-0.05, abs=1e-9)


@pytest.mark.parametrize("k", [1, 6])
def test_silent_cells_have_the_exponents_of_their_membrane(k):
    network = make_network(cell=LIF(tau_m=10.0))
    network.params.bias[...] = -10.0
    found = lyapunov_spectrum(network, make_input(), k)
    np.testing.assert_allclose(found.exponents, -0.1, atol=1e-14)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-14)
    heavy = Jacobian(surrogate=Surrogate("fast-sigmoid"))
    other = lyapunov_spectrum(network, make_input(), k, jacobian=heavy)
    assert np.abs(other.exponents + 0.1).max() > 1e-5, "a heavy tail still hears"


# What is made of exponents ----------------------------------------------------------


def spectrum(exponents, size=None, local=None):
    exponents = np.array(exponents, float)
    k = len(exponents)
    local = np.zeros((4, 1, k)) if local is None else local
    return LyapunovSpectrum(
        "jacobian", exponents, np.zeros(k), local, 1, 0.5, size or k
    )


@pytest.mark.parametrize(
    ("exponents", "size", "dimension", "entropy", "complete"),
    [
        ((0.9, 0.0, -14.5), 3, 2 + 0.9 / 14.5, 0.9, True),  # Lorenz
        ((0.3, 0.1, -0.2, -0.5), 4, 3 + 0.2 / 0.5, 0.4, True),
        ((0.3, -0.3, -0.1), 3, 2.0, 0.3, True),
        ((-0.1, -0.2), 9, 0.0, 0.0, True),
        ((0.0, -1.0), 5, 1.0, 0.0, True),
        ((0.2, 0.1), 2, 2.0, 0.3, True),
        ((0.2, -0.1), 9, None, 0.2, False),
    ],
)
def test_dimension_and_entropy_by_hand(exponents, size, dimension, entropy, complete):
    found = spectrum(exponents, size)
    if dimension is None:
        assert found.kaplan_yorke is None
    else:
        assert found.kaplan_yorke == pytest.approx(dimension, abs=1e-12)
    assert found.entropy_bound == pytest.approx(entropy, abs=1e-12)
    assert found.complete is complete
    np.testing.assert_allclose(found.per_ms, 2 * np.array(exponents))


def test_finite_time_exponents_and_drift_by_hand():
    local = np.array([9.0, 1.0, 2.0, 4.0, 7.0]).reshape(5, 1, 1)
    found = spectrum([3.5], local=local)
    expected = [9.0, 5.0, 4.0, 4.0, 4.6]
    np.testing.assert_allclose(found.finite_time()[:, 0, 0], expected)
    assert found.drift[0] == pytest.approx((4 + 7) / 2 - (1 + 2) / 2)


def test_means_errors_and_order_by_hand():
    """Exponents are means over samples and counted steps; blocks give the error."""
    local = np.random.default_rng(0).standard_normal((110, 3, 2))
    local[..., 1] += 5.0
    found = lyapunov.spectrum_of("twin", local, 10, 1.0, 2)
    counted = local[10:, :, ::-1]
    np.testing.assert_allclose(found.exponents, counted.mean(axis=(0, 1)))
    blocks = counted.reshape(10, 10, 3, 2).mean(axis=1).reshape(30, 2)
    expected = blocks.std(axis=0, ddof=1) / np.sqrt(30)
    np.testing.assert_allclose(found.error, expected)
    np.testing.assert_array_equal(found.local, local[..., ::-1])
    np.testing.assert_allclose(found.error, 1 / np.sqrt(300), rtol=0.3)


def test_the_error_shrinks_with_the_root_of_the_time():
    network = rate_network(1.2, n=40, activation="tanh")
    errors = [
        lyapunov_spectrum(network, white(n, 3), 6).error.mean() for n in (500, 8000)
    ]
    assert 2.5 < errors[0] / errors[1] < 6.0


def test_the_error_says_how_far_off_an_exponent_is():
    network = rate_network(1.2, n=40, activation="tanh")
    long = lyapunov_spectrum(network, white(20000, 2, seed=99)).exponents[0]
    off = []
    for seed in range(20):
        found = lyapunov_spectrum(network, white(600, 2, seed=seed))
        off.append((found.exponents[0] - long) / found.error[0])
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 2.0


# Long-term Jacobians ----------------------------------------------------------------


def dense_products(network, x, jacobian_options):
    """Yield D_(t-1) ... D_0 for t = 1, 2, ... of the first sample."""
    changes = Changes(network, **jacobian_options)
    product = np.eye(changes.size)
    for argument in network.run(x).distance[:, 0]:
        product = changes.jacobian(argument) @ product
        yield product


@pytest.mark.parametrize("name", CELLS)
def test_singular_values_are_those_of_the_dense_product(name):
    cell, options = CELLS[name]
    network = make_network(n_rec=5, cell=cell, drive=1.2)
    x, size = make_input(n_steps=12, n_samples=2), Changes(network, **options).size
    jacobian = Jacobian(**options)
    found = long_term_jacobian(network, x, size, jacobian=jacobian, n_points=6)
    assert found.steps[0] == 1 and found.steps[-1] == 12
    products = list(dense_products(network, x, options))
    largest = size - 2
    for at, steps in enumerate(found.steps):
        expected = np.log(np.linalg.svd(products[steps - 1], compute_uv=False))
        got = found.log_singular[at, 0]
        np.testing.assert_allclose(got[:largest], expected[:largest], atol=1e-4)
        condition = got[0] - got[-1]
        assert found.log_condition[at, 0] == pytest.approx(condition)
    assert np.ptp(found.log_singular[-1, 0]) > 0.5


@pytest.mark.parametrize("name", CELLS)
def test_gradient_norms_are_those_of_the_dense_product(name):
    cell, options = CELLS[name]
    network = make_network(n_rec=5, cell=cell, drive=1.2)
    x = make_input(n_steps=12, n_samples=1)
    jacobian, changes = Jacobian(**options), Changes(network, **options)
    found = long_term_jacobian(network, x, 2, jacobian=jacobian, rng=8)
    rng = np.random.default_rng(8)
    rng.standard_normal((changes.size, 2))  # the tangent vectors
    p = np.zeros(changes.size)
    p[:5] = rng.standard_normal((1, 2))[0] @ network.params.w_out
    p /= np.linalg.norm(p)
    distance = network.run(x).distance[:, 0]
    assert found.gradient_norm.shape == (13, 1)
    assert found.gradient_norm[12, 0] == 1.0
    for t in range(11, -1, -1):
        p = changes.jacobian(distance[t]).T @ p
        expected = np.linalg.norm(p)
        assert found.gradient_norm[t, 0] == pytest.approx(expected, rel=1e-6)
    assert abs(np.log(found.gradient_norm[0, 0])) > 0.05


def test_few_directions_are_those_that_were_drawn():
    """The k singular values are those of the product with the first vectors."""
    network, x = make_network(n_rec=7, cell=LIF(10.0)), make_input(n_steps=10)
    found = long_term_jacobian(network, x, 3, n_points=2, rng=5)
    vectors = Linearised(network, Jacobian()).start(3, 3, np.random.default_rng(5))
    *_, product = dense_products(network, x, {})
    expected = np.linalg.svd(product @ vectors[0, :, :7].T, compute_uv=False)
    assert found.steps.tolist() == [1, 10]
    np.testing.assert_allclose(found.log_singular[-1, 0], np.log(expected), atol=1e-6)


# Kinds, threads, pieces, errors -----------------------------------------------------

SPIKING_KINDS = {"surrogate", "surrogate-reset", "twin", "twin-large"}


@pytest.mark.parametrize(
    ("cell", "expected", "missing"),
    [
        (LeakyRate(5.0), {"jacobian", "twin"}, set()),
        (LIF(10.0), SPIKING_KINDS, {"events"}),
        (LIF(10.0, 5.0), SPIKING_KINDS | {"events"}, set()),
        (
            ALIF(10.0, 5.0, t_ref=4.0),
            SPIKING_KINDS | {"surrogate-voltage"},
            {"events"},
        ),
    ],
)
def test_the_kinds_of_a_cell(cell, expected, missing):
    network = make_network(cell=cell, drive=1.3)
    found, reasons = lyapunov_kinds(network, make_input(), 2)
    assert set(found) == expected
    assert set(reasons) == missing
    for kind, of_kind in found.items():
        assert of_kind.kind == kind
        assert kind in KINDS
        assert of_kind.exponents.shape == ((1,) if "twin" in kind else (2,))
        assert (np.diff(of_kind.exponents) <= 0).all()


def test_a_smaller_voltage_space_is_no_error():
    network = make_network(n_rec=3, drive=1.3)
    found, _ = lyapunov_kinds(network, make_input(), 6)
    assert len(found["surrogate"].exponents) == 6
    assert len(found["surrogate-voltage"].exponents) == 3


@pytest.mark.parametrize("cell", [ALIF(10.0), LeakyRate(5.0)])
def test_threads_and_pieces_do_not_change_the_bits(cell, monkeypatch):
    network, x = make_network(cell=cell, drive=1.3), make_input(n_samples=9)
    one = lyapunov_spectrum(network, x, 3)
    twin = twin_exponent(network, x)
    for threads in (2, 3):
        other = lyapunov_spectrum(network, x, 3, threads=threads)
        assert np.array_equal(one.local, other.local)
        other = twin_exponent(network, x, threads=threads)
        assert np.array_equal(twin.local, other.local)
    monkeypatch.setattr(lyapunov, "PIECE", 7 * 9 * 6)
    pieces = lyapunov_spectrum(network, x, 3)
    assert np.array_equal(one.local, pieces.local)
    assert not np.array_equal(one.local, lyapunov_spectrum(network, x, 3, rng=1).local)


def test_analyses_in_float64_have_the_same_weights():
    network = make_network(dtype="float32")
    other = in_float64(network)
    assert other.dtype == "float64"
    for name, array in network.params.arrays().items():
        assert np.array_equal(array, other.params.arrays()[name])
    x = make_input()
    single, double = lyapunov_spectrum(network, x), lyapunov_spectrum(other, x)
    assert relative_error(single.local, double.local) < 1e-3


def test_more_exponents_than_directions():
    network = make_network(n_rec=6, cell=LIF(10.0))
    with pytest.raises(InvalidValue, match=r"^k must be 1 to 6, the dimension"):
        lyapunov_spectrum(network, make_input(), 7)
    assert len(lyapunov_spectrum(make_network(), make_input(), 12).exponents) == 12


@pytest.mark.parametrize("measure", [lyapunov_spectrum, twin_exponent])
def test_a_run_that_is_too_short(measure):
    network = make_network()
    message = r"^input x must have 20 steps after the transient; got 25 - 6\. \(Expon"
    with pytest.raises(InvalidValue, match=message):
        measure(network, make_input(n_steps=25), transient=6)
    with pytest.raises(InvalidValue, match=r"^transient must be >= 0 steps"):
        measure(network, make_input(n_steps=25), transient=-1)
    measure(network, make_input(n_steps=25), transient=5)


def test_a_tolerance_that_is_not_reached():
    network = rate_network(1.2, n=40, activation="tanh")
    message = r"^exponents must have a standard error <= 1e-06; got .*Run longer"
    with pytest.raises(InvalidValue, match=message):
        lyapunov_spectrum(network, white(200), tolerance=1e-6)
    lyapunov_spectrum(network, white(200), tolerance=1.0)


@pytest.mark.parametrize("measure", [lyapunov_spectrum, twin_exponent])
def test_a_trajectory_that_leaves_the_numbers(measure):
    network = rate_network(1e3, n=10, tau=0.0)
    with np.errstate(all="ignore"), pytest.raises(InvalidValue) as caught:
        measure(network, white(300))
    message = str(caught.value)
    assert "must be " in message and "network.gain" in message
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(network.run(white(300)).distance)
    step, sample, unit = np.argwhere(bad)[0]
    if measure is lyapunov_spectrum:
        where = f"state of unit {unit} at step {step} of sample {sample} must"
        assert message.startswith(f"{where} be finite")
    else:  # long before, the twins are too close to be told apart
        assert message.startswith("state of the twins at step 10 must be below")


def test_refractory_cells_are_finite():
    """Their distance to threshold is -inf, which is not an error."""
    network = make_network(cell=LIF(10.0, t_ref=4.0), drive=1.5)
    x = make_input()
    assert np.isneginf(network.run(x).distance).any()
    assert np.isfinite(lyapunov_spectrum(network, x, 3).local).all()


def test_long_delays_and_vanishing_vectors():
    with pytest.raises(InvalidValue, match=r"delay must be 1 step to be linearised"):
        lyapunov_spectrum(make_network(delay=3), make_input())
    network = rate_network(1.0, n=6, tau=0.0)
    network.params.bias[...] = -1e3
    message = r"^tangent vector 1 at step 0 of sample 0 must not vanish.*leak"
    with np.errstate(all="ignore"), pytest.raises(InvalidValue, match=message):
        lyapunov_spectrum(network, white(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 0.0}, r"^size must be > 0"), ({"every": 0}, r"^every must be >= 1")],
)
def test_twins_that_cannot_be_compared(options, message):
    with pytest.raises(InvalidValue, match=message):
        twin_exponent(make_network(), make_input(), **options)


def test_a_last_piece_between_two_measurements_may_be_shorter():
    network = make_network(cell=LIF(tau_m=10.0))
    network.params.bias[...] = -10.0
    local = twin_exponent(network, make_input(n_steps=40), every=7).local
    np.testing.assert_allclose(local, -0.1, atol=1e-6)
