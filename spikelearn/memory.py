"""How much memory may be used, and whether something fits, asked before work starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from spikelearn.errors import require

__all__ = ["as_bytes", "as_text", "fits_surely", "memory_limit_bytes", "require_fits"]

VARIABLE = "SPIKELEARN_MEMORY_LIMIT"
FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
FACTORS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
SIZE = re.compile(r"\s*(\d+\.?\d*(?:e\d{1,2})?)\s*((?:[kmgt]i?)?)b?\s*", re.IGNORECASE)
ALWAYS_FITS = 2**26  # 64 MiB: asking the system takes longer than many runs


def as_bytes(text: str, where: str = VARIABLE) -> int:
    """Return a size such as "4GiB", "500 MB" or "1e9" in bytes.

    Raises
    ------
    InvalidValue
        If it is not a size of at least a byte.
    """
    match = SIZE.fullmatch(text)
    size = float(match[1]) * FACTORS[match[2].lower()] if match else 0.0
    require(size >= 1, where, "must be a size such as 4GiB or 500MB", repr(text))
    return int(size)


def as_text(n_bytes: float) -> str:
    """Return a number of bytes for people, such as "12.3 GiB"."""
    names = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while n_bytes >= 1024 and len(names) > 1:
        n_bytes /= 1024
        names.pop(0)
    return f"{n_bytes:.4g} {names[0]}"


def memory_limit_bytes(root: Path = Path("/")) -> int:
    """Return how much more memory this process may take, in bytes.

    It is `SPIKELEARN_MEMORY_LIMIT` (for example "4GiB"), else the smaller of what is
    available on the machine and the limit of the control group (container, batch job).

    Parameters
    ----------
    root
        Where `proc` and `sys` are.

    Raises
    ------
    InvalidValue
        If the environment variable is not a size.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return as_bytes(chosen)
    limits = [*_group_limits(root), _available(root)]
    return min(limits)


def _group_limits(root: Path) -> list[int]:
    """Return the limits of the control groups that this process is in, if any."""
    limits = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        groups = root / "sys/fs/cgroup"
        name = "memory.max"
        if "memory" in controllers.split(","):  # version 1
            groups, name = groups / "memory", "memory.limit_in_bytes"
        elif controllers:
            continue
        group = groups / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(groups):
                text = _read(folder / name).strip()
                limits += [int(text)] if text.isdecimal() else []
    return limits


def _available(root: Path) -> int:
    """Return the memory that can be had without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _read(root / "proc/meminfo"), re.M)
    if found:
        return int(found[1]) * 1024
    try:  # not Linux: all of the memory, for want of something better
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63 - 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def fits_surely(bytes_needed: int) -> bool:
    """Return whether so little is needed that the limit need not be asked for."""
    return bytes_needed <= ALWAYS_FITS and VARIABLE not in os.environ


def require_fits(
    bytes_needed: int,
    where: str,
    per_unit_bytes: int,
    units: int,
    unit_name: str,
    advice: str = "",
) -> None:
    """Raise `InvalidValue`, with what would fit, if something exceeds the memory limit.

    Parameters
    ----------
    bytes_needed
        Memory of all of it.
    where
        What needs it.
    per_unit_bytes, units, unit_name
        The part that grows: `units` things of `per_unit_bytes` each, for example 16 and
        "samples". The rest of `bytes_needed` does not get less with fewer of them.
    advice
        A sentence about what else takes less.
    """
    if fits_surely(bytes_needed):
        return
    limit = memory_limit_bytes()
    if bytes_needed <= limit:
        return
    fixed = bytes_needed - per_unit_bytes * units
    fitting = max((limit - fixed) // max(per_unit_bytes, 1), 0)
    hint = f"{fitting} {unit_name} at a time fit" if fitting else f"No {unit_name} fit"
    hint += f". {advice}" if advice else "."
    require(
        False,
        where,
        f"must fit into the memory limit of {as_text(limit)}",
        f"{units} {unit_name} that need {as_text(bytes_needed)}",
        f"{hint} The environment variable {VARIABLE} sets the limit.",
    )
