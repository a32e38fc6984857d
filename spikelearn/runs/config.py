"""Configuration of a run: pydantic models, TOML files, `key=value` overrides.

Values come, later ones winning, from the defaults below, from what the task recommends,
from the file, from the overrides.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikelearn import tasks
from spikelearn.connectivity import parse
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    unknown_name,
)
from spikelearn.network import Params

__all__ = ["RunConfig", "load_config", "resolve_config", "validation_message"]

Numbers = float | list[float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TaskConfig(BaseModel):
    """`[task]`: a name of `spikelearn tasks` and that task's own parameters.

    `resolve_config` fills in those that were not given.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    def parameters(self) -> dict[str, Any]:
        """Return the parameters beside the name."""
        return dict(self.model_extra or {})


class NetworkConfig(_Section):
    """`[network]`: population, connectivity, readout. Times in ms.

    Cell parameters are numbers or lists with one number per neuron. The last
    `adaptive_fraction` of ALIF neurons adapt; the others have beta = 0. `layers` stacks
    layers of these sizes (n_rec is their sum), recurrent or feed-forward as `recurrent`
    says. Delays are in steps; with `longest_delay` they are drawn evenly between the
    two. The first `excitatory_fraction` of each layer is excitatory, the rest
    inhibitory (Dale's law), and these are the cell types unless `cell_types` lists
    others. `input_scaling` defaults to the cell's own: "unit" if it spikes, or "leak".

    `connectivity` is a family of recurrent matrices (`spikelearn.connectivity`), such
    as "low_rank(rank=1)", times `gain`; it takes the place of the keys on density,
    layers, delays and types. `match` scales it until "frobenius", "spectral_radius" or
    "lyapunov" is `match_value`, by default that of a Gaussian draw of the same gain and
    seed.
    """

    cell: Literal["LIF", "ALIF", "rate"] = "ALIF"
    n_rec: int = Field(100, ge=1, le=100_000)
    layers: list[int] | None = None
    recurrent: bool | list[bool] = True
    delay: int = Field(1, ge=1, le=100_000)
    longest_delay: int | None = Field(None, ge=1, le=100_000)
    excitatory_fraction: float | None = Field(None, ge=0, le=1)
    cell_types: list[int] | None = None
    activation: str = "relu"
    placement: str = "inside"
    adaptive_fraction: float = Field(1.0, ge=0, le=1)
    tau_m: Numbers = 20.0
    tau_syn: Numbers = 0.0
    tau_a: Numbers = 200.0
    beta: Numbers = 0.1
    v_th: Numbers = 1.0
    t_ref: Numbers = 0.0
    reset: str = "subtract"
    input_scaling: str | None = None
    tau_out: float = 20.0
    readout_scaling: str = "leak"
    gain: float = 1.0
    gain_in: float = 1.0
    gain_out: float = 1.0
    density: float = Field(1.0, gt=0, le=1)
    connectivity: str | None = None
    match: Literal["frobenius", "spectral_radius", "lyapunov"] | None = None
    match_value: float | None = None
    surrogate: str = "triangular"
    gamma: float = 0.3
    width: float = 1.0
    dtype: str = "float32"


class LearningConfig(_Section):
    """`[learning]`: rule, learning signal, homeostasis, Oja's rule, loss.

    `options` are the parameters of the rule. `update_every` steps within a trial rules
    that can be credited online update the weights; 0 is at its end. `oja_form` adds
    Oja's rule to the recurrent weights, `recurrent_decay` its control.
    """

    rule: str = "e-prop"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    update_every: int = Field(0, ge=0)
    feedback: str = "random"
    feedback_scale: float | None = None
    feedback_decay: float = 1e-3
    feedback_noise: float = 0.0
    rate_target_hz: float = 10.0
    rate_strength: float = 0.0
    oja_form: str | None = None
    oja_strength: float = 1e-3
    oja_row_norm: float = 1.0
    oja_max_step: float = 0.5
    recurrent_decay: float = 0.0
    gamma: float = 0.99
    value_weight: float = 0.5
    entropy: float = 0.0
    reduction: str = "sum"
    trainable: list[str] = Field(default_factory=lambda: list(Params.names))


