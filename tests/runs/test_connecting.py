"""`[network] connectivity`: from text to weights, and what they are matched to."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from spikelearn import tasks
from spikelearn.connectivity import parse, spectral_radius
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.matching import largest_exponent
from spikelearn.network import ALIF, LIF, LeakyRate
from spikelearn.runs import load_run, resolve_config, resume, train
from spikelearn.runs.build import build_network, build_trainer
from spikelearn.runs.connecting import task_map

N = 40
TASK = "2af"


def config(*overrides, task=TASK):
    given = [f"task.name={task}"]
    if not any(o.startswith("n_rec") for o in overrides):
        given.append(f"n_rec={N}")
    return resolve_config({}, (*given, *overrides))


def network_of(*overrides, task=TASK):
    made = config(*overrides, task=task)
    return build_network(made, tasks.make(task, **made.task.parameters()))


def off_diagonal(matrix):
    return np.where(np.eye(len(matrix), dtype=bool), 0, matrix)


def test_gaussian_is_what_a_run_has_without_it():
    plain, named = (
        network_of("gain=1.3"),
        network_of("gain=1.3", "connectivity=gaussian"),
    )
    for name in ("w_in", "w_out", "b_out", "bias"):
        one, other = (getattr(n.params, name) for n in (plain, named))
        assert np.array_equal(one, other), name
    assert named.mask.all()
    expected = off_diagonal(named.params.w_rec)
    assert np.array_equal(expected, plain.params.w_rec)
    without = network_of("gain=1.3", "connectivity=erdos_renyi(1.0)")
    assert np.array_equal(without.params.w_rec, plain.params.w_rec)
    assert np.array_equal(without.mask, plain.mask)


def test_a_configuration_without_it_is_the_same_file_and_digest():
    values = config().to_dict()["network"]
    assert not {"connectivity", "match", "match_value"} & set(values)


def test_structure_and_weights_reach_the_network():
    text = "delayed(dale(0.75, base=erdos_renyi(0.3)), 1, 3)"
    network = network_of(f"connectivity={text}", "gain=2.0", "dtype=float64")
    stream = np.random.default_rng(np.random.SeedSequence(0).spawn(3)[0]).spawn(3)[1]
    made = parse(text).draw(N, stream)
    np.testing.assert_allclose(network.params.w_rec, 2.0 * made.weights)
    for name in ("mask", "signs", "delay", "cell_types"):
        assert np.array_equal(getattr(network, name), getattr(made, name)), name
    other = network_of(f"connectivity={text}", "seed=1")
    assert not np.array_equal(network.mask, other.mask)
    assert network_of("connectivity=low_rank(1)", "network.delay=3").delay == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_ranks_share_a_draw_and_a_norm(seed):
    by_rank = {
        rank: network_of(
            f"connectivity=low_rank({rank})", f"seed={seed}", "dtype=float64"
        ).params.w_rec
        for rank in (1, 10, N)
    }
    full = network_of("connectivity=gaussian", f"seed={seed}", "dtype=float64")
    np.testing.assert_allclose(by_rank[N], full.params.w_rec, atol=1e-12)
    u, _, vt = np.linalg.svd(by_rank[N])
    for rank, w in by_rank.items():
        assert np.linalg.matrix_rank(w) == rank
        assert np.linalg.norm(w) == pytest.approx(np.linalg.norm(by_rank[N]))
        assert np.abs(u[:, 0] @ w @ vt[0]) == pytest.approx(np.linalg.norm(w, 2))


def test_matching_the_norm_and_the_radius():
    family = "connectivity=dale(balanced=False)"
    plain = network_of("connectivity=gaussian", "gain=1.5", "dtype=float64")
    measures = {"frobenius": np.linalg.norm, "spectral_radius": spectral_radius}
    for mode, measure in measures.items():
        options = (family, "gain=1.5", f"match={mode}", "dtype=float64")
        default = network_of(*options)
        expected = measure(plain.params.w_rec)
        assert measure(default.params.w_rec) == pytest.approx(expected)
        given = network_of(*options, "match_value=0.7")
        assert measure(given.params.w_rec) == pytest.approx(0.7)


CELLS = {"rate": LeakyRate, "LIF": LIF, "ALIF": ALIF}


@pytest.mark.parametrize("cell", CELLS)
def test_matching_the_exponent(cell):
    options = (f"cell={cell}", "rate_strength=0.0", "tau_m=20.0", "dtype=float64")
    options += ("gain=1.0", "n_rec=20")
    task = tasks.make("delayed-copy") if cell != "rate" else tasks.make(TASK)
    made = config("connectivity=gaussian", *options, task=task.name)
    size = 32 if task.n_steps < 50 else 2000 // task.n_steps
    x = next(iter(task.evaluation("validation", size, size))).x
    reference = largest_exponent(build_network(made, task), x)
    options = ("connectivity=orthogonal(0.3)", "match=lyapunov", *options)
    matched = build_network(config(*options, task=task.name), task)
    assert isinstance(matched.cell, CELLS[cell])
    assert largest_exponent(matched, x) == pytest.approx(reference, abs=1e-3)
    w = matched.params.w_rec
    factor = np.linalg.norm(w) / np.sqrt(20)
    np.testing.assert_allclose(w @ w.T, factor**2 * np.eye(20), atol=1e-8)
    unmatched = build_network(config(*options, task=task.name), task, matched=False)
    assert np.linalg.norm(unmatched.params.w_rec) == pytest.approx(0.3 * np.sqrt(20))
    assert abs(factor - 0.3) > 1e-3


def test_a_run_trains_and_goes_on(tmp_path):
    options = ("connectivity=low_rank( 2 )", "match=lyapunov", "iterations=4")
    options += ("batch_size=4", "evaluate_samples=8", "evaluate_every=2")
    run = train(config(*options), tmp_path / "run")
    text = (tmp_path / "run" / "config.toml").read_text()
    assert 'connectivity = "low_rank(rank=2)"' in text
    loaded = load_run(tmp_path / "run")
    assert np.array_equal(loaded.network.params.w_rec, run.network.params.w_rec)
    resumed = resume(tmp_path / "run", config=config(*options, "iterations=6"))
    direct = train(config(*options, "iterations=6"), tmp_path / "direct")
    for name, array in resumed.network.params.arrays().items():
        assert np.array_equal(array, direct.network.params.arrays()[name]), name


def test_tables_become_a_part_of_the_configuration(tmp_path):
    table = {
        "names": ["E", "I"],
        "fractions": [0.8, 0.2],
        "probability": [[0.2, 0.5], [0.3, 0.4]],
        "strength": [[1, 4], [1, 4]],
        "signs": [1, -1],
    }
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table))
    made = config(f"connectivity=cell_types('{path}')")
    path.unlink()
    assert "table.json" not in made.network.connectivity
    network = build_network(made, tasks.make(TASK))
    assert np.bincount(network.cell_types).tolist() == [32, 8]
    assert set(network.signs[:32]) == {1}


def test_aligned_with_the_task():
    """A step takes an input to where the readout sees the target that goes with it."""
    options = ("n_rec=300", "dtype=float64")
    aligned = network_of("connectivity=aligned_low_rank(1)", *options).params
    random = network_of("connectivity=low_rank(1)", *options).params
    assert np.linalg.norm(aligned.w_rec) == pytest.approx(np.linalg.norm(random.w_rec))
    teacher = task_map(tasks.make(TASK), 0)

    def alignment(params):
        seen = params.w_out @ params.w_rec @ params.w_in
        scale = np.linalg.norm(seen) * np.linalg.norm(teacher)
        return float(np.sum(seen * teacher) / scale)

    assert alignment(aligned) > 0.9
    assert abs(alignment(random)) < 0.6


@dataclasses.dataclass(frozen=True)
class Linear:
    """Targets that are a matrix times the mean input."""

    kind: str = "regression"
    n_in: int = 3
    n_out: int = 2

    matrix = np.array([[1.0, 0.0, -2.0], [0.5, 3.0, 0.0]])

    def train_batch(self, iteration, size, seed):
        rng = np.random.default_rng((iteration, seed))
        x = rng.standard_normal((5, size, 3)).astype(np.float32)
        target = np.tile(x.mean(axis=0) @ self.matrix.T, (5, 1, 1))
        target[:2] = 9.0  # does not count
        mask = np.array([0, 0, 1, 1, 1], np.float32)
        return tasks.Batch(x, target.astype(np.float32), mask)


def test_the_map_of_a_linear_task():
    """Mean inputs are white, with variance 1 / 5."""
    np.testing.assert_allclose(5 * task_map(Linear(), 0), Linear.matrix, atol=0.5)


@pytest.mark.parametrize("task", ["2af", "digits-rows", "cue-bandit", "delayed-copy"])
def test_every_kind_of_task_has_a_map(task):
    made = tasks.make(task)
    matrix = task_map(made, 0)
    assert matrix.shape == (made.n_out, made.n_in)
    assert np.isfinite(matrix).all()
    assert matrix.any()


# What is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["connectivity=low_rank(41)"], r"^low_rank\.rank must be at most n = 40"),
        (["connectivity=3"], r"^network\.connectivity must be a valid string; got 3"),
        (["connectivity=1+1"], r"^connectivity must be a family with its parameters"),
        (["match=frobenius"], r"^network\.match must be used with network\.connectiv"),
        (
            ["connectivity=gaussian", "match_value=2.0"],
            r"^network\.match_value must be",
        ),
        (
            ["match_value=2.0"],
            r"^network\.match_value must be used with network\.match",
        ),
        (
            ["connectivity=gaussian", "match=norm"],
            r"^network\.match must be 'frobenius",
        ),
        (
            ["connectivity=gaussian", "density=0.5"],
            r"density must not be given .*maske",
        ),
        (
            ["connectivity=gaussian", "excitatory_fraction=0.8"],
            r"excitatory_fraction must not be given beside .*Say dale\(exc",
        ),
        (["connectivity=gaussian", "longest_delay=4"], r"longest_delay must not .*del"),
        (["connectivity=gaussian", "layers=[20,20]"], r"network\.layers must not be"),
        (
            ["connectivity=delayed(gaussian, 1, 2)", "network.delay=2"],
            r"^network\.delay must not be given beside delays of the family",
        ),
        (
            ["connectivity=gaussian", "match=lyapunov", "match_value=-9.0"],
            r"^match\.lyapunov target must be within reach, -\d",
        ),
        (
            ["connectivity=gaussian", "match=frobenius", "match_value=0.0"],
            r"^match\.frobenius must be > 0",
        ),
        (["connectivity=gaussian", "gain=1e300"], r"^network\.gain must give weights"),
    ],
)
def test_wrong_connectivity(overrides, message):
    with pytest.raises(InvalidValue, match=message):
        build_trainer(config(*overrides))


def test_unknown_names():
    with pytest.raises(UnknownName, match=r"'lowrank'\. Did you mean 'low_rank'"):
        config("connectivity=lowrank(1)")
    with pytest.raises(UnknownName, match="unknown connectome 'worm'"):
        config("connectivity=connectome('worm')")
