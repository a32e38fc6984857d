"""Make the golden files: `python -m tests.hardware.make_golden [NAME...]` (needs Lava).

Each is a network description whose test vectors were computed by Lava, so that the
emulator can be checked against Lava where Lava is not installed.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from hardware.description import TestVectors
from hardware.lava_processes.runner import run_lava
from tests.hardware.networks import (
    atrlif,
    random_input,
    random_network,
    sparse,
    ternary,
    with_delays,
    with_periodic_reset,
)

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
SMALL = {"n_in": 4, "n_rec": 6, "n_out": 2, "vth": (50, 400)}
CHANGES = {
    "reset": lambda net: with_periodic_reset(sparse(net)),
    "ternary": lambda net: ternary(with_delays(net, 21)),
    "atrlif": atrlif,
}


def main() -> None:
    made = {name: random_network(**options) for name, options in NETWORKS.items()}
    for k, (name, change) in enumerate(CHANGES.items()):
        made[name] = change(random_network(4 + k, **SMALL))
    chosen = sys.argv[1:] or list(made)
    networks = [made[name] for name in chosen]
    inputs = [random_input(10 + k, net, 40, 2) for k, net in enumerate(networks)]
    results = run_lava(list(zip(networks, inputs, strict=True)))
    for name, net, x, states in zip(chosen, networks, inputs, results, strict=True):
        arrays = {k: getattr(states, k) for k in ("u", "v", "b", "spikes", "y")}
        if net.neurons.kind == "atrlif":
            arrays["r"] = states.r
        vectors = TestVectors(x=x, label=None, **arrays)
        dataclasses.replace(net, vectors=vectors).save(FOLDER / f"lava_{name}.h5")


if __name__ == "__main__":
    main()
