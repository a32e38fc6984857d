"""Markers and what they skip."""

from __future__ import annotations

import importlib.util
import os

import pytest


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "lava: needs lava-nc; skipped without it unless SPIKELEARN_REQUIRE_LAVA is set",
    )


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("lava") or os.environ.get("SPIKELEARN_REQUIRE_LAVA"):
        return
    skip = pytest.mark.skip(reason="lava-nc is not installed")
    for item in items:
        if item.get_closest_marker("lava"):
            item.add_marker(skip)
