"""netx files: what lava-dl makes of ours, and what we make of those of others."""

from __future__ import annotations

import contextlib
import dataclasses

import h5py
import numpy as np
import pytest

from hardware import emulator
from hardware.description import Connection, NetworkDescription
from hardware.export._netx_weights import effective, fitted, loaded_violations
from hardware.export.netx import read_netx, write_netx
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    HardwareError,
    InvalidValue,
)
from tests.damage import damaged
from tests.hardware.lava_dl import (
    export_by_lava_dl,
    run_in_lava_dl,
    weights_kept_by_lava_dl,
)
from tests.hardware.make_golden import FOLDER
from tests.hardware.networks import random_input, random_network
from tests.reference import integer

SLAYER = FOLDER / "lava_dl_slayer.net"
SLAYER_STATES = FOLDER / "lava_dl_slayer.npz"
CASES = {
    "even weights": {},
    "odd weights": {"shrink": 3, "vth": (40, 150)},
    "one sign": {"signs": ("excitatory", "excitatory", "inhibitory"), "bits": 7},
    "few bits": {"bits": 4},
    "one register for all": {"du": (300, 300), "dv": (70, 70), "vth": (60, 60)},
    "wraps": {"du": (0, 3), "n_in": 30, "input_weight": 254, "rate": 0.9},
    "graded input": {"input_bits": 4},
    "bias": {"bias": True},
}


def netx_network(seed, shrink=1, bias=False, rate=0.3, **options):
    """A network that netx can hold: plain LIF, no exponents, biases of exponent 6."""
    net = random_network(seed, bias=bias, **options)
    neurons = dataclasses.replace(
        net.neurons,
        bias_mant=net.neurons.bias_mant // 100,
        bias_exp=np.full(net.n_rec, 6),
    )
    readout = dataclasses.replace(net.readout, bias_mant=np.zeros(net.n_out, int))
    blocks = {}
    if shrink > 1:
        for name in ("w_in", "w_rec", "w_out"):
            odd = np.fix(getattr(net, name).weights / shrink).astype(int)
            blocks[name] = Connection(odd << 1, -1)
    return dataclasses.replace(net, neurons=neurons, readout=readout, **blocks)


def same_function(a, b):
    """Whether two descriptions compute the same, whatever the split of a weight."""
    blocks = all(
        np.array_equal(effective(getattr(a, name)), effective(getattr(b, name)))
        for name in ("w_in", "w_rec", "w_out")
    )
    rest = {name: getattr(a, name) for name in ("w_in", "w_rec", "w_out", "vectors")}
    plain = [one.neurons.bias_mant << one.neurons.bias_exp for one in (a, b)]
    rest["neurons"] = dataclasses.replace(
        b.neurons, bias_mant=a.neurons.bias_mant, bias_exp=a.neurons.bias_exp
    )
    rest["readout"] = dataclasses.replace(
        b.readout, bias_mant=a.readout.bias_mant, bias_exp=a.readout.bias_exp
    )
    return blocks and np.array_equal(*plain) and dataclasses.replace(b, **rest) == a


@pytest.mark.parametrize("name", CASES)
def test_a_round_trip_keeps_what_the_network_computes(name, tmp_path):
    net = netx_network(4, **CASES[name])
    write_netx(net, tmp_path / "a.net")
    again, told = read_netx(tmp_path / "a.net", input_bits=net.input_bits)
    assert told == ()
    assert same_function(again, net)
    x = random_input(5, net, 60, 2)
    first, second = emulator.run(net, x), emulator.run(again, x)
    for key in ("u", "v", "spikes", "y"):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))
    assert first.n_spikes > 0


@pytest.mark.lava_dl
@pytest.mark.parametrize("name", CASES)
def test_lava_dl_gives_the_states_of_the_emulator(name, tmp_path):
    options = CASES[name]
    net = netx_network(4, **options)
    write_netx(net, tmp_path / "a.net")
    x = random_input(5, net, 80, 1, options.get("rate", 0.3))
    x[-2:] = 0
    lava = run_in_lava_dl(tmp_path / "a.net", x[:, 0], tmp_path, net.input_bits)
    # Lava step 0 comes before the input: the emulator with a zero input before x.
    late = np.concatenate([np.zeros_like(x[:1]), x[:-1]])
    record = emulator.run(net, late)
    assert record.n_spikes > 20
    assert (record.u_wraps > 0) == (name == "wraps")
    np.testing.assert_array_equal(lava["0/s"], record.spikes[:, 0])
    np.testing.assert_array_equal(lava["0/u"], record.u[:, 0])
    np.testing.assert_array_equal(lava["0/v"], record.v[:, 0])
    np.testing.assert_array_equal(lava["1/v"][1:], record.y[:-1, 0])


