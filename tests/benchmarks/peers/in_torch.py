"""Peers in torch: hand-written e-prop, automatic differentiation, snnTorch, Norse.

Also the float64 reference that everyone's gradients are compared with.
"""

from __future__ import annotations

import torch
from protocol import serve
from torch_model import Model, Steps, adam, tensors

WEIGHTS = ("w_in", "w_rec", "w_out")
MOST_STEPS = 4e6  # steps x neurons x samples that a graph of all steps is made for


class TorchPeer:
    """What the peers here have in common: data, Adam, the check.

    A subclass gives `gradients(x, target) -> (dict, spikes)`.
    """

    computes = "e-prop"
    same_model = True
    dtype = torch.float32

    def __init__(self, workload, arrays):
        self.model = Model(workload, arrays, self.dtype)
        self.x = tensors(arrays["x"], self.dtype)
        self.target = tensors(arrays["target"], self.dtype)
        self.check_x = tensors(arrays["check_x"], self.dtype)
        self.check_target = tensors(arrays["check_target"], self.dtype)
        self.adam = adam(self.model.weights, workload["lr"])
        self.prepare(workload)

    def prepare(self, workload):
        """Make what a subclass needs besides."""

    def step(self, k):
        gradients, _ = self.gradients(self.x[k], self.target[k])
        for name, weight in self.model.weights.items():
            weight.grad = gradients[name]
        self.adam.step()
        return None

    def check(self):
        gradients, spikes = self.gradients(self.check_x, self.check_target)
        found = {k: g.double().numpy() for k, g in gradients.items()}
        return found, spikes


class GemmEProp(TorchPeer):
    """e-prop by hand: filters forward and backward in time, gradients as products.

        p[t] = psi[t] (Lbar[t] + g[t]),   g[t-1] = rho g[t] - beta p[t]
        dE/dw_ji = sum_t p_j[t] xbar_i[t]

    with xbar the presynaptic spikes through the filter of the membrane and Lbar the
    learning signal through that of the readout, backward in time.
    """

    @staticmethod
    def can(workload):
        return workload["kind"] == "e-prop"

    @torch.no_grad()
    def gradients(self, x, target):
        model = self.model
        z, distance, y = model.run(x)
        error = model.filter_back(y - target, model.kappa)
        signal = error @ model.weights["w_out"]
        psi = model.psi(distance)
        if model.beta:
            back, p = torch.zeros_like(signal[0]), torch.empty_like(signal)
            for t in range(len(p) - 1, -1, -1):
                torch.mul(psi[t], signal[t] + back, out=p[t])
                back = model.rho * back - model.beta * p[t]
        else:
            p = psi * signal
        before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
        flat = p.flatten(0, 1).T
        return {
            "w_in": flat @ model.filter(x, model.alpha).flatten(0, 1),
            "w_rec": flat @ model.filter(before, model.alpha).flatten(0, 1) * model.off,
            "w_out": error.flatten(0, 1).T @ z.flatten(0, 1),
        }, int(z.sum())


class TracesEProp(TorchPeer):
    """e-prop with an eligibility trace at every synapse, step by step."""

    @staticmethod
    def can(workload):
        synapses = workload["n_rec"] * (workload["n_in"] + workload["n_rec"])
        size = synapses * workload["n_samples"] * workload["n_steps"]
        return workload["kind"] == "e-prop" and size < 4e9

    @torch.no_grad()
    def gradients(self, x, target):
        m = self.model
        z, distance, y = m.run(x)
        error, psi = y - target, m.psi(distance)
        n_steps, n_samples, n_rec = z.shape
        before = torch.cat([torch.zeros_like(z[:1]), z[:-1]])
        xbar = m.filter(torch.cat([x, before], dim=2), m.alpha)
        zbar = m.filter(z, m.kappa)
        adapt = torch.zeros((n_samples, n_rec, xbar.shape[2]), dtype=z.dtype)
        ebar, total = torch.zeros_like(adapt), torch.zeros_like(adapt)
        for t in range(n_steps):
            trace = psi[t][:, :, None] * (xbar[t][:, None, :] - m.beta * adapt)
            adapt = m.rho * adapt + trace
            ebar = m.kappa * ebar + trace
            total += (error[t] @ m.weights["w_out"])[:, :, None] * ebar
        summed, n_in = total.sum(0), x.shape[2]
        return {
            "w_in": summed[:, :n_in].contiguous(),
            "w_rec": summed[:, n_in:] * m.off,
            "w_out": error.flatten(0, 1).T @ zbar.flatten(0, 1),
        }, int(z.sum())


