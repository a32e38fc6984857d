"""Rules of paths: exact where the mathematics says so, and different elsewhere."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from spikelearn.connectivity import stack
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.kernels.rate import ACTIVATIONS
from spikelearn.learning.losses import Regression
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RTRL,
    EProp,
    ModProp,
    SnAp1,
)
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, Surrogate
from tests.helpers import (
    copy_spec,
    delays,
    make_full_signal,
    make_input,
    make_network,
    relative_error,
)

N_REC = 6
WIDE = Surrogate("arctan", gamma=0.6, width=1.5)
CELLS = {
    "LIF": LIF(tau_m=10.0, surrogate=WIDE),
    "LIF zero": LIF(tau_m=10.0, reset="zero", t_ref=3.0, surrogate=WIDE),
    "ALIF": ALIF(tau_m=10.0, tau_a=40.0, beta=0.3, tau_syn=4.0, surrogate=WIDE),
    "ALIF zero": ALIF(tau_m=8.0, tau_a=40.0, beta=0.3, reset="zero", surrogate=WIDE),
    "mixed": ALIF(
        tau_m=np.array([5.0, 8.0, 12.0, 20.0, 30.0, 7.0]),
        tau_syn=np.array([0.0, 3.0, 0.0, 5.0, 8.0, 0.5]),
        tau_a=40.0,
        beta=np.array([0.0, 0.1, 0.3, 0.0, 0.2, 0.4]),
        t_ref=np.array([0.0, 2.0, 4.0, 0.0, 3.0, 1.0]),
        input_scaling="leak",
        v_th=np.array([0.1, 0.15, 0.12, 0.08, 0.1, 0.1]),
        surrogate=WIDE,
    ),
    "inside": LeakyRate(tau_m=8.0, tau_syn=4.0, activation="tanh"),
    "outside": LeakyRate(8.0, 4.0, "softplus", "outside", "unit"),
    "relu": LeakyRate(8.0, 0.0, "relu", "outside"),
    "no leak": LeakyRate(tau_m=0.0, activation="tanh"),
}
SPIKING = [name for name, cell in CELLS.items() if not isinstance(cell, LeakyRate)]
RATE = [name for name in CELLS if name not in SPIKING]
DELAYS = {"1": 1, "3": 3, "per synapse": delays(N_REC, 4)}
MASKS = {
    "all": np.ones((N_REC, N_REC), bool),
    "sparse": np.random.default_rng(1).random((N_REC, N_REC)) < 0.5,
}
MASKS["sparse"][np.diag_indices(3)] = True
TYPES = np.array([0, 1, 0, 1, 1, 0])


def make_case(cell="LIF", delay="1", mask="all", dtype="float64", seed=0, **spec):
    rate = isinstance(CELLS[cell], LeakyRate)
    unit = rate and CELLS[cell].input_scaling == "unit"
    usual = {
        "n_rec": N_REC,
        "cell": CELLS[cell],
        "delay": DELAYS[delay],
        "mask": MASKS[mask] if isinstance(mask, str) else mask,
        "cell_types": TYPES,
        "readout": LeakyReadout(6.0),
        "drive": (0.15 if unit else 0.9) if rate else 1.2,
        "bias": 0.05,
        "dtype": dtype,
    }
    network = make_network(seed, **usual | spec)
    x = make_input(seed, n_steps=18, n_samples=2, graded=True)
    return network, x


def gradients(rule, network, x, signal=None, threads=1):
    record = network.run(x, record=rule.needs(network))
    signal = signal or make_full_signal(network, x)
    return rule.gradients(network, record, signal, threads).arrays()


def error_alone(network, x):
    """Only what reaches neurons through the readout: the rest makes no hops."""
    signal = make_full_signal(network, x)
    return dataclasses.replace(signal, neuron=None, direct=None)


def assert_alive(network, x):
    output = network.run(x).output
    assert (output != 0).mean() > 0.03
    assert np.ptp(output) > 0.02
    if network.spiking:
        assert output.mean() < 0.8


def assert_equal(got, expected, tolerance=1e-10):
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 1e-4, f"{name}: a dead gradient proves nothing"
        assert relative_error(got[name], gradient) < tolerance, name


# BPTT -------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reset", [False, True])
def test_bptt_is_rtrl(reset, cell, delay, mask):
    """Reverse mode by kernels, forward mode by matrices: no code is shared."""
    network, x = make_case(cell, delay, mask)
    assert_alive(network, x)
    expected = gradients(RTRL(reset), network, x)
    assert_equal(gradients(BPTT(reset), network, x), expected)
    local = gradients(EProp(), network, x)
    assert relative_error(local["w_rec"], expected["w_rec"]) > 1e-3


@pytest.mark.parametrize("cell", SPIKING)
def test_the_reset_makes_a_difference(cell):
    network, x = make_case(cell)
    without, through = (gradients(BPTT(reset), network, x) for reset in (False, True))
    assert relative_error(through["w_in"], without["w_in"]) > 1e-3


@pytest.mark.parametrize("cell", RATE)
def test_rate_units_have_no_reset(cell):
    network, x = make_case(cell)
    without, through = (gradients(BPTT(reset), network, x) for reset in (False, True))
    for name, gradient in without.items():
        assert np.array_equal(through[name], gradient)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("placement", ["inside", "outside"])
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_bptt_equals_finite_differences(activation, placement, delay):
    cell = LeakyRate(6.0, 3.0, activation, placement)
    network = make_network(
        n_rec=N_REC, cell=cell, delay=DELAYS[delay], mask=MASKS["all"], bias=0.1
    )
    x = make_input(n_steps=12, n_samples=2, graded=True)
    target = np.random.default_rng(4).standard_normal((12, 2, 2))
    loss, kept = Regression(), np.ones(12)

    def energy():
        return loss(network.run(x).y, target, kept).value

    error = loss(network.run(x).y, target, kept).error
    signal = LearningSignal(error, network.params.w_out.T)
    got = gradients(BPTT(), network, x, signal)
    local = gradients(EProp(), network, x, signal)
    rng = np.random.default_rng(5)
    for name, array in network.params.arrays().items():
        indices = rng.permutation(array.size)[:12]
        differences = []
        for index in indices:
            place = np.unravel_index(index, array.shape)
            kept_value = array[place]
            array[place] = kept_value + 1e-5
            high = energy()
            array[place] = kept_value - 1e-5
            differences.append((high - energy()) / 2e-5)
            array[place] = kept_value
        expected = np.array(differences)
        assert np.abs(expected).max() > 1e-3
        assert relative_error(got[name].flat[indices], expected) < 1e-7, name
        if name in ("w_in", "w_rec", "bias"):
            off = relative_error(local[name].flat[indices], expected)
            assert off > 1e-3, "e-prop is the control"


@pytest.mark.parametrize("rule", [BPTT(), MDGL("one-hop"), EProp()], ids=str)
@pytest.mark.parametrize("cell", ["ALIF", "inside", "relu"])
def test_credit_times_input_is_the_gradient(rule, cell):
    network, x = make_case(cell)
    record, signal = network.run(x), make_full_signal(network, x)
    credit = rule.credit(network, record, signal)
    assert credit.shape == record.output.shape
    expected = rule.gradients(network, record, signal)
    assert np.abs(credit).max() > 1e-3
    w_in = np.einsum("tbj,tbi->ji", credit, x)
    w_rec = np.einsum("tbj,tbi->ji", credit[1:], record.output[:-1])
    assert relative_error(w_in, expected.w_in) < 1e-11
    assert relative_error(w_rec, expected.w_rec) < 1e-11


# Exact where there is nothing to drop -----------------------------------------------

EVERY = [
    BPTT(),
    RTRL(),
    EProp(),
    MDGL(),
    MDGL("one-hop"),
    MDGL("online"),
    MDGL(non_local=True),
    ModProp(),
]


@pytest.mark.parametrize("cell", CELLS)
def test_without_recurrent_connections_every_rule_is_exact(cell):
    network, x = make_case(cell, mask=np.zeros((N_REC, N_REC), bool))
    assert_alive(network, x)
    expected = gradients(BPTT(), network, x)
    del expected["w_rec"]
    for rule in EVERY:
        assert_equal(gradients(rule, network, x), expected)
    through = gradients(BPTT(reset=True), network, x)
    del through["w_rec"]
    assert_equal(gradients(SnAp1(), network, x), through)
    if network.spiking:
        off = relative_error(through["w_in"], expected["w_in"])
        assert off > 1e-3, "the reset is a path that e-prop leaves out"


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_snap_1_is_exact_when_neurons_connect_to_themselves_only(cell, delay):
    network, x = make_case(cell, delay, mask=np.eye(N_REC, dtype=bool))
    assert_alive(network, x)
    expected = gradients(BPTT(reset=True), network, x)
    assert_equal(gradients(SnAp1(), network, x), expected)
    assert_equal(gradients(RTRL(reset=True), network, x), expected)
    local = gradients(EProp(), network, x)
    assert relative_error(local["w_in"], expected["w_in"]) > 1e-3
    other, x = make_case(cell, delay)
    wrong = gradients(SnAp1(), other, x)["w_in"]
    exact = gradients(BPTT(reset=True), other, x)["w_in"]
    assert relative_error(wrong, exact) > 1e-3, "control: with other connections"


@pytest.mark.parametrize("cell", RATE)
def test_snap_1_without_self_connections_is_e_prop_for_rate_units(cell):
    network, x = make_case(cell, mask=~np.eye(N_REC, dtype=bool))
    assert_equal(gradients(SnAp1(), network, x), gradients(EProp(), network, x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("delay", DELAYS)
def test_one_hop_is_exact_in_two_layers_without_memory(delay, activation):
    """No path has a second hop, and the unit in between has no leak to drop."""
    cell = LeakyRate(tau_m=0.0, activation=activation)
    spec = {"cell": cell, "delay": DELAYS[delay], "bias": 0.1, "n_rec": N_REC}
    x = make_input(n_steps=18, n_samples=2, graded=True)
    network = make_network(**spec, **stack(4, (3, 3), 2, False))
    signal = error_alone(network, x)
    expected = gradients(BPTT(), network, x, signal)
    assert_equal(gradients(MDGL("one-hop"), network, x, signal), expected)
    local = gradients(EProp(), network, x, signal)
    assert relative_error(local["w_in"], expected["w_in"]) > 1e-2
    leaky = dataclasses.replace(cell, tau_m=8.0)
    three = make_network(**spec, **stack(4, (2, 2, 2), 2, False))
    for other in (copy_spec(network, cell=leaky), three):
        one_hop = gradients(MDGL("one-hop"), other, x, signal)
        exact = gradients(BPTT(), other, x, signal)
        assert relative_error(one_hop["w_in"], exact["w_in"]) > 1e-3, "controls"


def test_one_hop_is_exact_for_spiking_cells_without_memory():
    cell = LIF(tau_m=1e-3, v_th=0.5, surrogate=WIDE)
    network = make_network(
        n_rec=N_REC, cell=cell, drive=1.5, **stack(4, (3, 3), 2, False)
    )
    x = make_input(n_steps=18, graded=True)
    assert_alive(network, x)
    signal = error_alone(network, x)
    expected = gradients(BPTT(), network, x, signal)
    assert_equal(gradients(MDGL("one-hop"), network, x, signal), expected)
    local = gradients(EProp(), network, x, signal)
    assert relative_error(local["w_in"], expected["w_in"]) > 1e-2


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("placement", ["inside", "outside"])
def test_modprop_is_exact_in_a_linear_network_of_single_types(placement, delay):
    """Active relu units have the slope 1 = mu everywhere, and h is w."""
    network = make_network(
        n_rec=N_REC,
        cell=LeakyRate(6.0, 3.0, "relu", placement),
        delay=DELAYS[delay],
        mask=MASKS["all"],
        cell_types=np.arange(N_REC),
    )
    for name in ("w_in", "w_rec"):
        array = getattr(network.params, name)
        array[...] = np.abs(array) * 0.3
    network.params.bias[...] = 0.2
    x = make_input(n_steps=18, n_samples=2, graded=True)
    assert (network.run(x).distance > 0).all()
    signal = error_alone(network, x)
    expected = gradients(BPTT(), network, x, signal)
    assert_equal(gradients(ModProp(mu=1.0), network, x, signal), expected)
    for rule, other in (
        (ModProp(mu=0.9), network),
        (ModProp(mu=1.0), copy_spec(network, cell_types=TYPES)),
    ):
        off = relative_error(
            gradients(rule, other, x, signal)["w_in"], expected["w_in"]
        )
        assert off > 1e-3
    network.params.bias[...] = 0.0
    network.params.w_in[:, 0] *= -4.0
    active = (network.run(x).distance > 0).mean()
    assert 0.1 < active < 0.95
    expected = gradients(BPTT(), network, x, signal)
    off = gradients(ModProp(mu=1.0), network, x, signal)
    assert relative_error(off["w_in"], expected["w_in"]) > 1e-3


def test_modprop_with_mu_0_is_one_hop_through_the_leak():
    """Without a leak it is MDGL with the means over all pairs."""
    network, x = make_case("no leak")
    expected = gradients(MDGL(non_local=True), network, x)
    assert_equal(gradients(ModProp(mu=0.0), network, x), expected)
    network, x = make_case("inside")
    expected = gradients(MDGL(non_local=True), network, x)
    off = relative_error(gradients(ModProp(0.0), network, x)["w_in"], expected["w_in"])
    assert off > 1e-3


@pytest.mark.parametrize("cell", ["ALIF", "inside"])
@pytest.mark.parametrize("delay", DELAYS)
def test_means_over_single_types_are_the_weights(cell, delay):
    network, x = make_case(cell, delay, "sparse", cell_types=np.arange(N_REC))
    expected = gradients(MDGL("one-hop"), network, x)
    assert_equal(gradients(MDGL(), network, x), expected)
    typed = copy_spec(network, cell_types=TYPES)
    off = relative_error(gradients(MDGL(), typed, x)["w_in"], expected["w_in"])
    assert off > 1e-3


def naive_means(network, existing):
    """Mean weight between the types of every pair, by loops."""
    n = network.n_rec
    h = np.zeros((n, n))
    for post, pre in itertools.product(range(n), repeat=2):
        weights = [
            network.params.w_rec[k, j]
            for k, j in itertools.product(range(n), repeat=2)
            if network.cell_types[k] == network.cell_types[post]
            and network.cell_types[j] == network.cell_types[pre]
            and (network.mask[k, j] or not existing)
        ]
        h[post, pre] = np.mean(weights) if weights else 0.0
    return h


@pytest.mark.parametrize("non_local", [False, True])
def test_mdgl_reads_means_of_existing_connections(non_local):
    """The types' rule is the rule of single weights with the means put in by hand."""
    network, x = make_case("inside", mask="sparse")
    record, signal = network.run(x), make_full_signal(network, x)
    got = MDGL(non_local=non_local).gradients(network, record, signal)
    h = naive_means(network, existing=True)
    mask = np.ones_like(network.mask) if non_local else network.mask
    stand_in = copy_spec(network, mask=mask)
    stand_in.params.w_rec[...] = np.where(mask, h, 0.0)
    expected = MDGL("one-hop").gradients(stand_in, record, signal)
    assert relative_error(got.w_in, expected.w_in) < 1e-12
    other = gradients(MDGL(non_local=not non_local), network, x, signal)
    assert relative_error(other["w_in"], got.w_in) > 1e-3


