"""The cache of compiled kernels: never stale, in a folder of its own."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import numba
import pytest

from spikelearn.kernels import cache_root

PACKAGE = "kernels_under_test"
DECORATOR = """
from pathlib import Path
from spikelearn.kernels import kernel_decorator
kernel = kernel_decorator(Path(__file__).parent)
"""
INNER = """
from kernels_under_test import kernel
@kernel
def inner(x):
    return x + {}
"""
OUTER = """
from kernels_under_test import kernel
from kernels_under_test.inner import inner
@kernel
def outer(x):
    return 2 * inner(x)
"""


def _forget():
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    importlib.invalidate_caches()


def _build():
    """Import the package afresh and return its outer kernel."""
    _forget()
    return importlib.import_module(f"{PACKAGE}.outer").outer


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKELEARN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / PACKAGE
    folder.mkdir()
    for name, text in {"__init__": DECORATOR, "inner": INNER, "outer": OUTER}.items():
        (folder / f"{name}.py").write_text(text.format(1) if name == "inner" else text)
    yield folder
    _forget()


def _folders(tmp_path):
    return {path.name for path in (tmp_path / "cache").iterdir()}


def test_an_edited_helper_leaves_no_stale_kernel(sources, tmp_path):
    assert _build()(3) == 8
    first = _folders(tmp_path)
    assert len(first) == 1
    assert next(iter(first)).startswith("kernels-")
    again = _build()
    assert again(3) == 8
    assert _folders(tmp_path) == first
    assert sum(again.stats.cache_hits.values()) == 1

    (sources / "inner.py").write_text(INNER.format(10))
    assert _build()(3) == 26
    assert len(_folders(tmp_path)) == 2


def test_a_new_file_changes_the_folder(sources, tmp_path):
    _build()(1)
    (sources / "third.py").write_text("")
    _build()(1)
    assert len(_folders(tmp_path)) == 2


def test_the_chosen_folder_is_used(sources, tmp_path):
    assert cache_root() == tmp_path / "cache"
    _build()(1)
    assert list((tmp_path / "cache").rglob("*.kernel"))


def test_other_users_of_numba_keep_their_folder(sources, tmp_path, monkeypatch):
    theirs = str(tmp_path / "theirs")
    monkeypatch.setattr(numba.config, "CACHE_DIR", theirs)
    _build()(1)
    assert theirs == numba.config.CACHE_DIR
    assert not Path(theirs).exists()


def test_user_folder_and_its_fallback(tmp_path, monkeypatch):
    monkeypatch.delenv("SPIKELEARN_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "spikelearn"
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert cache_root().parent == Path(tempfile.gettempdir())


def test_package_kernels_are_cached_and_keep_nan_visible():
    from spikelearn.kernels.spiking import forward

    options = forward.targetoptions
    assert options["nogil"] is True
    assert not {"nnan", "ninf", "reassoc", "fast"} & set(options["fastmath"])