@pytest.mark.lava_dl
def test_another_weight_in_the_file_is_seen_in_lava_dl(tmp_path):
    """Negative control."""
    net = netx_network(4)
    write_netx(net, tmp_path / "a.net")
    x = random_input(5, net, 80)
    with h5py.File(tmp_path / "a.net", "r+") as file:
        file["layer/1/weight"][3, 2] += 20
    lava = run_in_lava_dl(tmp_path / "a.net", x[:, 0], tmp_path)
    record = emulator.run(net, x)
    assert (lava["0/u"][1:] != record.u[:-1, 0]).any()


def test_a_file_of_slayer_runs_as_lava_dl_runs_it():
    """The exporter of lava-dl wrote the file, and lava-dl computed the states."""
    net, told = read_netx(SLAYER)
    assert (net.n_in, net.n_rec, net.n_out) == (10, 28, 4)
    assert any("counts spikes" in line for line in told)
    with np.load(SLAYER_STATES) as file:
        states = dict(file)
    record = emulator.run(net, states["x"][:, None])
    layers = {
        key: np.concatenate([states[f"0/{key}"], states[f"1/{key}"]], axis=1)
        for key in "uvs"
    }
    assert layers["s"][:, 24:].sum() > 20 and layers["s"][:, :24].sum() > 200
    for key, ours in (("u", record.u), ("v", record.v), ("s", record.spikes)):
        np.testing.assert_array_equal(layers[key][1:], ours[:-1, 0])
    counts = record.spikes[:, 0, 24:].astype(int).cumsum(axis=0)
    np.testing.assert_array_equal(record.y[:, 0], 64 * counts)


@pytest.mark.lava_dl
def test_lava_dl_still_writes_and_runs_the_golden_file(tmp_path):
    export_by_lava_dl(tmp_path / "again.net", tmp_path)
    assert read_netx(tmp_path / "again.net")[0] == read_netx(SLAYER)[0]
    with np.load(SLAYER_STATES) as file:
        states = dict(file)
    again = run_in_lava_dl(SLAYER, states.pop("x"), tmp_path)
    for key, values in states.items():
        np.testing.assert_array_equal(again[key], values)


def write_by_hand(path, layers, ts=None):
    """A file as the public description of the format has it, with plain h5py."""
    with h5py.File(path, "w") as file:
        for number, (kind, entries) in enumerate(layers):
            group = file.create_group(f"layer/{number}")
            group.create_dataset("type", (1,), "S10", [kind.encode()])
            for name, value in entries.items():
                group[name] = value
        if ts is not None:
            file["simulation/Ts"] = ts


def hand_layers(seed=0, n_in=5, n_rec=7, n_out=2):
    rng = np.random.default_rng(seed)
    cuba = {
        "neuron/type": "LOIHI",
        "neuron/iDecay": 900,
        "neuron/vDecay": 128,
        "neuron/vThMant": 300,
        "neuron/refDelay": 1,
        "neuron/gradedSpike": False,
    }
    hidden = {
        "shape": np.array([n_rec]),
        "weight": rng.integers(-100, 128, (n_rec, n_in)).astype(np.float32),
        "weight_rec": rng.integers(-60, 60, (n_rec, n_rec)).astype(np.float64),
        "bias": rng.integers(0, 9, n_rec),
    }
    readout = {
        "shape": np.array([n_out]),
        "weight": (2 * rng.integers(-127, 128, (n_out, n_rec))).astype(np.int8),
    }
    silent = {"neuron/iDecay": 4096, "neuron/vThMant": 131_071}
    return [
        ("input", {"shape": np.array([n_in])}),
        ("dense_rec", hidden | cuba),
        ("dense", readout | cuba | silent),
    ]


