"""One table of what recurrent connections are: size, rank, spectrum, balance, graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from spikelearn.connectivity import Connectivity, Ports, eigenvalues, gaussian_weights
from spikelearn.errors import InvalidValue, require
from spikelearn.learning.matching import largest_exponent
from spikelearn.network import LeakyRate, RecurrentNetwork

__all__ = ["Structure", "describe", "reference_network", "reference_ports"]

N_IN, N_OUT = 20, 3  # of the reference network
STEPS, SAMPLES = 200, 4
TAU = 10.0  # its time constant, in steps


@dataclass(frozen=True)
class Structure:
    """What recurrent weights W (n, n) are.

    With eigenvalues l_i and singular values s_i, both the largest first.

    Attributes
    ----------
    n
        Number of neurons.
    frobenius, operator, nuclear
        Norms: root of sum s_i^2, s_1, sum s_i.
    spectral_radius
        |l_1|.
    eigenvalue_rank
        sum |l_i| / (|l_1| n), the effective rank of Liu et al. 2024 (arXiv:2310.08513),
        in (0, 1]; 0 if all eigenvalues are 0.
    entropy_rank
        exp(- sum p_i log p_i) with p_i = s_i / sum s (Roy & Vetterli 2007).
    stable_rank
        sum s_i^2 / s_1^2.
    participation_ratio
        (sum s_i^2)^2 / sum s_i^4.
    lyapunov
        Largest exponent per step (`learning.matching.largest_exponent`) of the network
        under its input, or of `reference_network`; None where it is not defined: the
        network runs away, passes no change on, or has (as the draw may have) delays of
        several steps.
    balance
        (E - I) / (E + I) of the sums of positive and negative weights: 0 is balanced,
        1 excitation alone.
    dale
        Fraction of neurons whose outgoing weights have one sign, among those with any.
    reciprocity
        Fraction of connections between different neurons that have one back; by chance
        it is the density.
    density
        Fraction of ordered pairs of different neurons that are connected.
    """

    n: int
    frobenius: float
    operator: float
    nuclear: float
    spectral_radius: float
    eigenvalue_rank: float
    entropy_rank: float
    stable_rank: float
    participation_ratio: float
    lyapunov: float | None
    balance: float
    dale: float
    reciprocity: float
    density: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the numbers by name."""
        return asdict(self)


def describe(
    subject: Connectivity | RecurrentNetwork,
    x: np.ndarray | None = None,
    *,
    rng: int = 0,
    threads: int = 1,
) -> Structure:
    """Return what the recurrent connections of a draw or of a network are.

    Parameters
    ----------
    subject
        A draw of a family, or a network with its weights.
    x : (T, B, n_in) array
        Input of the network under which its exponent is measured; None: that of
        `reference_network`, with the same weights and mask.
    rng
        Draws the first tangents, and the reference network.
    threads
        Threads over samples. Results do not depend on it.

    Raises
    ------
    InvalidValue
        If an input is given for a draw, or does not suit the network.
    """
    if isinstance(subject, RecurrentNetwork):
        weights = subject.params.w_rec.astype(np.float64)
        mask = subject.masks["w_rec"]
    else:
        weights, mask = subject.weights, subject.mask
        where, rule = "describe.x", "must be given with a network"
        require(x is None, where, rule, "a draw")
    late = subject.delay is not None and int(np.max(subject.delay)) > 1
    if x is None:
        network, driven_by = reference_network(Connectivity(weights, mask), rng)
    else:
        assert isinstance(subject, RecurrentNetwork)
        network, driven_by = subject, x
    return Structure(
        n=len(weights),
        lyapunov=None if late else _exponent(network, driven_by, rng, threads),
        **_spectrum(weights),
        **_signs(weights),
        **_graph(mask),
    )


def reference_network(
    made: Connectivity, rng: int = 0
) -> tuple[RecurrentNetwork, np.ndarray]:
    """Return the network that a draw is described in, and its input (T, B, n_in).

    Leaky ReLU units with a time constant of 10 steps and delays of one step; 20 inputs
    of white Gaussian noise with variance 1 through weights N(0, 1 / 20), 200 steps, 4
    samples; float64. Input weights are those of `reference_ports`.
    """
    network = RecurrentNetwork(
        N_IN,
        made.n,
        N_OUT,
        cell=LeakyRate(TAU),
        dt=1.0,
        mask=made.mask,
        dtype="float64",
    )
    ports = reference_ports(made.n, rng)
    network.params.w_in[...] = ports.w_in
    network.params.w_out[...] = ports.w_out
    network.params.w_rec[...] = made.weights
    stream = np.random.default_rng((rng, 1))
    return network, stream.standard_normal((STEPS, SAMPLES, N_IN))


def reference_ports(n: int, rng: int = 0) -> Ports:
    """Return input and readout weights of the reference network of n neurons."""
    stream = np.random.default_rng((rng, 0))
    w_in = gaussian_weights(n, N_IN, 1.0, stream)
    return Ports(w_in, gaussian_weights(N_OUT, n, 1.0, stream))


def _exponent(
    network: RecurrentNetwork, x: np.ndarray, rng: int, threads: int
) -> float | None:
    network.run(x[:1])  # refuses what is no input of this network
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return largest_exponent(network, x, rng=rng, threads=threads)
    except InvalidValue:
        return None


def _spectrum(weights: np.ndarray) -> dict[str, float]:
    values = np.abs(eigenvalues(weights))
    s = np.linalg.svd(weights, compute_uv=False)
    total = float(s.sum())
    squares = (s / s[0]) ** 2 if total > 0 else s
    p = s[s > 0] / total if total > 0 else np.ones(1)
    some = total > 0
    return {
        "frobenius": float(np.linalg.norm(weights)),
        "operator": float(s[0]),
        "nuclear": total,
        "spectral_radius": float(values[0]),
        "eigenvalue_rank": _ratio(values.sum(), values[0] * len(values)),
        "entropy_rank": float(np.exp(-np.sum(p * np.log(p)))) if some else 0.0,
        "stable_rank": float(squares.sum()),
        "participation_ratio": _ratio(squares.sum() ** 2, np.sum(squares**2)),
    }


def _signs(weights: np.ndarray) -> dict[str, float]:
    positive, negative = np.maximum(weights, 0), np.maximum(-weights, 0)
    excites, inhibits = positive.any(axis=0), negative.any(axis=0)
    surplus = positive.sum() - negative.sum()
    return {
        "balance": _ratio(surplus, np.abs(weights).sum()),
        "dale": _ratio(np.sum(excites ^ inhibits), np.sum(excites | inhibits)),
    }


def _graph(mask: np.ndarray) -> dict[str, float]:
    there = mask & ~np.eye(len(mask), dtype=bool)
    n = len(mask)
    return {
        "reciprocity": _ratio(np.sum(there & there.T), there.sum()),
        "density": _ratio(there.sum(), n * (n - 1)),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