@pytest.mark.parametrize("cell", ["inside", "outside", "LIF"])
def test_modprop_reads_means_over_all_pairs(cell):
    network, x = make_case(cell, mask="sparse")
    record, signal = network.run(x), make_full_signal(network, x)
    got = ModProp().gradients(network, record, signal)
    stand_in = copy_spec(network, mask=MASKS["all"], cell_types=np.arange(N_REC))
    stand_in.params.w_rec[...] = naive_means(network, existing=False)
    expected = ModProp().gradients(stand_in, record, signal)
    assert relative_error(got.w_in, expected.w_in) < 1e-12
    stand_in.params.w_rec[...] = naive_means(network, existing=True)
    other = ModProp().gradients(stand_in, record, signal)
    assert relative_error(other.w_in, got.w_in) > 1e-3, "absent ones count as 0"


def test_mdgl_online_without_a_readout_filter_is_mdgl():
    """With kappa = 0 the error of the moment is all that there is."""
    network, x = make_case("inside", readout=LeakyReadout(0.0))
    assert_equal(gradients(MDGL("online"), network, x), gradients(MDGL(), network, x))
    network, x = make_case("inside")
    off = gradients(MDGL("online"), network, x)["w_in"]
    assert relative_error(off, gradients(MDGL(), network, x)["w_in"]) > 1e-3


