"""HDF5 files: what is damaged or hostile gives one of our errors, never another."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from hardware.description import NetworkDescription
from spikelearn.errors import FileAccessError, FileFormatError, SpikelearnError
from spikelearn.files import open_hdf5, read_array, write_hdf5
from spikelearn.hdf5_heaps import check_heaps
from tests.damage import damaged
from tests.hardware.networks import random_network

TESTS = Path(__file__).parent
GOLDEN_NET = TESTS / "hardware" / "golden" / "lava_dl_slayer.net"

KIND = "numbers"


@pytest.fixture
def path(tmp_path):
    def fill(file):
        file["a/b"] = np.arange(6.0).reshape(2, 3)
        file["n"] = np.arange(4)

    write_hdf5(tmp_path / "numbers.h5", KIND, 1, fill)
    return tmp_path / "numbers.h5"


def read(path, name="a/b", **options):
    options = {"ndim": 2, "kinds": "iuf"} | options
    with open_hdf5(path, KIND, 1) as file:
        return read_array("numbers.h5", file, name, **options)


def test_arrays_come_back(path):
    np.testing.assert_array_equal(read(path), np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read(path, "n", ndim=1, kinds="iu"), np.arange(4))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a/c", {}, "must be stored in the file itself"),
        ("c/b", {}, "must hold the group 'c' itself"),
        ("n/b", {}, "must hold 'n' as a group"),
        ("a", {}, "must be an array"),
        ("a/b", {"ndim": 1}, "on 1 axes"),
        ("a/b", {"kinds": "iu"}, "must hold integers"),
        ("a/b", {"most": 5}, "at most 5 values; got 6"),
    ],
)
def test_what_is_read_is_checked_first(path, name, options, message):
    with pytest.raises(FileFormatError, match=message):
        read(path, name, **options)


def external_group(file, other):
    file["a"] = h5py.ExternalLink(other, "/a")


def soft_link(file, _):
    file["real"] = np.zeros((2, 3))
    file["a/b"] = h5py.SoftLink("/real")


def external_data(file, _):
    file.create_dataset("a/b", (2, 3), np.float64, external=[("raw.bin", 0, 48)])


def virtual(file, other):
    layout = h5py.VirtualLayout((2, 3), np.float64)
    layout[...] = h5py.VirtualSource(other, "a/b", (2, 3))
    file.create_virtual_dataset("a/b", layout)


def huge_chunk(file, _):
    chunk = {"chunks": (2**14, 2**14), "maxshape": (None, None)}
    file.create_dataset("a/b", (2, 3), np.float64, compression="gzip", **chunk)


@pytest.mark.parametrize(
    "edit", [external_group, soft_link, external_data, virtual, huge_chunk]
)
def test_nothing_is_read_from_elsewhere(path, tmp_path, edit):
    other = tmp_path / "other.h5"
    other.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["a"]
        edit(file, str(other))
    with pytest.raises(FileFormatError):
        read(path)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, TypeError])
def test_errors_of_the_library_become_ours(path, error):
    with (
        pytest.raises(FileFormatError, match="incomplete or corrupt: no such thing"),
        open_hdf5(path, KIND, 1),
    ):
        raise error("no such thing")


def test_our_own_errors_pass_unchanged(path):
    with (
        pytest.raises(FileAccessError, match=r"^mine$"),
        open_hdf5(path, KIND, 1),
    ):
        raise FileAccessError("mine")


@pytest.mark.parametrize("kind", [np.arange(3), h5py.Empty("f"), 3])
def test_a_stamp_of_another_type_is_refused(path, kind):
    with h5py.File(path, "r+") as file:
        file.attrs["kind"] = kind
    with pytest.raises(FileFormatError, match="must hold a numbers"):
        read(path)


def test_damaged_descriptions_give_only_our_errors(tmp_path):
    path = tmp_path / "network.h5"
    random_network(0, n_rec=5).save(path)
    refused = 0
    for content in damaged(path.read_bytes(), 400):
        path.write_bytes(content)
        with contextlib.suppress(SpikelearnError):
            NetworkDescription.load(path)
            refused -= 1
        refused += 1
    assert refused > 100


# Heaps of names -----------------------------------------------------------------------


def test_a_damaged_address_of_names_is_refused(tmp_path):
    """The free list of this heap then leads to itself, where HDF5 does not end."""
    content = bytearray(GOLDEN_NET.read_bytes())
    check_heaps(GOLDEN_NET)
    assert content[2440] == 216
    content[2440] = 224
    path = tmp_path / "damaged.net"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="a heap of names at byte 2416"):
        check_heaps(path)


@pytest.mark.parametrize("before", [0, 512])
def test_names_that_came_and_went_leave_good_heaps(tmp_path, before):
    """Free lists of several blocks, a text that looks like a heap, a user block."""
    path = tmp_path / "names.h5"
    with h5py.File(path, "w", userblock_size=before, libver="earliest") as file:
        for k in range(40):
            file.create_group("n" * (k + 1))
        for k in (3, 30, 12, 21):
            del file["n" * (k + 1)]
        file["text"] = np.array([b"HEAP", b"GCOL"], "S32")
        file["bytes"] = np.frombuffer(b"HEAP\0\0\0\0" * 8, np.uint8)
    content = bytearray(path.read_bytes())
    heap = content.find(b"HEAP")
    size, block, address = struct.unpack_from("<3Q", content, heap + 8)
    first = before + address + block
    assert struct.unpack_from("<Q", content, first)[0] != 1, "a list of two"
    check_heaps(path)
    for following in (block, size - 8, 2**64 - 1):
        content[first : first + 8] = following.to_bytes(8, "little")
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="a heap of names"):
            check_heaps(path)


def test_the_files_of_this_repository_have_good_heaps():
    files = [p for p in TESTS.rglob("*") if p.suffix in (".h5", ".net", ".nir")]
    assert len(files) > 10
    for path in files:
        check_heaps(path)
