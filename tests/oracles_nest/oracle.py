"""Our specifications in NEST's terms, and NEST as a child process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.optimizers import Adam
from tests.oracles_nest.interpreter import find_python

DRIVER = Path(__file__).with_name("driver.py")
SURROGATES = {
    "triangular": "piecewise_linear",
    "fast-sigmoid": "fast_sigmoid_derivative",
    "exponential": "exponential",
    "arctan": "arctan_derivative",
}
TIME_LIMIT = 120.0  # seconds


def make_case(
    network, x, target, *, window, optimizer, firing_rate, feedback, batch_size=1
):
    """Translate a network and its trials into what the driver reads.

    x (N, T, n_in) are spikes, silent at the first two steps; target is (N, T, n_out),
    or (N,) classes. Only the last `window` steps count.

    Raises
    ------
    InvalidValue
        If the network has what NEST's models do not have.
    """
    cell, n = network.cell, network.n_rec
    require(network.dt == 1.0, "NEST case", "must have dt = 1 ms", network.dt)
    require(not x[:, :2].any(), "NEST case", "must be silent at steps 0, 1", "spikes")
    for name in ("bias", "b_out"):
        zero = not network.params.arrays()[name].any()
        require(zero, "NEST case", f"must have no {name}", "one")
    for part, value in ((cell.reset, "subtract"), (network.readout.scaling, "leak")):
        require(part == value, "NEST case", f"must be {value!r}", part)
    classification = target.ndim == 1
    case = {name: network.params.arrays()[name] for name in ("w_in", "w_rec", "w_out")}
    for name in ("v_th", "tau_m", "t_ref", "beta", "tau_a"):
        case[name] = cell.per_neuron(name, n)
    case |= {
        "x": x,
        "target": target,
        "window": window,
        "classification": classification,
        "batch_size": batch_size,
        "mask": network.mask,
        "feedback": feedback,
        "unit_scaling": cell.input_scaling == "unit",
        "surrogate": SURROGATES[cell.surrogate.name],
        "gamma": cell.surrogate.gamma,
        "width": cell.surrogate.width,
        "tau_out": network.readout.tau_out,
        "f_target": firing_rate.target_hz,
        "c_reg": firing_rate.strength,
        "optimizer": "gradient_descent",
        "lr": optimizer.lr,
    }
    if classification:
        # NEST's target is a signal, and it divides the whole gradient by the window.
        one_hot = np.eye(network.n_out)[target]
        case["target"] = np.repeat(one_hot[:, None], x.shape[1], axis=1)
        case["c_reg"] = firing_rate.strength * window
    if isinstance(optimizer, Adam):
        names = {"beta_1": optimizer.beta1, "beta_2": optimizer.beta2}
        case |= names | {"optimizer": "adam", "epsilon": optimizer.eps}
    return case


def train_with_nest(case, folder):
    """Run a case in NEST and return the driver's answer as a dict of arrays.

    Raises
    ------
    RuntimeError
        If there is no NEST, or it fails.
    subprocess.TimeoutExpired
        If it takes longer than the time limit.
    """
    python = find_python()
    if python is None:
        raise RuntimeError("no Python with NEST was found. (make nest)")
    paths = folder / "case.npz", folder / "answer.npz"
    np.savez(paths[0], **case)
    # Isolated: neither our modules nor the user's are importable there.
    command = [python, "-I", str(DRIVER), *map(str, paths)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    if done.returncode:
        raise RuntimeError(f"NEST failed: {done.stderr[-2000:]}")
    with np.load(paths[1]) as arrays:
        return dict(arrays)
