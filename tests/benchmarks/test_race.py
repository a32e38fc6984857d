"""The race itself, with peers that are made up."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from spikelearn.benchmark import WORKLOADS, prepare
from tests.benchmarks.bars import BARS, SCALING_BARS, Bar, ScalingBar, compare, scaling
from tests.benchmarks.child import SCRIPTS, Child, Environment, PeerFailed
from tests.benchmarks.figure import draw, series
from tests.benchmarks.race import Effort, race

NAME = "w3_lif_100_b1"
EFFORT = Effort(rounds=2, turn=0.0, most=1, limit=5.0)

SCRIPT = """
import sys, time, os
sys.path.insert(0, {scripts!r})
import numpy as np
from protocol import serve

class Right:
    computes, same_model, pause = "e-prop", True, 0.02
    can = staticmethod(lambda workload: workload["n_rec"] == 100)
    def __init__(self, workload, arrays):
        print("noise on standard output")
        assert arrays["x"].shape == (16, 1000, 1, 100)
    def step(self, k):
        time.sleep(self.pause)
    def check(self):
        with np.load({truth!r}) as arrays:
            return dict(arrays), int(arrays["spikes"])

class Reference(Right):
    computes = "reference"

class Fast(Right):
    pause = 0.01

class WrongGradient(Fast):
    def check(self):
        found, spikes = Right.check(self)
        found["w_rec"] = found["w_rec"] * 1.001
        return found, spikes

class WrongSpikes(Fast):
    computes = "own rule"
    def check(self):
        return None, Right.check(self)[1] // 2

class Fails(Right):
    def step(self, k):
        raise ValueError("it does not work")

class Hangs(Right):
    def step(self, k):
        time.sleep(60)

class Dies(Right):
    def step(self, k):
        os._exit(3)

class Other(Right):
    can = staticmethod(lambda workload: False)

