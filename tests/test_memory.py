"""The memory limit, where it comes from, and what does not fit."""

from __future__ import annotations

import pytest

from spikelearn.errors import InvalidValue
from spikelearn.memory import as_bytes, as_text, memory_limit_bytes, require_fits

GIB = 2**30
VARIABLE = "SPIKELEARN_MEMORY_LIMIT"


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("4GiB", 4 * GIB),
        ("4 gib", 4 * GIB),
        ("1.5Gi", 3 * GIB // 2),
        ("500MB", 500 * 10**6),
        ("2k", 2000),
        ("1e9", 10**9),
        ("1024", 1024),
        (" 7 B ", 7),
        ("3TiB", 3 * 2**40),
    ],
)
def test_sizes_are_read(text, n_bytes):
    assert as_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "0", "-1GiB", "GiB", "4 GiBs", "i", "1i", "nan"])
def test_what_is_not_a_size_is_refused(text):
    with pytest.raises(InvalidValue, match=rf"^{VARIABLE} must be a size .*; got '"):
        as_bytes(text)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (12.3 * GIB, "12.3 GiB"),
        (4 * GIB, "4 GiB"),
        (5000 * 2**40, "5000 TiB"),
    ],
)
def test_sizes_for_people(n_bytes, text):
    assert as_text(n_bytes) == text


def machine(tmp_path, available_kib=None, groups="", **limits):
    """Write what Linux tells about memory; keys of limits have __ for /."""
    (tmp_path / "proc/self").mkdir(parents=True)
    if available_kib is not None:
        text = f"MemTotal: 99999999 kB\nMemAvailable:   {available_kib} kB\n"
        (tmp_path / "proc/meminfo").write_text(text)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in limits.items():
        path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return tmp_path


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_variable_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "3MiB")
    assert memory_limit_bytes(machine(tmp_path, available_kib=1)) == 3 * 2**20
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(InvalidValue, match=VARIABLE):
        memory_limit_bytes()


def test_without_groups_it_is_what_is_available(tmp_path):
    assert memory_limit_bytes(machine(tmp_path, available_kib=500)) == 500 * 1024


def test_the_smallest_limit_on_the_way_up_counts(tmp_path):
    root = machine(
        tmp_path,
        available_kib=10**6,
        groups="0::/slurm/job\n",
        slurm__job__memoryDOTmax="max",
        slurm__memoryDOTmax=7 * 2**20,
        memoryDOTmax=9 * 2**20,
    )
    assert memory_limit_bytes(root) == 7 * 2**20


def test_what_is_available_counts_within_a_group(tmp_path):
    root = machine(tmp_path, available_kib=100, groups="0::/\n", memoryDOTmax=9 * 2**20)
    assert memory_limit_bytes(root) == 100 * 1024


def test_groups_of_version_1(tmp_path):
    root = machine(
        tmp_path,
        available_kib=10**6,
        groups="3:cpu,cpuacct:/job\n2:memory:/job\n",
        memory__job__memoryDOTlimit_in_bytes=5 * 2**20,
        job__memoryDOTmax=1,
    )
    assert memory_limit_bytes(root) == 5 * 2**20


def test_elsewhere_it_is_the_physical_memory(tmp_path):
    assert memory_limit_bytes(tmp_path / "no proc here") > 2**26


def test_this_machine_has_memory():
    assert 2**20 < memory_limit_bytes() < 2**63


def test_what_fits_passes(monkeypatch):
    monkeypatch.setenv(VARIABLE, "100 B")
    require_fits(100, "input x", 50, 2, "samples")


@pytest.mark.parametrize(
    ("needed", "fitting"),
    [(8 * GIB, "8 samples"), (9 * GIB, "6 samples"), (11 * GIB, "2 samples")],
)
def test_what_does_not_fit_is_refused_with_what_would(monkeypatch, needed, fitting):
    """16 samples of half a GiB each, and the rest whatever their number is."""
    monkeypatch.setenv(VARIABLE, "4GiB")
    with pytest.raises(InvalidValue) as caught:
        require_fits(needed, "input x", GIB // 2, 16, "samples")
    assert str(caught.value).startswith(
        "input x must fit into the memory limit of 4 GiB; got 16 samples that need "
        f"{needed // GIB} GiB. ({fitting} at a time fit."
    )
    allowed = int(fitting.split()[0])
    fixed = needed - 8 * GIB
    require_fits(fixed + allowed * GIB // 2, "x", GIB // 2, allowed, "samples")
    with pytest.raises(InvalidValue):
        more = allowed + 1
        require_fits(fixed + more * GIB // 2, "x", GIB // 2, more, "samples")


def test_when_nothing_fits(monkeypatch):
    monkeypatch.setenv(VARIABLE, "4GiB")
    with pytest.raises(InvalidValue, match=r"\(No samples fit\."):
        require_fits(13 * GIB, "input x", GIB // 2, 16, "samples")


def test_small_things_fit_without_asking(monkeypatch):
    def asked(*_):
        raise AssertionError("asked the system")

    monkeypatch.setattr("spikelearn.memory.memory_limit_bytes", asked)
    require_fits(2**20, "input x", 1, 1, "samples")
    with pytest.raises(AssertionError, match="asked"):
        require_fits(2**30, "input x", 1, 1, "samples")
