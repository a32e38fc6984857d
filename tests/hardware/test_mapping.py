"""Mapping: the memory formula against plain counting, and limits that are kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardware._structure import Block, Structure, structure_of
from hardware.chips import ChipSpec, Limit, chip
from hardware.description import Connection
from hardware.mapping import axon_bits, place
from hardware.utilisation import draw_utilisation
from spikelearn.errors import HardwareError, InvalidValue
from spikelearn.network import RecurrentNetwork
from tests.hardware.networks import random_network

CORE_BITS = 128 * 1024 * 8


def net_of(w_in, w_rec, w_out, bits=8, delay_bits=0):
    w_in, w_rec, w_out = (np.asarray(w, bool) for w in (w_in, w_rec, w_out))
    return Structure(
        w_in.shape[1],
        len(w_rec),
        len(w_out),
        Block("w_in", w_in, bits),
        Block("w_rec", w_rec, bits, delay_bits),
        Block("w_out", w_out, bits),
    )


def layer(n, recurrent=True, n_in=1, n_out=1, **options):
    rec = np.full((n, n), recurrent)
    return net_of(np.zeros((n, n_in)), rec, np.zeros((n_out, n)), **options)


def random_net(seed, n_in=7, n=40, n_out=3, density=0.3, **options):
    rng = np.random.default_rng(seed)
    shapes = ((n, n_in), (n, n), (n_out, n))
    return net_of(*(rng.random(shape) < density for shape in shapes), **options)


def plain_bits(n, width):
    """Write n synapses one by one into memory units of 64 bits."""
    units = 0
    while n > 0:
        group = min(n, 64)
        used = 10
        for _ in range(group):
            used += width
        while used > 0:
            units, used = units + 1, used - 64
        n -= group
    return 64 * units


def plain_core(net, first, stop):
    """Count one core with loops over synapses; bits, axons in, axons out of it."""
    stored = {7: 8}.get(net.w_rec.weight_bits, net.w_rec.weight_bits)
    index = max(6, int(np.ceil(np.log2(max(stop - first, 1)))))
    bits = axons = 0
    for block in net.blocks:
        offset = net.n_rec if block.name == "w_out" else 0
        here = [k - offset for k in range(first, stop)]
        here = [k for k in here if 0 <= k < len(block.present)]
        if block.name != "w_out":
            here = [k for k in here if k < net.n_rec]
        width = stored + block.delay_bits
        for source in range(block.present.shape[1]):
            synapses = sum(bool(block.present[k, source]) for k in here)
            if synapses:
                axons += 1
                bits += min(
                    plain_bits(len(here), width), plain_bits(synapses, width + index)
                )
    return bits, axons


def test_the_formula_counts_what_is_written_by_hand():
    assert axon_bits(1024, 8) == 9216 == 16 * 576  # 64 * 8 + 10 = 522, in 64s: 576
    assert axon_bits(100, 8) == 896 == 576 + 320  # 36 * 8 + 10 = 298
    assert axon_bits(0, 8) == 0
    assert axon_bits(1, 8) == 64
    for width in (1, 5, 8, 14, 20):
        counts = np.arange(200)
        expected = [plain_bits(n, width) for n in counts]
        assert np.array_equal(axon_bits(counts, width), expected)


def test_a_dense_layer_of_1024_neurons_takes_nine_cores():
    # from the formula: nine memories of 128 KiB are just what 1024 axons fill
    assert 1024 * axon_bits(1024, 8) == 9 * CORE_BITS
    # from the mapper: split over cores, 118 neurons fill one (64 and 54 a group)
    mapping = place(layer(1024), "loihi1")
    assert mapping.n_cores == 9 and mapping.n_chips == 1
    assert [core.compartments for core in mapping.cores] == [118] * 8 + [81]
    assert mapping.cores[0].synapse_bits == CORE_BITS
    assert mapping.cores[0].synapse_bits == 1024 * (576 + 448)
    # the description of such a network, with a readout, and without self-connections
    rng = np.random.default_rng(0)
    given = random_network(0, n_in=1, n_rec=1024, n_out=1)
    weights = 2 * rng.integers(1, 100, (1024, 1024))
    np.fill_diagonal(weights, 0)
    silent = Connection(np.zeros((1024, 1), np.int16), 0)
    given = dataclasses.replace(given, w_rec=Connection(weights, 0), w_in=silent)
    assert place(given, "loihi1").n_cores == 9
    # negative control: an input of 28 dense channels does not fit beside it
    full = dataclasses.replace(given, w_in=Connection(np.full((1024, 28), 2), 0))
    assert place(full, "loihi1").n_cores == 10


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bits", [2, 6, 7, 8])
def test_cores_hold_what_plain_counting_finds(seed, bits):
    net = random_net(seed, density=(seed + 1) / 6, bits=bits, delay_bits=seed % 3)
    small = dataclasses.replace(
        chip("loihi1"), synapse_memory_per_core=Limit(64 * 60, "test")
    )
    mapping = place(net, small)
    assert mapping.n_cores > 1
    outgoing = np.zeros(net.n_rec, int)
    for core in mapping.cores:
        bits_here, axons = plain_core(net, core.first, core.stop)
        assert (core.synapse_bits, core.input_axons) == (bits_here, axons)
        assert core.synapse_bits <= 64 * 60
        for source in range(net.n_rec):
            rows = net.w_rec.present[core.first : min(core.stop, net.n_rec), source]
            outs = range(max(core.first, net.n_rec), core.stop)
            outgoing[source] += rows.any()
            outgoing[source] += any(
                net.w_out.present[k - net.n_rec, source] for k in outs
            )
    for core, after in zip(mapping.cores, mapping.cores[1:], strict=False):
        assert core.stop == after.first
        one_more, _ = plain_core(net, core.first, core.stop + 1)
        assert one_more > 64 * 60, "greedy: the next neuron would not have fitted"
        sent = outgoing[core.first : min(core.stop, net.n_rec)].sum()
        assert core.output_axons == sent
    assert mapping.cores[-1].stop == net.n_rec + net.n_out
    assert place(net, small) == mapping, "the same every time"


def test_sparse_weights_take_the_sparse_format():
    rec = np.zeros((512, 512), bool)
    rec[3, :] = True
    sparse = place(net_of(np.zeros((512, 1)), rec, np.zeros((1, 512))), "loihi1")
    assert sparse.n_cores == 1
    # one synapse of 8 + 10 index bits with its 10 fits a unit of 64
    assert sparse.cores[0].synapse_bits == 512 * 64
    assert place(layer(512), "loihi1").n_cores > 1


@pytest.mark.parametrize(
    ("limit", "value", "cores"),
    [
        ("neurons_per_core", 10, 5),
        ("input_axons_per_core", 41, 2),
        ("output_axons_per_core", 10**6, 1),
    ],
)
def test_each_limit_alone_splits_a_network(limit, value, cores):
    spec = ChipSpec("own", **{limit: Limit(value, "test")})
    net = net_of(np.zeros((40, 1)), np.ones((40, 40)), np.ones((1, 40)))
    mapping = place(net, spec)
    assert mapping.n_cores == cores
    assert mapping.synapse_bytes is None
    shares = mapping.utilisation()
    assert sum(share is not None for share in shares.values()) == 1


def test_too_many_axons_that_start_on_a_core_spread_the_neurons():
    # a core of k neurons starts k axons to every core: k * ceil(40 / k) of them
    net = layer(40)
    limits = {"neurons_per_core": Limit(20, "t"), "output_axons_per_core": None}
    free = place(net, ChipSpec("own", neurons_per_core=Limit(20, "t")))
    assert [c.output_axons for c in free.cores] == [40, 40, 0]
    limits["output_axons_per_core"] = Limit(39, "t")
    with pytest.raises(HardwareError, match=r"output axons must be at most 39"):
        place(net, ChipSpec("own", **limits))
    blocks = np.kron(np.eye(4), np.ones((10, 10)))  # four networks of ten neurons
    net = net_of(np.zeros((40, 1)), blocks, np.zeros((1, 40)))
    limits["output_axons_per_core"] = Limit(10, "t")
    mapping = place(net, ChipSpec("own", **limits))
    assert max(core.output_axons for core in mapping.cores) <= 10
    assert mapping.n_cores > free.n_cores


def test_a_neuron_larger_than_a_core_is_refused():
    spec = ChipSpec("own", input_axons_per_core=Limit(3, "test"))
    with pytest.raises(HardwareError, match="neuron 0, input axons must be at most 3"):
        place(layer(5), spec)


def test_unknown_chips_are_not_guessed():
    for name in ("loihi2", "lava", "xylo", "brainscales2", "speck"):
        mapping = place(layer(10), name)
        assert mapping.cores is None and mapping.n_cores is None
        assert mapping.synapse_bytes is None and len(mapping.unknown) == 4
        assert set(mapping.utilisation().values()) == {None}
    counted = place(layer(600), "spinnaker2")
    assert counted.n_cores == 3 and counted.synapse_bytes is None
    assert "synapse_memory_per_core" in counted.unknown


def test_memory_without_a_formula_is_not_applied():
    limits = {"synapse_memory_per_core": Limit(64, "test")}
    mapping = place(layer(10), ChipSpec("own", **limits))
    assert mapping.cores is None
    limits["synapse_memory_formula"] = Limit("axon blocks", "test")
    with pytest.raises(HardwareError, match="synapse bits"):
        place(layer(10), ChipSpec("own", **limits))


def test_the_structure_of_both_kinds_of_network():
    network = RecurrentNetwork(3, 6, 2, delay=5)
    net = structure_of(network, bits=4)
    assert net.n_synapses == 18 + 30 + 12
    assert (net.w_rec.weight_bits, net.w_rec.delay_bits) == (4, 3)
    assert net.w_in.delay_bits == 0
    given = random_network(0)
    net = structure_of(given)
    assert net.n_synapses == sum(
        int(np.count_nonzero(w.weights)) for w in (given.w_in, given.w_rec, given.w_out)
    )


def test_the_figure_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    mapping = place(layer(300), "loihi1")
    draw_utilisation(mapping, tmp_path / "use.svg")
    text = (tmp_path / "use.svg").read_text()
    assert text.startswith("<svg") and "% of 1,048,576 bits" in text
    draw_utilisation(place(layer(300), "spinnaker2"), tmp_path / "use2.svg")
    text = (tmp_path / "use2.svg").read_text()
    assert "no public formula" in text and "limit unknown" in text
    draw_utilisation(mapping, tmp_path / "use.png")
    assert (tmp_path / "use.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(HardwareError, match="must have a known limit of a core"):
        draw_utilisation(place(layer(300), "lava"), tmp_path / "none.svg")
    with pytest.raises(InvalidValue, match=r"must end in \.svg or \.png"):
        draw_utilisation(mapping, tmp_path / "use.gif")
    assert {p.name for p in tmp_path.iterdir()} == {"use.svg", "use2.svg", "use.png"}
