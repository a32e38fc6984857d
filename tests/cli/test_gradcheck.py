"""`spikelearn gradcheck` as a user meets it."""

import json
import struct
import xml.etree.ElementTree as ElementTree

import jsonschema
import pytest

from spikelearn.learning.rules import RULES
from tests.cli.test_cli import spikelearn

NUMBER = {"type": ["number", "null"]}
AGREEMENT = {
    "type": "object",
    "required": ["cosine", "rho"],
    "properties": {"cosine": NUMBER, "rho": NUMBER},
}
SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["rule", "cell", "cosine", "rho", "error_to_definition"],
        "properties": {
            "rule": {"enum": list(RULES)},
            "cell": {"enum": ["LIF", "ALIF", "rate"]},
            "cosine": NUMBER,
            "rho": NUMBER,
            "error_to_definition": NUMBER,
            "parameters": {"type": "object", "additionalProperties": AGREEMENT},
            "lags": {
                "type": "array",
                "items": {
                    **AGREEMENT,
                    "required": ["from", "to", "cosine", "rho"],
                },
            },
            "kept": {"type": "string", "minLength": 1},
            "dropped": {"type": "string", "minLength": 1},
            "feedback": {"enum": ["symmetric", "random", "local"]},
            "reference": {"type": "string", "minLength": 1},
            "over": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    },
}
# a short trial and few neurons
TINY = ("n_rec=8", "task.n_cues=1", "task.delay_ms=10", "task.recall_ms=10")


def refuse_constants(name):
    raise AssertionError(f"{name} is not JSON")


def rows_of(outcome):
    assert outcome.returncode == 0, outcome.stderr
    (line,) = outcome.stdout.splitlines()
    rows = json.loads(line, parse_constant=refuse_constants)
    jsonschema.validate(rows, SCHEMA)
    return rows


def test_without_arguments_every_rule_is_checked_on_every_cell():
    outcome = spikelearn("gradcheck", "--json", "--threads", 1)
    rows = rows_of(outcome)
    found = {(row["rule"], row["cell"]) for row in rows}
    expected = {
        (name, cell)
        for name, rule in RULES.items()
        for cell in rule.info.cells
        if name != "r-stdp"
    }
    assert found == expected and len(rows) == len(expected)
    assert "left out: rule 'r-stdp' must have a reward" in outcome.stderr
    assert "left out: rule 'rflo'" in outcome.stderr
    by_name = {(row["rule"], row["cell"]): row for row in rows}
    for row in rows:
        assert row["error_to_definition"] < 1e-12
        info = RULES[row["rule"]].info
        assert row["kept"] == info.kept and row["dropped"] == info.dropped
    for cell in ("LIF", "ALIF", "rate"):
        for name in ("bptt", "rtrl"):
            assert by_name[name, cell]["cosine"] == pytest.approx(1.0)
            assert by_name[name, cell]["rho"] == pytest.approx(1.0)
        eprop, bptt = by_name["e-prop", cell], by_name["bptt", cell]
        assert 0.02 < eprop["cosine"] < 0.99
        assert eprop["lags"][0]["cosine"] == pytest.approx(1.0)
        assert eprop["lags"][5]["cosine"] < 0.95
        assert len(bptt["lags"]) == len(eprop["lags"])


def test_the_table_has_rules_terms_and_lags():
    outcome = spikelearn(
        "gradcheck", "cell=LIF", *TINY, "--rules", "e-prop,mdgl", COLUMNS="140"
    )
    assert outcome.returncode == 0, outcome.stderr
    text = outcome.stdout
    for word in ("LIF cells", "error to definition", "by lag", "4-7", "mdgl"):
        assert word in text
    assert "paths through the outputs of other neurons" in text
    assert "rate cells" not in text


