"""Study `init-gain`: initial gain, learning rules, and local gradient flossing.

After Liu, Zhang & Liu 2024 (arXiv:2410.11164), whose tasks, sizes and step sizes are
not known to us: the settings here are ours, and what is compared are directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from spikelearn.studies.base import Claim, Row, Study, Unit, Verdict, grid
from spikelearn.studies.statistics import by_seed, paired_difference

__all__ = ["FLOSSINGS", "Settings", "initial_gains"]

FLOSSINGS: dict[str, Flossing | None] = {
    "none": None,
    "pre-local": Flossing("spectrum", k=5),
    "pre-tangent": Flossing("tangent"),
    "pre-exact": Flossing("exact", k=5),
    "continuous": Flossing("tangent", rate=0.03, continuous=True),
}
LEARNED = ("w_in", "w_rec", "w_out")
V_TH = 0.6
TRIALS = 32  # of the validation split, for exponents
TEST_TRIALS = 512
POINTS = 20  # of a learning curve
SPECTRUM = 10  # exponents of networks before training
CHANCE = np.log(2.0)  # loss of a guess between two classes
AGREEING = 0.75  # share of parts with the sign of the claim
RECOVERED = 0.8  # of the loss gap, and the cost that is allowed at the best gain
COST = 0.05


@dataclass(frozen=True)
class Problem:
    """A task with what of the network depends on its time scale, in steps."""

    parameters: dict[str, Any]
    tau_rate: float
    tau_m: float
    tau_out: float
    iterations: int


PROBLEMS = {
    "dms": Problem(
        {
            "sample_ms": 200.0,
            "delay_ms": 1500.0,
            "test_ms": 200.0,
            "decision_ms": 200.0,
            "decision_only": True,
        },
        4.5,
        8.0,
        2.0,
        700,
    ),
    "delayed-xor": Problem({"delay_steps": 2, "n_steps": 30}, 1.5, 1.5, 2.0, 700),
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
        20.0,
        20.0,
        20.0,
        250,
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
    three tasks by BPTT, e-prop and (ReLU) RFLO: without flossing, with flossing before
    training (local with five exponents, local with one, exact with five), and with
    local flossing all along.
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
    defined = [u for u in units if u["rule"] != "rflo" or u["cell"] == "rate"]
    return Study(
        name="init-gain",
        title="Initial gain, learning rules and local gradient flossing",
        schema=1,
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
    iterations = round(problem.iterations * float(unit["length"] or 1))
    losses = np.minimum([trainer.step().loss for _ in range(iterations)], 10 * CHANCE)
    scores = trainer.evaluate("test", TEST_TRIALS)
    return {
        "test_loss": min(scores.loss, 10 * CHANCE),
        "test_accuracy": scores.accuracy,
        "training_loss": float(losses.mean()),
        "curve": [float(part.mean()) for part in np.array_split(losses, POINTS)],
        "lam_drawn": drawn[0],
        "lam_start": start[0],
        "lam_end": exponents(1)[0],
        "spectrum_drawn": drawn,
        "spectrum_start": start,
        "flossed": flossed,
        "rate_hz": scores.rate_hz,
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
    return Trainer(
        network,
        task,
        loss=Classification(),
        rule=RULES[rule](),
        optimizer=Adam(lr=RATES[name]),
        feedback=Feedback("random" if rule == "rflo" else "symmetric"),
        flossing=FLOSSINGS[str(unit["flossing"])],
        intrinsic=intrinsic,
        batch_size=int(unit["batch_size"] or 1),
        trainable=LEARNED,
        clip_norm=1.0,
        seed=seed,
    )


# Claims


def claims(rows: list[Row]) -> list[Claim]:
    """Return the verdicts on A1 to A5, and how much of the loss flossing recovers.

    A part is a task with a cell and, where it says so, a rule. The best and the worst
    gain for a seed are those of the mean test loss of all *other* seeds, so that the
    choice does not use what it is judged by. Effects are averaged over the parts within
    a seed; intervals are over seeds. A claim is "reproduced" if the whole interval lies
    where it says and three quarters of the parts have its sign, and "depends" if only
    the first holds. One seed alone gives no verdict.
    """
    if len({row["seed"] for row in rows}) < 2:
        return []
    found = [
        _a1(rows),
        _a2(rows),
        _a3(rows),
        *(
            claim
            for flossing in list(FLOSSINGS)[1:]
            if any(row["flossing"] == flossing for row in rows)
            for claim in _a4_a5(rows, flossing)
        ),
    ]
    return found


def _parts(rows: Iterable[Row], *names: str) -> list[dict[str, Any]]:
    distinct = {tuple(row[name] for name in names): None for row in rows}
    return [dict(zip(names, values, strict=True)) for values in distinct]


def _losses(rows: list[Row], **where: Any) -> dict[float, dict[int, float]]:
    """Return the test loss by gain and seed; of a run that failed, that of a cut."""
    gains = sorted({row["gain"] for row in rows})
    table = {gain: by_seed(rows, "test_loss", gain=gain, **where) for gain in gains}
    worst = 10 * float(CHANCE)
    return {
        gain: {s: worst if v is None else v for s, v in column.items()}
        for gain, column in table.items()
    }


def _chosen(table: dict[float, dict[int, float]], seed: int) -> tuple[float, float]:
    """Return the best and the worst gain by the mean loss of all other seeds."""
    means = {
        gain: float(np.mean([v for s, v in column.items() if s != seed]))
        for gain, column in table.items()
    }
    return min(means, key=means.__getitem__), max(means, key=means.__getitem__)


def _by_part(
    parts: list[dict[str, Any]], value: Callable[[dict[str, Any]], dict[int, float]]
) -> tuple[dict[int, float], dict[str, float]]:
    """Return the mean over parts by seed, and over seeds by part."""
    tables = {" ".join(part.values()): value(part) for part in parts}
    seeds = sorted({seed for table in tables.values() for seed in table})
    means = {
        seed: float(np.mean([t[seed] for t in tables.values() if seed in t]))
        for seed in seeds
    }
    by_part = {n: float(np.mean(list(t.values()))) for n, t in tables.items() if t}
    return means, by_part


def _judged(
    id: str,
    statement: str,
    means: dict[int, float],
    parts: dict[str, float],
    bound: float,
    *,
    above: bool,
    test: str,
    **detail: Any,
) -> Claim:
    """Return a claim on the mean of a number over seeds."""
    zero = dict.fromkeys(means, 0.0)
    estimate = paired_difference(means, zero)
    side = {"above": bound} if above else {"below": bound}
    verdict: Verdict = estimate.verdict(**side)
    agree = np.mean([v > bound if above else v < bound for v in parts.values()])
    if verdict == "reproduced" and agree < AGREEING:
        verdict = "depends"
    return Claim(
        id,
        statement,
        verdict,
        estimate.effect,
        estimate.ci_low,
        estimate.ci_high,
        estimate.n,
        f"{test}; Student's 95 % interval over seeds",
        {"parts": parts, "parts_agreeing": float(agree), "d_z": estimate.size} | detail,
    )


def _plain(rows: list[Row], *rules: str) -> list[Row]:
    return [r for r in rows if r["flossing"] == "none" and r["rule"] in rules]


def _a1(rows: list[Row]) -> Claim:
    some = _plain(rows, "e-prop", "rflo")

    def gap(part: dict[str, Any]) -> dict[int, float]:
        table = _losses(some, **part)
        result = {}
        for seed in next(iter(table.values())):
            best, worst = _chosen(table, seed)
            result[seed] = table[worst][seed] - table[best][seed]
        return result

    means, parts = _by_part(_parts(some, "task", "cell", "rule"), gap)
    return _judged(
        "A1",
        "The initial gain strongly affects what e-prop and RFLO learn.",
        means,
        parts,
        0.0,
        above=True,
        test="test loss at the worst minus that at the best gain, which other seeds "
        "choose",
    )


def _a2(rows: list[Row]) -> Claim:
    some = _plain(rows, "bptt", "e-prop", "rflo")
    local = _plain(rows, "e-prop", "rflo")

    def correlation(part: dict[str, Any]) -> dict[int, float]:
        mine = _losses(some, **part)
        theirs = _losses(some, **{**part, "rule": "bptt"})
        return _correlations(mine, theirs)

    means, parts = _by_part(_parts(local, "task", "cell", "rule"), correlation)
    return _judged(
        "A2",
        "The dependence on the gain mirrors that of BPTT.",
        means,
        parts,
        0.0,
        above=True,
        test="Spearman correlation over gains of the test losses of a local rule and "
        "of BPTT, within a seed",
    )


def _correlations(
    one: dict[float, dict[int, float]], other: dict[float, dict[int, float]]
) -> dict[int, float]:
    """Return Spearman's correlation over gains, by seed; 0 where one is constant."""
    result = {}
    for seed in next(iter(one.values())):
        a = _ranks([column[seed] for column in one.values()])
        b = _ranks([column[seed] for column in other.values()])
        varies = a.std() > 0 and b.std() > 0
        result[seed] = float(np.corrcoef(a, b)[0, 1]) if varies else 0.0
    return result


