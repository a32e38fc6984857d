"""Networks, batches and an oracle that tests of curvature share."""

from __future__ import annotations

import numpy as np

from spikelearn.learning.losses import Classification, Regression
from spikelearn.network import LeakyRate, LeakyReadout
from spikelearn.tasks import Batch
from tests.helpers import make_network

CELLS = {
    "relu": LeakyRate(5.0),
    "relu outside": LeakyRate(5.0, 3.0, placement="outside"),
    "tanh": LeakyRate(6.0, 0.0, "tanh"),
    "tanh synapse": LeakyRate(6.0, 4.0, "tanh"),
    "tanh outside": LeakyRate(6.0, 0.0, "tanh", "outside"),
    "softplus": LeakyRate(0.0, 3.0, "softplus", input_scaling="unit"),
    "softplus outside": LeakyRate(6.0, 3.0, "softplus", "outside"),
}
LOSSES = {
    "trial": Classification(),
    "steps": Classification(),
    "sum": Regression(),
    "mean": Regression("mean"),
}
ALL = ("w_in", "w_rec", "w_out", "b_out", "bias")


def make_batch(loss="trial", seed=0, *, n_steps=9, n_samples=4, n_in=3, n_out=3):
    """Draw graded input, a target of a kind of loss, and a mask with gaps."""
    rng = np.random.default_rng(seed + 20)
    x = rng.standard_normal((n_steps, n_samples, n_in)).astype(np.float32)
    mask = np.ones((n_steps, n_samples), np.float32)
    mask[: n_steps // 2] = rng.random((n_steps // 2, n_samples)) < 0.4
    if loss in ("trial", "steps"):
        shape = (n_samples,) if loss == "trial" else (n_steps, n_samples)
        target = rng.integers(0, n_out, shape)
    else:
        target = rng.standard_normal((n_steps, n_samples, n_out))
    return Batch(x, target, mask)


def make_rate(cell="tanh", seed=0, *, n_rec=5, gain=1.4, **spec):
    """Return a small network that is not quiet, with biases."""
    network = make_network(
        seed,
        n_in=3,
        n_rec=n_rec,
        n_out=3,
        bias=0.3,
        gain=gain,
        cell=CELLS[cell] if isinstance(cell, str) else cell,
        readout=spec.pop("readout", LeakyReadout(4.0)),
        **spec,
    )
    return network