serve({{
    "reference": Reference, "right": Right, "fast": Fast, "other": Other,
    "wrong gradient": WrongGradient, "wrong spikes": WrongSpikes, "fails": Fails,
    "hangs": Hangs, "dies": Dies,
}})
"""


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    """One environment whose peers misbehave in every way."""
    folder = tmp_path_factory.mktemp("peers")
    ours = prepare(WORKLOADS[NAME])
    truth = folder / "truth.npz"
    np.savez(truth, **ours.check_gradients(), spikes=ours.expected_spikes())
    script = folder / "peers.py"
    script.write_text(SCRIPT.format(scripts=str(SCRIPTS), truth=str(truth)))
    environment = Environment("made up", Path(sys.executable), script)
    child = Child(environment, folder / "log")
    yield child
    child.end()


@pytest.fixture(scope="module")
def result(child):
    said = []
    found = race(WORKLOADS[NAME], [child], 1, EFFORT, said.append)
    return found | {"said": said}


def test_every_peer_is_reported(result):
    peers = result["peers"]
    assert set(peers) == {
        "right",
        "fast",
        "wrong gradient",
        "wrong spikes",
        "fails",
        "hangs",
        "dies",
    }
    assert peers["right"]["error"] is None
    assert peers["right"]["gradient_error"] == 0.0
    assert peers["right"]["ms"] >= 20.0
    assert "it does not work" in peers["fails"]["error"]
    assert "no answer within 5 s" in peers["hangs"]["error"]
    assert "the process ended" in peers["dies"]["error"]
    assert "wrong gradient: off by 1.0e-03" in peers["wrong gradient"]["error"]
    assert "wrong spikes" in peers["wrong spikes"]["error"]
    assert any("it does not work" in line for line in result["said"])


def test_ours_was_compared_and_timed(result):
    assert result["gradient_error"] == 0.0
    raced = [p for p in result["peers"].values() if p["runs"]]
    assert len(raced) == 2, "the others fail before they are timed"
    # A peer that is much slower than the fastest runs once.
    assert max(p["runs"] for p in raced) == EFFORT.rounds
    assert result["ours_runs"] == sum(p["runs"] for p in raced) + 1
    assert result["ours_best_ms"] <= result["ours_ms"]
    assert result["n_rec"] == 100


def test_the_fastest_right_peer_is_raced_against(result):
    row = compare(Bar(NAME, 0.0), result)
    assert row["fastest_peer"] == "fast" and row["ok"]
    assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
    assert not compare(Bar(NAME, 1e9), result)["ok"]
    assert compare(Bar(NAME, None, "right"), result)["fastest_peer"] == "right"


def test_without_peers_a_bar_is_not_reached():
    result = {"ours_ms": 1.0, "gradient_error": None, "peers": {}}
    row = compare(Bar("w", 2.0, "nest"), result)
    assert row["ratio"] is None and not row["ok"]
    assert compare(Bar("w", None), result)["ok"], "reported only"


@pytest.mark.parametrize(("error", "ok"), [(1e-6, True), (1e-4, False), (None, True)])
def test_a_wrong_gradient_of_ours_is_a_failure(error, ok):
    result = {"ours_ms": 1.0, "gradient_error": error, "peers": {}}
    assert compare(Bar("w", None), result)["ok"] is ok


def test_a_workload_may_have_a_tolerance_of_its_own():
    result = {"ours_ms": 1.0, "gradient_error": 1e-7, "peers": {}}
    assert compare(Bar("w", None), result)["ok"]
    assert not compare(Bar("w", None), result | {"tolerance": 1e-8})["ok"]


def test_without_a_reference_our_gradient_is_not_right(tmp_path):
    nowhere = Environment("nowhere", tmp_path / "python", tmp_path / "script.py")
    said = []
    found = race(
        WORKLOADS[NAME], [Child(nowhere, tmp_path / "log")], 1, EFFORT, said.append
    )
    assert math.isinf(found["gradient_error"])
    assert "make bench-peers" in said[0]


def test_the_exponent_is_the_slope_of_the_logarithms():
    bar = ScalingBar(("a", "b", "c"), 2.0)
    sizes = {"a": 300, "b": 1000, "c": 3000}
    for power, ok in ((1.5, True), (2.1, False)):
        results = {k: {"n_rec": n, "ours_ms": n**power} for k, n in sizes.items()}
        row = scaling(bar, results)
        assert row["exponent"] == pytest.approx(power)
        assert row["ok"] is ok
        assert (row["ratio"] >= row["bar"]) is ok


def test_bars_and_workloads_name_each_other():
    named = {bar.workload for bar in BARS}
    assert named <= set(WORKLOADS)
    assert set(WORKLOADS) <= named, "a workload without a row is never shown"
    assert all(set(bar.workloads) <= set(WORKLOADS) for bar in SCALING_BARS)


def test_a_child_starts_again_after_it_was_ended(child, tmp_path):
    ours = prepare(WORKLOADS[NAME])
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, **ours.arrays())
    spec = WORKLOADS[NAME].to_dict()
    assert set(child.prepare(spec, arrays)) >= {"right", "reference"}
    with pytest.raises(PeerFailed, match="no answer"):
        child.run("hangs", 1.0)
    assert child.process is None
    assert child.run("right", 20.0)["ms"] >= 20.0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_a_child_can_be_held_to_one_core(tmp_path):
    script = tmp_path / "count.py"
    script.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    n = len(os.sched_getaffinity(0))\n"
        "    print(json.dumps({'cores': n}), flush=True)\n"
    )
    cores = {}
    for one_core in (False, True):
        python = Path(sys.executable)
        environment = Environment("count", python, script, one_core)
        child = Child(environment, tmp_path / "log")
        cores[one_core] = child.ask({"op": "?"}, 20.0)["cores"]
        child.end()
    assert cores[True] == 1
    assert cores[False] == len(os.sched_getaffinity(0))


def test_the_figure_takes_the_better_number_of_cores(tmp_path):
    peers = {
        "a": {"ms": 3.0, "error": None},
        "a (1 core)": {"ms": 2.0, "error": None},
        "b": {"ms": 1.0, "error": "wrong gradient"},
    }
    results = {
        f"w3_lif_{n}_b1": {"ours_ms": 1.0 * n, "peers": peers} for n in (1000, 300)
    }
    lines = series(results, "lif", 1)
    assert lines == {
        "spikelearn": [(300, 300.0), (1000, 1000.0)],
        "a": [(300, 2.0), (1000, 2.0)],
    }
    assert series(results, "alif", 1) == {}
    assert not draw({}, tmp_path / "nothing.png")
    assert draw(results, tmp_path / "some.png")
    assert (tmp_path / "some.png").read_bytes().startswith(b"\x89PNG")
