"""Comparing, and child processes that are killed without leaving anything behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from hardware import emulator
from hardware._child import _mapped, _members, run_child
from hardware.lava_processes import _lava, runner
from hardware.verification import compare, verify
from spikelearn.errors import (
    InvalidValue,
    MissingDependency,
    OracleFailure,
    UnknownName,
)
from tests.hardware.networks import random_input, random_network

SHARED = Path("/dev/shm")


def described(seed=0, steps=20, samples=3, **options):
    net = random_network(seed, **options)
    x = random_input(seed + 1, net, steps, samples)
    vectors = emulator.run(net, x).vectors(x)
    return dataclasses.replace(net, vectors=vectors)


def test_stored_vectors_pass_and_are_counted():
    report = verify(described(), against="emulator")
    assert report.passed and report.first is None
    assert (report.samples, report.steps, report.against) == (3, 20, "emulator")
    assert report.n_spikes > 0
    assert verify(described(), against="emulator", samples=2).samples == 2


def test_a_changed_value_is_counted_and_placed():
    net = described()
    v = np.array(net.vectors.v)
    v[4, 1, 2] += 1
    v[9, 0, 0] -= 1
    y = np.array(net.vectors.y)
    y[3, 2, 1] += 5
    net = dataclasses.replace(net, vectors=dataclasses.replace(net.vectors, v=v, y=y))
    report = verify(net, against="emulator")
    assert not report.passed
    assert (report.differing_v, report.differing_y, report.differing_u) == (2, 1, 0)
    assert report.differing_values == 3
    first = report.first
    place = (first.quantity, first.step, first.sample, first.unit)
    assert place == ("y", 3, 2, 1)
    assert first.got == first.expected + 5
    assert verify(net, against="emulator", samples=1).differing_values == 1


def test_a_changed_network_is_seen():
    net = described()
    neurons = dataclasses.replace(net.neurons, dv=net.neurons.dv + 1)
    report = verify(dataclasses.replace(net, neurons=neurons), against="emulator")
    assert report.differing_v > 0
    assert report.differing_u == 0 or report.differing_spikes > 0


def test_wrong_requests():
    net = described()
    bare = dataclasses.replace(net, vectors=None)
    with pytest.raises(UnknownName, match="Did you mean 'lava'"):
        verify(net, against="lavas")
    with pytest.raises(InvalidValue, match=r"description\.vectors must be there"):
        verify(bare)
    with pytest.raises(InvalidValue, match=r"description\.vectors must be there"):
        verify(bare, against="emulator")
    with pytest.raises(InvalidValue, match="x must be left to the test vectors"):
        verify(net, net.vectors.x, against="emulator")
    for wrong in (0, 4):
        with pytest.raises(InvalidValue, match=r"samples must be 1\.\.3"):
            verify(net, against="emulator", samples=wrong)
    record = emulator.run(net, net.vectors.x, record=("u",))
    with pytest.raises(InvalidValue, match=r"record\.v must be recorded"):
        compare(record, net.vectors, "emulator", 0.0)


def test_lava_absent_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(_lava, "is_installed", lambda: False)
    with pytest.raises(MissingDependency, match="in two steps: pip install"):
        verify(described())
    with pytest.raises(MissingDependency, match="in two steps: pip install"):
        _lava.prepare()


def test_numpy_too_new_for_lava(monkeypatch):
    monkeypatch.setattr(_lava, "is_installed", lambda: True)
    monkeypatch.setattr(np, "__version__", "2.4.0")
    with pytest.raises(
        MissingDependency, match=r"needs numpy < 2\.4.*got numpy 2\.4\.0"
    ):
        _lava.prepare()


def child(tmp_path, code, timeout=30.0):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run_child(command, "The test", timeout, tmp_path, dict(os.environ))


def test_a_child_that_ends_well(tmp_path):
    child(tmp_path, "open('done', 'w').write('yes')")
    assert (tmp_path / "done").read_text() == "yes"


def test_a_child_that_fails_is_quoted(tmp_path):
    with pytest.raises(OracleFailure, match=r"(?s)got status 1\..*ValueError: no such"):
        child(tmp_path, "raise ValueError('no such thing')")
    with pytest.raises(OracleFailure, match="got signal 11"):
        child(tmp_path, "import os; os.kill(os.getpid(), 11)")
    with pytest.raises(OracleFailure, match="The test must start; got"):
        run_child([str(tmp_path / "none")], "The test", 5.0, tmp_path, {})


HANG = """
    import multiprocessing, os, sys, time
    from multiprocessing.shared_memory import SharedMemory

    memory = SharedMemory(create=True, size=4096)
    pids = [os.getpid()]
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        pids.append(pid)
    with open("about.tmp", "w") as file:
        print(memory.name.strip("/"), *pids, file=file)
    os.rename("about.tmp", "about")
    print("hanging now", file=sys.stderr, flush=True)
    {end}
