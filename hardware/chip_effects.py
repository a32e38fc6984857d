"""What Loihi 1 does that Lava's models leave out, for `emulator.run`.

The facts are those of two published emulators that were compared with the chip:
nengo-loihi (its classes `CompartmentState` and `NoiseState` and its function
`discretize_weights`) and Brian2Loihi (Michaelis et al. 2022,
doi:10.3389/fninf.2022.1015624). Nothing here was measured on a chip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware._violations import Violation, raise_violations
from hardware.description import NetworkDescription, NeuronParameters
from spikelearn.errors import require

__all__ = ["NOISE_TARGETS", "ChipNoise", "check_chip", "draw_noise"]

NOISE_TARGETS = ("current", "membrane")
MAX_CHIP_REFRACTORY = 62
MAX_NOISE_EXPONENT = 23


@dataclass(frozen=True)
class ChipNoise:
    """Uniform noise of all recurrent neurons at every step, as nengo-loihi has it.

    `(k + 64 * offset) * 2**(exponent - 7)`, rounded towards zero, with k uniform in
    -127..127. The distribution is that of the chip, its sequence is not public.

    Attributes
    ----------
    exponent
        0..23.
    offset
        -64..63.
    target
        `"current"`: it enters the dendritic accumulator; `"membrane"`: it is added to
        current and bias.
    seed
        Of the generator; every sample has a stream of its own.

    Raises
    ------
    InvalidValue
        If a value is out of range.
    """

    exponent: int
    offset: int = 0
    target: str = "membrane"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        rule = f"must be 0..{MAX_NOISE_EXPONENT}"
        fits = 0 <= self.exponent <= MAX_NOISE_EXPONENT
        require(fits, "ChipNoise.exponent", rule, self.exponent)
        fits = -64 <= self.offset <= 63
        require(fits, "ChipNoise.offset", "must be -64..63", self.offset)
        known = self.target in NOISE_TARGETS
        rule = f"must be one of {', '.join(NOISE_TARGETS)}"
        require(known, "ChipNoise.target", rule, repr(self.target))
        require(self.seed >= 0, "ChipNoise.seed", "must be >= 0", self.seed)

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return int32 noise of a shape (time, neuron)."""
        uniform = rng.integers(-127, 128, shape)
        scaled = (uniform + 64 * self.offset) * 2.0 ** (self.exponent - 7)
        return np.trunc(scaled).astype(np.int32)


def draw_noise(
    noise: ChipNoise | None, samples: int, steps: int, n_rec: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the noise on current and membrane, int32 `(S, T, n_rec)`.

    What there is none of has one sample and one step, of zeros.
    """
    none = np.zeros((1, 1, n_rec), np.int32)
    if noise is None:
        return none, none
    streams = np.random.default_rng(noise.seed).spawn(samples)
    drawn = np.zeros((samples, steps, n_rec), np.int32)
    for k, stream in enumerate(streams):
        drawn[k] = noise.draw(stream, (steps, n_rec))
    return (drawn, none) if noise.target == "current" else (none, drawn)


def check_chip(description: NetworkDescription) -> None:
    """Check that a network has only what Loihi 1 has.

    Raises
    ------
    HardwareError
        If it has more; the message lists all of it.
    """
    cell = description.neurons
    problems = []
    if not isinstance(cell, NeuronParameters):
        remedy = "Loihi 1 has LIF neurons; no width of those of Loihi 2 is public"
        problems.append(Violation("neurons.kind", "'lif'", repr(cell.kind), remedy))
    else:
        remedy = "Loihi 1 has CUBA LIF neurons that are reset to zero"
        if cell.reset != "zero":
            problems.append(Violation("neurons.reset", "'zero'", cell.reset, remedy))
        if cell.beta.any():
            shown = f"up to {int(cell.beta.max())}"
            problems.append(Violation("neurons.beta", "0", shown, remedy))
        if cell.reset_interval:
            shown = str(cell.reset_interval)
            problems.append(Violation("neurons.reset_interval", "0", shown, remedy))
        longest = int(cell.refractory.max(initial=0))
        if longest > MAX_CHIP_REFRACTORY:
            limit = f"0..{MAX_CHIP_REFRACTORY} (a refractory delay of 1..63 steps)"
            place, remedy = "neurons.refractory", "Use a shorter refractory time"
            problems.append(Violation(place, limit, str(longest), remedy))
    if description.input_bits:
        remedy = "Loihi 1 has binary spikes; graded ones came with Loihi 2"
        shown = str(description.input_bits)
        problems.append(Violation("input_bits", "0", shown, remedy))
    raise_violations("NetworkDescription (fidelity='chip')", problems)
