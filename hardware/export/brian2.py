"""A float network as a Brian2 script that fires the same spikes.

Brian2 does the steps of its schedule in the order groups, thresholds, synapses, resets.
The leaks are its own exact integration of dv/dt = -v / tau_m and so on, in the slot
groups; what arrives at a step is added right after it. A recurrent synapse delivers
after the threshold test, so that one without delay acts in the next step: d steps of
ours are d - 1 of Brian2's. The readout reads the spikes of the same step.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from hardware.export._brian2_source import GRADED_INPUT, SCRIPT, SPIKE_INPUT
from spikelearn.errors import require
from spikelearn.files import atomic_path, write_text
from spikelearn.network import RecurrentNetwork

__all__ = ["write_brian2"]

Events = tuple[np.ndarray, np.ndarray]
NO_MEMORY = 1e-6  # of a time step: exp(-1e6) is 0 in float64
_PARAMETERS = ("tau_m", "tau_syn", "tau_a", "v_th", "beta")
_NEVER = 1.0  # time constant, ms, of an adaptation that stays 0


def write_brian2(
    network: RecurrentNetwork,
    x: np.ndarray | Events,
    path: str | Path,
    *,
    n_steps: int | None = None,
) -> Path:
    """Write a Brian2 script of a network and its input, and their numbers beside it.

    `python SCRIPT` prints the number of spikes; `python SCRIPT OUT.npz` also writes
    `steps` and `senders` of all spikes and the readout `y` (T, n_out). Brian2 computes
    in float64: the spikes are those of this network with `dtype="float64"`, up to sums
    in another order, that is up to a membrane within 1e-15 or so of its threshold.

    Parameters
    ----------
    network
        A network of LIF or ALIF cells; it is not changed.
    x
        Input of one sample, (T, n_in): spikes 0 and 1, or graded. Or its events, a pair
        (steps, units) of equally long integer arrays.
    path
        The script, ending in `.py`; the numbers go to the same name ending in `.npz`.
    n_steps
        Number of time steps where `x` are events.

    Returns
    -------
    Path
        The file of the numbers.

    Raises
    ------
    InvalidValue
        If the cells do not spike, or `x`, `path` or `n_steps` is wrong.
    FileAccessError
        If a file cannot be written; older ones stay as they were.
    """
    script = Path(path)
    require(script.suffix == ".py", "path", "must end in .py", repr(str(path)))
    rule, hint = "must have spiking cells", "Rate units have no spikes to compare."
    require(network.spiking, "network", rule, network.cell.kind, hint)
    dense = _dense_input(network, x, n_steps)
    numbers = _numbers(network) | _input_numbers(dense)
    data = script.with_suffix(".npz")
    to_zero = network.cell_constants.reset_to_zero
    text = Template(SCRIPT).substitute(
        script=script.name,
        data=repr(data.name),
        input=GRADED_INPUT if "x" in numbers else SPIKE_INPUT,
        reset="v = 0.0" if to_zero else "subtracted = v_th",
    )
    with atomic_path(data) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **numbers)
    write_text(script, text)
    return data


def _dense_input(
    network: RecurrentNetwork, x: np.ndarray | Events, n_steps: int | None
) -> np.ndarray:
    """Return the input of one sample as (T, n_in) after checking it."""
    if isinstance(x, tuple):
        return _from_events(network.n_in, x, n_steps)
    rule = "must be left to x, which has a time axis"
    require(n_steps is None, "n_steps", rule, n_steps)
    array = np.asarray(x)
    rule = f"must be numbers (time, input) with {network.n_in} inputs, of one sample"
    good = array.dtype.kind in "buif" and array.ndim == 2 and len(array) >= 1
    good = good and array.shape[1] == network.n_in
    require(good, "x", rule, f"{array.dtype} of shape {array.shape}")
    require(bool(np.isfinite(array).all()), "x", "must be finite", "NaN or infinity")
    return array.astype(np.float64)


def _from_events(n_in: int, events: Events, n_steps: int | None) -> np.ndarray:
    require(n_steps is not None and n_steps >= 1, "n_steps", "must be >= 1", n_steps)
    steps, units = (np.asarray(part) for part in events)
    rule = "must be (steps, units), two integer arrays of one length"
    good = steps.dtype.kind in "iu" and units.dtype.kind in "iu"
    good = good and steps.ndim == 1 and steps.shape == units.shape
    require(good, "x", rule, f"shapes {steps.shape} and {units.shape}")
    x = np.zeros((n_steps or 0, n_in))
    for name, values, size in (("steps", steps, len(x)), ("units", units, n_in)):
        inside = bool(((values >= 0) & (values < size)).all())
        rule, extremes = f"{name} must lie in 0..{size - 1}", "others"
        require(inside, "x", rule, extremes)
    np.add.at(x, (steps, units), 1.0)
    require(bool((x <= 1).all()), "x", "must have no event twice", int(x.max()))
    return x


def _input_numbers(x: np.ndarray) -> dict[str, Any]:
    """Return spikes as events, and anything else as it is."""
    numbers: dict[str, Any] = {"n_steps": len(x)}
    if np.isin(x, (0, 1)).all():
        numbers["input_step"], numbers["input_unit"] = np.nonzero(x)
    else:
        numbers["x"] = x
    return numbers


def _numbers(network: RecurrentNetwork) -> dict[str, Any]:
    """Return parameters per neuron (times in ms) and synapses as lists."""
    cell, n, dt = network.cell, network.n_rec, network.dt
    numbers: dict[str, Any] = {name: cell.per_neuron(name, n) for name in _PARAMETERS}
    numbers["tau_syn"] = np.maximum(numbers["tau_syn"], NO_MEMORY * dt)
    never = numbers["tau_a"] == 0
    numbers["tau_a"][never] = _NEVER
    numbers["n_ref"] = network.cell_constants.n_ref.astype(np.float64)
    leak = 1.0 - np.exp(-dt / numbers["tau_m"])
    numbers["zeta"] = leak if cell.input_scaling == "leak" else np.ones(n)
    _, gain = network.readout.factors(dt)
    numbers |= {
        "dt": dt,
        "tau_out": max(network.readout.tau_out, NO_MEMORY * dt),
        "bias": network.params.bias.astype(np.float64),
        "b_out": network.params.b_out.astype(np.float64),
        "n_in": network.n_in,
    }
    delay = np.broadcast_to(network.delay, (n, n))
    for name, factor in (("w_in", 1.0), ("w_rec", 1.0), ("w_out", gain)):
        post, pre = np.nonzero(network.masks[name])
        weights = getattr(network.params, name)[post, pre]
        numbers[f"{name}_pre"], numbers[f"{name}_post"] = pre, post
        numbers[name] = weights.astype(np.float64) * factor
        if name == "w_rec":
            numbers["delay"] = delay[post, pre].astype(np.int64)
    return numbers
