"""Random networks over all models, to compare the emulator with Lava value by value.

A network and its input follow from a seed and an index alone, so that each one can be
made again: `random_case(seed, index)`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware import emulator
from hardware._checks import THRESHOLD_MAX
from hardware.description import (
    SIGN_MODES,
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    Neurons,
    ReadoutParameters,
    TernaryParameters,
    keep_bits,
)
from hardware.verification import Difference, compare
from spikelearn.errors import require

__all__ = [
    "MODELS",
    "Case",
    "Failure",
    "FuzzReport",
    "compare_cases",
    "fuzz",
    "random_case",
    "random_connection",
    "run_cases",
]

MODELS = ("lif", "adaptive", "reset", "ternary", "atrlif")
SYNAPSES = ("dense", "sparse", "delayed")
STEPS = (60, 100)
CHILDREN = 2


@dataclass(frozen=True, eq=False)
class Case:
    """One network with its input.

    Attributes
    ----------
    seed, index
        What it was made from.
    model
        One of `MODELS`.
    description
        The network.
    x
        int32 `(T, 1, n_in)`.
    """

    seed: int
    index: int
    model: str
    description: NetworkDescription
    x: np.ndarray


@dataclass(frozen=True)
class Failure:
    """A network whose values differ; `random_case(seed, index)` makes it again."""

    seed: int
    index: int
    model: str
    differing_values: int
    first: Difference | None


@dataclass(frozen=True)
class FuzzReport:
    """Outcome of `fuzz`.

    Attributes
    ----------
    networks, differing
        Number of networks, and of those with any differing value.
    seed
        Of all of them; a network is made from it and its index, 0..networks - 1.
    seconds
        Wall-clock time.
    steps
        Time steps of all networks together.
    values
        Compared values of all networks together.
    n_spikes, silent
        Spikes of all networks, and networks without any.
    u_wraps, v_saturations
        Neuron-steps whose current wrapped or whose membrane was clipped.
    models, synapses
        Networks of each model, and blocks of each kind of synapse.
    failures
        The networks that differ.
    """

    networks: int
    differing: int
    seed: int
    seconds: float
    steps: int
    values: int
    n_spikes: int
    silent: int
    u_wraps: int
    v_saturations: int
    models: dict[str, int]
    synapses: dict[str, int]
    failures: tuple[Failure, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether not one network differs."""
        return self.differing == 0


def fuzz(
    networks: int, seed: int = 0, *, timeout: float | None = None, threads: int = 1
) -> FuzzReport:
    """Compare the emulator with Lava on random networks.

    Parameters
    ----------
    networks
        How many.
    seed
        >= 0.
    timeout
        Seconds for each of the child processes; None takes a generous estimate.
    threads
        Threads of the emulator.

    Raises
    ------
    InvalidValue
        If a number is out of range.
    MissingDependency
        If Lava is not installed.
    OracleFailure
        If Lava fails or runs out of time.
    """
    require(networks >= 1, "networks", "must be >= 1", networks)
    require(seed >= 0, "seed", "must be >= 0", seed)
    begun = time.monotonic()
    cases = [random_case(seed, index) for index in range(networks)]
    states = run_cases(cases, timeout)
    return compare_cases(cases, states, begun=begun, threads=threads)


