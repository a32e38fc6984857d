"""The chip table: every number has a source, unknown numbers stay unknown."""

from __future__ import annotations

import pytest

from hardware._chip_types import FORMS, UNKNOWN
from hardware.chip_effects import MAX_CHIP_REFRACTORY
from hardware.chips import CHIPS, ChipSpec, Limit, chip, limits_table, load_chip
from hardware.description import NeuronParameters
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    HardwareError,
    InvalidValue,
    UnknownName,
)

NAMES = ("loihi1", "loihi2", "lava", "xylo", "spinnaker2", "brainscales2", "speck")


def test_the_chips_there_are():
    assert tuple(CHIPS) == NAMES


@pytest.mark.parametrize("name", CHIPS)
def test_every_limit_has_a_source(name):
    spec = chip(name)
    assert spec.name == name and spec.title and spec.note
    rows = limits_table(name)
    assert len(rows) == len(spec.limits()) == len(FORMS) > 20
    for (label, value, source), limit in zip(rows, spec.limits().values(), strict=True):
        assert label and source and value == str(limit)
        assert (limit.value is None) == (source == UNKNOWN.source)


def test_known_numbers():
    loihi1 = chip("loihi1")
    assert loihi1.cores.value * loihi1.neurons_per_core.value == loihi1.neurons.value
    assert loihi1.synapse_memory_per_core.value == 128 * 1024 * 8
    assert chip("loihi2").neurons_per_core.value is None
    assert chip("xylo").hidden_neurons.value + chip("xylo").outputs.value == 1024
    assert chip("brainscales2").synapses.value == 512 * 256
    assert 7 not in chip("loihi1").weight_bits.choices


def test_the_description_keeps_the_register_widths_of_loihi():
    spec = chip("loihi1")
    names = ("du", "dv", "bias_mant", "bias_exp", "vth", "beta", "db", "refractory")
    base = {name: [0] for name in names}
    largest = {
        "dv": 2**spec.decay_bits.value - 1,
        "vth": 2**spec.threshold_mantissa_bits.value - 1,
        "bias_mant": 2 ** (spec.bias_mantissa_bits.value - 1) - 1,
        "bias_exp": spec.bias_exponent_max.value,
        "refractory": chip("lava").refractory_max.value,  # one more than the chip has
    }
    assert largest["refractory"] == spec.refractory_max.value + 1
    assert spec.refractory_max.value == MAX_CHIP_REFRACTORY
    for name, value in largest.items():
        NeuronParameters(**base | {name: [value]})
        with pytest.raises(HardwareError, match=name):
            NeuronParameters(**base | {name: [value + 1]})


def test_unknown_chip():
    with pytest.raises(UnknownName, match="Did you mean 'loihi2'"):
        chip("loihi3x2")


# Chips of one's own ------------------------------------------------------------------

GOOD = """
title = "Test chip"
[neurons_per_core]
value = 256
source = "data sheet"
[weight_bits]
value = [4, 8]
source = "data sheet"
[resets]
value = ["zero"]
source = "data sheet"
[recurrence]
value = false
source = "data sheet"
[weight_exponent_min]
value = -3
source = "data sheet"
"""


def written(tmp_path, text, name="own.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_chip_of_ones_own(tmp_path):
    path = written(tmp_path, GOOD)
    spec = load_chip(path)
    assert (spec.name, spec.title) == ("own", "Test chip")
    assert spec.neurons_per_core == Limit(256, "data sheet")
    assert spec.weight_bits.choices == (4, 8)
    assert spec.recurrence.value is False and str(spec.recurrence) == "no"
    assert spec.weight_exponent_min.number == -3
    assert spec.cores == UNKNOWN
    assert chip(path) == chip(str(path)) == chip(spec) == spec
    assert limits_table(path)[0] == ("cores", "unknown", UNKNOWN.source)


def test_every_field_is_optional(tmp_path):
    assert load_chip(written(tmp_path, "")) == ChipSpec("own")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cores = 4", "cores must be a table with value and source; got 4"),
        ("[cores]\nvalue = 4", "cores.source must say where the value comes from"),
        ("[cores]\nvalue = 4\nsource = ' '", "number without a source is not accepted"),
        ("[cores]\nsource = 'x'", "cores.value must be given; got none"),
        ("[core]\nvalue = 4\nsource = 'x'", "unknown key 'core'. Did you mean 'cores'"),
        ("[cores]\nvalu = 4\nsource = 'x'", r"\[cores\] 'valu'. Did you mean 'value'"),
        ("[cores]\nvalue = -4\nsource = 'x'", "cores.value must be a whole number"),
        ("[cores]\nvalue = true\nsource = 'x'", "cores.value must be a whole number"),
        ("[cores]\nvalue = 4.0\nsource = 'x'", "cores.value must be a whole number"),
        ("[voltage_bits]\nvalue = 999\nsource = 'x'", "whole number of 1 to 64"),
        ("[resets]\nvalue = ['none']\nsource = 'x'", "a list of subtract, zero"),
        ("[resets]\nvalue = []\nsource = 'x'", "a list of subtract, zero"),
        ("[recurrence]\nvalue = 1\nsource = 'x'", "must be true or false"),
        ("[decay_form]\nvalue = 'bits'\nsource = 'x'", "one of fraction, shift"),
        ("[weight_bits]\nvalue = 8\nsource = 'x'", "a list of whole numbers"),
        ("title = 3", "title must be a text; got 3"),
        ("cores = ", "is not valid TOML"),
    ],
)
def test_mistakes_in_a_file_are_refused(tmp_path, text, message):
    with pytest.raises(FileFormatError, match=message):
        load_chip(written(tmp_path, text))


def test_all_mistakes_of_a_file_at_once(tmp_path):
    text = "coress = 1\n[neurons]\nvalue = 3\n[resets]\nvalue = 4\nsource = 'x'"
    with pytest.raises(FileFormatError) as error:
        load_chip(written(tmp_path, text))
    assert len(str(error.value).splitlines()) == 3


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileAccessError, match="must be readable"):
        chip(tmp_path / "absent.toml")
    large = written(tmp_path, "#" * (2**20 + 1))
    with pytest.raises(FileFormatError, match="at most 1048576 bytes"):
        load_chip(large)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not valid TOML"):
        load_chip(tmp_path / "binary.toml")


def test_a_wrong_kind_is_refused_in_code():
    with pytest.raises(InvalidValue, match="cores must be a whole number"):
        ChipSpec("own", cores=Limit("many", "x"))
