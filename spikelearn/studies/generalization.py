"""Study `generalization`: learning rules, curvature and the generalisation gap.

After Liu, Ghosh, Richards, Shea-Brown & Lajoie 2022 (arXiv:2206.00823), in the settings
of its released code as far as they are affordable: 128 units without leak (ReLU), input
and recurrent weights N(0, 2 / n_pre) without self-connections, plain gradient descent
with step 0.01 on batches of 256, L2 0.01, images row by row with the loss on the last
row, and test images shifted by noise of 0.2. There 55000 images were learned from for
10000 to 16000 iterations; here it is 512 images for 480, which leaves a gap to look at.
Delayed match to sample is learned from few noisy trials likewise, its test set shifted
by twice the noise. LIF networks learn the same tasks. All seeds learn from the same
trials, in an order of their own. ModProp and MDGL know the weights of every neuron
(each is a cell type of its own), which is the best case of both.

Sizes and steps that are not published were chosen with seed 100, which the study does
not use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from spikelearn import tasks
from spikelearn.analysis.curvature import leading_eigenvalue
from spikelearn.analysis.rule_component import rule_component
from spikelearn.analysis.sharpness import sharpness
from spikelearn.errors import InvalidValue
from spikelearn.learning.losses import Classification
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import BPTT, MDGL, EProp, ModProp, Rule
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import Trainer
from spikelearn.network import LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.studies.base import Study, Unit, grid
from spikelearn.studies.few_trials import FewTrials
from spikelearn.studies.generalization_claims import claims
from spikelearn.studies.generalization_parts import ORDER
from spikelearn.tasks import Batch, Task

__all__ = ["PROBLEMS", "Settings", "rules_and_generalization"]

L2 = 0.01
LEARNED = ("w_in", "w_rec", "w_out")
V_TH = 0.6
POINTS = 14  # along training, besides the start; curvature at every second
FIRST = 20  # iteration of the first of them
VALIDATION, TEST = 256, 1000  # trials for curvature, and for each test set
NOISE = 0.2  # of the weights, relative, for the sharpness
DRAWS = 10
PRODUCTS = 30  # of the matrix, at most, for its leading eigenvalue
SWEPT = ("bptt", "e-prop")  # rules that are learned with larger steps too


@dataclass(frozen=True)
class Problem:
    """A task with its shifted test set, and what of the network suits it, in steps."""

    task: str
    parameters: dict[str, Any]
    shifted: dict[str, Any]
    trials: int
    batch_size: int
    iterations: int
    tau_rate: float
    tau_spiking: float
    lr: dict[str, float]


PROBLEMS = {
    "smnist-rows": Problem(
        "smnist-rows",
        {},
        {"noise": 0.2},
        trials=512,
        batch_size=256,
        iterations=480,
        tau_rate=0.0,
        tau_spiking=4.0,
        lr={"rate": 0.01, "LIF": 0.05},
    ),
    "dms": Problem(
        "dms",
        {"sigma": 4.0, "decision_only": True},
        {"sigma": 8.0},
        trials=32,
        batch_size=32,
        iterations=480,
        tau_rate=3.0,
        tau_spiking=4.0,
        lr={"rate": 0.03, "LIF": 0.05},
    ),
}


class Settings(BaseModel):
    """Everything that the study is made of.

    `swept` are the problems that are also learned with `factors` times the step, kept
    or taken down to 0 by a cosine ("cosine", of `decayed`).
    """

    model_config = ConfigDict(frozen=True)

    problems: tuple[str, ...] = tuple(PROBLEMS)
    cells: tuple[str, ...] = ("rate", "LIF")
    rules: tuple[str, ...] = ORDER
    seeds: int = 5
    n_rec: int = 128
    swept: tuple[str, ...] = ("smnist-rows",)
    factors: tuple[float, ...] = (3.0, 10.0, 30.0)
    decayed: tuple[float, ...] = (3.0, 10.0)
    length: float = 1.0  # of training, times that of the problem


def rules_and_generalization(*, quick: bool = False, seeds: int | None = None) -> Study:
    """Compare how rules generalise, and the curvature where they arrive.

    ReLU and LIF networks of 128 cells learn rows of digits and delayed match to sample
    from few trials by BPTT, ModProp, MDGL and e-prop, with their losses on held-out and
    shifted test sets, the leading eigenvalue of the recurrent weights' Hessian (spiking
    cells: of what stands for it), the sharpness, and the part of the true gradient that
    a rule keeps, along training; digits by BPTT and e-prop also with larger steps, kept
    or decayed.
    """
    settings = Settings()
    if quick:
        settings = Settings(
            problems=("dms",),
            cells=("rate",),
            seeds=3,
            n_rec=64,
            swept=("dms",),
            factors=(10.0,),
            decayed=(10.0,),
        )
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": seeds})
    shared = {
        "cell": settings.cells,
        "seed": range(settings.seeds),
        "n_rec": [settings.n_rec],
        "length": [settings.length],
    }

    def of(
        problems: Iterable[str],
        rules: Iterable[str],
        factors: Iterable[float],
        schedule: str,
    ) -> list[Unit]:
        axes = {"problem": problems, "rule": rules, "factor": factors}
        return grid(**axes, schedule=[schedule], **shared)

    swept = [rule for rule in settings.rules if rule in SWEPT]
    return Study(
        name="generalization",
        title="Learning rules, curvature and generalisation",
        schema=1,
        settings=settings,
        units=[
            *of(settings.problems, settings.rules, [1.0], "constant"),
            *of(settings.swept, swept, settings.factors, "constant"),
            *of(settings.swept, swept, settings.decayed, "cosine"),
        ],
        run=train_one,
        claims=claims,
    )


# One network


def train_one(unit: Unit) -> dict[str, Any]:
    """Train one network; return what it came to along training.

    Lists have a number for each of `iteration`: losses (without L2) and accuracies of
    all training trials and of both test sets. Those of `curved_iteration`, every second
    point, have the leading eigenvalue of w_rec on validation trials (`lam`, of the loss
    with L2; `lam_residual` is its error, `lam_kind` what it is of), the growth of the
    loss by weight noise (`sharpness`), and `rho` and `cosine` of the rule's gradient of
    w_rec. Where numbers run away lists end early, and `finite` is false. `lr` is the
    step at the start.
    """
    problem = PROBLEMS[str(unit["problem"])]
    task = tasks.make(problem.task, **problem.parameters)
    shifted = tasks.make(problem.task, **(problem.parameters | problem.shifted))
    few = FewTrials(task, task.train_batch(0, problem.trials, 0))
    trainer = _trainer(unit, problem, few)
    sets = {
        "train": [few.trials],
        "test": list(task.evaluation("test", TEST, VALIDATION)),
        "shifted": list(shifted.evaluation("test", TEST, VALIDATION)),
    }
    validation = next(iter(task.evaluation("validation", VALIDATION, VALIDATION)))
    scored: list[dict[str, Any]] = []
    curved: list[dict[str, Any]] = []
    finite = True
    for index, point in enumerate(_points(trainer.iterations)):
        finite = _reach(trainer, point)
        scores = _scores(trainer.network, sets) if finite else {}
        finite = finite and bool(np.isfinite(list(scores.values())).all())
        if not finite:
            break
        scored.append({"iteration": point} | scores)
        if index % 2 == 0:
            curved.append({"curved_iteration": point} | _curved(trainer, validation))
    lr = trainer.optimizer.lr
    return {"finite": finite, "lr": lr} | _columns(scored) | _columns(curved)


def _columns(lines: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return lists by name; the first line is there, of the weights as drawn."""
    return {name: [line[name] for line in lines] for name in lines[0]}