def run_cases(cases: Sequence[Case], timeout: float | None = None) -> list[Any]:
    """Run networks in Lava, in two child processes; return their `LavaStates`."""
    from hardware.lava_processes.runner import run_lava

    jobs = [(case.description, case.x) for case in cases]
    shares = [jobs[k::CHILDREN] for k in range(min(CHILDREN, len(jobs)))]
    with ThreadPoolExecutor(CHILDREN) as pool:
        results = list(pool.map(lambda share: run_lava(share, timeout), shares))
    return [results[k % CHILDREN][k // CHILDREN] for k in range(len(jobs))]


def compare_cases(
    cases: Sequence[Case],
    states: Sequence[Any],
    *,
    begun: float | None = None,
    threads: int = 1,
) -> FuzzReport:
    """Run networks in the emulator and compare with what Lava gave.

    Parameters
    ----------
    cases
        The networks.
    states
        What `run_cases` returned for them.
    begun
        `time.monotonic()` at the start, for the report; None is now.
    threads
        Threads of the emulator.
    """
    begun = time.monotonic() if begun is None else begun
    failures, totals = [], Counter[str]()
    models, synapses = Counter[str](), Counter[str]()
    for case, other in zip(cases, states, strict=True):
        record = emulator.run(case.description, case.x, threads=threads)
        report = compare(record, other, "lava", 0.0)
        if not report.passed:
            count, first = report.differing_values, report.first
            failure = Failure(case.seed, case.index, case.model, count, first)
            failures.append(failure)
        models[case.model] += 1
        synapses.update(_synapses_of(case.description))
        totals["silent"] += record.n_spikes == 0
        totals["steps"] += report.steps
        kept = (record.u, record.v, record.b, record.r, record.spikes, record.y)
        totals["values"] += sum(array.size for array in kept if array is not None)
        for name in ("n_spikes", "u_wraps", "v_saturations"):
            totals[name] += getattr(record, name)
    names = ("steps", "values", "n_spikes", "silent", "u_wraps", "v_saturations")
    return FuzzReport(
        networks=len(cases),
        differing=len(failures),
        seed=cases[0].seed,
        seconds=time.monotonic() - begun,
        **{name: totals[name] for name in names},
        models=dict(models),
        synapses=dict(synapses),
        failures=tuple(failures),
    )


def _synapses_of(description: NetworkDescription) -> list[str]:
    blocks = (description.w_in, description.w_rec, description.w_out)
    return ["delayed" if b.delays is not None else b.process for b in blocks]


def random_case(seed: int, index: int) -> Case:
    """Make the network and the input of a seed and an index.

    The models take turns; all else is drawn: sizes, bits, signs, exponents, kinds of
    synapses, delays, input bits, and registers in their whole range or around the drive
    that the neurons get. A quarter of the networks is made to overflow.
    """
    rng = np.random.default_rng([seed, index])
    model = MODELS[index % len(MODELS)]
    n_in, n_rec, n_out = (int(rng.integers(1, most + 1)) for most in (10, 20, 4))
    loud = rng.random() < 0.25
    input_bits = int(rng.choice([0, 0, 0, 1, 4, 8, 16, 24]))
    shapes = ((n_rec, n_in), (n_rec, n_rec), (n_out, n_rec))
    w_in, w_rec, w_out = (_random_block(rng, shape, loud) for shape in shapes)
    largest = 1 if input_bits == 0 else 2**input_bits - 1
    steps = int(rng.integers(STEPS[0], STEPS[1] + 1))
    rate = float(rng.choice([0.1, 0.3, 0.6]))
    x = rng.integers(1, largest + 1, (steps, 1, n_in))
    x *= rng.random(x.shape) < rate
    effect = np.abs(w_in.weights.astype(float)).sum(axis=1) * 2.0**w_in.exponent
    drive = 1.0 + rate * largest / 2 * float(np.median(effect))
    description = NetworkDescription(
        w_in=w_in,
        w_rec=w_rec,
        w_out=w_out,
        neurons=_random_neurons(rng, model, n_rec, drive),
        readout=ReadoutParameters(
            dv=rng.integers(0, 4096, n_out),
            bias_mant=rng.integers(-4096, 4096, n_out) * (rng.random() < 0.5),
            bias_exp=rng.integers(0, 8, n_out),
        ),
        input_bits=input_bits,
        metadata={"fuzz_seed": int(seed), "fuzz_index": int(index), "model": model},
    )
    return Case(seed, index, model, description, x.astype(np.int32))


def random_connection(
    rng: np.random.Generator,
    post: int,
    pre: int,
    bits: int = 8,
    sign: str = "mixed",
    exponent: int = 0,
    density: float = 0.5,
) -> Connection:
    """Draw mantissas that a block keeps as they are, some of them 0."""
    low = {"excitatory": 0, "inhibitory": -255, "mixed": -256}[sign]
    high = 0 if sign == "inhibitory" else 255
    weights = rng.integers(low, high + 1, (post, pre))
    weights = keep_bits(weights * (rng.random((post, pre)) < density), bits, sign)
    if exponent < 0:
        weights = np.fix(weights / 2**-exponent).astype(int) << -exponent
    return Connection(weights.astype(np.int16), exponent, bits, sign)


def _random_block(
    rng: np.random.Generator, shape: tuple[int, int], loud: bool
) -> Connection:
    exponent = int(rng.integers(5, 8) if loud else rng.integers(-8, 5))
    bits, sign = int(rng.integers(1, 9)), str(rng.choice(SIGN_MODES, p=[0.6, 0.2, 0.2]))
    density = float(rng.choice([0.2, 0.6, 1.0]))
    block = random_connection(rng, *shape, bits, sign, exponent, density)
    kind = str(rng.choice(SYNAPSES))
    options: dict[str, Any] = {}
    if kind == "sparse":
        options["process"] = "sparse"
    elif kind == "delayed":
        longest = int(rng.choice([0, 1, 7, 62]))
        options["delays"] = rng.integers(0, longest + 1, shape)
    return Connection(block.weights, exponent, bits, sign, **options)


def _random_neurons(
    rng: np.random.Generator, model: str, size: int, drive: float
) -> Neurons:
    """Draw registers; thresholds lie around the drive, in units of 64."""

    def draw(low: int, high: int, n: int = size) -> np.ndarray:
        return rng.integers(low, high + 1, n)

    def around(most: int, n: int = size) -> np.ndarray:
        values = drive * 2.0 ** rng.uniform(-3, 3, n)
        return np.clip(values, 1, most).astype(int)

    def decays() -> np.ndarray:
        return draw(0, int(rng.choice([5, 400, 4095])))

    bias = int(rng.choice([0, 30, 4095]))
    common: dict[str, np.ndarray] = {
        "bias_mant": draw(-bias, bias),
        "bias_exp": draw(0, int(rng.choice([0, 3, 7]))),
    }
    if model == "atrlif":
        names = ("delta_i", "delta_v", "delta_theta", "delta_r")
        common |= {name: decays() for name in names}
        step = np.full(size, int(draw(0, int(rng.choice([10, 4095])), 1)[0]))
        return ATRLIFParameters(theta_0=around(4095), theta_step=step, **common)
    common |= {"du": decays(), "dv": decays()}
    if model == "ternary":
        high, low = (np.full(size, int(around(THRESHOLD_MAX, 1)[0])) for _ in range(2))
        return TernaryParameters(vth_hi=high, vth_lo=-low, **common)
    adaptive = model == "adaptive"
    common |= {
        "vth": around(THRESHOLD_MAX) * (rng.random(size) > 0.05),
        "beta": around(THRESHOLD_MAX) * (adaptive and rng.random() < 0.7),
        "db": decays(),
        "refractory": draw(0, int(rng.choice([0, 3, 63])) if adaptive else 0),
    }
    interval = int(draw(1, 40, 1)[0]) if model == "reset" else 0
    return NeuronParameters(
        reset=str(rng.choice(["zero", "subtract"])) if adaptive else "zero",
        reset_interval=interval,
        reset_offset=int(draw(0, max(interval - 1, 0), 1)[0]),
        **common,
    )
