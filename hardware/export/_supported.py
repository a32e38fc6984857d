"""What the doors out know of a description; anything else is refused, never left out.

A part of a description that a door does not know is harmless at its default value and
changes the network at any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hardware._violations import Violation, raise_violations
from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
)

__all__ = ["DELAYED_LIF", "PLAIN_LIF", "refuse_unsupported"]

_CONNECTIONS = ("w_in", "w_rec", "w_out")
PLAIN_LIF: Mapping[type, frozenset[str]] = {
    NetworkDescription: frozenset(
        (*_CONNECTIONS, "neurons", "readout", "input_bits", "dt", "metadata", "vectors")
    ),
    Connection: frozenset(("weights", "exponent", "bits", "sign", "process")),
    NeuronParameters: frozenset(
        (
            "du",
            "dv",
            "bias_mant",
            "bias_exp",
            "vth",
            "beta",
            "db",
            "refractory",
            "reset",
        )
    ),
    ReadoutParameters: frozenset(("dv", "bias_mant", "bias_exp")),
}
"""Classes and fields of a network of (adaptive) LIF neurons without delays.

Which process Lava gets, for a dense or a sparse block, changes no number.
"""
DELAYED_LIF: Mapping[type, frozenset[str]] = {
    **PLAIN_LIF,
    Connection: PLAIN_LIF[Connection] | {"delays"},
}
"""The same with delays."""


def refuse_unsupported(
    description: NetworkDescription,
    door: str,
    known: Mapping[type, frozenset[str]] = PLAIN_LIF,
) -> None:
    """Raise for every part of a description that a door does not know.

    Parameters
    ----------
    description
        The network.
    door
        Name for messages, for example "the C header".
    known
        The fields that the door handles, by class.

    Raises
    ------
    HardwareError
        If a part is of another class, or has a field that is not known and not at its
        default value; lists all of them.
    """
    parts: dict[str, Any] = {"": description}
    for name in (*_CONNECTIONS, "neurons", "readout"):
        parts[name] = getattr(description, name)
    problems = []
    for name, part in parts.items():
        fields = known.get(type(part))
        if fields is None:
            limit = f"a part that {door} supports"
            problems.append(_violation(name, limit, type(part).__name__))
            continue
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name not in fields and not _is_default(field, value):
                place = f"{name}.{field.name}".lstrip(".")
                limit = f"at its default, since {door} has no support for it"
                problems.append(_violation(place, limit, f"{value!r:.60}"))
    raise_violations(door, problems)


def _violation(place: str, limit: str, value: str) -> Violation:
    remedy = "Use another format, or a network without it"
    return Violation(place, limit, value, remedy)


def _is_default(field: dataclasses.Field, value: Any) -> bool:
    default: Any = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING:
        return False
    if not isinstance(value, np.ndarray):
        return bool(value == default)
    same = np.shape(default) in ((), value.shape) and default is not None
    return same and bool((value == default).all())
