"""Rounding to integers at given scales, and back."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.description import keep_bits
from hardware.rounding import (
    UNIT,
    Rounding,
    Scales,
    describe,
    effective_weights,
    represented,
)
from spikelearn import ALIF, LIF
from spikelearn.connectivity import stack
from spikelearn.errors import InvalidValue, UnknownName
from tests.helpers import make_network

SCALES = Scales((20_000.0,), 50_000.0)


def network(**spec):
    spec.setdefault("cell", ALIF(tau_m=20.0, tau_a=100.0, beta=0.1))
    return make_network(0, n_in=8, n_rec=24, n_out=3, drive=1.5, bias=0.02, **spec)


@pytest.mark.parametrize("sign", ["mixed", "excitatory", "inhibitory"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_mantissas_are_nearest_on_the_grid_of_lava(bits, sign):
    everything = np.arange(-256, 256)
    grid = np.unique(keep_bits(everything, bits, sign))
    values = np.random.default_rng(bits).uniform(-300, 300, 500)
    rounded = Rounding(bits).mantissas(values, sign)
    nearest = np.abs(values[:, None] - grid).min(axis=1)
    np.testing.assert_allclose(np.abs(values - rounded), nearest, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(keep_bits(rounded, bits, sign), rounded)
    lower = Rounding(bits, "floor").mantissas(values, sign)
    inside = (values > grid[0]) & (values < grid[-1])
    step = grid[1] - grid[0]
    assert (lower[inside] <= values[inside]).all()
    assert (values[inside] - lower[inside] < step).all()


def test_stochastic_rounding_has_the_mean_of_the_weights():
    values = np.full(40_000, 3.3)
    rounded = Rounding(8, "stochastic", seed=1).mantissas(values, "mixed")
    assert set(rounded) == {2, 4}
    spread = 2 * np.sqrt(0.65 * 0.35 / values.size)
    assert abs(rounded.mean() - 3.3) < 4 * spread
    again = Rounding(8, "stochastic", seed=1).mantissas(values, "mixed")
    np.testing.assert_array_equal(rounded, again)
    for other in (
        Rounding(8, "stochastic", seed=2).mantissas(values, "mixed"),
        Rounding(8, "stochastic", seed=1).mantissas(values, "mixed", block=1),
    ):
        assert not np.array_equal(rounded, other)


@pytest.mark.parametrize("bits", range(2, 9))
def test_exponents_use_the_zeros_at_the_end_of_mantissas(bits):
    """A small block is as well represented as one of exponent 0 or 1."""
    zeros = Rounding(bits).dropped_bits("mixed")
    largest = np.abs(effective_weights(network(), 0)["w_rec"]).max()
    scales = Scales((400 * UNIT / largest,), 50_000.0)
    exponents, blocks = [], []
    for factor in (1.0, 2.0**-zeros):
        net = network()
        net.params.w_rec[...] *= factor
        block = describe(net, scales, 0, Rounding(bits)).w_rec
        exponents.append(block.exponent)
        blocks.append(block.weights)
    assert exponents[0] in (0, 1)
    assert exponents[1] == exponents[0] - zeros
    np.testing.assert_array_equal(*blocks)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("layers", [(24,), (14, 10)])
@pytest.mark.parametrize(
    "cell", [ALIF(beta=0.1), LIF(input_scaling="leak", v_th=0.05, tau_syn=4.0)]
)
def test_what_integers_stand_for_is_rounded_to_the_same_integers(bits, layers, cell):
    net = network(cell=cell, **stack(8, list(layers), 3))
    scales = Scales((20_000.0, 7_000.0)[: len(layers)], 50_000.0)
    description = describe(net, scales, 4, Rounding(bits))
    values = represented(net, description)
    assert not np.array_equal(values["w_rec"], net.params.w_rec)
    net.params.load(values)
    again = describe(net, scales, 4, Rounding(bits))
    for name in ("w_in", "w_rec", "w_out"):
        first, second = (getattr(d, name) for d in (description, again))
        np.testing.assert_array_equal(
            first.weights * 2.0**first.exponent, second.weights * 2.0**second.exponent
        )
    assert again.neurons == description.neurons
    assert again.readout == description.readout


def test_scales_survive_the_metadata():
    for scales in (SCALES, Scales((1.0, 2.5, 3.0), 4.0)):
        assert Scales.of(scales.metadata()) == scales


def test_wrong_options_are_refused():
    with pytest.raises(InvalidValue, match="2 to 8"):
        Rounding(9)
    with pytest.raises(UnknownName, match="Did you mean 'nearest'"):
        Rounding(8, "nearst")
