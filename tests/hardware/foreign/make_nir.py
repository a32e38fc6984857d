"""Write NIR files with snnTorch, Norse, Sinabs and Spyx, and the spikes that they give.

    python tests/hardware/foreign/make_nir.py FOLDER [NAME ...]

runs in an environment that has them, not in that of the tests: nothing of spikelearn is
imported. Made with torch 2.13.0, nir 1.0.8, nirtorch 2.6, snntorch 1.0.0, norse 1.1.0,
sinabs 3.1.3, spyx 1.0.0. For each network it writes NAME.nir with the exporter of the
library, and NAME.json with the input, the spikes of each population in the run of the
library itself, and the versions. All runs are in float64 (Spyx: float32).
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import nir
import numpy as np

N_IN, N_REC, N_OUT, N_STEPS = 5, 12, 3, 120
RATE = 0.3


def draw_input(seed):
    """Return spikes (T, n_in)."""
    rng = np.random.default_rng(seed)
    return (rng.random((N_STEPS, N_IN)) < RATE).astype(np.float64)


def heaviside(x):
    """Spike function of float64; those of snnTorch are float32."""
    return (x > 0).to(x.dtype)


def torch_module():
    import torch

    torch.set_default_dtype(torch.float64)
    return torch


def fill(linear, rng, scale, bias=0.0):
    """Draw weights without self-connections where there could be some."""
    torch = torch_module()
    post, pre = linear.weight.shape
    weight = rng.standard_normal((post, pre)) * scale / np.sqrt(pre)
    linear.weight.data = torch.tensor(weight)
    if linear.bias is not None:
        linear.bias.data = torch.tensor(rng.standard_normal(post) * bias)
    return linear


def snntorch_rleaky(seed=0):
    """Affine, RLeaky, Affine, Leaky: two populations, reset by subtraction."""
    torch = torch_module()
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    rng = np.random.default_rng(seed)
    kept = {"init_hidden": True, "spike_grad": heaviside}
    first = snn.RLeaky(beta=0.9, linear_features=N_REC, **kept)
    last = snn.Leaky(
        beta=torch.full((N_OUT,), 0.8), threshold=torch.full((N_OUT,), 1.0), **kept
    )
    fill(first.recurrent, rng, 0.9, bias=0.02)
    fc1 = fill(torch.nn.Linear(N_IN, N_REC), rng, 1.2, bias=0.05)
    fc2 = fill(torch.nn.Linear(N_REC, N_OUT, bias=False), rng, 0.8)
    net = torch.nn.Sequential(fc1, first, fc2, last)
    graph = export_to_nir(net, torch.zeros(1, N_IN), ignore_dims=[0])
    first.reset_mem()
    last.reset_mem()
    x = draw_input(seed + 1)
    return graph, x, run_torch(net, x, {"1.lif": 1, "3": 3}), ["snntorch"]


def snntorch_rsynaptic(seed=10):
    """Linear, RSynaptic, Affine: a synaptic current, no bias behind it."""
    torch = torch_module()
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    rng = np.random.default_rng(seed)
    rec = snn.RSynaptic(
        alpha=0.7,
        beta=0.85,
        linear_features=N_REC,
        init_hidden=True,
        spike_grad=heaviside,
    )
    fill(rec.recurrent, rng, 0.5)
    net = torch.nn.Sequential(
        fill(torch.nn.Linear(N_IN, N_REC, bias=False), rng, 0.6),
        rec,
        fill(torch.nn.Linear(N_REC, N_OUT), rng, 1.0, bias=0.1),
    )
    graph = export_to_nir(net, torch.zeros(1, N_IN), ignore_dims=[0])
    rec.reset_mem()
    x = draw_input(seed + 1)
    return graph, x, run_torch(net, x, {"1.lif": 1, "output": 2}), ["snntorch"]


def run_torch(net, x, wanted):
    """Run a sequence of modules that keep their state; return outputs by name."""
    torch = torch_module()
    found = {name: [] for name in wanted}
    with torch.no_grad():
        for row in torch.tensor(x):
            value = row[None]
            outputs = []
            for module in net:
                value = module(value)
                outputs.append(value)
            for name, index in wanted.items():
                found[name].append(outputs[index][0].numpy().tolist())
    return found


def norse_net(cell, rng, scale):
    """A recurrent module that Norse's exporter can trace, and its own run."""
    torch = torch_module()

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = fill(torch.nn.Linear(N_IN, N_REC), rng, scale, bias=0.05 * scale)
            self.lif = cell
            self.w_rec = fill(torch.nn.Linear(N_REC, N_REC), rng, 0.7 * scale)
            self.out = fill(torch.nn.Linear(N_REC, N_OUT), rng, 1.0, bias=0.1)

        def forward(self, x):
            """Two steps of one time step each: enough to see the loop."""
            z, state = self.lif(self.fc(x))
            self.lif(self.w_rec(z), state=state)
            return self.out(z)

        def run(self, x):
            z, state, found = torch.zeros(1, N_REC), None, {"lif": [], "output": []}
            with torch.no_grad():
                for row in torch.tensor(x):
                    z, state = self.lif(self.fc(row[None]) + self.w_rec(z), state)
                    found["lif"].append(z[0].numpy().tolist())
                    found["output"].append(self.out(z)[0].numpy().tolist())
            return found

    return Recurrent()


