"""The kinds of neurons that a network description knows, as registers.

Each kind is one frozen dataclass. It says its registers, which process of Lava computes
it, and which values its spikes have. The time steps are stated in `hardware.emulator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hardware._checks import (
    RESETS,
    common_value_violation,
    freeze_registers,
    periodic_reset_violations,
    unless,
)
from hardware._violations import raise_violations

__all__ = [
    "LAVA_ADAPTIVE",
    "LAVA_ATRLIF",
    "LAVA_LIF",
    "LAVA_RESET",
    "LAVA_TERNARY",
    "NEURON_KINDS",
    "ATRLIFParameters",
    "ArrayValues",
    "NeuronParameters",
    "Neurons",
    "ReadoutParameters",
    "TernaryParameters",
]

LAVA_LIF = "lava.proc.lif.LIF"
LAVA_RESET = "lava.proc.lif.LIFReset"
LAVA_TERNARY = "lava.proc.lif.TernaryLIF"
LAVA_ATRLIF = "lava.proc.atrlif.ATRLIF"
LAVA_ADAPTIVE = "hardware AdaptiveLIF run by Lava"


class ArrayValues:
    """Equality of dataclasses that hold arrays."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return all(_equal(value, theirs[name]) for name, value in mine.items())


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.array_equal(left, right)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return False
    return bool(left == right)


@dataclass(frozen=True, eq=False)
class NeuronParameters(ArrayValues):
    """Registers of LIF neurons, each int32 `(n_rec,)`, and their resets.

    Attributes
    ----------
    du
        0..4095; the synaptic current keeps `(4096 - (du + 1)) / 4096` per step.
    dv
        0..4095; the membrane keeps `(4096 - dv) / 4096` per step.
    bias_mant, bias_exp
        -4096..4095 and 0..7; `bias_mant << bias_exp` is added to `v` at every step.
    vth
        0..131071; the threshold is `vth << 6`.
    beta, db
        0..131071 and 0..4096; a spike adds `beta << 6` to the threshold from the next
        step on, and this adaptation keeps `(4096 - db) / 4096` per step.
    refractory
        0..63 silent steps after a spike.
    reset
        `"subtract"`: `vth << 6` leaves `v` one step after the spike; `"zero"`: `v` is 0
        right after the test.
    reset_interval, reset_offset
        `u` and `v` become 0 at the start of every step t with `t % reset_interval ==
        reset_offset`; 0 stands for never. Only for neurons without adaptation,
        refractoriness and subtraction: they are Lava's `LIFReset`.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    kind: ClassVar[str] = "lif"
    registers: ClassVar[tuple[str, ...]] = (
        "du",
        "dv",
        "bias_mant",
        "bias_exp",
        "vth",
        "beta",
        "db",
        "refractory",
    )

    du: np.ndarray
    dv: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray
    vth: np.ndarray
    beta: np.ndarray
    db: np.ndarray
    refractory: np.ndarray
    reset: str = "zero"
    reset_interval: int = 0
    reset_offset: int = 0

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        problems = freeze_registers(self, self.registers)
        problems += unless(
            self.reset in RESETS,
            "reset",
            f"one of {', '.join(RESETS)}",
            repr(self.reset),
            "Lava's own LIF resets to zero",
        )
        if not problems:
            problems += periodic_reset_violations(self)
        raise_violations("NeuronParameters", problems)
        object.__setattr__(self, "reset_interval", int(self.reset_interval))
        object.__setattr__(self, "reset_offset", int(self.reset_offset))

    @property
    def plain_lif(self) -> bool:
        """Whether Lava's own LIF (or LIFReset) process computes these neurons."""
        return bool(
            self.reset == "zero" and not self.beta.any() and not self.refractory.any()
        )

    @property
    def lava_process(self) -> str:
        """Name of the process that is these neurons in Lava."""
        if not self.plain_lif:
            return LAVA_ADAPTIVE
        return LAVA_RESET if self.reset_interval else LAVA_LIF

    @property
    def lowest_spike(self) -> int:
        """The smallest value of a spike train: 0."""
        return 0


