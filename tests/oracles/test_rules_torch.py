"""Every learning rule equals its definition by stop-gradient autograd in torch."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, LeakyRate
from tests.oracles import cases
from tests.oracles.cases import (
    CASES,
    RATE,
    SPIKING,
    WIRED,
    build,
    compute,
    distance,
    draw_input,
    draw_signal,
)
from tests.oracles.definitions import definition, total_derivative
from tests.oracles.torch_network import Specification, run

pytestmark = pytest.mark.torch

RULES = {
    "e-prop": ("EProp", {}),
    "RFLO": ("RFLO", {}),
    "DECOLLE": ("DECOLLE", {}),
    "BPTT": ("BPTT", {"reset": False}),
    "BPTT with reset": ("BPTT", {"reset": True}),
    "RTRL": ("RTRL", {"reset": False}),
    "RTRL with reset": ("RTRL", {"reset": True}),
    "SnAp-1": ("SnAp1", {}),
    "MDGL": ("MDGL", {"variant": "cell-types"}),
    "MDGL non-local": ("MDGL", {"variant": "cell-types", "non_local": True}),
    "MDGL one hop": ("MDGL", {"variant": "one-hop"}),
    "MDGL online": ("MDGL", {"variant": "online"}),
    "MDGL online non-local": ("MDGL", {"variant": "online", "non_local": True}),
    "ModProp": ("ModProp", {"mu": 0.25}),
    "ModProp, other mu": ("ModProp", {"mu": 0.6}),
}
ONLINE_MDGL = ("MDGL online", "MDGL online non-local")


def suits(label, case):
    """Return whether a rule is defined for the cell of a case."""
    return label != "RFLO" or case.startswith("rate")


def setting(label, case, seed=0, **changes):
    """Return network, input and signal of a case as a rule takes them."""
    network = build(case, seed, cell_types=cases.TYPES, **changes)
    x = draw_input(seed)
    signal = draw_signal(network, x, seed)
    if label == "DECOLLE":
        signal.broadcast = np.zeros_like(signal.error)
    return network, x, signal


GRID = [(label, case) for label in RULES for case in CASES if suits(label, case)]


def test_the_grid_is_what_it_should_be():
    assert set(SPIKING) | set(RATE) | set(WIRED) == set(CASES)
    left_out = len(RULES) * len(CASES) - len(GRID)
    assert left_out == sum(not case.startswith("rate") for case in CASES)


@pytest.mark.parametrize("case", CASES)
def test_cases_are_alive(case):
    spec = Specification.of(build(case))
    cases.assert_alive(build(case), run(spec, spec.leaves(), draw_input()))


@pytest.mark.parametrize(("label", "case"), GRID)
def test_rule_equals_its_definition(label, case):
    name, options = RULES[label]
    network, x, signal = setting(label, case)
    expected = definition(name, options, network, x, signal)
    cases.assert_gradients_alive(expected)
    got = compute(network, x, signal, name, **options)
    assert distance(got, expected) < 1e-10


@pytest.mark.parametrize("part", [(), ("broadcast",), ("neuron",), ("direct",)])
@pytest.mark.parametrize("label", [label for label in RULES if label != "DECOLLE"])
def test_each_part_of_the_signal_acts_as_defined(label, part):
    name, options = RULES[label]
    case = "rate tanh outside" if label == "RFLO" else "ALIF everything"
    network, x, _ = setting(label, case)
    signal = draw_signal(network, x, parts=part)
    expected = definition(name, options, network, x, signal)
    assert distance(compute(network, x, signal, name, **options), expected) < 1e-10
    if part:
        plain = definition(name, options, network, x, draw_signal(network, x, parts=()))
        assert distance(plain, expected) > 1e-3, "the part has an effect"


def test_decolle_hears_nothing_of_the_broadcast():
    network, x, signal = setting("DECOLLE", "LIF layers")
    quiet = compute(network, x, signal, "DECOLLE")
    signal.broadcast = None
    assert distance(compute(network, x, signal, "DECOLLE"), quiet) == 0.0


# Changes of the network "LIF delays" or "rate tanh delays", too small to see in a plot.
def lif(**changes):
    return {"cell": LIF(**{"tau_m": 10.0, "surrogate": TRIANGULAR, **changes})}


TRIANGULAR = cases.surrogate("triangular")
LONGER = {"delay": np.where(np.eye(cases.N_REC), 5, cases.delays())}
SPIKING_CHANGES = {
    "tau_m": lif(tau_m=10.01),
    "tau_syn": lif(tau_syn=0.15),
    "gamma": lif(surrogate=cases.surrogate("triangular", gamma=0.601)),
    "surrogate": lif(surrogate=cases.surrogate("exponential")),
    "reset": lif(reset="zero"),
    "adaptation": {"cell": ALIF(10.0, beta=1e-3, surrogate=TRIANGULAR)},
    "delay": LONGER,
    "cell types": {"cell_types": np.roll(cases.TYPES, 1)},
}
RATE_CHANGES = {
    "tau_m": {"cell": LeakyRate(4.004, activation="tanh")},
    "placement": {"cell": LeakyRate(4.0, activation="tanh", placement="outside")},
    "delay": LONGER,
}
TYPED = ("MDGL", "MDGL non-local", *ONLINE_MDGL, "ModProp", "ModProp, other mu")


def changes_of(label):
    if label == "RFLO":
        return RATE_CHANGES
    return [name for name in SPIKING_CHANGES if name != "cell types" or label in TYPED]


@pytest.mark.parametrize(
    ("label", "change"),
    [(label, name) for label in RULES for name in changes_of(label)],
)
def test_comparison_notices_a_changed_network(label, change):
    """The control of the grid: a rule computed for another network must not pass."""
    name, options = RULES[label]
    case, table = "LIF delays", SPIKING_CHANGES
    if label == "RFLO":
        case, table = "rate tanh delays", RATE_CHANGES
    network, x, signal = setting(label, case)
    changed = build(case, **{"cell_types": cases.TYPES, **table[change]})
    expected = definition(name, options, network, x, signal)
    assert distance(compute(network, x, signal, name, **options), expected) < 1e-10
    assert distance(compute(changed, x, signal, name, **options), expected) > 1e-6


@pytest.mark.parametrize("case", ["LIF", "ALIF delays, current", "rate tanh inside"])
def test_comparison_notices_changed_options(case):
    network, x, signal = setting("ModProp", case)
    expected = definition("ModProp", {"mu": 0.25}, network, x, signal)
    got = compute(network, x, signal, "ModProp", mu=0.2501)
    assert distance(got, expected) > 1e-8
    for mine, other in (
        ({"variant": "cell-types"}, {"variant": "one-hop"}),
        ({"variant": "one-hop"}, {"variant": "cell-types"}),
    ):
        expected = definition("MDGL", mine, network, x, signal)
        assert distance(compute(network, x, signal, "MDGL", **other), expected) > 1e-4


def apart(label, other, case):
    """Return whether two rules differ in a case with self-connections and types."""
    spiking = not case.startswith("rate")
    exact = {"BPTT", "RTRL"}, {"BPTT with reset", "RTRL with reset"}
    local = {"e-prop", "RFLO"}
    groups = [*exact, local] if spiking else [exact[0] | exact[1], local]
    if "masks" not in case and "layers" not in case:  # all pairs are connected
        groups += [{"MDGL", "MDGL non-local"}, set(ONLINE_MDGL)]
    return not any({label, other} <= group for group in groups)


@pytest.mark.parametrize(
    "case", ["LIF", "ALIF masks", "LIF delays, masks", "rate tanh inside"]
)
def test_rules_of_spikelearn_differ_from_each_other(case):
    network, x, signal = setting("", case)
    results = {
        label: compute(network, x, signal, name, **options)
        for label, (name, options) in RULES.items()
        if suits(label, case)
    }
    for label, gradients in results.items():
        for other, others in results.items():
            if label < other:
                error = distance(gradients, others)
                if apart(label, other, case):
                    assert error > 1e-4, (label, other)
                else:
                    assert error < 1e-10, (label, other)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_total_derivative_times_eligibility_is_bptt(case, reset):
    """dE/dw = sum_t dE/dz e with the complete dE/dz, for e-prop's own eligibility.

    Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y), eq. 1. The derivative comes
    from torch, the eligibility from `EProp`, the sum they must give from `BPTT`.
    """
    network, x, signal = setting("BPTT", case)
    given = draw_signal(network, x, parts=())
    given.broadcast = np.zeros_like(given.error)
    given.direct = total_derivative(network, x, signal, reset)
    expected = compute(network, x, signal, "BPTT", reset=reset)
    assert distance(compute(network, x, given, "EProp"), expected) < 1e-10
    given.direct = total_derivative(network, x, signal, reset) * 1.001
    assert distance(compute(network, x, given, "EProp"), expected) > 1e-5


def central_differences(network, x, target, step=1e-5):
    """Return the gradient of |y - target|^2 / 2 over every entry that exists."""
    gradients = {}
    for name, array in network.params.arrays().items():
        mask = network.masks.get(name, np.ones(array.shape, bool))
        gradients[name] = np.zeros(array.shape)
        for index in zip(*np.nonzero(mask), strict=True):
            values = []
            for sign in (1, -1):
                kept = array[index]
                array[index] = kept + sign * step
                values.append(((network.run(x).y - target) ** 2).sum() / 2)
                array[index] = kept
            gradients[name][index] = (values[0] - values[1]) / (2 * step)
    return gradients


@pytest.mark.parametrize("name", ["BPTT", "RTRL"])
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.startswith("rate") and "relu" not in case],
)
def test_exact_rules_equal_finite_differences_of_the_loss(case, name):
    network, x = build(case), draw_input(n_steps=12)
    y = network.run(x).y
    target = np.random.default_rng(6).standard_normal(y.shape)
    signal = draw_signal(network, x, parts=())
    signal.error, signal.feedback = y - target, network.params.w_out.T.copy()
    expected = central_differences(network, x, target)
    cases.assert_gradients_alive(expected)
    assert distance(compute(network, x, signal, name), expected) < 1e-6
    assert distance(compute(network, x, signal, "EProp"), expected) > 1e-3


ONLINE = ("e-prop", "RFLO", "DECOLLE", "SnAp-1", *ONLINE_MDGL)
ONLINE_CASES = ("LIF current", "ALIF everything", "LIF delays", "rate tanh outside")
NEED_SHORT_DELAYS = ("SnAp-1", *ONLINE_MDGL)


def runs_online(label, case):
    """Return whether forward traces can compute a rule in a case."""
    return suits(label, case) and (
        "delay" not in case or label not in NEED_SHORT_DELAYS
    )


@pytest.mark.parametrize("piece", [1, 7])
@pytest.mark.parametrize(
    ("label", "case"),
    [
        (label, case)
        for label in ONLINE
        for case in ONLINE_CASES
        if runs_online(label, case)
    ],
)
def test_credit_while_the_trial_runs_adds_up_to_the_definition(label, case, piece):
    name, options = RULES[label]
    network, x, signal = setting(label, case)
    expected = definition(name, options, network, x, signal)
    rule = cases.rule(name, **options)
    traces, state, total = rule.start(network, x.shape[1]), None, None
    for first in range(0, len(x), piece):
        span = slice(first, first + piece)
        record = network.run(x[span], state=state, record=rule.needs(network))
        state = record.final
        parts = {
            key: value if key in ("feedback", "neuron") else value[span]
            for key, value in vars(signal).items()
        }
        change = rule.step(network, record, LearningSignal(**parts), traces)
        total = change if total is None else total + change
    assert distance(total.arrays(), expected) < 1e-10


@pytest.mark.parametrize("label", NEED_SHORT_DELAYS)
def test_traces_refuse_delays_that_they_cannot_follow(label):
    name, options = RULES[label]
    network = setting(label, "LIF delays")[0]
    with pytest.raises(InvalidValue, match="delay"):
        cases.rule(name, **options).start(network, 2)


def test_rflo_refuses_spiking_cells():
    network, x, signal = setting("RFLO", "LIF")
    with pytest.raises(InvalidValue, match="rflo"):
        compute(network, x, signal, "RFLO")
