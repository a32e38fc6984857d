"""`spikelearn bench` as a user meets it."""

import json

import jsonschema
import pytest

from tests.cli.test_cli import spikelearn

SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": [
            "workload",
            "median_ms",
            "gradient_error",
            "gradient_reference",
            "threads",
            "dtype",
            "spike_rate",
            "n_rec",
            "repeats",
        ],
        "properties": {
            "workload": {"type": "string"},
            "median_ms": {"type": "number", "exclusiveMinimum": 0},
            "gradient_error": {"type": ["number", "null"]},
            "gradient_reference": {"enum": ["float64 traces", "float64 sweep", None]},
            "dtype": {"const": "float32"},
            "repeats": {"const": 2},
        },
    },
}
TINY = ("--repeats", 2, "--threads", 1)


def test_the_json_has_times_and_gradient_errors():
    outcome = spikelearn("bench", "--workloads", "w2_pat,w1_b1", *TINY, "--json")
    assert outcome.returncode == 0, outcome.stderr
    rows = json.loads(outcome.stdout.splitlines()[-1])
    jsonschema.validate(rows, SCHEMA)
    inference, eprop = rows
    assert inference["workload"] == "w1_b1" and inference["gradient_error"] is None
    assert eprop["gradient_reference"] == "float64 traces"
    assert 0 < eprop["gradient_error"] < 1e-5
    assert eprop["spike_rate"] == pytest.approx(0.02, abs=0.001)
    assert eprop["threads"] == 1


def test_the_table_and_the_list():
    outcome = spikelearn("bench", "--workloads", "w2_pat", *TINY, COLUMNS="120")
    assert outcome.returncode == 0, outcome.stderr
    for word in ("w2_pat", "e-prop", "1 threads, float32", "float64 traces"):
        assert word in outcome.stdout
    assert "1/1  w2_pat" in outcome.stderr
    listed = spikelearn("bench", "--list", "--json")
    names = {each["name"] for each in json.loads(listed.stdout)}
    assert {"w1_b32", "w2_ev", "w3_alif_3000_b16", "bptt_alif_300_b1"} <= names
    assert "w2_ev" in spikelearn("bench", "--list", COLUMNS="120").stdout


def test_an_unknown_workload_is_one_clear_error():
    outcome = spikelearn("bench", "--workloads", "w2_pta")
    assert outcome.returncode == 1
    assert "Did you mean 'w2_pat'?" in outcome.stderr
    assert "Traceback" not in outcome.stderr
