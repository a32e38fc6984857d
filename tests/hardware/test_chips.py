"""The chip table: every number has a source, unknown numbers stay unknown."""

from __future__ import annotations

import pytest

from hardware.chips import CHIPS, chip, limits_table
from hardware.description import NeuronParameters
from spikelearn.errors import HardwareError, UnknownName


@pytest.mark.parametrize("name", CHIPS)
def test_every_limit_has_a_source(name):
    spec = chip(name)
    assert spec.name == name and spec.title and spec.note
    rows = limits_table(name)
    assert len(rows) == len(spec.limits()) > 20
    for (label, value, source), limit in zip(rows, spec.limits().values(), strict=True):
        assert label and source
        assert value == ("unknown" if limit.value is None else str(limit.value))
        assert (limit.value is None) == (source == "no public source found")


def test_known_numbers():
    loihi1 = chip("loihi1")
    assert loihi1.cores.value * loihi1.neurons_per_core.value == loihi1.neurons.value
    assert loihi1.synapse_memory_per_core.value == 128 * 1024 * 8
    assert chip("loihi2").neurons_per_core.value is None


def test_the_description_keeps_the_register_widths_of_loihi():
    spec = chip("loihi1")
    names = ("du", "dv", "bias_mant", "bias_exp", "vth", "beta", "db", "refractory")
    base = {name: [0] for name in names}
    largest = {
        "dv": 2**spec.decay_bits.value - 1,
        "vth": 2**spec.threshold_mantissa_bits.value - 1,
        "bias_mant": 2 ** (spec.bias_mantissa_bits.value - 1) - 1,
        "bias_exp": spec.bias_exponent_max.value,
        "refractory": spec.refractory_max.value,
    }
    for name, value in largest.items():
        NeuronParameters(**base | {name: [value]})
        with pytest.raises(HardwareError, match=name):
            NeuronParameters(**base | {name: [value + 1]})


def test_unknown_chip():
    with pytest.raises(UnknownName, match="Did you mean 'loihi2'"):
        chip("loihi3x2")
