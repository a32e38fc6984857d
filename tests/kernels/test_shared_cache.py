"""One folder of compiled kernels for many processes and machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikelearn.kernels import _storage, cache_root
from spikelearn.kernels._storage import on_network

MODULE = """
from pathlib import Path
from spikelearn.kernels import kernel_decorator
kernel = kernel_decorator(Path(__file__).parent)

@kernel
def inner(x):
    return x + 1

@kernel
def outer(x):
    return 2 * inner(x)
"""
# Calls the kernel with arrays of several kinds. A crowd of such processes starts at
# once, and they wait for each other again before their first result is kept.
CALLER = """
import json, os, sys, time
from pathlib import Path
import numpy as np
import kernels_shared
folder, name, crowd, kinds = sys.argv[1:]

def meet(what):
    (Path(folder) / f"{name}.{what}").touch()
    while len(list(Path(folder).glob(f"*.{what}"))) < int(crowd):
        time.sleep(0.001)

def replace_together(source, target, replace=os.replace):
    if "outer" in str(target):
        meet("write")
    replace(source, target)

os.replace = replace_together
meet("start")
answers = {}
for kind in kinds.split(","):
    value = kernels_shared.outer(np.full(2, 3, kind))
    answers[kind] = [str(value.dtype), value.real.tolist()]
