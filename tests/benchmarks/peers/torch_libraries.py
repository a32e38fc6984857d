"""snnTorch and Norse as their users write a recurrent network with a leaky readout."""

from __future__ import annotations

import snntorch
import torch
from norse.torch.functional import lif_box, lsnn
from norse.torch.functional.reset import reset_subtract
from torch_model import Spike, adam, tensors

MOST_STEPS = 4e6  # steps x neurons x samples that a graph is made for
DT = 0.001  # Norse's step, s


class Library:
    """Forward pass, or forward pass, backpropagation through time and Adam.

    A subclass gives `spikes(current)`: (T, B, n) currents from the input to spikes.
    """

    same_model = False
    computes = "bptt with reset"

    def __init__(self, workload, arrays):
        self.workload = workload
        self.learns = workload["kind"] != "inference"
        f32 = torch.float32
        names = ("w_in", "w_rec", "w_out")
        self.weights = {name: tensors(arrays[name], f32) for name in names}
        for weight in self.weights.values():
            weight.requires_grad_(self.learns)
        self.x = tensors(arrays["x"], f32)
        self.target = tensors(arrays["target"], f32)
        self.check_x = tensors(arrays["check_x"], f32)
        self.adam = adam(self.weights, workload["lr"])
        self.set_up(workload)

    @staticmethod
    def can(workload):
        size = workload["n_steps"] * workload["n_rec"] * workload["n_samples"]
        fits = size < MOST_STEPS or workload["kind"] == "inference"
        return fits and workload["kind"] in ("inference", "e-prop", "bptt")

    def forward(self, x):
        """Return spikes and readout."""
        z = self.spikes(x @ self.weights["w_in"].T)
        y, out, kappa = 0.0, [], self.workload["kappa"]
        for now in (z @ self.weights["w_out"].T).unbind(0):
            y = kappa * y + now
            out.append(y)
        return z, torch.stack(out)

    def step(self, k):
        with torch.set_grad_enabled(self.learns):
            _, y = self.forward(self.x[k])
        if self.learns:
            self.adam.zero_grad()
            (0.5 * ((y - self.target[k]) ** 2).sum()).backward()
            self.adam.step()

    @torch.no_grad()
    def check(self):
        z, _ = self.forward(self.check_x)
        return None, z.sum()


class SnnTorch(Library):
    """snnTorch's `Leaky` with reset by subtraction; LIF cells only."""

    same_model = True

    @staticmethod
    def can(workload):
        return Library.can(workload) and workload["cell"] == "LIF"

    def set_up(self, workload):
        gamma, v_th = workload["gamma"], workload["v_th"]
        self.cell = snntorch.Leaky(
            beta=workload["alpha"],
            threshold=v_th,
            spike_grad=lambda distance: Spike.apply(distance, gamma, v_th),
        )

    def spikes(self, current):
        w_rec = self.weights["w_rec"].T
        v = torch.zeros_like(current[0])
        z, out = torch.zeros_like(v), []
        for now in current.unbind(0):
            z, v = self.cell(torch.addmm(now, z, w_rec), v)
            out.append(z)
        return torch.stack(out)


class NorseLIF(Library):
    """Norse's `lif_box` with reset by subtraction; LIF cells only.

    Norse subtracts the threshold before the leak, the workload after it: a recurrent
    connection of every neuron to itself makes up for the difference.
    """

    same_model = True

    @staticmethod
    def can(workload):
        return Library.can(workload) and workload["cell"] == "LIF"

    def set_up(self, workload):
        leak = 1.0 - workload["alpha"]
        self.parameters = lif_box.LIFBoxParameters(
            tau_mem_inv=torch.as_tensor(leak / DT),
            v_th=torch.as_tensor(workload["v_th"]),
            reset_method=reset_subtract,
        )
        self.gain = 1.0 / leak
        self.own = leak * workload["v_th"] * torch.eye(workload["n_rec"])

    def spikes(self, current):
        current = (current * self.gain).unbind(0)
        w_rec = (self.weights["w_rec"].T - self.own) * self.gain
        z, out = torch.zeros_like(current[0]), []
        state = lif_box.LIFBoxFeedForwardState(v=z)
        for now in current:
            total = torch.addmm(now, z, w_rec)
            z, state = lif_box.lif_box_feed_forward_step(total, state, self.parameters)
            out.append(z)
        return torch.stack(out)


class NorseLSNN(Library):
    """Norse's `lsnn`, whose reset is to a value and whose input acts a step later."""

    @staticmethod
    def can(workload):
        return Library.can(workload) and workload["cell"] == "ALIF"

    def set_up(self, workload):
        leak = 1.0 - workload["alpha"]
        self.parameters = lsnn.LSNNParameters(
            tau_syn_inv=torch.as_tensor(1.0 / DT),
            tau_mem_inv=torch.as_tensor(leak / DT),
            tau_adapt_inv=torch.as_tensor((1.0 - workload["rho"]) / DT),
            v_th=torch.as_tensor(workload["v_th"]),
            beta=torch.as_tensor(workload["beta"]),
        )
        self.gain = 1.0 / leak

    def spikes(self, current):
        current = (current * self.gain).unbind(0)
        w_rec = self.weights["w_rec"].T * self.gain
        z, out = torch.zeros_like(current[0]), []
        threshold = torch.full_like(z, self.workload["v_th"])
        state = lsnn.LSNNFeedForwardState(v=z, i=torch.zeros_like(z), b=threshold)
        for now in current:
            total = torch.addmm(now, z, w_rec)
            z, state = lsnn.lsnn_feed_forward_step(total, state, self.parameters)
            out.append(z)
        return torch.stack(out)


LIBRARIES = {"snntorch": SnnTorch, "norse lif": NorseLIF, "norse lsnn": NorseLSNN}
