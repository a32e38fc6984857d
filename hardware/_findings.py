"""What the checks of a network against a chip share."""

from __future__ import annotations

from typing import Any

import numpy as np

from hardware._checks import RESETS
from hardware._violations import Violation
from hardware.chips import ChipSpec
from hardware.mapping import Mapping
from hardware.quantization_report import CONSTANT_TOLERANCE
from hardware.rounding import tau_of_register
from spikelearn.network.cells import decay_factor

__all__ = [
    "Limits",
    "above",
    "adaptation_findings",
    "decay_findings",
    "input_findings",
    "profile_findings",
    "reset_findings",
    "width_findings",
]

NO_LEAK = "Use a chip that decays by a fraction"


class Limits:
    """The limits of a chip; it remembers which ones were asked for and not known."""

    def __init__(self, spec: ChipSpec) -> None:
        self.spec = spec
        self.unchecked: list[str] = []

    def ask(self, name: str) -> Any:
        """Return the value of a limit, or None."""
        value = getattr(self.spec, name).value
        if value is None and name not in self.unchecked:
            self.unchecked.append(name)
        return value


def above(
    limits: Limits, name: str, place: str, value: int, unit: str, remedy: str
) -> list[Violation]:
    """Return a finding if a number is larger than a limit."""
    limit = limits.ask(name)
    if limit is None or value <= limit:
        return []
    return [Violation(place, f"at most {limit} {unit}", str(value), remedy)]


def width_findings(
    limits: Limits, name: str, place: str, bits: int, remedy: str
) -> list[Violation]:
    """Return a finding if values are wider than the widest form there is."""
    widths = limits.ask(name)
    if widths is None or bits <= max(widths):
        return []
    return [Violation(place, f"at most {max(widths)} bits", f"{bits} bits", remedy)]


def input_findings(limits: Limits, input_bits: int | None) -> list[Violation]:
    """Return a finding if the input does not fit the messages of a chip."""
    if input_bits is None:
        limit = "spikes, or whole numbers of some bits"
        remedy = "Use a task with another encoding; `spikelearn tasks` shows them"
        return [Violation("input", limit, "real values", remedy)]
    most = limits.ask("message_bits")
    if most is None or input_bits <= most:
        return []
    limit = f"at most {most} bits" if most else "binary spikes"
    remedy = "Encode the input with fewer bits, or as spikes"
    return [Violation("input", limit, f"{input_bits} bits", remedy)]


def reset_findings(limits: Limits, place: str, reset: str) -> list[Violation]:
    """Return a finding if a chip resets in another way."""
    resets = limits.ask("resets")
    if resets is None or reset in resets:
        return []
    remedy = f"Train with reset {resets[0]!r}, which {limits.spec.name} has"
    allowed = " or ".join(repr(r) for r in RESETS if r in resets)
    return [Violation(place, allowed, repr(reset), remedy)]


def adaptation_findings(limits: Limits, place: str) -> list[Violation]:
    """Return a finding if a chip has no adaptive threshold."""
    if limits.ask("adaptive_threshold") is not False:
        return []
    remedy = "Use LIF cells, or a chip with programmable neurons"
    return [Violation(place, "0", "an adaptive threshold", remedy)]


def profile_findings(
    limits: Limits,
    mapping: Mapping | None,
    profiles: np.ndarray,
    thresholds: np.ndarray,
    readout: np.ndarray,
) -> list[Violation]:
    """Return findings where a core needs more sets of constants than it has.

    Parameters
    ----------
    limits
        Of the chip.
    mapping
        Which neurons are on which core; without it nothing is said.
    profiles
        (k, n_rec) constants that make up a compartment profile.
    thresholds
        (n_rec,) thresholds.
    readout
        (k, n_out) constants of the readout neurons, whose threshold is never reached.
    """
    profiles = np.concatenate([profiles, readout], axis=1)
    thresholds = np.concatenate([thresholds, np.full(readout.shape[1], np.inf)])
    found = []
    for name, values, what in (
        (
            "compartment_profiles_per_core",
            profiles,
            "sets of decays and refractoriness",
        ),
        ("threshold_profiles_per_core", thresholds[None], "thresholds"),
    ):
        most = limits.ask(name)
        if most is None or mapping is None or mapping.cores is None:
            continue
        needed = [
            np.unique(values[:, core.first : core.stop], axis=1).shape[1]
            for core in mapping.cores
        ]
        core = int(np.argmax(needed))
        if needed[core] > most:
            limit = f"at most {most} {what}"
            remedy = "Let neurons share constants"
            place = f"core {core}, {name.removesuffix('_per_core').replace('_', ' ')}"
            found.append(Violation(place, limit, str(needed[core]), remedy))
    return found


