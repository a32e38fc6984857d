"""Tangent kernels: closed forms, both ways to compute them, memory, refusals."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from spikelearn.analysis import jacobians
from spikelearn.analysis import tangent_kernel as module
from spikelearn.analysis.jacobians import factor_bytes, jacobian_factors
from spikelearn.analysis.tangent_kernel import (
    inner_products,
    kernel_tile,
    tangent_kernel,
)
from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import BPTT, DECOLLE, RTRL, EProp
from spikelearn.network import ALIF, LeakyRate, LeakyReadout, RecurrentNetwork

LINEAR = LeakyRate(0.0)


def build(cell=LINEAR, n_rec=9, n_out=2, tau_out=0.0, dtype="float64", **options):
    readout = LeakyReadout(tau_out)
    network = RecurrentNetwork(
        3, n_rec, n_out, cell=cell, readout=readout, dtype=dtype, **options
    )
    network.initialise(0, gain=1.2)
    return network


def inputs(n_steps=5, n_samples=6, seed=1):
    return np.random.default_rng(seed).standard_normal((n_steps, n_samples, 3))


def rows_of(network, x, rule):
    """Return J from the gradients of the rule, an error of 1 at a time."""
    from spikelearn.learning.signals import LearningSignal

    record, rows = network.run(x), []
    for b in range(x.shape[1]):
        for t in range(x.shape[0]):
            for k in range(network.n_out):
                error = np.zeros((*x.shape[:2], network.n_out))
                error[t, b, k] = 1.0
                signal = LearningSignal(error, network.params.w_out.T)
                rows.append(rule.gradients(network, record, signal).w_rec.ravel())
    return np.array(rows)


def test_a_linear_network_of_one_step():
    """y = w_out w_rec h with h = w_in x > 0: K = (w_out w_out^T) (h . h')."""
    network = build(mask=np.ones((9, 9), bool))
    for array in network.params.arrays().values():
        np.abs(array, out=array)
    network.params.w_out[1] *= -1.0
    x = np.abs(inputs(2))
    kernel = tangent_kernel(network, x, steps=[1])
    h, w_out = x[0] @ network.params.w_in.T, network.params.w_out
    expected = np.einsum("ab,kl->akbl", h @ h.T, w_out @ w_out.T).reshape(12, 12)
    assert np.allclose(kernel, expected, rtol=1e-12)
    without = build()
    without.params.load(network.params.arrays())
    without.constrain()
    own = np.einsum("aj,kj,bj,lj->akbl", h, w_out, h, w_out).reshape(12, 12)
    assert np.allclose(tangent_kernel(without, x, steps=[1]), expected - own)
    assert np.abs(own).max() > 0.01 * expected.max()


def test_nothing_has_arrived_at_the_first_step():
    assert not tangent_kernel(build(), inputs(), steps=[0]).any()


@pytest.mark.parametrize("cell", [LeakyRate(3.0, activation="tanh"), ALIF(5.0)])
@pytest.mark.parametrize("rule", [BPTT(), EProp()])
@pytest.mark.parametrize(
    "wiring", ["usual", "delay", "two absent", "delays", "sparse", "none"]
)
def test_both_ways_give_the_products_of_the_rows(cell, rule, wiring, monkeypatch):
    rng, n = np.random.default_rng(5), 9
    options = {
        "usual": {},
        "delay": {"delay": 2},
        "two absent": {"mask": np.arange(81).reshape(9, 9) % 50 > 0},
        "delays": {"delay": rng.integers(1, 4, (n, n))},
        "sparse": {"mask": rng.random((n, n)) < 0.3},
        "none": {"mask": np.zeros((n, n), bool)},
    }[wiring]
    network, x = build(cell, tau_out=4.0, **options), 3.0 * inputs()
    rows = rows_of(network, x, rule)
    monkeypatch.setattr(jacobians, "TILE_ROWS", 40)  # 4 trials
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 40 * n * 2)  # 2 neurons
    kernel = tangent_kernel(network, x, rule=rule)
    assert rows.any() == (wiring != "none")
    assert np.allclose(kernel, rows @ rows.T, rtol=1e-10, atol=1e-13)
    factors = jacobian_factors(network, network.run(x), rule)
    assert len(factors.tiles) == 2
    formed = kernel_tile(factors, 0, factors, 1, form=True)
    if wiring in ("usual", "delay", "two absent"):
        way = kernel_tile(factors, 0, factors, 1, form=False)
        assert np.allclose(formed, way, rtol=1e-10, atol=1e-13)
        assert np.abs(formed).max() > 1e-6


