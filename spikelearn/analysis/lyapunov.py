"""Lyapunov exponents: how fast small changes of the state grow, under given input.

With the Jacobian D_t of the step, orthonormal vectors Q and D_t Q_t = Q_(t+1) R_(t+1),

    lambda_b = 1 / T sum_t log R_t,bb                     (natural logarithm, per step)

(Benettin et al. 1980, doi:10.1007/BF02128236; for networks Engelken, Wolf & Abbott
2023, doi:10.1103/PhysRevResearch.5.043044). A spiking network has no Jacobian, so that
several exponents stand side by side, each with what it means (`KINDS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.cells import Surrogate
from spikelearn.network.tangent import Jacobian, Linearised, no_events_reason

__all__ = [
    "KINDS",
    "LongTermJacobian",
    "LyapunovSpectrum",
    "in_float64",
    "long_term_jacobian",
    "lyapunov_kinds",
    "lyapunov_spectrum",
    "trial_exponents",
    "twin_exponent",
]

KINDS = {
    "jacobian": "rate units: growth of infinitesimal changes of the state",
    "surrogate": "spiking cells with the pseudo-derivative for the spike, without the "
    "reset: growth of the credit that learning rules follow back through time",
    "surrogate-reset": "the same with the reset of a neuron by its own spike",
    "surrogate-voltage": "the same as surrogate without adaptation, whose slow decay "
    "hides the rest",
    "events": "growth of infinitesimal shifts of spike times, the true dynamics in "
    "continuous time (saltation at every spike)",
    "twin": "growth of a very small change in a second network with the same input: "
    "the true dynamics in discrete time",
    "twin-large": "the same with a change of a tenth of the threshold, which flips "
    "spikes where a very small one decays before it can",
}
LARGE = 0.1  # of the threshold: the distance of large twins
BLOCKS = 10  # of a trial, whose means give the standard error
FEWEST_STEPS = 2 * BLOCKS
PIECE = 1 << 22  # numbers of a record that is linearised at a time


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Exponents of one kind, largest first, in natural logarithms per time step.

    Parameters
    ----------
    kind
        A name of `KINDS`.
    exponents, error
        (k,) mean over samples and steps after the transient, and its standard error
        from the means of blocks of steps.
    local
        (T, B, k) growth of every step, the transient included.
    transient
        Steps that are not counted.
    dt
        Time step, ms.
    size
        Dimension of the state: number of all exponents.
    """

    kind: str
    exponents: np.ndarray
    error: np.ndarray
    local: np.ndarray
    transient: int
    dt: float
    size: int

    @property
    def per_ms(self) -> np.ndarray:
        """Exponents per ms, (k,)."""
        return self.exponents / self.dt

    @property
    def drift(self) -> np.ndarray:
        """Difference of the second and the first half of the counted steps, (k,)."""
        counted = self.local[self.transient :]
        first, second = np.array_split(counted, 2)
        return second.mean((0, 1)) - first.mean((0, 1))

    def finite_time(self) -> np.ndarray:
        """Return the exponents of the trial up to every step, (T, B, k).

        Every trial begins with the same vectors and ends with what it did to them.
        """
        steps = np.arange(1, len(self.local) + 1)[:, None, None]
        return np.cumsum(self.local, axis=0) / steps

    @property
    def complete(self) -> bool:
        """Whether the k exponents determine the dimension: their sum is negative."""
        return bool(self.exponents.sum() < 0) or len(self.exponents) == self.size

    @property
    def kaplan_yorke(self) -> float | None:
        """Kaplan-Yorke dimension j + sum_(b<=j) lambda_b / |lambda_(j+1)|.

        j is the largest number of exponents with a sum >= 0. None if more exponents
        than k are needed (Frederickson et al. 1983, doi:10.1016/0022-0396(83)90011-6).
        """
        sums = np.cumsum(self.exponents)
        if sums[0] < 0:
            return 0.0
        below = np.flatnonzero(sums < 0)
        if not below.size:
            return float(self.size) if len(sums) == self.size else None
        j = int(below[0])
        return float(j + sums[j - 1] / abs(self.exponents[j]))

    @property
    def entropy_bound(self) -> float:
        """Sum of the positive exponents, an upper bound of the entropy rate per step.

        Ruelle 1978, doi:10.1007/BF02584795. A lower bound of it if all k are positive.
        """
        return float(self.exponents[self.exponents > 0].sum())


def in_float64(network: RecurrentNetwork) -> RecurrentNetwork:
    """Return a copy of a network in float64, in which analyses are done."""
    other = replace(network, dtype="float64")
    other.params.load(network.params.arrays())
    return other


