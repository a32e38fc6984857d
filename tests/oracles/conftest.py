"""Markers of the oracles."""

from __future__ import annotations

ORACLES = ("torch", "norse")


def pytest_configure(config):
    for name in ORACLES:
        config.addinivalue_line(
            "markers",
            f"{name}: needs {name}; skipped without it unless "
            f"SPIKELEARN_REQUIRE_{name.upper()} is set",
        )
