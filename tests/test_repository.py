"""The files around the code agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
ALLOWED = {
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "docs",
    "examples",
    "hardware",
    "pyproject.toml",
    "spikelearn",
    "tests",
}
REQUIRED = {".ci/run", "LICENSE", "Makefile", "README.md", "constraints.txt"}


def tracked_files() -> set[str]:
    """Files in the repository; the test is skipped in an unpacked archive."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return set(listing.stdout.split("\0")) - {""}


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            assert name not in found, f"{name} is pinned twice"
            found[name] = Version(version)
    return found


def requirements() -> list[Requirement]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    parsed = [Requirement(text) for group in groups for text in group]
    return [entry for entry in parsed if entry.name != PROJECT["name"]]


def test_nothing_else_lies_at_the_top():
    tops = {name.partition("/")[0] for name in tracked_files()}
    assert tops - ALLOWED == set()


def test_the_files_a_newcomer_needs_are_tracked():
    assert REQUIRED - tracked_files() == set()


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    newest = re.search(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert cited is not None
    assert newest is not None
    assert cited[1] == newest[1] == PROJECT["version"]


def test_every_dependency_has_a_tested_version():
    pinned = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} has no line in constraints.txt"
        assert pinned[name] in requirement.specifier, f"{requirement}: {pinned[name]}"
    assert "lava-nc" in pinned


def test_the_extra_all_holds_every_other_extra():
    extras = PROJECT["optional-dependencies"]
    (everything,) = (Requirement(text) for text in extras["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(extras) - {"all"}


def test_constraints_name_versions_only():
    """No addresses and no options: the file serves any package index."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pattern = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*|#.*|")
    assert [line for line in lines if not pattern.fullmatch(line)] == []


def test_the_ci_script_is_executable():
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
