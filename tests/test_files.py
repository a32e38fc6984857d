"""HDF5 files: what is damaged or hostile gives one of our errors, never another."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest

from hardware.description import NetworkDescription
from spikelearn.errors import FileAccessError, FileFormatError, SpikelearnError
from spikelearn.files import open_hdf5, read_array, write_hdf5
from tests.damage import damaged
from tests.hardware.networks import random_network

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
