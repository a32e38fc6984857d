"""The local gradient of flossing is what torch finds with stopped gradients.

The step is written as a function of the state, autograd makes its Jacobian, and the
gradient of log R with respect to the weights is taken with the old vectors and the old
state detached.
"""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.kernels.vector import padded
from spikelearn.learning.flossing import Flossing
from spikelearn.network import ALIF, LIF, LeakyRate
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised
from tests.helpers import make_input, make_network, relative_error
from tests.oracles.optional import oracle
from tests.oracles.torch_network import decay, tensor

torch = oracle("torch")

pytestmark = pytest.mark.torch

N = 7
SLOW = {"tau_a": 60.0, "beta": 0.2}
VOLTAGE = {"subspace": "voltage"}
CASES = {
    "relu": (LeakyRate(6.0), {}),
    "tanh synapses": (LeakyRate(6.0, 3.0, "tanh"), {}),
    "softplus unit": (LeakyRate(6.0, 0.0, "softplus", input_scaling="unit"), {}),
    "tanh outside synapses": (LeakyRate(6.0, 3.0, "tanh", "outside"), {}),
    "LIF": (LIF(10.0), {}),
    "LIF reset": (LIF(10.0), {"reset": True}),
    "LIF to zero": (LIF(10.0, reset="zero"), {}),
    "LIF synapses": (LIF(10.0, 5.0), {}),
    "ALIF": (ALIF(10.0, **SLOW), {}),
    "ALIF voltage": (ALIF(10.0, **SLOW), VOLTAGE),
    "ALIF voltage fast sigmoid": (
        ALIF(10.0, **SLOW, surrogate=Surrogate("fast-sigmoid", 0.4, 0.6)),
        VOLTAGE,
    ),
    "ALIF synapses reset": (ALIF(10.0, 5.0, **SLOW), {"reset": True}),
}
ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "softplus": torch.nn.functional.softplus,
}


class Step:
    """One step of a network as a function of its state, around a recorded one."""

    def __init__(self, network, subspace="full", reset=False):
        cell, n, dt = network.cell, network.n_rec, network.dt
        self.cell, self.reset = cell, reset
        self.alpha_m = decay(cell.per_neuron("tau_m", n), dt)
        self.alpha_s = decay(cell.per_neuron("tau_syn", n), dt)
        leak = cell.input_scaling == "leak"
        self.zeta = 1 - self.alpha_m if leak else torch.ones_like(self.alpha_m)
        self.spiking = isinstance(cell, LIF)
        self.adapts = isinstance(cell, ALIF) and subspace == "full"
        self.has_i = bool(self.alpha_s.any())
        if self.adapts:
            self.rho = decay(cell.per_neuron("tau_a", n), dt)

    def gate(self, distance):
        """Evaluate the pseudo-derivative from its formula."""
        s, v_th = self.cell.surrogate, self.cell.v_th
        x = distance.abs() / (s.width * v_th)
        shape = 1 / (1 + x) ** 2 if s.name == "fast-sigmoid" else torch.relu(1 - x)
        return s.gamma / v_th * shape

    def __call__(self, change, w_rec, argument):
        """Return the state after a step, but for what does not depend on `change`.

        `argument` is v - A of spiking cells before the step, of rate units the argument
        of f: before the step inside of the leak, after it outside.
        """
        parts = list(change.split(N))
        v = parts[0]
        a = parts[1] if self.adapts else torch.zeros_like(v)
        i = parts[-1] if self.has_i else torch.zeros_like(v)
        if not self.spiking:
            f = ACTIVATIONS[self.cell.activation]
            if self.cell.placement == "outside":
                i = self.alpha_s * i + w_rec @ v
                v = self.alpha_m * v + self.zeta * f(argument + i)
            else:
                i = self.alpha_s * i + w_rec @ f(argument + v)
                v = self.alpha_m * v + self.zeta * i
            return torch.cat([v, *([i] if self.has_i else [])])
        moved = v - self.cell.beta * a if self.adapts else v
        z = self.gate(argument) * moved  # a straight line with the slope psi
        i = self.alpha_s * i + w_rec @ z
        leak = self.alpha_m
        if self.cell.reset == "zero":
            leak = leak * (argument <= 0)
        new = leak * v + self.zeta * i
        if self.reset and self.cell.reset == "subtract":
            new = new - self.cell.v_th * z
        out = [new]
        if self.adapts:
            out.append(self.rho * a + z)
        return torch.cat([*out, *([i] if self.has_i else [])])


