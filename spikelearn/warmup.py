"""Compile the kernels of a training before it is timed, or before processes fan out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.kernels import kernel_counts
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.gradients import global_norm
from spikelearn.learning.optimizers import Adam
from spikelearn.learning.rules import RULES, OnlineRule, Rule
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import CELLS, Record, RecurrentNetwork

__all__ = ["warm_up"]

DTYPES = ("float32", "float64")
N_STEPS, N_SAMPLES, N_IN, N_REC, N_OUT = 6, 2, 2, 3, 2


def warm_up(dtypes: Iterable[str] = ("float32",)) -> int:
    """Compile, or load from the cache, the kernels of every cell and learning rule.

    Kernels are compiled when they are first called and then kept on disk, for all
    processes of this machine. Call this once before many processes start, or each of
    them compiles the same kernels at the same time; call it before timing anything.

    Parameters
    ----------
    dtypes
        "float32" (what trainings use) and/or "float64".

    Returns
    -------
    int
        How many kernels had to be compiled; 0 if all were in the cache.

    Raises
    ------
    InvalidValue
        If a dtype is neither.
    """
    dtypes = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
    rule = f"must be names from {DTYPES}"
    require(set(dtypes) <= set(DTYPES), "warm_up.dtypes", rule, dtypes)
    before = kernel_counts()["compiled"]
    for dtype in dtypes:
        for cell in CELLS.values():
            network = RecurrentNetwork(
                N_IN,
                N_REC,
                N_OUT,
                cell=cell(),
                cell_types=np.zeros(N_REC, int),  # some rules average over types
                dtype=dtype,
            )
            network.initialise(0)
            _warm_up_network(network)
    return kernel_counts()["compiled"] - before


def _warm_up_network(network: RecurrentNetwork) -> None:
    """Run a network on spikes and graded input, all rules that it suits, and Adam."""
    x = np.ones((N_STEPS, N_SAMPLES, N_IN), np.uint8)
    network.run(0.5 * x)
    # Whole trials and single steps: within a trial they are different kernels.
    trials = [_trial(network, x), _trial(network, x[:1])]
    for kind in RULES.values():
        if network.cell.kind in kind.info.cells:
            _warm_up_rule(kind(), network, trials)
    flossing = Flossing()
    record, _ = trials[0]
    vectors = flossing.start(network, N_SAMPLES, np.random.default_rng(0))
    flossing.step(network, record, vectors)
    weights = network.params.arrays()
    global_norm(weights)
    optimizer = Adam()
    optimizer.step(weights, network.params.copy().arrays(), optimizer.init(weights))


def _trial(network: RecurrentNetwork, x: np.ndarray) -> tuple[Record, LearningSignal]:
    n_steps = len(x)
    signal = LearningSignal(
        error=np.ones((n_steps, N_SAMPLES, N_OUT)),
        feedback=np.ones((N_REC, N_OUT)),
        neuron=np.ones((N_SAMPLES, N_REC)),
        direct=np.ones((n_steps, N_SAMPLES, N_REC)),
        reward=np.ones((n_steps, N_SAMPLES)),
    )
    return network.run(x, record=("v", "a", "i")), signal


def _warm_up_rule(
    rule: Rule,
    network: RecurrentNetwork,
    trials: Iterable[tuple[Record, LearningSignal]],
) -> None:
    for record, signal in trials:
        rule.gradients(network, record, signal)
        if isinstance(rule, OnlineRule):
            try:
                traces = rule.start(network, N_SAMPLES)
            except InvalidValue:  # only credited at the end of a trial
                return
            rule.step(network, record, signal, traces)