@pytest.mark.parametrize("cell", RATE)
def test_rflo_is_e_prop_of_rate_units(cell):
    network, x = make_case(cell)
    expected = gradients(EProp(), network, x)
    for name, gradient in gradients(RFLO(), network, x).items():
        assert np.array_equal(gradient, expected[name])


@pytest.mark.parametrize("cell", ["ALIF", "inside", "outside"])
def test_decolle_is_e_prop_of_the_direct_signal(cell):
    """Neurons see their local errors only, and the readout its own."""
    network, x = make_case(cell)
    signal = make_full_signal(network, x)
    got = gradients(DECOLLE(), network, x, signal)
    alone = dataclasses.replace(signal, broadcast=np.zeros_like(signal.error))
    assert_equal(got, gradients(EProp(), network, x, alone))
    full = gradients(EProp(), network, x, signal)
    assert relative_error(full["w_in"], got["w_in"]) > 1e-3
    none = dataclasses.replace(signal, direct=None)
    with pytest.raises(InvalidValue, match=r"decolle.*got none.*feedback = 'local'"):
        gradients(DECOLLE(), network, x, none)


# The signal -------------------------------------------------------------------------

RULES = [*EVERY, BPTT(reset=True), RTRL(reset=True), SnAp1(), DECOLLE()]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("cell", ["ALIF zero", "outside"])
def test_gradients_are_linear_in_the_signal(rule, cell):
    network, x = make_case(cell)
    first, second = (make_full_signal(network, x, seed) for seed in (1, 2))
    second = dataclasses.replace(second, feedback=first.feedback)
    parts = ("error", "broadcast", "neuron", "direct")
    mixed = {p: 2 * getattr(first, p) - getattr(second, p) for p in parts}
    both = dataclasses.replace(first, **mixed)
    a, b, c = (gradients(rule, network, x, s) for s in (first, second, both))
    assert_equal(c, {name: 2 * a[name] - b[name] for name in a})


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_part_of_the_signal_arrives(rule):
    network, x = make_case("inside")
    signal = make_full_signal(network, x)
    before = gradients(rule, network, x, signal)
    parts = {"neuron": None, "direct": np.zeros_like(signal.direct)}
    if not isinstance(rule, DECOLLE):
        parts |= {"broadcast": None, "feedback": -signal.feedback}
    for part, value in parts.items():
        changed = dataclasses.replace(signal, **{part: value})
        after = gradients(rule, network, x, changed)
        assert relative_error(after["w_in"], before["w_in"]) > 1e-3, part
        for name in ("w_out", "b_out"):
            assert np.array_equal(after[name], before[name])


