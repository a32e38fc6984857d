"""Markers and what they skip."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.oracles_nest.interpreter import find_python

MARKERS = (
    "lava: needs lava-nc; skipped without it unless SPIKELEARN_REQUIRE_LAVA is set",
    "nest: runs NEST in an environment of its own (make nest); skipped without it "
    "unless SPIKELEARN_REQUIRE_NEST is set",
    "golden: compares with numbers that another simulator gave",
)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items):
    skip_unless("lava", items, lambda: importlib.util.find_spec("lava"), "lava-nc")
    skip_unless("nest", items, find_python, "NEST")


def skip_unless(marker, items, find, package):
    """Skip the marked tests when what they need is neither found nor required."""
    marked = [item for item in items if item.get_closest_marker(marker)]
    if not marked or os.environ.get(f"SPIKELEARN_REQUIRE_{marker.upper()}") or find():
        return
    skip = pytest.mark.skip(reason=f"{package} is not installed")
    for item in marked:
        item.add_marker(skip)