"""


def gone(pid, patience=5.0):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("time.sleep(600)", r"(?s)must end within 2 s; it was killed.*hanging now"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
    ],
    ids=["hangs", "crashes"],
)
def test_a_broken_child_leaves_nothing(tmp_path, end, message):
    foreign = SHARED / "psm_not_of_this_child"
    foreign.write_bytes(b"kept")
    try:
        with pytest.raises(OracleFailure, match=message):
            child(tmp_path, HANG.format(end=end), timeout=2.0)
        name, *pids = (tmp_path / "about").read_text().split()
        assert len(pids) == 3
        assert all(gone(int(pid)) for pid in pids)
        assert name.startswith("psm_")
        assert not (SHARED / name).exists()
        assert foreign.read_bytes() == b"kept"
    finally:
        foreign.unlink()


def until(condition, patience):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


PARENT = """
import os, sys
from pathlib import Path
from hardware._child import run_child

code = "from pathlib import Path; from hardware._child import *\\n"
code += f"end_with_parent({{os.getpid()}}, Path.cwd())\\n" + {watched!r}
folder = Path(sys.argv[1])
run_child([sys.executable, "-c", code], "The test", 60.0, folder, dict(os.environ))
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_does_not_outlive_its_parent(tmp_path, number):
    folder = tmp_path / "work"
    folder.mkdir()
    watched = textwrap.dedent(HANG.format(end="time.sleep(600)"))
    code = PARENT.format(watched=watched)
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], start_new_session=True
    )
    about = folder / "about"
    name, *pids = until(about.exists, 20.0) and about.read_text().split()
    assert (SHARED / name).exists()
    parent.send_signal(number)
    parent.wait()
    assert all(gone(int(pid)) for pid in pids)
    until(lambda: not (SHARED / name).exists() and not folder.exists(), 5.0)


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@pytest.mark.lava
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_a_killed_verification_leaves_nothing_of_lava(tmp_path):
    net = random_network(0)
    x = random_input(1, net, 100_000)
    net = dataclasses.replace(net, vectors=emulator.run(net, x).vectors(x))
    net.save(tmp_path / "network.h5")
    short = tempfile.TemporaryDirectory(prefix="spikelearn-test-")  # holds sockets
    scratch = Path(short.name)
    parent = subprocess.Popen(
        [sys.executable, "-m", "spikelearn", "verify", str(tmp_path / "network.h5")],
        env=os.environ | {"TMPDIR": short.name},
    )

    def running():
        workers = children(parent.pid)
        return workers and len(_members(workers[0])) > 2 and _mapped(workers[0])

    memory = until(running, 60.0)
    (worker,) = children(parent.pid)
    group = _members(worker)
    assert list(scratch.iterdir())
    parent.kill()
    parent.wait()
    assert all(gone(pid) for pid in group)
    until(lambda: not any(path.exists() for path in memory), 5.0)
    until(lambda: not list(scratch.iterdir()), 5.0)
    short.cleanup()


@pytest.mark.lava
def test_lava_out_of_time_is_killed():
    net = random_network(0)
    x = random_input(1, net, 100_000)
    started = time.monotonic()
    with pytest.raises(OracleFailure, match="must end within 3 s"):
        verify(net, x, timeout=3.0)
    assert time.monotonic() - started < 15


@pytest.mark.lava
def test_lava_verifies_several_samples():
    net = described(5, reset="subtract", adaptive=True)
    report = verify(net, samples=2)
    assert report.passed and report.samples == 2 and report.n_spikes > 0


@pytest.mark.lava
def test_lava_jobs_are_checked_before_it_starts():
    net = random_network(0)
    with pytest.raises(InvalidValue, match="must have a step and a sample"):
        runner.run_lava([(net, random_input(1, net, 5, 0))])
    with pytest.raises(InvalidValue, match="timeout must be > 0 s"):
        runner.run_lava([(net, random_input(1, net, 5, 1))], timeout=0)


def test_the_time_limit_grows_with_the_work():
    small, large = np.zeros((10, 2, 3)), np.zeros((1000, 50, 3))
    assert 60 < runner.time_limit([small]) < runner.time_limit([large])
    assert runner.time_limit([small, large]) > runner.time_limit([large])
