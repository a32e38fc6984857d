"""Families as text: `low_rank(rank=1)`, `dale(base=erdos_renyi(0.1))`.

The text is Python's syntax for calls, read without being executed: known names, literal
arguments, and families as arguments of families.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

from spikelearn.connectivity.base import Family
from spikelearn.errors import InvalidValue, require, unknown_name

__all__ = ["parse_with"]

LONGEST = 100_000  # characters
DEEPEST = 20  # families in families


def parse_with(text: str, families: Mapping[str, type[Family]]) -> Family:
    """Return the family that a text describes, from a table of families.

    Raises
    ------
    UnknownName
        If a family or one of its parameters is unknown, with a suggestion.
    InvalidValue
        If the text is nothing but such calls with literals, or a value is wrong.
    """
    where = "connectivity"
    require(isinstance(text, str), where, "must be a text", repr(text))
    require(len(text) <= LONGEST, where, f"must be at most {LONGEST} long", len(text))
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _unreadable(text) from None
    made = _value(tree.body, text, families, 0)
    if not isinstance(made, Family):
        raise _unreadable(text)
    return made


def _unreadable(text: str) -> InvalidValue:
    return InvalidValue(
        f"connectivity must be a family with its parameters; got {text!r:.80}. "
        "(For example low_rank(rank=1) or dale(base=erdos_renyi(0.1)).)"
    )


def _value(
    node: ast.expr, text: str, families: Mapping[str, type[Family]], depth: int
) -> Any:
    require(depth <= DEEPEST, "connectivity", f"must be {DEEPEST} deep at most", text)
    if isinstance(node, ast.Name):  # gaussian for gaussian()
        node = ast.Call(node, [], [])
    if not isinstance(node, ast.Call):
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise _unreadable(text) from None
    if not isinstance(node.func, ast.Name):
        raise _unreadable(text)
    name = node.func.id
    if name not in families:
        raise unknown_name("family of connectivity", name, families)
    signature = inspect.signature(families[name])
    arguments = [_value(each, text, families, depth + 1) for each in node.args]
    keywords: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in keywords:
            raise _unreadable(text)
        if keyword.arg not in signature.parameters:
            kind = f"parameter of {name}"
            raise unknown_name(kind, keyword.arg, signature.parameters)
        keywords[keyword.arg] = _value(keyword.value, text, families, depth + 1)
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        raise InvalidValue(
            f"{name} must be given {_listed(signature)}; got {ast.unparse(node)}. "
            f"({error}.)"
        ) from None
    return families[name](*arguments, **keywords)


def _listed(signature: inspect.Signature) -> str:
    parameters = signature.parameters.values()
    return ", ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters
    )
