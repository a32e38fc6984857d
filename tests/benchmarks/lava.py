"""Race the emulator against Lava: `python -m tests.benchmarks.lava`.

500 recurrent LIF neurons with full recurrent weights, 1000 steps, about 2 % spikes a
step; both record u, v and spikes of every step and give the same numbers. Lava records
by memory-mapped files, not by its monitors, which would cost it several times as much.
Its run is timed without its start (`ratio`) and with it (`ratio_with_start`, which is
the whole child process). Standard output is one JSON object; the exit status is 1 if
the ratio of the medians is below the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time

from hardware import emulator
from hardware.lava_processes.runner import run_lava
from hardware.verification import compare
from tests.hardware.networks import random_input, random_network

BAR = 200.0
RECORD = ("u", "v", "spikes")
REPEATS = 20  # of the emulator, per round


def network():
    """Return the network of the race and its input."""
    sizes = {"n_in": 100, "n_rec": 500, "n_out": 10}
    decays = {"du": (400, 400), "dv": (128, 128), "vth": (10_000, 20_000)}
    net = random_network(7, **sizes, exponents=(2, -3, 0), bias=False, **decays)
    return net, random_input(8, net, 1000, rate=0.02)


def timed(call):
    """Return the seconds that a call takes, and its result."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def repeated(call):
    """Return the seconds of repeated calls; no result is kept over the next call."""
    return [timed(call)[0] for _ in range(REPEATS)]


def race(rounds):
    """Run both in turns; return the seconds of each and the record of the emulator."""
    net, x = network()
    record = emulator.run(net, x)
    ours, lava, with_start = [], [], []
    for _ in range(rounds):
        ours += repeated(lambda: emulator.run(net, x, RECORD))
        seconds, (states,) = timed(lambda: run_lava([(net, x)]))
        assert compare(record, states, "lava", 0.0).passed
        with_start.append(seconds)
        lava.append(float(states.run_seconds[0]))
    return ours, lava, with_start, record


def main():
    """Race, print and judge; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    ours, lava, with_start, record = race(parser.parse_args().rounds)
    medians = [statistics.median(each) for each in (ours, lava, with_start)]
    result = {
        "neurons": record.v.shape[2],
        "steps": len(record.v),
        "spikes_per_neuron_and_step": record.n_spikes / record.v.size,
        "emulator_ms": 1e3 * medians[0],
        "emulator_least_ms": 1e3 * min(ours),
        "lava_ms": 1e3 * medians[1],
        "lava_least_ms": 1e3 * min(lava),
        "lava_with_start_ms": 1e3 * medians[2],
        "ratio": medians[1] / medians[0],
        "ratio_of_the_least": min(lava) / min(ours),
        "ratio_with_start": medians[2] / medians[0],
        "bar": BAR,
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result, indent=1))
    return 0 if result["ratio"] >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