class OptimizerConfig(_Section):
    """`[optimizer]`: name, step size, and what is done to gradients before it."""

    name: Literal["sgd", "adam"] = "adam"
    lr: float = 1e-3
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    form: str = "pytorch"
    schedule: str = "constant"
    clip_norm: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.0, ge=0)


class TrainingConfig(_Section):
    """`[training]`: length, batches, seed, how often to evaluate and to save.

    `start` is the folder of a run whose best weights training begins with. With
    `snapshots` the weights after 0, 1, 2, 4, 8, ... iterations and the last one are
    kept in the run folder, unless they would take more than 256 MiB.
    """

    start: str | None = None
    iterations: int = Field(1000, ge=1)
    batch_size: int = Field(32, ge=1)
    seed: int = Field(0, ge=0)
    evaluate_every: int = Field(100, ge=1)
    evaluate_samples: int | None = Field(None, ge=1)
    checkpoint_every: int = Field(50, ge=1)
    snapshots: bool = True


class FlossingConfig(_Section):
    """`[flossing]`: where the Lyapunov exponents are pulled to, and when.

    Keys as in `spikelearn.Flossing`; `jacobian_surrogate` and `jacobian_width` are the
    pseudo-derivative in its Jacobian. With `intrinsic_target_hz` the biases of spiking
    cells move towards this rate at every trial, `intrinsic_strength` thresholds at most
    (`spikelearn.IntrinsicPlasticity`). Without the section nothing of it happens.
    """

    term: str = "tangent"
    k: int = Field(1, ge=1)
    target: float = 0.0
    rate: float = 0.3
    normalised: bool = True
    dead_zone: float = 0.0
    clip: float = 0.1
    max_step: float = 3.0
    smoothing: float = 1.0
    jacobian_surrogate: str = "fast-sigmoid"
    jacobian_width: float = 1.0
    pre_episodes: int = Field(0, ge=0)
    every: int = Field(0, ge=0)
    inter_episodes: int = Field(0, ge=0)
    times: int = Field(1, ge=0)
    continuous: bool = False
    intrinsic_target_hz: float | None = None
    intrinsic_strength: float = 0.2


class HardwareConfig(_Section):
    """`[hardware]`: what a chip allows, kept to while the network learns.

    With `weight_bits` the network runs as integers with weights of so many bits
    (quantisation-aware training); `fan_in` is the largest number of synapses of a
    neuron, inputs and recurrent ones together, and of a readout neuron. Without the
    section, nothing of it.
    """

    weight_bits: int | None = Field(None, ge=2, le=8)
    fan_in: int | None = Field(None, ge=1)


