"""Norse as a second oracle: the same networks, spikes and gradients.

Norse steps by Euler. One step of `lif_step` is

    i += w_in x[t] + w_rec z[t-1]
    v += dt / tau_mem (v_leak - v + i),   z = [v > v_th]
    v := v_reset where z,                 i -= dt / tau_syn i

so with 1 - dt / tau = exp(-dt / tau_ours), v_leak = v_reset = 0 its i and v before the
reset are our i[t] and v[t] of a LIF cell with input_scaling "leak", reset "zero" and
delay 1: no shift of time. It stops the gradient at the reset; `lif_feed_forward_step`
lets it through, and is recurrent once its input is w_in x[t] + w_rec z[t-1].

`ada_lif_step` without adaptation tests v before the current arrives, v[t] takes
i[t-1], so that in our time the input comes a step later and recurrent spikes take two
steps. It subtracts v_th - v_reset from v at once, which then leaks: our v_th off the
next v is v_reset = v_th (1 - 1 / alpha_m). Here the gradient passes through the reset.

Method "super" is our fast sigmoid of height 1 and width 1 (Norse 1.1.0 does not use
its `alpha` there), "triangle" our triangular one of height `alpha` and width 1, in the
unit of v. `li_step` with tau_syn = dt is our readout without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from spikelearn.network import LIF, LeakyReadout, RecurrentNetwork, Surrogate
from tests.oracles.cases import compute, distance
from tests.oracles.definitions import definition
from tests.oracles.optional import oracle

torch = oracle("torch")
lif = oracle("norse.torch.functional.lif")
lsnn = oracle("norse.torch.functional.lsnn")
integrator = oracle("norse.torch.functional.leaky_integrator")

pytestmark = [pytest.mark.torch, pytest.mark.norse]

N_IN, N_REC, N_OUT, N_STEPS, N_SAMPLES = 5, 8, 2, 50, 3
MEMBRANE, SYNAPSE, READOUT = 0.1, 0.25, 0.15  # dt / tau of Norse
V_TH = 0.8
LEARNED = ("w_in", "w_rec", "w_out")
SURROGATES = {
    "super": Surrogate("fast-sigmoid", gamma=V_TH, width=1 / V_TH),
    "triangle": Surrogate("triangular", gamma=0.4 * V_TH, width=1 / V_TH),
}


def tau(fraction):
    """Return our time constant of a Norse leak per step, ms at dt = 1 ms."""
    return -1.0 / np.log1p(-fraction)


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


@dataclass(frozen=True)
class Model:
    """A Norse step, and what it is in our terms."""

    kind: str
    reset: str
    through_reset: bool
    late: int  # steps that the current arrives later than in `lif_step`

    def constants(self, method):
        """Return the parameters of the Norse step, in units of dt."""
        v_reset = 0.0
        if self.reset == "subtract":
            v_reset = V_TH * (1 - 1 / (1 - MEMBRANE))
        shared = {
            "tau_syn_inv": tensor(SYNAPSE),
            "tau_mem_inv": tensor(MEMBRANE),
            "v_leak": tensor(0.0),
            "v_th": tensor(V_TH),
            "v_reset": tensor(v_reset),
            "method": method,
            "alpha": 0.4,
        }
        if self.kind == "ada_lif_step":
            none = {"tau_adapt_inv": tensor(0.0), "beta": tensor(0.0)}
            return lsnn.LSNNParameters(**shared, **none)
        return lif.LIFParameters(**shared)

    def start(self):
        """Return the state before the first step."""
        zero = torch.zeros((N_SAMPLES, N_REC), dtype=torch.float64)
        if self.kind == "ada_lif_step":
            return lsnn.LSNNState(zero, zero, zero, zero)
        if self.kind == "lif_step":
            return lif.LIFState(zero, zero, zero)
        return lif.LIFFeedForwardState(zero, zero)

    def step(self, x, z, state, weights, constants):
        """Return spikes and state after a step of 1 ms."""
        w_in, w_rec = weights["w_in"], weights["w_rec"]
        if self.kind == "lif_step":
            return lif.lif_step(x, state, w_in, w_rec, constants, dt=1.0)
        if self.kind == "ada_lif_step":
            return lsnn.ada_lif_step(x, state, w_in, w_rec, constants, dt=1.0)
        drive = x @ w_in.T + z @ w_rec.T
        return lif.lif_feed_forward_step(drive, state, constants, dt=1.0)


MODELS = {
    "lif_step": Model("lif_step", "zero", through_reset=False, late=0),
    "lif_feed_forward_step": Model(
        "lif_feed_forward_step", "zero", through_reset=True, late=0
    ),
    "ada_lif_step": Model("ada_lif_step", "subtract", through_reset=True, late=1),
}


def norse_run(model, method, arrays, x):
    """Return weights that require gradients, spikes and readout of a Norse network."""
    weights = {name: tensor(arrays[name]).requires_grad_() for name in LEARNED}
    constants, state = model.constants(method), model.start()
    readout = integrator.LIParameters(tensor(1.0), tensor(READOUT), tensor(0.0))
    zero = torch.zeros((N_SAMPLES, N_OUT), dtype=torch.float64)
    readout_state = integrator.LIState(zero, zero)
    z = torch.zeros((N_SAMPLES, N_REC), dtype=torch.float64)
    spikes, y = [], []
    for row in tensor(x):
        z, state = model.step(row, z, state, weights, constants)
        out, readout_state = integrator.li_step(
            z, readout_state, weights["w_out"], readout, dt=1.0
        )
        spikes.append(z)
        y.append(out)
    return weights, torch.stack(spikes), torch.stack(y)


def our_network(model, method, **changes):
    """Return the network of ours that a Norse model is said to be."""
    cell = {
        "tau_m": tau(MEMBRANE),
        "tau_syn": tau(SYNAPSE),
        "v_th": V_TH,
        "reset": model.reset,
        "input_scaling": "leak",
        "surrogate": SURROGATES[method],
    }
    network = RecurrentNetwork(
        N_IN,
        N_REC,
        N_OUT,
        cell=LIF(**cell | changes.pop("cell", {})),
        readout=LeakyReadout(tau(READOUT)),
        mask=np.ones((N_REC, N_REC), bool),
        dtype="float64",
        **{"delay": 1 + model.late} | changes,
    )
    network.initialise(0, gain=4.0, gain_in=6.0)
    return network


def our_input(model, x):
    """Return the input in our time."""
    return np.concatenate([np.zeros_like(x[: model.late]), x])[: len(x)]


def draw_input():
    rng = np.random.default_rng(4)
    shape = (N_STEPS, N_SAMPLES, N_IN)
    return (rng.random(shape) < 0.3) * rng.uniform(0.5, 1.5, shape)


def target():
    return np.random.default_rng(5).standard_normal((N_STEPS, N_SAMPLES, N_OUT))


def norse_gradients(model, method, arrays, x):
    """Return gradients of |y - target|^2 / 2 in Norse."""
    weights, _, y = norse_run(model, method, arrays, x)
    ((y - tensor(target())) ** 2).sum().div(2).backward()
    return {name: weight.grad.numpy() for name, weight in weights.items()}


def our_signal(network, x):
    """Return the learning signal of the same loss, with symmetric feedback."""
    error = network.run(x).y - target()
    return SimpleNamespace(error=error, feedback=network.params.w_out.T.copy())


def learned(gradients):
    return {name: gradients[name] for name in LEARNED}


@pytest.mark.parametrize("name", MODELS)
def test_spikes_and_readout_equal_norse(name):
    model, x = MODELS[name], draw_input()
    network = our_network(model, "super")
    record = network.run(our_input(model, x))
    _, spikes, y = norse_run(model, "super", network.params.arrays(), x)
    assert 0.02 < record.spikes.mean() < 0.6
    assert record.spikes.any(axis=(0, 1)).all()
    assert np.array_equal(record.spikes, spikes.detach().numpy())
    assert np.abs(record.y - y.detach().numpy()).max() < 1e-12
    for change in ({"delay": 2 + model.late}, {"cell": {"tau_syn": 0.0}}):
        other = our_network(model, "super", **change)
        assert not np.array_equal(
            other.run(our_input(model, x)).spikes, spikes.detach().numpy()
        )


@pytest.mark.parametrize("method", SURROGATES)
@pytest.mark.parametrize("name", MODELS)
def test_gradients_equal_norse(name, method):
    model, x = MODELS[name], draw_input()
    network = our_network(model, method)
    expected = norse_gradients(model, method, network.params.arrays(), x)
    assert min(np.linalg.norm(gradient) for gradient in expected.values()) > 0.1
    ours = our_input(model, x)
    signal = our_signal(network, ours)
    options = {"reset": model.through_reset}
    for rule in ("BPTT", "RTRL"):
        got = compute(network, ours, signal, rule, **options)
        assert distance(learned(got), expected) < 1e-10, rule
    got = definition("BPTT", options, network, ours, signal)
    assert distance(learned(got), expected) < 1e-10


@pytest.mark.parametrize("method", SURROGATES)
@pytest.mark.parametrize("name", MODELS)
def test_comparison_of_gradients_can_fail(name, method):
    """Other reset paths, slightly other surrogates and other rules are not Norse's."""
    model, x = MODELS[name], draw_input()
    network = our_network(model, method)
    expected = norse_gradients(model, method, network.params.arrays(), x)
    ours = our_input(model, x)
    signal = our_signal(network, ours)
    got = compute(network, ours, signal, "BPTT", reset=not model.through_reset)
    assert distance(learned(got), expected) > 1e-3
    got = compute(network, ours, signal, "EProp")
    assert distance(learned(got), expected) > 1e-2
    drawn = SURROGATES[method]
    wider = Surrogate(drawn.name, drawn.gamma, drawn.width * 1.001)
    other = our_network(model, method, cell={"surrogate": wider})
    got = compute(other, ours, signal, "BPTT", reset=model.through_reset)
    assert distance(learned(got), expected) > 1e-6


@pytest.mark.parametrize("method", SURROGATES)
def test_eprop_of_unconnected_neurons_equals_norse(method):
    """Without recurrent weights e-prop is exact, also for the recurrent weights."""
    model, x = MODELS["lif_step"], draw_input()
    network = our_network(model, method)
    network.params.w_rec[...] = 0.0
    expected = norse_gradients(model, method, network.params.arrays(), x)
    assert min(np.linalg.norm(gradient) for gradient in expected.values()) > 0.1
    got = compute(network, x, our_signal(network, x), "EProp")
    assert distance(learned(got), expected) < 1e-10
