"""`connectivity`: what a family of recurrent matrices is, beside its null models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
from spikelearn.errors import InvalidValue, unknown_name
from spikelearn.learning.matching import match_lyapunov
from spikelearn.report.charts import check_figure
from spikelearn.report.connectivity import write_connectivity_figure

__all__ = ["register"]

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
            "'dale(base=erdos_renyi(0.1))'. Families: " + ", ".join(FAMILIES) + "."
        ),
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="Number of neurons.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
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
    (time constant 10 steps, no delays) under white noise; `spikelearn lyapunov`
    measures those of real networks. The eigenvalue rank is a fraction of n, the balance
    (E - I) / (E + I), and Dale's law a fraction of neurons.
    """
    if out is not None:
        check_figure(out)
    family = parse(spec)
    wanted = _wanted(matching)
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