def test_inner_products_are_those_of_whole_kernels(monkeypatch):
    monkeypatch.setattr(jacobians, "TILE_ROWS", 30)
    x = inputs(n_samples=7)
    one, other = build(tau_out=2.0), build(tau_out=2.0)
    other.params.w_rec[...] *= 0.7
    factors = [
        jacobian_factors(net, net.run(x), rule)
        for net in (one, other)
        for rule in (BPTT(), EProp())
    ]
    own = [(f, f) for f in factors]
    whole = np.array(
        [tangent_kernel(n, x, rule=r) for n in (one, other) for r in (BPTT(), EProp())]
    )
    products, traces = inner_products(own)
    assert np.allclose(products, np.einsum("aij,bij->ab", whole, whole), rtol=1e-12)
    assert np.allclose(traces, whole.trace(axis1=1, axis2=2), rtol=1e-12)
    mixed = [(factors[0], factors[1]), (factors[2], factors[3])]
    both = [tangent_kernel(n, x, rule=BPTT(), other=EProp()) for n in (one, other)]
    assert not np.allclose(both[0], both[0].T)
    products, _ = inner_products(mixed)
    assert np.allclose(products, np.einsum("aij,bij->ab", both, both), rtol=1e-12)


def test_float32_is_close_to_float64():
    x = inputs(8, 10)
    kernels = [
        tangent_kernel(build(LeakyRate(3.0), 30, dtype=d), x)
        for d in ("float32", "float64")
    ]
    error = np.abs(kernels[0] - kernels[1]).max() / np.abs(kernels[1]).max()
    assert 1e-9 < error < 1e-5


def test_products_take_less_memory_than_a_kernel_or_a_jacobian(monkeypatch):
    monkeypatch.setattr(jacobians, "TILE_ROWS", 96)
    n_steps, n_trials, n_rec = 6, 240, 80  # 4 MB: objects of Python hardly count
    network = build(LeakyRate(3.0), n_rec, dtype="float32")
    x = inputs(n_steps, n_trials).astype(np.float32)
    record = network.run(x)
    jacobian_factors(network, record, BPTT())  # buffers that are kept
    tracemalloc.start()
    factors = jacobian_factors(network, record, BPTT())
    kept, _ = tracemalloc.get_traced_memory()
    inner_products([(factors, factors)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = n_steps * n_trials * network.n_out
    bound = factor_bytes(network, n_steps, range(n_steps)) * n_trials
    assert 0.7 * bound < kept < 1.1 * bound
    assert peak < rows**2 * 4 < rows * n_rec**2 * 4


def test_what_has_no_kernel_is_refused(monkeypatch):
    network, x = build(), inputs()
    for rule in (DECOLLE(), RTRL()):
        with pytest.raises(InvalidValue, match="must be one of bptt, e-prop"):
            tangent_kernel(network, x, rule=rule)
    for steps in ([], [5], [-1, 2]):
        with pytest.raises(InvalidValue, match="must be steps from 0 to 4"):
            tangent_kernel(network, x, steps=steps)
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "100 kB")
    with pytest.raises(InvalidValue, match="trials at a time fit"):
        tangent_kernel(network, inputs(n_samples=40))
