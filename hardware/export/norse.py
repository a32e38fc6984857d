"""A network as modules of Norse.

The Euler step of Norse (see `hardware.importing.norse`) is the step of a LIF cell with
reset "zero" and delay 1 for

    tau_mem_inv = (1 - alpha_m) / dt       w_in, w_rec: times zeta / (1 - alpha_m)
    tau_syn_inv = (1 - alpha_s) / dt       v_leak = bias / (1 - alpha_m), v_reset = 0

in s. The readout becomes a `Linear` and, if it has a memory, an `LIBoxCell`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hardware._notes import Note
from hardware._violations import Violation, raise_violations
from hardware.export.nir import SMALLEST_LOSS
from spikelearn.errors import optional_import
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = ["norse_module"]

EXTRA = ("norse", "writing Norse modules")


def norse_module(network: RecurrentNetwork) -> tuple[Any, tuple[Note, ...]]:
    """Return a Norse module that gives the readout of a network, and notes.

    The module is a `SequentialState` of cells; it takes one time step `(B, n_in)` and
    its own state, None at first. Module "0" is the `LIFRecurrentCell`, whose state
    holds the spikes. It starts at v = 0, as the network does.

    Raises
    ------
    HardwareError
        If cells or connections have no form in Norse; the message lists all reasons.
    MissingDependency
        If Norse is not installed.
    """
    _refuse(network)
    norse = optional_import("norse.torch", *EXTRA)
    torch = optional_import("torch", *EXTRA)
    dtype = getattr(torch, network.dtype)
    cell, n, seconds = network.cell, network.n_rec, network.dt * 1e-3
    alpha_m, alpha_s = (
        decay_factor(cell.per_neuron(name, n), network.dt)
        for name in ("tau_m", "tau_syn")
    )
    loss = np.maximum(1.0 - alpha_m, SMALLEST_LOSS)
    zeta = np.ones(n) if cell.input_scaling == "unit" else loss
    factor = (zeta / loss)[:, None]
    params = network.params

    def tensor(values: Any) -> Any:
        return torch.tensor(np.asarray(values, np.float64), dtype=dtype)

    def zeros(like: Any, *widths: int) -> list[Any]:
        shape = like.shape[:-1]
        return [torch.zeros((*shape, width), dtype=dtype) for width in widths]

    neurons = norse.LIFRecurrentCell(
        network.n_in,
        n,
        p=norse.LIFParameters(
            tau_syn_inv=tensor((1.0 - alpha_s) / seconds),
            tau_mem_inv=tensor(loss / seconds),
            v_leak=tensor(params.bias.astype(np.float64) / loss),
            v_th=tensor(cell.per_neuron("v_th", n)),
            v_reset=tensor(np.zeros(n)),
        ),
        input_weights=torch.nn.Parameter(tensor(params.w_in * factor)),
        recurrent_weights=torch.nn.Parameter(tensor(params.w_rec * factor)),
        autapses=bool(np.diag(network.masks["w_rec"]).any()),
        dt=seconds,
    )
    state = optional_import("norse.torch.functional.lif", *EXTRA).LIFState
    neurons.state_fallback = lambda x: state(*zeros(x, n, n, n))
    readout = _readout(network, torch, norse, tensor, zeros)
    text = "method and alpha of Norse in place of the surrogate derivative"
    notes = [Note("lost", "surrogate", text)]
    text = "which weights are absent: they are 0 and would be learned"
    notes.append(Note("lost", "masks", text))
    return norse.SequentialState(neurons, *readout), tuple(notes)


def _readout(
    network: RecurrentNetwork, torch: Any, norse: Any, tensor: Any, zeros: Any
) -> list[Any]:
    kappa, c = network.readout.factors(network.dt)
    loss = 1.0 - kappa
    linear = torch.nn.Linear(network.n_rec, network.n_out)
    scale = c / loss
    params = network.params
    linear.weight.data = tensor(params.w_out.astype(np.float64) * scale)
    linear.bias.data = tensor(params.b_out.astype(np.float64) / loss)
    if kappa == 0.0:
        return [linear]
    box = norse.LIBoxCell(
        p=norse.LIBoxParameters(
            tau_mem_inv=tensor(loss / (network.dt * 1e-3)), v_leak=tensor(0.0)
        ),
        dt=network.dt * 1e-3,
    )
    functional = "norse.torch.functional.leaky_integrator_box"
    state = optional_import(functional, *EXTRA).LIBoxState
    box.state_fallback = lambda x: state(*zeros(x, network.n_out))
    return [linear, box]


def _refuse(network: RecurrentNetwork) -> None:
    constants = network.cell_constants
    cell = network.cell
    longest = int(np.max(network.delay))
    found = (
        (not network.spiking, "cells", "spiking", "rate units", "Train LIF cells"),
        (
            network.spiking and getattr(cell, "reset", "zero") != "zero",
            "reset",
            "'zero'",
            "'subtract'",
            "Norse's LIF sets v to v_reset",
        ),
        (
            constants.has_adaptation,
            "beta",
            "0",
            "adaptive thresholds",
            "Norse's LSNN cells step in another order",
        ),
        (
            constants.has_refractory,
            "t_ref",
            "at most a step",
            "refractory cells",
            "Norse's LIF has no refractory time",
        ),
        (longest > 1, "delay", "1 step", f"{longest} steps", "Norse has no delays"),
    )
    raise_violations(
        "the network", [Violation(*rest) for broken, *rest in found if broken]
    )
