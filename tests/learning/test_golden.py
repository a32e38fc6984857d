"""The published losses of two e-prop tasks, to 1e-9 relative."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.optimizers import SGD, Adam
from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork
from tests.plain_training import train
from tests.reference import golden

pytestmark = pytest.mark.golden


def _losses(*setting):
    return [iteration.loss for iteration in train(*setting)]


def _regression(strength=300.0):
    weights, feedback, x, target = golden.regression_draws()
    network = RecurrentNetwork(
        100,
        100,
        1,
        cell=LIF(tau_m=30.0, v_th=0.03, input_scaling="leak"),
        readout=LeakyReadout(30.0, "leak"),
        dtype="float64",
    )
    network.params.load(network.params.arrays() | weights)
    return _losses(
        network,
        Regression(),
        np.ones(1000),
        SGD(1e-4),
        FiringRate(10.0, strength),
        feedback,
        [(x, target)] * len(golden.REGRESSION_NEST),
    )


def _classification(batch_size, form="tf1"):
    n_iterations = len(golden.CLASSIFICATION_NEST[batch_size])
    weights, feedback, batches = golden.classification_draws(n_iterations, batch_size)
    scale = (1 - np.exp(-1 / 2000)) / (1 - np.exp(-1 / 20))
    network = RecurrentNetwork(
        40,
        100,
        2,
        cell=ALIF(
            tau_m=20.0,
            v_th=0.6,
            t_ref=5.0,
            tau_a=2000.0,
            beta=np.repeat([0.0, 1.7 * scale], 50),
        ),
        readout=LeakyReadout(20.0, "leak"),
        dtype="float64",
    )
    network.params.load(network.params.arrays() | weights)
    mask = np.zeros(2250)
    mask[-150:] = 1.0
    return _losses(
        network,
        Classification(),
        mask,
        Adam(5e-3, form=form),
        FiringRate(10.0, 2.0),
        feedback,
        batches,
    )


def test_regression_losses():
    np.testing.assert_allclose(_regression(), golden.REGRESSION_NEST, rtol=1e-9)


@pytest.mark.parametrize("batch_size", golden.CLASSIFICATION_NEST)
def test_classification_losses(batch_size):
    expected = golden.CLASSIFICATION_NEST[batch_size]
    np.testing.assert_allclose(_classification(batch_size), expected, rtol=1e-9)


def test_the_numbers_notice_a_small_change():
    """Negative control: strength of the regulariser, form of Adam."""
    changed = _regression(strength=300.3)
    assert changed[0] == pytest.approx(golden.REGRESSION_NEST[0], rel=1e-9)
    assert changed[-1] != pytest.approx(golden.REGRESSION_NEST[-1], rel=1e-7)
    expected = golden.CLASSIFICATION_NEST[1]
    changed = _classification(1, form="pytorch")
    assert changed[0] == pytest.approx(expected[0], rel=1e-9)
    assert changed[-1] != pytest.approx(expected[-1], rel=1e-7)
