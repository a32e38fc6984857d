"""The Brian2 script that we write fires the spikes of the float simulator."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from hardware.export.brian2 import write_brian2
from spikelearn.errors import InvalidValue
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from tests.oracles_brian2.oracle import TIME_LIMIT, find_python

N_IN, N_REC, N_OUT = 20, 60, 3


def build(cell, seed=0, gain=1.0, gain_in=1.0, bias=0.0, **options):
    network = RecurrentNetwork(N_IN, N_REC, N_OUT, cell, dtype="float64", **options)
    network.initialise(seed, gain=gain, gain_in=gain_in)
    rng = np.random.default_rng(seed)
    network.params.bias[...] = bias * rng.standard_normal(N_REC)
    network.params.b_out[...] = 0.1 * rng.standard_normal(N_OUT)
    return network


def per_neuron(low, high):
    return np.random.default_rng(9).uniform(low, high, N_REC)


def current_based():
    """LIF with synaptic current, its input scaled by the leak, per-neuron constants."""
    cell = LIF(tau_m=per_neuron(10, 30), tau_syn=5.0, v_th=0.05, input_scaling="leak")
    return build(cell, gain=1.5, bias=0.001)


def adaptive():
    cell = ALIF(tau_m=20.0, tau_a=per_neuron(100, 400), beta=0.2, v_th=1.0)
    return build(cell, gain=1.2, bias=0.01, readout=LeakyReadout(0.0, "unit"))


def zero_reset_with_delays():
    """LIF with zero reset, refractoriness, and a delay of its own at every synapse."""
    delay = np.random.default_rng(3).integers(1, 9, (N_REC, N_REC))
    cell = LIF(tau_m=15.0, v_th=0.8, t_ref=per_neuron(0.0, 6.0), reset="zero")
    return build(cell, gain=1.5, delay=delay)


def small_steps():
    """ALIF with everything at once, 10 000 steps of 0.1 ms; some neurons no current."""
    tau_syn = np.where(np.arange(N_REC) % 3 == 0, 0.0, 4.0)
    cell = ALIF(
        tau_m=20.0, tau_syn=tau_syn, tau_a=150.0, beta=0.5, t_ref=1.5, reset="zero"
    )
    mask = np.random.default_rng(4).random((N_REC, N_REC)) < 0.3
    return build(cell, gain_in=0.4, gain=0.4, dt=0.1, delay=12, mask=mask)


def no_recurrence():
    """Graded input, and not one recurrent synapse."""
    mask = np.zeros((N_REC, N_REC), bool)
    return build(LIF(tau_m=10.0, v_th=0.9), gain_in=0.5, mask=mask)


def spikes_in(steps, rate, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.random((steps, N_IN)) < rate).astype(np.uint8)


def graded_in(steps, seed=1):
    return np.random.default_rng(seed).standard_normal((steps, N_IN))


CASES = {
    "current based": (current_based, spikes_in(1000, 0.05)),
    "adaptive, subtract": (adaptive, spikes_in(1000, 0.1)),
    "zero reset, delays": (zero_reset_with_delays, spikes_in(1000, 0.1)),
    "steps of 0.1 ms": (small_steps, spikes_in(10_000, 0.01)),
    "graded input": (current_based, graded_in(1000)),
    "no recurrence": (no_recurrence, graded_in(300)),
}


def run_script(path, folder):
    out = folder / "out.npz"
    command = [find_python(), "-I", str(path), str(out)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as arrays:
        return dict(arrays), done.stdout


@pytest.mark.brian2
@pytest.mark.parametrize("name", CASES)
def test_spikes_and_readout_are_those_of_the_script(name, tmp_path):
    make, x = CASES[name]
    network = make()
    record = network.run(x[:, None].astype(float))
    steps, senders = record.spike_events(0)
    assert 500 < steps.size < 0.5 * len(x) * N_REC
    write_brian2(network, x, tmp_path / "net.py")
    theirs, text = run_script(tmp_path / "net.py", tmp_path)
    assert text == f"{steps.size} spikes in {len(x)} steps\n"
    np.testing.assert_array_equal(theirs["steps"], steps)
    order = np.lexsort((senders, steps))
    np.testing.assert_array_equal(theirs["senders"], senders[order])
    np.testing.assert_allclose(theirs["y"], record.y[:, 0], rtol=1e-9, atol=1e-9)


@pytest.mark.brian2
@pytest.mark.parametrize("changed", ["w_rec", "delay", "w_in"])
def test_a_change_of_one_number_is_noticed(changed, tmp_path):
    """Negative control."""
    make, x = CASES["zero reset, delays"]
    network = make()
    data = write_brian2(network, x, tmp_path / "net.py")
    with np.load(data) as arrays:
        numbers = dict(arrays)
    numbers[changed][5] += 1
    np.savez(data, **numbers)
    theirs, _ = run_script(tmp_path / "net.py", tmp_path)
    steps, _ = network.run(x[:, None].astype(float)).spike_events(0)
    same = theirs["steps"].size == steps.size and (theirs["steps"] == steps).all()
    assert not same


def test_events_are_written_as_the_same_spikes(tmp_path):
    network, x = current_based(), spikes_in(50, 0.2)
    first = write_brian2(network, x, tmp_path / "a.py")
    second = write_brian2(network, np.nonzero(x), tmp_path / "b.py", n_steps=50)
    with np.load(first) as one, np.load(second) as other:
        assert one.files == other.files
        assert all(np.array_equal(one[name], other[name]) for name in one.files)
        assert one["input_step"].size == x.sum()


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((5, 2, N_IN)), {}, r"must be numbers \(time, input\)"),
        (np.zeros((5, 3)), {}, "with 20 inputs"),
        (np.full((5, N_IN), np.nan), {}, "must be finite"),
        (np.zeros((5, N_IN)), {"n_steps": 5}, "must be left to x"),
        ((np.array([1]), np.array([1])), {}, "n_steps must be >= 1"),
        ((np.array([9]), np.array([1])), {"n_steps": 5}, r"steps must lie in 0\.\.4"),
        ((np.array([1]), np.array([20])), {"n_steps": 5}, r"units must lie in 0\.\.19"),
        ((np.array([1, 1]), np.array([2, 2])), {"n_steps": 5}, "no event twice"),
        ((np.array([1]), np.array([2, 2])), {"n_steps": 5}, "of one length"),
    ],
)
def test_wrong_input_writes_nothing(tmp_path, x, options, message):
    with pytest.raises(InvalidValue, match=message):
        write_brian2(current_based(), x, tmp_path / "net.py", **options)
    assert not list(tmp_path.iterdir())


def test_rate_units_and_other_names_are_refused(tmp_path):
    rate = RecurrentNetwork(N_IN, N_REC, N_OUT, LeakyRate())
    with pytest.raises(InvalidValue, match="must have spiking cells; got rate"):
        write_brian2(rate, spikes_in(5, 0.1), tmp_path / "net.py")
    with pytest.raises(InvalidValue, match=r"must end in \.py"):
        write_brian2(current_based(), spikes_in(5, 0.1), tmp_path / "net.txt")
