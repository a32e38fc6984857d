"""Run LIF neurons in nengo-loihi: `python chip_oracle.py IN.npz OUT.npz`.

It needs nengo-loihi 1.1.0 (and numpy < 2) in an environment of its own, and nothing of
ours. `make_chip_golden` writes the input and keeps the output.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np


def run(case):
    """Return u, v and spikes of one case, each `(T, n)`."""
    from nengo_loihi.block import LoihiBlock
    from nengo_loihi.emulator.interface import BlockInfo, CompartmentState

    block = LoihiBlock(len(case["du"]))
    cell = block.compartment
    cell.decay_u, cell.decay_v = case["du"], case["dv"]
    cell.vth, cell.bias = case["vth"] * 64, case["bias"]
    cell.refract_delay = case["refractory"] + 1
    cell.vmin, cell.vmax = -(2**23) + 1, 2**23 - 1
    cell.scale_u = cell.scale_v = False
    target = int(case["target"])
    cell.enable_noise[:] = target > 0
    cell.noise_at_membrane = target == 2
    cell.noise_exp, cell.noise_offset = int(case["exponent"]), int(case["offset"])
    state = CompartmentState(BlockInfo([block]), strict=False)
    draws = iter(case["draws"])
    state.noise._uniform = lambda rng: next(draws)
    results = []
    for x in case["x"]:
        state.advance_input()
        state.input[0] += case["w_in"] @ x + case["w_rec"] @ state.spiked.astype("i4")
        state.update(None)
        results.append((state.current.copy(), state.voltage.copy(), state.spiked * 1))
    return [np.array(each, np.int32) for each in zip(*results, strict=True)]


def main():
    """Run all cases of a file."""
    warnings.simplefilter("ignore")  # overflows are what we are after
    results = {}
    with np.load(sys.argv[1]) as file:
        for number in range(int(file["cases"])):
            front = f"{number}/"
            case = {
                name[len(front) :]: np.asarray(file[name], np.int32)
                for name in file.files
                if name.startswith(front)
            }
            for name, array in zip(("u", "v", "spikes"), run(case), strict=True):
                results[front + name] = array
    np.savez_compressed(sys.argv[2], **results)


if __name__ == "__main__":
    main()
