"""The text of the Brian2 script; `hardware.export.brian2` fills in the gaps."""

from __future__ import annotations

__all__ = ["GRADED_INPUT", "SCRIPT", "SPIKE_INPUT"]

SPIKE_INPUT = """\
# Input spikes act at their own step: they are sent at its start.
inputs = b2.SpikeGeneratorGroup(
    int(p["n_in"]), p["input_unit"], p["input_step"] * dt, when="start"
)
w_in = b2.Synapses(inputs, neurons, "w : 1", on_pre="drive += w")
w_in.pre.when = "before_groups"
connect(w_in, "w_in")
"""

GRADED_INPUT = """\
# Graded input: every synapse adds its weight times the input of the step.
stimulus = b2.TimedArray(p["x"], dt=dt)
inputs = b2.NeuronGroup(int(p["n_in"]), "x = stimulus(t, i) : 1")
w_in = b2.Synapses(inputs, neurons, "w : 1\\ngraded_post = w * x_pre : 1 (summed)")
connect(w_in, "w_in")
"""

SCRIPT = '''\
"""A spiking network in Brian2, written by spikelearn.

    python ${script} [OUT.npz]

prints the number of spikes and writes steps and senders of all spikes and the readout y
(time, output) to OUT.npz. Needs Brian2 and NumPy; the numbers are in ${data}.
Step t is the time t * dt:

    i[t] = i[t-1] exp(-dt/tau_syn) + w_in x[t] + w_rec z[t-delay]     (`current`)
    v[t] = v[t-1] exp(-dt/tau_m) + zeta i[t] + bias     minus the reset of a spike
    a[t] = a[t-1] exp(-dt/tau_a) + z[t-1]
    z[t] = v[t] > v_th + beta a[t], and not refractory
    y[t] = y[t-1] exp(-dt/tau_out) + w_out z[t] + b_out
"""

import sys
from pathlib import Path

import brian2 as b2
import numpy as np

b2.prefs.codegen.target = "numpy"  # "cython" is faster and needs a compiler
with np.load(Path(__file__).with_name(${data})) as file:
    p = dict(file)
dt = float(p["dt"]) * b2.ms
b2.defaultclock.dt = dt

# The leaks are integrated exactly; what a step adds comes after them, see `add`.
neurons = b2.NeuronGroup(
    p["v_th"].size,
    """
    dcurrent/dt = -current / tau_syn : 1
    dv/dt = -v / tau_m : 1
    da/dt = -a / tau_a : 1
    tau_syn : second (constant)
    tau_m : second (constant)
    tau_a : second (constant)
    zeta : 1 (constant)
    bias : 1 (constant)
    v_th : 1 (constant)
    beta : 1 (constant)
    n_ref : 1 (constant)
    drive : 1        # what spikes bring at this step
    graded : 1       # what graded input brings at this step
    fired : 1        # 1 if the neuron fired at the step before
    subtracted : 1   # what its spike takes off v at the next step
    silent : 1       # steps of refractoriness that are left
    """,
    threshold="v > v_th + beta * a and silent <= 0",
    reset="""
    fired = 1.0
    silent = n_ref
    ${reset}
    """,
    method="exact",
)
for name in ("tau_syn", "tau_m", "tau_a"):
    setattr(neurons, name, p[name] * b2.ms)
for name in ("zeta", "bias", "v_th", "beta", "n_ref"):
    setattr(neurons, name, p[name])
add = neurons.run_regularly(
    """
    current += drive + graded
    v += zeta * current + bias - subtracted
    a += fired
    silent = clip(silent - 1, 0, inf)
    fired = 0.0
    subtracted = 0.0
    drive = 0.0
    """,
    when="after_groups",
)


def connect(synapses, name):
    """Set pairs and weights of a block of synapses from their lists."""
    synapses.connect(i=p[name + "_pre"], j=p[name + "_post"])
    synapses.w = p[name]


${input}
parts = [inputs, w_in]

# A spike is delivered after the threshold test: without delay it acts a step later.
w_rec = b2.Synapses(neurons, neurons, "w : 1", on_pre="drive += w")
if p["w_rec"].size:
    connect(w_rec, "w_rec")
    w_rec.delay = (p["delay"] - 1) * dt
    parts.append(w_rec)

# The readout reads the spikes of the same step.
readout = b2.NeuronGroup(
    p["b_out"].size,
    "dy/dt = -y / tau_out : 1\\nb_out : 1 (constant)",
    method="exact",
    namespace={"tau_out": float(p["tau_out"]) * b2.ms},
)
readout.b_out = p["b_out"]
add_bias = readout.run_regularly("y += b_out", when="after_groups")
w_out = b2.Synapses(neurons, readout, "w : 1", on_pre="y += w")
connect(w_out, "w_out")

spikes = b2.SpikeMonitor(neurons)
outputs = b2.StateMonitor(readout, "y", record=True, when="end")
b2.Network(neurons, readout, w_out, spikes, outputs, *parts).run(int(p["n_steps"]) * dt)
print(f"{spikes.num_spikes} spikes in {int(p['n_steps'])} steps")
if len(sys.argv) > 1:
    steps = np.rint(spikes.t / dt).astype(np.int64)
    order = np.lexsort((spikes.i, steps))
    senders, y = np.asarray(spikes.i)[order], np.asarray(outputs.y).T
    np.savez(sys.argv[1], steps=steps[order], senders=senders, y=y)
'''
