"""Every learning rule by its own definition: autograd with stopped or swapped paths.

A rule is given error, feedback, broadcast, neuron and direct signals that need not
come from a loss. So it differentiates a linear functional of what neurons send, with
weights that are constants:

    E = sum_{t,j} r_j[t] (D_j[t] + neuron_j + direct_j[t]) + (paths the rule keeps)
    D_j[t] = c sum_k B_jk ebar_k[t],   ebar_k[t] = broadcast_k[t] + kappa ebar_k[t+1]

and the readout learns from sum_{t,k} error_k[t] y_k[t] with r held constant. Where B is
w_out^T, broadcast is the error and there is no other signal, D is the derivative of the
loss with respect to r through the readout, and E with all paths has the gradient of the
loss.

Rules differ in the matrix `hop` that stands for the recurrent weights in the backward
direction, in the reset, and in a second graph whose perturbations are zero in value:

    e-prop, RFLO, DECOLLE   hop 0, no reset
    BPTT, RTRL              the weights, reset as asked for
    SnAp-1                  the diagonal of the weights, with reset
    MDGL                    as e-prop, and one more step: neuron k answers to what j
                            sends, at that step only, and is read with D_k
    ModProp                 as e-prop, and a smoothed network that answers to what j
                            sends: own leaks, hop the cell-type means, true derivative
                            towards D, mu towards other neurons
"""

from __future__ import annotations

import numpy as np

from tests.oracles.optional import oracle
from tests.oracles.torch_network import Specification, arriving, run, tensor

torch = oracle("torch")

NEURONAL = ("w_in", "w_rec", "bias")
READOUT = ("w_out", "b_out")


def definition(rule, options, network, x, signal):
    """Return the gradients of a rule by name as arrays (post, pre).

    Parameters
    ----------
    rule
        "EProp", "RFLO", "DECOLLE", "BPTT", "RTRL", "SnAp1", "MDGL" or "ModProp".
    options
        `reset` of BPTT and RTRL, `variant` and `non_local` of MDGL, `mu` of ModProp.
    network
        A spikelearn network (its specification and parameters are read).
    signal
        Any object with `error` and `feedback`, and perhaps `broadcast`, `neuron`,
        `direct`.
    """
    spec = Specification.of(network)
    leaves = spec.leaves()
    functional = DEFINITIONS[rule](spec, leaves, x, signal, **options)
    grads = dict(zip(NEURONAL, gradients(functional, leaves, NEURONAL), strict=True))
    grads |= readout_gradients(spec, x, signal.error)
    return {name: grad.numpy() for name, grad in grads.items()}


def gradients(functional, leaves, names):
    """Differentiate a scalar; zeros where it does not depend on a parameter."""
    return torch.autograd.grad(
        functional, [leaves[name] for name in names], materialize_grads=True
    )


def readout_gradients(spec, x, error):
    """Return the gradients of w_out and b_out, which no rule approximates."""
    leaves = spec.leaves()
    with torch.no_grad():
        sent = run(spec, leaves, x).sent
    w_out = spec.masked(leaves)["w_out"]
    total, y = 0.0, 0.0
    for r, e in zip(sent, tensor(error), strict=True):
        y = spec.kappa * y + spec.gain * r @ w_out.T + leaves["b_out"]
        total = total + (e * y).sum()
    return dict(zip(READOUT, gradients(total, leaves, READOUT), strict=True))


def broadcast_of(signal):
    """Return what feedback multiplies."""
    broadcast = getattr(signal, "broadcast", None)
    return tensor(signal.error if broadcast is None else broadcast)


def direct_effect(spec, signal):
    """Return D, (T, B, n_rec)."""
    broadcast = broadcast_of(signal)
    filtered = torch.zeros_like(broadcast)
    later = torch.zeros_like(broadcast[0])
    for t in reversed(range(len(broadcast))):
        later = broadcast[t] + spec.kappa * later
        filtered[t] = later
    return spec.gain * filtered @ tensor(signal.feedback).T


def learning_signal(spec, signal):
    """Return D + neuron + direct, (T, B, n_rec)."""
    total = direct_effect(spec, signal)
    for name in ("neuron", "direct"):
        part = getattr(signal, name, None)
        if part is not None:
            total = total + tensor(part)
    return total


def read(sequence, weights):
    """Return sum_t <weights[t], sequence[t]>."""
    return sum((w * s).sum() for w, s in zip(weights, sequence, strict=True))


def nothing(spec):
    """Return the (n, n) zero matrix."""
    return torch.zeros((spec.n_rec, spec.n_rec), dtype=torch.float64)


def apart(spec, leaves, x):
    """Run with neurons cut from each other and from their own reset."""
    return run(spec, leaves, x, hop=nothing(spec), through_reset=False)


def local(spec, leaves, x, signal):
    """Functional of e-prop, RFLO and DECOLLE."""
    return read(apart(spec, leaves, x).sent, learning_signal(spec, signal))


def full(spec, leaves, x, signal, reset=False):
    """Functional of BPTT and of RTRL, which is the same forward in time."""
    result = run(spec, leaves, x, through_reset=reset)
    return read(result.sent, learning_signal(spec, signal))