def test_a_file_written_by_hand_runs_as_its_numbers_say(tmp_path):
    layers = hand_layers()
    write_by_hand(tmp_path / "hand.net", layers, ts=np.array([2]))
    net, told = read_netx(tmp_path / "hand.net")
    assert told == ("input_bits was taken as 0, spikes: the file does not say it",)
    graded, told = read_netx(tmp_path / "hand.net", input_bits=4)
    assert graded.input_bits == 4 and told == ()
    assert net.dt == 2.0
    hidden, readout = layers[1][1], layers[2][1]
    for name, wanted in (
        ("w_in", hidden["weight"]),
        ("w_rec", hidden["weight_rec"]),
        ("w_out", readout["weight"]),
    ):
        np.testing.assert_array_equal(effective(getattr(net, name)), wanted)
    assert (net.neurons.du == 899).all() and (net.neurons.dv == 128).all()
    bias = net.neurons.bias_mant << net.neurons.bias_exp
    np.testing.assert_array_equal(bias, hidden["bias"] * 64)
    x = random_input(1, net, 40)
    record, naive = emulator.run(net, x), integer.run(net, x)
    np.testing.assert_array_equal(record.spikes, naive[3].astype(int))
    assert record.n_spikes > 10


@pytest.mark.lava_dl
def test_lava_dl_runs_the_file_written_by_hand_alike(tmp_path):
    write_by_hand(tmp_path / "hand.net", hand_layers())
    net, _ = read_netx(tmp_path / "hand.net")
    x = random_input(1, net, 60)
    lava = run_in_lava_dl(tmp_path / "hand.net", x[:, 0], tmp_path)
    late = np.concatenate([np.zeros_like(x[:1]), x[:-1]])
    record = emulator.run(net, late)
    np.testing.assert_array_equal(lava["0/u"], record.u[:, 0])
    np.testing.assert_array_equal(lava["0/s"], record.spikes[:, 0])


def test_what_netx_cannot_say_is_refused_all_at_once(tmp_path):
    net = random_network(
        2, reset="subtract", adaptive=True, refractory=True, exponents=(3, 1, 2)
    )
    with pytest.raises(HardwareError) as caught:
        write_netx(net, tmp_path / "a.net")
    assert not list(tmp_path.iterdir())
    places = [violation.place for violation in caught.value.violations]
    assert places == [
        "neurons.beta",
        "neurons.refractory",
        "neurons.reset",
        "w_in and w_rec",
        "bias of layer dense_rec",
        "w_out",
        "bias of layer dense",
    ]


def test_the_file_says_its_input_bits(tmp_path):
    path = tmp_path / "a.net"
    write_netx(netx_network(1, input_bits=4), path)
    net, told = read_netx(path)
    assert net.input_bits == 4 and told == ()
    with pytest.raises(InvalidValue, match="must be the 4 of the file; got 3"):
        read_netx(path, input_bits=3)
    for wrong in (2.0, 99):
        with h5py.File(path, "a") as file:
            del file["spikelearn/input_bits"]
            file["spikelearn/input_bits"] = wrong
        with pytest.raises(FileFormatError, match="input_bits must be"):
            read_netx(path)


def test_the_nearest_network_is_written_on_demand_and_told(tmp_path):
    net = random_network(2, refractory=True, exponents=(3, 1, 0), input_bits=2)
    told = write_netx(net, tmp_path / "a.net", strict=False)
    text = "\n".join(told)
    for part in (
        "neurons.refractory was left out",
        "layer dense_rec is 8 times smaller",
        "w_rec: ",
        "biases were rounded",
        "input_message_bits=2",
    ):
        assert part in text
    assert "w_in: " not in text  # halved three times, its mantissas are whole
    again, _ = read_netx(tmp_path / "a.net", input_bits=2)
    np.testing.assert_array_equal(effective(again.w_in), net.w_in.weights)
    np.testing.assert_array_equal(again.neurons.vth, np.rint(net.neurons.vth / 8))


LOADED = {
    "odd weights above 127 of both signs": ([[129, -3]], "what 8 bits hold"),
    "a weight of 9 bits": ([[300, 0]], "what 8 bits hold"),
    "-128 without positive ones": ([[-128, -3]], "keeps when it loads"),
    "-128 among zeros": ([[-127, 0]], None),
    "only zeros": ([[0, 0]], "not all 0"),
}


