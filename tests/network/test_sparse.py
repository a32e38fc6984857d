"""Sparse networks: spikes of a naive twin, the same for any number of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.network.sparse import (
    Bernoulli,
    CubaLIF,
    DeltaLIF,
    Explicit,
    FixedIndegree,
    PoissonDrive,
    Population,
    Projection,
    SparseNetwork,
    run,
)
from tests.reference import sparse as naive
from tests.reference.poisson import count

EI = ("E", "I")
CUBA, DELTA = CubaLIF(), DeltaLIF()
OTHER_CUBA = CubaLIF(
    tau_m=10.0, v_rest=-49.0, t_ref=1.0, tau_exc=10.0, tau_inh=4.0, v_reset=-58.0
)  # tau_m = tau_exc on purpose
OTHER_DELTA = DeltaLIF(tau_m=12.0, t_ref=0.0, v_th=15.0, v_reset=2.0)
DRIVE = PoissonDrive(12_000.0, 0.2)


def cuba(delay=0.1, *, n=(240, 60), cells=(CUBA, CUBA), **options):
    """300 current-based cells that keep each other going."""
    populations = dict(zip(EI, map(Population, n, cells), strict=True))
    rule = Bernoulli(0.1, self_connections=True)
    targets = [EI] if cells[0] == cells[1] else ["E", "I"]
    projections = [
        Projection(pre, post, rule, weight, delay)
        for pre, weight in (("E", 5.0), ("I", -5.0))
        for post in targets
    ]
    options = {"dtype": "float64", "rng": 1} | options
    return SparseNetwork(populations, projections, **options)


def delta(delay=1.5, *, n=(200, 50), cells=(DELTA, DELTA), **options):
    """Brunel's network, small, with stronger input."""
    populations = {
        name: Population(size, cell, DRIVE)
        for name, size, cell in zip(EI, n, cells, strict=True)
    }
    targets = [EI] if cells[0] == cells[1] else ["E", "I"]
    projections = [
        Projection(pre, post, FixedIndegree(indegree), weight, delay)
        for pre, indegree, weight in (("E", 40, 0.2), ("I", 10, -1.0))
        for post in targets
    ]
    options = {"dtype": "float64", "rng": 2} | options
    return SparseNetwork(populations, projections, **options)


def initial(network, seed=5):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.uniform(p.cell.v_reset, p.cell.v_th, p.n)
            for p in network.populations.values()
        ]
    )


def assert_equal(one, other):
    np.testing.assert_array_equal(one.steps, other.steps)
    np.testing.assert_array_equal(one.senders, other.senders)


NETWORKS = {
    "currents, one step": lambda **k: cuba(**k),
    "currents, long delay": lambda **k: cuba(1.7, **k),
    "currents, own delays": lambda **k: cuba((0.3, 2.9), **k),
    "currents, two kinds": lambda **k: cuba(0.4, cells=(CubaLIF(), OTHER_CUBA), **k),
    "jumps": lambda **k: delta(**k),
    "jumps, own delays": lambda **k: delta((0.1, 3.0), **k),
    "jumps, two kinds": lambda **k: delta(0.7, cells=(DeltaLIF(), OTHER_DELTA), **k),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_those_of_the_naive_twin(name):
    network, duration = NETWORKS[name](), 60.0
    v_init = initial(network)
    spikes = network.run(duration, v_init=v_init, rng=11)
    noise = None
    if "jumps" in name:
        key = int(key_of(11, network))
        noise = DRIVE.weight * np.array(
            [
                [count(1.2, i, t, key) for i in range(network.n_neurons)]
                for t in range(spikes.n_steps)
            ]
        )
    raster = naive.simulate(network, v_init, spikes.n_steps, noise)
    steps, senders = np.nonzero(raster)
    assert steps.size > 100
    np.testing.assert_array_equal(spikes.steps, steps)
    np.testing.assert_array_equal(spikes.senders, senders)


def key_of(seed, network):
    """Return the key of the Poisson input, drawn after the initial voltages."""
    rng = np.random.default_rng(seed)
    for population in network.populations.values():
        rng.uniform(size=population.n)
    return rng.integers(2**32)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_spikes_for_any_number_of_threads(name, dtype, threads):
    network = NETWORKS[name](n=(800, 300), dtype=dtype)
    one = network.run(40.0, rng=3)
    assert one.steps.size > 100
    assert_equal(network.run(40.0, rng=3, threads=threads), one)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["currents, own delays", "jumps"])