def diagonal(spec, leaves, x, signal):
    """Functional of SnAp-1: a neuron reaches itself only."""
    own = torch.diag(torch.diag(spec.masked(leaves)["w_rec"].detach()))
    result = run(spec, leaves, x, hop=own)
    return read(result.sent, learning_signal(spec, signal))


def type_means(spec, weights, absent_count):
    """Replace weights by the mean of their pair of cell types, (post, pre).

    `absent_count` says whether connections that do not exist take part, as zeros.
    """
    mask = np.asarray(spec.masks["w_rec"], bool)
    weights = weights.detach().numpy() * mask
    types = np.asarray(spec.cell_types)
    means = np.zeros_like(weights)
    for post in set(types):
        for pre in set(types):
            block = np.ix_(types == post, types == pre)
            count = mask[block].size if absent_count else mask[block].sum()
            means[block] = weights[block].sum() / max(count, 1)
    return tensor(means)


def multidigraph(spec, leaves, x, signal, variant="cell-types", non_local=False):
    """Functional of MDGL."""
    base = apart(spec, leaves, x)
    total = read(base.sent, learning_signal(spec, signal))
    weights = spec.masked(leaves)["w_rec"].detach()
    if variant == "one-hop":
        hop = weights
    else:
        hop = type_means(spec, weights, absent_count=False)
        if not non_local:
            hop = hop * tensor(spec.masks["w_rec"])
    source, signals = base.sent, direct_effect(spec, signal)
    if variant == "online":
        source, filtered = [], 0.0
        for r in base.sent:
            filtered = spec.kappa * filtered + r
            source.append(filtered)
        signals = spec.gain * broadcast_of(signal) @ tensor(signal.feedback).T
    answers = []
    for t in range(len(base.sent)):
        current = arriving(spec, nothing(spec), hop, source[:t], t)
        outside = spec.placement == "outside"
        answer = base.respond(t, current if outside else spec.zeta * current)
        answers.append(spec.zeta * answer if outside else answer)
    return total + read(answers, signals)


def modulatory(spec, leaves, x, signal, mu=0.25):
    """Functional of ModProp."""
    base = apart(spec, leaves, x)
    weights = spec.masked(leaves)["w_rec"].detach()
    hop = type_means(spec, weights, absent_count=True)
    outside = spec.placement == "outside"
    zeros = torch.zeros_like(base.sent[0])
    current, near, far = zeros, zeros, zeros
    source, answers = [], []
    for t, r in enumerate(base.sent):
        current = spec.alpha_s * current
        current = current + arriving(spec, nothing(spec), hop, source, t)
        if outside:
            near = spec.alpha_m * near + spec.zeta * base.respond(t, current)
            far = spec.alpha_m * far + spec.zeta * mu * current
            answer, onward = near, far
        else:
            near = spec.alpha_m * near + spec.zeta * current
            answer, onward = base.respond(t, near), mu * near
        answers.append(answer)
        source.append(r + onward)
    total = read(base.sent, learning_signal(spec, signal))
    return total + read(answers, direct_effect(spec, signal))


DEFINITIONS = {
    "EProp": local,
    "RFLO": local,
    "DECOLLE": local,
    "BPTT": full,
    "RTRL": full,
    "SnAp1": diagonal,
    "MDGL": multidigraph,
    "ModProp": modulatory,
}


def total_derivative(network, x, signal, reset):
    """Return dE/dr_j[t] with all later effects, (T, B, n_rec)."""
    spec = Specification.of(network)
    result = run(spec, spec.leaves(), x, through_reset=reset)
    functional = read(result.sent, learning_signal(spec, signal))
    grads = torch.autograd.grad(functional, result.sent, materialize_grads=True)
    return torch.stack(grads).numpy()


def loss_gradients(network, x, loss, *, reset):
    """Differentiate a scalar loss(y) of the readout through the whole graph."""
    spec = Specification.of(network)
    leaves = spec.leaves()
    value = loss(torch.stack(run(spec, leaves, x, through_reset=reset).y))
    names = NEURONAL + READOUT
    grads = gradients(value, leaves, names)
    return {name: grad.numpy() for name, grad in zip(names, grads, strict=True)}


def layer_loss_gradients(network, x, readouts, targets, layers):
    """Differentiate squared errors of fixed readouts of each layer, neurons apart.

    readouts[l] is (n_targets, size of layer l), targets (T, B, n_targets); the loss is
    sum_l |G_l r_l[t] - target[t]|^2 / 2. Returns gradients and the signal that a rule
    needs for them, G_l^T of the errors side by side, (T, B, n_rec).
    """
    spec = Specification.of(network)
    leaves = spec.leaves()
    sent = torch.stack(apart(spec, leaves, x).sent)
    loss, direct = 0.0, []
    parts = torch.split(sent, list(layers), dim=2)
    for matrix, part in zip(readouts, parts, strict=True):
        error = part @ tensor(matrix).T - tensor(targets)
        loss = loss + error.square().sum() / 2
        direct.append(error.detach() @ tensor(matrix))
    grads = gradients(loss, leaves, NEURONAL)
    named = {name: grad.numpy() for name, grad in zip(NEURONAL, grads, strict=True)}
    return named, torch.cat(direct, dim=2).numpy()