class RunConfig(_Section):
    """Everything that determines the numbers of a run."""

    task: TaskConfig
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    learning: LearningConfig = Field(default_factory=LearningConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    flossing: FlossingConfig | None = None
    hardware: HardwareConfig | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values, as they are written to `config.toml`."""
        return self.model_dump(exclude_none=True)

    def digest(self) -> np.ndarray:
        """Return 32 bytes that differ between runs with different numbers.

        They are the SHA-256 of the values as canonical JSON. The number of iterations
        is left out where it only says when to stop: a run can then be prolonged. So is
        whether weights are kept on the way.
        """
        values = self.to_dict()
        del values["training"]["snapshots"]
        if self.optimizer.schedule == "constant":
            del values["training"]["iterations"]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)


SECTIONS: dict[str, type[BaseModel]] = {
    "task": TaskConfig,
    "network": NetworkConfig,
    "learning": LearningConfig,
    "optimizer": OptimizerConfig,
    "training": TrainingConfig,
    "flossing": FlossingConfig,
    "hardware": HardwareConfig,
}


def load_config(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into nested values.

    Raises
    ------
    FileAccessError, FileFormatError
        If it cannot be read, or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise FileAccessError(
            f"config {str(path)!r} must be readable; got: {error.strerror}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"config {str(path)!r} is not valid TOML: {error}."
        raise FileFormatError(message) from error


def resolve_config(
    values: dict[str, Any] | None = None, overrides: Iterable[str] = ()
) -> RunConfig:
    """Fill, override and check a configuration.

    Parameters
    ----------
    values
        Nested values, as from `load_config`.
    overrides
        Strings `section.key=value` (or `key=value` where only one section has the
        key); values are written as in TOML, strings may go without quotes.

    Raises
    ------
    UnknownName
        For an unknown section, key, task or task parameter, with a suggestion.
    InvalidValue
        For a value of the wrong type or out of range; all of them at once.
    """
    given: dict[str, Any] = {}
    _merge(given, values or {})
    for text in overrides:
        _override(given, text)
    _check_names(given)
    task = given.get("task")
    if not isinstance(task, dict) or not isinstance(task.get("name"), str):
        raise InvalidValue(
            f"task.name must be a task's name; got {task!r}. (See: spikelearn tasks.)"
        )
    merged: dict[str, Any] = {}
    _merge(merged, _made(task).recommended)
    _merge(merged, given)
    merged["task"] = {"name": task["name"]} | _parameters(_made(merged["task"]))
    network = merged.get("network", {})
    if isinstance(network.get("connectivity"), str):
        # with the tables that its text names, so that a run is complete
        network["connectivity"] = str(parse(network["connectivity"]))
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise InvalidValue("\n".join(map(validation_message, error.errors()))) from None


def _made(section: dict[str, Any]) -> tasks.Task:
    parameters = {key: value for key, value in section.items() if key != "name"}
    return tasks.make(section["name"], **parameters)


def _parameters(task: Any) -> dict[str, Any]:
    """Return all parameters of a task as TOML holds them."""
    values = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Copy nested values of `source` over those of `target`."""
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif isinstance(value, dict):
            target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = value


def _override(values: dict[str, Any], text: str) -> None:
    key, equals, raw = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not raw.strip():
        raise InvalidValue(
            f"override must have the form key=value; got {text!r}. "
            "(For example optimizer.lr=0.001.)"
        )
    if not dot:
        section, name = _section_of(section), section
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    *path, last = name.split(".")
    target: Any = values
    for part in (section, *path):
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise InvalidValue(
                f"override {text!r} must name a table before the dot; got {target!r}."
            )
    target[last] = value


def _section_of(name: str) -> str:
    owners = [s for s, model in SECTIONS.items() if name in model.model_fields]
    if len(owners) == 1:
        return owners[0]
    if len(owners) > 1:
        choices = ", ".join(f"{owner}.{name}" for owner in owners)
        raise InvalidValue(
            f"override key must belong to one section; got {name!r}, which could be "
            f"{choices}."
        )
    known = [key for model in SECTIONS.values() for key in model.model_fields]
    raise unknown_name("configuration key", name, known)


def _check_names(values: dict[str, Any]) -> None:
    for section, content in values.items():
        if section not in SECTIONS:
            raise unknown_name("configuration section", section, SECTIONS)
        if not isinstance(content, dict):
            raise InvalidValue(f"section [{section}] must hold keys; got {content!r}.")
        if section == "task":
            continue
        known = SECTIONS[section].model_fields
        for key in content:
            if key not in known:
                raise unknown_name(f"key in [{section}]", key, known)


def validation_message(error: Any) -> str:
    """Return a message of pydantic in our form."""
    place, text = error["loc"], error["msg"]
    # below the key come names of the types that were tried
    path = [str(part) for part in place[:2]]
    path += [str(part) for part in place[2:] if isinstance(part, int)]
    rule = text.replace("Input should be", "must be", 1)
    if rule == text:
        rule = f"is wrong: {text}"
    return f"{'.'.join(path)} {rule}; got {error['input']!r:.60}."
