"""The study of initial gains: its units, and claims on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.trainer import Trainer
from spikelearn.report.init_gain import write_init_gain
from spikelearn.studies.init_gain import (
    FLOSSINGS,
    Settings,
    claims,
    initial_gains,
    train_one,
)

GAINS = (0.1, 0.5, 1.0, 2.0, 3.0)
CURVE = {0.1: 0.6, 0.5: 0.3, 1.0: 0.1, 2.0: 0.4, 3.0: 0.9}


UNIT = {
    "rule": "e-prop",
    "gain": 2.0,
    "seed": 1,
    "n_rec": 20,
    "batch_size": 4,
    "episodes": 8,
    "length": 0.1,
}


def made(loss, *, seeds=5, noise=0.01, cells=("rate", "LIF"), tasks=("dms",), rng=0):
    """Return a table in which loss(unit) is the test loss, with noise."""
    rng, rows = np.random.default_rng(rng), []
    for task in tasks:
        for cell in cells:
            for rule in ("bptt", "e-prop", "rflo"):
                for flossing in ("none", "pre-homeostasis", "pre-local"):
                    if flossing == "pre-homeostasis" and cell == "rate":
                        continue
                    for gain in GAINS:
                        for seed in range(seeds):
                            row = {
                                "task": task,
                                "cell": cell,
                                "rule": rule,
                                "flossing": flossing,
                                "gain": gain,
                                "seed": seed,
                            }
                            value = loss(row) + noise * rng.standard_normal()
                            row["test_loss"] = value
                            row["training_loss"] = 2 * value
                            row["lam_start"] = np.log(gain)
                            row["lam_end"] = np.log(gain) * (1 - value)
                            row["curve"] = [value, value]
                            row["spectrum_drawn"] = [np.log(gain), -1.0]
                            row["spectrum_start"] = [0.0, -1.0]
                            rows.append(row)
    return rows


def repaired(row):
    flat = 0.11 if row["gain"] != 1.0 else 0.1
    return flat if row["flossing"] == "pre-local" else CURVE[row["gain"]]


def verdicts(rows):
    return {claim.id: claim.verdict for claim in claims(rows)}


def test_a_table_that_shows_everything():
    found = {claim.id: claim for claim in claims(made(repaired, noise=0.001))}
    alone = {id for id in found if id.startswith("A4") and id.endswith("homeostasis")}
    others = {found[id].verdict for id in found.keys() - alone}
    assert others == {"reproduced"}
    assert found["A4 pre-homeostasis"].verdict == "not reproduced"
    assert found["A4 beyond homeostasis"].verdict == "reproduced"
    gap = CURVE[3.0] - CURVE[1.0]
    assert found["A1"].effect == pytest.approx(gap, abs=0.03)
    assert found["A4 pre-local"].effect == pytest.approx(CURVE[3.0] - 0.11, abs=0.03)
    recovered = found["A4 pre-local"].detail["recovered"]
    assert recovered["dms rate"] == pytest.approx((0.9 - 0.11) / gap, abs=0.05)
    assert found["A4 pre-local"].detail["recovered_enough"] == ["dms LIF", "dms rate"]
    assert found["A1"].n == 5
    for claim in found.values():
        other = claim.detail["on_the_way"]
        doubled = 1 if claim.id[:2] in ("A2", "A3", "A5") else 2
        assert other["effect"] == pytest.approx(doubled * claim.effect)
    assert found["A4 pre-local"].detail["on_the_way"]["recovered"] == recovered


def test_noise_alone_shows_nothing():
    found = {c.id: c for c in claims(made(lambda row: 0.5, noise=0.1, rng=1))}
    assert found["A1"].verdict == "not reproduced"
    for id in ("A4 pre-local", "A4 gap pre-local"):
        assert found[id].verdict == "not reproduced"
        assert (found[id].n, found[id].effect) == (0, None), "there is no gap"
    assert found["A4 pre-local"].detail["recovered"] == {}


def test_only_parts_with_a_gap_have_something_to_recover():
    def loss(row):
        return repaired(row) if row["cell"] == "LIF" else 0.5

    found = {claim.id: claim for claim in claims(made(loss))}
    assert set(found["A4 pre-local"].detail["parts"]) == {"dms LIF"}
    assert set(found["A4 pre-local"].detail["gaps"]) == {"dms LIF", "dms rate"}
    assert found["A4 gap pre-local"].verdict == "reproduced"
    assert len(found["A5 pre-local"].detail["parts"]) == 2


def test_homeostasis_that_does_all_of_it():
    assert verdicts(made(repaired))["A4 beyond homeostasis"] == "reproduced"

    def alone(row):
        repairs = row["flossing"] != "none"
        return repaired(row | {"flossing": "pre-local" if repairs else "none"})

    found = verdicts(made(alone))
    assert found["A4 pre-local"] == found["A4 pre-homeostasis"] == "reproduced"
    assert found["A4 beyond homeostasis"] == "not reproduced"


def test_flossing_that_does_nothing_repairs_nothing():
    found = verdicts(made(lambda row: CURVE[row["gain"]]))
    assert found["A1"] == "reproduced"
    assert found["A4 pre-local"] == "not reproduced"
    assert found["A4 gap pre-local"] == "not reproduced"


def test_flossing_that_harms_the_best_gain_costs():
    def loss(row):
        return 0.3 if row["flossing"] == "pre-local" else CURVE[row["gain"]]

    found = {claim.id: claim for claim in claims(made(loss))}
    assert found["A4 pre-local"].verdict == "reproduced"
    assert found["A5 pre-local"].verdict == "not reproduced"
    assert found["A5 pre-local"].effect == pytest.approx(np.log(3.0), abs=0.1)


def test_what_holds_in_some_parts_depends():
    def loss(row):
        return repaired(row) if row["cell"] == "rate" else 0.5

    assert verdicts(made(loss, noise=0.0))["A1"] == "depends"


def test_a_rule_that_is_not_like_bptt():
    def loss(row):
        return CURVE[row["gain"]] if row["rule"] == "bptt" else 1 - CURVE[row["gain"]]

    assert verdicts(made(loss))["A2"] == "not reproduced"


def test_the_choice_of_gains_does_not_see_the_seed_it_is_judged_by():
    """Without an effect the expected gap is 0, however many gains there are."""
    effects = []
    for shift in range(20):
        rows = made(lambda row: 0.5, noise=0.0)
        rng = np.random.default_rng(shift)
        for row in rows:
            row["test_loss"] = 10.0 + float(rng.standard_normal())
        effects.append(next(c.effect for c in claims(rows) if c.id == "A1"))
    assert abs(np.mean(effects)) < 0.25
    spread = np.ptp(rng.standard_normal((1000, len(GAINS))), axis=1).mean()
    assert spread > 2  # what the largest difference of each seed would give


def test_a_run_that_failed_counts_as_the_worst():
    rows = made(repaired)
    for row in rows:
        if row["gain"] == 3.0 and row["flossing"] == "none":
            row["test_loss"] = None
    found = {claim.id: claim for claim in claims(rows)}
    assert found["A1"].effect > 5


def test_one_seed_gives_no_verdict():
    assert claims(made(repaired, seeds=1)) == []
    assert len(claims(made(repaired, seeds=2))) == 10


def test_units_are_those_of_the_issue():
    study = initial_gains()
    assert {unit["task"] for unit in study.units} == set(Settings().tasks)
    assert {unit["flossing"] for unit in study.units} == set(FLOSSINGS)
    assert all(u["cell"] == "rate" for u in study.units if u["rule"] == "rflo")
    alone = {u["cell"] for u in study.units if u["flossing"] == "pre-homeostasis"}
    assert alone == {"LIF", "ALIF"}
    assert len({unit["seed"] for unit in study.units}) == 5
    assert len(initial_gains(seeds=1).units) * 5 == len(study.units)
    assert len(initial_gains(quick=True).units) < 60


@pytest.mark.parametrize(
    ("cell", "flossing", "task"),
    [
        ("rate", "pre-local", "dms"),
        ("LIF", "pre-exact", "delayed-xor"),
        ("ALIF", "continuous", "evidence-accumulation"),
        ("rate", "none", "evidence-accumulation"),
        ("LIF", "pre-homeostasis", "dms"),
    ],
)
def test_a_unit_gives_the_same_twice(cell, flossing, task):
    unit = UNIT | {"task": task, "cell": cell, "flossing": flossing}
    first = train_one(unit)
    assert first == train_one(unit)
    assert 0 < first["test_loss"] < 7 and 0 <= first["test_accuracy"] <= 1
    before = flossing.startswith("pre")
    assert len(first["flossed"]) == (8 if before else 0)
    if flossing == "pre-homeostasis":
        assert first["lam_start"] != first["lam_drawn"], "the biases have moved"
    elif before:
        assert abs(first["lam_start"]) < abs(first["lam_drawn"])
    else:
        assert first["lam_start"] == first["lam_drawn"]


def test_a_network_whose_numbers_run_away_counts_as_the_worst(monkeypatch):
    calls = []

    def step(trainer):
        calls.append(trainer)
        if len(calls) < 4:
            return Trainer.original(trainer)
        raise InvalidValue("training iteration 4 must have a finite loss")

    monkeypatch.setattr(Trainer, "original", Trainer.step, raising=False)
    monkeypatch.setattr(Trainer, "step", step)
    found = train_one(UNIT | {"task": "dms", "cell": "rate", "flossing": "none"})
    assert len(calls) == 4
    assert found["test_loss"] == pytest.approx(10 * np.log(2))
    assert found["test_accuracy"] is None and found["lam_end"] is None
    assert found["training_loss"] > 5 > found["curve"][0]


def test_the_report_shows_every_claim(tmp_path):
    pytest.importorskip("matplotlib")
    rows = made(repaired)
    found = [claim.to_dict() for claim in claims(rows)]
    path = write_init_gain(tmp_path, "A title & more", "spikelearn study", rows, found)
    page = path.read_text()
    assert "A title &amp; more" in page
    for claim in found:
        assert claim["id"] in page
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    for chart in ("loss", "flossing", "exponents", "curves", "spectrum"):
        assert {f"{chart}.svg", f"{chart}.csv"} <= names
