"""`curvature`: how the loss bends along a run, and what its rule keeps of the slope."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from hardware.training import from_config
from spikelearn import runs
from spikelearn.analysis.curvature import KINDS, field_shape
from spikelearn.analysis.curvature_points import (
    CurvaturePoint,
    curvature_point,
    stability_bound,
)
from spikelearn.analysis.generalisation import generalisation, held_out_batch
from spikelearn.analysis.loss_slices import usual_slices
from spikelearn.analysis.sharpness import sharpness_by_bits
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    RunArgument,
    ThreadsOption,
    console,
    figure_of,
    print_json,
    progress_bar,
)
from spikelearn.cli._curvature_answer import (
    CurvatureAnswer,
    answer_json,
    print_answer,
)
from spikelearn.cli._curvature_request import read_request
from spikelearn.errors import require
from spikelearn.files import write_json
from spikelearn.learning.signals import Feedback
from spikelearn.learning.trainer import learning_rate_scale
from spikelearn.network import RecurrentNetwork
from spikelearn.report.curvature import write_curvature_figure
from spikelearn.runs.run import new_trainer

__all__ = ["register"]


def curvature(
    path: RunArgument,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Rules to compare with the true gradient, as for gradcheck.",
            show_default="that of the run",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="train or validation.")] = "validation",
    samples: Annotated[
        int, typer.Option(min=1, help="Trials that everything is measured on.")
    ] = 256,
    kinds: Annotated[
        str | None,
        typer.Option(
            help=f"Names separated by commas: {', '.join(KINDS)}.",
            show_default="all that the cells have",
        ),
    ] = None,
    bits: Annotated[
        str, typer.Option(help="Bits of rounded weights, as 2..8 or 2,4,8.")
    ] = "2..8",
    sigma: Annotated[
        float, typer.Option(help="Gaussian noise, relative to the norm of the weights.")
    ] = 0.05,
    shift: Annotated[
        float, typer.Option(help="Standard deviation of the noise in shifted input.")
    ] = 0.2,
    draws: Annotated[int, typer.Option(min=2, help="Draws of every noise.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Figure as FILE.svg or FILE.png; a folder also gets the numbers."
        ),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Measure how the loss bends along a run, and how its weights stand noise.

    Largest and smallest eigenvalues of the second derivative of the loss with respect
    to the recurrent weights, with the bound up to which the optimiser is stable,
    2 (1 + momentum) / eta for gradient descent, and bound / rho, where rho is the part
    of the true gradient that a rule keeps; for the weights that the run kept, and its
    best ones. Eigenvalues are with weight decay; loss, gradient and rho are without.
    Spiking cells have no such derivative: what stands in for it says what it is. For
    the best weights also the growth of the loss under rounding, slices of the loss, and
    the gap from trials of the run's first iterations to held-out and shifted ones.
    """
    figure = figure_of(out, "curvature")
    for name, value in (("--sigma", sigma), ("--shift", shift)):
        require(0 <= value < math.inf, name, "must be >= 0 and finite", value)
    run, asked = read_request(path, split, samples, kinds, rule, bits)
    batch = held_out_batch(run.task, split, samples, run.config.training.seed)
    feedback = _feedback(run, threads)
    seed = run.config.training.seed
    l2 = run.config.optimizer.weight_decay
    options: dict[str, Any] = {"draws": draws, "rng": seed, "threads": threads}
    points: list[CurvaturePoint] = []
    networks = _networks(run, threads)
    with progress_bar(len(networks), "measuring", "weights", 60.0) as update:
        for iteration, network in networks:
            update(len(points), f"of iteration {iteration}", start=not points)
            point = curvature_point(
                network,
                batch,
                run.loss,
                kinds=asked.kinds,
                rules=asked.rules,
                iteration=iteration,
                feedback=feedback,
                bound=_bound(run, iteration),
                l2=l2,
                sigma=sigma,
                **options,
            )
            points.append(point)
        update(len(points), "")
    best = next(p for p in points if p.iteration == run.best_iteration)
    network, loss = run.network, run.loss
    by_bits, field = [], None
    if {"rounding", "rounding-noise"} & set(asked.kinds):
        by_bits = sharpness_by_bits(network, batch, loss, asked.bits, **options)
    if "surrogate-field" in asked.kinds:
        field = field_shape(network, batch, loss, rng=seed)
    gaps = generalisation(
        network,
        run.task,
        loss,
        seed=seed,
        samples=samples,
        sigma=shift,
        rng=seed,
        batch_size=run.config.training.batch_size,
        iterations=max(run.best_iteration, 1),
        threads=threads,
    )
    leading = {
        f"leading eigenvector ({kind})": max(ends, key=lambda e: abs(e.value)).vector
        for kind, ends in best.ends.items()
    }
    slices = usual_slices(network, batch, loss, leading, rng=seed, threads=threads)
    name = feedback if isinstance(feedback, str) else feedback.kind
    answer = CurvatureAnswer(
        points, best, by_bits, field, slices, gaps, asked.missing, name, l2
    )
    numbers = answer_json(answer, sigma) | {"split": split, "samples": samples}
    if figure is not None:
        write_curvature_figure(figure, points, by_bits, slices)
    if out is not None and figure != out:
        write_json(out / "curvature.json", numbers)
    if as_json:
        print_json(numbers)
    else:
        print_answer(answer)
        if out is not None:
            console.print(f"written: {out}")


def _networks(run: runs.Run, threads: int) -> list[tuple[int, RecurrentNetwork]]:
    """Return the networks of a run by iteration: those it kept, and the best one."""
    kept = dict(run.snapshots())
    if not kept:
        first = new_trainer(run.config, threads=threads, hardware=from_config)
        kept[0] = first.running()
    kept[run.best_iteration] = run.network
    return sorted(kept.items(), key=lambda item: item[0])


def _feedback(run: runs.Run, threads: int) -> str | Feedback:
    """Return the feedback of a run; adaptive matrices are not kept with weights."""
    if run.config.learning.feedback in ("symmetric", "adaptive"):
        return "symmetric"
    trainer = new_trainer(run.config, threads=threads, hardware=from_config)
    return trainer.feedback


def _bound(run: runs.Run, iteration: int) -> float | None:
    """Return the curvature up to which the optimiser is stable, if it has one."""
    optimizer, training = run.config.optimizer, run.config.training
    if optimizer.name != "sgd":
        return None
    scale = learning_rate_scale(optimizer.schedule, iteration, training.iterations)
    return stability_bound(optimizer.lr * scale, optimizer.momentum)


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn curvature runs/digits --out curvature.svg"
    app.command(epilog=example)(curvature)