@pytest.mark.parametrize("name", LOADED)
def test_weights_that_lava_dl_would_change_are_refused(name, tmp_path):
    weights, message = LOADED[name]
    net = netx_network(0, n_rec=2, n_in=2, n_out=1)
    effective_weights = np.array(weights)
    sign = "mixed" if effective_weights.min() < 0 < effective_weights.max() else None
    sign = sign or ("inhibitory" if effective_weights.min() < 0 else "excitatory")
    if name == "odd weights above 127 of both signs":
        positive = Connection(np.array([[129, 3], [5, 7]]), 0, 8, "excitatory")
        negative = Connection(np.array([[0, -2], [-4, 0]]), 0, 8, "inhibitory")
        net = dataclasses.replace(net, w_in=positive, w_rec=negative)
    elif name == "a weight of 9 bits":
        net = dataclasses.replace(
            net, w_out=Connection(effective_weights // 4, 2, 8, sign)
        )
    else:
        net = dataclasses.replace(net, w_out=Connection(effective_weights, 0, 8, sign))
    if message is None:
        write_netx(net, tmp_path / "a.net")
        return
    with pytest.raises(HardwareError, match=message):
        write_netx(net, tmp_path / "a.net")


def random_layers(seed, count):
    """Layers of one or two blocks of all ranges, signs and powers of two."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        layer = []
        for _ in range(1 + number % 2):
            low, high = np.sort(rng.integers(-300, 300, 2) >> rng.integers(0, 9))
            low, high = [(low, high), (0, abs(low) + 1), (-abs(high) - 1, 0)][
                number % 3
            ]
            step = 1 << rng.integers(0, 4)
            layer.append(rng.integers(low, high + 1, (3, 4)) // step * step)
        if number % 7 == 0:
            layer[0][0, 0] = rng.choice([-256, -255, -129, -128, -127, 127, 128, 254])
        yield layer


def named(layer):
    return dict(zip(("weight", "weight_rec"), layer, strict=False))


def violations(layer):
    return loaded_violations(named(layer))


@pytest.mark.lava_dl
def test_what_is_refused_is_what_lava_dl_changes(tmp_path):
    layers = list(random_layers(11, 2000))
    kept = weights_kept_by_lava_dl(layers, tmp_path)
    ours = [not violations(layer) for layer in layers]
    np.testing.assert_array_equal(ours, kept)
    assert 200 < sum(ours) < 1900
    rounded = [list(fitted(named(layer))[0].values()) for layer in layers]
    kept = weights_kept_by_lava_dl(rounded, tmp_path)
    np.testing.assert_array_equal([not violations(layer) for layer in rounded], kept)
    for layer in (
        layer for layer, whole in zip(rounded, kept, strict=True) if not whole
    ):
        # lava-dl clips a block without positive weights whose least is -2**n
        least = -min(int(block.min()) for block in layer)
        assert least & (least - 1) == 0
    assert kept.sum() > sum(ours)


@pytest.mark.lava_dl
def test_lava_dl_does_change_such_weights(tmp_path):
    layers = hand_layers()
    weight = np.full((7, 5), -128)
    weight[0, 0] = -3
    change(layers, 1, weight=weight, bias=None)
    write_by_hand(tmp_path / "hand.net", layers[:2])
    x = np.zeros((4, 5), int)
    x[0, 1] = 1
    lava = run_in_lava_dl(tmp_path / "hand.net", x, tmp_path)
    assert (lava["0/u"][1] == 64 * (-255 >> 1)).any()
    assert effective(read_netx(tmp_path / "hand.net")[0].w_in)[1, 1] == -128


def change(layers, number, **entries):
    kind, old = layers[number]
    entries = {name.replace("__", "/"): value for name, value in entries.items()}
    kept = {name: value for name, value in (old | entries).items() if value is not None}
    layers[number] = (kind, kept)
    return layers


def broken(**changes):
    return lambda: change(hand_layers(), 1, **changes)


BAD = {
    "weights of 9 bits": (broken(weight=np.full((7, 5), 300)), "what 8 bits hold"),
    "odd weights of 9 bits with their sign": (
        broken(weight=np.tile([201, -3, 1, 1, 1], (7, 1))),
        "what 8 bits hold",
    ),
    "weights that are no whole numbers": (
        broken(weight=np.full((7, 5), 0.5)),
        "whole numbers",
    ),
    "a weight that is not a number": (broken(weight=np.full((7, 5), np.nan)), "whole"),
    "delays": (broken(delay=np.array([0, 1, 0, 0, 0, 0, 0])), "delay must be absent"),
    "an exponent": (broken(neuron__wgtExp=-2), "wgtExp must be absent or 0"),
    "another number of rows": (broken(weight=np.ones((6, 5))), "with 7 rows"),
    "another number of columns": (broken(weight=np.ones((7, 4))), r"\(7, 5\)"),
    "a rectangular recurrence": (broken(weight_rec=np.ones((7, 6))), r"\(7, 7\)"),
    "no weight": (broken(weight=None), "/weight"),
    "no recurrent weight": (broken(weight_rec=None), "/weight_rec"),
    "no threshold": (broken(neuron__vThMant=None), "vThMant"),
    "a threshold of 18 bits": (broken(neuron__vThMant=131_072), "0..131071"),
    "no leak of the current": (broken(neuron__iDecay=0), "1..4096"),
    "too many registers": (broken(neuron__vDecay=np.arange(3)), "one number or 7"),
    "a bias of 14 bits": (broken(bias=np.full(7, 9001)), "bias_mant must be"),
    "a text for a number": (broken(neuron__iDecay="many"), "iDecay must hold numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_numbers_are_named(name, tmp_path):
    layers, message = BAD[name]
    write_by_hand(tmp_path / "bad.net", layers())
    with pytest.raises(FileFormatError, match=message) as caught:
        read_netx(tmp_path / "bad.net")
    assert "bad.net" in str(caught.value)


def test_all_layers_that_are_not_supported_are_listed_at_once(tmp_path):
    layers = hand_layers()
    conv = ("conv", {"shape": np.array([4, 4, 2]), "weight": np.ones((2, 1, 3, 3, 1))})
    sigma_delta = change(hand_layers(), 1, neuron__type="SDNN")[1]
    input_neurons = ("input", dict(layers[2][1]))
    write_by_hand(
        tmp_path / "a.net",
        [input_neurons, conv, ("pool", {}), sigma_delta, ("flatten", {}), layers[2]],
    )
    with pytest.raises(FileFormatError) as caught:
        read_netx(tmp_path / "a.net")
    for part in (
        "'input' with neurons",
        "'conv'",
        "'pool'",
        "'SDNN'",
        "'flatten'",
        "/layer/4/type",
    ):
        assert part in str(caught.value)


def test_hidden_layers_become_blocks(tmp_path):
    """Two dense layers in a row: the second reads the first one step later."""
    first, second = hand_layers(n_rec=6)[1], hand_layers(1, n_in=6, n_rec=4)[1]
    readout = hand_layers(2, n_rec=4)[2]
    write_by_hand(tmp_path / "deep.net", [first, second, readout])
    net, told = read_netx(tmp_path / "deep.net")
    assert "6, 4 neurons" in "\n".join(told)
    w_rec = effective(net.w_rec)
    np.testing.assert_array_equal(w_rec[6:, :6], second[1]["weight"])
    np.testing.assert_array_equal(w_rec[6:, 6:], second[1]["weight_rec"])
    assert not w_rec[:6, 6:].any() and not effective(net.w_in)[6:].any()
    assert not effective(net.w_out)[:, :6].any()


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def no_hdf5(path):
    path.write_bytes(b"no HDF5" * 100)


def of_another_kind(path):
    path.unlink()
    random_network(0).save(path)


def without_first_layer(path):
    with h5py.File(path, "r+") as file:
        file.move("layer/0", "layer/7")


def huge(path):
    with h5py.File(path, "r+") as file:
        del file["layer/1/weight"]
        shape = (2**20, 2**20)
        file.create_dataset("layer/1/weight", shape, np.int8, chunks=(1024, 1024))


def linked(path):
    with h5py.File(path, "r+") as file:
        del file["layer/1/weight"]
        file["layer/1/weight"] = h5py.ExternalLink("other.h5", "/weight")


def many_layers(path):
    with h5py.File(path, "r+") as file:
        for number in range(3, 400):
            file.create_group(f"layer/{number}")


def metadata_in_another_form(path):
    with h5py.File(path, "r+") as file:
        file["spikelearn/metadata"] = np.frombuffer(b'{"a": [1]}', np.uint8)


@pytest.mark.parametrize(
    "harm",
    [
        truncated,
        no_hdf5,
        of_another_kind,
        without_first_layer,
        huge,
        linked,
        many_layers,
        metadata_in_another_form,
    ],
)
def test_foreign_and_damaged_files_are_named_as_such(harm, tmp_path):
    path = tmp_path / "bad.net"
    write_by_hand(path, hand_layers())
    harm(path)
    with pytest.raises(FileFormatError, match=r"bad\.net"):
        read_netx(path)


def test_a_damaged_file_is_never_half_read(tmp_path):
    write_netx(netx_network(1), tmp_path / "a.net")
    content = (tmp_path / "a.net").read_bytes()
    for copy in damaged(content, 200):
        (tmp_path / "b.net").write_bytes(copy)
        with contextlib.suppress(FileFormatError, FileAccessError):
            assert isinstance(read_netx(tmp_path / "b.net")[0], NetworkDescription)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(FileAccessError, match="must exist"):
        read_netx(tmp_path / "none.net")
