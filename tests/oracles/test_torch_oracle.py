"""The torch oracle is right: checks that ask no learning rule of spikelearn but e-prop.

Its forward pass equals spikelearn's; its BPTT equals the gradient of a real loss and,
for smooth cells, finite differences; the definitions differ where the rules do.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import cases
from tests.oracles.cases import CASES, RATE, build, distance, draw_input, draw_signal
from tests.oracles.definitions import (
    NEURONAL,
    definition,
    layer_loss_gradients,
    loss_gradients,
    total_derivative,
)
from tests.oracles.torch_network import Specification, run, tensor, torch

pytestmark = pytest.mark.torch

CELL_TYPES = {"variant": "cell-types"}
RULES = {
    "e-prop": ("EProp", {}),
    "BPTT": ("BPTT", {}),
    "BPTT with reset": ("BPTT", {"reset": True}),
    "SnAp-1": ("SnAp1", {}),
    "MDGL cell types": ("MDGL", CELL_TYPES),
    "MDGL cell types, non-local": ("MDGL", {**CELL_TYPES, "non_local": True}),
    "MDGL one hop": ("MDGL", {"variant": "one-hop"}),
    "MDGL online": ("MDGL", {"variant": "online"}),
    "ModProp": ("ModProp", {}),
}


def forward(network, x):
    spec = Specification.of(network)
    return run(spec, spec.leaves(), x)


def with_types(case, **changes):
    return build(case, cell_types=cases.TYPES, **changes)


@pytest.mark.parametrize("case", CASES)
def test_forward_pass_equals_spikelearn(case):
    network, x = build(case), draw_input()
    expected = forward(network, x)
    cases.assert_alive(network, expected)
    record = network.run(x)
    sent = record.spikes if expected.specification.spiking else record.output
    if expected.specification.spiking:
        assert np.array_equal(sent, expected.array("sent"))
    else:
        assert np.abs(sent - expected.array("sent")).max() < 1e-12
    y = expected.array("y")
    assert np.abs(record.y - y).max() < 1e-12 * max(1.0, np.abs(y).max())


def make_loss(network, x):
    shape = (*x.shape[:2], network.n_out)
    target = tensor(np.random.default_rng(5).standard_normal(shape))

    def loss(y):
        return ((y - target) ** 2).sum() / 2 + torch.logsumexp(y, 2).sum()

    return loss


def symmetric_signal(network, x, loss):
    """The signal of a real loss: its derivative, fed back through w_out^T."""
    y = torch.stack([y.detach() for y in forward(network, x).y]).requires_grad_()
    (error,) = torch.autograd.grad(loss(y), y)
    signal = draw_signal(network, x, parts=())
    signal.error = error.numpy()
    mask = Specification.of(network).masks.get("w_out", 1.0)
    signal.feedback = (network.params.w_out * mask).T.copy()
    return signal


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_bptt_with_symmetric_feedback_is_the_gradient_of_the_loss(case, reset):
    network, x = build(case), draw_input()
    loss = make_loss(network, x)
    signal = symmetric_signal(network, x, loss)
    expected = loss_gradients(network, x, loss, reset=reset)
    cases.assert_gradients_alive(expected)
    got = definition("BPTT", {"reset": reset}, network, x, signal)
    assert distance(got, expected) < 1e-12
    signal.feedback[-1] *= 1.01
    got = definition("BPTT", {"reset": reset}, network, x, signal)
    assert distance(got, expected) > 1e-6


@pytest.mark.parametrize("case", [case for case in RATE if "relu" not in case])
def test_gradient_of_the_loss_equals_finite_differences(case):
    network, x = build(case), draw_input(n_steps=12)
    loss = make_loss(network, x)
    expected = loss_gradients(network, x, loss, reset=True)
    spec = Specification.of(network)

    def evaluate():
        with torch.no_grad():
            result = run(spec, {k: tensor(v) for k, v in spec.values.items()}, x)
            return float(loss(torch.stack(result.y)))

    for name, gradient in expected.items():
        array, scale = spec.values[name], np.abs(gradient).max()
        for index in list(np.ndindex(array.shape))[::5]:
            kept, step = array[index], 1e-5
            array[index] = kept + step
            high = evaluate()
            array[index] = kept - step
            slope = (high - evaluate()) / (2 * step)
            array[index] = kept
            assert abs(slope - gradient[index]) < 1e-6 * scale, (name, index)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_total_derivative_times_eligibility_is_bptt(case, reset):
    """Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), eq. 1."""
    network, x = build(case), draw_input()
    signal = draw_signal(network, x)
    expected = definition("BPTT", {"reset": reset}, network, x, signal)
    given = draw_signal(network, x, parts=())
    given.broadcast = np.zeros_like(given.error)
    given.direct = total_derivative(network, x, signal, reset)
    assert distance(definition("EProp", {}, network, x, given), expected) < 1e-12
    given.direct[-5] *= 1.01
    assert distance(definition("EProp", {}, network, x, given), expected) > 1e-7


@pytest.mark.parametrize("case", CASES)
def test_definitions_differ_where_the_rules_do(case):
    network, x = with_types(case), draw_input()
    signal = draw_signal(network, x)
    results = {
        label: definition(name, options, network, x, signal)
        for label, (name, options) in RULES.items()
    }
    spec = Specification.of(network)
    same = set() if spec.spiking else {("BPTT", "BPTT with reset")}
    if np.all(spec.masks["w_rec"]):  # all pairs of neurons are connected
        same |= {("MDGL cell types", "MDGL cell types, non-local")}
    for one in results:
        cases.assert_gradients_alive(results[one])
        for other in results:
            if one < other:
                apart = distance(results[one], results[other])
                if (one, other) in same:
                    assert apart < 1e-12, (one, other)
                else:
                    assert apart > 1e-4, (one, other)


@pytest.mark.parametrize("case", CASES)
def test_without_recurrent_weights_most_rules_are_bptt(case):
    network, x = with_types(case), draw_input()
    network.params.w_rec[...] = 0.0
    signal = draw_signal(network, x)
    expected = definition("BPTT", {}, network, x, signal)
    for label, (name, options) in RULES.items():
        got = definition(name, options, network, x, signal)
        reset = label in ("SnAp-1", "BPTT with reset")
        if not (reset and Specification.of(network).spiking):
            assert distance(got, expected) < 1e-12, label


def chain(case):
    """A network of one input, then neuron 0 -> 1 -> 2, of which neuron 2 is read."""
    network = with_types(case)
    params = network.params
    params.w_rec[...] = 0.0
    params.w_rec[1, 0], params.w_rec[2, 1] = 1.3, -0.9
    return network


@pytest.mark.parametrize(
    "case", ["LIF", "ALIF", "rate tanh inside", "rate relu outside"]
)
def test_hops_reach_as_far_as_they_should(case):
    """Credit of neuron 1 needs one hop, credit of neuron 0 needs two."""
    network, x = chain(case), draw_input()
    signal = draw_signal(network, x, parts=())
    signal.feedback[...] = 0.0
    signal.feedback[2] = [1.0, -0.5]

    def reached(label):
        name, options = RULES[label]
        rows = definition(name, options, network, x, signal)["w_in"][:3]
        return [bool(np.abs(row).max() > 1e-9) for row in rows]

    assert reached("e-prop") == [False, False, True]
    assert reached("SnAp-1") == [False, False, True]
    assert reached("MDGL one hop") == [False, True, True]
    assert reached("BPTT") == [True, True, True]


@pytest.mark.parametrize("case", ["rate relu inside", "rate relu outside"])
def test_modprop_with_the_true_slope_and_single_types_is_bptt(case):
    """Where f' is mu everywhere and every neuron is a type, nothing is approximated."""
    network = build(case, cell_types=np.arange(cases.N_REC))
    network.params.w_rec[...] = np.abs(network.params.w_rec) / 4
    network.params.bias[...] += 50.0  # all units far above zero: f' = 1
    x = draw_input()
    signal = draw_signal(network, x, parts=("broadcast",))
    expected = definition("BPTT", {}, network, x, signal)
    assert (forward(network, x).array("argument") > 0).all()
    got = definition("ModProp", {"mu": 1.0}, network, x, signal)
    assert distance(got, expected) < 1e-12
    assert distance(definition("ModProp", {}, network, x, signal), expected) > 1e-3


