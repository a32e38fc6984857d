"""Groups of samples, and results that do not depend on threads or batch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn import kernels
from spikelearn.kernels.adjoint import credit
from spikelearn.kernels.threads import (
    N_GROUPS,
    run_groups,
    sample_groups,
    usable_cores,
)
from spikelearn.learning.rules import EProp, paths, sweep
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, LIF
from tests.helpers import examples, make_input, make_network, make_signal

CELLS = {
    "ALIF": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, tau_syn=3.0),
    "LIF": LIF(tau_m=10.0, t_ref=2.0, reset="zero"),
}


@examples
@given(st.integers(1, 1000))
def test_groups_cover_every_sample_once(n_samples):
    groups = sample_groups(n_samples)
    covered = [sample for start, stop in groups for sample in range(start, stop)]
    assert covered == list(range(n_samples))
    assert len(groups) == min(N_GROUPS, n_samples)
    sizes = {stop - start for start, stop in groups}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("most", [1, 2, N_GROUPS])
def test_every_group_runs_once(threads, most):
    calls, lock = [], threading.Lock()

    def work(group, start, stop):
        with lock:
            calls.append((group, start, stop))

    run_groups(work, 11, threads, most)
    expected = [(g, *span) for g, span in enumerate(sample_groups(11, most))]
    assert len(expected) == most
    assert sorted(calls) == expected


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_group_is_raised(threads):
    def work(group, start, stop):
        if group == 1:
            raise ArithmeticError("group 1")

    with pytest.raises(ArithmeticError, match="group 1"):
        run_groups(work, 4, threads)


def test_of_several_errors_the_lowest_group_speaks_when_all_are_done():
    running, late = [], threading.Event()

    def work(group, start, stop):
        running.append(group)
        if group == 1:
            late.set()
        else:  # group 0 fails after group 1 has
            late.wait(60)
            time.sleep(0.01)
        running.remove(group)
        raise ArithmeticError(f"group {group}")

    with pytest.raises(ArithmeticError, match="group 0"):
        run_groups(work, 2, 2)
    assert running == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_caller_waits_for_nobody(kind):
    """A helper may want a lock that the interrupted code still holds."""
    helper_is_in, let_go = threading.Event(), threading.Event()
    began = []

    def work(group, start, stop):
        began.append(group)
        if threading.current_thread() is not threading.main_thread():
            helper_is_in.set()
            let_go.wait(60)
        else:
            helper_is_in.wait(60)
            raise kind

    try:
        with pytest.raises(kind):
            run_groups(work, 8, 2)
        assert len(began) == 2
    finally:
        let_go.set()


def test_helpers_stay_for_the_next_call_and_groups_really_overlap():
    both = threading.Barrier(2)

    def work(group, start, stop):
        both.wait(60)  # breaks unless two threads are here

    run_groups(work, 2, 2)
    alive = threading.active_count()
    for _ in range(20):
        run_groups(work, 2, 2)
    assert threading.active_count() == alive > 1


def test_nested_calls_and_calls_from_many_threads_end():
    counts, lock = [0] * 6, threading.Lock()

    def outer(caller):
        def inner(group, start, stop):
            with lock:
                counts[caller] += stop - start

        run_groups(lambda *_: run_groups(inner, 5, 3), 3, 3)

    callers = [threading.Thread(target=outer, args=(k,)) for k in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    assert counts == [15] * 6


FORK = """
import os, threading, time
from spikelearn.kernels.threads import run_groups
meet = lambda *_: time.sleep(0.01)
run_groups(meet, 4, 3)
child = os.fork()
calls = []
run_groups(lambda *call: calls.append(call) or time.sleep(0.01), 4, 3)
assert sorted(calls) == [(k, k, k + 1) for k in range(4)]
if child == 0:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print(threading.active_count())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_helpers_of_its_own():
    """With warnings as errors: Python warns of forks while threads are alive."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) == 3


WORKER = """
import concurrent.futures, multiprocessing
from spikelearn.kernels.threads import usable_cores
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(usable_cores(), pool.submit(usable_cores).result(60))
"""


def test_worker_processes_use_one_thread(tmp_path):
    (tmp_path / "script.py").write_text(WORKER)
    out = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout.split()
    assert out == [str(usable_cores()), "1"]


def calls_blas(code):
    """Whether code has a product that Numba gives to BLAS or LAPACK."""
    names = {"dot", "vdot", "matmul", "linalg", "inner", "tensordot", "einsum"}
    nodes = list(ast.walk(ast.parse(code)))
    return any(isinstance(node, ast.MatMult) for node in nodes) or any(
        isinstance(node, ast.Attribute) and node.attr in names for node in nodes
    )


def test_no_kernel_calls_blas_whose_threads_would_compete():
    assert calls_blas("a @ b")
    assert calls_blas("np.dot(a, b)")
    assert not calls_blas("a * b")
    sources = sorted(Path(kernels.__file__).parent.glob("*.py"))
    assert len(sources) > 5
    assert [p.name for p in sources if calls_blas(p.read_text())] == []


def _results(network, x, signal, threads):
    record = network.run(x, record=("v", "a", "i"), threads=threads)
    gradients = EProp().gradients(network, record, signal, threads=threads).arrays()
    states = {name: record.state(name) for name in "vai"}
    return {"z": record.spikes, "y": record.y} | states | gradients


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_for_any_number_of_threads(cell, dtype):
    network = make_network(n_rec=37, cell=CELLS[cell], dtype=dtype, drive=1.5)
    x = make_input(n_samples=19, n_steps=60, graded=True)
    signal = make_signal(network, x)
    one = _results(network, x, signal, 1)
    assert one["z"].mean() > 0.01
    assert np.abs(one["w_rec"]).max() > 0
    for threads in (2, 3, 16):
        other = _results(network, x, signal, threads)
        for name, array in one.items():
            assert np.array_equal(other[name], array), (name, threads)


@pytest.mark.parametrize("cell", CELLS)
def test_one_long_sample_is_cut_by_neurons(cell, monkeypatch):
    network = make_network(n_rec=200, cell=CELLS[cell], dtype="float32", drive=1.5)
    x = make_input(n_samples=1, n_steps=30)
    signal = make_signal(network, x)
    one = _results(network, x, signal, 1)
    parts = []
    monkeypatch.setattr(sweep, "SMALLEST_CUT", 1)

    def spy(*arguments):
        parts.append(arguments[6])
        credit(*arguments)

    monkeypatch.setattr(paths, "credit", spy)
    cut = _results(network, x, signal, 3)
    assert sorted((part.low, part.high) for part in parts) == [
        (0, 64),
        (64, 128),
        (128, 256),
    ]
    for name, array in one.items():
        assert np.array_equal(cut[name], array), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("graded", [False, True])
def test_a_batch_equals_its_samples(cell, dtype, graded):
    network = make_network(n_rec=21, cell=CELLS[cell], dtype=dtype, drive=1.5)
    x = make_input(n_samples=9, n_steps=60, graded=graded)
    signal = make_signal(network, x)
    batch = _results(network, x, signal, 1)
    assert batch["z"].mean() > 0.01
    sums = dict.fromkeys(("w_in", "w_rec", "w_out", "b_out", "bias"), 0.0)
    for b in range(x.shape[1]):
        one = slice(b, b + 1)
        alone = LearningSignal(
            signal.error[:, one], signal.feedback, signal.neuron[one]
        )
        single = _results(network, x[:, one], alone, 1)
        for name in ("z", "y", "v", "a", "i"):
            assert np.array_equal(single[name], batch[name][:, one]), name
        sums = {name: total + single[name] for name, total in sums.items()}
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for name, total in sums.items():
        difference = np.abs(total - batch[name]).max()
        assert difference < tolerance * np.abs(total).max(), name
