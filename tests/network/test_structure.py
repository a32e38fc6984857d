"""Masks, stacks of layers, Dale's law: what may exist, from the start to the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.connectivity import obey_dale, stack
from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import BPTT
from spikelearn.network import LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from tests.helpers import examples, make_full_signal, make_input, make_network

LAYERS = st.lists(st.integers(1, 5), min_size=1, max_size=4)


# Masks ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mask", "mask_in", "mask_out"])
def test_masks_clear_weights_and_gradients(name):
    weights = {"mask": "w_rec", "mask_in": "w_in", "mask_out": "w_out"}[name]
    shape = {"mask": (6, 6), "mask_in": (6, 4), "mask_out": (2, 6)}[name]
    mask = np.random.default_rng(1).random(shape) < 0.6
    network, x = make_network(drive=1.6, **{name: mask}), make_input()
    drawn = make_network(drive=1.6, mask=np.ones((6, 6), bool))
    expected = np.where(mask, getattr(drawn.params, weights), 0.0)
    assert np.array_equal(getattr(network.params, weights), expected)
    gradients = BPTT().gradients(network, network.run(x), make_full_signal(network, x))
    got = gradients.arrays()
    assert not got[weights][~mask].any()
    assert (got[weights][mask] != 0).mean() > 0.7
    assert network.masks[weights] is getattr(network, name)


@pytest.mark.parametrize("bad", [np.ones((4, 2)), np.ones(3), True])
@pytest.mark.parametrize("name", ["mask_in", "mask_out"])
def test_a_mask_of_the_wrong_shape(name, bad):
    with pytest.raises(InvalidValue, match=rf"^RecurrentNetwork\.{name} must have sha"):
        RecurrentNetwork(4, 3, 2, **{name: bad})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (0, "must be >= 1 step; got 0.*at the earliest"),
        (1.5, "must be a whole number or an array"),
        (True, "must be a whole number or an array"),
        (np.ones((3, 2), int), r"must be .* of shape \(3, 3\)"),
        (np.ones(3, int), r"must be .* of shape \(3, 3\)"),
        (np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1]]), "must be >= 1 step; got 0"),
    ],
)
def test_a_wrong_delay(bad, message):
    with pytest.raises(InvalidValue, match=rf"^RecurrentNetwork\.delay {message}"):
        RecurrentNetwork(1, 3, 1, delay=bad)


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("signs", [1, -1], r"must be whole numbers of shape \(3,\)"),
        ("signs", [1.0, -1.0, 1.0], "must be whole numbers"),
        ("signs", [1, -1, 2], r"must be 1, -1 or 0; got \[-1, 1, 2\]"),
        ("cell_types", [0, 1], r"must be whole numbers of shape \(3,\)"),
        ("cell_types", [0.5, 1, 1], "must be whole numbers"),
        ("layers", (1, 1), "must be sizes >= 1 with the sum 3"),
        ("layers", (3, 0), "must be sizes >= 1 with the sum 3"),
        ("layers", (4, -1), "must be sizes >= 1 with the sum 3"),
    ],
)
def test_wrong_kinds(name, bad, message):
    with pytest.raises(InvalidValue, match=rf"^RecurrentNetwork\.{name} {message}"):
        RecurrentNetwork(1, 3, 1, **{name: bad})


def test_without_layers_there_is_one():
    assert RecurrentNetwork(1, 3, 1).layers == (3,)
    assert RecurrentNetwork(1, 3, 1, layers=[1, 2]).layers == (1, 2)


# Stacks -----------------------------------------------------------------------------


@examples
@given(LAYERS, st.booleans())
def test_a_stack_connects_a_layer_to_the_next(sizes, recurrent):
    masks = stack(3, sizes, 2, recurrent)
    layer = [k for k, size in enumerate(sizes) for _ in range(size)]
    n = len(layer)
    assert masks["layers"] == tuple(sizes)
    for post in range(n):
        for pre in range(n):
            own = recurrent and layer[post] == layer[pre] and post != pre
            onwards = layer[post] == layer[pre] + 1
            assert masks["mask"][post, pre] == (own or onwards)
        assert (masks["mask_in"][post] == (layer[post] == 0)).all()
        assert (masks["mask_out"][:, post] == (layer[post] == len(sizes) - 1)).all()
    assert masks["mask_in"].shape == (n, 3)
    assert masks["mask_out"].shape == (2, n)


def test_each_layer_may_answer_for_itself():
    mask = stack(1, (2, 2), 1, [False, True])["mask"]
    assert not mask[:2, :2].any()
    assert mask[2:, 2:].sum() == 2
    assert np.array_equal(mask, stack(1, (2, 2), 1, np.array([False, True]))["mask"])


@pytest.mark.parametrize("sizes", [(), (0,), (2, -1), (2.0,), ("2",)])
def test_wrong_sizes(sizes):
    with pytest.raises(InvalidValue, match=r"^stack\.sizes must be whole numbers >= 1"):
        stack(1, sizes, 1)


def test_as_many_answers_as_layers():
    with pytest.raises(
        InvalidValue, match=r"^stack\.recurrent must be one answer or 3"
    ):
        stack(1, (2, 2, 2), 1, [True, False])


@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("cell", [LIF(tau_m=10.0), LeakyRate(5.0)], ids=["LIF", "rate"])
def test_activity_reaches_a_layer_after_as_many_delays(cell, delay):
    sizes = (3, 2, 4)
    network = make_network(
        n_in=1, n_rec=9, cell=cell, delay=delay, **stack(1, sizes, 2, False)
    )
    for name in ("w_in", "w_rec", "w_out"):
        array = getattr(network.params, name)
        array[...] = np.where(network.masks[name], 2.0, 0.0)
    x = np.zeros((12, 1, 1))
    x[1] = 1.0
    record = network.run(x)
    start = 0
    for k, size in enumerate(sizes):
        active = record.output[:, 0, start : start + size].any(axis=1)
        assert np.flatnonzero(active)[0] == 1 + k * delay
        start += size
    assert np.flatnonzero(record.y[:, 0, 0])[0] == 1 + 2 * delay


@pytest.mark.parametrize("recurrent", [False, True])
def test_nothing_comes_back_in_a_stack(recurrent):
    """What happens in a layer depends on it and on earlier layers only."""
    network = make_network(
        n_rec=9, drive=1.8, cell=LIF(tau_m=10.0), **stack(4, (3, 3, 3), 2, recurrent)
    )
    network.params.w_rec[...] = 2.0 * np.abs(network.params.w_rec)
    x = make_input()
    before = network.run(x).spikes
    network.params.w_rec[3:6, :] *= 2.0
    after = network.run(x).spikes
    assert before[..., 3:6].any()
    assert np.array_equal(before[..., :3], after[..., :3])
    assert not np.array_equal(before[..., 3:6], after[..., 3:6])


def test_silent_layers_after_a_cut():
    """Negative control: a stack whose second layer gets nothing stays silent there."""
    network = make_network(
        n_rec=6, drive=1.8, cell=LIF(tau_m=10.0), **stack(4, (3, 3), 2)
    )
    network.params.w_rec[3:, :3] = 0.0
    spikes = network.run(make_input()).spikes
    assert spikes[..., :3].any()
    assert not spikes[..., 3:].any()


# Dale's law -------------------------------------------------------------------------


@examples
@given(st.integers(0, 1000), st.integers(2, 30), st.floats(0.1, 0.9))
def test_dale_gives_signs_balance_and_the_same_norm(seed, n, fraction):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((n, n))
    signs = np.where(np.arange(n) < max(1, min(n - 1, round(fraction * n))), 1, -1)
    signed = obey_dale(w, signs)
    assert (signed * signs >= 0).all()
    assert np.linalg.norm(signed) == pytest.approx(np.linalg.norm(w))
    assert signed.sum() == pytest.approx(0.0, abs=1e-9 * np.abs(w).sum())
    pattern = np.abs(signed) / np.abs(w)
    for sign in (1, -1):
        assert np.ptp(pattern[:, signs == sign]) < 1e-9, "one factor per sign"


def test_free_columns_keep_their_signs():
    w = np.random.default_rng(0).standard_normal((6, 6))
    signs = np.array([1, 1, 0, 0, -1, -1])
    signed = obey_dale(w, signs)
    assert np.array_equal(np.sign(signed[:, 2:4]), np.sign(w[:, 2:4]))
    assert (signed[:, :2] > 0).all()
    assert (signed[:, 4:] < 0).all()
    assert np.array_equal(obey_dale(w, np.zeros(6, int)), w), "nobody obeys the law"
    assert (obey_dale(np.zeros((2, 2)), np.array([1, -1])) == 0).all()


@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_initial_weights_obey_dale(fraction):
    n = 200
    signs = np.where(np.arange(n) < fraction * n, 1, -1)
    network = RecurrentNetwork(3, n, 2, signs=signs, dtype="float64")
    w = network.initialise(0, gain=1.4).w_rec
    assert (w * signs >= 0).all()
    assert np.count_nonzero(w) == n * (n - 1)
    assert np.linalg.norm(w) == pytest.approx(1.4 * np.sqrt(n), rel=0.02)
    assert abs(w.sum()) < 0.02 * np.abs(w).sum()
    free = RecurrentNetwork(3, n, 2, dtype="float64").initialise(0, gain=1.4)
    assert np.array_equal(free.w_in, network.params.w_in), "other streams stay"
    assert (free.w_rec * signs < 0).any(), "the control has both signs"


def test_constrain_clears_what_may_not_exist_and_nothing_else():
    signs = np.array([1, 1, -1, -1, 0, 0])
    mask = np.random.default_rng(2).random((6, 6)) < 0.7
    network = make_network(signs=signs, mask=mask)
    rng = np.random.default_rng(3)
    for name, array in network.params.arrays().items():
        array[...] = rng.standard_normal(array.shape)
        if name == "w_rec":
            before = array.copy()
    network.constrain()
    keep = mask & (before * signs >= 0)
    assert 0 < keep.sum() < mask.sum()
    assert np.array_equal(network.params.w_rec, np.where(keep, before, 0.0))
    assert network.params.w_in.all()
    once = network.params.w_rec.copy()
    network.constrain()
    assert np.array_equal(network.params.w_rec, once)


def test_signs_are_read_only_copies():
    signs = np.array([1, -1, 0])
    network = RecurrentNetwork(1, 3, 1, signs=signs, readout=LeakyReadout())
    signs[0] = -1
    assert network.signs.tolist() == [1, -1, 0]
    with pytest.raises(ValueError, match="read-only"):
        network.signs[0] = 0
