"""`connectivity`: what a family of recurrent matrices is, beside its null models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware.training import from_config
from spikelearn.analysis.lyapunov import in_float64
from spikelearn.analysis.structure import (
    Structure,
    describe,
    reference_network,
    reference_ports,
)
from spikelearn.cli._common import JsonOption, console, print_json, print_table
from spikelearn.connectivity import (
    FAMILIES,
    MATCHES,
    NULLS,
    Connectivity,
    Family,
    gaussian,
    match,
    parse,
)
from spikelearn.errors import InvalidValue, require, unknown_name
from spikelearn.learning.matching import match_lyapunov
from spikelearn.memory import as_text, fits_surely, memory_limit_bytes
from spikelearn.report.charts import check_figure
from spikelearn.report.connectivity import write_connectivity_figure
from spikelearn.runs import load_run
from spikelearn.runs.run import new_trainer

__all__ = ["register"]

N = 300  # neurons of a draw
MATRICES = 10  # of n x n numbers that a draw and its description take at most
TRIALS = 32  # of the task of a run, under which its exponent is measured
ROWS = {
    "frobenius": "Frobenius norm",
    "operator": "operator norm",
    "nuclear": "nuclear norm",
    "spectral_radius": "spectral radius",
    "lyapunov": "exponent per step",
    "eigenvalue_rank": "eigenvalue rank",
    "entropy_rank": "entropy rank",
    "stable_rank": "stable rank",
    "participation_ratio": "particip. ratio",
    "balance": "E - I balance",
    "dale": "obeys Dale's law",
    "density": "density",
    "reciprocity": "reciprocity",
}


def connectivity(
    spec: Annotated[
        str,
        typer.Argument(
            help="A family with its parameters, such as 'low_rank(rank=1)' or "
            "'dale(base=erdos_renyi(0.1))', or a run folder. Families: "
            + ", ".join(FAMILIES)
            + "."
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("--n", min=1, help="Number of neurons.", show_default=str(N)),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the draw.", show_default="0")
    ] = None,
    matching: Annotated[
        str | None,
        typer.Option(
            "--match",
            help="Scale to MODE=VALUE: frobenius, spectral_radius or lyapunov.",
            metavar="MODE=VALUE",
        ),
    ] = None,
    nulls: Annotated[
        bool,
        typer.Option("--nulls", help="Also describe null models and a Gaussian draw."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Figure as FILE.svg or FILE.png.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a family of recurrent connectivity: norms, ranks, spectrum, graph.

    The largest Lyapunov exponent is that of a reference network of leaky ReLU units
    (time constant 10 steps) under white noise, not defined for families with delays;
    `spikelearn lyapunov` measures those of real networks. The eigenvalue rank is a
    fraction of n, the balance (E - I) / (E + I), and Dale's law a fraction of neurons.
    Of a run folder it describes the weights at the start and the best ones, with the
    exponent under trials of the task.
    """
    if out is not None:
        check_figure(out)
    if Path(spec).is_dir():
        given = {
            "--n": n,
            "--seed": seed,
            "--match": matching,
            "--nulls": nulls or None,
        }
        named = [name for name, value in given.items() if value is not None]
        rule = "must be given no option that changes the draw"
        require(not named, "connectivity of a run folder", rule, ", ".join(named))
        _describe_run(Path(spec), out, as_json)
        return
    n, seed = N if n is None else n, seed or 0
    family = parse(spec)
    wanted = _wanted(matching)
    _require_memory(n)
    made = _drawn(family, n, seed, wanted)
    own = describe(made, rng=seed)
    others: dict[str, Connectivity] = {}
    missing: dict[str, str] = {}
    if nulls:
        for null in _nulls(family, own):
            name = type(null).__name__
            try:
                others[name] = _drawn(null, n, seed, wanted)
            except InvalidValue as error:
                missing[name] = str(error)
    rows = {name: describe(each, rng=seed) for name, each in others.items()}
    if out is not None:
        weights = {name: each.weights for name, each in others.items()}
        write_connectivity_figure(out, made.weights, _short(family), weights)
    if as_json:
        answer: dict[str, Any] = {"spec": str(family), "seed": seed, "match": wanted}
        answer |= own.to_dict()
        answer["nulls"] = {name: each.to_dict() for name, each in rows.items()}
        answer["not_defined"] = missing
        print_json(answer)
    else:
        _print(_short(family), {"family": own, **rows}, missing)
        if out is not None:
            console.print(f"written: {out}")