def test_the_same_spikes_for_any_cut_into_chunks(name, threads, monkeypatch):
    network = NETWORKS[name](n=(800, 300))
    whole = network.run(60.0, rng=3)
    monkeypatch.setattr(run, "STEPS_AT_ONCE", 37)
    monkeypatch.setattr(run, "SPIKES_AT_ONCE", 1)
    assert_equal(network.run(60.0, rng=3, threads=threads), whole)


def test_a_full_buffer_only_interrupts(monkeypatch):
    """Every neuron spikes at every step: no buffer holds a thousand of them."""
    cell = DeltaLIF(v_rest=30.0, tau_m=0.01, t_ref=0.0)
    network = SparseNetwork({"A": Population(300, cell)}, [])
    monkeypatch.setattr(run, "SPIKES_AT_ONCE", 1)
    spikes = network.run(20.0)
    np.testing.assert_array_equal(spikes.steps, np.repeat(np.arange(200), 300))
    np.testing.assert_array_equal(spikes.senders, np.tile(np.arange(300), 200))


def test_float32_has_the_statistics_of_float64():
    single, double = (
        delta(dtype=dtype, n=(800, 200)).run(600.0).after(100.0)
        for dtype in ("float32", "float64")
    )
    assert single.rate() == pytest.approx(double.rate(), rel=0.05)
    assert np.mean(single.interspike_cv()) == pytest.approx(
        np.mean(double.interspike_cv()), abs=0.05
    )


@pytest.mark.parametrize(
    ("delay", "steps"), [(0.1, 1), (0.2, 2), (1.5, 15), (30.0, 300)]
)
@pytest.mark.parametrize("kind", ["delta", "cuba"])
def test_a_spike_arrives_after_its_delay(kind, delay, steps):
    """A chain of two: the first starts above threshold, the second follows."""
    cell = (
        DeltaLIF(t_ref=100.0) if kind == "delta" else CubaLIF(v_rest=-60.0, t_ref=100.0)
    )
    weight = 1e4 if kind == "cuba" else 30.0
    chain = Explicit(np.array([0]), np.array([1]))
    network = SparseNetwork(
        {"A": Population(2, cell)}, [Projection("A", "A", chain, weight, delay)]
    )
    v_init = np.array([cell.v_th + 5.0, cell.v_rest])
    spikes = network.run(50.0, v_init=v_init)
    np.testing.assert_array_equal(spikes.senders, [0, 1])
    np.testing.assert_array_equal(spikes.steps, [0, steps])
    np.testing.assert_allclose(spikes.times, [0.0, delay])


@pytest.mark.parametrize("t_ref", [0.0, 0.1, 0.2, 2.0])
def test_refractoriness_leaves_n_minus_one_silent_steps(t_ref):
    cell = DeltaLIF(v_rest=30.0, tau_m=0.001, t_ref=t_ref)
    spikes = SparseNetwork({"A": Population(1, cell)}, []).run(10.0)
    np.testing.assert_array_equal(np.diff(spikes.steps), max(round(t_ref / 0.1), 1))


@pytest.mark.parametrize("rate_hz", [9_500.0, 11_000.0, 16_000.0])
def test_poisson_input_gives_the_rate_of_the_theory(rate_hz):
    """Siegert's formula for white noise, which many small Poisson spikes come near."""
    tau, weight, silent = 20.0, 0.1, 2.0
    cell = DeltaLIF(tau, 0.0, 20.0, 10.0, silent + 0.1)
    population = Population(1000, cell, PoissonDrive(rate_hz, weight))
    spikes = SparseNetwork({"A": population}, []).run(1200.0).after(200.0)
    per_ms = rate_hz / 1000.0
    mean, spread = weight * tau * per_ms, weight * np.sqrt(tau * per_ms)
    u = np.linspace((10.0 - mean) / spread, (20.0 - mean) / spread, 20_001)
    value = np.exp(u**2) * np.array([math.erfc(-x) for x in u])
    period = silent + tau * np.sqrt(np.pi) * np.trapezoid(value, u)
    assert spikes.rate() == pytest.approx(1000.0 / period, rel=0.04)


