"""The metrics of NeuroBench 2.3.0 under their names, without PyTorch.

The network is seen as three linear layers (`w_in`, `w_rec`, `w_out`) and one layer of
spiking neurons; the readout does not spike and is no activation layer. Where the
definitions leave a choice, this is said below. Source: the package neurobench 2.3.0
(Apache-2.0), `neurobench.metrics`; Yik et al. 2025, doi:10.1038/s41467-025-56739-4.

ParameterCount
    Weights of the three layers, present or not, and one bias of each neuron.
Footprint
    Bytes of parameters and constants, each in the smallest integer of whole bytes that
    holds its register: weights 1, delays 1, decays 2, biases 2 + 1, thresholds of 17
    bits and what spikes add to them 4 (2 of ATRLIF), refractoriness 1. States are left
    out.
ConnectionSparsity
    Share of weights that are 0, rounded to 4 decimals as the package does.
ActivationSparsity
    1 - spikes / (steps x samples x neurons).
SynapticOperations
    Mean number for one sample: for every input to a layer that is not 0, the weights
    from it that are not 0. `Effective_ACs` of layers with inputs 0 and 1,
    `Effective_MACs` of a layer with graded input; `Dense` counts zeros as well. A layer
    is graded here if its input has more than one bit; the package decides this anew for
    every batch and step. The recurrent layer gets the spikes of the step before.
MembraneUpdates
    Mean number for one sample of neuron-steps whose membrane after the reset is not
    that of the step before, and all neurons in the first step.
NeuronOperations
    `Effective Neuron Ops`: membrane updates times the operations of the cell;
    `Neuron Dense Ops`: the same for all neuron-steps. The package gives 4 operations
    for a leaky cell (`Leaky`), 6 (reset "subtract") or 8 ("zero") for one with a
    synaptic current (`Synaptic`), and none for an adaptive threshold or a ternary
    neuron: None then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.description import NetworkDescription, NeuronParameters

__all__ = ["WorkloadCounts", "count_workload", "neurobench_metrics"]

VERSION = "2.3.0"
NO_SYNAPTIC_MEMORY = 4095  # du
REGISTER_BYTES = {  # 2, but for these
    "bias_exp": 1,
    "vth": 4,
    "vth_hi": 4,
    "vth_lo": 4,
    "beta": 4,
    "refractory": 1,
}
LEAKY = {"subtract": 4, "zero": 4}
SYNAPTIC = {"subtract": 6, "zero": 8}


@dataclass(frozen=True)
class WorkloadCounts:
    """What a run adds up to over its samples.

    Attributes
    ----------
    samples, steps
        Number of samples, and steps of one.
    spikes
        Spikes of the recurrent neurons.
    membrane_updates
        Neuron-steps whose membrane changed, and all of the first step.
    operations
        Synaptic operations of each block: weights other than 0 that a message meets.
    """

    samples: int
    steps: int
    spikes: int
    membrane_updates: int
    operations: dict[str, int]

    def plus(self, other: WorkloadCounts) -> WorkloadCounts:
        """Return the counts of both runs, which have the same steps."""
        return WorkloadCounts(
            self.samples + other.samples,
            self.steps,
            self.spikes + other.spikes,
            self.membrane_updates + other.membrane_updates,
            {k: n + other.operations[k] for k, n in self.operations.items()},
        )


def count_workload(
    network: NetworkDescription, x: np.ndarray, spikes: np.ndarray, v: np.ndarray
) -> WorkloadCounts:
    """Count what one run did.

    Parameters
    ----------
    network
        What was run.
    x, spikes, v : (T, S, n_in) and (T, S, n_rec) arrays
        Its input, spikes, and membranes after the reset.
    """
    steps, samples, _ = x.shape
    active = {"w_in": x != 0, "w_rec": spikes[:-1] != 0, "w_out": spikes != 0}
    operations = {}
    for name, messages in active.items():
        fan_out = np.count_nonzero(getattr(network, name).weights, axis=0)
        operations[name] = int(messages.sum(axis=(0, 1), dtype=np.int64) @ fan_out)
    changed = int(np.count_nonzero(v[1:] != v[:-1]))
    return WorkloadCounts(
        samples=samples,
        steps=steps,
        spikes=int(np.count_nonzero(spikes)),
        membrane_updates=changed + v[:1].size,
        operations=operations,
    )


def neurobench_metrics(
    network: NetworkDescription, counts: WorkloadCounts
) -> dict[str, Any]:
    """Return all metrics by name; their definitions are those of this module.

    Parameters
    ----------
    network
        The network.
    counts
        What it did on the samples.
    """
    blocks = {name: getattr(network, name) for name in counts.operations}
    weights = {name: block.weights for name, block in blocks.items()}
    n_weights = sum(w.size for w in weights.values())
    zeros = sum(w.size - np.count_nonzero(w) for w in weights.values())
    graded = {"w_in"} if network.input_bits > 1 else set()
    per_sample = {k: n / counts.samples for k, n in counts.operations.items()}
    neuron_steps = counts.steps * network.n_rec
    updates = counts.membrane_updates / counts.samples
    each = _operations_per_update(network)
    sparsity = 1 - counts.spikes / (counts.samples * neuron_steps)
    return {
        "ParameterCount": n_weights + network.n_rec + network.n_out,
        "Footprint": footprint(network),
        "ConnectionSparsity": round(zeros / n_weights, 4),
        "ActivationSparsity": sparsity,
        "ActivationSparsityByLayer": {"neurons": sparsity},
        "SynapticOperations": {
            "Effective_MACs": sum(n for k, n in per_sample.items() if k in graded),
            "Effective_ACs": sum(n for k, n in per_sample.items() if k not in graded),
            "Dense": counts.steps * n_weights,
        },
        "MembraneUpdates": updates,
        "NeuronOperations": {
            "Effective Neuron Ops": None if each is None else updates * each,
            "Neuron Dense Ops": None if each is None else neuron_steps * each,
        },
    }


def footprint(network: NetworkDescription) -> int:
    """Return the bytes of weights and registers (see `Footprint` of this module)."""
    blocks = (network.w_in, network.w_rec, network.w_out)
    weights = sum(block.weights.size for block in blocks)
    neuron = sum(REGISTER_BYTES.get(name, 2) for name in network.neurons.registers)
    delays = sum(b.delays.size for b in blocks if b.delays is not None)
    readout = 2 + 2 + 1  # dv bias_mant bias_exp
    return weights + delays + neuron * network.n_rec + readout * network.n_out


def _operations_per_update(network: NetworkDescription) -> int | None:
    neurons = network.neurons
    if not isinstance(neurons, NeuronParameters) or neurons.beta.any():
        return None
    leaky = bool((neurons.du == NO_SYNAPTIC_MEMORY).all())
    return (LEAKY if leaky else SYNAPTIC)[neurons.reset]
