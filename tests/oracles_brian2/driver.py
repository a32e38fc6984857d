"""Run current-based cells with Brian2: `python driver.py CASE.npz ANSWER.npz`.

It runs in an environment of its own, needs Brian2 and NumPy and nothing of spikelearn.
The equations are those of Brian2's own CUBA example. Brian2 delivers a spike after the
threshold test of its step, so that one without delay acts in the next step: d steps of
ours are d - 1 of Brian2's.
"""

from __future__ import annotations

import sys

import brian2 as b2
import numpy as np

EQUATIONS = """
dv/dt = (ge + gi - (v - v_rest)) / tau_m : volt (unless refractory)
dge/dt = -ge / tau_exc : volt
dgi/dt = -gi / tau_inh : volt
"""


def main(case_path, answer_path):
    with np.load(case_path) as arrays:
        case = dict(arrays)
    ms, mV = b2.ms, b2.mV
    b2.prefs.codegen.target = "numpy"
    dt = float(case["dt"])
    b2.defaultclock.dt = dt * ms
    times, voltages = ("tau_m", "tau_exc", "tau_inh"), ("v_rest", "v_th", "v_reset")
    constants = {name: float(case[name]) * ms for name in times}
    constants |= {name: float(case[name]) * mV for name in voltages}
    cells = b2.NeuronGroup(
        case["v_init"].size,
        EQUATIONS,
        threshold="v > v_th",
        reset="v = v_reset",
        refractory=float(case["t_ref"]) * ms,
        method="exact",
        namespace=constants,
    )
    cells.v = case["v_init"] * mV
    parts = [cells]
    for target, chosen in (("ge", case["weight"] >= 0), ("gi", case["weight"] < 0)):
        synapses = b2.Synapses(cells, cells, "w : volt", on_pre=f"{target} += w")
        synapses.connect(i=case["pre"][chosen], j=case["post"][chosen])
        synapses.w = case["weight"][chosen] * mV
        synapses.delay = (case["delay"][chosen] - 1) * dt * ms
        parts.append(synapses)
    spikes = b2.SpikeMonitor(cells)
    b2.Network(*parts, spikes).run(int(case["n_steps"]) * dt * ms)
    steps = np.rint(spikes.t / (dt * ms)).astype(np.int64)
    order = np.lexsort((spikes.i, steps))
    np.savez(answer_path, steps=steps[order], senders=np.asarray(spikes.i)[order])


if __name__ == "__main__":
    main(*sys.argv[1:])