def decay_findings(
    limits: Limits, place: str, tau: np.ndarray, dt: float
) -> list[Violation]:
    """Return a finding if decays of a chip do not represent time constants, ms.

    A time constant may be off by 10 %; 0 means that nothing is kept, infinity that
    nothing decays.
    """
    form = limits.ask("decay_form")
    if form == "linear":
        decaying = np.isfinite(tau) & (tau > 0)
        if not decaying.any():
            return []
        shown = f"exponential with {tau[decaying][0]:.4g} ms"
        return [Violation(place, "a linear leak, or none", shown, NO_LEAK)]
    bits: Any = limits.ask("decay_bits") if form == "fraction" else None
    if form is None or (form == "fraction" and bits is None):
        return []
    lost = 1.0 - decay_factor(tau, dt)
    shifted = bits is None
    reached = _by_shift(lost, tau, dt) if shifted else _by_fraction(lost, tau, dt, bits)
    error = _error(tau, reached, dt)
    worst = int(error.argmax())
    if error[worst] <= CONSTANT_TOLERANCE:
        return []
    rule = "decays by a bit shift" if shifted else f"{bits}-bit decays"
    finite = bool(np.isfinite(reached[worst]))
    got = f"{reached[worst]:.4g} ms" if finite else "no decay"
    instead = f"{reached[worst]:.4g} ms" if finite else "a shorter one"
    return [
        Violation(
            place,
            f"within {CONSTANT_TOLERANCE:.0%} of what {rule} can hold",
            f"{tau[worst]:.6g} ms, which becomes {got}",
            f"Use {instead}, or another dt",
        )
    ]


def _by_fraction(lost: np.ndarray, tau: np.ndarray, dt: float, bits: int) -> np.ndarray:
    """Return the nearest time constants of decays d / 2^bits, d whole.

    Below 1/2 the decay is 0, as `hardware.quantization` rounds it.
    """
    exact = lost * 2**bits
    below, above = (tau_of_register(d * 2.0 ** (12 - bits), dt) for d in _around(exact))
    return np.where(exact < 0.5, below, _nearest(tau, below, above))


def _by_shift(lost: np.ndarray, tau: np.ndarray, dt: float) -> np.ndarray:
    """Return the nearest time constants of decays by 2^-k, k whole."""
    with np.errstate(divide="ignore"):
        shift = -np.log2(lost)
    return _nearest(tau, *(tau_of_register(4096 * 2.0**-k, dt) for k in _around(shift)))


def _around(exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = np.where(np.isfinite(exact), exact, 2000.0)  # 2^-2000 is 0
    rounded = np.rint(finite)
    close = np.abs(rounded - finite) < 1e-6
    return np.where(close, rounded, np.floor(finite)), np.where(
        close, rounded, np.floor(finite) + 1
    )


def _nearest(tau: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        closer = np.abs(first - tau) <= np.abs(second - tau)
    both = np.isinf(tau)
    chosen: np.ndarray = np.where(closer, first, second)
    return np.where(both, np.maximum(first, second), chosen)


def _error(tau: np.ndarray, reached: np.ndarray, dt: float) -> np.ndarray:
    """Relative error; below dt / 8 less than 2^-11 is left after a step: all alike."""
    same = (tau == reached) | (np.maximum(tau, reached) <= dt / 8)
    with np.errstate(invalid="ignore"):
        error = np.abs(reached - tau) / np.maximum(tau, dt / 8)
    error = np.where(np.isinf(tau) & np.isfinite(reached), np.inf, error)
    return np.where(same, 0.0, error)
