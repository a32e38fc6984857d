"""Workloads: what they promise to everyone who runs them."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.benchmark import KINDS, WORKLOADS, prepare, select
from spikelearn.benchmark.check import (
    MARGIN,
    draw_check_batch,
    gradients,
    reference,
    relative_error,
)
from spikelearn.benchmark.lyapunov import Lyapunov, LyapunovWorkload
from spikelearn.benchmark.measure import measure
from spikelearn.benchmark.workloads import SPECIFICATIONS, Workload, draw
from spikelearn.errors import InvalidValue, UnknownName

SMALL = Workload("small_alif", "e-prop", "ALIF", 12, 30, 2, 150, 3, rate=0.05)


@pytest.mark.parametrize("name", ["w1_b1", "w1_b1_10pct", "w2_pat", "w3_lif_100_b1"])
def test_the_rate_is_reached_on_all_batches(name):
    workload = SPECIFICATIONS[name]
    data = draw(workload)
    network = workload.network()
    data.load_into(network)
    rates = [network.run(x).spikes.mean() for x in data.x]
    assert np.mean(rates) == pytest.approx(workload.rate, abs=workload.tolerance)


def test_the_same_seed_gives_the_same_bits_and_another_one_other_data():
    first, again, other = draw(SMALL), draw(SMALL), draw(SMALL, seed=1)
    for name in ("w_in", "w_rec", "w_out", "x", "target"):
        mine = getattr(first, name)
        assert np.array_equal(mine, getattr(again, name))
        assert not np.array_equal(mine, getattr(other, name))


def test_batches_differ_so_that_nothing_can_be_learned_by_heart():
    data = draw(SPECIFICATIONS["w2_pat"])
    assert len(data.x) == 16
    assert len({x.tobytes() for x in data.x}) == 16
    assert len({y.tobytes() for y in data.target}) == 16
    assert not data.x[:, :2].any()
    assert data.x[:, 2:].mean() == pytest.approx(0.05, abs=0.002)
    assert not np.diagonal(data.w_rec).any()


@pytest.mark.parametrize("workload", SPECIFICATIONS.values(), ids=lambda w: w.name)
def test_float32_and_float64_have_the_same_constants(workload):
    single = workload.network("float32")
    double = workload.network("float64")
    for name in ("alpha_m", "rho", "beta", "v_th", "inverse_width"):
        one = getattr(single.cell_constants, name).astype(np.float64)
        two = getattr(double.cell_constants, name)
        assert np.allclose(one, two, rtol=1e-14, atol=0), name
    spec = workload.to_dict()
    assert double.cell_constants.alpha_m[0] == pytest.approx(spec["alpha"], rel=1e-14)
    if workload.cell == "ALIF":
        assert double.cell_constants.rho[0] == pytest.approx(spec["rho"], rel=1e-14)
    assert double.readout.factors(1.0)[0] == pytest.approx(spec["kappa"], rel=1e-14)


def test_a_rate_that_cannot_be_reached_is_an_error():
    impossible = Workload("never", "inference", "LIF", 4, 5, 1, 50, 1, rate=0.999)
    with pytest.raises(InvalidValue, match=r"must reach 0\.999 spikes a step"):
        draw(impossible)


def test_names_families_and_unknown_names():
    assert sum(len(kind.specifications) for kind in KINDS) == len(WORKLOADS)
    assert {"w1", "w2", "w3", "bptt", "lyapunov"} <= {
        w.family for w in WORKLOADS.values()
    }
    assert [w.name for w in select(["w2_pat", "w1_b1"])] == ["w1_b1", "w2_pat"]
    assert {w.name for w in select(["w2"])} == {"w2_pat", "w2_ev"}
    with pytest.raises(UnknownName, match="Did you mean 'w2_pat'"):
        select(["w2_pta"])


def test_rounding_decides_about_no_spike_of_the_check_batch():
    data = draw(SMALL)
    batch = draw_check_batch(SMALL, data)
    single, double = SMALL.network("float32"), SMALL.network("float64")
    data.load_into(single)
    data.load_into(double)
    record = double.run(batch.x)
    assert np.abs(record.distance).min() > MARGIN
    assert np.array_equal(single.run(batch.x).spikes, record.spikes)
    assert batch.spikes == record.spikes.sum() > 0
    assert batch.x.shape[1] == SMALL.n_samples <= batch.drawn


@pytest.mark.parametrize("kind", ["e-prop", "bptt"])
def test_the_gradient_is_compared_and_another_rule_is_noticed(kind):
    data = draw(SMALL)
    batch = draw_check_batch(SMALL, data)
    workload = Workload(**{**vars(SMALL), "kind": kind})
    network = workload.network()
    data.load_into(network)
    expected, name = reference(workload, data, batch)
    assert name == ("float64 traces" if kind == "e-prop" else "float64 sweep")
    found, spikes = gradients(network, kind, batch)
    assert spikes == batch.spikes
    assert 0.0 < relative_error(found.arrays(), expected) < 1e-5
    other, _ = gradients(network, {"e-prop": "bptt", "bptt": "e-prop"}[kind], batch)
    assert relative_error(other.arrays(), expected) > 1e-3


def test_a_step_learns_and_goes_through_the_batches():
    ours = prepare(SPECIFICATIONS["w2_pat"])
    before = ours.network.params.copy().arrays()
    ours.step()
    for name in ("w_in", "w_rec", "w_out"):
        change = np.abs(ours.network.params.arrays()[name] - before[name])
        assert 0 < change.max() < 1e-6, name
    assert not np.diagonal(ours.network.params.w_rec).any()
    inference = prepare(SPECIFICATIONS["w1_b1"])
    before = inference.network.params.copy().arrays()
    inference.step()
    after = inference.network.params.arrays()
    assert all(np.array_equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("cell", ["ReLU", "LIF"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exponents_are_those_of_their_definition(cell, dtype):
    workload = LyapunovWorkload("small", cell, dtype, 40, 30, 200, 4)
    ours = Lyapunov(workload)
    checked = ours.check()
    assert checked["gradient_reference"] == "float64 QR"
    assert checked["gradient_error"] < (1e-10 if dtype == "float64" else 1e-3)
    assert (ours.expected_spikes() > 0) == (cell == "LIF")
    spec, arrays = workload.to_dict(), ours.arrays()
    assert arrays["x"].shape == (spec["n_batches"], 200, 1, 30)
    vectors = arrays["vectors"]
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-12)
    found = ours.check_gradients()["exponents"]
    ours.step()
    assert np.array_equal(ours.check_gradients()["exponents"], found)
    ours.x = ours.x[1:]
    assert relative_error(ours.check_gradients(), {"exponents": found}) > 1e-3


def test_the_median_is_that_of_the_runs_after_the_warm_up():
    calls = []
    timing = measure(lambda: calls.append(0), repeats=5, warm_up=3)
    assert len(calls) == 8
    assert len(timing.times_ms) == 5
    assert timing.best_ms <= timing.median_ms <= max(timing.times_ms)
    assert timing.median_ms in timing.times_ms
    with pytest.raises(InvalidValue, match="repeats must be >= 1"):
        measure(lambda: None, repeats=0)
