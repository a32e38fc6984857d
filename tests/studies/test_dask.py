"""The same studies on Dask workers."""

from __future__ import annotations

import pytest

from spikelearn.studies import dask, run_study, status
from tests.studies.helpers import study_command, tables
from tests.studies.test_processes import kill_after
from tests.studies.toy import make_toy

pytestmark = pytest.mark.dask


@pytest.fixture
def cluster():
    """Start a scheduler and a worker as `dask scheduler` and `dask worker` do."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


def test_a_study_on_a_local_cluster_has_the_same_table(tmp_path, monkeypatch, whole):
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    result = run_study(make_toy(), tmp_path, dask(2))
    assert (result.units_done, result.units_failed) == (17, 1)
    assert "ZeroDivisionError" in status(tmp_path).failures[0].read_text()
    monkeypatch.delenv("TOY_FAILS")
    run_study(make_toy(), tmp_path, dask(2))
    assert tables(tmp_path) == tables(whole)


def test_a_study_that_was_killed_goes_on_with_another_executor(tmp_path, whole):
    kill_after(tmp_path, 3, "--executor", "dask")
    assert 3 <= status(tmp_path).units_done < 18
    assert study_command("toy", "--out", tmp_path).returncode == 0
    assert tables(tmp_path) == tables(whole)


def test_a_study_runs_on_a_scheduler_that_is_there(
    tmp_path, monkeypatch, cluster, whole
):
    address = cluster.scheduler_address
    outcome = study_command(
        *("toy", "--out", tmp_path / "a", "--executor", "dask", "--address", address)
    )
    assert outcome.returncode == 0, outcome.stderr
    assert tables(tmp_path / "a") == tables(whole)
    outcome = study_command(
        *("toy", "--out", tmp_path / "b", "--executor", "dask"),
        DASK_SCHEDULER_ADDRESS=address,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert tables(tmp_path / "b") == tables(whole)
