"""Make the golden files: `python -m tests.hardware.make_golden` (needs Lava).

Each is a network description whose test vectors were computed by Lava, so that the
emulator can be checked against Lava where Lava is not installed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hardware.description import TestVectors
from hardware.lava_processes.runner import run_lava
from tests.hardware.networks import random_input, random_network

FOLDER = Path(__file__).parent / "golden"
NETWORKS = {
    "lif": {"seed": 1, "exponents": (1, 0, 2)},
    "alif": {
        "seed": 2,
        "reset": "subtract",
        "adaptive": True,
        "refractory": True,
        "input_bits": 4,
        "bits": 5,
        "exponents": (0, 2, -1),
    },
    "overflow": {"seed": 3, "exponents": (7, 6, 7), "bits": 6},
}


def main() -> None:
    networks = [random_network(**options) for options in NETWORKS.values()]
    inputs = [random_input(10 + k, net, 40, 2) for k, net in enumerate(networks)]
    results = run_lava(list(zip(networks, inputs, strict=True)))
    for name, net, x, states in zip(NETWORKS, networks, inputs, results, strict=True):
        arrays = {k: getattr(states, k) for k in ("u", "v", "b", "spikes", "y")}
        vectors = TestVectors(x=x, label=None, **arrays)
        dataclasses.replace(net, vectors=vectors).save(FOLDER / f"lava_{name}.h5")


if __name__ == "__main__":
    main()
