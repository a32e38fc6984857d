"""Memory that records use again."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.network import buffers
from spikelearn.network.buffers import KEPT_BYTES, STALE

LARGE = KEPT_BYTES // 4


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    buffers.forget()
    yield
    buffers.forget()


def _address(size):
    """Ask for an array, and return where it was when it is gone."""
    return buffers.empty((size,), np.uint8).__array_interface__["data"][0]


def test_memory_is_used_again_when_nobody_looks_at_it():
    array = buffers.empty((100_000,), np.uint8)
    view = array[3:]
    first = array.__array_interface__["data"][0]
    del array
    other = buffers.empty((100_000,), np.uint8)
    assert other.__array_interface__["data"][0] != first
    del view
    assert _address(100_000) == first


def test_no_more_is_kept_than_the_limit():
    arrays = [buffers.empty((LARGE,), np.uint8) for _ in range(6)]
    del arrays
    assert buffers._blocks.n_bytes == KEPT_BYTES


def test_what_is_not_used_any_more_makes_room():
    old = [buffers.empty((LARGE + k * (1 << 24),), np.uint8) for k in range(3)]
    del old
    assert 0 < buffers._blocks.n_bytes <= KEPT_BYTES
    size = KEPT_BYTES // 2
    for _ in range(STALE + 2):
        _address(size)
    first = _address(size)
    assert all(_address(size) == first for _ in range(3))
    assert size <= buffers._blocks.n_bytes <= KEPT_BYTES
