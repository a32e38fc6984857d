"""Workers that die, drivers that are killed, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import psutil
import pytest

from spikelearn.errors import OracleFailure
from spikelearn.studies import processes, run_study, status
from tests.studies.helpers import COMMAND, environment, study_command, tables
from tests.studies.toy import make_toy

KILLS = 3


def done(folder):
    return len(list(folder.glob("units/*/result.json")))


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def start(folder, *options, seconds=0.15):
    command = [*COMMAND, "toy", "--out", str(folder), "--workers", "2", *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TOY_SECONDS=str(seconds)),
        start_new_session=True,
    )


def kill_after(folder, units, *options):
    """Kill the driver, and it alone, when so many units are done."""
    driver = start(folder, *options)
    wait_until(lambda: done(folder) >= units or driver.poll() is not None)
    children = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.communicate()
    assert driver.returncode == -signal.SIGKILL, "it was in the middle"
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == [], "workers end with their driver"


def test_a_study_that_was_killed_three_times_has_the_same_table(tmp_path, whole):
    for kill in range(1, KILLS + 1):
        kill_after(tmp_path, 4 * kill)
        assert 4 * kill <= status(tmp_path).units_done < 18
        assert not (tmp_path / "table.csv").exists()
    outcome = study_command("toy", "--out", tmp_path, "--workers", 2)
    assert outcome.returncode == 0, outcome.stderr
    assert "unit 18/18" in outcome.stderr and "unit 0/18" not in outcome.stderr
    assert tables(tmp_path) == tables(whole)
    assert not list(tmp_path.rglob(".*tmp"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_study_that_is_stopped_ends_its_workers_and_can_go_on(
    tmp_path, number, code, whole
):
    driver = start(tmp_path, seconds=0.2)
    wait_until(lambda: done(tmp_path) >= 2)
    children = psutil.Process(driver.pid).children(recursive=True)
    for _ in range(5):  # as an impatient user at a terminal, or `timeout`
        os.killpg(driver.pid, number)
        time.sleep(0.002)
    _, stderr = driver.communicate(timeout=60)
    assert driver.returncode == code
    assert "the same command" in stderr and "Traceback" not in stderr
    assert psutil.wait_procs(children, timeout=20)[1] == []
    found = status(tmp_path)
    assert 2 <= found.units_done < 18
    assert found.failures == [], "units that were stopped did not fail"
    run_study(make_toy(), tmp_path, processes(2))
    assert tables(tmp_path) == tables(whole)


def test_a_worker_that_dies_fails_its_unit_and_no_other(tmp_path, monkeypatch, whole):
    monkeypatch.setenv("TOY_DIES", "0.5:1")
    result = run_study(make_toy(), tmp_path, processes(2))
    assert (result.units_done, result.units_failed) == (17, 1)
    text = status(tmp_path).failures[0].read_text()
    assert '"seed": 1' in text
    assert "was ended by SIGKILL (Was there enough memory?)" in text
    monkeypatch.delenv("TOY_DIES")
    assert run_study(make_toy(), tmp_path, processes(2)).units_failed == 0
    assert tables(tmp_path) == tables(whole)


def limits():
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return [os.environ.get(name) for name in names]


def test_workers_have_one_thread_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with processes(1) as pool:
        assert pool.submit(limits).result() == ["1", "1", "1"]
        assert pool.submit(os.getpid).result() == pool.submit(os.getpid).result()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_the_end_of_the_block_drops_what_runs_and_what_waits():
    started = time.monotonic()
    with processes(1) as pool:
        pool.submit(os.getpid).result()
        running, waiting = pool.submit(time.sleep, 60), pool.submit(time.sleep, 60)
        wait_until(running.running)
    assert time.monotonic() - started < 30
    assert waiting.cancelled()
    with pytest.raises(OracleFailure, match="SIGKILL"):
        running.result()
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [command for command in commands if "spawn_main" in command]


def test_a_status_is_named():
    with processes(1) as pool:
        dead = pool.submit(os._exit, 3)
        with pytest.raises(OracleFailure, match="ended with status 3"):
            dead.result()
        assert pool.submit(abs, -2).result() == 2, "another process took its place"
