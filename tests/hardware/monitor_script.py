"""Compare our recording with Lava's own Monitor: `python -m ... RESULT.npz`."""

from __future__ import annotations

import sys
import tempfile

import numpy as np

from hardware.export.lava import build
from hardware.lava_processes import _lava
from tests.hardware.networks import random_input, random_network

STEPS = 40
CASES = {"lif": {}, "alif": {"reset": "subtract", "adaptive": True}}


def monitored(options):
    _lava.prepare()
    from lava.proc.monitor.process import Monitor

    net = random_network(7, **options)
    with tempfile.TemporaryDirectory() as folder:
        graph = build(net, random_input(8, net, STEPS)[:, 0], record_folder=folder)
        probes = {"u": graph.neurons.u, "v": graph.neurons.v}
        probes |= {"spikes": graph.neurons.s_out, "y": graph.readout.v}
        if "adaptive" in options:
            probes["b"] = graph.neurons.b
        monitors = {name: Monitor() for name in probes}
        for name, probe in probes.items():
            monitors[name].probe(probe, graph.total_steps)
        graph.run(stop=False)
        seen = {}
        for name, monitor in monitors.items():
            values = next(iter(next(iter(monitor.get_data().values())).values()))
            first = 2 if name == "y" else 1
            seen[name] = values[first : first + STEPS]
        graph.stop()
        record = graph.record()
        return seen, {name: getattr(record, name) for name in probes}


def main(path):
    arrays = {}
    for case, options in CASES.items():
        seen, recorded = monitored(options)
        for name in seen:
            arrays[f"{case}/{name}/monitor"] = seen[name]
            arrays[f"{case}/{name}/record"] = recorded[name]
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