stats = kernels_shared.outer.stats
print(json.dumps([answers, len(stats.cache_hits), len(stats.cache_misses)]))
"""
KINDS = ("float32", "float64", "int64", "complex128")


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "kernels_shared.py").write_text(MODULE)
    return folder


def start(sources, cache, meeting, name, crowd, kinds, **environment):
    paths = (str(sources), str(Path(__file__).parents[2]))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "SPIKELEARN_CACHE_DIR": str(cache),
        **environment,
    }
    meeting.mkdir(exist_ok=True)
    arguments = (str(meeting), name, str(crowd), ",".join(kinds))
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers_of(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    answers, hits, misses = json.loads(out)
    for kind, (dtype, values) in answers.items():
        assert np.array_equal(values, [8, 8]), (kind, values)
        assert dtype == kind
    return hits, misses


def alone(sources, tmp_path, kinds=KINDS, cache="cache", **environment):
    meeting = tmp_path / f"alone{time.monotonic_ns()}"
    cache = tmp_path / cache
    return answers_of(start(sources, cache, meeting, "a", 1, kinds, **environment))


def kernels(tmp_path):
    return sorted((tmp_path / "cache").rglob("*.kernel"))


def test_processes_that_start_cold_at_once_leave_a_whole_cache(sources, tmp_path):
    """Each begins with another signature: with a shared index, they would overwrite
    each other's entries, and a name could come to mean another signature's code."""
    orders = [KINDS[k:] + KINDS[:k] for k in range(4)]
    crowd = [
        start(sources, tmp_path / "cache", tmp_path / "meeting", str(k), 4, order)
        for k, order in enumerate(orders)
    ]
    for process in crowd:
        answers_of(process)
    assert alone(sources, tmp_path) == (len(KINDS), 0)
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert sorted(files) == kernels(tmp_path), "nothing half-written is left behind"


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_damaged_file_is_compiled_again(sources, tmp_path):
    kinds = ("float64",)
    assert alone(sources, tmp_path, kinds) == (0, 1)
    for damage in (
        lambda content: b"",
        lambda content: content[:-100],
        flip_a_bit,
        lambda content: b"not a kernel at all" * 100,
    ):
        for path in kernels(tmp_path):
            path.write_bytes(damage(path.read_bytes()))
        assert alone(sources, tmp_path, kinds) == (0, 1)
    assert alone(sources, tmp_path, kinds) == (1, 0)


def test_a_file_of_another_signature_is_not_believed(sources, tmp_path):
    """A name that came to mean other code, which an index can lead to, is a miss."""
    alone(sources, tmp_path, ("float32", "float64"))
    first, second = (p for p in kernels(tmp_path) if ".outer-" in p.name)
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    assert alone(sources, tmp_path, ("float32", "float64")) == (0, 2)


def test_other_cpus_have_their_own_code(sources, tmp_path):
    kinds = ("float64",)
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert alone(sources, tmp_path, kinds) == (0, 1)
    assert alone(sources, tmp_path, kinds, **generic) == (0, 1)
    assert alone(sources, tmp_path, kinds) == (1, 0)
    assert alone(sources, tmp_path, kinds, **generic) == (1, 0)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_without_a_writable_folder_kernels_still_run(sources, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert alone(sources, tmp_path, ("float64",), cache="file") == (0, 1)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
auto /data autofs rw 0 0
pool /data lustre rw 0 0
host: /my\\040files fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("/tmp/x", False),
        ("/home", True),
        ("/home/user/.cache", True),
        ("/homes/user", False),
        ("/home/local/.cache", False),
        ("/data/x", True),
        ("/my files/x", True),
    ],
)
def test_network_file_systems_are_known(tmp_path, folder, network):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert on_network(Path(folder), mounts) is network


def test_without_a_list_of_mounts_every_disk_is_local(tmp_path):
    assert on_network(tmp_path, tmp_path / "absent") is False


def test_a_home_on_the_network_means_a_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("SPIKELEARN_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_root() == tmp_path / "home" / "spikelearn"
    monkeypatch.setattr(_storage, "on_network", lambda folder: True)
    assert cache_root().parent == tmp_path
    assert cache_root() == cache_root()
    assert cache_root().stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SPIKELEARN_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_root() == tmp_path / "chosen"


@pytest.mark.parametrize("trap", ["writable", "link", "file"])
def test_code_is_not_read_from_a_folder_that_others_may_write(tmp_path, trap):
    expected = tmp_path / f"spikelearn-{os.getuid()}"
    if trap == "writable":
        expected.mkdir()
        expected.chmod(0o777)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir()
        expected.symlink_to(tmp_path / "elsewhere")
    else:
        expected.touch()
    found = _storage._temporary_root(str(tmp_path))
    assert found != expected
    assert found.is_dir()
    assert found.stat().st_mode & 0o077 == 0


def test_folders_that_nobody_uses_are_removed(sources, tmp_path):
    root = tmp_path / "cache"
    for name, days in {"kernels-old": 61, "kernels-new": 59, "other": 99}.items():
        (root / name).mkdir(parents=True)
        (root / name / "x.kernel").touch()
        then = time.time() - days * 24 * 3600
        os.utime(root / name, (then, then))
    alone(sources, tmp_path, ("float64",))
    names = {path.name for path in root.iterdir()}
    assert "kernels-old" not in names
    assert {"kernels-new", "other"} < names
    (mine,) = (root / name for name in names - {"kernels-new", "other"})
    os.utime(mine, (then, then))
    alone(sources, tmp_path, ("float64",))
    assert mine.stat().st_mtime > then, "use is noted"


WATCHED = """
import logging, sys
{before}
import numpy as np
import kernels_shared
kernels_shared.outer(np.ones(2))
kernels_shared.outer(np.ones(2, np.float32))
"""
NOTE = "compiling kernels (once on this machine"


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        ("", 0),
        ("sys.ps1 = '>>> '", 1),
        ("from spikelearn.cli._common import show_messages as s; s()", 1),
        ("logging.basicConfig(level=logging.INFO)", 1),
        ("sys.ps1 = '>>> '; logging.basicConfig(level=logging.INFO)", 1),
        ("sys.ps1 = '>>> '; logging.basicConfig(level=logging.WARNING)", 0),
    ],
)
def test_the_first_call_says_once_what_it_is_doing(sources, tmp_path, before, lines):
    paths = (str(sources), str(Path(__file__).parents[2]))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "SPIKELEARN_CACHE_DIR": str(tmp_path / "cache"),
    }
    for expected in (lines, 0):  # cold, then cached
        child = subprocess.run(
            [sys.executable, "-c", WATCHED.format(before=before)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert child.stdout == ""
        assert child.stderr.count(NOTE) == expected
        assert len(child.stderr.splitlines()) == expected
