"""Markers and what they skip."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.hardware.lava_dl import find_python as find_lava_dl
from tests.oracles_brian2.oracle import find_python as find_brian2
from tests.oracles_nest.interpreter import find_python

# Tests of a marker are skipped when what they need is not there, unless the environment
# variable SPIKELEARN_REQUIRE_<MARKER> is set.
NEEDS = {
    "brian2": ("Brian2 in an environment of its own (make brian2)", find_brian2),
    "dask": ("dask[distributed]", lambda: importlib.util.find_spec("distributed")),
    "lava": ("lava-nc", lambda: importlib.util.find_spec("lava")),
    "lava_dl": ("lava-dl in an environment of its own (make lava-dl)", find_lava_dl),
    "nest": ("NEST in an environment of its own (make nest)", find_python),
    "nir": ("nir", lambda: importlib.util.find_spec("nir")),
    "neurogym": ("neurogym", lambda: importlib.util.find_spec("neurogym")),
    "norse": ("norse", lambda: importlib.util.find_spec("norse")),
    "torch": ("torch", lambda: importlib.util.find_spec("torch")),
}


def pytest_configure(config):
    for marker, (what, _) in NEEDS.items():
        config.addinivalue_line("markers", f"{marker}: needs {what}")
    golden = "golden: compares with numbers that another simulator gave"
    config.addinivalue_line("markers", golden)


def pytest_collection_modifyitems(items):
    for marker, (what, find) in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        required = os.environ.get(f"SPIKELEARN_REQUIRE_{marker.upper()}")
        if not marked or required or find():
            continue
        skip = pytest.mark.skip(reason=f"{what} is not there")
        for item in marked:
            item.add_marker(skip)