def _ranks(values: list[float]) -> np.ndarray:
    """Return ranks; equal values share their mean rank."""
    array = np.asarray(values)
    below = (array[:, None] > array[None, :]).sum(axis=1)
    same = (array[:, None] == array[None, :]).sum(axis=1)
    ranks: np.ndarray = below + (same - 1) / 2
    return ranks


def _a3(rows: list[Row]) -> Claim:
    some = _plain(rows, "bptt", "e-prop", "rflo")
    moved = [
        row | {"test_loss": _distance(row["lam_end"], row["lam_start"])} for row in some
    ]

    def correlation(part: dict[str, Any]) -> dict[int, float]:
        return _correlations(_losses(some, **part), _losses(moved, **part))

    parts = _parts(some, "task", "cell", "rule")
    means, by_part = _by_part(parts, correlation)
    spread = {
        name: _spread([row[name] for row in some if row[name] is not None])
        for name in ("lam_start", "lam_end")
    }
    return _judged(
        "A3",
        "Bad initial gains have to move the largest exponent further.",
        means,
        by_part,
        0.0,
        above=True,
        test="Spearman correlation over gains of the test loss and of how far training "
        "moved the largest exponent, within a seed",
        standard_deviation_of_exponents=spread,
    )


def _distance(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else abs(one - other)


def _spread(values: list[float]) -> float:
    return float(np.std(values)) if values else float("nan")


def _a4_a5(rows: list[Row], flossing: str) -> list[Claim]:
    """Return the claims on one way of flossing e-prop: worst gain, gap, best gain."""
    some = [row for row in rows if row["rule"] == "e-prop"]
    gains: dict[str, dict[int, float]] = {}
    gaps: dict[str, dict[int, float]] = {}
    costs: dict[str, dict[int, float]] = {}
    bests: dict[str, dict[int, float]] = {}
    parts = _parts(some, "task", "cell")
    for part in parts:
        name = " ".join(part.values())
        plain = _losses(some, **part, flossing="none")
        flossed = _losses(some, **part, flossing=flossing)
        gains[name], gaps[name], costs[name], bests[name] = {}, {}, {}, {}
        for seed in next(iter(plain.values())):
            best, worst = _chosen(plain, seed)
            gains[name][seed] = plain[worst][seed] - flossed[worst][seed]
            gaps[name][seed] = plain[worst][seed] - plain[best][seed]
            costs[name][seed] = flossed[best][seed] - plain[best][seed]
            bests[name][seed] = plain[best][seed]

    def column(table: dict[str, dict[int, float]]) -> Any:
        return _by_part(parts, lambda part: table[" ".join(part.values())])

    recovered = {
        name: _ratio(gains[name].values(), gaps[name].values()) for name in gains
    }
    better = {n for n, share in recovered.items() if share is not None}
    better = {n for n in better if (recovered[n] or 0.0) >= RECOVERED}
    means, by_part = column(gains)
    worst_gain = _judged(
        f"A4 {flossing}",
        f"Flossing ({flossing}) improves e-prop at the worst gain.",
        means,
        by_part,
        0.0,
        above=True,
        test="test loss without minus with flossing at the worst gain, which other "
        "seeds choose",
        recovered=recovered,
        recovered_enough=sorted(better),
    )
    gap_left = {
        name: {s: gains[name][s] - RECOVERED * gaps[name][s] for s in gains[name]}
        for name in gains
    }
    means, by_part = column(gap_left)
    gap = _judged(
        f"A4 gap {flossing}",
        f"Flossing ({flossing}) recovers {RECOVERED:.0%} of the loss gap to the best "
        "gain.",
        means,
        by_part,
        0.0,
        above=True,
        test=f"gain of flossing at the worst gain minus {RECOVERED} of the gap",
    )
    means, by_part = column(costs)
    base = {
        name: float(
            np.mean([table[_chosen(table, s)[0]][s] for s in table[min(table)]])
        )
        for name, table in (
            (" ".join(p.values()), _losses(some, **p, flossing="none")) for p in parts
        )
    }
    relative = {name: by_part[name] / base[name] for name in by_part}
    scale = float(np.mean(list(base.values())))
    best_gain = _judged(
        f"A5 {flossing}",
        f"Flossing ({flossing}) costs less than {COST:.0%} of the loss at the best "
        "gain.",
        {seed: value / scale for seed, value in means.items()},
        relative,
        COST,
        above=False,
        test="test loss with minus without flossing at the best gain, over the mean "
        "loss there",
    )
    return [worst_gain, gap, best_gain]


def _ratio(parts: Iterable[float], wholes: Iterable[float]) -> float | None:
    whole = float(sum(wholes))
    return float(sum(parts)) / whole if whole > 0 else None
