"""Study `rich-lazy`: what initial connectivity does to how a network learns.

After Liu et al. 2024 (arXiv:2310.08513), in the settings of their released code: 300
ReLU units without leak and biases, recurrent weights of gain 1.25 with
self-connections, uniform input and readout weights, gradient descent with momentum 0.9
and rate 3e-3, batches of 32, cross-entropy at each of 8 steps. The tasks are theirs by
definition, not draw for draw. Everything else is ours: trainings shorter than the
published one (`Part.length`) beside it, the other two ways to match, families of
connectivity whose parameters were never published, row-wise images from 5000 of
MNIST's, e-prop, and spiking networks, whose step size was chosen with seed 100.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from spikelearn import connectivity, tasks
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.regime import learning_steps, regime
from spikelearn.analysis.structure import describe
from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Classification
from spikelearn.learning.matching import largest_exponent, match_lyapunov
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import RULES
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import Trainer
from spikelearn.network import LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.runs.connecting import task_map
from spikelearn.studies.base import Study, Unit, grid
from spikelearn.studies.rich_lazy_claims import claims
from spikelearn.studies.training import losses_of
from spikelearn.tasks import Batch
from spikelearn.tasks.ring import RingTask

__all__ = ["PARTS", "Part", "Settings", "initial_connectivity"]

N_REC = 300
GAIN, STABLE_GAIN = 1.25, 0.5
LEARNED = ("w_in", "w_rec", "w_out")
WORST_LOSS = 10 * float(np.log(3.0))  # where losses are cut: ten times that of a guess
TEST_TRIALS = 512
EXPONENT_TRIALS = 32
STRUCTURE = (
    "frobenius",
    "spectral_radius",
    "eigenvalue_rank",
    "entropy_rank",
    "stable_rank",
    "participation_ratio",
)
RANKS = ("low_rank(1)", "low_rank(30)", "low_rank(100)", "gaussian")
"""Initial matrices from one draw of each seed; the full draw has rank 300."""
IMAGE_RANKS = (RANKS[0], "low_rank(5)", *RANKS[1:])
"""Also the lowest rank that the authors had for images."""
FAMILIES = (
    "gaussian",
    "erdos_renyi(0.1)",
    "orthogonal",
    "lognormal",
    "dale(balanced=True)",
    "dale(balanced=False)",
    "motifs(chain=0.8, convergent=1.0, divergent=1.0)",
    'cell_types("potjans_diesmann")',
    'connectome("celegans")',
    'shuffle(connectome("celegans"))',
    'connectome("optic_lobe")',
    'shuffle(connectome("optic_lobe"))',
)
RING = ("2af", "dms", "cxt")
SOLVED = ("2af", "cxt")  # whose answer a linear map of the mean input can give
SPIKING_TASK = {"dt": 20.0, "hold_fixation": True}
ROWS = "smnist-rows"


@dataclass(frozen=True)
class Part:
    """A piece of the grid: what is varied, and for how long networks are trained.

    `length` is the number of iterations of the full study. `kernels` names the rule
    whose kernel is compared besides that of BPTT, on so many `trials`.
    """

    name: str
    inits: tuple[str, ...]
    tasks: tuple[str, ...]
    length: int
    cells: tuple[str, ...] = ("rate",)
    rules: tuple[str, ...] = ("bptt",)
    matches: tuple[str, ...] = ("frobenius",)
    gains: tuple[float, ...] = (GAIN,)
    batch_size: int = 32
    trials: int = 64
    kernels: str = "e-prop"


MATCHED = ("spectral_radius", "lyapunov")
ALIGNED = ("aligned_low_rank(1)", "low_rank(1)")
WORM = 'connectome("celegans")'
SHORT = 800  # iterations
SPIKING: dict[str, Any] = {"length": 500, "cells": ("LIF",), "trials": 32}
PARTS = (
    Part("published", RANKS, RING, 10_000, trials=320, kernels="bptt"),
    Part("images", IMAGE_RANKS, (ROWS,), 300, batch_size=200, kernels="bptt"),
    Part("short", RANKS, RING, SHORT, rules=("bptt", "e-prop")),
    Part("matched", RANKS, RING, SHORT, matches=MATCHED),
    Part("stable", RANKS, RING, SHORT, gains=(STABLE_GAIN,)),
    Part("aligned", ALIGNED, SOLVED, SHORT),
    Part("families", FAMILIES, ("dms",), SHORT, matches=("frobenius", "lyapunov")),
    Part("short", RANKS, SOLVED, **SPIKING, rules=("bptt", "e-prop")),
    Part("matched", RANKS, ("2af",), **SPIKING, matches=MATCHED),
    Part("stable", RANKS, SOLVED, **SPIKING, gains=(STABLE_GAIN,)),
    Part("aligned", ALIGNED, SOLVED, **SPIKING),
    Part(
        "families",
        ("gaussian", "dale(balanced=True)", WORM, f"shuffle({WORM})"),
        ("2af",),
        **SPIKING,
    ),
)


class Settings(BaseModel):
    """Everything that the study is made of."""

    model_config = ConfigDict(frozen=True)

    cells: tuple[str, ...] = ("rate", "LIF")
    parts: tuple[str, ...] = tuple(dict.fromkeys(part.name for part in PARTS))
    seeds: int = 5
    n_rec: int = N_REC
    shorter: int = 1


def initial_connectivity(*, quick: bool = False, seeds: int | None = None) -> Study:
    """Compare how richly networks learn from matrices of several ranks and families.

    300 ReLU or LIF cells learn neurogym's tasks or row-wise images by BPTT or e-prop
    from matrices of ranks 1 to 300, task-aligned ones, connectomes and their null
    models, matched in norm, spectral radius or Lyapunov exponent.
    """
    settings = Settings()
    if quick:
        settings = Settings(
            parts=("short", "aligned"), cells=("rate",), seeds=3, n_rec=60, shorter=4
        )
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": seeds})
    units = [
        unit
        for part in PARTS
        if part.name in settings.parts
        for unit in grid(
            part=[part.name],
            task=part.tasks[:1] if quick else part.tasks,
            cell=[cell for cell in part.cells if cell in settings.cells],
            rule=part.rules,
            match=part.matches,
            gain=part.gains,
            init=part.inits,
            seed=range(settings.seeds),
            n_rec=[settings.n_rec],
            batch_size=[part.batch_size],
            iterations=[part.length // settings.shorter],
            trials=[part.trials],
            kernels=[part.kernels],
        )
    ]
    return Study(
        name="rich-lazy",
        title="Initial connectivity, and rich or lazy learning",
        schema=1,
        settings=settings,
        units=[_fitted(unit) for unit in units],
        run=train_one,
        claims=claims,
    )


def _fitted(unit: Unit) -> Unit:
    """Return a unit whose ranks fit the number of neurons."""
    n = int(unit["n_rec"] or 0)
    init = str(unit["init"])
    if n < N_REC and init in RANKS[1:3]:
        rank = int(init[len("low_rank(") : -1]) * n // N_REC
        init = f"low_rank({rank})"
    return unit | {"init": init}


# One network


def train_one(unit: Unit) -> dict[str, Any]:
    """Train one network; return how far it moved, and what it was before.

    Measures are those of `analysis.regime` on validation trials. Exponents per step are
    those of `learning.matching.largest_exponent`. `test_loss` and `test_accuracy` are
    those of new trials, the latter of the steps of the answer alone. Where the numbers
    run away, or leave a network that passes no change on, the loss is that of the cut
    and no measure is known; where the exponent cannot be matched, nothing is trained.
    """
    trainer = _trainer(unit)
    network = trainer.network
    batch = _probe(unit, trainer)
    try:
        _set_weights(unit, trainer, batch.x[:, :EXPONENT_TRIALS])
    except InvalidValue as error:  # an exponent out of reach
        return {"unmatched": str(error), "diverged": False}
    before = _copy(network)
    x = batch.x[:, :EXPONENT_TRIALS]
    structure = describe(in_float64(network), x).to_dict()
    start = {name: structure[name] for name in STRUCTURE}
    start["exponent_start"] = structure["lyapunov"]
    losses = losses_of(trainer)
    finite = bool(np.isfinite(losses).all())
    end = _exponent(network, x) if finite else None
    silenced = end is None and start["exponent_start"] is not None
    if silenced or not finite:
        return start | {"diverged": True, "test_loss": WORST_LOSS}
    steps = learning_steps(batch)
    answer = steps[-1:] if unit["task"] == ROWS else _decision(trainer)
    if network.spiking:
        steps = answer  # the whole sequence has five times as many steps
    found = regime(
        before, network, batch, rule=RULES[str(unit["kernels"])](), steps=steps
    )
    test = next(iter(trainer.task.evaluation("test", TEST_TRIALS, TEST_TRIALS)))
    return start | {
        "diverged": False,
        "test_loss": min(trainer.evaluate("test", TEST_TRIALS).loss, WORST_LOSS),
        "test_accuracy": _accuracy(network, test, answer),
        "training_loss": float(np.minimum(losses, WORST_LOSS).mean()),
        "weight_change": found.weight_change,
        "relative_weight_change": found.relative_weight_change,
        "sign_similarity": found.sign_similarity,
        "representation_alignment": found.representation_alignment,
        "cka": found.cka,
        **{f"ka_{_word(k)}": v for k, v in found.kernel_alignment.items()},
        **{f"rule_{_word(k)}": v for k, v in found.rule_alignment.items()},
        **{f"target_{_word(k)}": v for k, v in found.kernel_target_alignment.items()},
        "exponent_end": end,
    }


def _word(name: str) -> str:
    return name.replace("-", "_")


def _trainer(unit: Unit) -> Trainer:
    n, seed = int(unit["n_rec"] or 1), int(unit["seed"] or 0)
    spiking = unit["cell"] == "LIF"
    given = SPIKING_TASK if spiking else {}
    task = tasks.make(str(unit["task"]), **given)
    network = RecurrentNetwork(
        task.n_in,
        n,
        task.n_out,
        cell=LIF(tau_m=60.0, v_th=0.2, input_scaling="leak")
        if spiking
        else LeakyRate(tau_m=0.0),
        readout=LeakyReadout(60.0 if spiking else 0.0),
        dt=task.dt,
        mask=np.ones((n, n), bool),
    )
    return Trainer(
        network,
        task,
        loss=Classification(),
        rule=RULES[str(unit["rule"])](),
        optimizer=SGD(3e-2 if spiking else 3e-3, 0.9),
        feedback=Feedback("symmetric"),
        batch_size=int(unit["batch_size"] or 1),
        iterations=max(int(unit["iterations"] or 1), 1),
        trainable=LEARNED,
        seed=seed,
    )


def _set_weights(unit: Unit, trainer: Trainer, x: np.ndarray) -> None:
    """Draw all weights, and match the recurrent ones to the Gaussian draw of the seed.

    Masks, signs and delays of a family hold for the draw alone: training is free, so
    that networks differ in nothing but their initial weights.
    """
    network, seed = trainer.network, int(unit["seed"] or 0)
    rng = np.random.default_rng(seed)
    params, gain, mode = network.params, float(unit["gain"] or 0.0), str(unit["match"])
    streams = rng.spawn(3)
    for array, stream in ((params.w_in, streams[0]), (params.w_out, streams[1])):
        bound = 1 / np.sqrt(array.shape[1])
        array[...] = stream.uniform(-bound, bound, array.shape)
    entropy = int(streams[2].integers(2**63))
    teacher = task_map(trainer.task, seed)
    ports = connectivity.Ports(params.w_in, params.w_out, teacher)
    family = connectivity.parse(str(unit["init"]))
    drawn = family.draw(network.n_rec, entropy, ports)
    control = connectivity.gaussian(gain).draw(network.n_rec, entropy)
    scale = "frobenius" if mode == "lyapunov" else mode
    value = connectivity.MATCHES[scale](control.weights)
    matched = connectivity.match(drawn, scale, value)
    if mode == "lyapunov":
        params.w_rec[...] = control.weights
        target = largest_exponent(network, x)
        params.w_rec[...] = matched.weights
        match_lyapunov(network, x, target)
    else:
        params.w_rec[...] = matched.weights


def _probe(unit: Unit, trainer: Trainer) -> Batch:
    trials = int(unit["trials"] or 1)
    return next(iter(trainer.task.evaluation("validation", trials, trials)))


def _copy(network: RecurrentNetwork) -> RecurrentNetwork:
    copy = replace(network)
    copy.params.load(network.params.arrays())
    return copy


def _exponent(network: RecurrentNetwork, x: np.ndarray) -> float | None:
    """Return the largest exponent; None of a network that passes no change on."""
    with contextlib.suppress(InvalidValue):
        return largest_exponent(in_float64(network), x)
    return None


def _decision(trainer: Trainer) -> tuple[int, ...]:
    window = cast(RingTask, trainer.task).windows()["decision"]
    return tuple(range(window.start, window.stop))


def _accuracy(network: RecurrentNetwork, batch: Batch, steps: tuple[int, ...]) -> float:
    """Return the share of trials whose summed outputs at some steps are right."""
    answer = network.run(batch.x).y[list(steps)].sum(axis=0).argmax(axis=1)
    target = batch.target if batch.target.ndim == 1 else batch.target[steps[-1]]
    return float(np.mean(answer == target))
