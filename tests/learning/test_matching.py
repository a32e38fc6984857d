"""Matching a Lyapunov exponent by scaling: reached, kept, and out of reach."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.lyapunov import trial_exponents
from spikelearn.connectivity import dale, erdos_renyi, gaussian
from spikelearn.errors import InvalidValue
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.matching import largest_exponent, match_lyapunov
from spikelearn.network import ALIF, LIF, LeakyRate, RecurrentNetwork

N = 40
CELLS = {
    "relu": LeakyRate(10.0),
    "tanh": LeakyRate(10.0, activation="tanh"),
    "LIF": LIF(20.0),
    "ALIF": ALIF(20.0, tau_a=100.0, beta=0.2),
}
TOLERANCE = 1e-3


def made(cell, family, seed=0):
    drawn = family.draw(N, seed)
    spec = {"cell": CELLS[cell], "dtype": "float64", **drawn.structure()}
    network = RecurrentNetwork(10, N, 2, **spec)
    network.initialise(seed, gain_in=2.0, w_rec=drawn.weights)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 1, 10))
    if network.spiking:
        x = (rng.random(x.shape) < 0.15).astype(np.uint8)
    return network, x


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("family", "target"),
    [(gaussian(), -0.02), (dale(base=gaussian(1.5)), 0.0), (erdos_renyi(0.3), 0.01)],
    ids=str,
)
def test_the_exponent_is_reached_by_one_factor(cell, family, target):
    network, x = made(cell, family)
    before = network.params.w_rec.copy()
    result = match_lyapunov(network, x, target, tolerance=TOLERANCE)
    np.testing.assert_allclose(network.params.w_rec, result.factor * before)
    assert result.factor > 0
    assert abs(result.factor - 1) > 1e-3, "it had to be moved"
    assert result.exponent == pytest.approx(target, abs=TOLERANCE)
    assert result.exponent == largest_exponent(network, x)
    other_tangents = trial_mean(network, x, rng=9)
    assert other_tangents == pytest.approx(target, abs=6 * TOLERANCE)


def trial_mean(network, x, rng=0):
    """Mean of the passes that count, by the analysis of exponents."""
    jacobian = Flossing().jacobian
    passes = [
        trial_exponents(network, x, jacobian=jacobian, passes=p, rng=rng)[0]
        for p in range(5, 13)
    ]
    return np.mean(passes)


@pytest.mark.parametrize("cell", CELLS)
def test_the_exponent_is_that_of_trials(cell):
    network, x = made(cell, gaussian())
    expected = trial_mean(network, x)
    assert largest_exponent(network, x) == pytest.approx(expected, abs=1e-9)


def test_short_trials_are_taken_more_often():
    network, x = made("relu", gaussian())
    passes = [
        trial_exponents(network, x[:7], jacobian=Flossing().jacobian, passes=p)[0]
        for p in range(33, 97)  # eight times in a pass, of which four do not count
    ]
    got = largest_exponent(network, x[:7])
    assert got == pytest.approx(np.mean(passes), abs=1e-9)
    few = trial_exponents(network, x[:7], jacobian=Flossing().jacobian, passes=3)[0]
    assert got != pytest.approx(few, abs=1e-3)


def test_threads_do_not_matter():
    results = []
    for threads in (1, 2):
        network, x = made("LIF", gaussian())
        results.append(match_lyapunov(network, x, 0.0, threads=threads))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("cell", "family", "target"),
    [("LIF", gaussian(), 0.5), ("LIF", gaussian(), -0.3), ("tanh", gaussian(), -0.2)],
    ids=str,
)
def test_out_of_reach(cell, family, target):
    """A leaky cell forgets no faster than its leak, and spikes bound the growth."""
    network, x = made(cell, family)
    before = network.params.w_rec.copy()
    message = r"^match\.lyapunov target must be within reach, -0\.\d+ to [+-]0\.\d+ per"
    with pytest.raises(InvalidValue, match=message):
        match_lyapunov(network, x, target)
    assert np.array_equal(network.params.w_rec, before), "the weights are as they were"


def test_an_exponent_that_jumps_over_the_target():
    """The spikes of LIF cells change one by one."""
    network, x = made("LIF", gaussian())
    message = r"within reach, .* but for .* to .*, over which it jumps; got 0\. "
    with pytest.raises(InvalidValue, match=message):
        match_lyapunov(network, x, 0.0, tolerance=1e-9)


def test_wrong_questions():
    network, x = made("LIF", gaussian())
    with pytest.raises(InvalidValue, match=r"^match\.lyapunov must be finite"):
        match_lyapunov(network, x, np.nan)
    with pytest.raises(InvalidValue, match=r"^match\.tolerance must be > 0"):
        match_lyapunov(network, x, 0.0, tolerance=0.0)
    network.params.w_rec[...] = 0.0
    with pytest.raises(InvalidValue, match="weights that are not all 0"):
        match_lyapunov(network, x, 0.0)
    delayed = RecurrentNetwork(10, N, 2, delay=2)
    delayed.initialise(0)
    with pytest.raises(InvalidValue, match=r"delay must be 1 step to be linearised"):
        match_lyapunov(delayed, x, 0.0)
