"""`spikelearn connectivity`: numbers, nulls, matching, figures, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spikelearn.analysis.structure import describe
from spikelearn.cli import app
from spikelearn.connectivity import parse
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.runs import resolve_config, train


def run(*arguments):
    result = CliRunner().invoke(app, ["connectivity", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments):
    return json.loads(run(*arguments, "--json").stdout.splitlines()[-1])


def test_json_has_the_numbers_of_the_library():
    found = answer("low_rank(2, 1.5)", "--n", 40, "--seed", 3)
    expected = describe(parse("low_rank(2, 1.5)").draw(40, 3), rng=3).to_dict()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found["spec"] == "low_rank(rank=2, gain=1.5)"
    assert found["nulls"] == {}
    assert found["match"] is None


def test_nulls_stand_beside_the_family():
    found = answer("dale(base=erdos_renyi(0.2))", "--n", 40, "--nulls")
    nulls = found["nulls"]
    assert set(nulls) == {
        "shuffle",
        "degree_preserving",
        "spectrum_matched",
        "gaussian",
    }
    assert found["not_defined"] == {}
    for name in ("shuffle", "degree_preserving", "spectrum_matched"):
        assert nulls[name]["frobenius"] == pytest.approx(found["frobenius"])
    singular = nulls["spectrum_matched"]["participation_ratio"]
    assert singular == pytest.approx(found["participation_ratio"])
    assert nulls["gaussian"]["frobenius"] == pytest.approx(found["frobenius"], rel=0.1)
    dense = answer("low_rank(1)", "--n", 20, "--nulls")
    assert "leave out some connections" in dense["not_defined"]["degree_preserving"]


@pytest.mark.parametrize(
    "mode", ["frobenius", "spectral_radius", "lyapunov"], ids=lambda m: m
)
def test_matching(mode):
    value = 0.01 if mode == "lyapunov" else 3.0
    found = answer("gaussian", "--n", 20, "--nulls", "--match", f"{mode}={value}")
    for row in (found, *found["nulls"].values()):
        assert row[mode] == pytest.approx(value, abs=1.1e-3)
    others = {"frobenius", "spectral_radius", "lyapunov"} - {mode}
    for other in others:
        assert found[other] != pytest.approx(value, abs=1e-2)


def test_a_table_and_a_figure_for_people(tmp_path):
    out = tmp_path / "figure.svg"
    text = run("connectome('celegans')", "--n", 50, "--nulls", "--out", out).stdout
    assert out.read_text().count("<path") > 5
    assert "connectome(name='celegans'), 50 neurons" in text
    words = " ".join(text.split())
    assert "Frobenius" in words and "shuffle" in words
    assert "written:" in text


def test_task_aligned_families_see_the_reference_network():
    found = answer("aligned_low_rank(2)", "--n", 60)
    assert found["stable_rank"] < 2.0 + 1e-9
    assert np.isfinite(found["lyapunov"])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("low_rank(41)", "--n", 40), InvalidValue, "must be at most n = 40"),
        (("lowrank(1)",), UnknownName, "Did you mean 'low_rank'"),
        (("connectome('worm')",), UnknownName, "unknown connectome 'worm'"),
        (("gaussian", "--match", "norm=1"), UnknownName, "unknown matching 'norm'"),
        (("gaussian", "--match", "lyapunov"), InvalidValue, "must be MODE=VALUE"),
        (("gaussian", "--match", "frobenius=x"), InvalidValue, "must be MODE=VALUE"),
        (
            ("gaussian", "--n", 20, "--match", "lyapunov=-5"),
            InvalidValue,
            r"must be within reach, -0\.",
        ),
        (
            ("delayed(gaussian, 1, 3)", "--match", "lyapunov=0"),
            InvalidValue,
            "must be asked of connections with delays of one step",
        ),
        (("connectome(worm)",), UnknownName, "unknown connectome 'worm'"),
        (
            ("gaussian(gain=1e308)",),
            InvalidValue,
            r"^gaussian\.gain must give weights with a finite norm; got 1e\+308",
        ),
        (("gaussian", "--out", "a.pdf"), InvalidValue, "must end in .svg or .png"),
        (
            ("masked(gaussian, 1)",),
            InvalidValue,
            r"masked\.by must be a family of connectivity",
        ),
    ],
)
def test_wrong_input_is_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        run(*arguments)


def test_too_many_neurons(monkeypatch):
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "8MB")
    message = r"^--n must fit .*; got 40000 neurons that need .* \(At most 316 fit\.\)"
    with pytest.raises(InvalidValue, match=message):
        run("gaussian", "--n", 40000)
    assert answer("gaussian", "--n", 10)["n"] == 10


def test_a_run_is_described_before_and_after_training(tmp_path):
    overrides = ["task.name=dms", "n_rec=12", "training.iterations=60", "batch_size=8"]
    overrides += ["connectivity=low_rank(rank=1)"]
    trained = train(resolve_config(None, overrides), tmp_path / "run")
    found = answer(trained.folder.path)
    assert found["n"] == found["start"]["n"] == 12
    assert found["start"]["stable_rank"] == pytest.approx(1.0, abs=1e-6)
    assert found["frobenius"] == pytest.approx(
        np.linalg.norm(trained.network.params.w_rec), rel=1e-6
    )
    assert found["lyapunov"] != found["start"]["lyapunov"]
    text = run(trained.folder.path).stdout
    assert "at the start" in text and "best" in text
    with pytest.raises(InvalidValue, match=r"must be given no option .* got --match"):
        run(trained.folder.path, "--match", "frobenius=1")
