"""Make `golden/nengo_loihi.npz`: `python -m tests.hardware.make_chip_golden PYTHON`.

PYTHON is the interpreter of an environment with nengo-loihi. The file holds what its
emulator gives for the neurons of `chip_cases`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hardware.emulator import ChipNoise
from tests.hardware.networks import random_input, random_network
from tests.reference.integer import scaled

GOLDEN = Path(__file__).parent / "golden" / "nengo_loihi.npz"
STEPS, SIZE, CASES = 80, 8, 12
TARGETS = (None, "current", "membrane")


def chip_cases(cases=CASES):
    """Return networks, inputs and noise: every other one overflows."""
    made = []
    for number in range(cases):
        rng = np.random.default_rng(number)
        loud = number % 2 == 1
        exponents = rng.integers(5, 8, 3) if loud else rng.integers(-3, 3, 3)
        net = random_network(
            number,
            n_rec=SIZE,
            exponents=tuple(exponents.tolist()),
            refractory=number % 4 >= 2,
            vth=(500, 60_000) if loud else (50, 2000),
            bits=int(rng.integers(3, 9)),
        )
        target, noise = TARGETS[number % 3], None
        if target is not None:
            exponent, offset = int(rng.integers(8, 20)), int(rng.integers(-5, 6))
            noise = ChipNoise(exponent, offset, target, number)
        made.append((net, random_input(number, net, STEPS), noise))
    return made


def weights(connection):
    """Shift every weight, drop its six lowest bits, clip it."""
    shifted = [
        [scaled(int(m) * 64, connection.exponent) // 64 * 64 for m in row]
        for row in connection.weights
    ]
    return np.clip(shifted, -(2**21) + 64, 2**21 - 64)


def arrays(net, x, noise):
    """Return what the oracle reads of a case."""
    cell = net.neurons
    stream = np.random.default_rng(0 if noise is None else noise.seed).spawn(1)[0]
    return {
        **{name: getattr(cell, name) for name in ("du", "dv", "vth", "refractory")},
        "bias": cell.bias_mant << cell.bias_exp,
        "x": x[:, 0],
        "w_in": weights(net.w_in),
        "w_rec": weights(net.w_rec),
        "target": 0 if noise is None else TARGETS.index(noise.target),
        "exponent": 0 if noise is None else noise.exponent,
        "offset": 0 if noise is None else noise.offset,
        "draws": stream.integers(-127, 128, (len(x), net.n_rec)),
    }


def main() -> None:
    content = {"cases": CASES}
    for number, case in enumerate(chip_cases()):
        content |= {f"{number}/{k}": v for k, v in arrays(*case).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.npz"
        np.savez(path, **content)
        script = Path(__file__).with_name("chip_oracle.py")
        command = [sys.argv[1], str(script), str(path), str(GOLDEN)]
        subprocess.run(command, check=True, env={}, timeout=300)


if __name__ == "__main__":
    main()
