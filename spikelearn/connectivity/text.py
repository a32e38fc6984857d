"""Families as text: `low_rank(rank=1)`, `dale(base=erdos_renyi(0.1))`.

The text is Python's syntax for calls, read without being executed: known names, literal
arguments, and families as arguments of families. Where a family has a text as its
parameter (`Family.texts`), a bare name is one: `connectome(celegans)`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from spikelearn.connectivity.base import Family
from spikelearn.errors import InvalidValue, UnknownName, require, unknown_name

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
        "(For example low_rank(rank=1), dale(base=erdos_renyi(0.1)) or "
        'connectome("celegans"), with texts in quotes.)'
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
    texts = families[name].texts

    def argument(parameter: str | None, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            if parameter in texts:
                return node.id
            if node.id not in families:
                error = unknown_name("family of connectivity", node.id, families)
                hint = 'Texts stand in quotes: connectome("celegans").'
                raise UnknownName(f"{error} ({hint})")
        return _value(node, text, families, depth + 1)

    places = zip_longest(node.args, signature.parameters)
    arguments = [argument(p, each) for each, p in places if each is not None]
    keywords: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in keywords:
            raise _unreadable(text)
        if keyword.arg not in signature.parameters:
            kind = f"parameter of {name}"
            raise unknown_name(kind, keyword.arg, signature.parameters)
        keywords[keyword.arg] = argument(keyword.arg, keyword.value)
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
