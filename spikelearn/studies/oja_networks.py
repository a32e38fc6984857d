"""One network of the study `oja`: trained a trial at a time, then tested."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelearn import tasks
from spikelearn.analysis.activity import activity_dimensions
from spikelearn.analysis.alignment import align
from spikelearn.connectivity import stack
from spikelearn.learning.losses import Classification
from spikelearn.learning.oja import Oja, WeightDecay
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import Feedback
from spikelearn.learning.terms import PlasticityTerm
from spikelearn.learning.trainer import Trainer
from spikelearn.network import LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.studies.base import Unit
from spikelearn.studies.oja_claims import WORST_LOSS
from spikelearn.studies.static_digits import StaticDigits
from spikelearn.studies.training import losses_of

__all__ = ["train_one"]

LEARNED = ("w_in", "w_rec", "w_out")
V_TH = 0.6
TEST_TRIALS = 256
ALIGNED_TRIALS = 64  # of the validation split, for angles
POINTS = 20  # of a learning curve
ANGLES = 4  # times at which the angle to the true gradient is taken


def train_one(unit: Unit) -> dict[str, Any]:
    """Train one network, a trial at a time; return its losses and its activity.

    `training_loss` is the mean over all trials of the loss before they are learned
    from, `test_loss` that of test trials; both are cut at ten times that of a guess,
    and a network whose test loss is cut has diverged. Participation ratio and
    effective rank are those of the activity in test trials at the end,
    `angles` the cosines of the updates of a stack with the gradient of backpropagation
    through time along training, `cosine` their mean, and `norm_growth` the norm of the
    recurrent weights at the end by that before. What has no finite value is None.
    """
    trainer, worst = _trainer(unit), WORST_LOSS[str(unit["part"])]
    w_rec = trainer.network.params.w_rec
    norm = float(np.linalg.norm(w_rec))
    with np.errstate(over="ignore", invalid="ignore"):
        losses, angles = _train(trainer, _with_angles(unit))
        found = _tested(trainer, _layers(unit), bool(np.isfinite(losses).all()))
        growth = float(np.linalg.norm(w_rec)) / norm if norm else None
    losses = np.minimum(losses, worst)
    test_loss = min(found.pop("test_loss"), worst)
    curve = np.array_split(losses, min(POINTS, len(losses)))
    known = [angle for angle in angles if angle is not None]
    return {
        "test_loss": test_loss,
        "training_loss": float(losses.mean()),
        "diverged": int(test_loss >= worst),
        "curve": [float(part.mean()) for part in curve],
        "angles": angles,
        "cosine": float(np.mean(known)) if known else None,
        "norm_growth": growth,
        **found,
    }


def _with_angles(unit: Unit) -> bool:
    return unit["part"] == "stack" and _layers(unit) > 1


def _layers(unit: Unit) -> int:
    return int(unit["layers"] or 1)


def _train(
    trainer: Trainer, with_angles: bool
) -> tuple[np.ndarray, list[float | None]]:
    """Return losses, infinite from where numbers run away, and angles on the way."""
    angles: list[float | None] = []
    ends = np.linspace(0, trainer.iterations, ANGLES + 1).round()[1:]

    def measure(iteration: int) -> None:
        if with_angles and iteration in ends:
            angles.append(_cosine(trainer))

    return losses_of(trainer, measure), angles


def _cosine(trainer: Trainer) -> float | None:
    """Return the cosine of the update of recurrent and input weights with the truth.

    `align` draws the same feedback from the seed as the trainer does.
    """
    task, network = trainer.task, trainer.network
    batch = next(iter(task.evaluation("validation", ALIGNED_TRIALS, ALIGNED_TRIALS)))
    (found,) = align(
        network,
        batch,
        trainer.loss,
        [trainer.rule],
        feedback=trainer.feedback.kind,
        over=("w_in", "w_rec"),
        error_steps=1,
        definition_samples=0,
        seed=trainer.seed,
    )
    return found.cosine


def _tested(trainer: Trainer, layers: int, finite: bool) -> dict[str, Any]:
    """Return what test trials say of the network, if its numbers have not run away."""
    nothing = {"test_loss": np.inf, "test_accuracy": None, "rate_hz": None}
    lost = dict.fromkeys(("participation_ratio", "effective_rank", "by_layer"))
    if not finite:
        return nothing | lost
    scores = trainer.evaluate("test", TEST_TRIALS)
    if not np.isfinite(scores.loss):
        return nothing | lost
    batch = next(iter(trainer.task.evaluation("test", TEST_TRIALS, TEST_TRIALS)))
    output = trainer.network.run(batch.x).output
    parts = np.split(output, layers, axis=2)
    by_layer = [activity_dimensions(part) for part in parts]
    ratios, ranks = zip(*by_layer, strict=True)
    return {
        "test_loss": scores.loss,
        "test_accuracy": scores.accuracy,
        "rate_hz": scores.rate_hz,
        "participation_ratio": _mean(ratios),
        "effective_rank": _mean(ranks),
        "by_layer": list(ratios),
    }


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _term(unit: Unit) -> tuple[PlasticityTerm, ...]:
    """Return the term of a unit; rescaled rows have the norm 1 / sqrt(width)."""
    form, strength = str(unit["form"]), float(unit["strength"] or 0.0)
    if form == "none":
        return ()
    if form == "weight-decay":
        return (WeightDecay(strength),)
    return (Oja(form, strength, row_norm=float(np.sqrt(_layers(unit)))),)


def _trainer(unit: Unit) -> Trainer:
    stacked, seed = unit["part"] == "stack", int(unit["seed"] or 0)
    return Trainer(
        _network(unit, stacked, seed),
        _task(unit, stacked),
        loss=Classification(),
        rule=EProp(),
        optimizer=SGD(lr=float(unit["lr"] or 0.0)),
        feedback=Feedback("random" if stacked else "symmetric"),
        terms=_term(unit),
        batch_size=1,
        iterations=int(unit["samples"] or 1),
        trainable=LEARNED,
        seed=seed,
    )


def _task(unit: Unit, stacked: bool) -> tasks.Task:
    if stacked:
        judged, more = (3, 4) if unit["cell"] == "rate" else (8, 12)
        return StaticDigits(n_steps=_layers(unit) + more, judged=judged)
    return tasks.DelayMatchSample(
        sample_ms=200.0,
        delay_ms=100.0 * int(unit["delay"] or 0),
        test_ms=200.0,
        decision_ms=200.0,
        decision_only=True,
    )


def _network(unit: Unit, stacked: bool, seed: int) -> RecurrentNetwork:
    """Return a network whose recurrent weights are N(0, gain^2 / width)."""
    task, layers, width = _task(unit, stacked), _layers(unit), int(unit["width"] or 1)
    rate = unit["cell"] == "rate"
    # in steps: cells that remember a trial, or only what they need to see an image
    tau_m, tau_out = (2.0, 4.0) if stacked else (8.0, 2.0)
    tau_rate = 0.0 if stacked else 4.5
    network = RecurrentNetwork(
        task.n_in,
        layers * width,
        task.n_out,
        cell=LeakyRate(tau_m=tau_rate * task.dt)
        if rate
        else LIF(tau_m=tau_m * task.dt, v_th=V_TH),
        readout=LeakyReadout(0.0 if rate else tau_out * task.dt),
        dt=task.dt,
        **(
            stack(task.n_in, (width,) * layers, task.n_out, recurrent=False)
            if stacked
            else {}
        ),
    )
    fan_in = float(np.sqrt(layers))  # of a layer, where weights are drawn for all cells
    gain = float(unit["gain"] or 0.0)
    network.initialise(seed, gain=gain * fan_in, gain_out=fan_in)
    return network
