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
    config.addinivalue_line("markers", "neurogym: needs neurogym; skipped without it")


def pytest_collection_modifyitems(items):
    required = {"lava": bool(os.environ.get("SPIKELEARN_REQUIRE_LAVA"))}
    for package in ("lava", "neurogym"):
        if importlib.util.find_spec(package) or required.get(package):
            continue
        skip = pytest.mark.skip(reason=f"{package} is not installed")
        for item in items:
            if item.get_closest_marker(package):
                item.add_marker(skip)
