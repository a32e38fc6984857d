"""Peer in NEST (GPL, in its own process): iaf_psc_exp on one and on two threads.

NEST delivers a spike one step later than we do, and its shortest delay is one step, so
that its spikes are others: their number has to agree within a few per cent.
"""

from __future__ import annotations

import time

import numpy as np
from protocol import serve

CAPACITANCE = 250.0  # pF
SPIKES_MAY_DIFFER = 0.05


class Cuba:
    """The CUBA network."""

    computes = "simulation"
    same_model = False
    threads = 1

    @staticmethod
    def can(workload):
        return workload["kind"] == "simulation"

    def __init__(self, workload, arrays):
        self.workload = workload
        self.expected = int(arrays["n_spikes"])
        self.arrays = arrays

    def make(self):
        """Build the network afresh; return NEST."""
        import nest  # prints when it is loaded, so not before

        w, arrays = self.workload, self.arrays
        nest.ResetKernel()
        nest.set_verbosity("M_ERROR")
        nest.resolution = w["dt"]
        nest.local_num_threads = self.threads
        cells = nest.Create(
            "iaf_psc_exp",
            w["n"],
            {
                "tau_m": w["tau_m"],
                "tau_syn_ex": w["tau_exc"],
                "tau_syn_in": w["tau_inh"],
                "E_L": w["v_rest"],
                "V_th": w["v_th"],
                "V_reset": w["v_reset"],
                # n steps of t_ref are n silent ones there.
                "t_ref": w["t_ref"] - w["dt"],
                "C_m": CAPACITANCE,
            },
        )
        cells.V_m = arrays["v_init"]
        current = CAPACITANCE / w["tau_m"]  # pA that a voltage of 1 mV stands for
        pre, post = arrays["pre"], arrays["post"]
        weight = np.where(pre < w["n_exc"], w["w_exc"], w["w_inh"]) * current
        synapse = {"weight": weight, "delay": np.full(pre.size, w["dt"])}
        nest.Connect(pre + 1, post + 1, "one_to_one", synapse)
        self.recorder = nest.Create("spike_recorder")
        nest.Connect(cells, self.recorder)
        nest.Prepare()
        return nest

    def step(self, k):
        nest = self.make()
        start = time.perf_counter()
        nest.Run(self.workload["duration"])
        ms = 1000.0 * (time.perf_counter() - start)
        nest.Cleanup()
        spikes = self.recorder.n_events
        if abs(spikes - self.expected) > SPIKES_MAY_DIFFER * self.expected:
            raise ValueError(f"{spikes} spikes, expected about {self.expected}")
        return spikes, ms

    def check(self):
        return None, self.step(0)[0]


class TwoThreads(Cuba):
    """The same on two threads."""

    threads = 2


if __name__ == "__main__":
    serve({"nest": Cuba, "nest 2 threads": TwoThreads})
