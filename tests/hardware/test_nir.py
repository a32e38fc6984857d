"""NIR out and back: the equations of the graph, round trips, files that are refused."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware import emulator
from hardware._nir_graph import FIELDS, OPTIONAL, Graph, Node, difference
from hardware.description import NetworkDescription
from hardware.export.nir import nir_graph, write_nir
from hardware.importing.nir import read_nir
from spikelearn.errors import (
    FileFormatError,
    HardwareError,
    InvalidValue,
    MissingDependency,
)
from spikelearn.network import LeakyRate, LeakyReadout, RecurrentNetwork
from tests.hardware.networks import random_input, random_network
from tests.hardware.nir_networks import (
    N_IN,
    N_REC,
    interpret,
    random_float_network,
    random_spikes,
)

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.nir

CASES = {
    "plain": {"bias": False},
    "bias": {},
    "one value": {"per_neuron": False, "bias": False},
    "leak": {"scaling": "leak", "bias": False},
    "leak and bias": {"scaling": "leak"},
    "current": {"tau_syn": True},
    "current and leak": {"tau_syn": True, "scaling": "leak"},
    "delay": {"delay": 3},
    "delays": {"delay": "mixed", "tau_syn": True},
    "short step": {"dt": 0.1, "tau_syn": True},
    "unit readout": {"out_scaling": "unit"},
    "no memory": {"tau_out": 0.0},
}


def subjects(notes, loud=None):
    return {n.subject for n in notes if loud is None or n.loud == loud}


def same_networks(first, second):
    """Compare everything that a network has."""
    for field in dataclasses.fields(RecurrentNetwork):
        if not field.init or field.name in ("cell", "readout"):
            continue
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert np.array_equal(one, other) or (one is None and other is None), field.name
    assert type(first.cell) is type(second.cell)
    for field in dataclasses.fields(first.cell):
        pair = getattr(first.cell, field.name), getattr(second.cell, field.name)
        assert np.array_equal(*pair) or pair[0] == pair[1], field.name
    assert first.readout == second.readout
    for name, array in first.params.arrays().items():
        other = second.params.arrays()[name]
        assert array.dtype == other.dtype and np.array_equal(array, other), name


# --- what the graph says


@pytest.mark.parametrize("step", ["euler", "exponential"])
@pytest.mark.parametrize("name", CASES)
def test_a_naive_interpreter_gives_the_spikes_of_the_network(name, step, tmp_path):
    total = 0
    for seed in range(3):
        network = random_float_network(seed, **CASES[name])
        write_nir(network, tmp_path / "a.nir", discretisation=step)
        graph = nir.read(tmp_path / "a.nir")
        x = random_spikes(seed + 50)
        record = network.run(x)
        args = (graph, x[:, 0], network.dt * 1e-3)
        spikes, y = interpret(*args, step)
        assert np.array_equal(record.spikes[:, 0], spikes)
        assert np.abs(record.y[:, 0] - y).max() < 1e-9
        total += int(spikes.sum())
        other = "exponential" if step == "euler" else "euler"
        assert not np.array_equal(interpret(*args, other)[0], spikes)
    assert 0.02 < total / (3 * 200 * N_REC) < 0.6


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"reset": "subtract"}, "reset 'subtract'"),
        ({"adaptive": True}, "adaptation"),
        ({"t_ref": 4.0}, "refractoriness"),
    ],
)
def test_what_changes_spikes_elsewhere_is_told_loudly(change, subject, tmp_path):
    network = random_float_network(2, bias=False, **change)
    notes = write_nir(network, tmp_path / "a.nir")
    assert subjects(notes, loud=True) == {subject}
    assert "WARNING" in str(next(n for n in notes if n.loud))
    x = random_spikes(3)
    spikes, _ = interpret(nir.read(tmp_path / "a.nir"), x[:, 0], 1e-3)
    assert not np.array_equal(spikes, network.run(x).spikes[:, 0])
    plain = write_nir(random_float_network(2), tmp_path / "b.nir")
    assert not subjects(plain, loud=True)


def test_times_are_in_seconds():
    graph, _ = nir_graph(random_float_network(0, per_neuron=False))
    tau = graph.nodes["neurons"].values["tau"]
    exact = random_float_network(0, per_neuron=False).cell.tau_m * 1e-3
    assert np.allclose(tau, exact + 0.5e-3, atol=1e-4)  # 1 - exp(-x) = x - x^2/2 ...
    graph, _ = nir_graph(
        random_float_network(0, per_neuron=False), discretisation="exponential"
    )
    assert np.allclose(graph.nodes["neurons"].values["tau"], exact, rtol=1e-12)


def test_integers_are_the_euler_exact_mapping():
    """tau = dt 4096 / d, weight = W 2^(6 + exp), v_threshold = 64 vth (hardware.md)."""
    source = random_network(3, exponents=(1, 0, 2))
    graph, notes = nir_graph(source)
    cell, values = source.neurons, graph.nodes["neurons"].values
    assert np.allclose(values["tau_syn"], 1e-3 * 4096 / (cell.du + 1), rtol=1e-14)
    assert np.allclose(values["w_in"], 4096 / (cell.du + 1), rtol=1e-14)
    assert np.allclose(values["tau_mem"], 1e-3 * 4096 / cell.dv, rtol=1e-14)
    assert np.allclose(values["r"], 4096 / cell.dv, rtol=1e-14)
    assert np.array_equal(values["v_threshold"], 64 * cell.vth)
    weight = graph.nodes["w_in"].values["weight"]
    assert np.array_equal(weight, source.w_in.weights * 2.0**7)
    assert "integers" in subjects(notes, loud=True)


def test_integers_run_as_floats_give_almost_all_spikes(tmp_path):
    """NIR has no integers: cut products decide otherwise now and then."""
    spikes = differing = equal = 0
    for seed in range(12):
        source = random_network(seed)
        write_nir(source, tmp_path / "a.nir")
        x = random_input(seed, source, 300)
        record = emulator.run(source, x)
        graph = nir.read(tmp_path / "a.nir")
        got, _ = interpret(graph, x[:, 0].astype(float), source.dt * 1e-3)
        wrong = int((got != record.spikes[:, 0]).sum())
        spikes += record.n_spikes
        differing += wrong
        equal += wrong == 0
    assert spikes > 5000
    assert equal >= 9 and differing < 0.03 * spikes


def test_registers_without_decay_are_written(tmp_path):
    source = random_network(1, dv=(0, 0), du=(4095, 4095), bias=False)
    write_nir(source, tmp_path / "a.nir")
    x = random_input(1, source, 100)
    record = emulator.run(source, x)
    graph = nir.read(tmp_path / "a.nir")
    spikes, _ = interpret(graph, x[:, 0].astype(float), 1e-3)
    assert record.n_spikes > 50
    assert np.array_equal(spikes, record.spikes[:, 0])


def test_rate_units_are_refused():
    with pytest.raises(HardwareError, match="cells must spike"):
        nir_graph(RecurrentNetwork(2, 3, 1, cell=LeakyRate()))


def test_a_graph_may_end_with_the_spikes(tmp_path):
    network = random_float_network(0)
    notes = write_nir(network, tmp_path / "a.nir", readout=False)
    graph = nir.read(tmp_path / "a.nir")
    assert set(graph.nodes) == {"input", "w_in", "neurons", "w_rec", "output"}
    x = random_spikes(5)
    spikes, output = interpret(graph, x[:, 0], 1e-3)
    assert np.array_equal(spikes, output)
    assert "readout" in next(n.text for n in notes if n.subject == "for learning")
    same_networks(network, read_nir(tmp_path / "a.nir").network)


def test_nothing_is_written_without_nir(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(MissingDependency, match=r"\[nir\]"):
        write_nir(random_float_network(0), tmp_path / "a.nir")
    assert not list(tmp_path.iterdir())


def test_wrong_options_are_refused(tmp_path):
    with pytest.raises(InvalidValue, match="discretisation must be one of"):
        write_nir(random_float_network(0), tmp_path / "a.nir", discretisation="rk4")


# --- round trips


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 10**6),
    tau_syn=st.booleans(),
    scaling=st.sampled_from(["unit", "leak"]),
    reset=st.sampled_from(["zero", "subtract"]),
    adaptive=st.booleans(),
    t_ref=st.sampled_from([0.0, 3.0]),
    delay=st.sampled_from([1, 4, "mixed"]),
    dtype=st.sampled_from(["float32", "float64"]),
    tau_out=st.sampled_from([0.0, 20.0]),
    per_neuron=st.booleans(),
    step=st.sampled_from(["euler", "exponential"]),
    readout=st.booleans(),
    masked=st.booleans(),
)
def test_networks_come_back_as_they_were(
    tmp_path, seed, step, readout, masked, **options
):
    if masked:
        rng = np.random.default_rng(seed)
        options |= {
            "mask": rng.random((N_REC, N_REC)) < 0.3,
            "mask_in": rng.random((N_REC, N_IN)) < 0.5,
            "signs": rng.integers(-1, 2, N_REC),
            "cell_types": rng.integers(0, 3, N_REC),
            "layers": (5, N_REC - 5),
        }
    network = random_float_network(seed, **options)
    path = tmp_path / "a.nir"
    write_nir(network, path, discretisation=step, readout=readout)
    again = read_nir(path)
    same_networks(network, again.network)
    assert again.notes == ()


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 10**6),
    reset=st.sampled_from(["zero", "subtract"]),
    adaptive=st.booleans(),
    refractory=st.booleans(),
    bits=st.integers(2, 8),
    input_bits=st.sampled_from([0, 4]),
    exponents=st.tuples(*[st.integers(0, 7)] * 3),
    readout=st.booleans(),
)
def test_descriptions_come_back_as_they_were(tmp_path, readout, **options):
    source = random_network(**options)
    notes = write_nir(source, tmp_path / "a.nir", readout=readout)
    again = read_nir(tmp_path / "a.nir")
    assert isinstance(again.network, NetworkDescription)
    assert again.network == source
    assert not any(n.subject == "test vectors" for n in notes)


def test_test_vectors_are_lost_and_told(tmp_path):
    source = random_network(0)
    x = random_input(0, source, 20)
    source = dataclasses.replace(source, vectors=emulator.run(source, x).vectors(x))
    notes = write_nir(source, tmp_path / "a.nir")
    assert "test vectors" in subjects(notes)
    again = read_nir(tmp_path / "a.nir").network
    assert again == dataclasses.replace(source, vectors=None)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("step", ["euler", "exponential"])
def test_the_graph_alone_gives_the_same_spikes(name, step, tmp_path):
    network = random_float_network(7, **CASES[name])
    write_nir(network, tmp_path / "a.nir", discretisation=step)
    again = read_nir(
        tmp_path / "a.nir", dt=network.dt, discretisation=step, use_metadata=False
    )
    x = random_spikes(8)
    record, other = network.run(x), again.network.run(x)
    assert record.spikes.sum() > 20
    assert np.array_equal(record.spikes, other.spikes)
    assert np.abs(record.y - other.y).max() < 1e-9
    assert {"time step", "reset"} <= subjects(again.notes)
    assert again.network.dtype == "float64"


def test_weights_that_another_program_changed_are_read(tmp_path):
    network = random_float_network(0)
    write_nir(network, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        file["node/nodes/w_rec/weight"][0, 1] = 0.125
    again = read_nir(tmp_path / "a.nir").network
    assert again.params.w_rec[0, 1] == 0.125
    assert np.array_equal(again.params.w_in, network.params.w_in)


@pytest.mark.parametrize("place", ["neurons/tau", "readout/r", "w_in/bias"])
def test_what_else_another_program_changed_is_not_overlooked(place, tmp_path):
    write_nir(random_float_network(0), tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        file["node/nodes"][place][1] *= 1.5
    node, name = place.split("/")
    with pytest.raises(FileFormatError, match=f"node '{node}' differs in its {name}"):
        read_nir(tmp_path / "a.nir")
    graph = read_nir(tmp_path / "a.nir", dt=1.0, use_metadata=False)
    assert graph.network.n_rec == N_REC


def test_another_time_step_is_not_taken_in_silence(tmp_path):
    write_nir(random_float_network(0), tmp_path / "a.nir")
    assert read_nir(tmp_path / "a.nir", dt=1.0).network.dt == 1.0
    with pytest.raises(InvalidValue, match="dt must be the 1 ms of the file; got 2"):
        read_nir(tmp_path / "a.nir", dt=2.0)


# --- the table of nodes


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_the_arrays_of_each_node_are_those_of_nir(kind):
    names = {f.name for f in dataclasses.fields(getattr(nir, kind))}
    ours = {*FIELDS[kind], *OPTIONAL.get(kind, ())} - {"shape"}
    rest = names - ours - {"input_type", "output_type", "metadata"}
    assert ours <= names
    assert rest == ({"start_dim", "end_dim"} if kind == "Flatten" else set())


def test_differences_of_graphs_are_named():
    one = Graph({"a": Node("Linear", {"weight": np.ones((1, 1))})}, (("a", "a"),))
    assert difference(one, one) == ""
    for other, message in (
        (Graph({}, ()), "node 'a'"),
        (Graph(one.nodes, ()), "edge"),
        (Graph({"a": Node("Affine", {})}, one.edges), "kind"),
        (
            Graph({"a": Node("Linear", {"weight": np.zeros((1, 1))})}, one.edges),
            "weight",
        ),
        (Graph({"a": one}, one.edges), "kind"),
    ):
        assert message in difference(one, other)


def test_readouts_without_memory_have_no_li_node():
    network = random_float_network(0, tau_out=0.0)
    assert network.readout == LeakyReadout(0.0, "leak")
    graph, _ = nir_graph(network)
    assert "readout" not in graph.nodes
