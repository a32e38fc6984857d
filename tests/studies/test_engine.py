"""Studies that run through, fail, go on, and are collected."""

from __future__ import annotations

import csv
import dataclasses
import json
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    OracleFailure,
)
from spikelearn.studies import Study, collect, grid, run_study, status
from spikelearn.studies.store import StudyFolder
from tests.studies.helpers import contents, sql, tables, threads
from tests.studies.toy import Settings, find_claims, make_toy, run_unit


def csv_rows(folder):
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def result_paths(folder):
    return [
        folder / "units" / unit_id / "result.json"
        for unit_id in StudyFolder.open(folder).record.units
    ]


def test_the_table_has_a_row_for_every_unit_in_the_order_of_the_study(whole):
    rows = csv_rows(whole)
    columns = ["id", "gain", "seed", "loss", "curve", "label", "large", "nothing"]
    assert list(rows[0]) == columns
    order = [(float(row["gain"]), int(row["seed"])) for row in rows]
    assert order == [(gain, seed) for gain in (0.5, 1.0, 1.5) for seed in range(6)]
    expected = run_unit({"gain": 1.0, "seed": 2})
    row = rows[8]
    assert float(row["loss"]) == expected["loss"], "every digit is kept"
    assert json.loads(row["curve"]) == expected["curve"].tolist()
    assert row["label"] == expected["label"]
    assert row["nothing"] == ""


def test_sqlite_has_the_same_rows_and_the_times_apart(whole):
    rows = csv_rows(whole)
    found = sql(whole, 'SELECT id, loss, "nothing" FROM units')
    assert found == [(row["id"], float(row["loss"]), None) for row in rows]
    timing = sql(whole, "SELECT id, seconds FROM timing")
    assert [unit_id for unit_id, _ in timing] == [row["id"] for row in rows]
    assert all(seconds >= 0 for _, seconds in timing)


def test_a_study_that_is_complete_runs_nothing_again(whole):
    class NothingToDo:
        def __enter__(self):
            raise AssertionError("there was nothing to run")

        def __exit__(self, *_):
            pass

    before = contents(whole)
    result = run_study(make_toy(), whole, NothingToDo())
    assert result.units_done == 18
    assert contents(whole) == before


def test_rows_and_claims_are_those_of_the_files(whole):
    result = run_study(make_toy(), whole, threads())
    expected = run_unit({"gain": 0.5, "seed": 0})
    assert result.rows[0]["curve"] == expected["curve"].tolist()
    assert result.rows[0]["nothing"] is None
    (claim,) = result.claims
    assert claim.id == "mean"
    (written,) = json.loads((whole / "claims.json").read_text())
    assert written == claim.to_dict()
    assert written["ci_high"] is None, "JSON has no infinity"


def test_a_failed_unit_keeps_its_traceback_and_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    result = run_study(make_toy(), tmp_path, threads())
    assert (result.units_done, result.units_failed) == (17, 1)
    assert result.claims == [], "claims wait for the whole table"
    (path,) = status(tmp_path).failures
    text = path.read_text()
    assert '{"gain": 1.0, "seed": 3}' in text
    assert "Traceback" in text and "ZeroDivisionError: as asked" in text
    ((_, error),) = sql(tmp_path, "SELECT * FROM failures")
    assert error == text


def test_a_failed_unit_is_tried_again_by_the_next_call(tmp_path, monkeypatch, whole):
    monkeypatch.setenv("TOY_FAILS", "1.0:3")
    run_study(make_toy(), tmp_path, threads())
    monkeypatch.delenv("TOY_FAILS")
    calls = []
    run_study(make_toy(), tmp_path, threads(), lambda *counts: calls.append(counts))
    assert calls == [(17, 0), (18, 0)]
    assert status(tmp_path).failures == []
    assert tables(tmp_path) == tables(whole)


class LostPool(ThreadPoolExecutor):
    """What Dask does with its futures when the scheduler goes away."""

    def submit(self, *_):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_units_that_are_lost_with_their_scheduler_did_not_fail(tmp_path):
    with pytest.raises(OracleFailure, match="connection was lost"):
        run_study(make_toy(), tmp_path, LostPool())
    assert status(tmp_path).failures == []


def test_status_and_collect_work_on_what_is_there(tmp_path, whole, monkeypatch):
    monkeypatch.setenv("TOY_FAILS", "1.5:0")
    run_study(make_toy(), tmp_path, threads())
    for path in result_paths(tmp_path)[:5]:
        path.unlink()
    found = status(tmp_path)
    assert (found.name, found.units, found.units_done) == ("toy", 18, 12)
    assert len(found.failures) == 1
    csv_path, _ = collect(tmp_path)
    header, *lines = (whole / "table.csv").read_text().splitlines()
    expected = [header, *lines[5:12], *lines[13:]]
    assert csv_path.read_text().splitlines() == expected


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"loss"', '"Loss; DROP"'),
    ],
)
def test_a_damaged_result_counts_as_not_done_and_is_said(
    tmp_path, whole, caplog, damage
):
    run_study(make_toy(), tmp_path, threads())
    path = result_paths(tmp_path)[0]
    path.write_text(damage(path.read_text()))
    assert status(tmp_path).units_done == 17
    assert str(path) in caplog.text and "counts as not done" in caplog.text
    run_study(make_toy(), tmp_path, threads())
    assert tables(tmp_path) == tables(whole)


