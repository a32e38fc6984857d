"""Peer in Brian2: C++ standalone, compiled once, then run again and again.

What is timed is the loop over time, by the clock on the wall as everywhere (Brian2's
own report is processor time on one thread); reading synapses and writing results stand
outside. float32 and float64 on one thread, and OpenMP with two.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import brian2 as b2
import numpy as np
from protocol import serve

BEFORE = "timespec wall[2]; clock_gettime(CLOCK_MONOTONIC, &wall[0]);"
AFTER = """
clock_gettime(CLOCK_MONOTONIC, &wall[1]);
std::ofstream("results/wall.txt") << 1e3 * (wall[1].tv_sec - wall[0].tv_sec)
    + 1e-6 * (wall[1].tv_nsec - wall[0].tv_nsec);
"""
FLAGS = ["-O3", "-march=native", "-ffast-math", "-std=c++11", "-w"]


class Standalone:
    """The CUBA network as a program of its own."""

    computes = "simulation"
    same_model = True
    dtype, threads, flags = np.float32, 0, FLAGS

    @staticmethod
    def can(workload):
        return workload["kind"] == "simulation"

    def __init__(self, workload, arrays):
        self.workload, self.arrays = workload, arrays
        self.folder = tempfile.TemporaryDirectory()
        self.main = self.build("run", workload["duration"], self.dtype, self.threads)

    def build(self, name, duration, dtype, threads):
        """Compile the network; return the folder of the program."""
        folder = Path(self.folder.name) / name
        b2.device.reinit()
        b2.set_device("cpp_standalone", directory=str(folder), build_on_run=False)
        b2.prefs.core.default_float_dtype = dtype
        b2.prefs.codegen.cpp.extra_compile_args_gcc = self.flags
        b2.prefs.devices.cpp_standalone.openmp_threads = threads
        b2.device.insert_code("before_network_run", BEFORE)
        b2.device.insert_code("after_network_run", AFTER)
        network = make(self.workload, self.arrays)
        network.run(duration * b2.ms)
        b2.device.build(directory=str(folder), compile=True, run=False, debug=False)
        return folder

    def step(self, k):
        return simulate(self.main)

    def check(self):
        duration = self.workload["check_duration"]
        spikes, _ = simulate(self.build("check", duration, np.float64, 0))
        return None, spikes


class Double(Standalone):
    """The same in float64."""

    dtype = np.float64


class OpenMP(Standalone):
    """The same on two threads."""

    threads = 2


def make(workload, arrays):
    """Return the network, with the given synapses and initial voltages."""
    ms, mV = b2.ms, b2.mV
    constants = {
        name: workload[name] * unit
        for unit, names in ((ms, "tau_m tau_exc tau_inh"), (mV, "v_rest v_th v_reset"))
        for name in names.split()
    }
    b2.defaultclock.dt = workload["dt"] * ms
    equations = """
    dv/dt = (ge + gi - (v - v_rest)) / tau_m : volt (unless refractory)
    dge/dt = -ge / tau_exc : volt
    dgi/dt = -gi / tau_inh : volt
    """
    cells = b2.NeuronGroup(
        workload["n"],
        equations,
        threshold="v > v_th",
        reset="v = v_reset",
        refractory=workload["t_ref"] * ms,
        method="exact",
        namespace=constants,
    )
    cells.v = arrays["v_init"] * mV
    parts = [cells]
    n_exc = np.searchsorted(arrays["pre"], workload["n_exc"])
    both = (("ge", "w_exc", slice(n_exc)), ("gi", "w_inh", slice(n_exc, None)))
    for target, weight, which in both:
        value = {"w": workload[weight] * mV}
        synapses = b2.Synapses(cells, cells, on_pre=f"{target} += w", namespace=value)
        synapses.connect(i=arrays["pre"][which], j=arrays["post"][which])
        parts.append(synapses)
    return b2.Network(*parts, b2.SpikeMonitor(cells))


def simulate(folder):
    """Run a program; return the spikes and how long its loop took, ms."""
    subprocess.run([str(folder / "main")], cwd=folder, check=True, timeout=600)
    results = folder / "results"
    (file,) = results.glob("_dynamic_array_spikemonitor*_i_*")
    return file.stat().st_size // 4, float((results / "wall.txt").read_text())


if __name__ == "__main__":
    b2.set_device("cpp_standalone", build_on_run=False)
    serve(
        {
            "brian2-cpp float32": Standalone,
            "brian2-cpp float64": Double,
            "brian2-cpp float32 OpenMP": OpenMP,
        }
    )