def _points(iterations: int) -> list[int]:
    """Return the iterations that are looked at: 0, then evenly on a logarithm."""
    spaced = np.geomspace(min(FIRST, iterations), iterations, POINTS)
    return [0, *sorted({round(point) for point in spaced})]


def _reach(trainer: Trainer, iteration: int) -> bool:
    """Train up to an iteration; return whether all numbers are finite there."""
    with contextlib.suppress(InvalidValue):  # of a loss or a gradient
        while trainer.iteration < iteration:
            trainer.step()
    weights = trainer.network.params.arrays().values()
    finite = all(bool(np.isfinite(array).all()) for array in weights)
    return finite and trainer.iteration == iteration


def _scores(network: RecurrentNetwork, sets: dict[str, list[Batch]]) -> dict[str, Any]:
    """Return loss and accuracy of every set."""
    scores: dict[str, Any] = {}
    for name, batches in sets.items():
        size = sum(batch.size for batch in batches)
        loss = correct = 0.0
        for batch in batches:
            y = network.run(batch.x, keep_distance=False).y
            result = Classification()(y, batch.target, batch.mask)
            loss += result.value * batch.size / size
            correct += result.n_correct / size
        scores |= {f"{name}_loss": loss, f"{name}_accuracy": correct}
    return scores


def _curved(trainer: Trainer, batch: Batch) -> dict[str, Any]:
    """Return what is measured on validation trials; the seed draws directions."""
    network, loss, seed = trainer.network, trainer.loss, trainer.seed
    leading = leading_eigenvalue(
        network, batch, loss, l2=L2, rng=seed, tolerance=0.01, max_iterations=PRODUCTS
    )
    grown = sharpness(network, batch, loss, sigma=NOISE, draws=DRAWS, rng=seed)
    kept = rule_component(network, batch, loss, trainer.rule)
    return {
        "lam": leading.value,
        "lam_residual": leading.residual,
        "lam_kind": leading.kind,
        "sharpness": grown.mean,
        "rho": kept.rho,
        "cosine": kept.cosine,
    }


def _rule(name: str, spiking: bool) -> Rule:
    """Return a rule; mu of ModProp is about the mean slope of the cells."""
    if name == "modprop":
        return ModProp(mu=0.1 if spiking else 0.5)
    return {"bptt": BPTT(), "mdgl": MDGL("one-hop"), "e-prop": EProp()}[name]


def _trainer(unit: Unit, problem: Problem, few: FewTrials) -> Trainer:
    spiking, seed = unit["cell"] != "rate", int(unit["seed"] or 0)
    task, n_rec = few.task, int(unit["n_rec"] or 1)
    tau = problem.tau_spiking if spiking else problem.tau_rate
    network = RecurrentNetwork(
        task.n_in,
        n_rec,
        task.n_out,
        cell=LIF(tau * task.dt, v_th=V_TH) if spiking else LeakyRate(tau * task.dt),
        readout=LeakyReadout(tau * task.dt if spiking else 0.0),
        dt=task.dt,
        cell_types=np.arange(n_rec),
    )
    gain = 1.0 if spiking else np.sqrt(2.0)
    glorot = np.sqrt(2.0 * n_rec / (n_rec + task.n_out))
    network.initialise(seed, gain=gain, gain_in=gain, gain_out=glorot)
    iterations = round(problem.iterations * float(unit["length"] or 1))
    return Trainer(
        network,
        cast(Task, few),
        loss=Classification(),
        rule=_rule(str(unit["rule"]), spiking),
        optimizer=SGD(problem.lr[str(unit["cell"])] * float(unit["factor"] or 1)),
        feedback=Feedback("symmetric"),
        batch_size=problem.batch_size,
        iterations=max(iterations, 1),
        trainable=LEARNED,
        weight_decay=L2,
        schedule=str(unit["schedule"]),
        seed=seed,
    )