def norse_recurrent(seed=20):
    """Affine, LIFBoxCell with recurrent Affine, Affine."""
    torch = torch_module()
    import norse.torch as norse
    from norse.torch.module.lif_box import LIFBoxCell

    rng = np.random.default_rng(seed)
    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor(1.0 / rng.uniform(0.006, 0.02, N_REC)),
        v_th=torch.tensor(rng.uniform(0.8, 1.2, N_REC)),
        v_leak=torch.zeros(N_REC),
        v_reset=torch.zeros(N_REC),
    )
    net = norse_net(LIFBoxCell(parameters), rng, 14.0)
    graph = norse.to_nir(net, torch.zeros(1, N_IN))
    x = draw_input(seed + 1)
    return graph, x, net.run(x), ["norse"]


def norse_cuba(seed=30):
    """The same with LIFCell, which has a synaptic current; no bias in front of it."""
    torch = torch_module()
    import norse.torch as norse

    rng = np.random.default_rng(seed)
    parameters = norse.LIFParameters(
        tau_mem_inv=torch.tensor(1.0 / rng.uniform(0.008, 0.02, N_REC)),
        tau_syn_inv=torch.tensor(1.0 / rng.uniform(0.004, 0.008, N_REC)),
        v_th=torch.ones(N_REC),
        v_leak=torch.zeros(N_REC),
        v_reset=torch.zeros(N_REC),
    )
    net = norse_net(norse.LIFCell(parameters), rng, 3.0)
    net.fc.bias.data[:] = 0.0
    graph = norse.to_nir(net, torch.zeros(1, N_IN))
    x = draw_input(seed + 1)
    return graph, x, net.run(x), ["norse"]


def sinabs_iaf(seed=40):
    """Affine, IAF with single spikes: the same reset as ours without a leak."""
    torch = torch_module()
    import sinabs.activation as activation
    import sinabs.layers as layers
    from sinabs.nir import to_nir

    rng = np.random.default_rng(seed)
    neurons = layers.IAF(spike_fn=activation.SingleSpike, spike_threshold=torch.ones(1))
    fc = fill(torch.nn.Linear(N_IN, N_REC), rng, 0.5, bias=0.05)
    net = torch.nn.Sequential(fc, neurons)
    net(torch.zeros(1, 2, N_IN))
    graph = to_nir(net, torch.zeros(1, 2, N_IN), model_name="sinabs")
    neurons.reset_states()
    x = draw_input(seed + 1)
    with torch.no_grad():
        spikes = net(torch.tensor(x)[None])[0].numpy().tolist()
    return graph, x, {"1": spikes}, ["sinabs"]


def spyx_rlif(seed=50):
    """Linear, RLIF; Spyx gives the spikes of the voltage of the step before."""
    import jax.numpy as jnp
    import spyx.nn as spyx
    from flax import nnx
    from spyx.nir import to_nir

    rngs = nnx.Rngs(seed)
    neurons = spyx.RLIF((N_REC,), beta=0.85, rngs=rngs)
    fc = nnx.Linear(N_IN, N_REC, rngs=rngs)
    fc.kernel[...] = fc.kernel[...] * 1.5
    neurons.recurrent_w[...] = neurons.recurrent_w[...] * 20.0
    net = spyx.Sequential(fc, neurons)
    graph = to_nir(net, {"input": np.array([N_IN])}, {"output": np.array([N_REC])})
    x = draw_input(seed + 1)
    outputs, _ = spyx.run(net, jnp.asarray(x[:, None], jnp.float32))
    found = {"layer_1.layer_1.lif": np.asarray(outputs)[:, 0].tolist()}
    return graph, x, found, ["spyx"]


MAKERS = {
    maker.__name__: maker
    for maker in (
        snntorch_rleaky,
        snntorch_rsynaptic,
        norse_recurrent,
        norse_cuba,
        sinabs_iaf,
        spyx_rlif,
    )
}


def plain(rows):
    """Return lists, of integers where all values are spikes."""
    array = np.asarray(rows)
    spikes = bool(np.isin(array, (0, 1)).all())
    return (array.astype(int) if spikes else array).tolist()


def main(folder, names):
    warnings.simplefilter("ignore")
    for name in names or MAKERS:
        graph, x, found, packages = MAKERS[name]()
        nir.write(folder / f"{name}.nir", graph, compression=None)
        versions = {p: version(p) for p in ("nir", *packages)}
        found = {place: plain(rows) for place, rows in found.items()}
        content = {"versions": versions, "x": plain(x), "found": found}
        (folder / f"{name}.json").write_text(json.dumps(content) + "\n")
        counts = {key: float(np.mean(rows)) for key, rows in found.items()}
        print(f"{name}: {versions}, means {counts}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