@pytest.mark.parametrize("case", ["LIF", "ALIF", "LIF delays", "rate tanh inside"])
def test_definitions_notice_small_changes(case):
    network, x = with_types(case), draw_input()
    signal = draw_signal(network, x)
    reference = definition("ModProp", {}, network, x, signal)
    other = definition("ModProp", {"mu": 0.2501}, network, x, signal)
    assert distance(other, reference) > 1e-7
    types = np.where(np.arange(cases.N_REC) == 3, 0, cases.TYPES)
    for label in ("MDGL cell types", "ModProp"):
        name, options = RULES[label]
        reference = definition(name, options, network, x, signal)
        moved = build(case, cell_types=types)
        assert distance(definition(name, options, moved, x, signal), reference) > 1e-4


def test_local_losses_are_a_direct_signal():
    """DECOLLE's local losses give the gradient of e-prop with the signal G^T error."""
    network, x = build("LIF layers"), draw_input()
    rng = np.random.default_rng(7)
    readouts = [rng.standard_normal((3, size)) for size in (4, 3)]
    targets = rng.standard_normal((*x.shape[:2], 3))
    expected, direct = layer_loss_gradients(network, x, readouts, targets, (4, 3))
    signal = draw_signal(network, x, parts=())
    signal.broadcast, signal.direct = np.zeros_like(signal.error), direct
    got = definition("DECOLLE", {}, network, x, signal)
    assert distance({name: got[name] for name in NEURONAL}, expected) < 1e-12
    assert min(np.abs(g).max() for g in expected.values()) > 1e-3
