"""Products of the Hessian against double backward in torch."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.hessian import Hessian
from spikelearn.analysis.smoothed import Smoothed
from spikelearn.learning.losses import Classification
from spikelearn.network import ALIF, LIF, Surrogate
from tests.analysis.curvature_cases import ALL, CELLS, LOSSES, make_batch, make_rate
from tests.helpers import delays, relative_error
from tests.oracles import torch_network
from tests.oracles.torch_network import Specification, run, tensor, torch

pytestmark = pytest.mark.torch


def torch_loss(loss, y, batch):
    """The loss as its docstring defines it."""
    y = torch.stack(y)
    weight = np.broadcast_to(batch.mask, y.shape[:2]) / batch.size
    if isinstance(loss, Classification) or loss.reduction == "mean":
        weight = weight / batch.mask.astype(float).sum(axis=0)
    if isinstance(loss, Classification):
        target = torch.tensor(np.broadcast_to(batch.target, y.shape[:2]).copy())
        chosen = torch.gather(torch.log_softmax(y, 2), 2, target[:, :, None])
        return -(tensor(weight) * chosen[:, :, 0]).sum()
    squares = ((y - tensor(batch.target)) ** 2).sum(2)
    return (tensor(weight) * squares).sum() / 2


def by_torch(network, batch, loss, names, vector, l2=0.0):
    """Return the gradient and the product of the Hessian with a vector by name."""
    spec = Specification.of(network)
    leaves = spec.leaves()
    chosen = [leaves[name] for name in names]
    value = torch_loss(loss, run(spec, leaves, batch.x).y, batch)
    masked = spec.masked(leaves)
    value = value + l2 / 2 * sum((masked[name] ** 2).sum() for name in names)
    first = torch.autograd.grad(value, chosen, create_graph=True, allow_unused=True)
    inner = sum(
        (g * tensor(vector[n])).sum() for g, n in zip(first, names, strict=True)
    )
    second = torch.autograd.grad(inner, chosen, allow_unused=True)
    zeros = [torch.zeros_like(leaf) for leaf in chosen]
    filled = [z if s is None else s for s, z in zip(second, zeros, strict=True)]
    return tuple(
        {n: a.detach().numpy() for n, a in zip(names, arrays, strict=True)}
        for arrays in (first, filled)
    )


def compare(network, batch, loss, names=ALL, l2=0.0, seed=0, matrix=Hessian):
    hessian = matrix(network, batch, loss, parameters=names, l2=l2)
    vector = np.random.default_rng(seed).standard_normal(hessian.size)
    split = hessian.coordinates.split(vector)
    gradient, product = by_torch(network, batch, loss, names, split, l2)
    join = hessian.coordinates.join
    assert relative_error(hessian.gradient, join(gradient)) < 1e-10
    expected = join(product)
    assert np.abs(expected).max() > 1e-4, "there must be something to compare"
    assert relative_error(hessian.product(vector), expected) < 1e-10
    return expected


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell", CELLS)
def test_products_are_those_of_torch(cell, loss):
    network, batch = make_rate(cell), make_batch(loss)
    compare(network, batch, LOSSES[loss])
    compare(network, batch, LOSSES[loss], ("w_rec",), l2=0.3)


@pytest.mark.parametrize("cell", ["relu", "tanh outside", "softplus"])
@pytest.mark.parametrize("delay", [3, delays(5, 4), 20])
def test_with_delays_and_masks(cell, delay):
    rng = np.random.default_rng(3)
    masks = {
        "mask": rng.random((5, 5)) < 0.7,
        "mask_in": rng.random((5, 3)) < 0.7,
        "mask_out": rng.random((3, 5)) < 0.7,
    }
    network = make_rate(cell, delay=delay, **masks)
    network.constrain()
    compare(network, make_batch("steps"), LOSSES["steps"])


@pytest.mark.parametrize("name", ALL)
def test_each_parameter_alone(name):
    compare(make_rate("softplus outside"), make_batch("sum"), LOSSES["sum"], (name,))


def test_another_direction_has_another_product():
    """Negative control: the comparison sees a vector that is not the same."""
    network, batch = make_rate(), make_batch()
    one = compare(network, batch, LOSSES["trial"])
    hessian = Hessian(network, batch, LOSSES["trial"], parameters=ALL)
    other = np.random.default_rng(1).standard_normal(hessian.size)
    assert relative_error(hessian.product(other), one) > 1e-2


def sigmoid(spec, distance, ready):
    """The spike of the smoothed network, written from the areas of the surrogates."""
    x = distance / (spec.surrogate.width * spec.v_th)
    m = torch.where(x < 0, -x, x)  # the second derivative of abs imports a compiler
    tail = {
        "triangular": lambda: (1 - m).clamp(min=0) * (1 - m) / 2,
        "fast-sigmoid": lambda: 1 / (2 * (1 + m)),
        "exponential": lambda: torch.exp(-m) / 2,
        "arctan": lambda: 0.5 - torch.atan(m) / np.pi,
    }[spec.surrogate.name]()
    return torch.where(x < 0, tail, 1 - tail) * ready


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "cell",
    [
        LIF(10.0),
        LIF(8.0, 4.0, reset="zero", surrogate=Surrogate("fast-sigmoid", width=0.5)),
        ALIF(8.0, tau_a=30.0, beta=0.4, surrogate=Surrogate("exponential")),
        ALIF(8.0, 3.0, beta=0.4, reset="zero", surrogate=Surrogate("arctan")),
    ],
)
def test_products_of_smoothed_networks_are_those_of_torch(cell, loss, monkeypatch):
    monkeypatch.setattr(torch_network, "spike", sigmoid)
    network = make_rate(cell, gain=3.0, delay=delays(5, 3))
    compare(network, make_batch(loss), LOSSES[loss], l2=0.1, matrix=Smoothed)
