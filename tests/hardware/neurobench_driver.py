"""Runs in a Python with neurobench: its metrics for a recorded run of ours.

A layer that replays recorded spikes and membranes stands for the neurons, so that the
package sees exactly our run. Usage: neurobench_driver.py CASE.npz ANSWER.json
"""

import json
import sys

import numpy as np
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    MembraneUpdates,
    NeuronOperations,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch.utils.data import DataLoader, TensorDataset


def replay(kind, case):
    """Return a layer of a given kind (its class name counts) that replays a run."""

    class Layer(snntorch.SpikingNeuron):
        def __init__(self):
            super().__init__(reset_mechanism=str(case["reset"]), init_hidden=True)
            self.spikes = torch.tensor(case["spikes"].astype(np.float32))
            self.v = torch.tensor(case["v"].astype(np.float64))
            self.rewind(0, 0)

        def rewind(self, first, size):
            self.where, self.step = slice(first, first + size), 0
            self.mem = torch.zeros(size, self.v.shape[2], dtype=torch.float64)

        def forward(self, _):
            self.mem = self.v[self.step, self.where]
            self.step += 1
            return self.spikes[self.step - 1, self.where]

    Layer.__name__ = kind
    return Layer()


class Net(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        layers = {}
        for name, bias in (("w_in", True), ("w_rec", False), ("w_out", True)):
            weights = torch.tensor(case[name].astype(np.float32))
            layers[name] = torch.nn.Linear(weights.shape[1], weights.shape[0], bias)
            layers[name].weight.data = weights
        self.w_in, self.w_rec, self.w_out = layers.values()
        self.neurons = replay(str(case["kind"]), case)
        self.seen = 0

    def forward(self, data):
        size = data.shape[0]
        self.neurons.rewind(self.seen, size)
        self.seen += size
        spikes = torch.zeros(size, self.w_rec.in_features)
        outputs = []
        for step in range(data.shape[1]):
            current = self.w_in(data[:, step]) + self.w_rec(spikes)
            spikes = self.neurons(current)
            outputs.append(self.w_out(spikes))
        return torch.stack(outputs)


def main(source, target):
    with np.load(source) as file:
        case = dict(file)
    x = torch.tensor(case["x"].astype(np.float32)).transpose(0, 1)
    data = TensorDataset(x, torch.zeros(len(x)))
    model = SNNTorchModel(Net(case), custom_forward=True)
    metrics = [ActivationSparsity, MembraneUpdates, NeuronOperations]
    metrics += [SynapticOperations]
    static = [ParameterCount, ConnectionSparsity]
    loader = DataLoader(data, batch_size=int(case["batch_size"]))
    benchmark = Benchmark(model, loader, [], [], [static, metrics])
    results = benchmark.run(quiet=True)
    with open(target, "w") as file:
        json.dump(results, file)


main(*sys.argv[1:])
