"""Cost: operations counted by hand, prices of published tables, NeuroBench metrics."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware import emulator
from hardware.chips import CHIPS, ChipSpec, Limit
from hardware.cost import cost
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
)
from hardware.energy_tables import DAVIES_2018, ENERGY_TABLES, OPERATIONS, SANA_FE
from hardware.neurobench import count_workload, neurobench_metrics
from spikelearn.errors import InvalidValue
from tests.hardware.networks import random_input, random_network


def tiny(reset="zero", du=4095, beta=0, input_bits=0):
    """Two inputs, three neurons without memory that fire on 10 or more, one output.

    Input 0 drives neurons 0 and 1, input 1 nothing; neuron 0 drives 1 and 2, neuron 2
    drives 0 too weakly; the output sees neurons 0 and 2.
    """
    w_in = [[20, 0], [20, 0], [0, 0]]
    w_rec = [[0, 0, 2], [20, 0, 0], [20, 0, 0]]
    neurons = NeuronParameters(
        du=[du] * 3,
        dv=[4095] * 3,
        bias_mant=[0] * 3,
        bias_exp=[0] * 3,
        vth=[9] * 3,
        beta=[beta] * 3,
        db=[4096] * 3,
        refractory=[0] * 3,
        reset=reset,
    )
    return NetworkDescription(
        w_in=Connection(w_in, 0),
        w_rec=Connection(w_rec, 0),
        w_out=Connection([[4, 0, 4]], 0),
        neurons=neurons,
        readout=ReadoutParameters(dv=[100], bias_mant=[0], bias_exp=[0]),
        input_bits=input_bits,
    )


# Spikes of input 0 at steps 0 and 3, of input 1 at step 1. Input acts at its step,
# neuron k at the next one:
#   step 0: neurons 0, 1 | step 1: 1, 2 | step 2: none | step 3: 0, 1
X = np.zeros((4, 1, 2), np.int32)
X[0, 0, 0] = X[3, 0, 0] = X[1, 0, 1] = 1
SPIKES = [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0]]
# w_in: 2 messages of input 0, two weights each; input 1 has none
# w_rec: neuron 0 (step 0) 2, neuron 1 0, neuron 2 (step 1) 1; what fires last is late
# w_out: neurons 0, 2, 0
BY_HAND = {"w_in": 4, "w_rec": 3, "w_out": 3}


def test_the_case_fires_as_written():
    record = emulator.run(tiny(), X)
    assert record.spikes[:, 0].tolist() == SPIKES


def test_operations_counted_by_hand():
    record = emulator.run(tiny(), X)
    counts = count_workload(tiny(), X, record.spikes, record.v)
    assert counts.operations == BY_HAND
    assert counts.spikes == 6
    answer = cost(tiny(), "loihi1", [X])
    operations = answer.operations
    assert operations.synaptic_operations == 10
    assert operations.neuron_updates == 4 * (3 + 1)
    assert (operations.spikes, operations.input_events) == (6, 3)
    # one core; axons: neuron 0 w_rec and w_out, neuron 2 w_rec and w_out
    # sent: neuron 0 at 0 and 3 w_out (2), at 0 w_rec (1); neuron 2 at 1 both (2)
    assert operations.messages_out == 5
    assert operations.messages_in == 5 + 2
    assert answer.mapping.n_cores == 1 and (answer.samples, answer.steps) == (1, 4)


def test_energy_and_time_are_prices_times_operations():
    answer = cost(tiny(), "loihi1", [X])
    davies, sana_fe = answer.estimates
    assert davies.joules == pytest.approx((10 * 23.6 + 16 * 81.0) * 1e-12)
    energy = 10 * 35.5 + 16 * (51.2 + 21.6) + 6 * 69.3 + 5 * 111.0
    assert sana_fe.joules == pytest.approx(energy * 1e-12)
    assert sum(sana_fe.breakdown.values()) == pytest.approx(sana_fe.joules)
    assert davies.seconds == pytest.approx((10 * 3.5 + 16 * 8.4) * 1e-9)
    time = 10 * 3.8 + 16 * 9.7 + 6 * 30.0 + 5 * 5.1 + 7 * 16.0 + 4 * 600.0
    assert sana_fe.seconds == pytest.approx(time * 1e-9)
    for estimate in answer.estimates:
        assert estimate.source and len(estimate.assumptions) > 3
    as_dict = answer.to_dict()
    assert as_dict["energy"]["table"] == "Davies 2018"
    assert as_dict["other_estimates"][0]["table"] == "SANA-FE"
    assert json.loads(json.dumps(as_dict))["cores"] == 1
    assert as_dict["fits"] is True and as_dict["findings"] == []


def test_a_network_that_does_not_fit_says_so():
    as_dict = cost(tiny("subtract"), "loihi1", [X]).to_dict()
    assert as_dict["fits"] is False
    assert [finding["place"] for finding in as_dict["findings"]] == ["neurons.reset"]


def test_the_slowest_core_counts():
    one_each = ChipSpec("loihi1", neurons_per_core=Limit(1, "test"))
    assert cost(tiny(), one_each, [X]).estimates == (), "not the chip of the table"
    network = random_network(0, n_rec=30)
    x = random_input(1, network, 20, 3)
    answer = cost(network, "loihi1", [x])
    record = emulator.run(network, x)
    assert answer.mapping.n_cores == 1
    total = 0.0
    for t in range(20):
        for s in range(3):
            before = record.spikes[t - 1, s] if t else np.zeros(30)
            for w, active in (
                (network.w_in, x[t, s]),
                (network.w_rec, before),
                (network.w_out, record.spikes[t, s]),
            ):
                total += 3.5 * np.count_nonzero(w.weights[:, active != 0])
            total += 8.4 * 33
    assert answer.estimates[0].seconds == pytest.approx(total * 1e-9 / 3)


def test_cores_run_side_by_side():
    network = random_network(2, n_in=4, n_rec=600, n_out=2)
    x = random_input(1, network, 6, 2)
    answer = cost(network, "loihi1", [x])
    assert answer.mapping.n_cores > 1
    operations = answer.operations
    alone = 3.5 * operations.synaptic_operations + 8.4 * operations.neuron_updates
    assert alone / answer.mapping.n_cores < answer.estimates[0].seconds * 1e9 < alone
    sent = emulator.run(network, x).spikes
    homes = answer.mapping.cores
    by_hand = 0
    for core in homes:
        rows = range(core.first, min(core.stop, 600))
        reached = (network.w_rec.weights[rows] != 0).any(axis=0)
        by_hand += int((sent[:-1] * reached).sum())
        outs = [k - 600 for k in range(max(core.first, 600), core.stop)]
        if outs:
            reached = (network.w_out.weights[outs] != 0).any(axis=0)
            by_hand += int((sent * reached).sum())
    assert operations.messages_out == by_hand / 2


def test_batches_make_no_difference():
    network = random_network(5, input_bits=3)
    x = random_input(6, network, 25, 7)
    whole = cost(network, "loihi1", [x]).to_dict()
    parts = cost(network, "loihi1", [x[:, :3], x[:, 3:4], x[:, 4:]]).to_dict()
    flat = {k: whole[k] for k in ("operations", "neurobench", "samples")}
    for key, value in flat.items():
        assert parts[key] == pytest.approx(value) if key != "neurobench" else True
    assert json.dumps(parts["neurobench"]) == json.dumps(whole["neurobench"])


@pytest.mark.parametrize("name", CHIPS)
def test_energy_needs_a_public_table(name):
    answer = cost(tiny(), name, [X])
    if name in ENERGY_TABLES:
        assert answer.estimates and answer.reason == ""
    else:
        as_dict = answer.to_dict()
        assert as_dict["energy"] is None and as_dict["other_estimates"] == []
        assert as_dict["energy_reason"].startswith(f"{name}: ")
        assert as_dict["cores"] is None and as_dict["bytes"] is None
        assert answer.operations.messages_out is None


def test_tables_name_their_operations_and_sources():
    for tables in ENERGY_TABLES.values():
        for table in tables:
            assert set(table.picojoules) | set(table.nanoseconds) <= set(OPERATIONS)
            assert table.source and table.assumptions
    assert DAVIES_2018.barrier_of(9) == 0.0
    # 9 cores are 3 tiles of 4: the entry of 2 tiles holds until 4
    assert [SANA_FE.barrier_of(n) for n in (1, 4, 5, 9, 13, 128)] == [
        600.0,
        600.0,
        1000.0,
        1000.0,
        1400.0,
        1800.0,
    ]


def test_no_sample_is_an_error():
    for batches in ([], [X[:, :0]]):
        with pytest.raises(InvalidValue, match=r"cost\.batches must hold a sample"):
            cost(tiny(), "loihi1", batches)


# NeuroBench --------------------------------------------------------------------------


def metrics_of(network, x):
    record = emulator.run(network, x)
    counts = count_workload(network, x, record.spikes, record.v)
    return neurobench_metrics(network, counts)


def test_metrics_by_hand():
    metrics = metrics_of(tiny(), X)
    assert metrics["ParameterCount"] == 6 + 9 + 3 + 3 + 1
    assert metrics["Footprint"] == 18 + 3 * 18 + 5
    assert metrics["ConnectionSparsity"] == round(11 / 18, 4)
    assert metrics["ActivationSparsity"] == pytest.approx(1 - 6 / 12)
    assert metrics["ActivationSparsityByLayer"] == {"neurons": pytest.approx(0.5)}
    operations = metrics["SynapticOperations"]
    assert operations == {"Effective_MACs": 0, "Effective_ACs": 10, "Dense": 4 * 18}
    # membranes: 0 after a spike; neuron 0 gets 2 * 64 from neuron 2 at step 2 and
    # nearly all of it is gone at step 3, where it fires
    assert metrics["MembraneUpdates"] == 3 + 0 + 1 + 1
    neuron = metrics["NeuronOperations"]
    assert neuron == {"Effective Neuron Ops": 5 * 4, "Neuron Dense Ops": 12 * 4}


def test_the_operations_of_a_neuron_depend_on_its_kind():
    for reset, du, each in (("zero", 100, 8), ("subtract", 100, 6), ("zero", 4095, 4)):
        metrics = metrics_of(tiny(reset, du), X)
        assert metrics["NeuronOperations"]["Neuron Dense Ops"] == 12 * each
    adaptive = metrics_of(tiny(beta=5), X)["NeuronOperations"]
    assert adaptive == {"Effective Neuron Ops": None, "Neuron Dense Ops": None}


def test_graded_input_multiplies():
    metrics = metrics_of(tiny(input_bits=4), X * 3)
    operations = metrics["SynapticOperations"]
    assert operations["Effective_MACs"] == BY_HAND["w_in"]
    assert (
        metrics_of(tiny(input_bits=1), X)["SynapticOperations"]["Effective_MACs"] == 0
    )


DRIVER = Path(__file__).with_name("neurobench_driver.py")
PYTHON = os.environ.get("SPIKELEARN_NEUROBENCH_PYTHON") or (
    sys.executable if importlib.util.find_spec("neurobench") else None
)


@pytest.mark.skipif(PYTHON is None, reason="neurobench is not there")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Leaky", {"du": (4095, 4095), "reset": "zero"}),
        ("Synaptic", {"reset": "zero"}),
        ("Synaptic", {"reset": "subtract"}),
        ("Leaky", {"du": (4095, 4095), "input_bits": 5}),
    ],
)
def test_the_package_itself_gives_the_same(tmp_path, kind, options):
    network = random_network(7, n_in=9, n_rec=20, n_out=3, **options)
    x = random_input(8, network, 15, 6, rate=0.4)
    record = emulator.run(network, x)
    assert 0 < record.n_spikes < record.spikes.size
    case = {name: getattr(network, name).weights for name in ("w_in", "w_rec", "w_out")}
    case |= {"x": x, "spikes": record.spikes, "v": record.v, "kind": kind}
    case |= {"reset": network.neurons.reset, "batch_size": 3}
    paths = tmp_path / "case.npz", tmp_path / "answer.json"
    np.savez(paths[0], **case)
    command = [PYTHON, "-I", str(DRIVER), *map(str, paths)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(paths[1].read_text())
    ours = metrics_of(network, x)
    for name in (
        "ParameterCount",
        "ConnectionSparsity",
        "ActivationSparsity",
        "MembraneUpdates",
        "NeuronOperations",
        "SynapticOperations",
    ):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-6), name