@pytest.mark.parametrize("rule", [EProp(), BPTT(), RTRL(), MDGL()], ids=str)
def test_without_a_broadcast_it_is_the_error(rule):
    network, x = make_case("ALIF")
    signal = make_full_signal(network, x)
    none = dataclasses.replace(signal, broadcast=None)
    same = dataclasses.replace(signal, broadcast=signal.error)
    expected = gradients(rule, network, x, same)
    for name, gradient in gradients(rule, network, x, none).items():
        assert np.array_equal(gradient, expected[name])


@pytest.mark.parametrize("rule", [MDGL("one-hop"), MDGL(), MDGL("online"), ModProp()])
@pytest.mark.parametrize("part", ["neuron", "direct"])
def test_other_signals_than_the_readout_make_no_hops(rule, part):
    """They act on the eligibility of their own neuron, as with e-prop."""
    network, x = make_case("inside")
    signal = make_full_signal(network, x)
    none = dataclasses.replace(signal, **{part: None})
    change, local = (
        gradients(r, network, x, signal)["w_in"]
        - gradients(r, network, x, none)["w_in"]
        for r in (rule, EProp())
    )
    assert np.abs(local).max() > 1e-2
    assert relative_error(change, local) < 1e-11


@pytest.mark.parametrize("part", ["broadcast", "direct"])
def test_a_part_of_the_wrong_shape(part):
    network, x = make_case("LIF")
    signal = make_full_signal(network, x)
    wrong = dataclasses.replace(signal, **{part: getattr(signal, part)[1:]})
    for rule in (EProp(), BPTT(), RTRL()):
        with pytest.raises(InvalidValue, match=rf"^LearningSignal\.{part} must have s"):
            gradients(rule, network, x, wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("delay", ["1", "per synapse"])
@pytest.mark.parametrize("cell", ["ALIF zero", "outside"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_same_bits_for_any_number_of_threads(rule, cell, delay, dtype):
    network, _ = make_case(cell, delay, dtype=dtype)
    x = make_input(n_steps=14, n_samples=11, graded=True)
    one, two = (gradients(rule, network, x, threads=threads) for threads in (1, 2))
    for name, gradient in one.items():
        assert np.abs(gradient).max() > 1e-4
        assert np.array_equal(two[name], gradient), name
        assert gradient.dtype == dtype


# Errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [MDGL(), MDGL("online"), ModProp()], ids=str)
def test_rules_of_types_need_types(rule):
    network, x = make_case("LIF", cell_types=None)
    name = rule.info.name
    with pytest.raises(
        InvalidValue, match=rf"^rule '{name}' must have cell types.*e-p"
    ):
        gradients(rule, network, x)
    gradients(MDGL("one-hop"), network, x)


def test_rflo_is_for_rate_units():
    network, x = make_case("LIF")
    message = r"^rule 'rflo' must be used with cells rate; got LIF\. \(Rules for LIF"
    with pytest.raises(InvalidValue, match=message):
        gradients(RFLO(), network, x)


def test_rtrl_is_for_small_networks():
    cell = LIF(tau_m=10.0)
    RTRL().check(make_network(n_rec=64, cell=cell))
    message = r"^rule 'rtrl' must be used with n_rec <= 64; got 65\. \(bptt gives"
    with pytest.raises(InvalidValue, match=message):
        RTRL().check(make_network(n_rec=65, cell=cell))


@pytest.mark.parametrize("rule", [BPTT(reset=True), SnAp1(), RTRL(reset=True)], ids=str)
def test_the_reset_to_zero_needs_the_voltage(rule):
    network, x = make_case("LIF zero")
    assert rule.needs(network) == ("v",)
    assert rule.needs(make_case("LIF")[0]) == ()
    with pytest.raises(InvalidValue, match=r"^Record\.state\('v'\) must be recorded"):
        rule.gradients(network, network.run(x), make_full_signal(network, x))


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_mu_out_of_range(bad):
    with pytest.raises(InvalidValue, match=r"^ModProp\.mu must be >= 0 and finite"):
        ModProp(mu=bad)


def test_an_unknown_variant_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"'one-hops'.*Did you mean 'one-hop'\?"):
        MDGL("one-hops")
