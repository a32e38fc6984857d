"""A configuration from what stands on the command line: file, overrides, options."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from spikelearn import runs
from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import RULES, Rule
from spikelearn.runs.build import build_rule

__all__ = [
    "Given",
    "SeedOption",
    "TaskOption",
    "ValuesArgument",
    "chosen_rules",
    "configuration",
]

ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG.toml] [KEY=VALUE ...]",
        help="A configuration file, and overrides such as optimizer.lr=0.01. "
        "`spikelearn train` writes every key with its value to config.toml.",
    ),
]
TaskOption = Annotated[str | None, typer.Option(help="A task of `spikelearn tasks`.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="training.seed")]


@dataclass(frozen=True)
class Given:
    """What stands on the command line: values of a file, and overrides in order."""

    content: dict[str, Any]
    overrides: list[str]
    names_task: bool

    @classmethod
    def read(
        cls, verb: str, values: list[str], task: str | None, seed: int | None
    ) -> Given:
        """Read the file and sort the rest.

        Raises
        ------
        InvalidValue
            If there is more than one file.
        FileAccessError, FileFormatError
            If it cannot be read, or is not TOML.
        """
        files = [value for value in values if "=" not in value]
        overrides = [value for value in values if "=" in value]
        if len(files) > 1:
            raise InvalidValue(
                f"{verb} takes one configuration file; got {files}. (Overrides have "
                "the form key=value, without spaces.)"
            )
        content: dict[str, Any] = runs.load_config(files[0]) if files else {}
        named = any(value.startswith("task.name") for value in overrides)
        if task is not None:
            overrides.insert(0, f"task.name={task!r}")
        if seed is not None:
            overrides.append(f"training.seed={seed}")
        return cls(content, overrides, bool(files) or named or task is not None)


def configuration(
    verb: str, values: list[str], task: str | None, seed: int | None
) -> runs.RunConfig:
    """Merge a file, overrides and options.

    Raises
    ------
    InvalidValue
        If there is no task, more than one file, or a wrong value.
    """
    given = Given.read(verb, values, task, seed)
    if not given.names_task:
        raise InvalidValue(
            f"{verb} must be given a CONFIG.toml or --task; got neither. "
            "(See: spikelearn tasks.)"
        )
    return runs.resolve_config(given.content, given.overrides)


def chosen_rules(text: str | None, config: runs.RunConfig) -> list[Rule]:
    """Return the rules that a text names, or all; the configured one has its options.

    Raises
    ------
    UnknownName, InvalidValue
        If there is no such rule or option, or an option is not key=value.
    """
    learning = config.learning
    configured = {learning.rule: learning.options}
    if text is None:
        return [build_rule(name, **configured.get(name, {})) for name in RULES]
    chosen = []
    for item in text.split(","):
        name, *options = item.strip().split(":")
        given = dict(configured.get(name, {}))
        for option in options:
            key, equals, raw = option.partition("=")
            if not equals:
                raise InvalidValue(
                    f"--rules must have options of the form key=value; got {option!r}. "
                    "(For example mdgl:variant=one-hop.)"
                )
            given[key] = _value(raw)
        chosen.append(build_rule(name, **given))
    return chosen


def _value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw
