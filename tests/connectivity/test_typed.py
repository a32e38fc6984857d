"""Cell types and connectomes: tables that sum up, and numbers of the sources."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from spikelearn.connectivity import (
    CONNECTOMES,
    TypeTable,
    cell_types,
    connectome,
    parse,
)
from spikelearn.connectivity.stored import read_connectome
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    UnknownName,
)

TABLE = {
    "names": ["E", "P", "S"],
    "fractions": [0.5, 0.3, 0.2],
    "probability": [[0.2, 0.5, 0.0], [0.4, 1.0, 0.3], [0.1, 0.1, 0.1]],
    "strength": [[1.0, 4.0, 2.0], [2.0, 3.0, 1.0], [1.0, 1.0, 5.0]],
    "signs": [1, -1, 0],
    "spread": 0.1,
}


def worm_matrix():
    values = read_connectome("celegans")
    matrix = np.zeros((302, 302))
    for post, pre, count in values["synapses"]:
        matrix[post, pre] = count
    return values["nodes"], matrix


# Tables -----------------------------------------------------------------------------


def test_a_table_is_what_comes_out():
    made = cell_types(TABLE, gain=1.5).draw(400, 0)
    assert np.bincount(made.cell_types).tolist() == [200, 120, 80]
    assert made.type_names == ("E", "P", "S")
    assert made.signs.tolist() == [1] * 200 + [-1] * 120 + [0] * 80
    assert np.linalg.norm(made.weights) == pytest.approx(1.5 * 20)
    off = ~np.eye(400, dtype=bool)
    scale = None
    for post in range(3):
        for pre in range(3):
            block = np.outer(made.cell_types == post, made.cell_types == pre) & off
            p, strength = TABLE["probability"][post][pre], TABLE["strength"][post][pre]
            assert made.mask[block].mean() == pytest.approx(p, abs=0.02)
            there = np.abs(made.weights[block & made.mask])
            if there.size:
                scale = scale or there.mean() / strength
                assert there.mean() / strength == pytest.approx(scale, rel=0.01)
                assert there.std() / there.mean() == pytest.approx(0.1, abs=0.01)
    assert not made.mask.diagonal().any()
    free = made.weights[:, made.cell_types == 2]
    assert abs(np.mean(np.sign(free[free != 0]))) < 0.1


def test_sizes_and_files(tmp_path):
    sizes = {k: v for k, v in TABLE.items() if k != "fractions"}
    sizes |= {"sizes": [50, 30, 20], "title": "a table", "source": "a paper"}
    path = tmp_path / "table.json"
    path.write_text(json.dumps(sizes))
    expected = cell_types(TABLE)
    assert cell_types(sizes) == expected
    assert cell_types(TypeTable.from_mapping(TABLE)) == expected
    from_file = parse(f"cell_types({str(path)!r})")
    assert from_file == expected
    path.unlink()
    assert parse(str(from_file)) == expected, "the text holds the table itself"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fractions": [0.5, 0.3, 0.3]}, r"fractions must have the sum 1; got 1\.1"),
        ({"fractions": [1.2, -0.4, 0.2]}, r"fractions must be >= 0; got -0\.4"),
        ({"fractions": [0.5, 0.5]}, r"fractions must be 3 numbers; got \(0\.5, 0\.5\)"),
        ({"fractions": 3}, r"fractions must be 3 numbers"),
        ({"probability": [[0.2] * 3] * 2}, r"probability must be 3 rows of 3"),
        (
            {"probability": [[0.2] * 3, [1.2] * 3, [0.0] * 3]},
            r"probability must be .* in \[0",
        ),
        ({"strength": [[-1.0] * 3] * 3}, r"strength must be >= 0; got -1\. \(Signs st"),
        ({"strength": [["a"] * 3] * 3}, r"strength must be 3 rows of 3"),
        ({"strength": [[True] * 3] * 3}, r"strength must be 3 rows of 3"),
        ({"strength": [[1.0] * 3, [1.0] * 2, 1.0]}, r"strength must be 3 rows of 3"),
        ({"fractions": ["0.5", "0.3", "0.2"]}, r"fractions must be 3 numbers"),
        ({"strength": [[float("nan")] * 3] * 3}, r"strength must be 3 rows of 3"),
        ({"signs": [1, -1, 2]}, r"signs must be 1, -1 or 0"),
        ({"signs": [1, -1]}, r"signs must be 3 numbers"),
        ({"spread": -1}, r"spread must be >= 0"),
        ({"names": ["E", "E", "S"]}, r"names must be different names"),
        ({"names": "EPS"}, r"names must be different names"),
        ({"names": [1, 2, 3]}, r"names must be different names"),
    ],
)
def test_tables_that_do_not_sum_up(changes, message):
    with pytest.raises(InvalidValue, match=r"^cell_types\." + message):
        cell_types(TABLE | changes)


def test_strengths_without_a_norm():
    for changes in ({"strength": [[1e300] * 3] * 3}, {"spread": 1e300}):
        with pytest.raises(
            InvalidValue, match=r"^cell_types\.table must have a finite"
        ):
            cell_types(TABLE | changes).draw(40)


def test_other_wrong_tables(tmp_path):
    with pytest.raises(UnknownName, match=r"table 'sings'\. Did you mean"):
        cell_types(TABLE | {"sings": []})
    short = {k: v for k, v in TABLE.items() if k != "signs"}
    with pytest.raises(
        InvalidValue, match=r"must have the keys .*; got none named \['s"
    ):
        cell_types(short)
    sizes = {k: v for k, v in TABLE.items() if k != "fractions"} | {"sizes": [0, 0, 0]}
    with pytest.raises(InvalidValue, match=r"^cell_types\.sizes must be numbers > 0"):
        cell_types(sizes)
    with pytest.raises(
        InvalidValue, match=r"^cell_types\.table must be a table of cel"
    ):
        cell_types(3)
    with pytest.raises(
        UnknownName, match=r"table of cell types 'potjans'\. Did you me"
    ):
        cell_types("potjans")
    with pytest.raises(UnknownName, match="table of cell types 'celegans'"):
        cell_types("celegans")
    with pytest.raises(FileAccessError, match="must be readable; got: No such file"):
        cell_types(str(tmp_path / "none.json"))
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(FileFormatError, match="is not valid JSON"):
        cell_types(str(bad))
    with pytest.raises(
        InvalidValue, match=r"^cell_types\.n must give every type a neu"
    ):
        cell_types(TABLE).draw(2)
    nothing = TABLE | {"probability": [[0.0] * 3] * 3}
    with pytest.raises(InvalidValue, match=r"table must give connections; got none"):
        cell_types(nothing).draw(10)


# Connectomes ------------------------------------------------------------------------


def test_the_worm_has_the_numbers_that_are_known_of_it():
    names, counts = worm_matrix()
    assert len(names) == len(set(names)) == 302
    assert np.count_nonzero(counts) == 3709
    assert counts[names.index("I2L"), names.index("I1L")] == 10, "I1L reaches I2L"
    density = np.count_nonzero(counts) / (300 * 299)
    assert density == pytest.approx(0.041, abs=5e-4)
    assert np.abs(np.linalg.eigvals(counts)).max() == pytest.approx(106.1, abs=0.1)
    s = np.linalg.svd(counts, compute_uv=False) ** 2
    assert s.sum() ** 2 / (s**2).sum() == pytest.approx(25.83, abs=0.01)
    inhibitory = read_connectome("celegans")["inhibitory"]
    assert len(inhibitory) == 26
    assert set(inhibitory) < set(names)


def test_all_of_the_worm_is_its_counts_with_signs():
    names, counts = worm_matrix()
    made = connectome("celegans", gain=2.0).draw(302, 0)
    np.fill_diagonal(counts, 0)
    signs = np.where(np.isin(names, read_connectome("celegans")["inhibitory"]), -1, 1)
    expected = counts * signs
    expected *= 2.0 * np.sqrt(302) / np.linalg.norm(expected)
    np.testing.assert_allclose(made.weights, expected)
    assert np.array_equal(made.mask, counts > 0)
    assert made.signs.tolist() == signs.tolist()
    assert made.type_names == tuple(names)


def test_a_part_of_the_worm():
    _, counts = worm_matrix()
    made = connectome("celegans").draw(100, 1)
    some = made.cell_types
    assert len(set(some)) == 100
    part = counts[np.ix_(some, some)]
    np.fill_diagonal(part, 0)
    ratio = np.abs(made.weights)[part > 0] / part[part > 0]
    assert np.ptp(ratio) < 1e-12
    assert np.array_equal(made.mask, part > 0)


def test_a_larger_worm_brings_every_neuron_the_same():
    _, counts = worm_matrix()
    made = connectome("celegans").draw(650, 1)
    kind = made.cell_types
    sizes = np.bincount(kind)
    assert set(sizes) == {2, 3}
    np.fill_diagonal(counts, 0)
    signed = counts * connectome("celegans").draw(302, 0).signs
    arriving = np.array([made.weights[:, kind == k].sum(axis=1) for k in range(302)]).T
    own = kind[:, None] == np.arange(302)
    ratio = (
        arriving[~own & (signed[kind] != 0)] / signed[kind][~own & (signed[kind] != 0)]
    )
    assert np.ptp(ratio) < 1e-12
    assert not arriving[~own & (signed[kind] == 0)].any()


def test_gap_junctions_and_other_signs():
    made = connectome("celegans", gap_junctions=True).draw(302, 0)
    names = read_connectome("celegans")["nodes"]
    inhibitory = np.isin(names, read_connectome("celegans")["inhibitory"])
    assert np.array_equal(made.signs, np.where(inhibitory, 0, 1))
    synapses = connectome("celegans").draw(302, 0)
    gaps = made.mask & ~synapses.mask
    assert gaps.sum() > 500
    assert np.array_equal(gaps & gaps.T, gaps & ~synapses.mask.T)
    assert (made.weights[gaps] > 0).all()
    drawn = connectome("celegans", inhibitory=0.4).draw(302, 0)
    assert (drawn.signs == -1).sum() == round(0.4 * 302)


def test_the_fly():
    made = connectome("optic_lobe").draw(65, 0)
    values = read_connectome("optic_lobe")
    assert len(values["synapses"]) == 605
    assert sum(count > 0 for _, _, count in values["synapses"]) == 377
    names = list(made.type_names)
    l1, r1, r8 = (names.index(name) for name in ("L1", "R1", "R8"))
    assert made.weights[l1, r1] < 0, "photoreceptors inhibit L1 (Hardie 1989)"
    assert made.signs[r1] == -1
    assert made.signs[r8] == 0, "one type with synapses of both signs"
    assert (made.weights * made.signs >= 0)[:, made.signs != 0].all()
    larger = connectome("optic_lobe").draw(300, 0)
    rank = np.linalg.matrix_rank(larger.weights)
    assert np.bincount(larger.cell_types).max() == 5
    assert rank > 65, "self-connections are left out of blocks"


def test_the_column():
    made = connectome("potjans_diesmann").draw(1000, 0)
    same = cell_types("potjans_diesmann").draw(1000, 0)
    assert np.array_equal(made.weights, same.weights)
    assert made.type_names[2] == "L4E"
    sizes = np.bincount(made.cell_types)
    assert sizes.tolist() == [268, 76, 284, 71, 63, 14, 186, 38]
    means = {}
    for name, post, pre in (("twice", 0, 2), ("once", 0, 0), ("inhibition", 0, 1)):
        block = np.outer(made.cell_types == post, made.cell_types == pre) & made.mask
        means[name] = made.weights[block].mean()
    assert means["twice"] / means["once"] == pytest.approx(2.0, rel=0.02)
    assert means["inhibition"] / means["once"] == pytest.approx(-4.0, rel=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("connectome('celegans', 'half')", "connectome.method must be one of"),
        ("connectome('celegans', inhibitory=2)", "connectome.inhibitory must be in"),
        ("connectome('celegans', gap_junctions=1)", "connectome.gap_junctions must be"),
        ("connectome('celegans', gain=-1)", "connectome.gain must be finite"),
        ("connectome('optic_lobe', gap_junctions=True)", "must be used without inhibi"),
        ("connectome('potjans_diesmann', 'block')", "must be drawn with method='auto'"),
    ],
)
def test_wrong_options(text, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        parse(text)


def test_unknown_connectomes_and_sizes():
    with pytest.raises(
        UnknownName, match=r"connectome 'elegans'\. Did you mean 'celeg"
    ):
        connectome("elegans")
    with pytest.raises(UnknownName, match="unknown connectome"):
        parse("connectome(['celegans'])")
    with pytest.raises(
        InvalidValue, match=r"n must be at most 302 .* got 303.*'block'"
    ):
        connectome("celegans", "subsample").draw(303)
    with pytest.raises(
        InvalidValue, match="n must be at least 302, the nodes of 'cele"
    ):
        connectome("celegans", "block").draw(300)
    with pytest.raises(InvalidValue, match="must give connections; got none"):
        connectome("celegans").draw(1)


def test_what_is_shipped_says_where_it_comes_from():
    from importlib.resources import files

    folder = files("spikelearn") / "data" / "connectomes"
    licences = (folder / "LICENSES.txt").read_text(encoding="utf-8")
    total = 0
    for name in CONNECTOMES:
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        total += len(text)
        assert f"{name}.json" in licences
        for doi in re.findall(r"doi:([^\s,;]+)", json.loads(text)["source"]):
            assert doi in licences
    assert total < 200_000
