"""The torch peers compute what they say: among them the reference of the race."""

from __future__ import annotations

import importlib

import pytest

from spikelearn.benchmark.check import draw_check_batch, gradients, relative_error
from spikelearn.benchmark.workloads import Workload, draw
from spikelearn.learning.signals import LearningSignal
from tests.benchmarks.child import SCRIPTS

pytestmark = pytest.mark.torch


@pytest.fixture
def peers(monkeypatch):
    """Return the module of the peers, which is not part of a package."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("in_torch")


def problem(cell, kind):
    workload = Workload("small", kind, cell, 12, 30, 2, 150, 3, rate=0.05)
    data = draw(workload)
    batch = draw_check_batch(workload, data)
    arrays = data.weights() | {"x": data.x, "target": data.target}
    arrays |= {"check_x": batch.x, "check_target": batch.target}
    network = workload.network("float64")
    data.load_into(network)
    return workload, arrays, batch, network


@pytest.mark.parametrize("cell", ["LIF", "ALIF"])
@pytest.mark.parametrize("kind", ["e-prop", "bptt"])
def test_gradients_are_those_of_the_workload(peers, cell, kind):
    workload, arrays, batch, network = problem(cell, kind)
    expected = gradients(network, kind, batch)[0].arrays()
    claims = {
        "e-prop": (peers.GemmEProp, peers.TracesEProp, peers.AutogradEProp),
        "bptt": (peers.AutogradBPTT,),
    }
    reference, spikes = peers.Reference(workload.to_dict(), arrays).check()
    assert spikes == batch.spikes > 0
    assert relative_error(reference, expected) < 1e-12
    for peer in claims[kind]:
        found, spikes = peer(workload.to_dict(), arrays).check()
        assert spikes == batch.spikes
        assert 0 < relative_error(found, expected) < 1e-5, peer.__name__
    (other,) = (claims[k] for k in claims if k != kind)
    found, _ = other[0](workload.to_dict(), arrays).check()
    assert relative_error(found, expected) > 1e-3, "the two rules differ here"


@pytest.mark.parametrize("cell", ["LIF", "ALIF"])
def test_the_reference_agrees_with_the_definition_of_e_prop(peers, cell):
    """With a network in torch that was written for the tests of the rules."""
    from tests.oracles.definitions import definition

    workload, arrays, batch, network = problem(cell, "e-prop")
    error = network.run(batch.x).y - batch.target
    signal = LearningSignal(error, network.params.w_out.T)
    expected = definition("EProp", {}, network, batch.x, signal)
    reference, _ = peers.Reference(workload.to_dict(), arrays).check()
    assert relative_error(reference, expected) < 1e-12


def test_a_training_step_moves_the_weights_by_the_learning_rate(peers):
    workload, arrays, _, _ = problem("ALIF", "e-prop")
    peer = peers.GemmEProp(workload.to_dict(), arrays)
    before = peer.model.weights["w_in"].clone()
    peer.step(0)
    change = (peer.model.weights["w_in"] - before).abs().max()
    assert 0 < change < 3 * workload.to_dict()["lr"]
    assert (arrays["w_in"] == before.numpy()).all(), "others get the same weights"
