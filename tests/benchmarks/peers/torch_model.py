"""The network of the workloads in torch; sequences are (T, B, n)."""

from __future__ import annotations

import warnings

import torch

# A deprecated compiler is still what people use for loops over time.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def tensors(array, dtype):
    """Return a copy of an array as a contiguous tensor."""
    return torch.from_numpy(array).to(dtype, copy=True).contiguous()


def adam(weights, lr):
    """Return Adam over a dict of tensors."""
    return torch.optim.Adam(list(weights.values()), lr=lr)


class Spike(torch.autograd.Function):
    """Step of the distance to threshold; backward the triangle of height gamma."""

    @staticmethod
    def forward(ctx, distance, gamma, v_th):
        ctx.save_for_backward(distance)
        ctx.gamma, ctx.v_th = gamma, v_th
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        shape = (1 - distance.abs() / ctx.v_th).clamp_(min=0)
        return gradient * shape * (ctx.gamma / ctx.v_th), None, None


class Model:
    """Constants and weights of a workload, and its equations."""

    def __init__(self, workload, arrays, dtype):
        for name in ("alpha", "rho", "beta", "kappa", "v_th", "gamma"):
            setattr(self, name, float(workload[name]))
        self.weights = {
            name: tensors(arrays[name], dtype) for name in ("w_in", "w_rec", "w_out")
        }
        n = workload["n_rec"]
        self.off = 1 - torch.eye(n, dtype=dtype)  # no self-connections

    def psi(self, distance):
        """Return the pseudo-derivative."""
        shape = (1 - distance.abs() / self.v_th).clamp_(min=0)
        return shape * (self.gamma / self.v_th)

    def filter(self, x, decay):
        """Return the exponential filter of a sequence."""
        out, now = torch.empty_like(x), torch.zeros_like(x[0])
        for t in range(len(x)):
            now = torch.add(x[t], now, alpha=decay, out=out[t])
        return out

    def filter_back(self, x, decay):
        """Return the exponential filter of a sequence backward in time."""
        return self.filter(x.flip(0), decay).flip(0)

    def run(self, x):
        """Return spikes, distances to threshold and readout, without a graph."""
        n_steps = len(x)
        current = x @ self.weights["w_in"].T
        w_rec = self.weights["w_rec"].T.contiguous()
        z = torch.empty_like(current)
        distance = torch.empty_like(current)
        v = torch.zeros_like(current[0])
        a, sent = torch.zeros_like(v), torch.zeros_like(v)
        for t in range(n_steps):
            v = torch.addmm(current[t], sent, w_rec).add_(v, alpha=self.alpha)
            v.sub_(sent, alpha=self.v_th)
            if self.beta:
                a = self.rho * a + sent
                d = torch.sub(v, a, alpha=self.beta, out=distance[t]).sub_(self.v_th)
            else:
                d = torch.sub(v, self.v_th, out=distance[t])
            sent = torch.gt(d, 0, out=z[t])
        return z, distance, self.filter(z @ self.weights["w_out"].T, self.kappa)

    def neurons(self, current, before):
        """Return spikes from given currents and given spikes of the step before."""
        v = torch.zeros_like(current[0])
        a, inner, out = torch.zeros_like(v), torch.zeros_like(v), []
        for now, reset in zip(current.unbind(0), before.unbind(0), strict=True):
            v = self.alpha * v + now - self.v_th * reset
            distance = v - self.v_th
            if self.beta:
                a = self.rho * a + inner
                distance = distance - self.beta * a
            inner = Spike.apply(distance, self.gamma, self.v_th)
            out.append(inner)
        return torch.stack(out)

    def unrolled(self, x, weights):
        """Return spikes with the whole graph, but for the reset."""
        current = (x @ weights["w_in"].T).unbind(0)
        w_rec = (weights["w_rec"] * self.off).T
        v = torch.zeros_like(current[0])
        a, z, out = torch.zeros_like(v), torch.zeros_like(v), []
        for now in current:
            v = self.alpha * v + torch.addmm(now, z, w_rec) - self.v_th * z.detach()
            distance = v - self.v_th
            if self.beta:
                a = self.rho * a + z
                distance = distance - self.beta * a
            z = Spike.apply(distance, self.gamma, self.v_th)
            out.append(z)
        return torch.stack(out)

    def readout(self, z, w_out):
        """Return the filtered readout with a graph."""
        y, out = 0.0, []
        for now in (z @ w_out.T).unbind(0):
            y = self.kappa * y + now
            out.append(y)
        return torch.stack(out)


class Steps(torch.nn.Module):
    """The forward pass as a module that TorchScript can compile; LIF cells."""

    def __init__(self, model):
        super().__init__()
        self.w_in = model.weights["w_in"].T.contiguous()
        self.w_rec = model.weights["w_rec"].T.contiguous()
        self.w_out = model.weights["w_out"].T.contiguous()
        self.alpha, self.kappa, self.v_th = model.alpha, model.kappa, model.v_th

    def forward(self, x: torch.Tensor):
        """Return spikes and readout."""
        current = x @ self.w_in
        v = torch.zeros_like(current[0])
        z = torch.zeros_like(v)
        spikes: list[torch.Tensor] = []
        for t in range(x.shape[0]):
            v = self.alpha * v + torch.addmm(current[t], z, self.w_rec) - self.v_th * z
            z = (v > self.v_th).to(v.dtype)
            spikes.append(z)
        raster = torch.stack(spikes)
        sent = raster @ self.w_out
        y = torch.zeros_like(sent[0])
        out: list[torch.Tensor] = []
        for t in range(x.shape[0]):
            y = self.kappa * y + sent[t]
            out.append(y)
        return raster, torch.stack(out)
