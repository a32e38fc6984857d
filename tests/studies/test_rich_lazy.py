"""The study of initial connectivity: its units, and claims on tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn import connectivity
from spikelearn.report.rich_lazy import write_rich_lazy
from spikelearn.studies import STUDIES
from spikelearn.studies.rich_lazy import (
    FAMILIES,
    PARTS,
    RANKS,
    _set_weights,
    _trainer,
    claims,
    initial_connectivity,
    train_one,
)

UNIT = {
    "part": "short",
    "task": "2af",
    "cell": "rate",
    "rule": "e-prop",
    "match": "frobenius",
    "gain": 1.25,
    "init": "low_rank(1)",
    "seed": 1,
    "n_rec": 20,
    "batch_size": 4,
    "iterations": 5,
    "trials": 8,
    "kernels": "e-prop",
}


def table(richness, *, seeds=4, noise=0.01, rng=0):
    """Return all rows of the study, with the richness of each unit and noise."""
    rng, rows = np.random.default_rng(rng), []
    for unit in initial_connectivity(seeds=seeds).units:
        rich = richness(unit) + noise * rng.standard_normal()
        rows.append(
            unit
            | {
                "weight_change": np.exp(rich),
                "representation_alignment": 1 - 0.1 * rich,
                "ka_bptt": 0.9 - 0.1 * rich,
                "eigenvalue_rank": 0.5 - 0.1 * rich,
                "stable_rank": 3.0,
                "frobenius": 21.0,
                "spectral_radius": 1.3,
                "exponent_start": -0.1,
                "diverged": False,
            }
        )
    return rows


def published(unit):
    """Richness as the paper claims it."""
    init = unit["init"]
    if init.startswith("aligned"):
        return 0.0
    if init in RANKS or init.startswith("low_rank"):
        rank = int(init[9:-1]) if init.startswith("low_rank") else 300
        return 1.5 / np.sqrt(rank) * (0.3 if unit["gain"] < 1 else 1.0)
    driven = init.startswith(("dale", "motifs", "cell_types", "connectome"))
    return 1.0 if driven else 0.1


def verdicts(rows):
    return {claim.id: claim.verdict for claim in claims(rows)}


def test_a_table_as_published_reproduces_every_claim():
    found = verdicts(table(published))
    assert set(found.values()) == {"reproduced"}
    kinds = {name.split()[0] for name in found}
    assert kinds == {"B1", "B2", "B3", "B4", "B5"}
    groups = {name.partition(", ")[2] for name in found if name.startswith("B1")}
    assert {"published", "images", "radius", "exponent"} < groups
    assert {"e-prop", "spiking", "spiking e-prop", "spiking exponent"} < groups
    for claim in ("B3 kernel, frobenius", "B4 kernel", "B5 kernel", "B3 rank"):
        assert claim in found and f"{claim}, spiking" in found


def test_a_table_without_any_effect_reproduces_none():
    found = verdicts(table(lambda unit: 0.0, seeds=5))
    assert list(found.values()).count("reproduced") <= 3  # 2.5 % each by chance


def test_the_opposite_is_not_reproduced():
    found = verdicts(table(lambda unit: -published(unit)))
    assert "reproduced" not in found.values()


def test_an_effect_in_spiking_networks_alone_counts_for_them_alone():
    found = verdicts(table(lambda u: published(u) * (u["cell"] == "LIF"), seeds=6))
    assert found["B1 weights, spiking e-prop"] == "reproduced"
    assert found["B1 weights, published"] == "not reproduced"


def test_networks_that_ran_away_do_not_count():
    rows = table(published)
    for row in rows:
        if row["seed"] == 0 and row["part"] == "published":
            row |= {"diverged": True, "weight_change": None}
            del row["ka_bptt"]
    by_id = {claim.id: claim for claim in claims(rows)}
    claim = by_id["B1 weights, published"]
    assert (claim.n, claim.verdict) == (3, "reproduced")
    assert claim.detail["diverged"] == 12
    assert by_id["B2 kernel, published"].n == 3
    assert by_id["B2 representation, published"].n == 4


def test_an_order_of_ranks_needs_three_that_did_not_run_away():
    rows = table(published)
    for row in rows:
        ranks = {0: ["low_rank(1)"], 1: ["low_rank(1)", "low_rank(5)", "gaussian"]}
        if row["part"] == "images" and row["init"] in ranks.get(row["seed"], []):
            row |= {"diverged": True, "weight_change": None}
    (claim,) = (c for c in claims(rows) if c.id == "B1 weights, images")
    assert (claim.n, claim.effect, claim.verdict) == (3, -1.0, "reproduced")
    assert claim.detail["diverged"] == 4


def test_one_seed_gives_no_verdict():
    assert claims(table(published, seeds=1)) == []


def test_every_initial_matrix_can_be_drawn():
    inits = {init for part in PARTS for init in part.inits}
    assert set(RANKS) | set(FAMILIES) <= inits
    ports = connectivity.Ports(np.ones((300, 3)) * np.eye(300, 3), np.eye(3, 300))
    for init in inits:
        drawn = connectivity.parse(init).draw(300, 0, ports)
        assert drawn.weights.shape == (300, 300)
        assert np.linalg.norm(drawn.weights) > 0


def test_the_study_and_its_quick_version():
    assert STUDIES["rich-lazy"] is initial_connectivity
    full, quick = initial_connectivity(), initial_connectivity(quick=True)
    seeds = {unit["seed"] for unit in full.units}
    assert seeds == set(range(5))
    main = [u for u in full.units if u["part"] == "published"]
    assert len(main) == 5 * 4 * 3
    assert {(u["iterations"], u["n_rec"], u["batch_size"]) for u in main} == {
        (10_000, 300, 32)
    }
    assert len(quick.units) < 60
    assert {u["init"] for u in quick.units if u["part"] == "short"} == {
        *("low_rank(1)", "low_rank(6)", "low_rank(20)", "gaussian")
    }


@pytest.mark.parametrize("cell", ["rate", "LIF"])
def test_a_unit_is_reproducible_and_complete(cell):
    unit = UNIT | {"cell": cell}
    one = train_one(unit)
    assert one == train_one(unit)
    assert not one["diverged"] and one["weight_change"] > 0
    for name in ("representation_alignment", "ka_bptt", "ka_e_prop", "ka_mixed"):
        assert 0 < one[name] <= 1 + 1e-6
    other = train_one(unit | {"init": "gaussian"})
    assert other["stable_rank"] > one["stable_rank"] == pytest.approx(1.0)
    assert other["frobenius"] == pytest.approx(one["frobenius"], rel=1e-5)


def test_images_whose_first_rows_are_blank_have_measures_without_exponents():
    found = train_one(UNIT | {"task": "smnist-rows", "n_rec": 60})
    assert not found["diverged"] and 0 < found["weight_change"] < 1
    assert found["exponent_start"] is found["exponent_end"] is None
    assert 0 < found["ka_bptt"] < 1 and 0 <= found["test_accuracy"] < 0.5


@pytest.mark.parametrize("match", ["spectral_radius", "lyapunov"])
def test_matrices_are_matched_to_the_gaussian_one_of_the_seed(match):
    column = {"spectral_radius": "spectral_radius", "lyapunov": "exponent_start"}[match]
    one, control = (
        train_one(UNIT | {"match": match, "init": init, "iterations": 1})
        for init in ("low_rank(1)", "gaussian")
    )
    assert one[column] == pytest.approx(control[column], abs=2e-3)
    assert one["frobenius"] != pytest.approx(control["frobenius"], rel=1e-2)


def test_weights_come_from_the_seed_and_from_nothing_else():
    def weights(**change):
        unit = UNIT | change
        trainer = _trainer(unit)
        _set_weights(unit, trainer, np.zeros((1, 1, trainer.network.n_in)))
        return trainer.network.params

    one, two = weights(), weights(init="gaussian")
    np.testing.assert_array_equal(one.w_in, two.w_in)
    np.testing.assert_array_equal(one.w_out, two.w_out)
    bound = 1 / np.sqrt(20)
    assert 0.8 * bound < np.abs(one.w_out).max() <= bound
    assert (weights(seed=2).w_in != one.w_in).any()


def test_aligned_weights_take_the_input_to_the_answer_it_asks_for():
    unit = UNIT | {"init": "aligned_low_rank(1)", "n_rec": 100}
    trainer = _trainer(unit)
    _set_weights(unit, trainer, np.zeros((1, 1, trainer.network.n_in)))
    params = trainer.network.params
    answer = params.w_out @ params.w_rec @ params.w_in
    assert answer[1, 1] > answer[1, 2] and answer[2, 2] > answer[2, 1]


def test_the_page_shows_every_claim_and_figure(tmp_path):
    rows = table(published, seeds=2)
    found = [claim.to_dict() for claim in claims(rows)]
    path = write_rich_lazy(tmp_path, "A title & more", "spikelearn study", rows, found)
    text = path.read_text()
    assert "A title &amp; more" in text
    for claim in found:
        assert claim["id"] in text
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    for name in ("published", "matched", "spiking", "families", "aligned"):
        assert {f"{name}.svg", f"{name}.csv"} <= names