def by_autograd(network, record, first, options, detached=True):
    """Return log R (T, B, k) and its mean gradient for each vector, (k, N, N)."""
    step = Step(network, **options)
    w_rec = tensor(network.params.w_rec).requires_grad_()
    n_steps, n_samples = record.n_steps, record.n_samples
    k = first.shape[1]
    growth = []
    for b in range(n_samples):
        rows = first[b].reshape(k, -1, padded(N))[..., :N].reshape(k, -1)
        q = tensor(rows.T)
        for t in range(n_steps):
            argument = tensor(record.distance[t, b])
            zero = torch.zeros(q.shape[0], dtype=torch.float64)

            def of_state(change, argument=argument):
                return step(change, w_rec, argument)

            jacobian = torch.autograd.functional.jacobian(
                of_state, zero, create_graph=True
            )
            old = q.detach() if detached else q
            grown = jacobian @ old
            if k == 1:
                r = grown.norm().reshape(1)
                q = grown / r
            else:
                q, upper = torch.linalg.qr(grown)
                sign = upper.diagonal().detach().sign()
                r, q = upper.diagonal() * sign, q * sign
            growth.append(torch.log(r))
    logs = torch.stack(growth).reshape(n_samples, n_steps, k)
    gradients = [
        torch.autograd.grad(logs[..., v].mean(), w_rec, retain_graph=True)[0].numpy()
        for v in range(k)
    ]
    return logs.detach().numpy().transpose(1, 0, 2), np.stack(gradients)


def setting(name, k):
    cell, options = CASES[name]
    drive = 1.2 if isinstance(cell, LIF) else 0.7
    network = make_network(n_rec=N, cell=cell, drive=drive, bias=0.1)
    record = network.run(make_input(n_steps=10, n_samples=2))
    linearised = Linearised(network, Jacobian(**options))
    first = linearised.start(2, k, np.random.default_rng(6))
    return network, record, linearised, first, options


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_factors_are_the_stopped_gradient(name, k):
    network, record, linearised, first, options = setting(name, k)
    growth, expected = by_autograd(network, record, first, options)
    done = linearised.run(record, first.copy(), factors=True)
    np.testing.assert_allclose(done.log_r, growth, atol=1e-10)
    for b in range(k):
        one = slice(b, b + 1)
        post, pre = done.post[:, :, one], done.pre[:, :, one]
        got = linearised.outer(post, pre) / 20
        assert np.abs(expected[b]).max() > 1e-3
        assert relative_error(got, expected[b]) < 1e-10


@pytest.mark.parametrize(("term", "k"), [("tangent", 1), ("spectrum", 3)])
@pytest.mark.parametrize(
    "name", [n for n in CASES if CASES[n][1] in ({}, VOLTAGE) and n != "ALIF"]
)
def test_moves_are_the_stopped_gradient(name, term, k):
    network, record, _, _, options = setting(name, k)
    free = {"normalised": False, "max_step": 1e9, "surrogate": None, "target": -0.02}
    flossing = Flossing(term, k, rate=0.5, **free)
    state = flossing.start(network, 2, np.random.default_rng(6))
    first = state["vectors"].copy()
    step = flossing.step(network, record, state)
    growth, gradients = by_autograd(network, record, first, options)
    modulator = np.clip(growth.mean(axis=(0, 1)) + 0.02, -0.1, 0.1)
    np.testing.assert_allclose(step.modulator, modulator, atol=1e-10)
    expected = -np.einsum("k,kij->ij", modulator, gradients) * network.mask
    assert relative_error(step.move, expected) < 1e-10


@pytest.mark.parametrize("name", ["relu", "LIF", "ALIF"])
def test_the_gradient_must_be_stopped(name):
    """Negative control: through the old vectors it is another gradient."""
    network, record, linearised, first, options = setting(name, 1)
    _, through = by_autograd(network, record, first, options, detached=False)
    done = linearised.run(record, first.copy(), factors=True)
    got = linearised.outer(done.post, done.pre) / 20
    assert relative_error(got, through[0]) > 0.02
