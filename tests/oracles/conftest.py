"""Markers of the oracles, and torch with one thread."""

from __future__ import annotations

import importlib.util
import sys

import pytest

ORACLES = ("torch", "norse")


def pytest_configure(config):
    for name in ORACLES:
        config.addinivalue_line(
            "markers",
            f"{name}: needs {name}; skipped without it unless "
            f"SPIKELEARN_REQUIRE_{name.upper()} is set",
        )


@pytest.fixture(autouse=True)
def one_thread():
    """Let torch use one thread: the networks are tiny."""
    if "torch" in sys.modules and importlib.util.find_spec("torch"):
        sys.modules["torch"].set_num_threads(1)
