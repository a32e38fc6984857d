"""Event-corrected Jacobians against an exact simulation in continuous time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.analysis.lyapunov import lyapunov_spectrum
from spikelearn.errors import InvalidValue
from spikelearn.kernels.vector import padded
from spikelearn.network import ALIF, LIF, LeakyRate, RecurrentNetwork
from spikelearn.network.tangent import Jacobian, Linearised
from tests.helpers import make_input, make_network
from tests.reference.event_driven import EventDriven

N, TAU_M, TAU_SYN, TAU_A, BETA, DURATION = 6, 20.0, 5.0, 50.0, 0.2, 40.0


def setting(adapts, seed):
    """Return a network in continuous time, and the start of its state."""
    rng = np.random.default_rng(seed)
    w_rec = rng.standard_normal((N, N)) * 3.0 / np.sqrt(N)
    np.fill_diagonal(w_rec, 0.0)
    drive = 1.3 + 0.5 * rng.random(N)
    beta = BETA if adapts else 0.0
    exact = EventDriven(w_rec, drive, TAU_M, TAU_SYN, 1.0, beta, TAU_A)
    start = 0.9 * rng.random(N), np.zeros(N), 0.1 * rng.standard_normal(N)
    direction = rng.standard_normal((3, N))
    direction[1] *= adapts
    return exact, start, direction / np.linalg.norm(direction)


def true_response(exact, start, direction, size=1e-6):
    """Return how the final state of the exact simulation follows its start."""
    ends = []
    for sign in (1, -1):
        moved = (x + sign * size * d for x, d in zip(start, direction, strict=True))
        ends.append(exact.run(*moved, DURATION))
    up, down = ends
    assert [j for _, j in up[3]] == [j for _, j in down[3]], "no spike may change"
    pairs = zip(up[:3], down[:3], strict=True)
    changed = np.stack([(u - d) / (2 * size) for u, d in pairs])
    changed[1] *= exact.beta > 0  # an adaptation that nobody feels
    return changed


def response(exact, start, direction, adapts, dt, change=None):
    """Return the same by the product of Jacobians, and the spiking neurons."""
    options = {"tau_m": TAU_M, "tau_syn": TAU_SYN, "input_scaling": "leak"}
    cell = ALIF(**options, tau_a=TAU_A, beta=BETA) if adapts else LIF(**options)
    network = RecurrentNetwork(1, N, 1, cell=cell, dt=dt, dtype="float64")
    network.params.w_rec[...] = exact.w_rec
    network.params.bias[...] = (1 - np.exp(-dt / TAU_M)) * exact.drive
    state = network.zero_state(1)
    state.v[0], state.i[0] = start[0], start[2]
    record = network.run(np.zeros((round(DURATION / dt), 1, 1)), state=state)
    linearised = Linearised(network, Jacobian(events=True))
    if change:
        linearised.linear = change(linearised.linear)
    parts = [0, 1, 2] if adapts else [0, 2]
    vector = np.zeros((1, 1, len(parts), padded(N)))
    vector[0, 0, :, :N] = direction[parts]
    flat = vector.reshape(1, 1, -1)
    growth = linearised.run(record, flat).log_r.sum()
    end = np.zeros((3, N))
    end[parts] = flat.reshape(len(parts), -1)[:, :N] * np.exp(growth)
    return end, record.spike_events(0)[1].tolist()


def error(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("adapts", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_small_changes_grow_as_in_continuous_time(seed, adapts):
    case = setting(adapts, seed)
    expected = true_response(*case)
    spikes = [j for _, j in case[0].run(*case[1], DURATION)[3]]
    assert len(spikes) >= 9
    errors = []
    for dt in (0.02, 0.005):
        got, order = response(*case, adapts, dt)
        assert order == spikes
        errors.append(error(got, expected))
    assert errors[0] < 0.015
    assert errors[1] < 0.6 * errors[0], "it converges with the time step"


@pytest.mark.parametrize("part", ["into_i", "into_v", "off_v", "into_a"])
def test_every_part_of_a_shift_is_needed(part):
    """Negative control: without one of its effects a shift is another one."""
    case = setting(True, 0)

    def without(linear):
        nothing = np.zeros_like(linear.zeta)
        return linear._replace(**{part: nothing})

    got, _ = response(*case, True, 0.01, without)
    assert error(got, true_response(*case)) > 0.02


def test_a_spike_that_others_hear_is_more_than_its_pseudo_derivative():
    """Negative control: the Jacobian with a surrogate is not the true dynamics."""
    case = setting(False, 0)
    expected = true_response(*case)
    network = make_network(n_rec=N, cell=LIF(TAU_M, TAU_SYN))
    surrogate = Linearised(network, Jacobian(reset=True)).linear
    own = surrogate._replace(zeta=np.full_like(surrogate.zeta, 0.01 / TAU_M))
    got, _ = response(*case, False, 0.01, lambda _: own)
    assert error(got, expected) > 0.3


def test_uncoupled_neurons_keep_the_phase_of_their_spikes():
    """Every neuron alone is a clock: its shifts of spike times neither grow nor decay.

    The currents decay with tau_syn, or faster where a clock forgets.
    """
    dt, n = 0.05, 4
    cell = LIF(TAU_M, TAU_SYN, input_scaling="leak")
    network = RecurrentNetwork(1, n, 1, cell=cell, dt=dt, dtype="float64")
    network.params.bias[...] = (1 - np.exp(-dt / TAU_M)) * np.array([1.5, 1.7, 2, 2.2])
    x = np.zeros((40000, 1, 1))
    found = lyapunov_spectrum(network, x, 2 * n, jacobian=Jacobian(events=True))
    assert found.kind == "events"
    np.testing.assert_allclose(found.per_ms[:n], 0.0, atol=2e-3)
    np.testing.assert_allclose(found.per_ms[n:], -1 / TAU_SYN, rtol=1e-3)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (LIF(10.0), "tau_syn = 0"),
        (LIF(10.0, 5.0, reset="zero"), "reset 'zero'"),
        (LIF(10.0, 5.0, t_ref=3.0), "refractory cells"),
        (LIF(10.0, np.array([0.0] + [5.0] * 5)), "tau_syn = 0"),
        (LeakyRate(10.0, 5.0), "rate units"),
    ],
)
def test_cells_whose_spikes_cannot_be_shifted(cell, reason):
    network = make_network(cell=cell)
    with pytest.raises(InvalidValue, match=reason):
        lyapunov_spectrum(network, make_input(), jacobian=Jacobian(events=True))


def test_one_step_of_refractoriness_has_no_effect():
    network = make_network(cell=LIF(10.0, 5.0, t_ref=1.0), drive=1.5)
    other = dataclasses.replace(network.cell, t_ref=0.0)
    twin = make_network(cell=other, drive=1.5)
    found = [
        lyapunov_spectrum(net, make_input(), jacobian=Jacobian(events=True)).exponents
        for net in (network, twin)
    ]
    assert found[0] == found[1]


def test_only_a_crossing_shifts_a_spike():
    """A state that stays above the threshold spikes at every step, at no time of it."""
    network = make_network(cell=LIF(10.0, 5.0), drive=4.0)
    record = network.run(make_input(n_steps=60))
    gates = Linearised(network, Jacobian(events=True)).gates(record)
    gates = gates[..., : network.n_rec].transpose(1, 0, 2)
    above = record.distance > 0
    again = np.zeros_like(above)
    again[1:] = above[1:] & above[:-1]
    first = above & ~again
    first[0] = False
    slope = np.diff(record.distance, axis=0, prepend=np.nan)
    assert again.sum() > 20 and first.sum() > 10
    assert not gates[~first].any()
    assert gates[first] == pytest.approx(1 / slope[first], rel=1e-12)