@dataclass(frozen=True, eq=False)
class TernaryParameters(ArrayValues):
    """Registers of ternary LIF neurons, each int32 `(n_rec,)`.

    They spike 1 above the upper threshold and -1 below the lower one; `v` is 0 after
    either. This is Lava's `TernaryLIF`.

    Attributes
    ----------
    du, dv, bias_mant, bias_exp
        As in `NeuronParameters`.
    vth_hi, vth_lo
        0..131071 and -131072..0, each the same for all neurons (Lava holds one); the
        thresholds are `vth_hi << 6` and `vth_lo << 6`. Zero lies between them, so that
        a neuron at rest is silent.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    kind: ClassVar[str] = "ternary"
    registers: ClassVar[tuple[str, ...]] = (
        "du",
        "dv",
        "bias_mant",
        "bias_exp",
        "vth_hi",
        "vth_lo",
    )

    du: np.ndarray
    dv: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray
    vth_hi: np.ndarray
    vth_lo: np.ndarray

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        problems = freeze_registers(self, self.registers)
        if not problems:
            for name in ("vth_hi", "vth_lo"):
                problems += common_value_violation(name, getattr(self, name))
        raise_violations("TernaryParameters", problems)

    @property
    def lava_process(self) -> str:
        """Name of the process that is these neurons in Lava."""
        return LAVA_TERNARY

    @property
    def lowest_spike(self) -> int:
        """The smallest value of a spike train: -1."""
        return -1


@dataclass(frozen=True, eq=False)
class ATRLIFParameters(ArrayValues):
    """Registers of LIF neurons with adaptive threshold and refractory state.

    Each is int32 `(n_rec,)`. This is Lava's `ATRLIF`, which has the decays as fractions
    `delta / 4096`.

    Attributes
    ----------
    delta_i
        0..4095; the current keeps `(4096 - (delta_i + 1)) / 4096` per step.
    delta_v, delta_theta, delta_r
        0..4095; membrane, threshold above its base, and refractory state keep
        `(4096 - delta) / 4096` per step.
    theta_0
        1..4095; the threshold at rest is `theta_0 << 6`. It is not 0, or a neuron at
        rest would fire.
    theta_step
        0..4095, the same for all neurons (Lava holds one); a spike adds
        `theta_step << 6` to the threshold.
    bias_mant, bias_exp
        As in `NeuronParameters`.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    kind: ClassVar[str] = "atrlif"
    registers: ClassVar[tuple[str, ...]] = (
        "delta_i",
        "delta_v",
        "delta_theta",
        "delta_r",
        "theta_0",
        "theta_step",
        "bias_mant",
        "bias_exp",
    )

    delta_i: np.ndarray
    delta_v: np.ndarray
    delta_theta: np.ndarray
    delta_r: np.ndarray
    theta_0: np.ndarray
    theta_step: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        problems = freeze_registers(self, self.registers)
        if not problems:
            problems += common_value_violation("theta_step", self.theta_step)
        raise_violations("ATRLIFParameters", problems)

    @property
    def lava_process(self) -> str:
        """Name of the process that is these neurons in Lava."""
        return LAVA_ATRLIF

    @property
    def lowest_spike(self) -> int:
        """The smallest value of a spike train: 0."""
        return 0


Neurons = NeuronParameters | TernaryParameters | ATRLIFParameters
NEURON_KINDS: dict[str, type[Neurons]] = {
    each.kind: each for each in (NeuronParameters, TernaryParameters, ATRLIFParameters)
}


@dataclass(frozen=True, eq=False)
class ReadoutParameters(ArrayValues):
    """Registers of the readout neurons, each int32 `(n_out,)`.

    They are leaky integrators: LIF neurons without synaptic memory and with the largest
    threshold there is. `dv`, `bias_mant`, `bias_exp` are as in `NeuronParameters`.

    Raises
    ------
    HardwareError
        If a limit is broken; the message lists all of them.
    """

    dv: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray

    def __post_init__(self) -> None:
        """Check, convert and freeze the registers."""
        names = ("dv", "bias_mant", "bias_exp")
        raise_violations("ReadoutParameters", freeze_registers(self, names))
