"""The study of Oja's rule: its units, and claims on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import Trainer
from spikelearn.report.oja import write_oja
from spikelearn.studies.oja import STRENGTHS, oja_study
from spikelearn.studies.oja_claims import WORST_LOSS, claims
from spikelearn.studies.oja_networks import train_one
from spikelearn.studies.static_digits import StaticDigits
from spikelearn.tasks import DigitsRows

GAINS = (0.1, 1.0, 4.0)
DELAYS = (4, 8, 20)
FORMS = ("none", "neuron", "rescaled", "subspace", "weight-decay")
UNIT = {
    "part": "gains",
    "cell": "rate",
    "form": "subspace",
    "gain": 1.0,
    "delay": 3,
    "seed": 1,
    "strength": 1e-3,
    "lr": 0.05,
    "samples": 30,
    "layers": 1,
    "width": 20,
}
DEEP = UNIT | {"part": "stack", "delay": None, "layers": 3, "width": 8, "samples": 8}


def made(value, *, seeds=5, noise=0.01, cells=("rate", "LIF"), rng=0):
    """Return a table in which value(row) is the loss, accuracies are 1 - value."""
    rng, rows = np.random.default_rng(rng), []
    places = [("gains", gain, 8, 1) for gain in GAINS]
    places += [("delays", 1.0, delay, 1) for delay in DELAYS if delay != 8]
    places += [("stack", gain, None, 5) for gain in GAINS]
    for cell in cells:
        for part, gain, delay, layers in [*places, ("stack", 0.0, None, 1)]:
            for form in FORMS if gain else ("none",):
                for seed in range(seeds):
                    row = {"part": part, "cell": cell, "form": form, "gain": gain}
                    row |= {"delay": delay, "layers": layers, "seed": seed}
                    loss = value(row) + noise * float(rng.uniform())
                    rows.append(
                        row
                        | {
                            "training_loss": 2 * loss,
                            "test_loss": loss,
                            "test_accuracy": 1 - loss,
                            "diverged": int(loss > 0.7),
                            "participation_ratio": 1 / loss,
                            "effective_rank": 2 / loss,
                            "cosine": 1 - loss,
                            "curve": [2 * loss, loss],
                            "angles": [0.0, 1 - loss] if part == "stack" else [],
                        }
                    )
    return rows


def helped(*forms):
    """Return losses that are low at gain 1, and everywhere with some forms."""

    def value(row):
        if row["form"] in forms:
            return 0.1 if row["gain"] == 1.0 and row["part"] == "gains" else 0.12
        plain = {0.0: 0.2, 0.1: 0.4, 1.0: 0.2, 4.0: 0.8}[row["gain"]]
        return plain + (row["form"] == "neuron") / 10

    return value


def found(rows):
    return {claim.id: claim for claim in claims(rows)}


def verdicts(rows):
    return {id: claim.verdict for id, claim in found(rows).items()}


MEASURES = ("D1", "D1 divergences", "D2", "D3", "D4", "D4 angle", "D5")


def test_a_table_that_shows_everything():
    shown = found(made(helped("rescaled", "subspace"), noise=0.0))
    assert len(shown) == 2 * (len(MEASURES) * 5 + 1)
    for measure in MEASURES:
        for cell in ("rate", "LIF"):
            for form in ("rescaled", "subspace"):
                for end in ("", " beyond decay"):
                    claim = shown[f"{measure} {form} {cell}{end}"]
                    assert claim.verdict == "reproduced", claim
                    assert claim.n == 5
            assert shown[f"{measure} weight-decay {cell}"].verdict == "not reproduced"
    d1 = shown["D1 subspace rate"]
    expected = np.log([0.4 / 0.12, 0.2 / 0.1, 0.8 / 0.12]).mean()
    assert d1.effect == pytest.approx(expected, abs=0.05)
    assert shown["D1 divergences subspace rate"].effect == pytest.approx(1 / 3)
    gap = shown["D2 subspace LIF"]
    assert gap.effect == pytest.approx(0.8 - 0.2 - 0.02, abs=0.02)
    assert gap.detail["worst"]["effect"] == pytest.approx(0.68, abs=0.02)
    assert shown["D3 subspace rate"].effect == pytest.approx(expected, abs=0.05)
    assert shown["D4 subspace rate"].detail["accuracy_of_one_layer"] > 0.78
    assert shown["D5 subspace rate"].effect == pytest.approx(0.08 + 0.02 / 3, abs=0.02)
    solved = shown["D5 subspace rate"].detail["longest_delay_solved"]
    assert solved == {"subspace": {"1": 20}, "none": {"1": 20}}
    assert shown["collapse neuron rate"].verdict == "reproduced"


def test_what_decay_does_as_well_is_mere_shrinkage():
    shown = verdicts(made(helped("rescaled", "subspace", "weight-decay"), noise=0.0))
    for measure in MEASURES:
        assert shown[f"{measure} subspace rate"] == "reproduced"
        assert shown[f"{measure} weight-decay rate"] == "reproduced"
        assert shown[f"{measure} subspace rate beyond decay"] == "not reproduced"


def test_a_form_is_judged_by_itself_and_cells_are_too():
    def value(row):
        return helped(*(("subspace",) if row["cell"] == "rate" else ()))(row)

    shown = verdicts(made(value))
    for measure in MEASURES:
        assert shown[f"{measure} subspace rate"] == "reproduced"
        assert shown[f"{measure} subspace LIF"] == "not reproduced"
        assert shown[f"{measure} rescaled rate"] == "not reproduced"


def test_noise_alone_shows_nothing():
    rows = made(lambda row: 0.4, noise=0.2, seeds=8)
    shown = list(verdicts(rows).values())
    assert shown.count("not reproduced") > 0.9 * len(shown)


def test_what_helps_at_bad_gains_only_depends():
    def value(row):
        losses = {0.0: 0.2, 0.1: 0.3, 1.0: 0.2, 4.0: 0.8}
        plain = losses[row["gain"]]
        return 0.25 if row["form"] == "subspace" and plain > 0.7 else plain

    shown = found(made(value))
    assert shown["D1 subspace rate"].verdict == "depends"
    assert shown["D1 subspace rate"].detail["parts"]["4"] > 1
    assert shown["D2 subspace rate"].verdict == "reproduced"


def test_flat_because_everything_is_bad_depends():
    def value(row):
        return 0.8 if row["form"] == "subspace" else helped()(row)

    claim = found(made(value))["D2 subspace rate"]
    assert claim.effect > 0.5
    assert claim.verdict == "depends"
    assert claim.detail["cost_at_best"]["effect"] == pytest.approx(0.6, abs=0.02)


def test_the_choice_of_gains_does_not_see_the_seed_it_is_judged_by():
    """Without an effect the expected gap is 0, not that of the extremes of noise."""
    effects = []
    for shift in range(20):
        rows = made(lambda row: 0.5, noise=0.0, cells=("rate",))
        rng = np.random.default_rng(shift)
        for row in rows:
            if row["form"] != "subspace":
                row["test_loss"] = 10.0 + float(rng.standard_normal())
        effects.append(found(rows)["D2 subspace rate"].effect)
    assert abs(np.mean(effects)) < 0.3
    assert np.ptp(rng.standard_normal((1000, 3)), axis=1).mean() > 1.5


def test_networks_that_diverged_have_the_accuracy_of_a_guess_and_no_dimension():
    rows = made(helped("subspace"))
    for row in rows:
        if row["gain"] == 4.0 and row["form"] == "none":
            unknown = ("test_accuracy", "participation_ratio", "effective_rank")
            row |= dict.fromkeys((*unknown, "cosine"))
            row |= {"test_loss": WORST_LOSS[row["part"]], "diverged": 1}
    shown = found(rows)
    assert set(shown["D3 subspace rate"].detail["parts"]) == {"0.1", "1"}
    assert shown["D4 subspace rate"].detail["parts"]["4"] == pytest.approx(0.78, 0.02)
    assert set(shown["D4 angle subspace rate"].detail["parts"]) == {"0.1", "1"}
    assert shown["D2 subspace rate"].effect > 6


def test_one_seed_gives_no_verdict():
    assert claims(made(helped(), seeds=1)) == []
    assert len(claims(made(helped(), seeds=2))) == 72


def test_units_are_those_of_the_issue():
    study = oja_study()
    assert {unit["cell"] for unit in study.units} == {"rate", "LIF"}
    assert {unit["form"] for unit in study.units} == set(FORMS)
    assert {u["layers"] for u in study.units if u["part"] == "stack"} == {1, 5}
    assert len({unit["seed"] for unit in study.units}) >= 5
    assert len({u["delay"] for u in study.units if u["part"] == "delays"}) >= 3
    for unit in study.units:
        kind = "stack" if unit["part"] == "stack" else "recurrent"
        assert unit["strength"] == STRENGTHS[kind, unit["cell"]][unit["form"]]
    assert len(oja_study(seeds=1).units) * study.settings.seeds == len(study.units)
    assert len(oja_study(quick=True).units) < 40


@pytest.mark.parametrize(
    "unit",
    [
        UNIT,
        UNIT | {"cell": "LIF", "form": "rescaled"},
        UNIT | {"form": "weight-decay"},
        DEEP,
        DEEP | {"cell": "LIF", "form": "neuron"},
    ],
)
def test_a_unit_gives_the_same_twice(unit):
    first = train_one(unit)
    assert first == train_one(unit)
    assert 0 < first["test_loss"] < WORST_LOSS[unit["part"]]
    assert 0 <= first["test_accuracy"] <= 1 and first["diverged"] == 0
    assert 1 <= first["participation_ratio"] <= first["effective_rank"] + 1e-9
    assert len(first["angles"]) == (4 if unit["part"] == "stack" else 0)
    assert len(first["by_layer"]) == unit["layers"]
    without = train_one(unit | {"form": "none"})
    assert without["norm_growth"] != first["norm_growth"], "the term does nothing"


def test_angles_are_those_of_the_feedback_that_teaches(monkeypatch):
    draw, seen = Feedback.draw, []

    def drawn(feedback, *given):
        draw(feedback, *given)
        if feedback.kind == "random":
            seen.append(feedback.matrix)

    monkeypatch.setattr(Feedback, "draw", drawn)
    train_one(DEEP | {"samples": 4})
    assert len(seen) == 1 + 4 and seen[0].any()
    assert all(np.array_equal(seen[0], matrix) for matrix in seen)


def test_a_network_whose_numbers_run_away_counts_as_the_worst():
    wild = train_one(UNIT | {"gain": 50.0, "delay": 30, "form": "none"})
    assert wild["diverged"] == 1
    assert wild["test_loss"] == WORST_LOSS["gains"]
    assert wild["test_accuracy"] is None and wild["participation_ratio"] is None
    assert wild["training_loss"] <= WORST_LOSS["gains"]


def test_losses_after_the_numbers_run_away_are_cut(monkeypatch):
    step, calls = Trainer.step, []

    def stops(trainer):
        calls.append(trainer)
        if len(calls) == 4:
            raise InvalidValue("training iteration 4 must have a finite loss")
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", stops)
    cut = train_one(UNIT)
    assert cut["diverged"] == 1
    assert cut["training_loss"] > 0.8 * WORST_LOSS["gains"]
    assert cut["curve"][0] < 0.8 * WORST_LOSS["gains"]
    assert cut["curve"][-1] == WORST_LOSS["gains"]


def test_digits_are_shown_whole():
    task, rows = StaticDigits(n_steps=5, judged=2), DigitsRows()
    one, other = task.train_batch(3, 4, 7), rows.train_batch(3, 4, 7)
    assert one.x.shape == (5, 4, 64)
    np.testing.assert_array_equal(one.x[4, 2].reshape(8, 8), other.x[:, 2])
    assert (one.x == one.x[0]).all()
    np.testing.assert_array_equal(one.target, other.target)
    assert one.mask.tolist() == [0, 0, 0, 1, 1]
    test = next(iter(task.evaluation("test", 10, 10)))
    np.testing.assert_array_equal(
        test.target, next(iter(rows.evaluation("test", 10, 10))).target
    )
    assert task.splits == rows.splits and task.input_bits == 4
    with pytest.raises(InvalidValue, match=r"^StaticDigits\.judged must be in 1 to 5"):
        StaticDigits(n_steps=5, judged=6)


def test_the_report_shows_every_claim(tmp_path):
    pytest.importorskip("matplotlib")
    rows = made(helped("subspace"))
    for row in rows:
        if row["gain"] == 4.0 and row["form"] == "none":
            unknown = ("test_accuracy", "participation_ratio", "cosine")
            row |= dict.fromkeys(unknown) | {"angles": [None]}
    listed = [claim.to_dict() for claim in claims(rows)]
    page = write_oja(tmp_path, "A title & more", "study oja", rows, listed).read_text()
    assert "A title &amp; more" in page
    assert "What holds for rate cells" in page and "What holds for LIF cells" in page
    for claim in listed:
        assert claim["id"] in page
    assert page.count("<strong>") == sum(c["verdict"] == "reproduced" for c in listed)
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    for chart in ("loss", "test-loss", "curves", "dimensions", "memory"):
        assert {f"{chart}.svg", f"{chart}.csv"} <= names
    for chart in ("stacks", "layers", "angles"):
        assert {f"{chart}.svg", f"{chart}.csv"} <= names