def lyapunov_spectrum(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int = 1,
    *,
    jacobian: Jacobian | None = None,
    transient: int | None = None,
    tolerance: float | None = None,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LyapunovSpectrum:
    """Return the k largest exponents along the trajectories that an input drives.

    Parameters
    ----------
    network
        Network; it is computed in its own dtype (`in_float64`).
    x : (T, B, n_in) array
        Input. The state is zero before it.
    k
        Number of exponents.
    jacobian
        Which Jacobian of spiking cells; default: without reset, full state.
    transient
        First steps that are not counted; default T // 10.
    tolerance
        Largest standard error that is accepted; None for any.
    rng
        Draws the first vectors.
    threads
        Threads over samples, or over the neurons of one large sample. Results do not
        depend on it.

    Raises
    ------
    InvalidValue
        If k is larger than the state, the run too short, the standard error above the
        tolerance, the trajectory not finite, or a delay longer than a step.
    """
    jacobian = jacobian or Jacobian()
    linearised = Linearised(network, jacobian)
    n_steps, n_samples = x.shape[:2]
    transient = _transient(transient, n_steps)
    vectors = linearised.start(n_samples, k, np.random.default_rng(rng))
    local = np.empty((n_steps, n_samples, k))
    for first, record in _pieces(network, x, threads):
        steps = slice(first, first + record.n_steps)
        local[steps] = linearised.run(record, vectors, threads=threads).log_r
    kind = _kind(network, jacobian)
    return _spectrum(kind, local, transient, network.dt, linearised.size, tolerance)


def _kind(network: RecurrentNetwork, jacobian: Jacobian) -> str:
    if not network.spiking:
        return "jacobian"
    if jacobian.events:
        return "events"
    if jacobian.subspace == "voltage" and not jacobian.reset:
        return "surrogate-voltage"
    return "surrogate-reset" if jacobian.reset else "surrogate"


def _transient(transient: int | None, n_steps: int) -> int:
    transient = n_steps // 10 if transient is None else transient
    where, rule = "transient", "must be >= 0 steps"
    require(transient >= 0, where, rule, transient)
    where, rule = "input x", f"must have {FEWEST_STEPS} steps after the transient"
    hint = "Exponents are means over many steps: run longer."
    left = n_steps - transient
    require(left >= FEWEST_STEPS, where, rule, f"{n_steps} - {transient}", hint)
    return transient


def _pieces(
    network: RecurrentNetwork, x: np.ndarray, threads: int
) -> Iterator[tuple[int, Record]]:
    """Yield a run in pieces that fit into memory, each with its first step."""
    n_steps, n_samples = x.shape[:2]
    length = max(PIECE // (n_samples * network.n_rec), 1)
    state = None
    for first in range(0, n_steps, length):
        record = network.run(x[first : first + length], state=state, threads=threads)
        state = record.final
        yield first, record


def _spectrum(
    kind: str,
    local: np.ndarray,
    transient: int,
    dt: float,
    size: int,
    tolerance: float | None = None,
) -> LyapunovSpectrum:
    counted = local[transient:]
    blocks = np.concatenate([b.mean(axis=0) for b in np.array_split(counted, BLOCKS)])
    error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
    exponents = counted.mean(axis=(0, 1))
    if tolerance is not None:
        where, rule = "exponents", f"must have a standard error <= {tolerance:g}"
        hint = "Run longer, or more samples."
        worst = float(error.max())
        require(worst <= tolerance, where, rule, f"{worst:.2g}", hint)
    order = np.argsort(-exponents, kind="stable")
    return LyapunovSpectrum(
        kind, exponents[order], error[order], local[..., order], transient, dt, size
    )


def trial_exponents(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int = 1,
    *,
    jacobian: Jacobian | None = None,
    passes: int = 3,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> np.ndarray:
    """Return the k largest exponents of trials that each begin at the zero state.

    lambda_b = < log R_bb > over all steps of the last pass: vectors are carried from
    the end of a trial to its beginning, so that short trials need no transient. It is
    what flossing (`learning.flossing`) moves.

    Parameters
    ----------
    passes
        How often the vectors go through the trial, >= 1.

    The others, and the errors, are those of `lyapunov_spectrum`.

    Returns
    -------
    (k,) float64 array, per step, largest first
    """
    require(passes >= 1, "passes", "must be >= 1", passes)
    linearised = Linearised(network, jacobian or Jacobian())
    vectors = linearised.start(x.shape[1], k, np.random.default_rng(rng))
    record = network.run(x, threads=threads)
    for _ in range(passes):
        local = linearised.run(record, vectors, threads=threads).log_r
    means = local.mean(axis=(0, 1), dtype=np.float64)
    ordered: np.ndarray = np.sort(means)[::-1]
    return ordered


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
    transient = _transient(transient, n_steps)
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
    return _spectrum("twin", local, transient, network.dt, size_of_state)


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


@dataclass(frozen=True)
class LongTermJacobian:
    """How the Jacobian of many steps, restricted to k directions, is conditioned.

    Parameters
    ----------
    steps
        (n,) numbers of steps from the start.
    log_singular
        (n, B, k) logarithms of the singular values of D_(t-1) ... D_0 Q_0.
    gradient_norm
        (T + 1, B) norm of what comes back to the state of every step from the end,
        where it is 1.
    """

    steps: np.ndarray
    log_singular: np.ndarray
    gradient_norm: np.ndarray

    @property
    def log_condition(self) -> np.ndarray:
        """Logarithm of largest over smallest singular value, (n, B)."""
        return self.log_singular[..., 0] - self.log_singular[..., -1]


def long_term_jacobian(
    network: RecurrentNetwork,
    x: np.ndarray,
    k: int,
    *,
    jacobian: Jacobian | None = None,
    n_points: int = 20,
    rng: int | np.random.Generator = 0,
    threads: int = 1,
) -> LongTermJacobian:
    """Return singular values of the product of Jacobians, and the norm of gradients.

    The product over the first t steps acts on k random orthonormal directions as
    Q_t R_t ... R_1, so that its singular values are those of the small matrices (with
    k = the whole state all of them). The gradient norm is that of D_t^T ... D_(T-1)^T p
    over that of p, with the readout weights times a random error on the voltages for p:
    what an error at the end tells of step t (Engelken 2023, arXiv:2312.17306).

    Parameters
    ----------
    n_points
        Numbers of steps, evenly spaced up to T, at which singular values are computed.

    The others, and the errors, are those of `lyapunov_spectrum`.
    """
    linearised = Linearised(network, jacobian or Jacobian())
    rng = np.random.default_rng(rng)
    n_steps, n_samples = x.shape[:2]
    vectors = linearised.start(n_samples, k, rng)
    record = network.run(x, threads=threads)
    tangents = linearised.run(record, vectors, keep=True, threads=threads)
    points = np.unique(np.linspace(n_steps, 1, min(n_points, n_steps)).astype(int))
    singular = np.empty((len(points), n_samples, k))
    for b in range(n_samples):
        singular[:, b] = _log_singular(tangents.r[b], points)
    norms = _gradient_norms(linearised, record, rng, threads)
    return LongTermJacobian(points, singular, norms)


def _log_singular(r: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return log singular values of R_t ... R_1 at the points, largest first.

    The product is kept at norm 1: values below 1e-16 of the largest are rounding.
    """
    product, scale = np.eye(len(r[0])), 0.0
    found = []
    for t, factor in enumerate(r, start=1):
        product = factor @ product
        size = np.linalg.norm(product)
        product, scale = product / size, scale + np.log(size)
        if t in points:
            values = np.linalg.svd(product, compute_uv=False)
            found.append(np.log(np.maximum(values, np.finfo(float).tiny)) + scale)
    return np.array(found)


def _gradient_norms(
    linearised: Linearised, record: Record, rng: np.random.Generator, threads: int
) -> np.ndarray:
    network = linearised.network
    gate, distance = linearised.gates(record, threads), record.trajectory.distance
    n_steps, n_samples, n_pad = record.n_steps, record.n_samples, gate.shape[-1]
    error = rng.standard_normal((n_samples, network.n_out))
    vectors = np.zeros((n_samples, 1, linearised.n_parts * n_pad))
    vectors[:, 0, : network.n_rec] = error @ network.params.w_out
    if not vectors.any():
        vectors[:, 0, : network.n_rec] = rng.standard_normal(network.n_rec)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    norms = np.empty((n_steps + 1, n_samples))
    norms[n_steps] = 1.0
    log_scale = np.zeros(n_samples)
    for t in range(n_steps - 1, -1, -1):
        vectors, _, _ = linearised.backwards(vectors, gate[:, t], distance[:, t])
        size = np.maximum(np.linalg.norm(vectors[:, 0], axis=-1), 1e-300)
        vectors = vectors / size[:, None, None]
        log_scale += np.log(size)
        norms[t] = np.exp(np.clip(log_scale, -700, 700))
    return norms
