"""The largest exponent of two networks with the same input, and all kinds at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikelearn.analysis.lyapunov import (
    LyapunovSpectrum,
    counted_from,
    lyapunov_spectrum,
    spectrum_of,
)
from spikelearn.errors import InvalidValue, require
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised, no_events_reason

__all__ = ["lyapunov_kinds", "twin_exponent"]

LARGE = 0.1  # of the threshold: the distance of large twins


def twin_exponent(
    network: RecurrentNetwork,
    x: np.ndarray,
    *,
    size: float = 1e-6,
    every: int = 10,
    transient: int | None = None,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LyapunovSpectrum:
    """Return the largest exponent from two networks with the same input (Benettin).

    The second one has a state that differs by `size` in a random direction. After every
    `every` steps their distance is measured, and set back to `size` along the same
    direction:

        lambda = < log(distance / size) > / every

    (Benettin, Galgani & Strelcyn 1976, doi:10.1103/PhysRevA.14.2338). The distance is
    that of v, a, i and of what is under way, and of spiking cells depends on `size`: as
    long as no spike differs, all differences decay with the membrane, and one that does
    makes the distance jump to the size of a weight.

    Here T steps are cut into pieces of `every`, whose growth is spread over their
    steps.

    Parameters
    ----------
    network, x, transient, rng, threads
        As in `lyapunov_spectrum`.
    size
        Distance of the twins, > 0.
    every
        Steps between two measurements, >= 1.

    Raises
    ------
    InvalidValue
        If a number is out of range, the run is too short or not finite.
    """
    require(size > 0, "size", "must be > 0", size)
    require(every >= 1, "every", "must be >= 1", every)
    n_steps, n_samples = x.shape[:2]
    transient = counted_from(transient, n_steps)
    rng = np.random.default_rng(rng)
    both = np.concatenate([x, x], axis=1)
    state = network.zero_state(2 * n_samples)
    one, two = slice(0, n_samples), slice(n_samples, None)
    names = ("v", "a", "i", "reset", "pending")
    direction = rng.standard_normal(state.v[two].shape)
    direction *= size / np.linalg.norm(direction, axis=-1, keepdims=True)
    state.v[two] += direction
    local = np.empty((n_steps, n_samples, 1))
    for first in range(0, n_steps, every):
        steps = slice(first, min(first + every, n_steps))
        record = network.run(
            both[steps], state=state, keep_distance=False, threads=threads
        )
        state = record.final
        arrays = {name: getattr(state, name) for name in names}
        _require_resolution(arrays, one, size, steps.stop)
        apart = {name: array[two] - array[one] for name, array in arrays.items()}
        rows = [array.reshape(n_samples, -1) for array in apart.values()]
        distance = np.linalg.norm(np.concatenate(rows, axis=1), axis=1)
        gone = distance < np.finfo(network.dtype).tiny
        growth = np.log(np.where(gone, np.finfo(network.dtype).tiny, distance) / size)
        local[steps, :, 0] = growth / (steps.stop - first)
        factor = np.where(gone, 0.0, size / np.where(gone, 1.0, distance))
        for name, array in arrays.items():
            shape = (n_samples,) + (1,) * (array.ndim - 1)
            array[two] = array[one] + factor.reshape(shape) * apart[name]
        state.refractory[two] = state.refractory[one]
        lost = gone[:, None] * direction
        state.v[two] += lost
    size_of_state = Linearised(network, Jacobian()).size
    return spectrum_of("twin", local, transient, network.dt, size_of_state)


def _require_resolution(
    arrays: dict[str, np.ndarray], one: slice, size: float, step: int
) -> None:
    """Refuse states so large that a change of this size is lost in rounding."""
    largest = max(float(np.abs(array[one]).max()) for array in arrays.values())
    where, rule = f"state of the twins at step {step}", "must be finite"
    hint = "The network runs away: lower network.gain or shorten the run."
    require(bool(np.isfinite(largest)), where, rule, largest, hint)
    dtype = next(iter(arrays.values())).dtype
    limit = size / (1000 * float(np.finfo(dtype).eps))
    rule = f"must be below {limit:.2g}, for a change of {size:g} to be seen"
    require(largest <= limit, where, rule, f"{largest:.2g}", hint)


def lyapunov_kinds(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int = 1,
    *,
    surrogate: Surrogate | None = None,
    transient: int | None = None,
    tolerance: float | None = None,
    twin_size: float = 1e-6,
    rng: int = 0,
    threads: int = 1,
) -> tuple[dict[str, LyapunovSpectrum], dict[str, str]]:
    """Return the spectra of all kinds that are defined, and why others are not.

    Parameters
    ----------
    surrogate
        Pseudo-derivative in place of that of the cell.
    twin_size
        Distance of the twins.

    The others, and the errors, are those of `lyapunov_spectrum`.
    """
    jacobians = {"jacobian": Jacobian()}
    if network.spiking:
        jacobians = {
            "surrogate": Jacobian(surrogate=surrogate),
            "surrogate-reset": Jacobian(reset=True, surrogate=surrogate),
        }
        if network.cell_constants.has_adaptation:
            voltage = Jacobian(subspace="voltage", surrogate=surrogate)
            jacobians["surrogate-voltage"] = voltage
    missing = {}
    if network.spiking:
        reason = no_events_reason(network)
        if reason is None:
            jacobians["events"] = Jacobian(events=True)
        else:
            missing["events"] = reason
    spectra = {}
    for kind, jacobian in jacobians.items():
        dimension = Linearised(network, jacobian).size
        spectra[kind] = lyapunov_spectrum(
            network,
            x,
            min(k, dimension) if kind == "surrogate-voltage" else k,
            jacobian=jacobian,
            transient=transient,
            tolerance=tolerance,
            rng=rng,
            threads=threads,
        )
    sizes = {"twin": twin_size}
    if network.spiking:
        sizes["twin-large"] = LARGE * float(network.cell_constants.v_th.mean())
    for kind, size in sizes.items():
        try:
            spectra[kind] = twin_exponent(
                network, x, size=size, transient=transient, rng=rng, threads=threads
            )
        except InvalidValue as error:
            missing[kind] = str(error)
    return {name: replace(s, kind=name) for name, s in spectra.items()}, missing
