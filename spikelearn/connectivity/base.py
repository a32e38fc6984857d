"""Families of connectivity: specifications that matrices are drawn from."""

from __future__ import annotations

import abc
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

import numpy as np

from spikelearn.errors import require

__all__ = [
    "Connectivity",
    "Family",
    "Ports",
    "delayed",
    "masked",
    "number",
    "require_family",
    "whole",
]


@dataclass(frozen=True, eq=False)
class Connectivity:
    """One draw: weights and all else that a network is told of its connections.

    Parameters
    ----------
    weights
        (n, n) float64, (post, pre), 0 where no connection is.
    mask
        (n, n) booleans of the connections that exist.
    signs
        (n,) of 1, -1 and 0 (free), if the family obeys Dale's law.
    delay
        Delays in steps, a number or (n, n); None: the network's own.
    cell_types
        (n,) whole numbers, if neurons have types.
    type_names
        Names of the types, in the order of their numbers.
    """

    weights: np.ndarray
    mask: np.ndarray
    signs: np.ndarray | None = None
    delay: int | np.ndarray | None = None
    cell_types: np.ndarray | None = None
    type_names: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.weights)

    def structure(self) -> dict[str, Any]:
        """Return mask, signs, delay and cell types for `RecurrentNetwork(**...)`."""
        names = ("mask", "signs", "delay", "cell_types")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def with_weights(self, weights: np.ndarray) -> Connectivity:
        """Return the same structure with other weights."""
        return replace(self, weights=weights)


@dataclass(frozen=True, eq=False)
class Ports:
    """Weights of a network besides its recurrent ones, for families that need them.

    `w_in` (n, n_in), `w_out` (n_out, n), and `teacher` (n_out, n_in), the linear map
    from inputs to targets that a task asks for; None: channel k to channel k.
    """

    w_in: np.ndarray
    w_out: np.ndarray
    teacher: np.ndarray | None = None


class Family(abc.ABC):
    """A specification that matrices are drawn from; each is a frozen dataclass.

    `str(family)` is its text form, which `parse` reads back. `texts` are parameters for
    which it also reads a bare name as a text, since shells take quotes away.
    """

    texts: ClassVar[tuple[str, ...]] = ()

    def draw(
        self, n: int, rng: int | np.random.Generator = 0, ports: Ports | None = None
    ) -> Connectivity:
        """Draw the connectivity of n neurons.

        Families made of others draw the inner one first and from the same numbers as
        if it stood alone; what is done to it has streams of its own.

        Parameters
        ----------
        n
            Number of neurons.
        rng
            Seed or generator.
        ports
            Input and readout weights, for families that look at them.

        Raises
        ------
        InvalidValue
            If n does not suit the family, ports are needed and not given, or weights
            are so large that their norm is not finite.
        """
        name = type(self).__name__
        where = f"{name}.n"
        require(whole(n, 1), where, "must be a whole number >= 1", n)
        with np.errstate(over="ignore", invalid="ignore"):
            made = self._draw(int(n), np.random.default_rng(rng), ports)
            norm = np.linalg.norm(made.weights)
        where = f"{name}.gain" if hasattr(self, "gain") else name
        rule, got = "must give weights with a finite norm", getattr(self, "gain", norm)
        require(np.isfinite(norm), where, rule, got)
        return made

    @abc.abstractmethod
    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        """Draw the connectivity of n neurons; n is a whole number >= 1."""

    def __str__(self) -> str:
        given = []
        for field in fields(cast(Any, self)):
            value = getattr(self, field.name)
            if value != field.default:
                given.append(f"{field.name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(given)})"

    def masked(self, by: Family | np.ndarray) -> Family:
        """Return this family with the connections of a mask only.

        The mask is a boolean (n, n) array or that of a draw of another family. The
        weights that remain are as they were: `match` gives them a norm again.
        """
        return masked(self, by if isinstance(by, Family) else given_mask(by))

    def delayed(self, low: int, high: int) -> Family:
        """Return this family with delays drawn evenly from low to high steps."""
        return delayed(self, low, high)


def _shown(value: Any) -> str:
    """Return a value as `parse` reads it; tables of cell types as plain values."""
    plain = isinstance(value, bool | int | float | str | None)
    return repr(value) if plain else str(value)


def whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number of at least so much."""
    number_like = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return number_like and value >= least


def number(value: Any) -> bool:
    """Whether a value is a finite real number."""
    kinds = int | float | np.integer | np.floating
    real = isinstance(value, kinds) and not isinstance(value, bool)
    return real and bool(np.isfinite(value))


def require_family(where: str, value: object) -> None:
    """Refuse what is no family.

    Raises
    ------
    InvalidValue
        If it is none.
    """
    hint = "For example gaussian(gain=1.5)."
    rule = "must be a family of connectivity"
    require(isinstance(value, Family), where, rule, repr(value), hint)


@dataclass(frozen=True)
class masked(Family):
    """Connections of one family where a draw of another has connections, too.

    Parameters
    ----------
    base
        Gives the weights, delays, signs and types.
    by
        Gives the mask; `erdos_renyi(1.0)` leaves out self-connections and nothing else.
    """

    base: Family
    by: Family

    def __post_init__(self) -> None:
        require_family("masked.base", self.base)
        require_family("masked.by", self.by)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        mask = made.mask & self.by.draw(n, rng.spawn(1)[0], ports).mask
        return replace(made, weights=np.where(mask, made.weights, 0.0), mask=mask)


@dataclass(frozen=True)
class delayed(Family):
    """A family whose connections have delays, drawn evenly from low to high steps.

    Raises
    ------
    InvalidValue
        Unless 1 <= low <= high.
    """

    base: Family
    low: int
    high: int

    def __post_init__(self) -> None:
        require_family("delayed.base", self.base)
        require(whole(self.low, 1), "delayed.low", "must be >= 1 step", self.low)
        rule = f"must be a whole number >= low = {self.low}"
        require(whole(self.high, self.low), "delayed.high", rule, self.high)

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        made = self.base.draw(n, rng, ports)
        stream = rng.spawn(1)[0]
        delay = stream.integers(self.low, self.high, (n, n), endpoint=True)
        return replace(made, delay=delay)


@dataclass(frozen=True, eq=False)
class given_mask(Family):
    """Weights 1 where a given (n, n) boolean array says; it has no text form."""

    mask: np.ndarray

    def __post_init__(self) -> None:
        mask = np.array(self.mask)
        rule = "must be a square array of booleans"
        square = mask.ndim == 2 and len(set(mask.shape)) == 1 and mask.dtype == bool
        got = f"{mask.dtype} of shape {mask.shape}"
        require(square, "masked.by", rule, got)
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)

    def __str__(self) -> str:
        return f"<mask {self.mask.shape}>"

    def _draw(
        self, n: int, rng: np.random.Generator, ports: Ports | None
    ) -> Connectivity:
        rule = f"must have the shape {(n, n)} (post, pre)"
        require(len(self.mask) == n, "masked.by", rule, self.mask.shape)
        return Connectivity(self.mask.astype(np.float64), self.mask)
