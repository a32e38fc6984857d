"""The exported graph: what it consists of, how it is imported and recorded."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware import emulator
from hardware._child import run_child
from hardware.export.lava import build, write_script
from spikelearn.errors import InvalidValue
from tests.hardware.networks import (
    atrlif,
    random_input,
    random_network,
    sparse,
    ternary,
    with_delays,
    with_periodic_reset,
)

ROOT = Path(__file__).parents[2]


def environment():
    return dict(os.environ) | {"PYTHONPATH": str(ROOT)}


def python(*arguments, timeout=100):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        start_new_session=True,
    )


@pytest.mark.lava
def test_monitor_sees_the_values_that_we_record(tmp_path):
    command = [sys.executable, "-m", "tests.hardware.monitor_script"]
    command.append(str(tmp_path / "result.npz"))
    run_child(command, "Lava", 120.0, tmp_path, environment())
    with np.load(tmp_path / "result.npz") as file:
        arrays = dict(file)
    names = {name.rpartition("/")[0] for name in arrays}
    assert len(names) == 4 + 5
    for name in names:
        seen, recorded = arrays[f"{name}/monitor"], arrays[f"{name}/record"]
        assert np.array_equal(seen, recorded), name
        assert recorded.any(), name


@pytest.mark.lava
def test_lava_is_used_where_it_can_be():
    net = random_network(0)
    x = random_input(1, net, 5)[:, 0]
    own = build(net, x)
    assert type(own.neurons).__module__ == "lava.proc.lif.process"
    for options in ({"reset": "subtract"}, {"adaptive": True}, {"refractory": True}):
        graph = build(random_network(0, **options), x)
        assert type(graph.neurons).__name__ == "AdaptiveLIF"
        assert type(graph.readout).__module__ == "lava.proc.lif.process"
    processes = (own.source, own.w_in, own.neurons, own.w_rec, own.w_out, own.readout)
    assert set(own.models) == set(processes)
    assert own.total_steps == 7


@pytest.mark.lava
def test_kinds_and_blocks_become_the_processes_of_lava():
    net = random_network(0)
    x = random_input(1, net, 5)[:, 0]
    for other, name in (
        (with_periodic_reset(net), "LIFReset"),
        (ternary(net), "TernaryLIF"),
        (atrlif(net), "ATRLIF"),
    ):
        graph = build(other, x)
        assert type(graph.neurons).__name__ == name
        assert type(graph.neurons).__module__.startswith("lava.proc.")
        assert set(graph.models) >= {graph.neurons, graph.readout}
    assert (
        build(with_periodic_reset(net, 7, 6), x).neurons.proc_params["reset_offset"]
        == (6 + 2) % 7
    )
    for other, name in ((with_delays(net, 3), "DelayDense"), (sparse(net), "Sparse")):
        graph = build(other, x)
        for process in (graph.w_in, graph.w_rec, graph.w_out):
            assert type(process).__name__ == name
    bits = [p.num_message_bits.init for p in (build(ternary(net), x).w_rec,)]
    assert bits == [2]  # the sign of a spike is kept
    deltas = atrlif(net).neurons
    fractions = build(atrlif(net), x).neurons.delta_v.init
    assert np.array_equal(fractions * 4096, deltas.delta_v)


@pytest.mark.lava
def test_wrong_input_and_missing_record():
    net = random_network(0)
    x = random_input(1, net, 5)
    with pytest.raises(InvalidValue, match=r"axes \(time, input\)"):
        build(net, x)
    with pytest.raises(InvalidValue, match="at least one time step"):
        build(net, x[:0, 0])
    with pytest.raises(InvalidValue, match=r"must lie in 0\.\.1"):
        build(net, x[:, 0] + 1)
    with pytest.raises(InvalidValue, match="needs a graph built with record_folder"):
        build(net, x[:, 0]).record()


IMPORT_AFTER_PARALLEL_NUMBA = """
import dataclasses, multiprocessing
import numba, numpy as np

@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(x.size):
        s += x[i]
    return s

assert total(np.ones(10)) == 10
before = dataclasses.dataclass, multiprocessing.set_start_method
from hardware.lava_processes import _lava
version = _lava.prepare()
assert before == (dataclasses.dataclass, multiprocessing.set_start_method)
assert _lava.prepare() == version
from lava.magma.core.run_configs import Loihi2SimCfg
assert total(np.ones(10)) == 10
print("lava", version)
"""


@pytest.mark.lava
def test_lava_is_importable_after_parallel_numba():
    result = python("-c", IMPORT_AFTER_PARALLEL_NUMBA)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("lava 0.")


def script(tmp_path):
    net = random_network(2, reset="subtract", adaptive=True)
    x = random_input(3, net, 30, 2)
    vectors = emulator.run(net, x).vectors(x)
    net = dataclasses.replace(net, vectors=vectors)
    data = write_script(net, tmp_path / "run_network.py")
    assert data == tmp_path / "run_network.h5"
    return net, tmp_path / "run_network.py"


@pytest.mark.lava
def test_the_script_runs_and_agrees(tmp_path):
    net, path = script(tmp_path)
    result = python(path, 1)
    assert result.returncode == 0, result.stderr
    spikes = int(net.vectors.spikes[:, 1].sum())
    assert result.stdout.splitlines() == [
        f"{spikes} spikes in 30 steps",
        *(
            f"{name}: 0 of {30 * (3 if name == 'y' else 12)} values differ"
            for name in ("u", "v", "b", "spikes", "y")
        ),
    ]
    assert spikes > 0


def test_the_script_is_refused_without_vectors(tmp_path):
    with pytest.raises(InvalidValue, match=r"description\.vectors must be there"):
        write_script(random_network(0), tmp_path / "a.py")
    with pytest.raises(InvalidValue, match=r"path must end in \.py"):
        write_script(random_network(0), tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_the_script_is_python(tmp_path):
    _, path = script(tmp_path)
    compile(path.read_text(), str(path), "exec")
