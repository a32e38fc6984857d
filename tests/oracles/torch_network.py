"""The networks of spikelearn in torch: float64, every path open to autograd.

Written from the equations of the time step alone. From spikelearn it reads what a
specification says (time constants in ms, masks, delays, weights), never what kernels
made of it:

    i[t] = alpha_s i[t-1] + w_in x[t] + sum_q w_rec[:, q] r_q[t - delay]
    LIF, ALIF     v[t] = alpha_m v[t-1] + zeta i[t] + bias - reset
                  a[t] = rho a[t-1] + z[t-1]
                  r[t] = z[t] = [v[t] > v_th + beta a[t] and not refractory]
    rate inside   h[t] = alpha_m h[t-1] + zeta i[t] + bias,    r[t] = f(h[t])
    rate outside  h[t] = alpha_m h[t-1] + zeta f(i[t] + bias), r[t] = h[t]
    y[t] = kappa y[t-1] + c w_out r[t] + b_out

What a neuron sends to others, to the readout and to its own reset is `Run.sent`, a
node of its own in the graph. What stays inside the neuron (leak, adaptation) does not
pass through it. So d/d sent is the learning signal of a neuron, complete, and cutting
`sent` cuts neurons from each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.oracles.optional import oracle

torch = oracle("torch")
torch.set_num_threads(1)  # the networks are tiny

NAMES = ("w_in", "w_rec", "w_out", "b_out", "bias")


def tensor(values):
    """Return a float64 tensor."""
    return torch.tensor(np.asarray(values, np.float64))


def decay(tau, dt):
    """Return exp(-dt / tau), 0 where tau is 0."""
    return tensor([np.exp(-dt / t) if t > 0 else 0.0 for t in tau])


@dataclass
class Specification:
    """One network: constants as tensors (n_rec,), masks and delays as (post, pre)."""

    kind: str
    alpha_m: object
    alpha_s: object
    zeta: object
    rho: object
    beta: object
    v_th: object
    n_ref: object
    reset: str
    surrogate: object
    activation: str
    placement: str
    kappa: float
    gain: float
    delay: object
    masks: dict
    cell_types: object
    values: dict

    @classmethod
    def of(cls, network):
        """Read the specification and the parameters of a spikelearn network."""
        cell, dt, n = network.cell, network.dt, network.n_rec

        def each(name, default=0.0):
            return np.broadcast_to(
                np.asarray(getattr(cell, name, default), float), (n,)
            )

        alpha_m = decay(each("tau_m"), dt)
        kappa = float(decay([network.readout.tau_out], dt)[0])
        masks = {
            "w_rec": network.mask,
            "w_in": getattr(network, "mask_in", None),
            "w_out": getattr(network, "mask_out", None),
        }
        return cls(
            kind=getattr(cell, "kind", type(cell).__name__),
            alpha_m=alpha_m,
            alpha_s=decay(each("tau_syn"), dt),
            zeta=1 - alpha_m
            if cell.input_scaling == "leak"
            else torch.ones_like(alpha_m),
            rho=decay(each("tau_a"), dt),
            beta=tensor(each("beta")),
            v_th=tensor(each("v_th", 1.0)),
            n_ref=tensor(np.rint(each("t_ref") / dt)),
            reset=getattr(cell, "reset", "none"),
            surrogate=getattr(cell, "surrogate", None),
            activation=getattr(cell, "activation", "none"),
            placement=getattr(cell, "placement", "inside"),
            kappa=kappa,
            gain=1 - kappa if network.readout.scaling == "leak" else 1.0,
            delay=np.broadcast_to(getattr(network, "delay", 1), (n, n)).copy(),
            masks={name: m for name, m in masks.items() if m is not None},
            cell_types=getattr(network, "cell_types", None),
            values={name: getattr(network.params, name).copy() for name in NAMES},
        )

    @property
    def n_rec(self):
        """Number of recurrent neurons."""
        return len(self.alpha_m)

    @property
    def spiking(self):
        """Whether neurons send spikes."""
        return self.kind in ("LIF", "ALIF")

    def leaves(self):
        """Return fresh parameters that require gradients."""
        return {k: tensor(v).requires_grad_() for k, v in self.values.items()}

    def masked(self, parameters):
        """Return the parameters with the connections that do not exist at zero."""
        masks = {name: tensor(mask) for name, mask in self.masks.items()}
        return {k: p * masks[k] if k in masks else p for k, p in parameters.items()}


class Spike(torch.autograd.Function):
    """Heaviside step of the distance to threshold, backward the surrogate."""

    @staticmethod
    def forward(ctx, distance, ready, v_th, surrogate):
        ctx.save_for_backward(distance, ready, v_th)
        ctx.surrogate = surrogate
        return (distance > 0).to(distance.dtype) * ready

    @staticmethod
    def backward(ctx, gradient):
        distance, ready, v_th = ctx.saved_tensors
        height = ctx.surrogate.gamma / v_th
        ratio = distance.abs() / (ctx.surrogate.width * v_th)
        shape = {
            "triangular": lambda: (1 - ratio).clamp(min=0),
            "fast-sigmoid": lambda: 1 / (1 + ratio) ** 2,
            "exponential": lambda: torch.exp(-ratio),
            "arctan": lambda: 1 / (1 + ratio**2),
        }[ctx.surrogate.name]()
        return gradient * height * shape * ready, None, None, None


def activate(name, argument):
    """Activation of rate cells."""
    if name == "relu":
        return torch.relu(argument)
    if name == "tanh":
        return torch.tanh(argument)
    return torch.logaddexp(argument, torch.zeros_like(argument))


@dataclass
class Run:
    """Lists over time of (B, n) tensors.

    `sent` is r as others see it, `argument` what the nonlinearity is applied to (v, h,
    or u = i + bias), `threshold` and `ready` are those of spiking cells.
    """

    specification: Specification
    sent: list
    argument: list
    threshold: list
    ready: list
    y: list

    def respond(self, t, perturbation):
        """Apply the nonlinearity of step t to its argument plus a perturbation.

        Everything else that the neuron is at that step is held constant.
        """
        argument = self.argument[t].detach() + perturbation
        if self.specification.spiking:
            distance = argument - self.threshold[t].detach()
            return spike(self.specification, distance, self.ready[t])
        return activate(self.specification.activation, argument)

    def array(self, name):
        """Return one of the lists as a (T, B, n) array."""
        return torch.stack(getattr(self, name)).detach().numpy()


def spike(spec, distance, ready):
    """Return the spikes of (B, n) distances."""
    return Spike.apply(distance, ready, spec.v_th, spec.surrogate)


def arriving(spec, weights, hop, sent, t):
    """Return sum_q w_rec[:, q] sent_q[t - delay], (B, n_rec).

    With `hop` None this is the product as it stands. Otherwise its value and its
    gradient to the weights stay, and the gradient to `sent` goes through the matrix
    `hop` in place of the weights (straight through).
    """
    total = torch.zeros_like(sent[0]) if sent else 0.0
    for delay in np.unique(spec.delay):
        if t - delay < 0:
            continue
        chosen = tensor(spec.delay == delay)
        before = sent[t - delay]
        if hop is None:
            total = total + before @ (weights * chosen).T
        else:
            total = total + before.detach() @ (weights * chosen).T
            total = total + (before - before.detach()) @ (hop * chosen).T
    return total


def run(spec, parameters, x, *, hop=None, through_reset=True):
    """Run the network; return a `Run` with the whole graph attached.

    Parameters
    ----------
    hop
        None for all paths between neurons, or the (post, pre) matrix that stands for
        the recurrent weights in the backward direction; zeros cut every such path.
    through_reset
        Whether the gradient passes through the reset.
    """
    p = spec.masked(parameters)
    x = tensor(x)
    zeros = torch.zeros((x.shape[1], spec.n_rec), dtype=torch.float64)
    i, v, a, counter, inner, sent, y = zeros, zeros, zeros, zeros, zeros, zeros, 0.0
    out = Run(spec, [], [], [], [], [])
    for t in range(x.shape[0]):
        i = spec.alpha_s * i + x[t] @ p["w_in"].T
        i = i + arriving(spec, p["w_rec"], hop, out.sent, t)
        if spec.spiking:
            v = spec.alpha_m * v + spec.zeta * i + p["bias"]
            if spec.reset == "subtract":
                v = v - spec.v_th * (sent if through_reset else sent.detach())
            a = spec.rho * a + inner
            counter = (counter - 1).clamp(min=0)
            threshold = spec.v_th + spec.beta * a
            ready = (counter == 0).to(v.dtype)
            inner = spike(spec, v - threshold, ready)
            counter = torch.where(inner.detach() > 0, spec.n_ref, counter)
            argument = v
            sent = inner.clone()
            if spec.reset == "zero":
                v = v * (1 - (sent if through_reset else sent.detach()))
        else:
            threshold = ready = zeros
            if spec.placement == "inside":
                v = spec.alpha_m * v + spec.zeta * i + p["bias"]
                argument = v
                sent = activate(spec.activation, v)
            else:
                argument = i + p["bias"]
                v = spec.alpha_m * v + spec.zeta * activate(spec.activation, argument)
                sent = v.clone()
        y = spec.kappa * y + spec.gain * sent @ p["w_out"].T + p["b_out"]
        for name, value in (
            ("sent", sent),
            ("argument", argument),
            ("threshold", threshold),
            ("ready", ready),
            ("y", y),
        ):
            getattr(out, name).append(value)
    return out
