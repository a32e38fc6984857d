"""Random networks to be written as NIR, and a naive interpreter of NIR graphs."""

from __future__ import annotations

import numpy as np

from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork

N_IN, N_REC, N_OUT = 5, 12, 3


def random_float_network(
    seed,
    *,
    tau_syn=False,
    scaling="unit",
    reset="zero",
    adaptive=False,
    t_ref=0.0,
    bias=True,
    delay=1,
    dt=1.0,
    dtype="float64",
    tau_out=15.0,
    out_scaling="leak",
    per_neuron=True,
    **options,
):
    """Return a network whose neurons spike at some 10 % of the steps."""
    rng = np.random.default_rng(seed)

    def spread(low, high):
        values = rng.uniform(low, high, N_REC)
        return values if per_neuron else float(values[0])

    settings = {
        "tau_m": spread(6.0, 30.0) * dt,
        "tau_syn": spread(2.0, 8.0) * dt if tau_syn else 0.0,
        "v_th": spread(0.7, 1.3),
        "t_ref": t_ref,
        "reset": reset,
        "input_scaling": scaling,
    }
    if adaptive:
        settings |= {"beta": spread(0.1, 0.3), "tau_a": spread(50.0, 90.0)}
    if delay == "mixed":
        delay = rng.integers(1, 4, (N_REC, N_REC))
    network = RecurrentNetwork(
        N_IN,
        N_REC,
        N_OUT,
        cell=(ALIF if adaptive else LIF)(**settings),
        readout=LeakyReadout(tau_out, out_scaling),
        dt=dt,
        delay=delay,
        dtype=dtype,
        **options,
    )
    gain = 0.8 if scaling == "unit" else 8.0
    gain /= 3.0 if tau_syn else 1.0
    network.initialise(seed, gain=0.7 * gain, gain_in=gain)
    if bias:
        params = network.params
        params.bias[...] = rng.uniform(-0.02, 0.04, N_REC)
        params.b_out[...] = rng.uniform(-1, 1, N_OUT)
    return network


def random_spikes(seed, steps=200, samples=1, n_in=N_IN):
    return (np.random.default_rng(seed).random((steps, samples, n_in)) < 0.3).astype(
        np.float64
    )


def interpret(graph, x, dt, step="euler"):
    """Run a `nir.NIRGraph` as spikelearn writes them; return spikes and output.

    Every equation is that of the documentation of the package nir, one Euler step or
    one exact step of dt (s) each; the recurrent weights see the spikes of the step
    before, and a Delay keeps as many values as it has steps.
    """
    nodes = graph.nodes
    before = {name: [a for a, b in graph.edges if b == name] for name in nodes}
    late = [name for name in nodes if name.startswith(("w_rec", "delay"))]
    order = [n for n in late if n[0] == "w"] + [n for n in late if n[0] == "d"]
    for name in ("input", "w_in", "neurons", "w_out", "readout", "output"):
        order += [name] if name in nodes else []
    out = {"neurons": np.zeros(nodes["neurons"].v_threshold.size)}
    state = {}
    spikes, values = [], []
    for row in x:
        for name in order:
            arriving = [row] if name == "input" else [out[b] for b in before[name]]
            signal = np.sum(arriving, axis=0)
            out[name] = advance(
                nodes[name], signal, state.setdefault(name, {}), dt, step
            )
        spikes.append(out["neurons"])
        values.append(out["output"])
    return np.array(spikes), np.array(values)


def fraction(tau, dt, step):
    return dt / tau if step == "euler" else 1 - np.exp(-dt / tau)


def advance(node, signal, state, dt, step):
    kind = type(node).__name__
    if kind == "Linear":
        return node.weight @ signal
    if kind == "Affine":
        return node.weight @ signal + node.bias
    if kind == "Delay":
        steps = round(float(node.delay[0]) / dt)
        queue = state.setdefault("queue", [np.zeros_like(signal)] * steps)
        queue.append(signal)
        return queue.pop(0)
    if kind in ("Input", "Output"):
        return signal
    v = state.get("v", 0.0)
    if kind == "CubaLIF":
        i = state.get("i", 0.0)
        i = i + fraction(node.tau_syn, dt, step) * (node.w_in * signal - i)
        state["i"] = signal = i
    tau = node.tau_mem if kind == "CubaLIF" else node.tau
    v = v + fraction(tau, dt, step) * (node.v_leak - v + node.r * signal)
    if kind == "LI":
        state["v"] = v
        return v
    z = v > node.v_threshold
    state["v"] = np.where(z, node.v_reset, v)
    return z.astype(np.float64)