class AutogradEProp(TorchPeer):
    """e-prop by automatic differentiation with the spikes of others stopped.

    The spikes come from a forward pass without a graph; the currents of all steps are
    then two products, and the graph holds the filters of the neurons alone.
    """

    @staticmethod
    def can(workload):
        return workload["kind"] == "e-prop"

    def gradients(self, x, target):
        model = self.model
        with torch.no_grad():
            spikes, _, _ = model.run(x)
        before = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
        weights = {k: w.detach().requires_grad_() for k, w in model.weights.items()}
        current = x @ weights["w_in"].T + before @ (weights["w_rec"] * model.off).T
        z = model.neurons(current, before)
        y = model.readout(z, weights["w_out"])
        loss = 0.5 * ((y - target) ** 2).sum()
        found = torch.autograd.grad(loss, [weights[name] for name in WEIGHTS])
        return dict(zip(WEIGHTS, found, strict=True)), int(spikes.sum())


class AutogradBPTT(TorchPeer):
    """Backpropagation through time, a node a step; the reset is stopped."""

    computes = "bptt"

    @staticmethod
    def can(workload):
        size = workload["n_steps"] * workload["n_rec"] * workload["n_samples"]
        return workload["kind"] != "inference" and size < MOST_STEPS

    def gradients(self, x, target):
        model = self.model
        weights = {k: w.detach().requires_grad_() for k, w in model.weights.items()}
        z = model.unrolled(x, weights)
        y = model.readout(z, weights["w_out"])
        loss = 0.5 * ((y - target) ** 2).sum()
        found = torch.autograd.grad(loss, [weights[name] for name in WEIGHTS])
        return dict(zip(WEIGHTS, found, strict=True)), int(z.detach().sum())


class Reference(TorchPeer):
    """Float64 gradients by automatic differentiation: not timed, compared with."""

    computes = "reference"
    dtype = torch.float64

    @staticmethod
    def can(workload):
        return workload["kind"] != "inference"

    def prepare(self, workload):
        kinds = {"e-prop": AutogradEProp, "bptt": AutogradBPTT}
        self._gradients = kinds[workload["kind"]].gradients

    def gradients(self, x, target):
        return self._gradients(self, x, target)


class Inference(TorchPeer):
    """The forward pass by hand."""

    computes = "inference"

    @staticmethod
    def can(workload):
        return workload["kind"] == "inference"

    @torch.no_grad()
    def step(self, k):
        self.model.run(self.x[k])
        return None

    @torch.no_grad()
    def check(self):
        z, _, _ = self.model.run(self.check_x)
        return None, z.sum()


class ScriptedInference(Inference):
    """The same, compiled by TorchScript."""

    def prepare(self, workload):
        self.scripted = torch.jit.script(Steps(self.model))

    @torch.no_grad()
    def step(self, k):
        self.scripted(self.x[k])
        return None

    @torch.no_grad()
    def check(self):
        z, _ = self.scripted(self.check_x)
        return None, z.sum()


if __name__ == "__main__":
    from torch_libraries import LIBRARIES

    serve(
        {
            "torch reference": Reference,
            "torch e-prop gemm": GemmEProp,
            "torch e-prop autograd": AutogradEProp,
            "torch e-prop traces": TracesEProp,
            "torch bptt": AutogradBPTT,
            "torch inference": Inference,
            "torch inference script": ScriptedInference,
            **LIBRARIES,
        }
    )
