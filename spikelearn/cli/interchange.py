"""`convert`: networks from and to files of other programs.

`FORMATS` is the list of what is read and written: a new format is one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hardware._checks import MAX_INPUT_BITS
from hardware._notes import Note
from hardware._storage import load_json
from hardware.description import NetworkDescription
from hardware.export.brian2 import write_brian2
from hardware.export.c_header import write_c_header
from hardware.export.netx import read_netx, write_netx
from hardware.export.nir import DISCRETISATIONS, write_nir
from hardware.export.runner import write_numpy_runner
from hardware.importing.nir import DIALECTS, read_nir
from spikelearn import runs
from spikelearn.cli._common import JsonOption, console, print_json
from spikelearn.cli._export import find_description
from spikelearn.errors import (
    FileAccessError,
    FileFormatError,
    InvalidValue,
    require,
    unknown_name,
)
from spikelearn.files import write_text
from spikelearn.network import RecurrentNetwork
from spikelearn.network.cells import RESETS

__all__ = ["FORMATS", "Format", "Options", "convert", "register"]

Network = RecurrentNetwork | NetworkDescription
Notes = tuple[Note, ...]
FLOAT, INTEGERS = RecurrentNetwork, NetworkDescription
NAMES = {FLOAT: "float network", INTEGERS: "integers"}
FLAGS = {
    "dt": "--dt",
    "dialect": "--from",
    "reset": "--reset",
    "steps": "--steps",
    "readout": "--no-readout",
    "metadata": "--no-metadata",
    "strict": "--no-strict",
    "input_bits": "--input-bits",
}
HEADER_VECTORS = 3  # samples with which a C header checks itself


@dataclass(frozen=True)
class Options:
    """What the user says about a conversion; see the options of `convert`."""

    dt: float | None = None
    dialect: str = "nir"
    reset: str | None = None
    steps: str | None = None
    readout: bool = True
    metadata: bool = True
    strict: bool = True
    input_bits: int | None = None
    x: np.ndarray | None = None  # (T, n_in), a test sample of a run


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    name
        For people.
    read
        Returns the network of a path and what the file did not say; None: not read.
    write
        Writes a network to a path as a whole and returns what the file does not say;
        None: not written.
    holds
        What can be written.
    reads, writes
        The options that reading and writing use.
    beside
        Suffix of a second file that is written, by what is written.
    """

    name: str
    read: Callable[[Path, Options], tuple[Network, Notes]] | None = None
    write: Callable[[Any, Path, Options], Notes] | None = None
    holds: tuple[type, ...] = (FLOAT, INTEGERS)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    beside: dict[type, str] = field(default_factory=dict)


def _read_nir(path: Path, options: Options) -> tuple[Network, Notes]:
    found = read_nir(
        path,
        dt=options.dt,
        dialect=options.dialect,
        reset=options.reset,
        discretisation=options.steps,
        use_metadata=options.metadata,
    )
    return found.network, found.notes


def _write_nir(network: Network, path: Path, options: Options) -> Notes:
    steps = options.steps or "euler"
    return write_nir(network, path, discretisation=steps, readout=options.readout)


def _read_description(path: Path, _: Options) -> tuple[Network, Notes]:
    return NetworkDescription.load(path), ()


def _write_description(network: NetworkDescription, path: Path, _: Options) -> Notes:
    network.save(path)
    return ()


def _read_json(path: Path, _: Options) -> tuple[Network, Notes]:
    return load_json(path), ()


def _write_json(network: NetworkDescription, path: Path, _: Options) -> Notes:
    write_text(path, network.to_json())
    if network.vectors is None:
        return ()
    return (Note("lost", "test vectors", "JSON descriptions hold none"),)


def _read_netx(path: Path, options: Options) -> tuple[Network, Notes]:
    network, told = read_netx(path, input_bits=options.input_bits)
    return network, tuple(Note("assumed", "netx", text) for text in told)


def _write_netx(network: NetworkDescription, path: Path, options: Options) -> Notes:
    told = write_netx(network, path, strict=options.strict)
    loud = not options.strict
    return tuple(Note("lost", "netx", text, loud=loud) for text in told)


def _write_header(network: NetworkDescription, path: Path, _: Options) -> Notes:
    stored = 0 if network.vectors is None else network.vectors.x.shape[1]
    write_c_header(network, path, vectors=min(stored, HEADER_VECTORS))
    return ()


def _write_script(network: Network, path: Path, options: Options) -> Notes:
    """Write integers as a NumPy script, and floats as one of Brian2 with an input."""
    if isinstance(network, NetworkDescription):
        write_numpy_runner(network, path)
        return ()
    where, hint = "source of a Brian2 script", "Its input is the first test sample."
    require(options.x is not None, where, "must be a run folder", "a file", hint)
    assert options.x is not None
    write_brian2(network, options.x, path)
    return ()


FORMATS: dict[str, Format] = {
    ".nir": Format(
        "NIR graph",
        _read_nir,
        _write_nir,
        reads=("dt", "dialect", "reset", "steps", "metadata"),
        writes=("steps", "readout"),
    ),
    ".net": Format(
        "netx of lava-dl",
        _read_netx,
        _write_netx,
        (INTEGERS,),
        reads=("input_bits",),
        writes=("strict",),
    ),
    ".h": Format("C header", None, _write_header, (INTEGERS,)),
    ".py": Format(
        "script for NumPy or Brian2",
        None,
        _write_script,
        beside={FLOAT: ".npz", INTEGERS: ".json"},
    ),
    ".h5": Format("integers", _read_description, _write_description, (INTEGERS,)),
    ".json": Format("integers as JSON", _read_json, _write_json, (INTEGERS,)),
}
"""Kinds of files by suffix."""


