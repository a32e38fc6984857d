"""Alignments whose values are known by construction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn.analysis import align
from spikelearn.analysis.alignment import RECURRENT_SIDE, lag_bins, reason_against
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.losses import Classification, LossResult, Regression
from spikelearn.learning.reward import ActorCritic
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RSTDP,
    RTRL,
    STLLR,
    EProp,
    ModProp,
    SnAp1,
)
from spikelearn.network import LIF, LeakyRate, LeakyReadout
from spikelearn.tasks import Batch
from tests.helpers import make_input, make_network

EXACT = pytest.approx(1.0, abs=1e-9)
T, B = 24, 3


def batch(steps=range(16, T), n_out=2):
    """Return a regression batch whose loss counts at some steps."""
    mask = np.zeros(T, np.float32)
    mask[list(steps)] = 1.0
    target = np.random.default_rng(7).standard_normal((T, B, n_out))
    return Batch(make_input(n_steps=T, n_samples=B), target, mask)


def rate_network(**spec):
    spec.setdefault("cell", LeakyRate(tau_m=8.0, activation="tanh"))
    return make_network(cell_types=np.array([0, 0, 1, 0, 1, 1]), bias=0.1, **spec)


def spiking_network(**spec):
    return rate_network(cell=LIF(tau_m=10.0), drive=2.0, **spec)


class Scaled(EProp):
    """A rule of known alignment: the truth times a number, plus nothing."""

    factor = 2.0

    def gradients(self, network, record, signal, threads=1):
        true = BPTT().gradients(network, record, signal).arrays()
        return type(BPTT().gradients(network, record, signal))(
            **{name: self.factor * array for name, array in true.items()}
        )


def test_the_truth_agrees_with_itself():
    (found,) = align(spiking_network(), batch(), Regression(), [BPTT()])
    assert (found.cosine, found.rho) == (EXACT, EXACT)
    assert all(a.cosine == EXACT and a.rho == EXACT for a in found.parameters.values())
    assert all(lag.cosine == EXACT and lag.rho == EXACT for lag in found.lags)
    assert found.error_to_definition < 1e-12
    assert (found.cell, found.feedback, found.over) == (
        "LIF",
        "symmetric",
        RECURRENT_SIDE,
    )
    assert found.kept == BPTT.info.kept and found.dropped == BPTT.info.dropped


@pytest.mark.parametrize("factor", [2.0, -0.5])
def test_a_scaled_gradient_has_rho_of_the_factor(factor):
    rule = Scaled()
    object.__setattr__(rule, "factor", factor)
    (found,) = align(spiking_network(), batch(), Regression(), [rule])
    assert found.cosine == pytest.approx(np.sign(factor))
    assert found.rho == pytest.approx(factor)


def test_cosine_and_rho_are_those_of_the_arrays():
    network, data = rate_network(), batch()
    found = align(network, data, Regression(), [EProp()], over=("w_rec", "bias"))[0]
    record = network.run(data.x)
    error = Regression()(record.y, data.target, data.mask).error
    from spikelearn.learning.signals import LearningSignal

    signal = LearningSignal(error, network.params.w_out.T)
    mine = EProp().gradients(network, record, signal).arrays()
    true = BPTT().gradients(network, record, signal).arrays()
    a, b = (np.concatenate([g["w_rec"].ravel(), g["bias"]]) for g in (mine, true))
    assert found.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found.rho == pytest.approx(a @ b / (b @ b))
    assert 0.01 < found.cosine < 0.999
    assert found.parameters["w_out"].rho == EXACT, "the readout learns exactly"


def test_lags_split_the_gradient():
    """With the error of one step, the bins add up to the gradient of w_rec."""
    network, data = rate_network(delay=2), batch(steps=[T - 1])
    (found,) = align(network, data, Regression(), [EProp()])
    assert [(lag.first, lag.last) for lag in found.lags] == lag_bins(T - 1)
    assert found.lags[0].cosine == EXACT, "nothing is dropped within one step"
    assert found.lags[1].cosine == EXACT, "a hop takes two steps"
    assert 0.0 < found.lags[3].cosine < 0.999
    whole = found.parameters["w_rec"]
    shares = _true_shares(network, data, found)
    assert sum(shares) == pytest.approx(1.0), "of <g, g> itself"
    assert whole.cosine < 0.999


def _true_shares(network, data, found):
    """Return <g_lag, g> / <g, g> of the truth for every bin."""
    from spikelearn.analysis.alignment import _Trial

    record = network.run(data.x)
    trial = _Trial(network, data, record, Regression(), 0, 1)
    signal = trial.signal("symmetric")
    true = BPTT().gradients(network, record, signal).w_rec
    bins = [(lag.first, lag.last) for lag in found.lags]
    parts = trial.lag_gradients(BPTT(), signal, [T - 1], bins)[:, 0]
    np.testing.assert_allclose(parts.sum(axis=0), true, atol=1e-12)
    return [float((part * true).sum() / (true**2).sum()) for part in parts]


def test_mdgl_one_hop_is_exact_for_a_lag_longer():
    """Through one other neuron without leak, MDGL with true weights is exact."""
    cell = LeakyRate(tau_m=0.0, activation="softplus")
    network = rate_network(cell=cell, readout=LeakyReadout(0.0))
    data = batch(steps=[T - 1])
    found = align(network, data, Regression(), [EProp(), MDGL("one-hop"), RTRL()])
    eprop, mdgl, rtrl = found
    assert eprop.lags[0].cosine == EXACT
    assert eprop.lags[1].cosine is None and eprop.lags[1].rho == 0.0
    assert mdgl.lags[0].cosine == EXACT and mdgl.lags[1].cosine == EXACT
    assert mdgl.lags[2].rho == 0.0
    assert rtrl.lags == () and rtrl.cosine == EXACT


def test_where_the_truth_is_zero_nothing_is_claimed():
    network = rate_network()
    network.params.w_out[...] = 0.0
    (found,) = align(network, batch(), Regression(), [EProp()])
    assert found.cosine is None and found.rho is None
    assert found.parameters["w_out"].cosine == EXACT
    assert all(lag.cosine is None and lag.rho is None for lag in found.lags)


def test_no_error_gives_no_lags():
    @dataclasses.dataclass(frozen=True)
    class Nothing:
        def __call__(self, y, target, mask, rng=None):
            zeros = np.zeros_like(y)
            return LossResult(0.0, zeros, 0.0, np.empty(0), zeros)

    (found,) = align(rate_network(), batch(), Nothing(), [EProp()])
    assert found.cosine is None
    assert all(lag.cosine is None for lag in found.lags)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("symmetric", ["symmetric", "symmetric", "local"]),
        ("random", ["random", "random", "local"]),
        ("own", ["random", "symmetric", "local"]),
    ],
)
def test_feedback_of_every_choice(choice, expected):
    rules = [RFLO(), EProp(), DECOLLE()]
    found = align(rate_network(), batch(), Regression(), rules, feedback=choice)
    assert [a.feedback for a in found] == expected
    same = found[0].cosine == pytest.approx(found[1].cosine)
    assert same == (choice != "own")


def test_random_feedback_changes_the_rule_and_not_the_truth():
    options = {"feedback": "random", "seed": 3}
    (found,) = align(rate_network(), batch(), Regression(), [BPTT()], **options)
    assert abs(found.cosine) < 0.99
    assert found.parameters["w_out"].cosine == EXACT
    assert found.error_to_definition < 1e-12
    again = align(rate_network(), batch(), Regression(), [BPTT()], **options)[0]
    assert again == found
    other = align(rate_network(), batch(), Regression(), [BPTT()], feedback="random")
    assert other[0].cosine != found.cosine


def test_the_reset_is_a_choice_of_truth():
    network, data = spiking_network(), batch()
    rules = [BPTT(), BPTT(reset=True), RTRL(reset=True)]
    stops, *follows = align(network, data, Regression(), rules, truth=BPTT(reset=True))
    assert stops.cosine < 1 - 1e-6
    assert all(a.cosine == EXACT and a.rho == EXACT for a in follows)


def test_a_reward_task_takes_all_rules_of_spiking_cells():
    network = spiking_network(readout=LeakyReadout(8.0))
    mask = np.zeros(T, np.float32)
    mask[-5:] = 1.0
    reward = np.array([[1.0], [0.0], [1.0]])
    data = Batch(make_input(n_steps=T, n_samples=B), reward, mask)
    rules = [EProp(), SnAp1(), MDGL(), ModProp(), STLLR(), RSTDP()]
    found = align(network, data, ActorCritic(), rules)
    assert all(a.error_to_definition < 1e-12 for a in found)
    assert all(np.isfinite(a.rho) for a in found)
    assert found[-1].parameters["bias"].cosine is None, "biases do not learn"


def test_labels_show_options_that_are_not_defaults():
    rules = [MDGL(), MDGL("one-hop"), ModProp(mu=0.5)]
    found = align(rate_network(), batch(), Regression(), rules)
    labels = [a.label for a in found]
    assert labels == ["mdgl", "mdgl:variant=one-hop", "modprop:mu=0.5"]


def test_numbers_are_plain_for_json():
    row = align(rate_network(), batch(), Regression(), [EProp()])[0].to_dict()
    head = ["rule", "cell", "cosine", "rho", "error_to_definition"]
    assert list(row)[:5] == head
    assert row["lags"][2]["from"] == 2 and row["lags"][2]["to"] == 3
    assert set(row["parameters"]) == {"w_in", "w_rec", "w_out", "bias"}


def test_a_definition_that_is_too_large_is_left_out_with_its_reason():
    network = make_network(n_rec=70)
    (found,) = align(network, batch(), Regression(), [BPTT()])
    assert found.error_to_definition is None and "too large" in found.note
    (found,) = align(network, batch(), Regression(), [EProp()], definition_samples=0)
    assert found.error_to_definition is None and found.note


def test_float32_shows_in_the_error_to_definition():
    network = rate_network(dtype="float32")
    (found,) = align(network, batch(), Regression(), [EProp()])
    assert 1e-9 < found.error_to_definition < 1e-4


def test_bins_are_logarithmic_and_cover_all_lags():
    assert lag_bins(0) == [(0, 0)]
    assert lag_bins(9) == [(0, 0), (1, 1), (2, 3), (4, 7), (8, 9)]


@pytest.mark.parametrize(
    ("rule", "kind", "message"),
    [
        (RFLO(), "regression", "Rules for LIF cells: bptt"),
        (MDGL(), "regression", "must have cell types"),
        (ModProp(), "regression", "must have cell types"),
        (RSTDP(), "regression", "must have a reward; got a regression task"),
        (RSTDP(), "reward", None),
        (MDGL("one-hop"), "regression", None),
        (EProp(), "regression", None),
    ],
)
def test_reasons_against_a_rule(rule, kind, message):
    reason = reason_against(rule, make_network(cell=LIF()), kind)
    assert reason is None if message is None else message in reason


def test_rtrl_is_refused_beyond_its_size():
    with pytest.raises(InvalidValue, match=r"n_rec <= 64; got 70.*bptt gives the same"):
        align(make_network(n_rec=70), batch(), Regression(), [RTRL()])


def test_bad_options_are_named():
    arguments = (rate_network(), batch(), Regression(), [EProp()])
    with pytest.raises(UnknownName, match="symmetric"):
        align(*arguments, feedback="symetric")
    with pytest.raises(InvalidValue, match=r"align.over must be names from"):
        align(*arguments, over=("w_rek",))
    with pytest.raises(InvalidValue, match="error_steps must be >= 1"):
        align(*arguments, error_steps=0)
    with pytest.raises(InvalidValue, match="reward must be given"):
        align(spiking_network(), batch(), Regression(), [RSTDP()])


def test_classification_follows_the_whole_window_back():
    data = batch()
    classes = Batch(data.x, np.array([0, 1, 1]), data.mask)
    (found,) = align(spiking_network(), classes, Classification(), [EProp()])
    assert found.lags[-1].last == T - 1
    assert found.lags[0].cosine == EXACT