def test_recording_some_populations_changes_nothing_else():
    network = delta()
    everything = network.run(50.0, rng=4)
    inhibitory = network.run(50.0, rng=4, record=["I"])
    assert_equal(inhibitory, everything.of("I"))
    assert inhibitory.steps.size > 50
    assert inhibitory.rate() == everything.rate("I")
    with pytest.raises(UnknownName, match="recorded population 'E'"):
        inhibitory.of("E")


def test_seeds():
    one, same, other = cuba(rng=1), cuba(rng=np.random.default_rng(1)), cuba(rng=2)
    np.testing.assert_array_equal(one.connectivity.targets, same.connectivity.targets)
    assert one.connectivity.targets.tolist() != other.connectivity.targets.tolist()
    first = delta().run(30.0, rng=1)
    assert_equal(delta().run(30.0, rng=1), first)
    assert delta().run(30.0, rng=2).senders.tolist() != first.senders.tolist()


BAD = {
    "both kinds": (lambda: cuba(cells=(CubaLIF(), DeltaLIF())), "CubaLIF or DeltaLIF"),
    "delay 0.15": (lambda: cuba(0.15), "multiple of dt"),
    "delay below dt": (lambda: cuba(0.04), "multiple of dt"),
    "delay 0": (lambda: cuba(0.0), "Projection.delay must be > 0"),
    "descending": (lambda: cuba((2.0, 1.0)), "ascending"),
    "dtype": (lambda: cuba(dtype="float16"), "SparseNetwork.dtype"),
    "dt": (lambda: cuba(dt=0.0), "SparseNetwork.dt"),
    "nothing": (lambda: SparseNetwork({}, []), "must not be empty"),
    "n": (lambda: Population(0, CubaLIF()), "Population.n"),
    "cell": (lambda: Population(3, "LIF"), "Population.cell"),
    "tau": (lambda: DeltaLIF(tau_m=0.0), "DeltaLIF.tau_m must be finite and > 0"),
    "tau_exc": (lambda: CubaLIF(tau_exc=-1.0), "CubaLIF.tau_exc"),
    "t_ref": (lambda: DeltaLIF(t_ref=-1.0), "DeltaLIF.t_ref"),
    "reset": (lambda: DeltaLIF(v_reset=20.0), "v_reset must be < v_th = 20"),
    "threshold": (lambda: DeltaLIF(v_th=np.nan), "DeltaLIF.v_th must be finite"),
    "p": (lambda: Bernoulli(1.5), "Bernoulli.p must be from 0 to 1"),
    "indegree": (lambda: FixedIndegree(-1), "FixedIndegree.n"),
    "rate": (lambda: PoissonDrive(-1.0, 0.1), "PoissonDrive.rate_hz"),
    "weight": (lambda: PoissonDrive(1.0, np.inf), "PoissonDrive.weight"),
    "duration": (lambda: cuba().run(0.0), "run.duration must be >= dt"),
    "endless": (lambda: cuba().run(np.inf), "run.duration"),
    "threads": (lambda: cuba().run(1.0, threads=0), "run.threads must be >= 1"),
    "v_init": (lambda: cuba().run(1.0, v_init=np.zeros(3)), "v_init must have shape"),
    "NaN": (lambda: cuba().run(1.0, v_init=np.full(300, np.nan)), "must be finite"),
    "lengths": (lambda: Explicit(np.array([0]), np.array([0, 1])), "length 1"),
    "floats": (lambda: Explicit(np.array([0.5]), np.array([0])), "whole numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name):
    attempt, message = BAD[name]
    with pytest.raises(InvalidValue, match=message):
        attempt()


def test_too_many_poisson_spikes_per_step():
    drive = PoissonDrive(1e6, 0.1)
    network = SparseNetwork({"A": Population(3, DeltaLIF(), drive)}, [])
    with pytest.raises(InvalidValue, match="must be <= 640000 Hz"):
        network.run(1.0)


def test_unknown_populations():
    with pytest.raises(UnknownName, match="unknown population 'X'"):
        cuba().run(1.0, record=["X"])
    populations = {name: Population(3, DeltaLIF()) for name in "ABC"}

    def projecting(post):
        return SparseNetwork(
            populations, [Projection("A", post, Bernoulli(0.5), 1.0, 1.0)]
        )

    with pytest.raises(UnknownName, match="unknown population 'D'"):
        projecting("D")
    with pytest.raises(InvalidValue, match="stand in a row"):
        projecting(("A", "C"))
    assert projecting(("B", "C")).n_neurons == 9