def test_a_task_and_overrides_choose_the_network():
    arguments = ("--task", "evidence-accumulation", "cell=rate", *TINY)
    rows = rows_of(
        spikelearn(
            "gradcheck", *arguments, "task.n_per_group=2", "--json", "--samples", 2
        )
    )
    names = [row["rule"] for row in rows]
    assert "rflo" in names and {row["cell"] for row in rows} == {"rate"}
    assert "mdgl" not in names, "without cell types"


def test_options_of_rules_feedback_and_training():
    rules = "mdgl:variant=one-hop,modprop:mu=0.5,rflo"
    arguments = ("gradcheck", "cell=rate", *TINY, "--rules", rules, "--json")
    rows = rows_of(spikelearn(*arguments, "--feedback", "own", "--seed", 2))
    assert [row["feedback"] for row in rows] == ["symmetric", "symmetric", "random"]
    assert rows[0]["options"]["variant"] == "one-hop"
    assert rows[1]["options"]["mu"] == 0.5
    later = rows_of(
        spikelearn(*arguments, "--feedback", "own", "--seed", 2, "--iterations", 2)
    )
    assert later[0]["cosine"] != rows[0]["cosine"]


def test_a_reward_task_takes_the_rule_that_needs_a_reward():
    arguments = ("--task", "cue-bandit", "cell=LIF", "n_rec=10", "--samples", 3)
    rules = ("--rules", "e-prop,r-stdp")
    rows = rows_of(spikelearn("gradcheck", *arguments, *rules, "--json"))
    assert [row["rule"] for row in rows] == ["e-prop", "r-stdp"]
    assert all(row["error_to_definition"] < 1e-12 for row in rows)


def test_the_heat_map_is_a_picture(tmp_path):
    arguments = ("gradcheck", "cell=LIF", *TINY, "--rules", "bptt,e-prop,s-tllr")
    png = tmp_path / "map.png"
    assert spikelearn(*arguments, "--out", png).returncode == 0
    content = png.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 800 and height > 200
    assert spikelearn(*arguments, "--out", tmp_path / "map").returncode == 0
    svg = ElementTree.parse(tmp_path / "map" / "alignment.svg")
    words = " ".join("".join(e.itertext()) for e in svg.iter() if e.text)
    for word in ("e-prop", "s-tllr", "w_rec by lag", "cosine"):
        assert word in words
    rows = json.loads((tmp_path / "map" / "alignment.json").read_text())
    jsonschema.validate(rows, SCHEMA)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cell=LIF", "--rules", "rflo"), "Rules for LIF cells: bptt"),
        (("cell=rate", "--rules", "s-tllr"), "Rules for rate cells: bptt"),
        (
            ("--task", "evidence-accumulation", "--rules", "mdgl"),
            "must have cell types",
        ),
        (
            ("--task", "evidence-accumulation", "--rules", "modprop"),
            "Rules that need none: bptt",
        ),
        (("cell=LIF", "n_rec=70", "--rules", "rtrl"), "must be used with n_rec <= 64"),
        (("cell=LIF", "--rules", "r-stdp"), "must have a reward; got a classification"),
        (("--rules", "e-porp"), "Did you mean 'e-prop'?"),
        (("--rules", "mdgl:varant=online"), "Did you mean 'variant'?"),
        (("--rules", "mdgl:online"), "of the form key=value; got 'online'"),
        ((*TINY, "--feedback", "rando"), "Did you mean 'random'?"),
        (("n_recc=8",), "Did you mean 'n_rec'?"),
        (("a.toml", "b.toml"), "gradcheck takes one configuration file"),
        (
            (*TINY, "cell=LIF", "--rules", "e-prop", "--out", "map.gif"),
            "must end in .svg or .png",
        ),
    ],
)
def test_mistakes_get_one_clear_error(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = spikelearn("gradcheck", *arguments)
    assert outcome.returncode == 1
    assert message in outcome.stderr.splitlines()[-1]
    assert "Traceback" not in outcome.stderr
    assert not list(tmp_path.iterdir()), "nothing half-written"
