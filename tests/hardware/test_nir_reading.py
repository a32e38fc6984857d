"""NIR graphs of others, made by hand: what they become, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise

import h5py
import numpy as np
import pytest

from hardware.export.nir import write_nir
from hardware.importing.nir import read_nir
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    UnknownName,
)
from tests.damage import damaged
from tests.hardware.networks import random_network
from tests.hardware.nir_networks import (
    N_REC,
    random_float_network,
    random_spikes,
)

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.nir


def subjects(notes, loud=None):
    return {n.subject for n in notes if loud is None or n.loud == loud}


# --- graphs of others, made by hand


def lif(n, tau=0.01, **values):
    given = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0}
    given |= values
    return nir.LIF(**{name: np.full(n, value) for name, value in given.items()})


def weights(post, pre, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return nir.Linear(weight=scale * rng.standard_normal((post, pre)))


def write_graph(path, nodes, edges):
    """Write a graph as it is, without the checks of nir."""
    nir.write(path, nir.NIRGraph(nodes, list(edges), type_check=False))
    return path


def chain(path, *nodes, n_in=3, n_out=4, extra=(), more=None):
    """Write a chain of nodes between input and output."""
    named = {"input": nir.Input(np.array([n_in]))}
    named |= {f"n{k}": node for k, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array([n_out]))
    names = list(named)
    edges = [*pairwise(names), *extra]
    return write_graph(path, named | (more or {}), edges)


def reference(weight, tau, dt, x, scale=1.0, v_th=0.5, v_leak=0.0):
    v, spikes = np.zeros(len(weight)), []
    for row in x:
        v = v + dt / tau * (v_leak - v + scale * (weight @ row))
        spikes.append(v > v_th)
        v = np.where(spikes[-1], 0.0, v)
    return np.array(spikes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.nir"


def test_scale_flatten_and_chains_of_weights_are_products(path):
    first, second = weights(4, 3, 1), weights(4, 4, 2)
    scale = nir.Scale(scale=np.array([1.0, 2.0, -1.0, 0.5]))
    flat = nir.Flatten(input_type={"input": np.array([4])}, start_dim=0)
    chain(path, first, scale, flat, second, lif(4))
    found = read_nir(path, dt=1.0)
    x = random_spikes(1, n_in=3)
    product = second.weight @ np.diag(scale.scale) @ first.weight
    spikes = found.network.run(x).spikes[:, 0]
    assert spikes.sum() > 20
    assert np.array_equal(spikes, reference(product, 0.01, 1e-3, x[:, 0]))
    assert found.populations == {"n4": slice(0, 4)}


def test_the_input_scaling_is_folded_into_the_weights_if_it_must_be(path):
    first = weights(4, 3, 1)
    chain(path, first, lif(4, r=3.0))
    found = read_nir(path, dt=1.0)
    x = random_spikes(1, n_in=3)
    spikes = found.network.run(x).spikes[:, 0]
    assert np.array_equal(spikes, reference(first.weight, 0.01, 1e-3, x[:, 0], 3.0))
    assert "weights" in subjects(found.notes)


def test_files_in_float32_are_read_without_scaling_the_weights(path):
    """Such as r = tau / dt of snnTorch, which is not exact in float32."""
    n, dt = np.ones(4, np.float32), np.float32(1e-4)
    tau = dt / (1 - np.float32(0.9) * n)
    first = nir.Linear(weight=weights(4, 3, 1).weight.astype(np.float32))
    chain(path, first, nir.LIF(tau, tau / dt, 0 * n, n, 0 * n))
    found = read_nir(path, dialect="snntorch")
    assert found.network.dtype == "float32"
    assert found.network.cell.input_scaling == "unit"
    assert np.array_equal(found.network.params.w_in, first.weight)
    assert np.allclose(found.network.cell_constants.alpha_m, 0.9, atol=1e-7)
    assert "weights" not in subjects(found.notes)


def test_subgraphs_stand_for_a_node(path):
    inner = {"in": nir.Input(np.array([4])), "lif": lif(4), "rec": weights(4, 4, 2)}
    inner["out"] = nir.Output(np.array([4]))
    edges = [("in", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")]
    layer = nir.NIRGraph(inner, edges, type_check=False)
    chain(path, weights(4, 3, 1, 3.0), layer)
    nested = read_nir(path, dt=1.0)
    assert list(nested.populations) == ["n1.lif"]
    extra = [("n1", "rec"), ("rec", "n1")]
    more = {"rec": inner["rec"]}
    chain(path, weights(4, 3, 1, 3.0), lif(4), extra=extra, more=more)
    flat = read_nir(path, dt=1.0)
    x = random_spikes(1, n_in=3)
    spikes = flat.network.run(x).spikes
    assert spikes.sum() > 20
    assert np.array_equal(spikes, nested.network.run(x).spikes)
    del inner["out"]
    broken = nir.NIRGraph(inner, edges[:-1], type_check=False)
    chain(path, weights(4, 3, 1, 3.0), broken)
    with pytest.raises(
        FileFormatError, match="subgraph 'n1' must have one Output node"
    ):
        read_nir(path, dt=1.0)


def test_voltages_are_counted_from_v_reset(path):
    first = weights(4, 3, 1)
    chain(path, first, lif(4, v_reset=-60.0, v_leak=-60.0, v_threshold=-59.5))
    found = read_nir(path, dt=1.0)
    x = random_spikes(1, n_in=3)
    expected = reference(first.weight, 0.01, 1e-3, x[:, 0])
    assert np.array_equal(found.network.run(x).spikes[:, 0], expected)
    assert "first state" in subjects(found.notes, loud=True)


def test_a_leak_voltage_is_a_bias(path):
    first = weights(4, 3, 1, 0.5)
    chain(path, first, lif(4, v_leak=0.4))
    found = read_nir(path, dt=1.0)
    x = random_spikes(1, n_in=3)
    expected = reference(first.weight, 0.01, 1e-3, x[:, 0], v_leak=0.4)
    assert np.array_equal(found.network.run(x).spikes[:, 0], expected)


def test_neurons_without_leak_integrate(path):
    first = weights(4, 3, 1)
    values = {"r": np.full(4, 200.0), "v_threshold": np.full(4, 2.0)}
    chain(path, first, nir.IF(**values))
    x = random_spikes(1, n_in=3)
    spikes = read_nir(path, dt=1.0).network.run(x).spikes[:, 0]
    v, expected = np.zeros(4), []
    for row in x[:, 0]:
        v = v + 1e-3 * 200.0 * (first.weight @ row)
        expected.append(v > 2.0)
        v = np.where(v > 2.0, 0.0, v)
    assert spikes.sum() > 5
    assert np.array_equal(spikes, expected)


def test_layers_become_blocks_and_late_by_their_depth(path):
    """Deeper layers are late by a step each; a skip connection is kept in time."""
    parts = [weights(4, 3, 1, 2.0), lif(4), weights(5, 4, 2, 3.0), lif(5)]
    parts += [weights(4, 5, 3, 3.0), lif(4)]
    skip = {"skip": weights(4, 4, 4, 2.0)}
    chain(path, *parts, extra=[("n1", "skip"), ("skip", "n5")], more=skip)
    found = read_nir(path, dt=1.0)
    assert found.network.layers == (4, 5, 4)
    assert sorted(np.unique(found.network.delay)) == [1, 2]
    x = random_spikes(1, n_in=3)
    spikes = found.network.run(x).spikes[:, 0]
    one = reference(parts[0].weight, 0.01, 1e-3, x[:, 0])
    two = reference(parts[2].weight, 0.01, 1e-3, one)
    both = np.hstack([two, one])
    three = reference(
        np.hstack([parts[4].weight, skip["skip"].weight]), 0.01, 1e-3, both
    )
    blocks = [spikes[:, b] for b in found.populations.values()]
    for late, expected in enumerate((one, two, three)):
        assert expected.sum() > 5
        assert np.array_equal(blocks[late][late:], expected[: len(expected) - late])
    assert "layers" in subjects(found.notes)


def test_an_input_or_a_loop_out_of_time_is_told_loudly(path):
    parts = [weights(4, 3, 1), lif(4), weights(4, 4, 2), lif(4)]
    more = {"back": weights(4, 4, 3), "in2": weights(4, 3, 4)}
    chain(
        path,
        *parts,
        extra=[("n3", "back"), ("back", "n1")],
        more={"back": more["back"]},
    )
    loop = read_nir(path, dt=1.0)
    assert "loop" in subjects(loop.notes, loud=True)
    chain(
        path, *parts, extra=[("input", "in2"), ("in2", "n3")], more={"in2": more["in2"]}
    )
    early = read_nir(path, dt=1.0)
    assert "input" in subjects(early.notes, loud=True)


def test_a_bias_behind_a_current_is_told_loudly(path):
    n = np.ones(4)
    cuba = nir.CubaLIF(0.005 * n, 0.01 * n, n, 0 * n, n, w_in=5.0)
    affine = nir.Affine(weight=np.ones((4, 3)), bias=0.1 * n)
    chain(path, affine, cuba)
    found = read_nir(path, dt=1.0)
    assert "bias" in subjects(found.notes, loud=True)
    # i = 0.2 (5 0.1) / 0.2 in the end, v grows by 0.1 of it
    assert np.allclose(found.network.params.bias, 0.05)


def test_a_decay_is_the_same_per_step(path):
    chain(path, weights(4, 3), lif(4, tau=0.004))
    for dt, kept in ((1.0, 0.75), (4.0, 0.0), (0.5, 0.875)):
        network = read_nir(path, dt=dt).network
        assert np.allclose(network.cell_constants.alpha_m, kept, atol=1e-15)
        exact = read_nir(path, dt=dt, discretisation="exponential").network
        assert np.allclose(exact.cell_constants.alpha_m, np.exp(-dt / 4), atol=1e-15)


def test_the_reset_can_be_chosen(path):
    chain(path, weights(4, 3), lif(4))
    assert read_nir(path, dt=1.0).network.cell.reset == "zero"
    found = read_nir(path, dt=1.0, reset="subtract")
    assert found.network.cell.reset == "subtract"
    assert "subtracted" in next(n.text for n in found.notes if n.subject == "reset")


def test_delay_nodes_in_a_loop_are_delays(path):
    more = {"rec": weights(4, 4, 5), "late": nir.Delay(np.array([0, 1, 1, 3]) * 1e-3)}
    extra = [("n1", "rec"), ("rec", "late"), ("late", "n1")]
    chain(path, weights(4, 3), lif(4), extra=extra, more=more)
    network = read_nir(path, dt=1.0).network
    assert np.array_equal(network.delay, [[1] * 4, [2] * 4, [2] * 4, [4] * 4])
    assert np.allclose(
        network.params.w_rec, more["rec"].weight * 0 + network.params.w_rec
    )
    assert np.array_equal(network.params.w_rec, more["rec"].weight)


def test_an_li_node_is_the_readout(path):
    values = {"tau": np.full(2, 0.02), "r": np.full(2, 3.0), "v_leak": np.full(2, 0.5)}
    affine = nir.Affine(weight=np.ones((2, 4)), bias=np.array([0.1, -0.1]))
    chain(path, weights(4, 3, 1), lif(4), affine, nir.LI(**values), n_out=2)
    network = read_nir(path, dt=1.0).network
    x = random_spikes(1, n_in=3)
    record = network.run(x)
    y, expected = np.zeros(2), []
    for z in record.spikes[:, 0]:
        y = y + 0.05 * (0.5 - y + 3.0 * (affine.weight @ z + affine.bias))
        expected.append(y)
    assert np.abs(record.y[:, 0] - expected).max() < 1e-12


# --- what is refused


BROKEN = {
    "missing dt": (lambda p: chain(p, weights(4, 3), lif(4)), {}, "dt must be > 0 ms"),
    "Euler step too long": (
        lambda p: chain(p, weights(4, 3), lif(4, tau=1e-4)),
        {"dt": 1.0},
        r"node 'n1' \(LIF\): tau must be at least the time step",
    ),
    "shapes": (
        lambda p: chain(p, weights(4, 3), lif(5), weights(2, 4), n_out=2),
        {"dt": 1.0},
        r"weights 'input' -> 'n1' must have shape \(5, 3\).*got \(4, 3\)",
    ),
    "chain of weights": (
        lambda p: chain(p, weights(4, 3), weights(4, 5), lif(4)),
        {"dt": 1.0},
        "node 'n1' must take 4 values; got weights for 5",
    ),
    "parameters": (
        lambda p: chain(
            p,
            weights(4, 3),
            nir.LIF(*(np.ones(k) for k in (4, 4, 4, 4))),
            n_out=4,
        ),
        {"dt": 1.0, "reset": "none"},
        "read_nir.reset must be one of",
    ),
    "threshold below reset": (
        lambda p: chain(p, weights(4, 3), lif(4, v_reset=0.6)),
        {"dt": 1.0},
        "v_threshold must be above v_reset",
    ),
    "NaN": (
        lambda p: chain(p, weights(4, 3), lif(4, v_threshold=np.nan)),
        {"dt": 1.0},
        "v_threshold must be finite",
    ),
    "no neurons": (
        lambda p: chain(p, weights(4, 3)),
        {"dt": 1.0},
        "the graph must have neurons",
    ),
    "linear cycle": (
        lambda p: chain(p, weights(3, 3), lif(3), extra=[("n0", "n0")]),
        {"dt": 1.0},
        "a cycle must hold neurons",
    ),
    "two inputs": (
        lambda p: chain(
            p,
            weights(4, 3),
            lif(4),
            more={"other": nir.Input(np.array([3]))},
        ),
        {"dt": 1.0},
        "one Input node; got 2",
    ),
    "delayed input": (
        lambda p: chain(p, nir.Delay(np.full(3, 2e-3)), weights(4, 3), lif(4)),
        {"dt": 1.0},
        "gets the input 2 steps late",
    ),
    "part of a step": (
        lambda p: chain(p, nir.Delay(np.full(3, 2.5e-3)), weights(4, 3), lif(4)),
        {"dt": 1.0},
        "delay must be whole steps of 1 ms; got 2.5",
    ),
    "voltage as input": (
        lambda p: chain(
            p, weights(4, 3), nir.LI(*(np.ones(4),) * 3), weights(4, 4), lif(4)
        ),
        {"dt": 1.0},
        "must get spikes; got the voltage of 'n1'",
    ),
    "readouts of two time constants": (
        lambda p: chain(
            p,
            weights(4, 3),
            lif(4),
            nir.LI(np.array([0.01, 0.01, 0.02, 0.01]), np.ones(4), np.zeros(4)),
        ),
        {"dt": 1.0},
        "tau must be one time constant",
    ),
    "input as output": (
        lambda p: chain(p, weights(4, 3), lif(4), extra=[("n0", "output")]),
        {"dt": 1.0},
        "node 'output' must get spikes; got node 'input'",
    ),
}


def test_metadata_of_others_are_left_alone(path):
    metadata = {"tool": {"version": "1", "scale": np.ones(3)}, "text": "x"}
    nodes = {"input": nir.Input(np.array([3])), "w": weights(4, 3), "n": lif(4)}
    nodes["output"] = nir.Output(np.array([4]))
    edges = [("input", "w"), ("w", "n"), ("n", "output")]
    nir.write(path, nir.NIRGraph(nodes, edges, metadata=metadata))
    assert read_nir(path, dt=1.0).network.n_rec == 4


@pytest.mark.parametrize("name", BROKEN)
def test_graphs_that_are_no_network_of_ours_are_refused(name, path):
    make, options, message = BROKEN[name]
    make(path)
    with pytest.raises((FileFormatError, InvalidValue), match=message):
        read_nir(path, **options)


def test_unsupported_nodes_are_named_all_at_once(path):
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2))
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([4])),
            "gate": nir.Threshold(np.ones(4)),
            "output": nir.Output(np.array([4])),
        },
        [("input", "gate"), ("gate", "output")],
    )
    chain(path, conv, pool, weights(4, 3), lif(4), inner)
    with pytest.raises(FileFormatError) as raised:
        read_nir(path, dt=1.0)
    message = str(raised.value)
    for name, kind in (("n0", "Conv2d"), ("n1", "SumPool2d"), ("n4.gate", "Threshold")):
        assert f"node '{name}' of type {kind} is not supported" in message
    assert "3 problems" in message


def test_files_that_are_no_nir_are_refused(path, tmp_path):
    with pytest.raises(FileAccessError, match="must exist"):
        read_nir(path, dt=1.0)
    path.write_text("not HDF5")
    with pytest.raises(FileFormatError, match="must be an HDF5 file"):
        read_nir(path, dt=1.0)
    random_network(0).save(path)
    with pytest.raises(FileFormatError, match="without the group 'node'"):
        read_nir(path, dt=1.0)
    with pytest.raises(UnknownName, match="Did you mean 'norse'"):
        read_nir(path, dt=1.0, dialect="nors")


def test_damaged_files_give_a_network_or_our_error(path, tmp_path):
    """Whatever is cut off or flipped: no other error, nothing half-read."""
    network = random_float_network(0, dtype="float32")
    write_nir(network, path)
    whole = path.read_bytes()
    refused = 0
    for content in damaged(whole, 80):
        broken = tmp_path / "broken.nir"
        broken.write_bytes(content)
        for options in ({}, {"dt": 1.0, "use_metadata": False}):
            try:
                found = read_nir(broken, **options).network
            except (FileFormatError, InvalidValue):
                refused += 1
            else:
                assert found.n_rec == N_REC
    assert refused > 20


def test_text_heaps_that_would_hang_hdf5_are_refused(path):
    write_nir(random_float_network(0), path)
    content = bytearray(path.read_bytes())
    heap = content.find(b"GCOL")
    for size in (2**64 - 1, 2**40, 2**64 - 32):
        content[heap + 24 : heap + 32] = size.to_bytes(8, "little")
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="a heap of texts"):
            read_nir(path)


def edit(change):
    def make(path):
        write_nir(random_float_network(0), path)
        with h5py.File(path, "a") as file:
            change(file)

    return make


def replace(file, name, value, **options):
    del file[name]
    file.create_dataset(name, data=value, **options)


def link(file):
    del file["node/nodes/w_in/weight"]
    file["node/nodes/w_in/weight"] = h5py.ExternalLink("/etc/passwd", "/x")


def stamp(**changes):
    def change(file):
        name = "node/metadata/spikelearn/stamp"
        content = json.loads(file[name][()]) | changes
        replace(file, name, json.dumps(content))

    return change


def spec(**changes):
    def change(file):
        name = "node/metadata/spikelearn/spec"
        content = json.loads(file[name][()]) | changes
        replace(file, name, json.dumps(content))

    return change


TAMPERED = {
    "external link": (link, "must hold 'weight' itself"),
    "text for weights": (
        lambda f: replace(f, "node/nodes/w_in/weight", "abc"),
        "must hold numbers",
    ),
    "no weights": (
        lambda f: f["node/nodes/w_in"].__delitem__("weight"),
        "must have the array 'weight'",
    ),
    "another kind": (lambda f: replace(f, "node/type", "LIF"), "must hold a NIRGraph"),
    "edge to nowhere": (
        lambda f: replace(f, "node/edges", [["input", "nobody"]]),
        "edges name no node 'nobody'",
    ),
    "newer metadata": (stamp(format_version=99), "Install a newer spikelearn"),
    "metadata of another kind": (stamp(kind="brain"), "must be of one of"),
    "unknown options": (stamp(options={"a": 1}), "must say how it was written"),
    "metadata not JSON": (
        lambda f: replace(f, "node/metadata/spikelearn/stamp", "{"),
        "is not JSON",
    ),
    "other sizes": (spec(n_rec=13), "must have the sizes of the nodes.* n_rec 13"),
    "sizes that are no numbers": (spec(n_out=[3]), "must have the sizes of the nodes"),
    "unknown cell": (spec(cell={"kind": "HH"}), "do not make a network"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_files_are_refused(name, path):
    change, message = TAMPERED[name]
    edit(change)(path)
    with pytest.raises(FileFormatError, match=message):
        read_nir(path)


def test_a_small_file_does_not_make_a_large_network(path, monkeypatch):
    write_nir(random_float_network(0), path)
    spec(n_rec=100_000)(file := h5py.File(path, "a"))
    for name, shape in (("w_in", (100_000, 5)), ("w_out", (3, 100_000))):
        place = f"node/nodes/{name}/weight"
        replace(file, place, np.zeros(shape, "f4"), compression="gzip")
    file.close()
    assert path.stat().st_size < 100_000
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "8GiB")
    with pytest.raises(InvalidValue, match="memory limit of 8 GiB; got 100000 neurons"):
        read_nir(path)


def test_limits_hold(path, monkeypatch):
    write_nir(random_float_network(0), path)
    monkeypatch.setattr("hardware.importing._nir_file.MAX_NODES", 3)
    with pytest.raises(FileFormatError, match="at most 3 nodes"):
        read_nir(path)
    monkeypatch.undo()
    with h5py.File(path, "a") as file:
        for name in ("a", "b"):  # of zeros, which take no room in the file
            file["node"].create_dataset(name, (2**13, 2**13), "f4", compression="gzip")
    with pytest.raises(FileFormatError, match="at most 67108864 values; got"):
        read_nir(path)
    chain(path, weights(4, 3), lif(4), n_in=10**12)
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "1GiB")
    with pytest.raises((FileFormatError, InvalidValue)):
        read_nir(path, dt=1.0)
