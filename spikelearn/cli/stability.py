"""`lyapunov`: the exponents of a network under the input of its task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from spikelearn import runs, tasks
from spikelearn.analysis.long_term import long_term_jacobian
from spikelearn.analysis.lyapunov import KINDS, LyapunovSpectrum, in_float64
from spikelearn.analysis.twins import lyapunov_kinds
from spikelearn.cli._common import (
    AVAILABLE_CORES,
    JsonOption,
    ThreadsOption,
    console,
    figure_of,
    print_json,
    print_table,
)
from spikelearn.cli._configuration import (
    SeedOption,
    TaskOption,
    ValuesArgument,
    configuration,
)
from spikelearn.errors import InvalidValue
from spikelearn.files import write_json
from spikelearn.network import RecurrentNetwork, Surrogate
from spikelearn.network.tangent import Jacobian
from spikelearn.report.stability import write_lyapunov_figure
from spikelearn.runs.build import build_network
from spikelearn.tasks import Task

__all__ = ["register"]

LEAST_STEPS = 1000  # that a run takes by default; shorter trials follow each other


def lyapunov(
    values: ValuesArgument = None,
    task: TaskOption = None,
    seed: SeedOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of exponents.")] = 10,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps of a run; trials follow each other until it is full.",
            show_default=f"a trial, or {LEAST_STEPS} if it is shorter",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 4,
    transient: Annotated[
        int | None,
        typer.Option(
            min=0, help="First steps not counted.", show_default="a tenth of them"
        ),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Fail above this standard error.")
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            help="Pseudo-derivative in the Jacobian, as NAME or NAME:WIDTH.",
            show_default="the cell's",
        ),
    ] = None,
    twin_size: Annotated[
        float, typer.Option(help="Distance of the very close twin networks.")
    ] = 1e-6,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Figure as FILE.svg or FILE.png; a folder also gets the numbers."
        ),
    ] = None,
    threads: ThreadsOption = AVAILABLE_CORES,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast small changes of a network's state grow.

    Takes a run folder (its best weights) or a configuration as `train` does (its
    initial weights), and drives the network with validation trials of the task.
    Exponents are in natural logarithms per time step, with standard errors; those of
    spiking networks are of several kinds, side by side. Everything is in float64.
    """
    figure = figure_of(out, "lyapunov")
    network, made, chosen = _network(values or [], task, seed)
    network = in_float64(network)
    x = task_input(made, steps or max(made.n_steps, LEAST_STEPS), samples)
    spectra, missing = lyapunov_kinds(
        network,
        x,
        k,
        surrogate=_surrogate(surrogate, chosen.network.gamma),
        transient=transient,
        tolerance=tolerance,
        twin_size=twin_size,
        rng=chosen.training.seed,
        threads=threads,
    )
    main = (
        "surrogate-voltage" if "surrogate-voltage" in spectra else next(iter(spectra))
    )
    if figure is not None:
        used = _jacobian(main, _surrogate(surrogate, chosen.network.gamma))
        first = {main: spectra[main]}
        long_term = long_term_jacobian(
            network, x, k, jacobian=used, rng=chosen.training.seed, threads=threads
        )
        write_lyapunov_figure(figure, first | spectra, long_term)
    answer = _answer(main, spectra, missing, x)
    if out is not None and figure != out:
        write_json(out / "lyapunov.json", answer)
    if as_json:
        print_json(answer)
    else:
        _print(spectra, missing, out)


def _jacobian(kind: str, surrogate: Surrogate | None) -> Jacobian:
    subspace = "voltage" if kind == "surrogate-voltage" else "full"
    return Jacobian(subspace=subspace, surrogate=surrogate)


def _network(
    values: list[str], task: str | None, seed: int | None
) -> tuple[RecurrentNetwork, Task, runs.RunConfig]:
    """Return the network of a run folder or of a configuration, and its task."""
    folders = [value for value in values if "=" not in value and Path(value).is_dir()]
    if folders:
        if len(values) > 1 or task is not None or seed is not None:
            raise InvalidValue(
                "lyapunov of a run folder must be given nothing else of the network; "
                f"got {values}. (Its configuration is that of the run.)"
            )
        run = runs.load_run(folders[0])
        return run.network, run.task, run.config
    config = configuration("lyapunov", values, task, seed)
    made = tasks.make(config.task.name, **config.task.parameters())
    return build_network(config, made), made, config


def task_input(task: Task, n_steps: int, n_samples: int) -> np.ndarray:
    """Return validation trials one after the other, (n_steps, n_samples, n_in)."""
    per_run = -(-n_steps // task.n_steps)
    size = per_run * n_samples
    trials: list[np.ndarray] = []
    for batch in task.evaluation("validation", size, size):
        trials += [batch.x[:, b] for b in range(batch.size)]
    trials = [trials[i % len(trials)] for i in range(size)]
    rows = [
        np.concatenate(trials[s * per_run : (s + 1) * per_run])[:n_steps]
        for s in range(n_samples)
    ]
    return np.stack(rows, axis=1)


def _surrogate(text: str | None, gamma: float) -> Surrogate | None:
    if text is None:
        return None
    name, _, width = text.partition(":")
    try:
        return Surrogate(name, gamma, float(width or 1.0))
    except ValueError:
        raise InvalidValue(
            f"--surrogate must be NAME or NAME:WIDTH; got {text!r}."
        ) from None


def _answer(
    main: str,
    spectra: dict[str, LyapunovSpectrum],
    missing: dict[str, str],
    x: np.ndarray,
) -> dict[str, Any]:
    kinds = {kind: _row(spectrum) for kind, spectrum in spectra.items()}
    return kinds[main] | {
        "steps": len(x),
        "samples": x.shape[1],
        "kinds": kinds,
        "not_defined": missing,
    }


def _row(spectrum: LyapunovSpectrum) -> dict[str, Any]:
    row = {
        name: getattr(spectrum, name)
        for name in ("kind", "exponents", "error", "drift", "transient", "dt")
    }
    row = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()}
    single = spectrum.kind.startswith("twin")
    return row | {
        "meaning": KINDS[spectrum.kind],
        "dimension": spectrum.size,
        "kaplan_yorke": None if single else spectrum.kaplan_yorke,
        "entropy_bound": None if single else spectrum.entropy_bound,
    }


def _print(
    spectra: dict[str, LyapunovSpectrum], missing: dict[str, str], out: Path | None
) -> None:
    rows = []
    for kind, spectrum in spectra.items():
        first = f"{spectrum.exponents[0]:+.5f} ± {spectrum.error[0]:.5f}"
        per_ms = f"{spectrum.per_ms[0]:+.5f}"
        last = "" if len(spectrum.exponents) == 1 else f"{spectrum.exponents[-1]:+.5f}"
        dimension = ""
        if not kind.startswith("twin") and spectrum.kaplan_yorke is not None:
            dimension = f"{spectrum.kaplan_yorke:.2f}"
        rows.append([kind, first, per_ms, last, dimension])
    columns = ("kind", "largest, per step", "per ms", "k-th", "K.-Y. dimension")
    print_table("Lyapunov exponents", columns, rows)
    for kind in spectra:
        console.print(f"[bold]{kind}[/bold]: {KINDS[kind]}", highlight=False)
    for kind, reason in missing.items():
        console.print(f"{kind}: not defined here: {reason}", highlight=False)
    if out is not None:
        console.print(f"written: {out}")


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn lyapunov --task dms gain=1.5 -k 20 --out lyap.svg"
    app.command(epilog=example)(lyapunov)
