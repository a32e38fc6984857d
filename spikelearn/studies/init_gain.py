"""Study `init-gain`: initial gain, learning rules, and local gradient flossing.

After Liu, Zhang & Liu 2024 (arXiv:2410.11164), whose tasks, sizes and step sizes are
not known to us: the settings here are ours, and what is compared are directions.
Settings were chosen with seeds that the study does not use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from spikelearn import tasks
from spikelearn.analysis.lyapunov import trial_exponents
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.homeostasis import IntrinsicPlasticity
from spikelearn.learning.losses import Classification
from spikelearn.learning.optimizers import Adam
from spikelearn.learning.rules import RULES
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import Trainer
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.network.cells import Cells
from spikelearn.studies.base import Study, Unit, grid
from spikelearn.studies.init_gain_claims import WORST_LOSS, claims
from spikelearn.studies.training import losses_of

__all__ = ["FLOSSINGS", "Settings", "initial_gains"]

FLOSSINGS: dict[str, Flossing | None] = {
    "none": None,
    "pre-homeostasis": Flossing("tangent", dead_zone=np.inf),
    "pre-local": Flossing("spectrum", k=5),
    "pre-zero": Flossing("spectrum", k=5),
    "pre-exact": Flossing("exact", k=5),
    "continuous": Flossing("tangent", rate=0.03, continuous=True),
}
"""Ways of flossing: those of `BANDED` keep to a band, see `Problem.band`; the target of
"pre-zero" is 0. Spiking cells hold their rates in every trial of flossing and training;
"pre-homeostasis" shows what that does by itself before training."""
BANDED = ("pre-local", "pre-exact", "continuous")
LEARNED = ("w_in", "w_rec", "w_out")
V_TH = 0.6
TRIALS = 32  # of the validation split, for exponents
TEST_TRIALS = 512
POINTS = 20  # of a learning curve
SPECTRUM = 10  # exponents of networks before training


@dataclass(frozen=True)
class Problem:
    """A task with what of the network depends on its time scale, in steps.

    `memory` is the longest time that something has to be kept.
    """

    parameters: dict[str, Any]
    tau_rate: float
    tau_m: float
    tau_out: float
    memory: int
    iterations: int

    def band(self, flossing: Flossing) -> Flossing:
        """Let exponents be where credit neither explodes nor dies within the memory.

        Nothing is done to an exponent between -1 / memory and 0: the weights of a
        network that is well stay as they are.
        """
        half = 0.5 / self.memory
        return replace(flossing, target=-half, dead_zone=half)


PROBLEMS = {
    "dms": Problem(
        {
            "sample_ms": 200.0,
            "delay_ms": 1500.0,
            "test_ms": 200.0,
            "decision_ms": 200.0,
            "decision_only": True,
        },
        tau_rate=4.5,
        tau_m=8.0,
        tau_out=2.0,
        memory=21,
        iterations=700,
    ),
    "delayed-xor": Problem(
        {"delay_steps": 2, "n_steps": 30},
        tau_rate=1.5,
        tau_m=1.5,
        tau_out=2.0,
        memory=2,
        iterations=700,
    ),
    "evidence-accumulation": Problem(
        {
            "n_cues": 5,
            "cue_ms": 20.0,
            "gap_ms": 10.0,
            "delay_ms": 50.0,
            "recall_ms": 20.0,
            "f_cue_hz": 100.0,
            "f_noise_hz": 20.0,
            "n_per_group": 5,
        },
        tau_rate=20.0,
        tau_m=20.0,
        tau_out=20.0,
        memory=220,
        iterations=250,
    ),
}
RATES = {"rate": 1e-3, "LIF": 5e-3, "ALIF": 5e-3}  # step sizes of Adam


class Settings(BaseModel):
    """Everything that the study is made of."""

    model_config = ConfigDict(frozen=True)

    gains: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 3.0)
    cells: tuple[str, ...] = ("rate", "LIF", "ALIF")
    tasks: tuple[str, ...] = tuple(PROBLEMS)
    rules: tuple[str, ...] = ("bptt", "e-prop", "rflo")
    flossings: tuple[str, ...] = tuple(FLOSSINGS)
    seeds: int = 5
    n_rec: int = 100
    batch_size: int = 32
    episodes: int = 60
    length: float = 1.0  # of training, times that of the problem


def initial_gains(*, quick: bool = False, seeds: int | None = None) -> Study:
    """Compare initial gains and what flossing repairs, for BPTT and local rules.

    Leaky ReLU, LIF and ALIF networks of 100 cells with Gaussian weights of gain g learn
    three tasks by BPTT, e-prop and (ReLU) RFLO: without flossing, with flossing of five
    exponents before training (local, local to 0, exact), with local flossing of one all
    along, and (spiking) with homeostasis alone before training (`FLOSSINGS`).
    """
    settings = Settings()
    if quick:
        settings = Settings(
            gains=(0.1, 1.0, 3.0),
            cells=("rate",),
            tasks=("dms",),
            flossings=("none", "pre-local"),
            seeds=3,
        )
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": seeds})
    units = grid(
        task=settings.tasks,
        cell=settings.cells,
        rule=settings.rules,
        flossing=settings.flossings,
        gain=settings.gains,
        seed=range(settings.seeds),
        n_rec=[settings.n_rec],
        batch_size=[settings.batch_size],
        episodes=[settings.episodes],
        length=[settings.length],
    )
    of_rates, of_spikes = ("rule", "rflo"), ("flossing", "pre-homeostasis")
    defined = [
        unit
        for unit in units
        if (of_spikes if unit["cell"] == "rate" else of_rates) not in unit.items()
    ]
    return Study(
        name="init-gain",
        title="Initial gain, learning rules and local gradient flossing",
        schema=2,
        settings=settings,
        units=defined,
        run=train_one,
        claims=claims,
    )


# One network


def train_one(unit: Unit) -> dict[str, Any]:
    """Train one network; return its losses and exponents.

    `test_loss` is that of 512 new trials, cut at ten times that of a guess;
    `training_loss` the mean over all iterations. Exponents per step are those of
    validation trials, of weights as they were drawn (`lam_drawn`), when training began
    (`lam_start`) and at its end (`lam_end`); the first two with more of the spectrum.
    Where the numbers run away, losses are those of the cut, and `lam_end` is None.
    """
    problem = PROBLEMS[str(unit["task"])]
    trainer = _trainer(unit, problem)
    network, task = trainer.network, trainer.task
    batch = next(iter(task.evaluation("validation", TRIALS, TRIALS)))
    jacobian = Flossing().jacobian

    def exponents(k: int = SPECTRUM) -> list[float]:
        found = trial_exponents(network, batch.x, k, jacobian=jacobian)
        return [float(value) for value in found]

    drawn = exponents()
    flossed = [
        float(trainer.floss(episode).exponents[0])
        for episode in range(int(unit["episodes"] or 0) if _before(unit) else 0)
    ]
    start = exponents()
    losses = losses_of(trainer)
    if np.isfinite(losses).all():
        scores, end = trainer.evaluate("test", TEST_TRIALS), exponents(1)[0]
        test_loss, accuracy, rate_hz = scores.loss, scores.accuracy, scores.rate_hz
    else:
        test_loss, accuracy, rate_hz, end = np.inf, None, None, None
    losses = np.minimum(losses, WORST_LOSS)
    curve = np.array_split(losses, min(POINTS, len(losses)))
    return {
        "test_loss": min(test_loss, WORST_LOSS),
        "test_accuracy": accuracy,
        "training_loss": float(losses.mean()),
        "curve": [float(part.mean()) for part in curve],
        "lam_drawn": drawn[0],
        "lam_start": start[0],
        "lam_end": end,
        "spectrum_drawn": drawn,
        "spectrum_start": start,
        "flossed": flossed,
        "rate_hz": rate_hz,
    }


def _before(unit: Unit) -> bool:
    return str(unit["flossing"]).startswith("pre")


def _cell(name: str, problem: Problem, dt: float) -> Cells:
    if name == "rate":
        return LeakyRate(tau_m=problem.tau_rate * dt)
    tau = problem.tau_m * dt
    if name == "LIF":
        return LIF(tau_m=tau, v_th=V_TH)
    return ALIF(tau_m=tau, v_th=V_TH, tau_a=10 * tau, beta=0.1)


def _trainer(unit: Unit, problem: Problem) -> Trainer:
    name, seed = str(unit["cell"]), int(unit["seed"] or 0)
    task = tasks.make(str(unit["task"]), **problem.parameters)
    network = RecurrentNetwork(
        task.n_in,
        int(unit["n_rec"] or 1),
        task.n_out,
        cell=_cell(name, problem, task.dt),
        readout=LeakyReadout(0.0 if name == "rate" else problem.tau_out * task.dt),
        dt=task.dt,
    )
    network.initialise(seed, gain=float(unit["gain"] or 0.0))
    rule = str(unit["rule"])
    # a mean rate of one spike in ten steps
    intrinsic = IntrinsicPlasticity(100.0 / task.dt) if name != "rate" else None
    flossing = FLOSSINGS[str(unit["flossing"])]
    if flossing is not None and unit["flossing"] in BANDED:
        flossing = problem.band(flossing)
    return Trainer(
        network,
        task,
        loss=Classification(),
        rule=RULES[rule](),
        optimizer=Adam(lr=RATES[name]),
        feedback=Feedback("random" if rule == "rflo" else "symmetric"),
        flossing=flossing,
        intrinsic=intrinsic,
        batch_size=int(unit["batch_size"] or 1),
        iterations=max(round(problem.iterations * float(unit["length"] or 1)), 1),
        trainable=LEARNED,
        clip_norm=1.0,
        schedule="cosine",
        seed=seed,
    )
