"""The same studies on Dask workers."""

from __future__ import annotations

import pytest

from spikelearn.errors import InvalidValue, SpikelearnError
from spikelearn.studies import dask, run_study, status
from tests.studies.helpers import tables, threads
from tests.studies.test_processes import kill_after
from tests.studies.toy import make_toy

pytestmark = pytest.mark.dask


def local_cluster(**options):
    """Start a scheduler with a worker, as others do."""
    from distributed import LocalCluster

    return LocalCluster(n_workers=1, dashboard_address=None, **options)


def test_a_local_cluster_gives_the_same_table_after_failures_too(
    tmp_path, monkeypatch, whole
):
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    monkeypatch.setenv("TOY_DIES", "0.5:1")
    result = run_study(make_toy(), tmp_path, dask(2))
    assert (result.units_done, result.units_failed) == (16, 2)
    dead, failed = (path.read_text() for path in status(tmp_path).failures)
    assert '"gain": 0.5, "seed": 1' in dead and "KilledWorker" in dead
    assert "ZeroDivisionError: as asked" in failed
    monkeypatch.delenv("TOY_FAILS")
    monkeypatch.delenv("TOY_DIES")
    run_study(make_toy(), tmp_path, dask(2))
    assert tables(tmp_path) == tables(whole)


def test_a_study_that_was_killed_goes_on_with_another_executor(tmp_path, whole):
    kill_after(tmp_path, 3, "--executor", "dask")
    assert 3 <= status(tmp_path).units_done < 18
    run_study(make_toy(), tmp_path, threads())
    assert tables(tmp_path) == tables(whole)


def test_a_study_runs_on_a_scheduler_that_is_there(tmp_path, whole):
    from dask import config

    with local_cluster(threads_per_worker=1) as cluster:
        address = cluster.scheduler_address
        run_study(make_toy(), tmp_path / "a", dask(address=address))
        with config.set({"scheduler-address": address}):
            run_study(make_toy(), tmp_path / "b", dask())
        assert len(cluster.scheduler.workers) == 1, "it is still there"
    for name in ("a", "b"):
        assert tables(tmp_path / name) == tables(whole)


def test_workers_with_several_threads_are_refused(tmp_path):
    with (
        local_cluster(threads_per_worker=2, processes=False) as cluster,
        pytest.raises(InvalidValue, match="must have one thread each; got 2"),
    ):
        run_study(make_toy(), tmp_path, dask(address=cluster.scheduler_address))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "tcp://127.0.0.1:9"}, "must answer at 'tcp://127.0.0.1:9'"),
        ({"address": "nonsense"}, "must answer at 'nonsense'"),
        ({"address": "tcp://a:1", "scheduler_file": "b"}, "must be one place"),
        ({"scheduler_file": "absent.json"}, "scheduler file 'absent.json' must exist"),
        ({"address": "tcp://a:1", "workers": 2}, "workers must not be given"),
    ],
)
def test_mistakes_are_errors(tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("spikelearn.studies.executors.CONNECT_SECONDS", 1)
    with pytest.raises(SpikelearnError, match=message):
        run_study(make_toy(), tmp_path, dask(**options))
    assert status(tmp_path).units_done == 0
