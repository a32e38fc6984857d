"""Train a network with NEST's e-prop models: `python driver.py CASE.npz ANSWER.npz`.

The only file that imports NEST. It runs in a process and an environment of its own,
needs NEST and NumPy and nothing of spikelearn; `oracle.py` writes the case and reads
the answer. Models: eprop_iaf_bsshslm_2020, eprop_iaf_adapt_bsshslm_2020,
eprop_readout_bsshslm_2020 and their synapses, as NEST's documentation describes them.

Time. A step is 1 ms and every connection takes one step. Step t of trial n is

    nT + t + 1      for the generators, whose time starts at step 1
    nT + t + 2, 3   for the spikes of input and recurrent neurons
    nT + t + 5      for the readout and its error (one step for the spikes to arrive,
                    one for the other readouts, which a softmax needs)

NEST changes a weight when its presynaptic neuron next fires. In the first two steps of
a trial that is too early: a spike at step 0 is dropped, and one at step 1 arrives
before the error of the last step of the trial before, which is then left out. The input
of a case is therefore silent in both. After the last trial everyone is made to fire.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import nest
import numpy as np

INPUT = 1  # generator of the input, relative to nT + t
RECURRENT = 3  # spike of a recurrent neuron
TEACHER = 4  # generator of the target
READOUT = 5  # readout and target as recorded
AFTER = 10  # steps from the end of the last trial to the spikes that end it

PLASTIC = "eprop_synapse_bsshslm_2020"
FEEDBACK = "eprop_learning_signal_connection_bsshslm_2020"
RATE = "rate_connection_delayed"
SIGNALS = ("readout_signal", "target_signal")
RESTING = {"C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "I_e": 0.0}


class Weights:
    """Plastic synapses between two populations, a matrix (post, pre) with a mask."""

    def __init__(self, matrix, mask, pre, post):
        self.shape = matrix.shape
        self.pre, self.post = pre, post
        connect(pre, post, matrix, mask, PLASTIC)

    def now(self):
        """Return the weights as they are now, 0 where there is no synapse."""
        pre, post = nest.NodeCollection(self.pre), nest.NodeCollection(self.post)
        found = nest.GetConnections(pre, post, synapse_model=PLASTIC)
        found = found.get(("source", "target", "weight"))
        rows = np.searchsorted(self.post, found["target"])
        columns = np.searchsorted(self.pre, found["source"])
        matrix = np.zeros(self.shape)
        matrix[rows, columns] = found["weight"]
        return matrix


def connect(pre, post, matrix, mask, model):
    """Make one synapse for every true element of a mask (post, pre)."""
    rows, columns = np.nonzero(mask)
    synapse = {"synapse_model": model, "weight": matrix[rows, columns]}
    synapse["delay"] = np.ones(rows.size)
    nest.Connect(pre[columns], post[rows], "one_to_one", synapse)


def wire(pre, post, model="static_synapse", rule="one_to_one", **options):
    """Make fixed connections, each one step long."""
    pre, post = nest.NodeCollection(pre), nest.NodeCollection(post)
    nest.Connect(pre, post, rule, {"synapse_model": model, "delay": 1.0} | options)


def create(model, n=1, **params):
    """Create n nodes and return their ids."""
    return np.array(nest.Create(model, n, params=params).tolist())


def set_up(case, n_steps):
    """Prepare the kernel and what all plastic synapses share."""
    nest.ResetKernel()
    nest.set(
        resolution=1.0,
        total_num_virtual_procs=1,
        eprop_update_interval=float(n_steps),
        eprop_learning_window=float(case["window"]),
        eprop_reset_neurons_on_update=True,
    )
    optimizer = {"type": str(case["optimizer"]), "eta": float(case["lr"])}
    optimizer |= {"batch_size": int(case["batch_size"]), "optimize_each_step": True}
    optimizer |= {"Wmin": -1e9, "Wmax": 1e9}
    if optimizer["type"] == "adam":
        for name in ("beta_1", "beta_2", "epsilon"):
            optimizer[name] = float(case[name])
    shared = {"optimizer": optimizer, "tau_m_readout": float(case["tau_out"])}
    shared["average_gradient"] = bool(case["classification"])
    nest.SetDefaults(PLASTIC, shared)


def create_recurrent(case):
    """Create the recurrent neurons, adaptive where beta > 0; return their ids."""
    ids = []
    for j, v_th in enumerate(case["v_th"]):
        params = RESTING | {
            "V_th": v_th,
            "tau_m": case["tau_m"][j],
            "t_ref": case["t_ref"][j],
            "regular_spike_arrival": bool(case["unit_scaling"]),
            "c_reg": float(case["c_reg"]),
            "f_target": float(case["f_target"]),
            "surrogate_gradient_function": str(case["surrogate"]),
            "surrogate_gradient_height": case["gamma"] / v_th,
            "surrogate_gradient_width": case["width"] * v_th,
        }
        model = "eprop_iaf_bsshslm_2020"
        if case["beta"][j] > 0:
            model = "eprop_iaf_adapt_bsshslm_2020"
            params |= {"adapt_beta": case["beta"][j], "adapt_tau": case["tau_a"][j]}
        ids.extend(create(model, **params))
    return np.array(ids)


class Network(NamedTuple):
    """What was built: ids of nodes, and plastic weights by name."""

    hidden: np.ndarray
    outputs: np.ndarray
    weights: dict


def build(case):
    """Build the network, its input and its target for all trials of a case."""
    n_trials, n_steps, n_in = case["x"].shape
    n_out = case["target"].shape[2]
    end = n_trials * n_steps
    x, target = case["x"].reshape(end, n_in), case["target"].reshape(end, n_out)
    classification = bool(case["classification"])

    set_up(case, n_steps)
    hidden = create_recurrent(case)
    inputs = create("parrot_neuron", n_in)
    outputs = create(
        "eprop_readout_bsshslm_2020",
        n_out,
        **RESTING,
        tau_m=float(case["tau_out"]),
        regular_spike_arrival=False,
        loss="cross_entropy" if classification else "mean_squared_error",
    )

    for node, spikes in zip(inputs, x.T, strict=True):
        times = np.flatnonzero(spikes) + float(INPUT)
        wire(create("spike_generator", spike_times=times), [node])
    times = np.arange(end) + float(TEACHER)
    for node, values in zip(outputs, target.T, strict=True):
        steps = {"amplitude_times": times, "amplitude_values": values}
        wire(create("step_rate_generator", **steps), [node], RATE, receptor_type=2)
    if classification:
        others = {"rule": "all_to_all", "allow_autapses": False}
        wire(outputs, outputs, RATE, others, receptor_type=1)

    all_in, all_out = np.ones((hidden.size, n_in)), np.ones((n_out, hidden.size))
    weights = {
        "w_in": Weights(case["w_in"], all_in, inputs, hidden),
        "w_rec": Weights(case["w_rec"], case["mask"], hidden, hidden),
        "w_out": Weights(case["w_out"], all_out, hidden, outputs),
    }
    connect(outputs, hidden, case["feedback"], all_out.T, FEEDBACK)
    last = create("spike_generator", spike_times=[float(end + AFTER)])
    for nodes in (hidden, inputs):
        wire(last, nodes, rule="all_to_all", weight=1e12)

    return Network(hidden, outputs, weights)


def run(case):
    """Train on all trials, x (N, T, n_in) and target (N, T, n_out).

    Returns `loss` of every iteration, `spikes` (N, T, n_rec), the weights at the end of
    every trial `used/NAME` (N, post, pre) and after the last update `final/NAME`.
    """
    n_trials, n_steps, _ = case["x"].shape
    hidden, outputs, weights = build(case)
    meter = create("multimeter", interval=1.0, record_from=SIGNALS)
    wire(meter, outputs, rule="all_to_all")
    recorder = create("spike_recorder")
    wire(hidden, recorder, rule="all_to_all")

    used = {name: [] for name in weights}
    nest.Simulate(float(READOUT - 1))  # the last spikes of a trial have then arrived
    for _ in range(n_trials):
        nest.Simulate(float(n_steps))
        for name, group in weights.items():
            used[name].append(group.now())
    nest.Simulate(2.0 * AFTER)

    answer = {f"used/{name}": np.array(matrices) for name, matrices in used.items()}
    answer |= {f"final/{name}": group.now() for name, group in weights.items()}
    readout, teacher = recorded(meter, outputs, SIGNALS, case["target"].shape)
    answer["loss"] = losses(readout, teacher, case)
    answer["spikes"] = raster(recorder, hidden, (n_trials, n_steps, hidden.size))
    return answer


def recorded(meter, nodes, names, shape):
    """Return recorded signals, each (N, T, nodes)."""
    events = nest.NodeCollection(meter).get("events")
    first = READOUT - 1  # the first recorded step is step 1
    steps = shape[0] * shape[1]
    found = []
    for name in names:
        columns = [events[name][events["senders"] == node] for node in nodes]
        found.append(np.array(columns).T[first : first + steps].reshape(shape))
    return found


def raster(recorder, nodes, shape):
    """Return the spikes of all trials, (N, T, nodes)."""
    events = nest.NodeCollection(recorder).get("events")
    steps = np.rint(events["times"]).astype(int) - RECURRENT
    kept = (steps >= 0) & (steps < shape[0] * shape[1])
    spikes = np.zeros((shape[0] * shape[1], shape[2]), np.uint8)
    spikes[steps[kept], np.searchsorted(nodes, events["senders"][kept])] = 1
    return spikes.reshape(shape)


def losses(readout, teacher, case):
    """Return the loss of every iteration from what NEST recorded in the window."""
    window = slice(-int(case["window"]), None)
    readout, teacher = readout[:, window], teacher[:, window]
    if case["classification"]:  # the readout signal is the softmax
        trials = -np.log((readout * teacher).sum(axis=2)).mean(axis=1)
    else:
        trials = 0.5 * ((readout - teacher) ** 2).sum(axis=(1, 2))
    return trials.reshape(-1, int(case["batch_size"])).mean(axis=1)


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        result = run(dict(arrays))
    np.savez(sys.argv[2], **result)