def changed(**changes):
    return dataclasses.replace(make_toy(), **changes)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (make_toy(seeds=5), r"settings.seeds: 6 in the folder, 5 now"),
        (make_toy(quick=True), r"settings.quick: False in the folder, True now"),
        (changed(schema=2), r"schema_version: 1 in the folder, 2 now"),
        (changed(name="other"), r"name: toy in the folder, other now"),
        (changed(units=make_toy().units[1:]), r"units: 18 in the folder, 17 now"),
        (changed(units=make_toy().units[::-1]), r"with other values"),
    ],
)
def test_another_configuration_is_refused_and_changes_nothing(whole, study, message):
    before = contents(whole)
    with pytest.raises(FileAccessError, match=message) as refusal:
        run_study(study, whole, threads())
    assert "--out" in str(refusal.value)
    assert contents(whole) == before


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileAccessError, match=r"it holds 'thesis.tex'"):
        run_study(make_toy(), tmp_path, threads())
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}
    for read in (status, collect):
        with pytest.raises(FileAccessError, match=r"must hold a study.json"):
            read(tmp_path)
    with pytest.raises(FileAccessError, match="must be writable"):
        run_study(make_toy(), tmp_path / "thesis.tex", threads())


def test_a_folder_that_was_only_locked_when_its_process_died_is_free(tmp_path, whole):
    (tmp_path / ".lock").touch()
    (tmp_path / ".study.json.17-0a.tmp").write_text('{"na')
    run_study(make_toy(), tmp_path, threads())
    assert tables(tmp_path) == tables(whole)


def test_only_one_process_runs_a_study(tmp_path):
    study = make_toy()
    with (
        StudyFolder.create(tmp_path, study),
        pytest.raises(FileAccessError, match="another process runs the study"),
    ):
        run_study(study, tmp_path, threads())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"kind": "spikelearn study"', '"kind": "shopping"', "kind"),
        ('"format_version": 1', '"format_version": 2', "newer spikelearn"),
        ('"name": "toy"', '"name": 3', "name"),
        ('"units": {', '"units": {"../../x": {"seed": 1},', "units"),
        ("{", "", "not valid JSON"),
    ],
)
def test_a_damaged_study_is_an_error(tmp_path, old, new, message):
    run_study(make_toy(), tmp_path, threads())
    path = tmp_path / "study.json"
    path.write_text(path.read_text().replace(old, new, 1))
    for call in (status, collect, lambda p: run_study(make_toy(), p, threads())):
        with pytest.raises(FileFormatError, match=message):
            call(tmp_path)


def study_of(units, run=run_unit):
    settings = Settings(seeds=1, gains=[1.0], quick=False)
    return Study("odd", "Odd", 1, settings, units, run, find_claims)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ([], "must have units"),
        ([{"gain": 1.0}], 'must have a "seed"'),
        ([{"seed": True}], 'must have a "seed"'),
        ([{"seed": 1, "Gain": 1.0}], "lower-case name"),
        ([{"seed": 1, "id": 1.0}], "lower-case name"),
        ([{"seed": 1, "gains": [1.0]}], "must be a text, a finite number"),
        ([{"seed": 1, "gain": float("nan")}], "must be a text, a finite number"),
        ([{"seed": 1}, {"seed": 1}], "must be distinct"),
    ],
)
def test_units_are_checked(units, message):
    with pytest.raises(InvalidValue, match=message):
        study_of(units)


def test_a_function_that_workers_cannot_import_is_refused():
    with pytest.raises(InvalidValue, match="at the top of a module"):
        study_of([{"seed": 1}], run=lambda unit: {})


def no_dictionary(unit):
    return 3


def unit_again(unit):
    return {"seed": 3}


def no_json(unit):
    return {"what": object()}


def leaves(unit):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (no_dictionary, "result must be a dictionary; got int"),
        (unit_again, "must not be that of the unit; got seed"),
        (no_json, "must consist of numbers, texts"),
        (leaves, "SystemExit: 3"),
    ],
)
def test_odd_results_are_failures(tmp_path, run, message):
    result = run_study(study_of([{"seed": 1}], run), tmp_path, threads())
    assert result.units_failed == 1
    assert message in status(tmp_path).failures[0].read_text()


def large(unit):
    return {"number": 2**80}


def test_numbers_that_sqlite_does_not_hold_are_texts(tmp_path):
    run_study(
        dataclasses.replace(study_of([{"seed": 2**70}], large), claims=lambda rows: []),
        tmp_path,
        threads(),
    )
    assert sql(tmp_path, "SELECT seed, number FROM units") == [(str(2**70), str(2**80))]


def test_the_grid_is_every_combination_as_plain_values():
    units = grid(gain=np.array([0.5, 1.0]), rule=["e-prop"], seed=np.arange(2))
    assert units[1] == {"gain": 0.5, "rule": "e-prop", "seed": 1}
    assert len(units) == 4
    assert type(units[0]["seed"]) is int and type(units[0]["gain"]) is float


def test_ids_depend_on_study_schema_and_unit_alone():
    study, unit = make_toy(), {"gain": 0.5, "seed": 0}
    same = make_toy(quick=True, seeds=2).unit_id(dict(reversed(unit.items())))
    assert study.unit_id(unit) == same
    assert changed(schema=2).unit_id(unit) != study.unit_id(unit)
    assert changed(name="other").unit_id(unit) != study.unit_id(unit)
