"""The page of a run: complete, honest about its numbers, alone, and safe."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from spikelearn.errors import FileFormatError, InvalidValue, MissingDependency
from spikelearn.report import write as write_module
from spikelearn.report import write_report
from spikelearn.runs import load_run
from tests.report.runs import Page, comparison, small_run

FIGURES = {"learning", "sample", "rates", "weights", "eigenvalues"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def page(run):
    return Page(write_report(run, hardware=comparison(run), sample=3))


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "pattern"
    changes = ("task.duration_ms=250", "task.periods_ms=[250.0]", "lr=1e-6")
    made = small_run(path, "pattern-generation", *changes)
    return made, Page(write_report(made, hardware=comparison(made, adaptation=False)))


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def hostile(run, tmp_path_factory):
    """An unfinished copy of the run whose files hold markup where text may stand."""
    folder = tmp_path_factory.mktemp("runs") / "a<b>&'c"
    shutil.copytree(run.folder.path, folder)
    for name in ("result.json", "report.html"):
        (folder / name).unlink(missing_ok=True)
    text = (folder / "config.toml").read_text()
    rule = f"rule = {json.dumps(HOSTILE)}"
    (folder / "config.toml").write_text(text.replace('rule = "e-prop"', rule))
    environment = {"python": HOSTILE, "packages": {HOSTILE: "1"}}
    (folder / "environment.json").write_text(json.dumps(environment))
    return Page(write_report(load_run(folder)))


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.folder.path, tmp_path / "copy")
    return tmp_path / "copy"


def rows(folder, name):
    with open(folder / "figures" / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_alone(page):
    """No element may load anything, run anything, or point out of the page."""
    assert not {"script", "link", "iframe", "object", "embed"} & {
        tag for tag, _ in page.elements
    }
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name) or "#"
            inside = target.startswith("#") and target[1:] in {*ids, ""}
            assert inside or target.startswith("data:image/png;base64,")
    assert set(re.findall(r"url\(#([^)]*)\)", page.source)) <= set(ids)
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert "@import" not in page.source
    assert page.open == []


def test_the_page_needs_nothing_else(page, regression, hostile):
    for one in (page, regression[1], hostile):
        assert_alone(one)


def test_the_check_for_outside_references_can_fail(tmp_path):
    for body in (
        "<script></script>",
        '<a href="https://a.b">c</a>',
        "<p onclick=a>b</p>",
    ):
        (tmp_path / "page.html").write_text(body)
        with pytest.raises(AssertionError):
            assert_alone(Page(tmp_path / "page.html"))


def test_scores_are_those_of_the_result(run, page):
    result = run.folder.result()
    for split in ("validation", "test"):
        for score in ("accuracy", "loss"):
            assert result[split][score] in page.values()
    test = result["test"]
    right = round(test["accuracy"] * test["samples"])
    assert f"{right} of {test['samples']} test samples right" in page.text
    shown = f"{100 * test['accuracy']:.2f} %"
    assert f"Test accuracy{shown}" in page.text
    assert f"weights of iteration {result['best_iteration']} of 6" in page.text
    for words in run.task.splits.values():
        assert words in page.text


def test_every_figure_is_there_with_a_text_alternative(run, page):
    drawings = page.all("svg")
    assert len(drawings) == len(FIGURES) + 1
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 30
    captions = page.source.count("<figcaption>")
    assert captions == len(drawings)
    assert {a["id"] for a in page.all("figure")} == FIGURES | {"machines"}
    for name in FIGURES | {"machines"}:
        root = ET.parse(run.folder.path / "figures" / f"{name}.svg").getroot()
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert len(title.text) > 30


def test_figures_have_axes_with_units(page):
    for label in (
        "time (ms)",
        "firing rate (Hz)",
        "accuracy (%)",
        "iteration",
        "real part",
    ):
        assert label in page.text


def test_colours_follow_the_page(page):
    drawings = page.source.split("</style>", 1)[1]
    names = set(re.findall(r"var\(--([a-z]+)\)", drawings))
    assert {"blue", "ink", "soft", "vermilion"} <= names
    sheet = page.source.split("</style>", 1)[0]
    light, dark = sheet.split("prefers-color-scheme: dark", 1)
    assert all(f"--{name}:" in light and f"--{name}:" in dark for name in names)
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", drawings) == []


def test_curves_hold_the_metrics(run, page):
    written = rows(run.folder.path, "learning")
    for split in ("train", "validation"):
        mine = [r for r in run.folder.read_metrics() if r["split"] == split]
        theirs = [r for r in written if r["split"] == split]
        assert [r["loss"] for r in mine] == [float(r["loss"]) for r in theirs]
        assert [r["iteration"] for r in mine] == [int(r["iteration"]) for r in theirs]
    assert len(written) == 6 + 4


def test_the_sample_is_the_one_asked_for(run, page):
    batch = next(iter(run.task.evaluation("test", 4, 4)))
    record = run.network.run(batch.x)
    written = rows(run.folder.path, "sample")
    spikes = np.zeros_like(record.spikes[:, 3])
    for row in written:
        if row["part"] == "spike":
            spikes[int(row["step"]), int(row["unit"])] = 1
    np.testing.assert_array_equal(spikes, record.spikes[:, 3])
    label = [int(r["value"]) for r in written if r["part"] == "label"]
    assert label == [batch.target[3]]
    y = [float(r["value"]) for r in written if r["part"] == "readout"]
    np.testing.assert_allclose(y, record.y[:, 3].ravel(), rtol=1e-6)
    assert f"Test sample 3: class {batch.target[3]}," in page.text


def test_weights_and_spectra_cover_initial_and_trained(run, page):
    weights = rows(run.folder.path, "weights")
    n_rec, n_in = run.network.params.w_in.shape
    for block, size in (("w_in", n_rec * n_in), ("w_rec", n_rec * (n_rec - 1))):
        for kind in ("initial_count", "trained_count"):
            assert sum(int(r[kind]) for r in weights if r["block"] == block) == size
    spectra = rows(run.folder.path, "eigenvalues")
    for kind in ("initial", "trained"):
        trace = sum(float(r["real"]) for r in spectra if r["weights"] == kind)
        assert trace == pytest.approx(0.0, abs=1e-5)  # no self-connections
    assert [r["real"] for r in spectra[:n_rec]] != [r["real"] for r in spectra[n_rec:]]


def test_differing_spikes_and_the_verdict_are_counted(run, page):
    assert "float and emulator 1; float and Lava 1; emulator and Lava 0" in page.text
    compared = 50 * 8 * (4 * 12 + 10)
    shown = f"{compared:,}".replace(",", " ")
    assert f"0 of {shown} values differ over 50 samples \u00d7 8 steps" in page.text
    assert "bit for bit equal" in page.text
    assert "8-bit emulator47.50 %" in page.text
    assert "-2.50 points" in page.text
    spikes = [r for r in rows(run.folder.path, "machines") if r["part"] == "spike"]
    counts = {
        name: sum(r["machine"] == name for r in spikes)
        for name in ("float", "emulator", "Lava")
    }
    assert counts["float"] - 1 == counts["emulator"] == counts["Lava"] > 0


def test_a_regression_shows_target_and_loss_and_no_accuracy(regression):
    run, page = regression
    assert run.folder.result()["test"]["loss"] in page.values()
    assert "accuracy" not in page.text.lower()
    assert "target" in page.text
    assert "root-mean-square error" in page.text
    assert "1.250 as floats, 1.500 as integers" in page.text
    parts = {r["part"] for r in rows(run.folder.path, "sample")}
    assert parts == {"input", "spike", "readout", "target"}
    # The adaptation of a LIF network is not counted among what was compared.
    compared = f"{50 * 250 * (3 * 12 + 1):,}".replace(",", " ")
    assert f"0 of {compared} values differ" in page.text


def test_an_unfinished_run_says_so_and_shows_no_test_score(run, hostile):
    assert "Not finished: iteration 6 of 6" in hostile.text
    assert "spikelearn resume" in hostile.text
    assert "Test accuracy" not in hostile.text
    assert "Validation accuracy so far" in hostile.text
    assert "Not scored yet." in hostile.text
    assert run.folder.result()["test"]["loss"] not in hostile.values()


def test_without_integers_the_page_says_how_to_get_them(hostile):
    assert "spikelearn export" in hostile.text
    assert "spikelearn verify" in hostile.text
    assert {a["id"] for a in hostile.all("figure")} == FIGURES


def test_text_from_files_stays_text(hostile):
    assert "<script" not in hostile.source
    assert "<img" not in hostile.source
    assert hostile.text.count("<script>alert(1)</script>") >= 3  # rule, environment
    assert "a<b>&'c" in hostile.text


def test_a_failure_leaves_the_old_report(copy, monkeypatch):
    before = (copy / "report.html").read_bytes()
    files = {p: p.read_bytes() for p in (copy / "figures").iterdir()}

    def fail(*_):
        raise RuntimeError("no page today")

    monkeypatch.setattr(write_module, "page", fail)
    with pytest.raises(RuntimeError, match="no page today"):
        write_report(load_run(copy), sample=1)
    assert (copy / "report.html").read_bytes() == before
    assert {p: p.read_bytes() for p in (copy / "figures").iterdir()} == files


def test_without_matplotlib_there_is_a_clear_error_and_nothing_is_written(
    copy, monkeypatch
):
    (copy / "report.html").unlink()
    shutil.rmtree(copy / "figures")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"the report needs .*matplotlib.*plot"):
        write_report(load_run(copy))
    assert not (copy / "report.html").exists()
    assert not (copy / "figures").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "metrics.jsonl",
            '"loss": ',
            '"loss": "<script>", "l": ',
            "loss must be a number",
        ),
        ("result.json", '"loss": ', '"loss": "many", "l": ', "must be a valid number"),
        ("result.json", None, "[1, 2]", "must hold a JSON object"),
        ("result.json", None, "{}", r"test is wrong: Field required"),
    ],
)
def test_corrupt_files_give_one_clear_error(copy, name, old, new, message):
    text = (copy / name).read_text()
    (copy / name).write_text(new if old is None else text.replace(old, new))
    before = (copy / "report.html").read_bytes()
    with pytest.raises(FileFormatError, match=message):
        write_report(load_run(copy))
    assert (copy / "report.html").read_bytes() == before


def test_a_sample_that_is_not_there_is_an_error(run):
    with pytest.raises(InvalidValue, match="must be < 300, the number of test samples"):
        write_report(run, sample=300)
    with pytest.raises(InvalidValue, match="must be >= 0; got -1"):
        write_report(run, sample=-1)


def test_hardware_of_another_run_is_an_error(run, regression):
    with pytest.raises(InvalidValue, match=r"x must have shape \(8, 8\)"):
        write_report(run, hardware=comparison(regression[0]))