def _describe_run(folder: Path, out: Path | None, as_json: bool) -> None:
    """Describe the weights of a run: those at the start, and the best ones."""
    run = load_run(folder)
    start = new_trainer(run.config, hardware=from_config).running()
    x = next(iter(run.task.evaluation("validation", TRIALS, TRIALS))).x
    rows = {
        name: describe(in_float64(network), x)
        for name, network in (("at the start", start), ("best", run.network))
    }
    if out is not None:
        before, best = (net.params.w_rec for net in (start, run.network))
        write_connectivity_figure(out, before, "at the start", {"best": best})
    if as_json:
        answer = {"run": str(folder), **rows["best"].to_dict()}
        print_json(answer | {"start": rows["at the start"].to_dict()})
        return
    _print(str(folder), rows, {})
    if out is not None:
        console.print(f"written: {out}")


def _require_memory(n: int) -> None:
    each = 8 * MATRICES * n  # bytes
    if fits_surely(each * n):
        return
    limit = memory_limit_bytes()
    most = math.isqrt(limit // (8 * MATRICES))
    rule = f"must fit into the memory limit of {as_text(limit)}"
    got, hint = f"{n} neurons that need {as_text(each * n)}", f"At most {most} fit."
    require(n <= most, "--n", rule, got, hint)


def _wanted(matching: str | None) -> tuple[str, float] | None:
    if matching is None:
        return None
    mode, _, text = matching.partition("=")
    modes = [*MATCHES, "lyapunov"]
    if mode.strip() not in modes:
        raise unknown_name("matching", mode, modes)
    try:
        return mode.strip(), float(text)
    except ValueError:
        raise InvalidValue(f"--match must be MODE=VALUE; got {matching!r}.") from None


def _drawn(
    family: Family, n: int, seed: int, wanted: tuple[str, float] | None
) -> Connectivity:
    """Return the draw of a family, matched if asked for."""
    made = family.draw(n, seed, reference_ports(n, seed))
    if wanted is None:
        return made
    mode, value = wanted
    if mode in MATCHES:
        return match(made, mode, value)
    late = made.delay is not None and int(np.max(made.delay)) > 1
    rule = "must be asked of connections with delays of one step"
    require(not late, "--match lyapunov", rule, str(family))
    network, x = reference_network(made, seed)
    match_lyapunov(network, x, value, rng=seed)
    return made.with_weights(network.params.w_rec.copy())


def _nulls(family: Family, own: Structure) -> list[Family]:
    """Return the null models, and a Gaussian draw of the same expected norm."""
    gain = own.frobenius / own.n**0.5
    return [*(null(family) for null in NULLS), gaussian(gain)]


def _short(family: Family) -> str:
    text = str(family)
    return text if len(text) <= 60 else text[:57] + "..."


def _print(title: str, columns: dict[str, Structure], missing: dict[str, str]) -> None:
    values = {name: each.to_dict() for name, each in columns.items()}
    rows = [
        [words, *(_number(column[key]) for column in values.values())]
        for key, words in ROWS.items()
    ]
    n = next(iter(columns.values())).n
    heads = [name.replace("_", " ") for name in columns]
    print_table(f"{title}, {n} neurons", ["", *heads], rows)
    for name, reason in missing.items():
        console.print(f"{name}: not defined here: {reason}", highlight=False)


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    example = "Example: spikelearn connectivity 'low_rank(rank=1, gain=1.5)' --nulls"
    app.command(epilog=example)(connectivity)
