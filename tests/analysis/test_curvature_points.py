"""Curvature along training: points, bounds of stability, and what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikelearn.analysis.curvature import extreme_eigenvalues
from spikelearn.analysis.curvature_points import curvature_point, stability_bound
from spikelearn.analysis.hessian import Hessian
from spikelearn.analysis.rule_component import rule_component
from spikelearn.analysis.sharpness import loss_at, sharpness
from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import BPTT, EProp
from spikelearn.learning.trainer import learning_rate_scale
from spikelearn.tasks import Batch
from tests.analysis.curvature_cases import make_batch, make_rate

CROSS_ENTROPY = Classification()


def test_a_point_is_what_its_parts_say():
    network, batch = make_rate(), make_batch()
    rules = {"e-prop": EProp(), "bptt": BPTT()}
    kinds = ["hessian", "weight-noise", "rounding"]
    options = {"kinds": kinds, "rules": rules, "l2": 0.1, "draws": 4}
    found = curvature_point(
        network, batch, CROSS_ENTROPY, iteration=7, bound=3.0, sigma=0.2, **options
    )
    largest, smallest = extreme_eigenvalues(network, batch, CROSS_ENTROPY, l2=0.1)
    assert list(found.ends) == ["hessian"]
    values = [end.value for end in found.ends["hessian"]]
    assert values == pytest.approx([largest.value, smallest.value], rel=1e-4)
    assert found.rules["e-prop"] == rule_component(
        network, batch, CROSS_ENTROPY, EProp()
    )
    assert found.noise == sharpness(network, batch, CROSS_ENTROPY, sigma=0.2, draws=4)
    assert found.loss == loss_at(network, batch, CROSS_ENTROPY)
    assert found.gradient_norm == found.rules["bptt"].size
    assert (found.iteration, found.bound) == (7, 3.0)
    assert found.bound_of("bptt") == pytest.approx(3.0)
    assert found.bound_of("e-prop") == pytest.approx(3.0 / found.rules["e-prop"].rho)
    bare = curvature_point(
        network, batch, CROSS_ENTROPY, kinds=["hessian"], rules=rules
    )
    assert bare.noise is None
    assert bare.bound is None and bare.bound_of("bptt") is None


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_descent_leaves_a_minimum_above_the_bound_and_not_below(momentum):
    """A quadratic loss, that of w_out: SGD goes from near its minimum."""
    network, batch = make_rate("tanh"), make_batch("sum")
    batch = Batch(batch.x, network.run(batch.x).y, batch.mask)
    hessian = Hessian(network, batch, Regression(), parameters=("w_out",))
    largest = np.linalg.eigvalsh(hessian.dense())[-1]
    lr = stability_bound(largest, momentum)  # the bound is an involution
    assert stability_bound(lr, momentum) == pytest.approx(largest)
    minimum = hessian.coordinates.read(network)
    start = minimum + 1e-3 * np.random.default_rng(0).standard_normal(hessian.size)
    for factor, leaves in ((0.97, False), (1.03, True)):
        optimizer, w = SGD(factor * lr, momentum), {"w": start.copy()}
        state = optimizer.init(w)
        for _ in range(300):
            optimizer.step(w, {"w": hessian.product(w["w"] - minimum)}, state)
        away, before = (np.linalg.norm(at - minimum) for at in (w["w"], start))
        assert (away > 10 * before) == leaves


def test_bounds_without_a_step():
    assert stability_bound(0.5) == 4.0
    assert stability_bound(0.0) == math.inf
    assert learning_rate_scale("constant", 7, 9) == 1.0
    assert learning_rate_scale("cosine", 5, 10) == pytest.approx(0.5)
    assert learning_rate_scale("cosine", 99, 10) == 0.0


def test_a_rule_against_the_gradient_has_no_bound():
    network, batch = make_rate(), make_batch()
    signs = set()
    for seed in range(12):
        one = curvature_point(
            network,
            batch,
            CROSS_ENTROPY,
            kinds=[],
            rules={"bptt": BPTT()},
            feedback="random",
            bound=2.0,
            rng=seed,
        )
        rho = one.rules["bptt"].rho
        signs.add(rho > 0)
        assert (one.bound_of("bptt") is None) == (rho <= 0)
    assert signs == {True, False}
    assert one.ends == {}


def test_refused():
    network = make_rate()
    with pytest.raises(InvalidValue, match="samples must be >= 2; got 1"):
        curvature_point(
            network,
            make_batch(n_samples=1),
            CROSS_ENTROPY,
            kinds=["hessian"],
            rules={"bptt": BPTT()},
        )
    with pytest.raises(InvalidValue, match="rules must not be empty"):
        curvature_point(network, make_batch(), CROSS_ENTROPY, kinds=[], rules={})