READABLE = {suffix: form for suffix, form in FORMATS.items() if form.read}
RUN = Format("run folder")


def _find(source: Path) -> tuple[Path, Format]:
    """Return a run folder or the file that a path stands for, and what it is."""
    if not source.exists():
        raise FileAccessError(
            f"source {str(source)!r} must exist; got no such file or folder."
        )
    if (source / "config.toml").is_file():
        return source, RUN
    path = find_description(source) if source.is_dir() else source
    if path.suffix in FORMATS and path.suffix not in READABLE:
        raise FileFormatError(
            f"source {path.name!r} must be a run folder or a file that can be read "
            f"({', '.join(READABLE)}); got {FORMATS[path.suffix].name}."
        )
    return path, _format(path, "source", READABLE)


def _read(path: Path, form: Format, options: Options) -> tuple[Network, Notes, Options]:
    """Read what `_find` has found; with a run comes an input."""
    if form.read is None:
        run = runs.load_run(path)
        batch = next(iter(run.task.evaluation("test", 1, 1)))
        return run.network, (), replace(options, x=batch.x[:, 0])
    return *form.read(path, options), options


def _format(path: Path, what: str, known: dict[str, Format]) -> Format:
    if path.suffix not in known:
        raise unknown_name(f"suffix of the {what}", path.suffix, known)
    return known[path.suffix]


def _check_options(options: Options, source: Format, target: Format) -> None:
    """Refuse wrong options, and those that neither format uses."""
    for name, known in (("reset", RESETS), ("steps", DISCRETISATIONS)):
        value = getattr(options, name)
        rule = f"must be one of {', '.join(known)}"
        require(value is None or value in known, FLAGS[name], rule, repr(value))
    used = {*source.reads, *target.writes}
    given = [
        flag
        for name, flag in FLAGS.items()
        if getattr(options, name) != DEFAULTS[name] and name not in used
    ]
    if given:
        allowed = ", ".join(FLAGS[name] for name in FLAGS if name in used) or "none"
        raise InvalidValue(
            f"options from {source.name} to {target.name} must be among: {allowed}; "
            f"got {', '.join(given)}."
        )


DEFAULTS = {entry.name: entry.default for entry in fields(Options)}


def convert_network(
    source: Path, target: Path, options: Options
) -> tuple[Network, Notes]:
    """Read a network, write it in the format of the target, return it with notes.

    Raises
    ------
    SpikelearnError
        If the source cannot be read or the target not be written; then nothing is.
    """
    form = _format(target, "target", FORMATS)
    path, source_form = _find(source)
    _check_options(options, source_form, form)
    rule = "must be another file than the source"
    require(source.resolve() != target.resolve(), "target", rule, repr(str(target)))
    network, notes, options = _read(path, source_form, options)
    if form.write is None or not isinstance(network, form.holds):
        kinds = " or ".join(NAMES[kind] for kind in form.holds)
        raise FileFormatError(
            f"target {target.name!r} ({form.name}) must be made from {kinds}; got a "
            f"{NAMES[type(network)]}. (spikelearn export RUN turns floats into "
            "integers; a .nir file holds either.)"
        )
    return network, (*notes, *form.write(network, target, options))


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help=f"A run folder, an export folder or a file: {', '.join(READABLE)}."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(help=f"The file to write: {', '.join(FORMATS)}.")
    ],
    dt: Annotated[
        float | None,
        typer.Option(help="Time step in ms, for files that do not say it."),
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(
            "--from", help=f"The program that wrote a .nir: {', '.join(DIALECTS)}."
        ),
    ] = "nir",
    reset: Annotated[
        str | None,
        typer.Option(
            help="zero or subtract, for a .nir.", show_default="by the program"
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Steps that keep the decay factors of a .nir: euler or exponential.",
            show_default="by the program, else euler",
        ),
    ] = None,
    readout: Annotated[
        bool, typer.Option(help="Write the readout into a .nir, or end at spikes.")
    ] = True,
    metadata: Annotated[
        bool,
        typer.Option(help="Build what spikelearn wrote again, or read the graph only."),
    ] = True,
    strict: Annotated[
        bool,
        typer.Option(help="Refuse to write a .net that is not this network exactly."),
    ] = True,
    input_bits: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_INPUT_BITS,
            help="Bits of an input value (0: spikes), for a .net that does not say it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a network from one kind of file to another; say what is lost."""
    options = Options(dt, dialect, reset, steps, readout, metadata, strict, input_bits)
    network, notes = convert_network(source, target, options)
    sizes = {name: getattr(network, name) for name in ("n_in", "n_rec", "n_out", "dt")}
    kind = NAMES[type(network)]
    files = _written(target, network)
    if as_json:
        told = [note.to_dict() for note in notes]
        answer = {"target": str(target), "files": files, "kind": kind, **sizes}
        print_json(answer | {"notes": told})
        return
    for note in notes:
        style = "bold red" if note.loud else None
        console.print(str(note), style=style, markup=False, highlight=False)
    shown = ", ".join(f"{name} {value:g}" for name, value in sizes.items())
    where = " and ".join(files)
    console.print(f"{where}: {kind}, {shown} ms", markup=False, highlight=False)


def _written(target: Path, network: Network) -> list[str]:
    """Return the names of all files that a conversion has written."""
    beside = FORMATS[target.suffix].beside.get(type(network))
    more = [] if beside is None else [str(target.with_suffix(beside))]
    return [str(target), *more]


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command(epilog="Example: spikelearn convert runs/digits digits.nir")(convert)
