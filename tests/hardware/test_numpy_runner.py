"""The NumPy runner in a process without this package: the integers of the emulator."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from hardware import emulator
from hardware.export import _standalone
from hardware.export.runner import RUNNER, write_numpy_runner
from spikelearn.errors import InvalidValue
from tests.hardware.networks import random_input, random_network
from tests.hardware.test_c_header import CASES

STATES = ("u", "v", "b", "spikes", "y")


def child(*arguments, folder):
    """Run an isolated Python, which does not see the folder of this package."""
    command = [sys.executable, "-I", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, cwd=folder
    )


def run_child(folder, x):
    np.save(folder / "x.npy", x)
    done = child(RUNNER, "x.npy", "states.npz", folder=folder)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "states.npz") as file:
        return dict(file), done.stdout


@pytest.mark.parametrize("name", CASES)
def test_every_value_is_that_of_the_emulator(name, tmp_path):
    options = dict(CASES[name])
    rate = options.pop("rate", 0.4)
    net = random_network(3, **options)
    x = random_input(4, net, 50, 2, rate)
    write_numpy_runner(net, tmp_path / RUNNER)
    states, text = run_child(tmp_path, x)
    record = emulator.run(net, x)
    for key in STATES:
        np.testing.assert_array_equal(states[key], getattr(record, key))
        assert states[key].dtype == getattr(record, key).dtype
    assert (states["overflows"] > 0) == (record.u_wraps > 0)
    assert states["overflows"] <= record.u_wraps, "a sum may wrap as well"
    assert f"{record.n_spikes} spikes in 50 steps" in text
    assert record.n_spikes > 0


@pytest.mark.parametrize("options", [{}, {"input_bits": 24, "exponents": (7, 0, 0)}])
def test_delays_are_those_of_the_emulator(options, tmp_path):
    net, rng = random_network(3, **options), np.random.default_rng(9)
    blocks = {
        name: dataclasses.replace(
            getattr(net, name),
            delays=rng.integers(0, 9, getattr(net, name).weights.shape),
        )
        for name in ("w_in", "w_rec", "w_out")
    }
    net = dataclasses.replace(net, **blocks)
    x = random_input(4, net, 60, 2)
    write_numpy_runner(net, tmp_path / RUNNER)
    states, _ = run_child(tmp_path, x)
    record = emulator.run(net, x)
    assert record.n_spikes > 50
    for key in STATES:
        np.testing.assert_array_equal(states[key], getattr(record, key))


def test_another_weight_is_seen(tmp_path):
    """Negative control."""
    net = random_network(3)
    x = random_input(4, net, 50, 2)
    write_numpy_runner(net, tmp_path / RUNNER)
    path = tmp_path / "run_network.json"
    document = json.loads(path.read_text())
    document["w_in"]["weights"][0][0] += 20
    path.write_text(json.dumps(document))
    states, _ = run_child(tmp_path, x)
    assert (states["u"] != emulator.run(net, x).u).any()


def test_it_needs_numpy_and_nothing_else(tmp_path):
    write_numpy_runner(random_network(3), tmp_path / RUNNER)
    ask = (
        "import sys, runpy; runpy.run_path('run_network.py', run_name='__main__');"
        "print([m for m in ('spikelearn', 'hardware', 'numba', 'h5py', 'scipy') "
        "if m in sys.modules])"
    )
    done = child("-c", ask, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("6 inputs, 12 neurons, 3 readouts: ")
    assert second == "[]"


def test_one_sample_and_another_network(tmp_path):
    net, other = random_network(3), random_network(5)
    write_numpy_runner("network.json", tmp_path / RUNNER)
    (tmp_path / "network.json").write_text(net.to_json())
    (tmp_path / "other.json").write_text(other.to_json())
    x = random_input(4, net, 20)
    np.save(tmp_path / "x.npy", x[:, 0])
    for arguments, network in (([], net), (["--network", "other.json"], other)):
        done = child(RUNNER, *arguments, "x.npy", "states.npz", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "states.npz") as file:
            np.testing.assert_array_equal(file["v"], emulator.run(network, x).v)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "something"}, "must hold a network_description"),
        ({"format_version": 3}, "must have format_version 1 or 2; got 3"),
        ({"format_version": 2}, "unknown or missing delays, process"),
        ({"delays": [1]}, "unknown or missing delays"),
    ],
)
def test_a_file_that_says_more_is_refused(tmp_path, change, message):
    document = json.loads(random_network(1).to_json()) | change
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        _standalone.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("neurons", {"reset": "minus"}, "reset must be zero or subtract; got 'minus'"),
        ("neurons", {"reset": []}, "reset must be zero or subtract"),
        ("neurons", {"vth": [1, 2]}, r"neurons.vth must have the shape \(12,\); got"),
        ("neurons", {"vth": [0.5] * 12}, "neurons.vth must hold integers"),
        ("neurons", {"vth": {}}, "neurons.vth must hold integers"),
        ("readout", {"dv": 3}, "readout.dv must have the shape"),
        ("w_in", {"weights": [1, 2]}, "must have two axes"),
        ("w_in", {"weights": [[1], [1, 2]]}, "inhomogeneous"),
        ("w_rec", {"weights": [[1, 2]]}, r"w_rec.weights must have the shape"),
        ("w_out", {"weights": [[1]]}, r"w_out.weights must have the shape"),
        ("w_out", {"exponent": "1"}, "w_out.exponent must be an integer"),
        ("w_rec", None, "w_rec must be an object"),
        ("neurons", None, "neurons must be an object"),
    ],
)
def test_a_file_of_other_parts_is_refused(tmp_path, part, change, message):
    document = json.loads(random_network(1).to_json())
    document[part] = [1, 2] if change is None else document[part] | change
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        _standalone.load(tmp_path / "a.json")


def test_wrong_files_end_in_one_message(tmp_path):
    write_numpy_runner(random_network(3), tmp_path / RUNNER)
    (tmp_path / "empty.npy").touch()
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "a.json").write_text("{}")
    np.save(tmp_path / "x.npy", np.zeros((3, 5), int))
    cases = [
        (("no.npy", "s.npz"), "No such file"),
        (("empty.npy", "s.npz"), "No data left"),
        (("x.npy", "s.npz"), "with 6 inputs"),
        (("--network", "no.json"), "No such file"),
        (("--network", "a.json"), "must hold a network_description"),
        (("--network", "deep.json"), "must hold JSON"),
    ]
    for arguments, message in cases:
        done = child(RUNNER, *arguments, folder=tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("error: ")
        assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 2, 5), int), "with 6 inputs"),
        (np.zeros((3, 2, 6)), "must hold integers"),
        (np.full((3, 6), 2), r"must lie in 0\.\.1; got 2\.\.2"),
    ],
)
def test_wrong_input_is_refused(tmp_path, x, message):
    (tmp_path / "a.json").write_text(random_network(1).to_json())
    with pytest.raises(ValueError, match=message):
        _standalone.run(_standalone.load(tmp_path / "a.json"), x)


def test_wrong_arguments_show_how_it_is_called(tmp_path):
    write_numpy_runner(random_network(3), tmp_path / RUNNER)
    done = child(RUNNER, "--help", folder=tmp_path)
    assert done.returncode == 1
    assert "python run_network.py x.npy states.npz" in done.stderr


@pytest.mark.parametrize(
    ("network", "path", "message"),
    [
        (None, "run.txt", r"must end in \.py"),
        ("../a.json", "run.py", "plain name"),
        ('a".json', "run.py", "plain name"),
        ("a.h5", "run.py", "plain name"),
    ],
)
def test_wrong_names_write_nothing(tmp_path, network, path, message):
    with pytest.raises(InvalidValue, match=message):
        write_numpy_runner(network or random_network(1), tmp_path / path)
    assert not list(tmp_path.iterdir())
