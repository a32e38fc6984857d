"""Populations of a NIR graph in terms of decay factors per step.

With a = dt / tau (Euler) or 1 - exp(-dt / tau) (exact step), a step of NIR is

    I += a_syn (w_in S - I)          v += a (v_leak - v + r I),   IF: v += dt r I

so that alpha_s = 1 - a_syn, alpha_m = 1 - a, and an input S moves v by
gain S = a r (a_syn w_in) S. Voltages are counted from v_reset. The time constants of
our cells are -dt / log(alpha), whose exact step is that Euler step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware._nir_graph import Node

__all__ = ["Dialect", "Neurons", "neurons_of", "tau_of"]

NO_DECAY = 2.0**60  # steps: exp(-2^-60) is 1 in float64
NO_MEMORY = 1e-3  # steps: exp(-1000) is 0 in float64


@dataclass(frozen=True)
class Dialect:
    """How a program means the files that it writes.

    Attributes
    ----------
    name
        The program and its version.
    dt
        The step that its exporter takes for granted, ms; None: it must be given.
    reset
        "zero" (v := v_reset) or "subtract".
    discretisation
        "euler" or "exponential".
    time_scale
        Times in the file are multiplied by it.
    whole_current, whole_drive
        Whether an input is added whole to the current, and a current to the voltage,
        whatever w_in and r say.
    rewire
        Whether the input of a recurrent subgraph that leads to its weights means the
        neurons.
    warnings
        What the program does that a network of ours does not, by subject.
    """

    name: str
    dt: float | None = None
    reset: str = "zero"
    discretisation: str = "euler"
    time_scale: float = 1.0
    whole_current: bool = False
    whole_drive: bool = False
    rewire: bool = False
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Neurons:
    """Constants of a population, each (n,) float64.

    Attributes
    ----------
    alpha_m, alpha_s
        Decay factors per step; alpha_s is 0 without a synaptic current.
    loss
        What v loses per step, 1 - alpha_m before rounding.
    gain
        What an input of 1 adds to v.
    v_th, bias
        Threshold above v_reset, and what is added to v at every step without input.
    current
        Whether there is a synaptic current.
    """

    alpha_m: np.ndarray
    alpha_s: np.ndarray
    loss: np.ndarray
    gain: np.ndarray
    v_th: np.ndarray
    bias: np.ndarray
    current: bool


def tau_of(alpha: np.ndarray, dt: float) -> np.ndarray:
    """Return the time constants with exp(-dt / tau) = alpha, in the unit of dt."""
    with np.errstate(divide="ignore"):
        rate = -np.log(alpha)
    return dt / np.clip(rate, 1.0 / NO_DECAY, 1.0 / NO_MEMORY)


def neurons_of(
    name: str, node: Node, n: int, dialect: Dialect, dt: float, problems: list[str]
) -> Neurons:
    """Return the constants of a population of n neurons; dt in s."""
    values: dict[str, np.ndarray] = {}
    for key, array in node.values.items():
        if array.size not in (1, n):
            problems.append(
                f"node {name!r} ({node.kind}): {key} must have {n} values; got shape "
                f"{array.shape}"
            )
            array = array.ravel()[:1] if array.size else np.ones(1)
        values[key] = np.broadcast_to(array.ravel().astype(np.float64), (n,))
    reset = values.get("v_reset", np.zeros(n))
    v_th = values["v_threshold"] - reset
    if not (v_th > 0).all():
        problems.append(
            f"node {name!r} ({node.kind}): v_threshold must be above v_reset; got "
            f"{v_th.min():g} between them"
        )
    place: tuple[Any, ...] = (name, node.kind, dialect, dt, problems)
    if node.kind == "IF":
        loss, drive, leak = np.zeros(n), values["r"] * dt, np.zeros(n)
    else:
        key = "tau" if node.kind == "LIF" else "tau_mem"
        loss = _loss(key, values[key], *place)
        drive, leak = loss * values["r"], loss * (values["v_leak"] - reset)
    if dialect.whole_drive:
        drive = np.ones(n)
    current = node.kind == "CubaLIF"
    loss_s = _loss("tau_syn", values["tau_syn"], *place) if current else np.ones(n)
    if current and not dialect.whole_current:
        drive = drive * loss_s * values.get("w_in", np.ones(n))
    alpha_m, alpha_s = 1.0 - loss, 1.0 - loss_s
    return Neurons(alpha_m, alpha_s, loss, drive, np.abs(v_th), leak, current)


def _loss(
    key: str,
    tau: np.ndarray,
    name: str,
    kind: str,
    dialect: Dialect,
    dt: float,
    problems: list[str],
) -> np.ndarray:
    """Return the fraction that is lost in a step of dt (s)."""
    place = f"node {name!r} ({kind}): {key}"
    tau = tau * dialect.time_scale
    if not (tau > 0).all():
        problems.append(f"{place} must be > 0 s; got {tau.min():g}")
        return np.ones_like(tau)
    ratio = dt / tau
    if dialect.discretisation == "exponential":
        return -np.expm1(-ratio)
    if (ratio > 1 + 1e-6).any():
        problems.append(
            f"{place} must be at least the time step for an Euler step that decays; "
            f"got {tau.min() * 1e3:g} ms at dt = {dt * 1e3:g} ms. (Take a smaller dt, "
            "exponential steps, or the dialect of the program that wrote the file: "
            "Norse writes tau x dt.)"
        )
    return np.minimum(ratio, 1.0)
