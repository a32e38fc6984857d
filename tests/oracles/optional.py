"""Packages that serve as oracles only."""

from __future__ import annotations

import importlib
import os
import warnings

import pytest


def oracle(module: str):
    """Import a module; skip the importing test file where its package is missing.

    SPIKELEARN_REQUIRE_<PACKAGE> turns the skip into an error. Warnings that a package
    raises about itself while it is imported are not ours.
    """
    package = module.partition(".")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if os.environ.get(f"SPIKELEARN_REQUIRE_{package.upper()}"):
            return importlib.import_module(module)
        pytest.importorskip(package, reason=f"{package} is not installed")
        return importlib.import_module(module)
