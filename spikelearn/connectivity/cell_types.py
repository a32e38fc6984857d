"""Connectivity by cell type: a table of fractions, probabilities and strengths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.connectivity.base import Connectivity, Family, Ports, number
from spikelearn.connectivity.masks import no_self_connections
from spikelearn.connectivity.stored import CONNECTOMES, read_connectome
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    require,
    unknown_name,
)

__all__ = ["TypeTable", "cell_types", "type_sizes"]

ROUNDING = 1e-6  # by which fractions may miss 1


@dataclass(frozen=True)
class TypeTable:
    """What cell types there are and how they connect.

    Parameters
    ----------
    names
        Names of the k types.
    fractions
        Part of the neurons that each type has; their sum is 1.
    probability
        k rows (post) of k numbers (pre) in [0, 1]: how often a connection exists.
    strength
        The same for the mean absolute weight, in any unit.
    signs
        1 (excitatory), -1 (inhibitory) or 0 (both) per presynaptic type.
    spread
        Standard deviation of a weight in units of its mean; weights stay >= 0 in
        absolute value.

    Raises
    ------
    InvalidValue
        If shapes differ, fractions do not sum to 1 or a number is out of range.
    """

    names: tuple[str, ...]
    fractions: tuple[float, ...]
    probability: tuple[tuple[float, ...], ...]
    strength: tuple[tuple[float, ...], ...]
    signs: tuple[int, ...]
    spread: float = 0.1

    def __post_init__(self) -> None:
        rule = "must be different names, at least one"
        names = self.names
        good = isinstance(names, tuple) and all(isinstance(n, str) for n in names)
        good = good and 0 < len(names) == len(set(names))
        require(good, "cell_types.names", rule, repr(names))
        k = len(self.names)
        fractions = self._numbers("fractions", (k,))
        where, rule = "cell_types.fractions", "must be >= 0"
        require(fractions.min() >= 0, where, rule, float(fractions.min()))
        total = float(fractions.sum())
        require(abs(total - 1) <= ROUNDING, where, "must have the sum 1", total)
        probability = self._numbers("probability", (k, k))
        outside = probability[(probability < 0) | (probability > 1)]
        where, rule = "cell_types.probability", "must be numbers in [0, 1]"
        require(not outside.size, where, rule, outside.tolist())
        strength = self._numbers("strength", (k, k))
        where, lowest = "cell_types.strength", float(strength.min())
        require(lowest >= 0, where, "must be >= 0", lowest, "Signs stand in signs.")
        signs = self._numbers("signs", (k,))
        known = bool(np.isin(signs, (-1, 0, 1)).all())
        require(known, "cell_types.signs", "must be 1, -1 or 0", list(self.signs))
        good = number(self.spread) and self.spread >= 0
        require(good, "cell_types.spread", "must be >= 0", self.spread)

    def _numbers(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        value, k = getattr(self, name), len(self.names)
        rule = f"must be {k} numbers" if len(shape) == 1 else f"must be {k} rows of {k}"
        hint = f"There are {k} names."
        try:
            entries = np.array(value, object)  # True and "1" stay what they are
        except ValueError:
            entries = np.zeros(0)
        good = entries.shape == shape and all(map(number, entries.ravel()))
        require(good, f"cell_types.{name}", rule, repr(value), hint)
        return entries.astype(np.float64)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TypeTable:
        """Return the table of plain values; `sizes` may stand for fractions.

        Keys `title`, `source` and `licence` are for readers.

        Raises
        ------
        UnknownName, InvalidValue
            If a key is unknown or missing, or a value is wrong.
        """
        given = {
            key: value
            for key, value in values.items()
            if key not in ("title", "source", "licence")
        }
        if "sizes" in given and "fractions" not in given:
            sizes = given.pop("sizes")
            good = isinstance(sizes, list | tuple) and all(map(number, sizes))
            good = good and sum(sizes) > 0
            require(good, "cell_types.sizes", "must be numbers > 0", repr(sizes))
            given["fractions"] = [size / sum(sizes) for size in sizes]
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise unknown_name("key of a cell type table", key, [*known, "sizes"])
        missing = [key for key in known[:-1] if key not in given]
        rule = f"must have the keys {', '.join(known[:-1])}"
        require(not missing, "cell_types.table", rule, f"none named {missing}")
        return cls(**{key: _frozen(value) for key, value in given.items()})

    def __str__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return repr(values)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class cell_types(Family):
    """Blocks of cell types, each pair with its probability and strength.

        P(j -> i) = probability[type i, type j]
        w_ij = sign_j |strength[type i, type j] (1 + spread z_ij)|,   z_ij ~ N(0, 1)

    times the factor that makes the Frobenius norm gain sqrt(n). Neurons stand in the
    order of their types; there are no self-connections, also within a type.

    Parameters
    ----------
    table
        A `TypeTable`, the same as a mapping, the path of a JSON file with its keys, or
        "potjans_diesmann".
    gain
        Frobenius norm in units of sqrt(n).

    Raises
    ------
    UnknownName, InvalidValue, FileAccessError, FileFormatError
        If the table does not sum up, or cannot be read; at the draw, if a type gets no
        neuron.
    """

    texts = ("table",)

    table: Any
    gain: float = 1.0

    def __post_init__(self) -> None:
        good = number(self.gain) and self.gain >= 0
        require(good, "cell_types.gain", "must be finite and >= 0", self.gain)
        if not (isinstance(self.table, str) and self.table in CONNECTOMES):
            object.__setattr__(self, "table", _table(self.table))
        else:
            _named_table(self.table)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        table = self.table
        if isinstance(table, str):
            table = _named_table(table)
        sizes = type_sizes(table.fractions, n)
        kind = np.repeat(np.arange(len(sizes)), sizes)
        pairs = np.ix_(kind, kind)
        mask = rng.random((n, n)) < np.array(table.probability)[pairs]
        mask &= no_self_connections(n)
        strength = np.abs(1 + table.spread * rng.standard_normal((n, n)))
        strength *= np.array(table.strength, np.float64)[pairs]
        signs = np.array(table.signs)[kind]
        free = rng.choice([-1, 1], (n, n))
        weights = np.where(mask, strength * np.where(signs == 0, free, signs), 0.0)
        norm = np.linalg.norm(weights)
        rule, hint = "must give connections", "All weights are 0."
        require(norm > 0, "cell_types.table", rule, "none", hint)
        rule, hint = "must have a finite norm", "Strengths and spread are too large."
        require(np.isfinite(norm), "cell_types.table", rule, norm, hint)
        weights *= self.gain * np.sqrt(n) / norm
        return Connectivity(
            weights, mask, signs, cell_types=kind, type_names=tuple(table.names)
        )


def type_sizes(fractions: tuple[float, ...], n: int) -> np.ndarray:
    """Return whole numbers with the sum n that are closest to fractions of n.

    Raises
    ------
    InvalidValue
        If a type with a fraction > 0 gets no neuron.
    """
    exact = np.array(fractions) * n
    sizes = np.floor(exact).astype(int)
    left = n - int(sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:left]] += 1
    some = np.array(fractions) > 0
    rarest = float(np.min(np.array(fractions)[some]))
    rule = f"must give every type a neuron, the rarest has a fraction of {rarest:.2g}"
    require(bool((sizes[some] > 0).all()), "cell_types.n", rule, n)
    return sizes


def _table(given: Any) -> TypeTable:
    if isinstance(given, TypeTable):
        return given
    if isinstance(given, str):
        given = _read(given)
    if not isinstance(given, Mapping):
        raise InvalidValue(
            f"cell_types.table must be a table of cell types; got {given!r:.60}. "
            "(A TypeTable, its values, the path of a JSON file, or 'potjans_diesmann'.)"
        )
    return TypeTable.from_mapping(given)


def _read(path: str) -> Any:
    if not path.endswith(".json"):
        named = [name for name, kind in CONNECTOMES.items() if kind == "cell types"]
        raise unknown_name("table of cell types", path, [*named, "FILE.json"])
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileAccessError(
            f"cell type table {path!r} must be readable; got: {error.strerror}."
        ) from error
    except (ValueError, RecursionError) as error:
        message = f"cell type table {path!r} is not valid JSON: {error}."
        raise FileFormatError(message) from error


def _named_table(name: str) -> TypeTable:
    if CONNECTOMES[name] != "cell types":
        named = [other for other, kind in CONNECTOMES.items() if kind == "cell types"]
        raise unknown_name("table of cell types", name, named)
    return TypeTable.from_mapping(read_connectome(name))
