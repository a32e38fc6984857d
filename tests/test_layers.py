"""What may import what, beyond the import order that import-linter checks."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("spikelearn", "hardware")
    for path in (ROOT / package).rglob("*.py")
)
KERNELS = ("spikelearn/kernels/", "hardware/kernels/")
OWN = {"spikelearn", "hardware"}
CORE = {
    re.match(r"[\w-]+", requirement).group().replace("-", "_")
    for requirement in PYPROJECT["project"]["dependencies"]
} | {"llvmlite"}  # comes with numba

# Files that only a child process with Lava imports: optional packages they may import
# at module level.
LAVA_ONLY = {"hardware/lava_processes/": {"lava"}}


def imported(node: ast.stmt) -> list[str]:
    """Full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def executed_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the statements that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from executed_on_import(other)
            continue
        yield child
        yield from executed_on_import(child)


def top_level_packages(code: str) -> set[str]:
    """Packages that importing the code imports."""
    names = (n for node in executed_on_import(ast.parse(code)) for n in imported(node))
    return {name.partition(".")[0] for name in names}


def all_modules(code: str) -> set[str]:
    """Modules that the code imports anywhere."""
    return {name for node in ast.walk(ast.parse(code)) for name in imported(node)}


def optional_at_import(file: str, code: str) -> set[str]:
    """Optional packages that the file imports at module level without leave."""
    allowed = CORE | OWN | sys.stdlib_module_names
    for prefix, packages in LAVA_ONLY.items():
        if file.startswith(prefix):
            allowed = allowed | packages
    return top_level_packages(code) - allowed


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", SOURCES)
def test_optional_packages_are_not_imported_at_module_level(file):
    assert optional_at_import(file, read(file)) == set()


@pytest.mark.parametrize("file", SOURCES)
def test_imports_are_absolute(file):
    assert not {name for name in all_modules(read(file)) if name.startswith(".")}


@pytest.mark.parametrize("file", [f for f in SOURCES if not f.startswith(KERNELS)])
def test_numba_is_imported_only_in_kernels(file):
    packages = {name.partition(".")[0] for name in all_modules(read(file))}
    assert not packages & {"numba", "llvmlite"}


@pytest.mark.parametrize("file", [f for f in SOURCES if f.startswith(KERNELS)])
def test_kernels_are_leaves(file):
    names = all_modules(read(file))
    own = {name for name in names if name.partition(".")[0] in OWN}
    others = {name.partition(".")[0] for name in names - own}
    assert others <= {"numpy", "numba", "llvmlite"} | sys.stdlib_module_names
    folders = tuple(folder.rstrip("/").replace("/", ".") for folder in KERNELS)
    assert all(name.startswith(folders) for name in own)


def declared_layers() -> set[str]:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers")
    return {name.strip(" ()") for layer in layers for name in layer.split("|")}


def test_every_module_of_spikelearn_stands_in_a_layer():
    """A module missing from the contract could import anything, unseen."""
    layers = declared_layers()
    modules = {file.removesuffix(".py").replace("/", ".") for file in SOURCES}
    missing = {
        module
        for module in modules
        if module.startswith("spikelearn.")
        and not module.endswith((".__init__", ".__main__"))
        and not any(f"{module}.".startswith(f"{layer}.") for layer in layers)
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import torch", {"torch"}),
        ("from lava.proc.lif.process import LIF", {"lava"}),
        ("try:\n    import nir\nexcept ImportError:\n    nir = None", {"nir"}),
        ("class A:\n    import brian2", {"brian2"}),
        ("if True:\n    import torch.nn as nn, sys", {"torch"}),
        ("def f():\n    import torch", set()),
        ("if TYPE_CHECKING:\n    import torch", set()),
        ("if TYPE_CHECKING:\n    import os\nelse:\n    import torch", {"torch"}),
        ("import numpy as np\nfrom hardware import chips", set()),
    ],
)
def test_optional_imports_are_found(code, packages):
    """The rule above can fail, and only where it should."""
    assert optional_at_import("spikelearn/example.py", code) == packages


def test_lava_is_allowed_only_where_it_is_listed():
    code = "import lava"
    assert optional_at_import("hardware/lava_processes/alif.py", code) == set()
    assert optional_at_import("hardware/emulator.py", code) == {"lava"}
