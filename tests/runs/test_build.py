"""From a configuration to a trainer: rules and options, structure, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from spikelearn import tasks
from spikelearn.connectivity import stack
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.oja import Oja, WeightDecay
from spikelearn.learning.rules import BPTT, MDGL, RSTDP, RULES, EProp, ModProp
from spikelearn.network import ALIF, LIF, LeakyRate, RecurrentNetwork, buffers
from spikelearn.runs import RunConfig, build, resolve_config
from spikelearn.runs.build import build_network, build_rule, build_trainer

N = 12
RATE = ("cell=rate", "rate_strength=0.0")


def config(*overrides, task="digits-rows"):
    return resolve_config({}, (f"task.name={task}", f"n_rec={N}", *overrides))


def network_of(*overrides):
    return build_trainer(config("feedback=random", *overrides)).network


# Rules and their options ------------------------------------------------------------


def test_rules_without_options_have_their_defaults():
    for name, kind in RULES.items():
        assert build_rule(name) == kind()


def test_options_reach_the_rule():
    overrides = ("rule=modprop", "learning.options.mu=0.3", "excitatory_fraction=0.5")
    assert build_trainer(config(*overrides)).rule == ModProp(mu=0.3)
    assert build_rule("modprop", mu=1) == ModProp(mu=1.0)
    assert build_rule("bptt", reset=True) == BPTT(reset=True)
    assert build_rule("mdgl", variant="one-hop") == MDGL("one-hop")
    assert build_rule("r-stdp", a_plus=2, tau_e=50.0) == RSTDP(a_plus=2, tau_e=50.0)
    assert build_trainer(config()).rule == EProp()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("eprop", {}, "unknown rule 'eprop'.*Did you mean 'e-prop'"),
        ("modprop", {"mi": 1.0}, r"option of rule modprop 'mi'\. \(Known: mu\.\)"),
        ("mdgl", {"varient": "online"}, "Did you mean 'variant'"),
        ("mdgl", {"variant": "onehop"}, "Did you mean 'one-hop'"),
        ("e-prop", {"mu": 1.0}, r"option of rule e-prop 'mu'\. \(Known: none\.\)"),
    ],
)
def test_unknown_names_get_a_suggestion(name, options, message):
    with pytest.raises(UnknownName, match=message):
        build_rule(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "modprop",
            {"mu": "abc"},
            "'mu' of rule 'modprop' must be a number; got 'abc'",
        ),
        ("modprop", {"mu": True}, "must be a number; got True"),
        ("modprop", {"mu": -1.0}, r"ModProp\.mu must be >= 0"),
        ("bptt", {"reset": "yes"}, "must be true or false; got 'yes'"),
        ("bptt", {"reset": 1}, "must be true or false; got 1"),
        ("mdgl", {"variant": 3}, "must be a string; got 3"),
    ],
)
def test_options_of_the_wrong_type(name, options, message):
    with pytest.raises(InvalidValue, match=message):
        build_rule(name, **options)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("rule=rflo",), r"rule 'rflo' must be used with cells rate; got ALIF\. \(Rul"),
        (("rule=s-tllr", *RATE), "with cells LIF or ALIF; got rate.*e-prop.*modprop"),
        (("rule=mdgl",), "'mdgl' must have cell types.*network.excitatory_fraction"),
        (("rule=modprop",), "'modprop' must have cell types.*mdgl with variant 'one-"),
        (("rule=rtrl", "n_rec=65"), "n_rec <= 64; got 65.*bptt gives the same"),
        (("rule=decolle",), r"Feedback\.kind must be 'local' with rule 'decolle'"),
        (("rule=r-stdp",), "must be used with a reward task; got classification"),
        (("rule=bptt", "update_every=2"), "'bptt'.*at the end of a trial"),
        (("cell=rate",), r"FiringRate\.strength.*learning\.rate_strength = 0"),
    ],
)
def test_a_rule_that_does_not_suit_says_what_would(overrides, message):
    with pytest.raises(InvalidValue, match=message):
        build_trainer(config(*overrides))


# Structure --------------------------------------------------------------------------


def test_cells():
    assert type(network_of().cell) is ALIF
    assert type(network_of("cell=LIF").cell) is LIF
    overrides = ("activation=tanh", "placement=outside", "tau_m=7.0", "tau_syn=2.0")
    cell = network_of(*RATE, *overrides, "input_scaling=leak").cell
    assert type(cell) is LeakyRate
    assert (cell.activation, cell.placement) == ("tanh", "outside")
    assert (float(cell.tau_m), float(cell.tau_syn)) == (7.0, 2.0)
    assert cell.input_scaling == "leak"


@pytest.mark.parametrize(
    ("override", "message"),
    [("activation=rel", "Did you mean 'relu'"), ("placement=in", "must be one of")],
)
def test_words_of_rate_units(override, message):
    with pytest.raises((InvalidValue, UnknownName), match=message):
        build_trainer(config(*RATE, override))


@pytest.mark.parametrize(
    ("override", "recurrent"),
    [
        ("recurrent=true", True),
        ("recurrent=false", False),
        ("recurrent=[false,true]", [False, True]),
    ],
)
def test_layers_are_a_stack(override, recurrent):
    network = network_of("layers=[5,7]", override)
    expected = stack(network.n_in, (5, 7), network.n_out, recurrent)
    assert network.layers == (5, 7)
    for name in ("mask", "mask_in", "mask_out"):
        assert np.array_equal(getattr(network, name), expected[name])
    assert network.params.w_rec[network.mask].all()


def test_without_layers_recurrent_holds_for_the_population():
    assert network_of().mask.sum() == N * (N - 1)
    network = network_of("recurrent=false")
    assert not network.mask.any()
    assert network.mask_in.all() and network.mask_out.all()
    assert network.layers == (N,)


def test_density_thins_out_the_stack():
    full, thin = network_of("layers=[5,7]"), network_of("layers=[5,7]", "density=0.5")
    assert not (thin.mask & ~full.mask).any()
    assert 0.2 < thin.mask.sum() / full.mask.sum() < 0.8
    assert np.array_equal(thin.mask_in, full.mask_in)


def test_delays_are_drawn_from_the_seed():
    assert network_of("delay=3").delay == 3
    one, same, other = (
        network_of("delay=2", "longest_delay=5", f"training.seed={k}").delay
        for k in (0, 0, 1)
    )
    assert set(one.ravel()) == {2, 3, 4, 5}
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    plain, late = network_of(), network_of("longest_delay=5")
    assert np.array_equal(plain.params.w_rec, late.params.w_rec), "other streams stay"


def test_the_excitatory_fraction_gives_signs_and_types():
    network = network_of("excitatory_fraction=0.75")
    assert network.signs.tolist() == [1] * 9 + [-1] * 3
    assert network.cell_types.tolist() == [0] * 9 + [1] * 3
    assert (network.params.w_rec * network.signs >= 0).all()
    listed = network_of("excitatory_fraction=0.75", f"cell_types={[0, 1, 2] * 4}")
    assert listed.cell_types.tolist() == [0, 1, 2] * 4
    stacked = network_of("excitatory_fraction=0.75", "layers=[8,4]")
    assert stacked.signs.tolist() == [1] * 6 + [-1] * 2 + [1] * 3 + [-1]
    assert network_of().signs is None


@pytest.mark.parametrize(("cell", "scaling"), [("LIF", "unit"), ("rate", "leak")])
def test_the_scaling_of_the_input_defaults_to_that_of_the_cell(cell, scaling):
    task = tasks.make("dms")
    sections = {"task": {"name": "dms"}, "network": {"cell": cell, "n_rec": N}}
    network = build_network(RunConfig.model_validate(sections), task)
    assert network.cell.input_scaling == scaling
    sections["network"]["input_scaling"] = "unit"
    network = build_network(RunConfig.model_validate(sections), task)
    assert network.cell.input_scaling == "unit"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("layers=[5,6]", r"network\.layers must have the sum n_rec = 12; got \[5, 6\]"),
        ("layers=[]", r"network\.layers must have the sum n_rec = 12"),
        ("layers=[12,0]", r"stack\.sizes must be whole numbers >= 1"),
        ("recurrent=[true,false]", r"stack\.recurrent must be one answer or 1; got 2"),
        ("delay=0", r"network\.delay must be greater than or equal to 1; got 0"),
        ("longest_delay=0", r"network\.longest_delay must be greater than or equal"),
        ("excitatory_fraction=1.5", r"network\.excitatory_fraction must be less"),
        ("cell_types=[0,1]", r"RecurrentNetwork\.cell_types must be .* shape \(12,\)"),
        ("cell_types=[0.5]", r"network\.cell_types\.0 must be a valid integer"),
    ],
)
def test_wrong_structure_is_named(override, message):
    with pytest.raises(InvalidValue, match=message):
        build_trainer(config(override))


def test_the_longest_delay_is_not_below_the_shortest():
    message = r"network\.longest_delay must be >= delay = 4; got 3"
    with pytest.raises(InvalidValue, match=message):
        build_trainer(config("delay=4", "longest_delay=3"))


def test_learning_keys_reach_the_trainer():
    overrides = ("update_every=3", "feedback_noise=0.2", "recurrent_decay=0.01")
    oja = ("oja_form=subspace", "oja_strength=0.1", "oja_row_norm=2", "oja_max_step=3")
    trainer = build_trainer(config(*overrides, *oja))
    assert trainer.update_every == 3
    assert trainer.feedback.noise == 0.2
    assert trainer.terms == (Oja("subspace", 0.1, 2.0, 3.0), WeightDecay(0.01))
    assert build_trainer(config()).terms == ()


# Memory -----------------------------------------------------------------------------

MEMORY = {
    "spiking": ("n_rec=300",),
    "rate": ("n_rec=300", *RATE),
    "delays": ("n_rec=300", "longest_delay=5"),
    "reset": ("n_rec=300", "rule=bptt", "learning.options.reset=true", "reset=zero"),
    "within": ("n_rec=200", "update_every=5"),
    "few samples": ("n_rec=300", "batch_size=2"),
    "many samples": ("n_rec=40", "batch_size=300"),
    "many rates": ("n_rec=40", "batch_size=300", *RATE),
    "local": ("n_rec=60", "batch_size=200", "feedback=local", "rule=decolle"),
    "rtrl": ("n_rec=40", "rule=rtrl", "batch_size=2"),
    "oja": ("n_rec=60", "batch_size=200", "oja_form=rescaled"),
    "momentum": ("n_rec=300", "optimizer.name=sgd", "momentum=0.9"),
    "float64": ("n_rec=300", "dtype=float64"),
}


@pytest.mark.parametrize("case", MEMORY)
def test_the_estimate_of_memory_is_what_a_step_takes(case):
    settings = config(*MEMORY[case])
    build_trainer(settings).step()  # compiles
    buffers.forget()
    tracemalloc.start()
    try:
        build_trainer(settings).step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    task = tasks.make("digits-rows", **settings.task.parameters())
    estimate = build._training_bytes(settings, task)
    assert 0.6 < estimate / peak < 1.7


@pytest.mark.parametrize("override", ["update_every=5", "batch_size=1000000"])
def test_what_does_not_fit_is_refused_before_it_is_made(override, monkeypatch):
    settings = config("n_rec=200", override)
    asked = []
    monkeypatch.setattr(
        build.os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 8e6}.get
    )
    monkeypatch.setattr(build, "build_network", asked.append)
    with pytest.raises(InvalidValue, match=r"n_rec = 200 .* must fit into the memory"):
        build_trainer(settings)
    assert not asked


def test_a_network_is_refused_for_its_delays(monkeypatch):
    plain, late = (config("n_rec=500", *o) for o in ((), ("longest_delay=9",)))
    task = tasks.make("digits-rows", **plain.task.parameters())
    sizes = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 5_000_000}
    monkeypatch.setattr(build.os, "sysconf", sizes.get)
    assert isinstance(build_network(plain, task), RecurrentNetwork)
    with pytest.raises(InvalidValue, match=r"network\.n_rec = 500 must fit into"):
        build_network(late, task)
