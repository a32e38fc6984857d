"""Descriptions in HDF5 and JSON: nothing is lost, nothing hostile gets through."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import h5py
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware import _storage, emulator
from hardware.description import NetworkDescription
from hardware.schema import load_schema
from spikelearn.errors import FileAccessError, FileFormatError, HardwareError
from tests.hardware.networks import (
    atrlif,
    random_input,
    random_network,
    sparse,
    ternary,
    with_delays,
    with_periodic_reset,
)

KINDS = [
    {},
    {"reset": "subtract", "adaptive": True, "refractory": True, "input_bits": 5},
    {"exponents": (-2, 3, -1), "bits": 4, "signs": ("mixed", "inhibitory", "mixed")},
]


NEW = {
    "delays": lambda net: with_delays(net, 4),
    "sparse": sparse,
    "periodic reset": with_periodic_reset,
    "ternary": lambda net: ternary(with_delays(net, 5)),
    "atrlif": lambda net: atrlif(sparse(net)),
}


def with_vectors(net, label=True):
    x = random_input(3, net, 6, 2)
    labels = np.array([4, 5]) if label else None
    vectors = emulator.run(net, x).vectors(x, labels)
    metadata = {"name": "n\u00e4me", "accuracy": 0.5, "seed": 3, "ok": True}
    return dataclasses.replace(net, vectors=vectors, metadata=metadata, dt=0.5)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.h5"
    with_vectors(random_network(0)).save(path)
    return path


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("label", [True, False, None])
def test_hdf5_round_trip(tmp_path, options, label):
    net = random_network(1, **options)
    net = net if label is None else with_vectors(net, label)
    net.save(tmp_path / "net.h5")
    again = NetworkDescription.load(tmp_path / "net.h5")
    assert again == net
    assert again.w_in.weights.dtype == np.int16
    assert [type(v) for v in again.metadata.values()] == [
        type(v) for v in net.metadata.values()
    ]


@pytest.mark.parametrize("options", KINDS)
def test_json_round_trip_and_schema(options):
    net = random_network(1, **options)
    schema = load_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(net.to_json()), schema)
    assert NetworkDescription.from_json(net.to_json()) == net


@pytest.mark.parametrize("change", NEW)
def test_round_trips_of_format_version_2(tmp_path, change):
    net = NEW[change](random_network(1))
    document = json.loads(net.to_json())
    jsonschema.validate(document, load_schema())
    assert document["format_version"] == 2
    assert NetworkDescription.from_json(net.to_json()) == net
    net = with_vectors(net)
    net.save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5") as file:
        assert file.attrs["format_version"] == 2
    again = NetworkDescription.load(tmp_path / "net.h5")
    assert again == net
    assert again.vectors.spikes.dtype == net.vectors.spikes.dtype
    assert (again.vectors.r is not None) is (change == "atrlif")


@pytest.mark.parametrize("options", KINDS)
def test_what_version_1_can_say_is_written_as_version_1(tmp_path, options):
    """Digests of older exports stay what they were; older versions read the file."""
    net = random_network(1, **options)
    document = json.loads(net.to_json())
    assert document["format_version"] == 1
    assert set(document["w_in"]) == {"weights", "exponent", "bits", "sign"}
    assert not {"kind", "reset_interval", "reset_offset"} & set(document["neurons"])
    net.save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5") as file:
        assert file.attrs["format_version"] == 1
        assert "kind" not in file["neurons"].attrs


def test_registers_of_another_kind_are_refused():
    document = json.loads(ternary(random_network(1)).to_json())
    for change in ({"kind": "lif"}, {"kind": "atrlif"}, {"vth": [1] * 12}):
        neurons = {"neurons": document["neurons"] | change}
        with pytest.raises(FileFormatError, match=r"missing|unknown: vth"):
            NetworkDescription.from_json(json.dumps(document | neurons))
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | neurons, load_schema())


def changed(document, path, value):
    *front, last = path
    for key in front:
        document = document[key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("w_in", "weights"), [[1.5]]),
        (("w_in", "exponent"), "0"),
        (("w_in", "exponent"), 8),
        (("w_rec", "sign"), "both"),
        (("neurons", "du"), [5000] * 12),
        (("neurons", "reset"), 3),
        (("input_bits",), -1),
        (("dt",), 0),
        (("metadata",), {"a": []}),
        (("format_version",), 3),
        (("w_in", "delays"), [[63] * 6] * 12),
        (("w_in", "process"), "conv"),
        (("neurons", "kind"), "rf"),
        (("neurons", "kind"), "ternary"),
        (("neurons", "reset_interval"), -1),
        (("kind",), "other"),
        (("extra",), 1),
        (("readout",), []),
    ],
)
def test_schema_and_reader_refuse_the_same(path, value):
    document = json.loads(random_network(1).to_json())
    changed(document, path, value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, load_schema())
    with pytest.raises(FileFormatError):
        NetworkDescription.from_json(json.dumps(document))


def test_json_reader_lists_the_problems_of_all_parts():
    document = json.loads(random_network(1).to_json())
    changed(document, ("w_in", "bits"), 9)
    changed(document, ("neurons", "vth"), [-1] * 12)
    with pytest.raises(
        FileFormatError, match=r"(?s)w_in: bits must.*neurons: vth must"
    ):
        NetworkDescription.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, b"\xff\xfe\x00"])
def test_json_garbage(text):
    with pytest.raises(FileFormatError):
        NetworkDescription.from_json(text)


def test_newer_versions_say_so(saved):
    document = json.loads(random_network(1).to_json()) | {"format_version": 3}
    with pytest.raises(FileFormatError, match="Install a newer spikelearn"):
        NetworkDescription.from_json(json.dumps(document))
    with h5py.File(saved, "r+") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(FileFormatError, match="Install a newer spikelearn"):
        NetworkDescription.load(saved)


def test_other_kinds_and_missing_files(saved, tmp_path):
    with h5py.File(saved, "r+") as file:
        file.attrs["kind"] = "checkpoint"
    with pytest.raises(FileFormatError, match="must hold a network_description"):
        NetworkDescription.load(saved)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(FileFormatError, match="must be an HDF5 file"):
        NetworkDescription.load(tmp_path / "text.h5")
    with pytest.raises(FileAccessError, match="must exist"):
        NetworkDescription.load(tmp_path / "absent.h5")


def delete(name):
    def edit(file):
        del file[name]

    return edit


def replace(name, value, **options):
    def edit(file):
        del file[name]
        file.create_dataset(name, data=value, **options)

    return edit


def attribute(group, name, value):
    def edit(file):
        file[group].attrs[name] = value

    return edit


def huge(file):
    del file["w_in/weights"]
    shape = (2**20, 2**20)
    file.create_dataset("w_in/weights", shape, np.int16, chunks=(1024, 1024))


def huge_chunk(file):
    del file["neurons/du"]
    chunk = {"chunks": (2**28,), "maxshape": (None,), "compression": "gzip"}
    file.create_dataset("neurons/du", (12,), np.int32, **chunk)


def external_data(file):
    del file["neurons/du"]
    where = [("/etc/hostname", 0, 48)]
    file.create_dataset("neurons/du", (12,), np.int32, external=where)


def external_link(file):
    del file["neurons/du"]
    file["neurons/du"] = h5py.ExternalLink("other.h5", "/du")


def soft_group(file):
    file.move("neurons", "hidden")
    file["neurons"] = h5py.SoftLink("/hidden")


def group_for_array(file):
    del file["neurons/du"]
    file.create_group("neurons/du")


def array_for_group(file):
    del file["neurons"]
    file["neurons"] = np.arange(3)


@pytest.mark.parametrize(
    "edit",
    [
        delete("w_in"),
        delete("w_rec/weights"),
        delete("vectors/y"),
        delete("metadata"),
        replace("w_in/weights", np.zeros((12, 6))),
        replace("w_in/weights", np.zeros(6, np.int16)),
        replace("w_in/weights", np.full((12, 6), 999)),
        replace("neurons/du", np.arange(11)),
        replace("neurons/vth", np.full(12, b"abc")),
        replace("metadata", np.frombuffer(b"{nope", np.uint8)),
        replace("metadata", np.frombuffer(b'{"a": [1]}', np.uint8)),
        replace("vectors/spikes", np.full((6, 2, 12), 7, np.uint8)),
        replace("vectors/x", np.zeros((6, 2, 5), np.int32)),
        attribute("w_in", "exponent", 99),
        attribute("w_in", "exponent", "0"),
        attribute("w_in", "bits", np.arange(4)),
        attribute("w_in", "sign", 3),
        attribute("/", "dt", float("nan")),
        attribute("/", "dt", "1"),
        attribute("/", "input_bits", 2.5),
        attribute("/", "kind", np.arange(3)),
        attribute("/", "format_version", "one"),
        attribute("neurons", "reset", "none"),
        huge,
        huge_chunk,
        external_data,
        external_link,
        soft_group,
        group_for_array,
        array_for_group,
    ],
)
def test_damaged_files_are_named_as_such(saved, edit):
    with h5py.File(saved, "r+") as file:
        edit(file)
    with pytest.raises(FileFormatError, match=r"net\.h5"):
        NetworkDescription.load(saved)


@pytest.mark.parametrize(
    "edit",
    [
        replace("w_in/delays", np.full((12, 6), 63)),
        replace("w_in/delays", np.zeros((12, 5), np.uint8)),
        replace("w_in/delays", np.zeros((12, 6))),
        attribute("w_in", "process", "sparse"),
        attribute("w_in", "process", 1),
        attribute("neurons", "kind", "rf"),
        attribute("neurons", "kind", "lif"),
        attribute("neurons", "kind", 2),
        delete("neurons/theta_0"),
        delete("vectors/r"),
        replace("vectors/r", np.zeros((6, 2, 11), np.int32)),
        replace("neurons/theta_step", np.arange(12)),
    ],
)
def test_damaged_files_of_version_2_are_named_as_such(tmp_path, edit):
    path = tmp_path / "net.h5"
    with_vectors(atrlif(with_delays(random_network(0), 1))).save(path)
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(FileFormatError, match=r"net\.h5"):
        NetworkDescription.load(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_never_escape(tmp_path_factory, data):
    """A damaged file loads (if the damage is harmless) or gives one of our errors."""
    folder = tmp_path_factory.mktemp("flip")
    random_network(0, n_rec=3).save(folder / "net.h5")
    content = bytearray((folder / "net.h5").read_bytes())
    length = data.draw(st.integers(1, 40))
    start = data.draw(st.integers(0, len(content) - length))
    content[start : start + length] = data.draw(st.binary(min_size=length))[:length]
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (folder / "net.h5").write_bytes(content)
    with contextlib.suppress(FileFormatError, FileAccessError):
        NetworkDescription.load(folder / "net.h5")


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(*_):
        raise HardwareError("stop")

    monkeypatch.setattr(_storage, "_write_arrays", fail)
    with pytest.raises(HardwareError):
        random_network(5).save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["net.h5"]
