"""Groups of samples, and results that do not depend on threads or batch."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.kernels.threads import N_GROUPS, run_groups, sample_groups
from spikelearn.learning.rules import EProp
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
