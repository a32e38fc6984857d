"""Specifications: ranges, messages, constants."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.network import ALIF, LIF, LeakyReadout, Surrogate
from spikelearn.network.cells import decay_factor
from tests.helpers import examples

INF, NAN = math.inf, math.nan
POSITIVE = (0.0, -200.0, INF, NAN, np.array([1.0, -1.0]), np.array([1.0, NAN]))
NON_NEGATIVE = (-1e-9, -3.0, INF, NAN, np.array([0.0, -1.0]))
OUT_OF_RANGE = [
    *((LIF, name, bad) for name in ("tau_m", "v_th") for bad in POSITIVE),
    *((LIF, name, bad) for name in ("tau_syn", "t_ref") for bad in NON_NEGATIVE),
    *((ALIF, name, bad) for name in ("tau_m", "v_th", "tau_a") for bad in POSITIVE),
    *((ALIF, name, bad) for name in ("t_ref", "beta") for bad in NON_NEGATIVE),
    *((cell, "reset", bad) for cell in (LIF, ALIF) for bad in ("soft", "", None)),
    *((cell, "input_scaling", "gain") for cell in (LIF, ALIF)),
    *((Surrogate, name, bad) for name in ("gamma", "width") for bad in POSITIVE[:4]),
    *((LeakyReadout, "tau_out", bad) for bad in NON_NEGATIVE[:4]),
    (LeakyReadout, "scaling", "norm"),
]


@pytest.mark.parametrize(("kind", "name", "bad"), OUT_OF_RANGE)
def test_a_parameter_out_of_range_names_itself(kind, name, bad):
    with pytest.raises(InvalidValue, match=rf"^{kind.__name__}\.{name} must be .*got "):
        kind(**{name: bad})


def test_the_message_of_the_manual():
    with pytest.raises(InvalidValue) as caught:
        ALIF(tau_a=-200)
    expected = "ALIF.tau_a must be > 0 ms; got -200. (Time constants are in ms.)"
    assert str(caught.value) == expected


def test_an_unknown_surrogate_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"'triangle'.*Did you mean 'triangular'\?"):
        Surrogate("triangle")


@pytest.mark.parametrize("name", ["tau_m", "tau_syn", "v_th", "t_ref"])
@pytest.mark.parametrize("cell", [LIF, ALIF])
def test_an_array_of_the_wrong_length_is_an_error(cell, name):
    spec = cell(**{name: np.ones(3)})
    where = rf"^{cell.__name__}\.{name} must be .* shape \(4,\); got shape \(3,\)"
    with pytest.raises(InvalidValue, match=where):
        spec.constants(4, 1.0, "float64")


def test_specifications_are_frozen():
    for spec, name in ((LIF(), "tau_m"), (LeakyReadout(), "tau_out")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, name, 1.0)


@examples
@given(tau=st.floats(0.01, 1e4), dt=st.floats(0.01, 10.0))
def test_decay_factor(tau, dt):
    assert float(decay_factor(tau, dt)) == pytest.approx(math.exp(-dt / tau))


def test_no_time_constant_means_no_memory():
    assert decay_factor([0.0, 10.0], 1.0).tolist() == [0.0, math.exp(-0.1)]


def test_constants_of_heterogeneous_neurons():
    cell = ALIF(
        tau_m=np.array([10.0, 20.0]),
        tau_syn=np.array([0.0, 5.0]),
        t_ref=np.array([0.0, 2.0]),
        tau_a=np.array([100.0, 50.0]),
        beta=np.array([0.0, 0.4]),
        input_scaling="leak",
    )
    c = cell.constants(2, 0.5, "float32")
    alpha_m = np.exp([-0.05, -0.025])
    expected = {
        "alpha_m": alpha_m,
        "alpha_s": [0.0, math.exp(-0.1)],
        "zeta": 1 - alpha_m,
        "rho": np.exp([-0.005, -0.01]),
        "beta": [0.0, 0.4],
        "v_th": [1.0, 1.0],
    }
    for name, value in expected.items():
        assert getattr(c, name).dtype == np.float32
        np.testing.assert_allclose(getattr(c, name), value, rtol=1e-6, err_msg=name)
    assert c.n_ref.tolist() == [0, 4]
    assert c.has_synaptic_current
    assert c.has_adaptation
    assert c.has_refractory


def test_flags_are_off_when_no_neuron_has_the_mechanism():
    c = LIF(t_ref=1.0).constants(3, 1.0, "float64")
    assert not c.has_synaptic_current
    assert not c.has_adaptation
    assert not c.has_refractory, "a counter of one step silences nothing"


@pytest.mark.parametrize(
    ("scaling", "gain"), [("unit", 1.0), ("leak", 1 - math.exp(-0.05))]
)
def test_readout_factors(scaling, gain):
    kappa, c = LeakyReadout(10.0, scaling).factors(0.5)
    assert kappa == pytest.approx(math.exp(-0.05))
    assert c == pytest.approx(gain)
    assert LeakyReadout(0.0, scaling).factors(0.5) == (0.0, 1.0)
