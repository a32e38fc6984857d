"""Flossing: gradients by differences, locality, convergence, and the training loop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.analysis.lyapunov import lyapunov_spectrum
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.flossing import FLOSSING_TERMS, Flossing
from spikelearn.learning.homeostasis import IntrinsicPlasticity
from spikelearn.learning.rules import EProp
from spikelearn.network import ALIF, LIF, LeakyRate, RecurrentNetwork, tangent_gradient
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised
from spikelearn.network.tangent_gradient import exact_gradient
from tests.helpers import make_input, make_network, relative_error
from tests.learning.test_trainer import assert_same, make_trainer, train, weights

LOCAL = ("tangent", "tangent-trace", "spectrum", "scaling")


def rate_network(gain, seed=0, *, n=100, leak=0.9, activation="relu"):
    """Return a rate network with 20 inputs and the leak of a step."""
    tau = 0.0 if leak == 0 else -1 / np.log(leak)
    cell = LeakyRate(tau, activation=activation)
    network = RecurrentNetwork(20, n, 1, cell=cell, dtype="float64")
    network.initialise(seed, gain=gain)
    return network


def white(n_steps, n_samples=1, seed=0):
    return np.random.default_rng(seed).standard_normal((n_steps, n_samples, 20))


def start(network, n_samples, k=1, jacobian=None):
    jacobian = jacobian or Flossing().jacobian
    rng = np.random.default_rng(3)
    return Linearised(network, jacobian).start(n_samples, k, rng)


def one_step(network, x, flossing):
    state = flossing.start(network, x.shape[1], np.random.default_rng(3))
    return flossing.step(network, network.run(x), state)


def cosine(a, b):
    return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))


# The exact gradient -----------------------------------------------------------------

WEIGHTS = {1: np.array([1.0]), 3: np.array([1.0, 0.6, -0.4])}
MIXED = np.array([3.0, 6.0, 0.0, 12.0, 20.0, 4.0, 8.0, 9.0])
RATE = {
    "relu": LeakyRate(6.0),
    "relu synapses": LeakyRate(6.0, 3.0),
    "relu outside": LeakyRate(6.0, 0.0, "relu", "outside"),
    "relu outside synapses": LeakyRate(6.0, 3.0, "relu", "outside"),
    "tanh": LeakyRate(6.0, 0.0, "tanh"),
    "tanh synapses": LeakyRate(6.0, 3.0, "tanh"),
    "tanh unit": LeakyRate(6.0, 0.0, "tanh", input_scaling="unit"),
    "softplus": LeakyRate(6.0, 0.0, "softplus"),
    "tanh mixed": LeakyRate(MIXED, 0.0, "tanh"),
    "softplus mixed": LeakyRate(MIXED, MIXED[::-1].copy(), "softplus"),
}
SPIKING = {
    "LIF": (LIF(10.0), {}),
    "LIF reset": (LIF(10.0, 5.0), {"reset": True}),
    "ALIF": (ALIF(10.0, tau_a=60.0, beta=0.2), {}),
    "ALIF voltage": (ALIF(10.0, tau_a=60.0, beta=0.2), {"subspace": "voltage"}),
    "ALIF synapses": (ALIF(10.0, 5.0, tau_a=60.0, beta=0.2), {"reset": True}),
}


def small_network(cell):
    drive = 1.2 if isinstance(cell, LIF) else 0.8
    return make_network(n_rec=8, cell=cell, drive=drive, bias=0.1)


def exact(network, x, k, jacobian):
    linearised, record = Linearised(network, jacobian), network.run(x)
    first = start(network, x.shape[1], k, jacobian)
    done = linearised.run(record, first.copy(), keep=True)
    return exact_gradient(linearised, record, first, done, WEIGHTS[k])


def differences(network, x, k, jacobian, held=False, step=1e-6):
    """Return the derivative of the weighted exponents by central differences.

    With `held` the trajectory does not follow the weights.
    """
    record = network.run(x)
    first = start(network, x.shape[1], k, jacobian)
    w_rec, out = network.params.w_rec, np.zeros((8, 8))
    for i, j in np.ndindex(8, 8):
        sides = []
        for sign in (1, -1):
            before = w_rec[i, j]
            w_rec[i, j] = before + sign * step
            used = record if held else network.run(x)
            done = Linearised(network, jacobian).run(used, first.copy())
            sides.append(done.log_r.mean(axis=(0, 1)) @ WEIGHTS[k])
            w_rec[i, j] = before
        out[i, j] = (sides[0] - sides[1]) / (2 * step)
    return out


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", RATE)
def test_the_exact_gradient_is_that_of_differences(name, k):
    network, x = small_network(RATE[name]), make_input(n_steps=25, graded=True)
    expected = differences(network, x, k, Jacobian())
    got = exact(network, x, k, Jacobian())
    assert np.abs(expected).max() > 1e-3
    assert relative_error(got, expected) < 1e-6


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", SPIKING)
def test_the_exact_gradient_of_spiking_cells_holds_the_trajectory(name, k):
    cell, options = SPIKING[name]
    network, x = small_network(cell), make_input(n_steps=25)
    jacobian = Jacobian(**options)
    expected = differences(network, x, k, jacobian, held=True)
    got = exact(network, x, k, jacobian)
    assert np.abs(expected).max() > 1e-3
    assert relative_error(got, expected) < 1e-6


@pytest.mark.parametrize(("name", "least"), [("tanh", 0.02), ("softplus", 0.02)])
def test_the_trajectory_is_a_part_of_the_exact_gradient(name, least, monkeypatch):
    """Negative control: without f'' the gradient is that of a held trajectory."""
    network, x = small_network(RATE[name]), make_input(n_steps=25, graded=True)
    true, held = (differences(network, x, 1, Jacobian(), held=h) for h in (False, True))
    monkeypatch.setattr(tangent_gradient, "_bend", lambda *_: None)
    got = exact(network, x, 1, Jacobian())
    assert relative_error(got, held) < 1e-6
    assert relative_error(got, true) > least


@pytest.mark.parametrize("cell", ["tanh", "softplus"])
def test_no_exact_gradient_of_bent_activations_outside(cell):
    network = make_network(cell=LeakyRate(6.0, 0.0, cell, "outside"))
    message = rf"flossing term 'exact' must be used with f inside .*got '{cell}' out"
    with pytest.raises(InvalidValue, match=message):
        Flossing("exact").check(network)
    Flossing("exact").check(make_network(cell=RATE["relu outside"]))


# Local gradients --------------------------------------------------------------------


def gradient(network, x, term, k=1):
    """Return the move of a term, as a gradient of the sum of exponents."""
    free = {"normalised": False, "max_step": 1e9, "target": -50.0, "rate": 0.5}
    step = one_step(network, x, Flossing(term, k, **free))
    np.testing.assert_allclose(step.modulator, 0.1)
    return -step.move / 0.1


CASES = [  # leak, gain, activation, least mean cosine
    (0.0, 0.5, "relu", 0.05),
    (0.0, 1.5, "relu", 0.1),
    (0.5, 1.5, "relu", 0.1),
    (0.9, 0.5, "relu", 0.1),
    (0.9, 1.5, "relu", 0.1),
    (0.5, 1.0, "tanh", 0.1),
    (0.9, 1.0, "tanh", 0.1),
]


@pytest.mark.parametrize(("leak", "gain", "activation", "least"), CASES)
def test_local_gradients_point_along_the_exact_one(leak, gain, activation, least):
    """A random direction has a cosine of about 1 / N = 0.01."""
    found = []
    for seed in range(4):
        network = rate_network(gain, seed, leak=leak, activation=activation)
        x = white(600, seed=seed)
        truth = gradient(network, x, "exact")
        terms = [gradient(network, x, t) for t in ("tangent", "tangent-trace")]
        shuffled = np.random.default_rng(seed).permutation(terms[0].ravel())
        found.append([cosine(g, truth) for g in terms])
        assert abs(cosine(shuffled.reshape(100, 100), truth)) < 0.05
    assert (np.mean(found, axis=0) > least).all()
    assert np.min(found) > -0.1


def test_k_local_gradients_point_along_the_exact_one():
    network, x = rate_network(1.0, leak=0.9), white(600)
    local, truth = (gradient(network, x, term, 3) for term in ("spectrum", "exact"))
    assert cosine(local, truth) > 0.1


@pytest.mark.parametrize("leak", [0.0, 0.9])
def test_the_local_gradient_moves_the_gain_as_the_exact_one(leak):
    """Without leak an exponent follows the logarithm of the gain with slope 1."""
    network, x = rate_network(1.5, 1, leak=leak), white(600)
    w_rec = network.params.w_rec
    slopes = {t: np.sum(w_rec * gradient(network, x, t)) for t in ("tangent", "exact")}
    if leak == 0:
        assert slopes["tangent"] == pytest.approx(1.0, abs=1e-9)
        assert slopes["exact"] == pytest.approx(1.0, abs=1e-2)
    else:
        assert slopes["tangent"] == pytest.approx(slopes["exact"], rel=0.15)


def test_spectrum_with_one_vector_is_the_tangent_term():
    network, x = rate_network(1.0), white(50, 3)
    one, other = (one_step(network, x, Flossing(t)) for t in ("tangent", "spectrum"))
    assert np.array_equal(one.move, other.move)


def test_the_trace_is_that_of_a_plain_loop():
    network, x = rate_network(1.0, n=12, leak=0.8), white(15, 2)
    step = one_step(network, x, Flossing("tangent"))
    post, pre, log_r = step.tangents.post, step.tangents.pre, step.growth
    expected = np.zeros((12, 12))
    for b in range(2):
        e = np.zeros(12)
        for t in range(15):
            e = pre[b, t, 0, :12] + 0.8 / np.exp(log_r[t, b, 0]) * e
            expected += np.outer(post[b, t, 0, :12], e) / 30
    got = gradient(network, x, "tangent-trace")
    assert relative_error(got, expected * network.mask) < 1e-12
    assert cosine(got, gradient(network, x, "tangent")) < 0.999


@pytest.mark.parametrize("term", ["tangent", "spectrum"])
def test_a_move_is_made_of_the_eligibilities(term):
    k = 3 if term == "spectrum" else 1
    network, x = rate_network(1.0, n=10), white(20, 3)
    flossing = Flossing(term, k, rate=0.2, normalised=False)
    step = one_step(network, x, flossing)
    for i, j in np.ndindex(10, 10):
        means = [step.eligibility(i, j, b).mean() for b in range(k)]
        expected = -2 * 0.2 * step.modulator @ means if i != j else 0.0
        assert step.move[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert step.eligibility(1, 2).shape == (20, 3)
    normalised = one_step(network, x, dataclasses.replace(flossing, normalised=True))
    total = np.zeros((10, 10))
    for b in range(k):
        g = np.array(
            [[step.eligibility(i, j, b).mean() for j in range(10)] for i in range(10)]
        )
        total -= 0.2 * step.modulator[b] * g / np.sum(g**2)
    assert relative_error(normalised.move, total * network.mask) < 1e-9


def test_an_eligibility_is_the_product_of_its_factors():
    network, x = make_network(drive=1.3), make_input()
    step = one_step(network, x, Flossing("spectrum", 2))
    post, pre = step.tangents.post, step.tangents.pre
    got = step.eligibility(4, 1, 1)
    assert np.array_equal(got, (post[:, :, 1, 4] * pre[:, :, 1, 1]).T)
    assert got.any()
    with pytest.raises(InvalidValue, match=r"^FlossingStep\.eligibility needs a local"):
        one_step(network, x, Flossing("exact")).eligibility(0, 1)


def test_scaling_keeps_the_pattern_of_the_weights():
    network, x = rate_network(0.5), white(100)
    move = one_step(network, x, Flossing("scaling")).move
    ratio = move[network.mask] / network.params.w_rec[network.mask]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert ratio[0] > 0, "an exponent below 0 asks for more gain"


@pytest.mark.parametrize("term", ["tangent", "tangent-trace", "scaling", "exact"])
def test_a_small_step_goes_its_part_of_the_way(term):
    """With the normalised step, and the vectors and the input of the step."""
    network, x = rate_network(1.5, 2, leak=0.5), white(400)
    flossing = Flossing(term, rate=0.02)
    step = one_step(network, x, flossing)
    network.params.w_rec[...] += step.move
    after = one_step(network, x, flossing)
    wanted = -0.02 * step.modulator[0]
    moved = after.exponents[0] - step.exponents[0]
    assert moved == pytest.approx(wanted, rel=0.5)


# What a step is made of -------------------------------------------------------------


def measured(network, x):
    return one_step(network, x, Flossing()).exponents[0]


def test_modulator_dead_zone_and_clip():
    network, x = rate_network(1.0), white(60)
    lam = measured(network, x)
    assert -0.1 < lam < -0.01
    near = one_step(network, x, Flossing(target=lam - 0.003))
    assert near.modulator[0] == pytest.approx(0.003, rel=1e-6)
    far = one_step(network, x, Flossing(target=lam + 1.0))
    assert far.modulator[0] == -0.1
    small = one_step(network, x, Flossing(target=lam + 1.0, clip=0.02))
    assert small.modulator[0] == -0.02
    np.testing.assert_allclose(small.move, 0.2 * far.move, rtol=1e-9)
    resting = one_step(network, x, Flossing(target=lam + 0.004, dead_zone=0.005))
    assert resting.modulator[0] == 0.0
    assert not resting.move.any()
    awake = one_step(network, x, Flossing(target=lam + 0.006, dead_zone=0.005))
    assert awake.modulator[0] == pytest.approx(-0.006, rel=1e-6)
    assert awake.move.any()


@pytest.mark.parametrize("term", [*LOCAL, "exact"])
def test_the_largest_move(term):
    network, x = rate_network(0.2), white(60)
    free = one_step(network, x, Flossing(term, max_step=1e9)).move
    held = one_step(network, x, Flossing(term, max_step=1e-3)).move
    assert np.linalg.norm(free) > 1e-2
    assert np.linalg.norm(held) == pytest.approx(1e-3, rel=1e-9)
    assert cosine(free, held) == pytest.approx(1.0)


@pytest.mark.parametrize("term", [*LOCAL, "exact"])
def test_nothing_grows_where_the_mask_forbids(term):
    mask = np.random.default_rng(0).random((8, 8)) < 0.5
    network = make_network(n_rec=8, mask=mask, drive=1.3)
    move = one_step(network, make_input(), Flossing(term)).move
    assert not move[~mask].any()
    assert move[mask].any()


def test_the_running_estimate():
    network = rate_network(1.0)
    plain = Flossing(smoothing=1.0)
    slow = Flossing(smoothing=0.25)
    states = [f.start(network, 1, np.random.default_rng(0)) for f in (plain, slow)]
    seen, estimate = [], None
    for seed in range(4):
        record = network.run(white(40, seed=seed))
        measured = plain.step(network, record, states[0]).exponents[0]
        got = slow.step(network, record, states[1]).exponents[0]
        first = estimate is None
        estimate = measured if first else 0.25 * measured + 0.75 * estimate
        assert got == pytest.approx(estimate, rel=1e-12)
        seen.append(measured)
    assert np.ptp(seen) > 1e-3


def test_vectors_go_on_from_trial_to_trial():
    network, flossing = rate_network(1.0), Flossing()
    state = flossing.start(network, 1, np.random.default_rng(0))
    first = state["vectors"].copy()
    record = network.run(white(30))
    flossing.step(network, record, state)
    assert not np.array_equal(state["vectors"], first)
    exact_state = {"vectors": first.copy(), "exponents": np.full(1, np.nan)}
    Flossing("exact").step(network, record, exact_state)
    np.testing.assert_array_equal(exact_state["vectors"], state["vectors"])


@pytest.mark.parametrize("term", FLOSSING_TERMS)
def test_threads_do_not_change_the_bits(term):
    network, x = (
        make_network(n_rec=20, drive=1.3, dtype="float32"),
        make_input(n_samples=9),
    )
    moves = []
    for threads in (1, 2, 3):
        flossing = Flossing(term)
        state = flossing.start(network, 9, np.random.default_rng(3))
        step = flossing.step(network, network.run(x), state, threads=threads)
        moves.append(step.move)
    assert moves[0].any()
    assert np.array_equal(moves[0], moves[1])
    assert np.array_equal(moves[0], moves[2])


def test_spiking_cells_floss_the_voltage_without_the_reset():
    wanted = Jacobian(subspace="voltage", surrogate=Surrogate("fast-sigmoid"))
    assert Flossing().jacobian == wanted
    network, x = make_network(drive=1.3), make_input()
    step = one_step(network, x, Flossing())
    record, first = network.run(x), start(network, 3)
    expected = Linearised(network, wanted).run(record, first).log_r
    assert np.array_equal(step.growth, expected)
    own = one_step(network, x, Flossing(surrogate=None))
    assert not np.array_equal(own.growth, expected)


# Convergence ------------------------------------------------------------------------


def floss(network, draw, n, flossing, intrinsic=None, sign=1.0):
    """Floss for n trials; return what each measured."""
    rng, state, seen = np.random.default_rng(5), None, []
    for _ in range(n):
        x = draw(rng)
        record = network.run(x)
        state = state or flossing.start(network, x.shape[1], np.random.default_rng(1))
        step = flossing.step(network, record, state)
        network.params.w_rec[...] += sign * step.move
        if intrinsic:
            network.params.bias[...] += intrinsic.displacement(network, record)["bias"]
        network.constrain()
        seen.append(step.exponents[0])
    return np.array(seen)


def white_trials(rng):
    return rng.standard_normal((1000, 1, 20))


def fresh(network):
    """Return lambda_1 for an input that was never seen, with its error."""
    found = lyapunov_spectrum(network, white(2000, 4, seed=77))
    return found.exponents[0], found.error[0]


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        *(("relu", g) for g in (0.1, 0.3, 1.0, 2.0, 3.0)),
        *(("tanh", g) for g in (1.0, 2.0, 3.0)),
    ],
)
def test_the_tangent_term_brings_exponents_to_0(activation, gain):
    network = rate_network(gain, activation=activation)
    seen = floss(network, white_trials, 50, Flossing())
    assert abs(seen[0]) > 0.01 or gain == 2.0, "which is close to 0 from the start"
    assert abs(seen[-10:].mean()) < 2e-3
    found, error = fresh(network)
    assert error < 2e-3
    assert abs(found) < 3e-3 + error


@pytest.mark.parametrize("gain", [0.1, 0.3, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_scaling_brings_exponents_to_0(activation, gain):
    network = rate_network(gain, activation=activation)
    seen = floss(network, white_trials, 40, Flossing("scaling"))
    assert abs(seen[-10:].mean()) < 2e-3
    found, error = fresh(network)
    assert abs(found) < 3e-3 + error


@pytest.mark.parametrize("gain", [0.1, 0.3])
def test_a_dead_zone_keeps_tanh_units_from_saturating(gain):
    """From a small gain a single direction grows, and one unit cannot reach 0.

    Beyond its bifurcation it saturates, where more weight lowers the exponent: the
    local gradient, which does not see the trajectory, then has the wrong sign.
    """
    wise, blind = (rate_network(gain, activation="tanh") for _ in range(2))
    floss(wise, white_trials, 50, Flossing(dead_zone=0.01))
    assert abs(fresh(wise)[0]) < 0.012
    floss(blind, white_trials, 50, Flossing())
    assert fresh(blind)[0] < -0.02, "the control has its exponent where it began"
    activity = [np.abs(n.run(white(300)).output[100:]).mean() for n in (wise, blind)]
    assert activity[0] < 0.3
    assert activity[1] > 0.6


@pytest.mark.parametrize("gain", [0.5, 2.5])
def test_another_target_is_where_exponents_go(gain):
    """Negative control: it is the target that they go to, not 0."""
    network = rate_network(gain, activation="tanh")
    floss(network, white_trials, 40, Flossing(target=-0.05))
    found, error = fresh(network)
    assert found == pytest.approx(-0.05, abs=5e-3 + error)


def test_the_opposite_sign_goes_away():
    """Negative control: with minus the move the exponent leaves the target."""
    network = rate_network(2.0, activation="relu")
    network.params.w_rec[...] *= 1.1
    seen = floss(network, white_trials, 10, Flossing(), sign=-1.0)
    assert seen[0] > 0.002
    assert seen[-1] > 2 * seen[0]


def poisson_trials(rng):
    return (rng.random((500, 4, 40)) < 0.04).astype(np.uint8)


SPIKES = {  # cell, gain, gain of the input, refractory time, rate at the start, trials
    "silent LIF": ("LIF", 1.0, 0.05, 5.0, (0.0, 1.0), 80),
    "silent LIF with weak weights": ("LIF", 0.2, 0.05, 5.0, (0.0, 1.0), 80),
    "silent ALIF": ("ALIF", 1.0, 0.05, 5.0, (0.0, 1.0), 80),
    "epileptic LIF": ("LIF", 3.0, 1.0, 0.0, (200.0, 500.0), 150),
    "epileptic ALIF": ("ALIF", 3.0, 1.0, 0.0, (200.0, 500.0), 150),
}


def spiking_network(kind, gain, gain_in, t_ref):
    spec = {"tau_m": 20.0, "v_th": 0.6, "t_ref": t_ref}
    cell = LIF(**spec) if kind == "LIF" else ALIF(**spec, tau_a=2000.0, beta=0.01742)
    network = RecurrentNetwork(40, 100, 2, cell=cell, dtype="float64")
    network.initialise(0, gain=gain, gain_in=gain_in)
    return network


@pytest.mark.parametrize("name", SPIKES)
def test_silent_and_epileptic_networks_are_rescued(name):
    *spec, (low, high), n = SPIKES[name]
    network = spiking_network(*spec)
    x = poisson_trials(np.random.default_rng(99))
    assert low <= 1000 * network.run(x).spikes.mean() <= high
    floss(network, poisson_trials, n, Flossing(), IntrinsicPlasticity(20.0))
    assert 1000 * network.run(x).spikes.mean() == pytest.approx(20.0, abs=4.0)
    rng = np.random.default_rng(98)
    long = (rng.random((2000, 4, 40)) < 0.04).astype(np.uint8)
    found = lyapunov_spectrum(network, long, jacobian=Flossing().jacobian)
    assert abs(found.exponents[0]) < 5e-3 + found.error[0]


def test_flossing_alone_does_not_rescue_an_epileptic_network():
    """Negative control: it is the bias that brings the rate down."""
    network = spiking_network("LIF", 3.0, 1.0, 0.0)
    floss(network, poisson_trials, 40, Flossing())
    x = poisson_trials(np.random.default_rng(99))
    assert 1000 * network.run(x).spikes.mean() > 100


def test_intrinsic_plasticity_by_hand():
    network = make_network(cell=LIF(np.array([5.0, 10.0] * 3), v_th=0.5), drive=1.3)
    x = make_input()
    record = network.run(x)
    target = 1000 * record.spikes.mean()
    move = IntrinsicPlasticity(target, 0.3).displacement(network, record)["bias"]
    for j in range(6):
        rate = 1000 * record.spikes[:, :, j].mean()
        rest = (1 - np.exp(-1 / network.cell.tau_m[j])) * 0.5
        expected = 0.3 * rest * (target - rate) / (target + rate)
        assert move[j] == pytest.approx(expected, rel=1e-12)
    assert move.min() < 0 < move.max()
    for name in ("target_hz", "strength"):
        for bad in (0.0, -1.0, np.inf, np.nan):
            message = rf"^IntrinsicPlasticity\.{name} must be > 0"
            with pytest.raises(InvalidValue, match=message):
                IntrinsicPlasticity(**{name: bad})


# Schedules and errors ---------------------------------------------------------------


def test_when_episodes_come():
    flossing = Flossing(pre_episodes=7, every=10, inter_episodes=3, times=2)
    due = {i: flossing.episodes_before(i) for i in range(45)}
    expected = {0: 7, 10: 3, 20: 3}
    assert {i: n for i, n in due.items() if n} == expected
    never = Flossing(inter_episodes=3)
    assert not any(never.episodes_before(i) for i in range(30))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 0}, r"^Flossing\.k must be >= 1"),
        ({"term": "tangent-trace", "k": 2}, r"^Flossing\.k must be 1 with 'tangent-tr"),
        ({"target": np.nan}, r"^Flossing\.target must be finite"),
        ({"rate": 0.0}, r"^Flossing\.rate must be in \(0, 1\]"),
        ({"rate": 1.5}, r"^Flossing\.rate must be in \(0, 1\]"),
        ({"rate": -1.5, "normalised": False}, r"^Flossing\.rate must be > 0"),
        ({"smoothing": 0.0}, r"^Flossing\.smoothing must be in \(0, 1\]"),
        ({"smoothing": 1.1}, r"^Flossing\.smoothing must be in \(0, 1\]"),
        ({"clip": 0.0}, r"^Flossing\.clip must be > 0"),
        ({"max_step": -1.0}, r"^Flossing\.max_step must be > 0"),
        ({"dead_zone": -0.1}, r"^Flossing\.dead_zone must be >= 0"),
        ({"pre_episodes": -1}, r"^Flossing\.pre_episodes must be >= 0"),
        ({"every": -1}, r"^Flossing\.every must be >= 0"),
    ],
)
def test_bad_parameters(given, message):
    with pytest.raises(InvalidValue, match=message):
        Flossing(**given)


def test_a_large_rate_is_fine_where_nothing_is_normalised():
    assert Flossing(rate=300.0, normalised=False).rate == 300.0


def test_names_that_do_not_exist():
    with pytest.raises(
        UnknownName, match=r"^unknown flossing term 'tangents'. Did you"
    ):
        Flossing("tangents")
    assert {info.name for info in FLOSSING_TERMS.values()} == set(FLOSSING_TERMS)
    assert all(all(vars(info).values()) for info in FLOSSING_TERMS.values())


def test_networks_that_cannot_be_flossed():
    with pytest.raises(InvalidValue, match=r"^Flossing\.k must be 1 to 6, the dim"):
        Flossing("spectrum", 7).check(make_network())
    with pytest.raises(InvalidValue, match=r"delay must be 1 step to be linearised"):
        Flossing().check(make_network(delay=3))
    for cell in (LIF(MIXED[:6] + 1), LIF(10.0, 5.0), LeakyRate(5.0, 2.0)):
        with pytest.raises(
            InvalidValue, match=r"'tangent-trace' must be used with one"
        ):
            Flossing("tangent-trace").check(make_network(cell=cell))
    Flossing("tangent-trace").check(make_network())


def test_a_trajectory_that_leaves_the_numbers():
    network = rate_network(1e3, leak=0.0)
    with np.errstate(all="ignore"):
        record = network.run(white(300))
        with pytest.raises(InvalidValue, match=r"^state of unit \d+ at step \d+ of"):
            state = Flossing().start(network, 1, np.random.default_rng(0))
            Flossing().step(network, record, state)


# The training loop ------------------------------------------------------------------

TRAINED = {
    "before": Flossing(pre_episodes=4),
    "between": Flossing(every=3, inter_episodes=2, times=2),
    "within": Flossing(continuous=True, rate=0.1, smoothing=0.5),
    "all": Flossing(
        "spectrum", 3, pre_episodes=2, every=2, inter_episodes=1, continuous=True
    ),
}
EXPONENTS = {  # how many an iteration reports
    "before": [4, 0, 0, 0, 0, 0],
    "between": [0, 0, 0, 2, 0, 0],
    "within": [1, 1, 1, 1, 1, 1],
    "all": [3, 1, 2, 1, 1, 1],
}


@pytest.mark.parametrize("cell", ["LIF", "ALIF", "rate"])
@pytest.mark.parametrize("name", TRAINED)
def test_resumed_training_is_the_same_bit_for_bit(name, cell):
    intrinsic = None if cell == "rate" else IntrinsicPlasticity(50.0)

    def trainer(seed=0):
        terms = {"flossing": TRAINED[name], "intrinsic": intrinsic}
        return make_trainer(EProp(), cell=cell, seed=seed, **terms)

    whole, cut = trainer(), trainer()
    metrics = train(whole, 6)
    assert [len(m.exponents) for m in metrics] == EXPONENTS[name]
    train(cut, 3)
    state = cut.state()
    assert {"flossing/vectors", "flossing/exponents"} <= set(state)
    resumed = trainer(seed=5)
    resumed.seed = 0
    resumed.load_state(state)
    rest = train(resumed, 3)
    assert_same(resumed, whole)
    assert [m.exponents for m in rest] == [m.exponents for m in metrics[3:]]
    forgotten = trainer()
    forgotten.load_state(state)
    forgotten.flossing_state = trainer().flossing_state
    if name in ("within", "all"):
        train(forgotten, 1)
        first = trainer()
        first.load_state(state)
        train(first, 1)
        mine, theirs = (t.network.params.w_rec for t in (first, forgotten))
        assert not np.array_equal(mine, theirs), "the state of flossing counts"


@pytest.mark.parametrize("update_every", [0, 5])
@pytest.mark.parametrize("cell", ["LIF", "rate"])
def test_flossing_that_never_comes_leaves_the_bits(cell, update_every):
    """And flossing that comes does not."""
    options = {"cell": cell, "update_every": update_every}
    plain = make_trainer(EProp(), **options)
    idle = make_trainer(EProp(), **options, flossing=Flossing())
    busy = make_trainer(EProp(), **options, flossing=Flossing(continuous=True))
    for trainer in (plain, idle, busy):
        train(trainer, 5)
    for name, array in weights(plain).items():
        assert np.array_equal(array, weights(idle)[name]), name
    assert not np.array_equal(weights(plain)["w_rec"], weights(busy)["w_rec"])
    assert not any(name.startswith("flossing") for name in plain.state())


def test_flossing_before_training_is_that_of_the_same_batches():
    flossing = Flossing(pre_episodes=3)
    trainer = make_trainer(EProp(), flossing=flossing)
    other = make_trainer(EProp(), flossing=flossing)
    before = weights(other)
    for episode in range(3):
        step = other.floss(episode)
        assert step.move.any()
    now = weights(other)
    assert not np.array_equal(now["w_rec"], before["w_rec"])
    for name in ("w_in", "w_out", "b_out", "bias"):
        assert np.array_equal(now[name], before[name]), name
    plain = make_trainer(EProp())
    plain.network.params.load(now)
    train(trainer, 1)
    train(plain, 1)
    for name, array in weights(plain).items():
        assert np.array_equal(array, weights(trainer)[name]), name


def test_flossing_keeps_masks_and_signs():
    signs = np.array([1, -1, 0] * 3)
    net = {"signs": signs, "mask": np.random.default_rng(0).random((9, 9)) < 0.6}
    flossing = Flossing(rate=1.0, continuous=True, target=1.0, pre_episodes=5)
    trainer = make_trainer(EProp(), net=net, flossing=flossing)
    before = weights(trainer)["w_rec"]
    train(trainer, 3)
    after = weights(trainer)["w_rec"]
    assert not after[~net["mask"]].any()
    assert not (after * signs < 0).any()
    assert (after != before)[net["mask"]].any()


def test_biases_move_in_training_where_the_rule_does_not_learn_them():
    options = {"trainable": ("w_out",), "intrinsic": IntrinsicPlasticity(5.0, 0.2)}
    trainer = make_trainer(EProp(), **options)
    before = weights(trainer)
    rates = [m.rate_hz for m in train(trainer, 30)]
    assert (weights(trainer)["bias"] != before["bias"]).any()
    assert np.array_equal(weights(trainer)["w_rec"], before["w_rec"])
    assert np.mean(rates[-5:]) < 0.7 * np.mean(rates[:5])


def test_trainers_that_cannot_floss():
    with pytest.raises(
        InvalidValue, match=r"^Trainer\.flossing must be given to floss"
    ):
        make_trainer(EProp()).floss()
    message = r"^Trainer\.intrinsic must be used with spiking cells; got 'rate units'"
    with pytest.raises(InvalidValue, match=message.replace("'rate units'", ".*rate")):
        make_trainer(EProp(), cell="rate", intrinsic=IntrinsicPlasticity())
    with pytest.raises(InvalidValue, match=r"delay must be 1 step"):
        make_trainer(EProp(), net={"delay": 2}, flossing=Flossing())
    with pytest.raises(InvalidValue, match=r"^Flossing\.k must be 1 to 9"):
        make_trainer(EProp(), flossing=Flossing("spectrum", 10))
    trainer = make_trainer(EProp(), flossing=Flossing())
    plain = make_trainer(EProp()).state()
    with pytest.raises(
        InvalidValue, match=r"^checkpoint entry 'flossing/vectors' must"
    ):
        trainer.load_state(plain)


def test_an_episode_has_the_input_of_its_batch():
    trainer = make_trainer(EProp(), flossing=Flossing())
    train(trainer, 2)
    network, seed = trainer.network, trainer.seed
    for episode in (0, 3):
        state = {k: v.copy() for k, v in trainer.flossing_state.items()}
        x = trainer.task.train_batch(2 + episode, trainer.batch_size, seed).x
        expected = Flossing().step(network, network.run(x), state)
        assert np.array_equal(trainer.floss(episode).growth, expected.growth)
    other = trainer.task.train_batch(2, trainer.batch_size, seed).x
    assert not np.array_equal(other, x), "or any batch would do"


@pytest.mark.parametrize("continuous", [False, True])
def test_biases_move_once_per_trial(continuous):
    intrinsic = IntrinsicPlasticity(5.0, 0.2)
    options = {"trainable": ("w_out",), "flossing": Flossing(continuous=continuous)}
    trainer = make_trainer(EProp(), intrinsic=intrinsic, **options)
    network, before = trainer.network, weights(trainer)["bias"]
    x = trainer.task.train_batch(0, trainer.batch_size, trainer.seed).x
    expected = intrinsic.displacement(network, network.run(x))["bias"]
    train(trainer, 1)
    moved = weights(trainer)["bias"] - before
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(moved, expected, atol=1e-12)


@pytest.mark.parametrize("update_every", [0, 3])
def test_flossing_and_biases_follow_the_step_size(update_every):
    """Else they would shift a network that cannot learn to follow any more."""
    moved = []
    for schedule in ("constant", "cosine"):
        trainer = make_trainer(
            EProp(),
            trainable=("w_out",),
            flossing=Flossing(continuous=True),
            intrinsic=IntrinsicPlasticity(5.0, 0.2),
            schedule=schedule,
            iterations=2 if update_every == 0 else 1,
            update_every=update_every,
        )
        trainer.iteration = 1  # half of the way, or its end
        before = weights(trainer)
        train(trainer, 1)
        after = weights(trainer)
        moved.append({name: after[name] - before[name] for name in ("w_rec", "bias")})
    share = 0.5 if update_every == 0 else 0.0
    for name, full in moved[0].items():
        assert np.abs(full).max() > 1e-3
        np.testing.assert_allclose(moved[1][name], share * full, atol=1e-12)
