"""Configuration: sources in order, names with suggestions, values checked at once."""

import dataclasses

import pytest
import tomli_w

from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    UnknownName,
)
from spikelearn.runs import load_config, resolve_config
from spikelearn.tasks import TASKS, make
from tests.helpers import TASK_NAMES


@pytest.mark.parametrize("name", TASK_NAMES)
def test_what_a_task_recommends_is_a_valid_configuration(name):
    config = resolve_config({"task": {"name": name}})
    for section, values in make(name).recommended.items():
        for key, value in values.items():
            assert getattr(getattr(config, section), key) == value


def test_later_sources_win():
    values = {"task": {"name": "digits-rows"}, "network": {"n_rec": 50}}
    assert resolve_config(values).network.n_rec == 50
    assert resolve_config(values, ["network.n_rec=60"]).network.n_rec == 60
    assert resolve_config(values, ["n_rec=60", "n_rec=70"]).network.n_rec == 70
    assert values["network"]["n_rec"] == 50, "what was handed in stays as it was"


def test_values_of_overrides_are_toml_or_bare_words():
    config = resolve_config(
        {},
        [
            "task.name=digits-rows",
            "task.shift=1",
            "network.beta=[0.1,0.2]",
            "lr=1e-2",
            "feedback=adaptive",
            'optimizer.form="tf1"',
        ],
    )
    assert config.task.parameters()["shift"] == 1
    assert config.network.beta == [0.1, 0.2]
    assert config.optimizer.lr == 0.01
    assert config.learning.feedback == "adaptive"
    assert config.optimizer.form == "tf1"


def test_a_resolved_configuration_survives_toml(tmp_path):
    config = resolve_config({}, ["task.name=evidence-accumulation", "seed=3"])
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config.to_dict()))
    assert resolve_config(load_config(path)) == config


@pytest.mark.parametrize("name", TASK_NAMES)
def test_all_parameters_of_the_task_are_written(name, tmp_path):
    config = resolve_config({"task": {"name": name}})
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config.to_dict()))
    written = load_config(path)["task"]
    names = {field.name for field in dataclasses.fields(TASKS[name])}
    assert written.keys() == names | {"name"}
    recommended = make(name).recommended.get("task", {})
    assert make(written.pop("name"), **written) == make(name, **recommended)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("netwrok.n_rec=3", "Did you mean 'network'"),
        ("network.n_recc=3", "Did you mean 'n_rec'"),
        ("n_recc=3", "Did you mean 'n_rec'"),
        ("task.steps_per_rwo=3", "Did you mean 'steps_per_row'"),
        ("task.name=digit-rows", "Did you mean 'digits-rows'"),
        ("learning.optoins.mu=1", "Did you mean 'options'"),
        ("network.layer=[3]", "Did you mean 'layers'"),
    ],
)
def test_unknown_names_get_a_suggestion(override, message):
    with pytest.raises(UnknownName, match=message):
        resolve_config({"task": {"name": "digits-rows"}}, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("n_rec=abc", r"^network\.n_rec must be a valid integer, .*; got 'abc'\.$"),
        ("n_rec=0", r"^network\.n_rec must be greater than or equal to 1; got 0\.$"),
        ("tau_m=abc", r"network\.tau_m must be a valid number, .*; got 'abc'\."),
        ("tau_m=[1.0,'x']", r"network\.tau_m\.1 must be a valid number.*got 'x'\."),
        ("lr=nan", r"optimizer\.lr.*nan"),
        ("cell=GIF", r"network\.cell.*'GIF'"),
        ("iterations=-4", r"training\.iterations.*-4"),
        ("n_rec", "key=value"),
        ("n_rec=", "key=value"),
        ("layers=3", r"network\.layers must be a valid list; got 3"),
        ("layers=[3,'x']", r"network\.layers\.1 must be a valid integer.*got 'x'"),
        ("recurrent=maybe", r"network\.recurrent must be a valid boolean.*'maybe'"),
        ("longest_delay=1.5", r"network\.longest_delay must be a valid integer"),
        ("update_every=-1", r"learning\.update_every must be greater than or equal"),
        ("learning.options=3", r"learning\.options must be a valid dictionary; got 3"),
    ],
)
def test_wrong_values_are_named(override, message):
    with pytest.raises(InvalidValue, match=message):
        resolve_config({"task": {"name": "digits-rows"}}, [override])


def test_all_wrong_values_are_listed_at_once():
    overrides = ["task.name=digits-rows", "n_rec=0", "iterations=0"]
    with pytest.raises(InvalidValue, match=r"(?s)network\.n_rec.*training\.iterations"):
        resolve_config({}, overrides)


def test_options_of_a_rule_are_a_table_of_their_own():
    values = {
        "task": {"name": "digits-rows"},
        "learning": {"rule": "mdgl", "options": {"variant": "online"}},
    }
    overrides = ["learning.options.non_local=true", "learning.options.mu=0.3"]
    options = resolve_config(values, overrides).learning.options
    assert options == {"variant": "online", "non_local": True, "mu": 0.3}
    assert values["learning"]["options"] == {"variant": "online"}
    later = resolve_config(values, ["learning.options.variant=one-hop"])
    assert later.learning.options == {"variant": "one-hop"}


def test_nested_values_survive_toml(tmp_path):
    overrides = [
        "task.name=digits-rows",
        "learning.options.mu=0.3",
        "layers=[60,40]",
        "recurrent=[true,false]",
        "cell_types=[0,1]",
        "excitatory_fraction=0.8",
    ]
    config = resolve_config({}, overrides)
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(config.to_dict()))
    assert resolve_config(load_config(path)) == config
    assert config.network.layers == [60, 40]
    assert config.network.recurrent == [True, False]


def test_an_override_below_a_value_is_refused():
    values = {"task": {"name": "digits-rows"}, "network": 3}
    with pytest.raises(InvalidValue, match=r"'network\.n_rec=3' must name a table"):
        resolve_config(values, ["network.n_rec=3"])


def test_a_task_is_needed():
    with pytest.raises(InvalidValue, match=r"task\.name"):
        resolve_config({})


def test_a_section_must_be_a_table():
    with pytest.raises(InvalidValue, match=r"\[network\]"):
        resolve_config({"task": {"name": "digits-rows"}, "network": 3})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileAccessError):
        load_config(tmp_path / "absent.toml")
    path = tmp_path / "bad.toml"
    path.write_text("[network\n")
    with pytest.raises(FileFormatError, match=r"bad\.toml"):
        load_config(path)
