"""Tangent kernels equal those of per-sample gradients by autograd in torch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spikelearn.analysis.tangent_kernel import tangent_kernel
from spikelearn.learning.rules import BPTT, EProp
from tests.oracles.cases import N_OUT, N_SAMPLES, TYPES, build, draw_input, rule
from tests.oracles.definitions import definition, loss_gradients

pytestmark = pytest.mark.torch

STEPS = (4, 11)
N_STEPS = 12
CASES = (
    "LIF",
    "LIF reset to zero",
    "ALIF",
    "ALIF delays, current",
    "LIF delays, masks",
    "rate tanh inside",
    "rate relu masks",
    "rate softplus outside delays",
)


def true_rows(network, x, *, reset=False):
    """Return J, a row per (b, t, k), from the derivatives of single outputs."""
    rows = [
        loss_gradients(network, x, lambda y, at=(t, b, k): y[at], reset=reset)["w_rec"]
        for b in range(N_SAMPLES)
        for t in STEPS
        for k in range(N_OUT)
    ]
    return np.array([row.ravel() for row in rows])


def local_rows(network, x, name, **options):
    """Return the local Jacobian of a rule from its definition."""
    rows = []
    for b in range(N_SAMPLES):
        for t in STEPS:
            for k in range(N_OUT):
                error = np.zeros((*x.shape[:2], N_OUT))
                error[t, b, k] = 1.0
                signal = SimpleNamespace(error=error, feedback=network.params.w_out.T)
                row = definition(name, options, network, x, signal)["w_rec"]
                rows.append(row.ravel())
    return np.array(rows)


def apart(got, expected):
    return np.abs(got - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("changes", [{}, {"mask": None}], ids=["all", "no self"])
@pytest.mark.parametrize("case", CASES)
def test_kernels_of_bptt_and_e_prop(case, changes):
    network, x = build(case, **changes), 2.0 * draw_input(n_steps=N_STEPS)
    true, local = true_rows(network, x), local_rows(network, x, "EProp")
    assert np.linalg.matrix_rank(true) > 4
    for options, expected in (
        ({}, true @ true.T),
        ({"rule": EProp()}, local @ local.T),
        ({"rule": BPTT(), "other": EProp()}, true @ local.T),
    ):
        got = tangent_kernel(network, x, steps=STEPS, **options)
        assert apart(got, expected) < 1e-8
        assert apart(got, expected * (1 + 1e-6)) > 1e-8
    assert apart(local @ local.T, true @ true.T) > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SnAp1", {}),
        ("MDGL", {"variant": "cell-types"}),
        ("MDGL", {"variant": "online"}),
        ("ModProp", {"mu": 0.6}),
    ],
)
@pytest.mark.parametrize("case", ["ALIF", "rate tanh inside"])
def test_kernels_of_other_rules(case, name, options):
    network = build(case, cell_types=TYPES)
    x = 2.0 * draw_input(n_steps=N_STEPS)
    rows = local_rows(network, x, name, **options)
    got = tangent_kernel(network, x, rule=rule(name, **options), steps=STEPS)
    assert apart(got, rows @ rows.T) < 1e-8
    e_prop = tangent_kernel(network, x, rule=EProp(), steps=STEPS)
    if (case, name) != ("rate tanh inside", "SnAp1"):
        assert apart(e_prop, got) > 1e-4


def test_kernel_through_the_reset():
    network, x = build("LIF"), 2.0 * draw_input(n_steps=N_STEPS)
    rows = true_rows(network, x, reset=True)
    got = tangent_kernel(network, x, rule=BPTT(reset=True), steps=STEPS)
    assert apart(got, rows @ rows.T) < 1e-8
    assert apart(tangent_kernel(network, x, steps=STEPS), got) > 1e-4
