"""Measures of the learning regime: definitions, invariances, controls, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spikelearn.analysis.regime import regime
from spikelearn.analysis.similarity import (
    centred_cka,
    centred_targets,
    hidden_states,
    learning_steps,
    representation_alignment,
    sign_similarity,
    weight_change,
)
from spikelearn.analysis.tangent_kernel import tangent_kernel
from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import BPTT, DECOLLE, RFLO, EProp
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.tasks import Batch

CELLS = {
    "rate": LeakyRate(3.0, activation="tanh"),
    "LIF": LIF(5.0),
    "ALIF": ALIF(5.0, tau_a=20.0),
}


def build(cell="rate", seed=0, n_rec=12, **options):
    options = {"readout": LeakyReadout(4.0), "dtype": "float64"} | options
    network = RecurrentNetwork(3, n_rec, 3, cell=CELLS[cell], **options)
    network.initialise(seed, gain=1.2, gain_in=2.0)
    return network


def batch(n_steps=6, size=10, seed=0, per_step=True):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_steps, size, 3)).astype(np.float32)
    shape = (n_steps, size) if per_step else (size,)
    mask = np.zeros(n_steps, np.float32)
    mask[-2:] = 1.0
    return Batch(2 * x, rng.integers(0, 3, shape), mask)


def moved(network, by=0.2, cell="rate", seed=9):
    other = build(cell)
    other.params.load(network.params.arrays())
    rng = np.random.default_rng(seed)
    other.params.w_rec[...] += by * rng.standard_normal(other.params.w_rec.shape)
    other.constrain()
    return other


@pytest.mark.parametrize("cell", CELLS)
def test_all_measures_equal_their_definitions(cell):
    before = build(cell)
    after, trials = moved(before, 0.3, cell), batch()
    found = regime(before, after, trials)
    difference = after.params.w_rec - before.params.w_rec
    size = np.linalg.norm(before.params.w_rec)
    assert found.weight_change == pytest.approx(np.linalg.norm(difference))
    assert found.relative_weight_change == pytest.approx(found.weight_change / size)
    assert found.steps == (4, 5)
    assert (found.cell, found.trials, found.rule) == (before.cell.kind, 10, "e-prop")
    kernels = {}
    for name, options in {
        "bptt": {},
        "e-prop": {"rule": EProp()},
        "mixed": {"rule": BPTT(), "other": EProp()},
    }.items():
        kernels[name] = [
            tangent_kernel(net, trials.x, steps=(4, 5), **options)
            for net in (before, after)
        ]

    def cosine(a, b):
        return np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b))

    expected = {name: cosine(*pair) for name, pair in kernels.items()}
    assert found.kernel_alignment == pytest.approx(expected, rel=1e-10)
    assert all(0.01 < value < 0.9999 for value in expected.values())
    y = centred_targets(trials, 3, (4, 5)).swapaxes(0, 1).ravel()
    for at, when in enumerate(("before", "after")):
        k, local = kernels["bptt"][at], kernels["e-prop"][at]
        own = y @ k @ y / (y @ y * np.trace(k))
        assert found.kernel_target_alignment[when] == pytest.approx(own)
        assert found.rule_alignment[when] == pytest.approx(cosine(k, local))
    records = [net.run(trials.x) for net in (before, after)]
    signs = [np.sign(record.output) for record in records]
    assert found.sign_similarity == np.mean(signs[0] == signs[1]) < 1
    h = [hidden_states(before, record, 5) for record in records]
    grams = [states @ states.T for states in h]
    assert found.representation_alignment == pytest.approx(cosine(*grams))
    centre = np.eye(10) - 0.1
    assert found.cka == pytest.approx(cosine(*(centre @ k @ centre for k in grams)))
    assert json.loads(json.dumps(found.to_dict()))["steps"] == [4, 5]


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_that_stayed_is_as_lazy_as_can_be(cell):
    network = build(cell)
    found = regime(network, network, batch())
    assert found.weight_change == found.relative_weight_change == 0.0
    assert found.sign_similarity == 1.0
    values = [found.representation_alignment, found.cka]
    values += found.kernel_alignment.values()
    assert values == pytest.approx([1.0] * 5)


def test_small_steps_move_little_and_large_ones_more():
    network, trials = build(), batch()
    found = [regime(network, moved(network, by), trials) for by in (0.02, 0.2, 1.0)]
    for name in ("bptt", "e-prop", "mixed"):
        values = [r.kernel_alignment[name] for r in found]
        assert 1.0 > values[0] > values[1] > values[2]
    assert found[0].cka > found[1].cka > found[2].cka
    assert found[0].sign_similarity > found[2].sign_similarity


def test_alignments_do_not_know_the_scale_of_the_readout():
    network, trials = build(), batch()
    other = moved(network, 0.0)
    other.params.w_out[...] *= 3.0
    found = regime(network, other, trials)
    assert list(found.kernel_alignment.values()) == pytest.approx([1.0] * 3)
    other.params.w_out[0] *= -3.0
    assert regime(network, other, trials).kernel_alignment["bptt"] < 0.999


def test_representations_may_be_rotated_and_cka_may_be_shifted():
    rng = np.random.default_rng(0)
    h = rng.standard_normal((20, 6))
    rotation, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    assert representation_alignment(h, 2.0 * h @ rotation) == pytest.approx(1.0)
    assert centred_cka(h, h + 5.0) == pytest.approx(1.0)
    assert representation_alignment(h, h + 5.0) < 0.9
    assert representation_alignment(h, h[::-1]) < 0.9
    assert representation_alignment(h, np.zeros_like(h)) is None


def test_signs_and_weights():
    assert sign_similarity([1.0, -2.0, 0.0, 3.0], [0.1, -1.0, 1.0, -3.0]) == 0.5
    assert weight_change(np.zeros((2, 2)), np.ones((2, 2))) == (2.0, None)


@pytest.mark.parametrize("cell", CELLS)
def test_the_readout_reads_the_hidden_states(cell):
    network, trials = build(cell), batch()
    record = network.run(trials.x)
    h = hidden_states(network, record, 3)
    assert h.any()
    if network.spiking:
        assert np.allclose(h @ network.params.w_out.T, record.y[3], atol=1e-12)
    else:
        assert np.array_equal(h, record.output[3])


def test_targets_and_steps():
    trials = batch(per_step=False)
    assert learning_steps(trials) == (4, 5)
    y = centred_targets(trials, 3, (5,))
    assert y.shape == (1, 10, 3)
    assert np.allclose(y.sum(axis=1), 0)
    assert np.array_equal(y[0].argmax(axis=1), trials.target)
    per_trial = np.zeros((6, 10), np.float32)
    per_trial[2, 0] = per_trial[4, 1] = 1.0
    values = np.ones((6, 10, 3), np.float32)
    mixed = Batch(trials.x, values, per_trial)
    assert learning_steps(mixed) == (2, 4)
    assert not centred_targets(mixed, 3, (2, 4)).any()
    found = regime(build(), build(), mixed)
    assert found.kernel_target_alignment == {"before": None, "after": None}


def test_bptt_alone_and_other_rules():
    network, trials = build(), batch()
    other = moved(network)
    alone = regime(network, other, trials, rule=BPTT())
    assert alone.kernel_alignment.keys() == {"bptt"}
    assert alone.rule_alignment == {"before": 1.0, "after": 1.0}
    rflo = regime(network, other, trials, rule=RFLO(), steps=[5])
    e_prop = regime(network, other, trials, steps=[5])
    assert rflo.kernel_alignment["rflo"] == e_prop.kernel_alignment["e-prop"]


def test_a_silent_network_has_no_kernel():
    network, trials = build("LIF"), batch()
    silent = build("LIF")
    silent.params.w_in[...] = 0.0
    found = regime(network, silent, trials)
    assert found.kernel_alignment == {"bptt": None, "e-prop": None, "mixed": None}
    assert found.representation_alignment is None


def test_what_cannot_be_compared_is_refused(monkeypatch):
    network, trials = build(), batch()
    with pytest.raises(InvalidValue, match=r"must have \(n_in"):
        regime(network, build(n_rec=13), trials)
    with pytest.raises(InvalidValue, match="must be one of bptt, e-prop"):
        regime(network, network, trials, rule=DECOLLE())
    with pytest.raises(InvalidValue, match="must be used with cells"):
        regime(build("LIF"), build("LIF"), trials, rule=RFLO())
    reward = Batch(trials.x, np.ones((10, 3), np.float32), trials.mask)
    with pytest.raises(InvalidValue, match="A reward task has no target"):
        regime(network, network, reward)
    classes = Batch(trials.x, np.full(10, 7), trials.mask)
    with pytest.raises(InvalidValue, match="must be classes below 3"):
        regime(network, network, classes)
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "257 MiB")
    with pytest.raises(InvalidValue, match="trials at a time fit"):
        regime(network, network, batch(size=400))
