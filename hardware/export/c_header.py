"""A description as one C99 header: integers only, no library, no memory allocation."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import numpy as np

from hardware.description import NetworkDescription, TestVectors
from hardware.export._c_source import CHECK, HEADER
from hardware.export._supported import refuse_unsupported
from spikelearn.errors import require
from spikelearn.files import write_text

__all__ = ["write_c_header"]

LINE_WIDTH = 88
_PREFIX = re.compile(r"[a-z][a-z0-9_]*")


def write_c_header(
    description: NetworkDescription,
    path: str | Path,
    *,
    prefix: str = "network",
    vectors: int = 0,
) -> None:
    """Write a C99 header that computes what the emulator computes.

    It declares `<prefix>_state`, `<prefix>_reset(state)` and
    `<prefix>_step(state, x)`, which does one time step of `hardware.emulator` on the
    inputs x, and defines no symbol that is seen outside of the file that includes it.
    With `-D<PREFIX>_MAIN` it is a program that checks the test vectors and ends with
    status 1 if a value differs.

    Parameters
    ----------
    description
        The network.
    path
        The header, ending in `.h`.
    prefix
        Begins all names; lower case letters, digits and underscores.
    vectors
        Number of the stored test vectors (samples) to include.

    Raises
    ------
    HardwareError
        If the description has a part that this header does not compute.
    InvalidValue
        If `path`, `prefix` or `vectors` is wrong.
    FileAccessError
        If the file cannot be written; an older one stays as it was.
    """
    refuse_unsupported(description, "the C header")
    target = Path(path)
    require(target.suffix == ".h", "path", "must end in .h", repr(str(path)))
    rule = "must be lower case letters, digits and underscores, a letter first"
    require(_PREFIX.fullmatch(prefix), "prefix", rule, repr(prefix))
    stored = description.vectors
    available = 0 if stored is None else stored.x.shape[1]
    require(0 <= vectors <= available, "vectors", f"must be 0..{available}", vectors)
    check = ""
    if stored is not None and vectors:
        check = _check(prefix, stored, vectors)
    constants = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "digest": description.sha256(),
        "dt": repr(description.dt),
        "n_in": description.n_in,
        "n_rec": description.n_rec,
        "n_out": description.n_out,
        "input_max": description.input_max,
        "exponent_in": description.w_in.exponent,
        "exponent_rec": description.w_rec.exponent,
        "exponent_out": description.w_out.exponent,
        "subtract": int(description.lif.reset == "subtract"),
        "arrays": _arrays(prefix, description),
        "check": check,
    }
    write_text(target, Template(HEADER).substitute(constants))


def _arrays(prefix: str, description: NetworkDescription) -> str:
    cell, out = description.lif, description.readout
    registers = {
        "du": cell.du,
        "dv": cell.dv,
        "bias": cell.bias_mant << cell.bias_exp,
        "threshold": cell.vth << 6,
        "beta": cell.beta << 6,
        "db": cell.db,
        "refractory": cell.refractory,
        "out_dv": out.dv,
        "out_bias": out.bias_mant << out.bias_exp,
    }
    parts = [
        _array(f"{prefix}_{name}", "int16_t", getattr(description, name).weights)
        for name in ("w_in", "w_rec", "w_out")
    ]
    parts += [
        _array(f"{prefix}_{name}", "int32_t", values)
        for name, values in registers.items()
    ]
    return "\n".join(parts)


def _check(prefix: str, vectors: TestVectors, samples: int) -> str:
    """Return the program that compares with test vectors, `(sample, step, unit)`."""
    parts = []
    for name in ("x", "u", "v", "b", "spikes", "y"):
        values = getattr(vectors, name)[:, :samples].transpose(1, 0, 2)
        kind = "uint8_t" if name == "spikes" else "int32_t"
        parts.append(_array(f"{prefix}_vector_{name}", kind, values))
    constants = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "samples": samples,
        "steps": vectors.x.shape[0],
        "vectors": "\n".join(parts),
    }
    return Template(CHECK).substitute(constants)


def _array(name: str, kind: str, values: np.ndarray) -> str:
    """Return a constant array as C, in lines of a readable width."""
    shape = "".join(f"[{size}]" for size in values.shape)
    return f"static const {kind} {name}{shape} = {_braced(values.tolist())};\n"


def _braced(values: list) -> str:
    if isinstance(values[0], list):
        return "{\n" + ",\n".join(_braced(row) for row in values) + "}"
    lines, line = [], ""
    for number in values:
        # -2147483648 is no literal of C: there it would be minus a larger number
        text = str(number) if number > -(2**31) else "(-2147483647 - 1)"
        if len(line) + len(text) + 2 > LINE_WIDTH:
            lines.append(line)
            line = ""
        line += text + ","
    return "{" + "\n".join([*lines, line]).rstrip(",") + "}"
