"""Cells, spiking and rate: frozen specifications with time constants in ms.

A parameter is a number for all neurons or an array of shape (n_rec,). Decay factors
appear only when a specification is turned into the constants of the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from spikelearn.errors import require, unknown_name
from spikelearn.kernels.rate import ACTIVATIONS
from spikelearn.kernels.spiking import SPIKING, Cell
from spikelearn.kernels.surrogate import SURROGATES

__all__ = ["ALIF", "CELLS", "LIF", "Cells", "LeakyRate", "Surrogate", "decay_factor"]

PerNeuron = float | np.ndarray

RESETS = ("subtract", "zero")
SCALINGS = ("unit", "leak")
PLACEMENTS = ("inside", "outside")


def decay_factor(tau: Any, dt: float) -> np.ndarray:
    """Return exp(-dt / tau) elementwise, and 0 where tau is 0 (no memory)."""
    tau = np.asarray(tau, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(tau > 0, np.exp(-dt / np.where(tau > 0, tau, 1.0)), 0.0)


@dataclass(frozen=True)
class Surrogate:
    """Pseudo-derivative of the spike with respect to the voltage.

    With d = v - A, height h = gamma / v_th and width w = width * v_th:
    "triangular" h max(0, 1 - |d|/w), "fast-sigmoid" h / (1 + |d|/w)^2,
    "exponential" h exp(-|d|/w), "arctan" h / (1 + (d/w)^2). All are 0 while refractory.

    Parameters
    ----------
    name
        One of the four names.
    gamma
        Dampening factor, 0.3 in Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y).
    width
        Half-width in units of v_th.
    """

    name: str = "triangular"
    gamma: float = 0.3
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in SURROGATES:
            raise unknown_name("surrogate", self.name, SURROGATES)
        for name in ("gamma", "width"):
            value = getattr(self, name)
            rule = "must be > 0 and finite"
            require(0 < value < np.inf, f"Surrogate.{name}", rule, value)


class _PerNeuron:
    """Parameters that are numbers or arrays with one value per neuron."""

    positive: ClassVar[tuple[str, ...]]
    non_negative: ClassVar[tuple[str, ...]]
    input_scaling: str

    def _check_all(self) -> None:
        kind = type(self).__name__
        for name in self.positive + self.non_negative:
            self._check(kind, name)
        where = f"{kind}.input_scaling"
        rule = f"must be one of {SCALINGS}"
        require(self.input_scaling in SCALINGS, where, rule, self.input_scaling)

    def _check(self, kind: str, name: str) -> None:
        value = np.asarray(getattr(self, name), np.float64)
        unit = "" if name in ("v_th", "beta") else " ms"
        hint = "Time constants are in ms." if name.startswith("t") else ""
        where = f"{kind}.{name}"
        worst = value.min() if value.size else value
        require(bool(np.isfinite(value).all()), where, "must be finite", value, hint)
        if name in self.positive:
            require(bool((value > 0).all()), where, f"must be > 0{unit}", worst, hint)
        else:
            require(bool((value >= 0).all()), where, f"must be >= 0{unit}", worst, hint)

    def per_neuron(self, name: str, n: int) -> np.ndarray:
        """Return a parameter as a float64 array of shape (n,).

        Raises
        ------
        InvalidValue
            If it is an array of another shape.
        """
        value = np.asarray(getattr(self, name, 0.0), np.float64)
        where = f"{type(self).__name__}.{name}"
        rule = f"must be a number or an array of shape ({n},)"
        require(value.shape in ((), (n,)), where, rule, f"shape {value.shape}")
        return np.broadcast_to(value, (n,)).copy()


@dataclass(frozen=True, eq=False)
class LIF(_PerNeuron):
    """Leaky integrate-and-fire cell, with optional synaptic current and refractoriness.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec z[t-1]
        v[t] = alpha_m v[t-1] + zeta i[t] + bias  [- v_th z[t-1]]
        z[t] = v[t] > v_th and not refractory     [v[t] := 0 on a spike]

    with alpha_m = exp(-dt/tau_m), alpha_s = exp(-dt/tau_syn) (0 for tau_syn = 0). Reset
    "subtract" takes v_th off one step later (Bellec et al. 2020,
    doi:10.1038/s41467-020-17236-y, eq. 6); "zero" clears v after the test.

    Parameters
    ----------
    Every number may be an array (n_rec,) with one value per neuron.

    tau_m
        Membrane time constant, ms.
    tau_syn
        Synaptic time constant, ms; 0 means no synaptic current.
    v_th
        Threshold (the unit of v).
    t_ref
        Refractory time, ms. The counter is set to round(t_ref / dt) by a spike and
        decremented before the next test, so n steps of t_ref leave n - 1 silent steps
        (the convention of Bellec et al.); one step has no effect.
    reset
        "subtract" or "zero".
    input_scaling
        "unit": zeta = 1; "leak": zeta = 1 - alpha_m.
    surrogate
        Pseudo-derivative used by learning rules.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.
    """

    tau_m: PerNeuron = 20.0
    tau_syn: PerNeuron = 0.0
    v_th: PerNeuron = 1.0
    t_ref: PerNeuron = 0.0
    reset: str = "subtract"
    input_scaling: str = "unit"
    surrogate: Surrogate = field(default_factory=Surrogate)

    positive: ClassVar[tuple[str, ...]] = ("tau_m", "v_th")
    non_negative: ClassVar[tuple[str, ...]] = ("tau_syn", "t_ref")

    kind: ClassVar[str] = "LIF"

    def __post_init__(self) -> None:
        self._check_all()
        where = f"{type(self).__name__}.reset"
        require(self.reset in RESETS, where, f"must be one of {RESETS}", self.reset)

    def constants(self, n: int, dt: float, dtype: Any) -> Cell:
        """Return the constants of the kernels for n neurons and time step dt (ms)."""
        alpha_m = decay_factor(self.per_neuron("tau_m", n), dt)
        alpha_s = decay_factor(self.per_neuron("tau_syn", n), dt)
        rho = decay_factor(self.per_neuron("tau_a", n), dt)
        beta = self.per_neuron("beta", n)
        v_th = self.per_neuron("v_th", n)
        n_ref = np.rint(self.per_neuron("t_ref", n) / dt).astype(np.int32)
        zeta = np.ones(n) if self.input_scaling == "unit" else 1.0 - alpha_m
        surrogate = self.surrogate
        return Cell(
            alpha_m=alpha_m.astype(dtype),
            alpha_s=alpha_s.astype(dtype),
            zeta=zeta.astype(dtype),
            rho=rho.astype(dtype),
            beta=beta.astype(dtype),
            v_th=v_th.astype(dtype),
            n_ref=n_ref,
            height=(surrogate.gamma / v_th).astype(dtype),
            inverse_width=(1.0 / (surrogate.width * v_th)).astype(dtype),
            surrogate=SURROGATES[surrogate.name],
            reset_to_zero=self.reset == "zero",
            has_synaptic_current=bool(alpha_s.any()),
            has_adaptation=bool(beta.any()),
            has_refractory=bool((n_ref > 1).any()),
            activation=SPIKING,
            outside=False,
        )


@dataclass(frozen=True, eq=False)
class ALIF(LIF):
    """LIF cell with an adaptive threshold (LSNN cell).

        a[t] = rho a[t-1] + z[t-1],   A[t] = v_th + beta a[t],   rho = exp(-dt/tau_a)

    and the spike test v[t] > A[t] (Bellec et al. 2020,
    doi:10.1038/s41467-020-17236-y, eqs. 8-9). Reset "subtract" takes off v_th, not A.
    A population that mixes LIF and ALIF cells has beta = 0 for the LIF ones.

    Parameters
    ----------
    tau_a
        Adaptation time constant, ms.
    beta
        Threshold increase per spike (the unit of v).

    See Also
    --------
    LIF : for the other parameters and the errors raised.
    """

    tau_a: PerNeuron = 200.0
    beta: PerNeuron = 0.1

    kind: ClassVar[str] = "ALIF"
    positive: ClassVar[tuple[str, ...]] = (*LIF.positive, "tau_a")
    non_negative: ClassVar[tuple[str, ...]] = (*LIF.non_negative, "beta")


@dataclass(frozen=True, eq=False)
class LeakyRate(_PerNeuron):
    """Leaky rate unit, with the activation f inside or outside of the leak.

        i[t] = alpha_s i[t-1] + w_in x[t] + w_rec r[t-delay]
        inside:   h[t] = alpha_m h[t-1] + zeta i[t] + bias,   r[t] = f(h[t])
        outside:  u[t] = i[t] + bias,  h[t] = alpha_m h[t-1] + zeta f(u[t]),  r = h

    with alpha_m = exp(-dt/tau_m), 0 for tau_m = 0 (no leak), and alpha_s likewise.
    "inside" is the network of Liu, Zhang & Liu 2024 (arXiv:2410.11164), "outside" that
    of Murray 2019 (doi:10.7554/eLife.43299); without leak both are the same.

    Parameters
    ----------
    Every number may be an array (n_rec,) with one value per neuron.

    tau_m
        Time constant of h, ms; 0 means no memory.
    tau_syn
        Synaptic time constant, ms; 0 means no synaptic current.
    activation
        "relu", "tanh" or "softplus" (log(1 + exp(u))).
    placement
        "inside" or "outside".
    input_scaling
        "leak": zeta = 1 - alpha_m; "unit": zeta = 1.

    Raises
    ------
    InvalidValue, UnknownName
        If a parameter is out of range or has no such name.
    """

    tau_m: PerNeuron = 20.0
    tau_syn: PerNeuron = 0.0
    activation: str = "relu"
    placement: str = "inside"
    input_scaling: str = "leak"

    kind: ClassVar[str] = "rate"
    positive: ClassVar[tuple[str, ...]] = ()
    non_negative: ClassVar[tuple[str, ...]] = ("tau_m", "tau_syn")

    def __post_init__(self) -> None:
        self._check_all()
        if self.activation not in ACTIVATIONS:
            raise unknown_name("activation", self.activation, ACTIVATIONS)
        rule = f"must be one of {PLACEMENTS}"
        got = self.placement
        require(got in PLACEMENTS, "LeakyRate.placement", rule, got)

    def constants(self, n: int, dt: float, dtype: Any) -> Cell:
        """Return the constants of the kernels for n units and time step dt (ms)."""
        alpha_m = decay_factor(self.per_neuron("tau_m", n), dt)
        alpha_s = decay_factor(self.per_neuron("tau_syn", n), dt)
        zeta = np.ones(n) if self.input_scaling == "unit" else 1.0 - alpha_m
        none = np.zeros(n, dtype)
        return Cell(
            alpha_m=alpha_m.astype(dtype),
            alpha_s=alpha_s.astype(dtype),
            zeta=zeta.astype(dtype),
            rho=none,
            beta=none,
            v_th=none,
            n_ref=np.zeros(n, np.int32),
            height=none,
            inverse_width=none,
            surrogate=0,
            reset_to_zero=False,
            has_synaptic_current=bool(alpha_s.any()),
            has_adaptation=False,
            has_refractory=False,
            activation=ACTIVATIONS[self.activation],
            outside=self.placement == "outside",
        )


Cells = LIF | LeakyRate

CELLS: dict[str, type[LIF] | type[LeakyRate]] = {
    "LIF": LIF,
    "ALIF": ALIF,
    "rate": LeakyRate,
}
